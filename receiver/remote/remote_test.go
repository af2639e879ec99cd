package remote

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"aerie/receiver/rtsp"
)

// listener plays the sender: it answers every request with what answer says,
// and tells what it was asked.
func listener(t *testing.T, answer func(c net.Conn)) (port uint16, asked <-chan rtsp.Request) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	requests := make(chan rtsp.Request, 16)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			var q rtsp.Request
			if rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts).ReadRequest(&q) == nil {
				requests <- q
				answer(nc)
			}
			nc.Close()
		}
	}()
	return uint16(ln.Addr().(*net.TCPAddr).Port), requests
}

// text answers with a text.
func text(s string) func(net.Conn) {
	return func(c net.Conn) { _, _ = c.Write([]byte(s)) }
}

// found makes a Sender that was looked up.
func found(port uint16) *Sender {
	s := &Sender{Addr: netip.MustParseAddr("127.0.0.1"), ID: "AE21E00000000001", Active: "2126970",
		Find: func(context.Context, string) (uint16, error) { return port, nil }}
	s.Run(context.Background())
	return s
}

func TestCommands(t *testing.T) {
	port, asked := listener(t, text("HTTP/1.1 204 No Content\r\n\r\n"))
	s := found(port)
	for _, c := range []Command{Play, Pause, PlayPause, Stop, Next, Previous, VolumeUp, VolumeDown, Mute} {
		if err := s.Do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
		q := <-asked
		if q.Method != "GET" || q.Target != "/ctrl-int/1/"+string(c) || q.Proto != rtsp.HTTP || q.Header.Get("Active-Remote") != "2126970" ||
			!strings.HasPrefix(q.Header.Get("Host"), "127.0.0.1:") {
			t.Errorf("%s: asked %+v", c, q)
		}
	}
}

func TestNoCommands(t *testing.T) {
	port, asked := listener(t, text("HTTP/1.1 204 No Content\r\n\r\n"))
	s := found(port)
	for _, c := range []Command{"", "shutdown", "play\r\nHost: x", "../1/play"} {
		if err := s.Do(t.Context(), c); !errors.Is(err, ErrCommand) {
			t.Errorf("%q: %v", c, err)
		}
	}
	select {
	case q := <-asked:
		t.Errorf("the sender was asked %+v", q)
	default:
	}
}

// Senders that cannot be controlled, and those that cannot be found.
func TestUnavailable(t *testing.T) {
	for name, s := range map[string]*Sender{
		"no ID":      {Active: "5"},
		"no remote":  {ID: "A"},
		"odd remote": {ID: "A", Active: "5\r\nX: y"},
		"not found":  {ID: "A", Active: "5"},
	} {
		s.Find = func(context.Context, string) (uint16, error) { return 0, context.DeadlineExceeded }
		s.Run(t.Context())
		if err := s.Do(t.Context(), Pause); !errors.Is(err, ErrUnavailable) || s.Ready() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendersThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"refuses":       {text("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), "403"},
		"says nonsense": {text("220 smtp.example.com\r\n"), "malformed"},
		"hangs up":      {func(net.Conn) {}, "EOF"},
		"says too much": {text("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "413"},
	} {
		port, _ := listener(t, c.answer)
		if err := found(port).Do(t.Context(), Next); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that never answers is given up.
	port, _ := listener(t, func(net.Conn) { <-t.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := found(port).Do(ctx, Next); err == nil {
		t.Error("a sender that is silent has answered")
	}
}

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		instance, id string
		want         bool
	}{
		{"iTunes_Ctrl_AE21E00000000001", "AE21E00000000001", true},
		{"iTunes_Ctrl_ae21e00000000001", "AE21E00000000001", true},
		{"iTunes_Ctrl_21E00000000001", "0021E00000000001", true},
		{"iTunes_Ctrl_AE21E00000000002", "AE21E00000000001", false},
		{"iTunes_Ctrl_", "0000", false},
		{"AE21E00000000001", "AE21E00000000001", false},
	} {
		if got := Named(c.instance, c.id); got != c.want {
			t.Errorf("%s for %s: %v", c.instance, c.id, got)
		}
	}
}
