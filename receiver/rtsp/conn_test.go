package rtsp

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func pair(t *testing.T) (client net.Conn, server *Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = NewConn(c, DefaultLimits, Timeouts{Idle: 40 * time.Millisecond, Message: 40 * time.Millisecond, Write: 40 * time.Millisecond})
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestStallingSenders(t *testing.T) {
	for name, sent := range map[string]string{
		"silent":        "",
		"three bytes":   "GET",
		"half a header": "GET /info RTSP/1.0\r\nCSeq: 1\r\n",
		"half a body":   "GET /info RTSP/1.0\r\nContent-Length: 10\r\n\r\n123",
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			if _, err := client.Write([]byte(sent)); err != nil {
				t.Fatal(err)
			}
			var q Request
			if err := server.ReadRequest(&q); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a deadline", err)
			}
		})
	}
}

// A sender that keeps a message alive with single bytes meets the limit of
// the whole message.
func TestDripFeed(t *testing.T) {
	client, server := pair(t)
	go func() {
		for range 1000 {
			if _, err := client.Write([]byte("G")); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var q Request
	if err := server.ReadRequest(&q); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

func TestPeerThatDoesNotRead(t *testing.T) {
	_, server := pair(t)
	p := Response{Proto: RTSP, Status: 200, Body: make([]byte, 16<<20)}
	if err := server.WriteResponse(&p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

func TestExchange(t *testing.T) {
	client, server := pair(t)
	c := NewConn(client, DefaultLimits, DefaultTimeouts)
	if err := c.WriteRequest(&Request{Method: "GET", Target: "/info", Proto: RTSP, Header: Header{{"CSeq", "7"}}, Body: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	var q Request
	if err := server.ReadRequest(&q); err != nil {
		t.Fatal(err)
	}
	if err := server.WriteResponse(&Response{Proto: q.Proto, Status: 200, Header: Header{{"CSeq", q.CSeq()}}}); err != nil {
		t.Fatal(err)
	}
	var p Response
	if err := c.ReadResponse(&p); err != nil || p.Status != 200 || p.Header.Get("CSeq") != "7" {
		t.Errorf("response %+v, %v", p, err)
	}
}
