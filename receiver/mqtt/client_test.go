package mqtt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watched makes a client whose brokers are served by f, one connection after
// another, and what its user is told.
func watched(o ClientOptions, f func(n int, c net.Conn)) (c *Client, downs chan error, ups chan bool) {
	downs, ups = make(chan error, 100), make(chan bool, 100)
	n := 0
	o.Address = "broker:1883"
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go f(n, there)
		n++
		return here, nil
	}
	o.Down = func(err error) { downs <- err }
	o.Up = func() { ups <- true }
	if o.Receive == nil {
		o.Receive = func(Message) {}
	}
	return NewClient(o), downs, ups
}

// accept answers what a good broker answers and notes the kinds of packets
// that come.
func accept(c net.Conn, note func(kind byte, body []byte)) {
	for {
		kind, body, err := anyPacket(c)
		if err != nil {
			return
		}
		note(kind, body)
		switch kind & 0xf0 {
		case 0x10:
			_, _ = c.Write([]byte{typeConnAck, 2, 0, 0})
		case 0x80: // SUBSCRIBE: accepted
			_, _ = c.Write([]byte{0x90, 3, body[0], body[1], 1})
		case 0xc0:
			_, _ = c.Write([]byte{0xd0, 0})
		case 0x30:
			if kind&6 != 0 {
				topic := int(body[0])<<8 | int(body[1])
				_, _ = c.Write([]byte{0x40, 2, body[2+topic], body[3+topic]})
			}
		}
	}
}

// Brokers that refuse, say nonsense or nothing.
func TestOddBrokers(t *testing.T) {
	for name, c := range map[string]struct {
		answer, want string
		refused      bool
	}{
		"wrong password": {"\x20\x02\x00\x04", "password", true},
		"not allowed":    {"\x20\x02\x00\x05", "not Authorized", true},
		"not now":        {"\x20\x02\x00\x03", "Unavailable", false},
		"odd code":       {"\x20\x02\x00\x63", "", false},
		"another packet": {"\xd0\x00", "non-CONNACK", false},
		"no packet":      {"\xf0\x00", "malformed", false},
		"web server":     {"HTTP/1.1 400 Bad Request\r\n\r\n", "", false},
		"endless length": {"\x20\xff\xff\xff\xff\x01", "malformed", false},
		"huge":           {"\x20\xff\xff\xff\x7f", "malformed", false},
		"half":           {"\x20\x02\x00", "", false},
		"nothing":        {"", "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, downs, _ := watched(ClientOptions{}, func(n int, conn net.Conn) {
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				_, _ = conn.Write([]byte(c.answer))
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			began := time.Now()
			go func() { client.Run(ctx, nil); close(done) }()
			err := <-downs
			if !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrRefused) != c.refused || time.Since(began) > 2*patience {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			if err := client.Send(Message{Topic: "a"}); !errors.Is(err, ErrNotConnected) {
				t.Errorf("%s: sent: %v", name, err)
			}
			cancel()
			<-done
			time.Sleep(time.Minute) // for the library to end
		})
	}
}

// A broker that stops answering is left, whether something is to be said or
// not.
func TestSilentBroker(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			client, downs, ups := watched(ClientOptions{}, func(n int, c net.Conn) {
				go func() { _, _ = io.Copy(io.Discard, c) }()
				_, _ = c.Write([]byte{typeConnAck, 2, 0, 0})
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { client.Run(ctx, nil); close(done) }()
			<-ups
			began := time.Now()
			if err := client.Send(Message{Topic: "a", QoS: qos}); err != nil {
				t.Error(err)
			}
			err, limit := <-downs, map[byte]time.Duration{0: keepAlive + 2*patience, 1: patience}[qos]
			if d := time.Since(began); err == nil || d > limit {
				t.Errorf("%v after %v", err, d)
			}
			cancel()
			<-done
			time.Sleep(time.Minute)
		})
	}
}

// Credentials are renewed before they end; the connection is made anew at once.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signed := 0
		var connects [][]byte
		client, downs, ups := watched(ClientOptions{ClientID: "id", SignIn: func() (string, string, time.Time) {
			signed++
			return "user", "token " + string(rune('0'+signed)), time.Now().Add(time.Hour)
		}}, func(n int, c net.Conn) {
			accept(c, func(kind byte, body []byte) {
				if kind == 0x10 {
					connects = append(connects, body)
				}
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { client.Run(ctx, func() []Message { return nil }); close(done) }()
		<-ups
		began := time.Now()
		for range 3 {
			<-ups
		}
		if len(downs) != 0 {
			t.Error(<-downs)
		}
		if d := time.Since(began); d != 3*time.Hour {
			t.Errorf("renewed three times in %v", d)
		}
		cancel()
		<-done
		synctest.Wait()
		for i, body := range connects {
			if !bytes.Contains(body, []byte("token "+string(rune('1'+i)))) {
				t.Errorf("connection %d with %q", i, body)
			}
		}
		time.Sleep(time.Minute)
	})
}

// After a connection broke there is another, subscribed as before, after a
// wait that grows and has some chance in it.
func TestConnectsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var subscribed []string
		var at []time.Time
		client, downs, ups := watched(ClientOptions{Subscriptions: []string{"a/#"}}, func(n int, c net.Conn) {
			at = append(at, time.Now())
			accept(c, func(kind byte, body []byte) {
				if kind&0xf0 == 0x80 {
					subscribed = append(subscribed, string(body[4:]))
					go func() { time.Sleep(time.Millisecond); c.Close() }()
				}
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { client.Run(ctx, nil); close(done) }()
		for range 8 {
			<-ups
			<-downs
		}
		cancel()
		<-done
		for i := 1; i < len(at); i++ {
			base := min(firstWait<<(i-1), lastWait)
			if d := at[i].Sub(at[i-1]); d < base/2 || d > base*3/2+time.Second {
				t.Errorf("wait %d is %v", i, d)
			}
		}
		if len(subscribed) < 8 || slices.ContainsFunc(subscribed, func(s string) bool { return s != "a/#\x01" }) {
			t.Errorf("subscribed to %q", subscribed)
		}
		time.Sleep(time.Minute)
	})
}

// What arrives is told in order, also while messages wait to be acknowledged.
func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		client, _, ups := watched(ClientOptions{Receive: func(m Message) { got = append(got, m.Topic+"="+string(m.Payload)) }}, func(n int, c net.Conn) {
			accept(c, func(kind byte, body []byte) {
				if kind&0xf0 == 0x30 {
					_, _ = c.Write([]byte("\x30\x05\x00\x01ahi"))
					_, _ = c.Write([]byte("\x32\x06\x00\x01b\x00\x07!"))
				}
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { client.Run(ctx, func() []Message { return []Message{{Topic: "bye", QoS: 1}} }); close(done) }()
		<-ups
		for range 3 {
			if err := client.Send(Message{Topic: "x", QoS: 1}); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s := strings.Join(got, " "); s != "a=hi b=! a=hi b=! a=hi b=!" {
			t.Errorf("received %s", s)
		}
		cancel()
		<-done
		time.Sleep(time.Minute)
	})
}

// Nothing that a broker says makes the library fall over.
func FuzzBroker(f *testing.F) {
	for _, seed := range []string{"\x20\x02\x00\x00", "\x20\x02\x00\x00\x90\x03\x00\x01\x01\x32\x06\x00\x01b\x00\x07!", "\x20\x02\x00\x00\x30\x01\x00", "\x20\x01\x00", "\x20\x02\x00\x00\x90\x00\x40\x00\xb0\x01\x00\xd0\x00",
		"\x20\x02\x00\x00\x30\x02\xff\xff", "\x20\x02\x00\x00\x34\x04\x00\x01a\x00", "\x20\x02\x00\x00\x62\x02\x00\x01\x10\x00\x82\x00\xe0\x00", "\x00\x00", "\x20\x02\x00\x00\x36\x05\x00\x01a\x00\x01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		client, downs, _ := watched(ClientOptions{Subscriptions: []string{"#"}}, func(n int, c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = c.Write(said)
			c.Close()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { client.Run(ctx, func() []Message { return nil }); close(done) }()
		<-downs
		cancel()
		<-done
	})
}
