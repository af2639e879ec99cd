package broker

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/simulate"
)

// connect is what a device says first, as bytes.
func connect(f *testing.F) []byte {
	here, there := net.Pipe()
	go simulate.Connect(here, simulate.Login{Name: "tv", WillTopic: "aerie/tv/presence", Will: []byte("offline"), KeepAlive: time.Minute})
	b := make([]byte, 4096)
	n, err := there.Read(b)
	if err != nil {
		f.Fatal(err)
	}
	there.Close()
	return b[:n]
}

// Whatever a client sends, the broker goes on, and others are served.
func FuzzConnect(f *testing.F) {
	a, err := authority.Open(f.TempDir(), nil, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	x := &text{}
	b, err := New(Options{Authority: a, Log: slog.New(slog.NewTextHandler(x, nil)), Limits: Limits{Rate: 1e6, Burst: 1e6}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { b.Close() })
	hello := connect(f)
	f.Add(hello)
	f.Add(append(hello[:len(hello):len(hello)], 0x32, 0x12, 0, 0xc, 'a', 'e', 'r', 'i', 'e', '/', 't', 'v', '/', 'x', '/', 'y', 0, 1, 'h', 'i'))
	f.Add(append(hello[:len(hello):len(hello)], 0x82, 0xf, 0, 1, 0, 10, 'a', 'e', 'r', 'i', 'e', '/', 't', 'v', '/', '#', 1))
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x10, 0x0c, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0})
	f.Fuzz(func(t *testing.T, said []byte) {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.serve(&conn{Conn: there, trusted: true})
		}()
		go io.Copy(io.Discard, here)
		here.SetWriteDeadline(time.Now().Add(time.Second))
		here.Write(said) // it may be cut off
		here.Close()
		<-done
		if s := x.String(); len(s) > 0 && strings.Contains(s, "fault") {
			t.Fatal(s)
		}
	})
}
