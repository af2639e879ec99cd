package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

func TestSecondSender(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		r := newRig(t, nil)
		a, b := r.dial("AA:AA:AA:AA:AA:AA"), r.dial("BB:BB:BB:BB:BB:BB")
		if a.begin() != 200 || b.begin() != 409 {
			t.Error("the second sender was not refused")
		}
		// It may go on asking, and the first is undisturbed.
		if b.ask("GET", "/info", "", nil).Status != 200 || a.ask("POST", "/feedback", "", nil).Status != 200 {
			t.Error("one of them is not answered")
		}
		if got := b.ask("SET_PARAMETER", url, rtsp.TypeParameters, []byte("volume: -1\r\n")); got.Status != 200 || r.media.volume != -15 {
			t.Error("who does not play turns the volume")
		}
		if r.server.Refused.Value() != 1 {
			t.Errorf("%d refused", r.server.Refused.Value())
		}
		// When the first is gone, the second gets in.
		a.c.Close()
		r.idle()
		if got := b.begin(); got != 200 {
			t.Errorf("afterwards: %d", got)
		}
	})
	t.Run("takes over", func(t *testing.T) {
		r := newRig(t, func(s *Server) { s.Takeover = true })
		a, b := r.dial("AA:AA:AA:AA:AA:AA"), r.dial("BB:BB:BB:BB:BB:BB")
		if a.begin() != 200 || b.begin() != 200 {
			t.Error("no take-over")
		}
		if _, err := a.try("POST", "/feedback", "", nil); err == nil {
			t.Error("the first sender was not disconnected")
		}
		if e := fmt.Sprint(r.media.take()); e != "[open closed open]" {
			t.Errorf("did %s", e)
		}
		if s, ok := r.server.Sender(); !ok || s.DeviceID != "BB:BB:BB:BB:BB:BB" {
			t.Errorf("on the stage: %+v", s)
		}
	})
	t.Run("comes as the first goes", func(t *testing.T) {
		r := newRig(t, nil)
		r.media.slow = 20 * time.Millisecond
		a := r.dial("AA:AA:AA:AA:AA:AA")
		if got := a.begin(); got != 200 {
			t.Fatalf("SETUP: %d", got)
		}
		for n := range 10 {
			b := r.dial(fmt.Sprintf("BB:BB:BB:BB:BB:%02d", n))
			a.c.Close()
			if got := b.begin(); got != 200 {
				t.Fatalf("number %d: %d", n, got)
			}
			a = b
		}
	})
	t.Run("is the first again", func(t *testing.T) {
		r := newRig(t, nil)
		a, b := r.dial("AA:AA:AA:AA:AA:AA"), r.dial("AA:AA:AA:AA:AA:AA")
		if a.begin() != 200 || b.begin() != 200 {
			t.Error("a sender cannot come back while its old connection lingers")
		}
		if e := fmt.Sprint(r.media.take()); e != "[open closed open]" {
			t.Errorf("did %s", e)
		}
	})
}

func TestSetupTwiceBeginsAnew(t *testing.T) {
	r := newRig(t, nil)
	a := r.dial("AA:AA:AA:AA:AA:AA")
	if a.begin() != 200 || a.begin() != 200 {
		t.Error("refused")
	}
	if e := fmt.Sprint(r.media.take()); e != "[open closed open]" {
		t.Errorf("did %s", e)
	}
	r.media.fail = errors.New("no memory")
	if got := a.begin(); got != 500 {
		t.Errorf("without memory: %d", got)
	}
	var end rtsp.Response
	if err := a.c.ReadResponse(&end); err == nil {
		t.Error("the connection stays open")
	}
	r.idle()
	r.media.fail = nil
	r.works()
}

func TestLostInMidStream(t *testing.T) {
	r := newRig(t, nil)
	for range 20 {
		a := r.dial("AA:AA:AA:AA:AA:AA")
		if got := a.begin(); got != 200 {
			t.Fatalf("SETUP: %d", got)
		}
		a.ask("SETUP", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 110}}}).Encode())
		a.c.Close() // no TEARDOWN, nothing
	}
	r.idle()
	r.works()
}

func TestStreamBreaksForGood(t *testing.T) {
	r := newRig(t, nil)
	a := r.dial("AA:AA:AA:AA:AA:AA")
	a.begin()
	r.media.last.Ended("the picture cannot be decoded")
	var end rtsp.Response
	if err := a.c.ReadResponse(&end); err == nil {
		t.Error("the connection stays open")
	}
	r.idle()
	r.works()
}

func TestStreamRefused(t *testing.T) {
	r := newRig(t, nil)
	a := r.dial("AA:AA:AA:AA:AA:AA")
	a.begin()
	r.media.mu.Lock()
	r.media.fail = errors.New("no such codec")
	r.media.mu.Unlock()
	if got := a.ask("SETUP", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 96}}}).Encode()); got.Status != 400 {
		t.Errorf("a stream that cannot be opened: %d", got.Status)
	}
	// A stream of another year is passed over, beside one that is known.
	r.media.mu.Lock()
	r.media.fail = nil
	r.media.mu.Unlock()
	got := a.ask("SETUP", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 120}, {Type: 110}}}).Encode())
	if reply, err := message.ParseSetupReply(got.Body); err != nil || len(reply.Streams) != 1 || reply.Streams[0].Type != 110 {
		t.Errorf("%+v, %v", reply, err)
	}
}

// tick is a clock of the simulated time of synctest.
func tick() clock.Time { return clock.Time(time.Now().UnixNano()) }

// simulated runs a server on a listener in memory, in simulated time.
func simulated(t *testing.T, f func(s *Server, m *media, dial func(id string) *phone)) {
	synctest.Test(t, func(t *testing.T) {
		m := &media{now: tick}
		s := newServer(m, pairing.PINOff, tick)
		ctx, cancel := context.WithCancel(t.Context())
		ln := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(ctx, ln) }()
		f(s, m, func(id string) *phone {
			client, server := net.Pipe()
			ln.conns <- server
			return &phone{t: t, c: rtsp.NewConn(client, rtsp.DefaultLimits, rtsp.Timeouts{}), id: id}
		})
		cancel()
		<-done
		if m.open != 0 {
			t.Errorf("%d sessions are still open", m.open)
		}
	})
}

type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *memoryListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}
func (l *memoryListener) Addr() net.Addr { return &net.TCPAddr{} }

// A phone that is carried away sends nothing any more, not even a FIN.
func TestSilence(t *testing.T) {
	simulated(t, func(s *Server, m *media, dial func(string) *phone) {
		a := dial("AA:AA:AA:AA:AA:AA")
		a.begin()
		for range 20 {
			time.Sleep(2 * time.Second)
			if got := a.ask("POST", "/feedback", "", nil); got.Status != 200 {
				t.Fatalf("feedback: %d", got.Status)
			}
		}
		time.Sleep(14 * time.Second)
		if _, ok := s.Sender(); !ok {
			t.Error("gone after 14 s of silence")
		}
		time.Sleep(3 * time.Second)
		if _, ok := s.Sender(); ok {
			t.Error("still here after 17 s of silence")
		}
		if b := dial("BB:BB:BB:BB:BB:BB"); b.begin() != 200 {
			t.Error("the next sender is refused")
		}
	})
}

// Some senders send media and no feedback; they are not gone.
func TestMediaIsASignOfLife(t *testing.T) {
	simulated(t, func(s *Server, m *media, dial func(string) *phone) {
		a := dial("AA:AA:AA:AA:AA:AA")
		a.begin()
		for range 60 {
			time.Sleep(10 * time.Second)
			m.mu.Lock()
			m.active = tick()
			m.mu.Unlock()
		}
		if _, ok := s.Sender(); !ok {
			t.Error("a sender that sends pictures counts as gone")
		}
		a.c.Close()
	})
}

func TestIdleConnectionsEnd(t *testing.T) {
	simulated(t, func(s *Server, m *media, dial func(string) *phone) {
		a, b := dial("a"), dial("b")
		if _, err := b.c.Write([]byte("GE")); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, b.c) }()
		time.Sleep(s.Timeouts.Message + time.Second)
		if _, err := b.c.Write([]byte("T")); err == nil {
			t.Error("a connection with half a request stays open")
		}
		time.Sleep(s.Timeouts.Idle)
		if _, err := a.c.Write([]byte("G")); err == nil {
			t.Error("an idle connection stays open")
		}
	})
}

// Idle connections do not keep others out, and do not push out the one that
// mirrors.
func TestManyIdleConnections(t *testing.T) {
	r := newRig(t, nil)
	a := r.dial("AA:AA:AA:AA:AA:AA")
	a.begin()
	for range 3 * maxConnections {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	b := r.dial("BB:BB:BB:BB:BB:BB")
	if got := b.ask("GET", "/info", "", nil); got.Status != 200 {
		t.Errorf("info: %d", got.Status)
	}
	if got := a.ask("POST", "/feedback", "", nil); got.Status != 200 {
		t.Errorf("feedback: %d", got.Status)
	}
}

func TestPassword(t *testing.T) {
	pw := pairing.NewPassword("secret", clock.Now)
	r := newRig(t, func(s *Server) { s.Password = pw.Digest })
	p := r.dial("AA:AA:AA:AA:AA:AA")
	x := p.fairplay()
	s := message.Setup{Session: &message.SessionSetup{EKey: x.EKey[:], EIV: make([]byte, 16), DeviceID: p.id}}
	got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode())
	challenge := got.Header.Get("WWW-Authenticate")
	if got.Status != 401 || !strings.HasPrefix(challenge, "Digest ") {
		t.Fatalf("without a password: %d, %q", got.Status, challenge)
	}
	for _, try := range []struct {
		password string
		want     int
	}{{"wrong", 401}, {"secret", 200}} {
		auth, err := pairing.Credentials{User: "AirPlay", Password: try.password}.Authorization(challenge, "SETUP", url)
		if err != nil {
			t.Fatal(err)
		}
		got = p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode(), "Authorization", auth)
		if got.Status != try.want {
			t.Errorf("password %q: %d", try.password, got.Status)
		}
		challenge = got.Header.Get("WWW-Authenticate")
	}
	// What follows on the connection needs none.
	if got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 110}}}).Encode()); got.Status != 200 {
		t.Errorf("SETUP 110: %d", got.Status)
	}
}
