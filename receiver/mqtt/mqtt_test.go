package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// broker is the other end of a Publisher's connections, in memory.
type broker struct {
	conns chan net.Conn
	dials atomic.Int64
	away  atomic.Bool
}

func (b *broker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	b.dials.Add(1)
	if b.away.Load() {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	b.conns <- there
	return here, nil
}

// anyPacket reads a packet of any size.
func anyPacket(r io.Reader) (kind byte, body []byte, err error) {
	var b [1]byte
	if _, err = io.ReadFull(r, b[:]); err != nil {
		return
	}
	kind = b[0]
	size := 0
	for shift := 0; ; shift += 7 {
		if _, err = io.ReadFull(r, b[:]); err != nil {
			return
		}
		size |= int(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			break
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return
}

// notes are what a broker heard.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

// take returns the notes since it was last called.
func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := n.lines
	n.lines = nil
	return lines
}

// serve accepts a connection and writes down what is published on it until it
// ends.
func serve(c net.Conn, note func(string)) {
	if kind, body, err := anyPacket(c); err != nil || kind != 0x10 || !bytes.HasPrefix(body, []byte("\x00\x04MQTT\x04")) {
		note(fmt.Sprintf("no connection: %x %x %v", kind, body, err))
		return
	}
	_, _ = c.Write([]byte{typeConnAck, 2, 0, 0})
	for {
		kind, body, err := anyPacket(c)
		switch {
		case err != nil:
			note("gone")
			return
		case kind == typePublish|1:
			n := int(body[0])<<8 | int(body[1])
			note(string(body[2:2+n]) + "=" + string(body[2+n:]))
		case kind == 0xc0:
			_, _ = c.Write([]byte{0xd0, 0})
			note("ping")
		case kind == 0xe0:
			note("farewell")
		default:
			note(fmt.Sprintf("packet %x", kind))
		}
	}
}

// simulated runs a Publisher and a broker in simulated time. Said returns what
// the broker heard since it was last called.
func simulated(t *testing.T, f func(p *Publisher, b *broker, said func() string, end func())) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{conns: make(chan net.Conn, 8)}
		p := New(Options{Address: "broker:1883", ClientID: "aerie", Base: "aerie", Dial: b.dial, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		var heard notes
		end := func() { cancel(); <-done }
		said := func() string {
			synctest.Wait()
			return strings.Join(heard.take(), " ")
		}
		go func() {
			for {
				select {
				case c := <-b.conns:
					serve(c, heard.add)
				case <-ctx.Done():
					return
				}
			}
		}()
		f(p, b, said, end)
		end()
		synctest.Wait()
	})
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestPublish(t *testing.T) {
	simulated(t, func(p *Publisher, b *broker, said func() string, end func()) {
		expect(t, "at first", said(), "aerie/status=online")
		p.Set("title", []byte("Song"))
		expect(t, "a value", said(), "aerie/title=Song")
		p.Set("title", []byte("Song"))
		expect(t, "the same value", said(), "")
		p.Set("artwork", bytes.Repeat([]byte{'x'}, 300_000))
		if got := said(); len(got) != len("aerie/artwork=")+300_000 {
			t.Errorf("a large value: %d bytes", len(got))
		}
		p.Set("artwork", nil)
		expect(t, "taken away", said(), "aerie/artwork=")
		time.Sleep(95 * time.Second)
		expect(t, "signs of life", said(), "ping ping ping")
		end()
		expect(t, "the end", said(), "aerie/status=offline farewell gone")
	})
}

// While the broker is away the newest values wait.
func TestBrokerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{conns: make(chan net.Conn, 8)}
		b.away.Store(true)
		p := New(Options{Base: "aerie", Dial: b.dial, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		for i := range 100 {
			p.Set("title", fmt.Append(nil, i))
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		// 1 s, 2 s, 4 s ... a minute.
		if n := b.dials.Load(); n < 8 || n > 12 {
			t.Errorf("%d attempts in five minutes", n)
		}
		b.away.Store(false)
		var heard notes
		serving := make(chan struct{})
		go func() { serve(<-b.conns, heard.add); close(serving) }()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := strings.Join(heard.take()[:2], " "); got != "aerie/status=online aerie/title=99" || p.Replaced.Value() != 99 {
			t.Errorf("%q, %d replaced", got, p.Replaced.Value())
		}
		cancel()
		<-serving
	})
}

// What was published is published again to a broker that lost it.
func TestReconnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{conns: make(chan net.Conn, 8)}
		p := New(Options{Base: "aerie", Dial: b.dial, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.Set("title", []byte("Song"))
		go p.Run(ctx)
		for range 3 {
			c := <-b.conns
			var heard notes
			go serve(c, heard.add)
			synctest.Wait()
			expect(t, "connected", strings.Join(heard.take(), " "), "aerie/status=online aerie/title=Song")
			c.Close()
		}
		go func() { serve(<-b.conns, func(string) {}) }()
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
	})
}
