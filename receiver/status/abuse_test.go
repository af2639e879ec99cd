package status

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/live"
)

// secret is in the answer of every server of these tests: who must not be
// answered must not get it.
const secret = "Annabel's iPhone"

func secretive() Snapshot {
	s := idleSnapshot()
	s.Sender = &Sender{Name: secret}
	return s
}

// foreignHosts are names that somebody else can make point here.
var foreignHosts = []string{
	"", "evil.example", "evil.example:7080", "127.0.0.1.evil.example", "localhost.evil.example", "aerie.local.evil.example",
	"tv.example.org.evil.example", "eviltv.example.org", "local", "evillocalhost", "0x7f000001.example",
	"[::1].evil.example", "127.0.0.1:80:80",
}

// DNS rebinding: a page of evil.example lets its own name point at the
// receiver, and would then read the status as its own.
func TestForeignHosts(t *testing.T) {
	s := New(Options{Snapshot: secretive, Hosts: []string{"tv.example.org", ""}})
	ask := func(host, path string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
		r.Host = host
		s.ServeHTTP(w, r)
		return w
	}
	for _, host := range foreignHosts {
		for _, path := range []string{"/", "/status", "/nothing"} {
			w := ask(host, path)
			if w.Code != http.StatusMisdirectedRequest || strings.Contains(w.Body.String(), secret) {
				t.Errorf("host %q is told %s: %d", host, path, w.Code)
			}
			guarded(t, host, w.Header())
		}
	}
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1:7080", "192.168.1.20", "[::1]:7080", "[fe80::1%25eth0]:80", "[fd00::5]", "localhost", "LOCALHOST:7080",
		"tv.localhost", "aerie.local", "Aerie.Local.:7080", "tv.example.org", "TV.example.org.:80",
	} {
		if w := ask(host, "/status"); w.Code != 200 || !strings.Contains(w.Body.String(), secret) {
			t.Errorf("host %q is refused: %d", host, w.Code)
		}
	}
}

// Pages of other sites may link to the page and do nothing else.
func TestCrossSiteRequests(t *testing.T) {
	b := startBench(t, "", live.Options{})
	b.set(func(s *Snapshot) { *s = secretive() })
	for _, c := range []struct {
		method, path, site, mode string
		status                   int
	}{
		{"GET", "/", "none", "navigate", 200},
		{"GET", "/status", "none", "navigate", 200},
		{"GET", "/status", "same-origin", "cors", 200},
		{"GET", "/", "cross-site", "navigate", 200},
		{"GET", "/", "same-site", "navigate", 200},
		{"GET", "/", "cross-site", "no-cors", 403},
		{"GET", "/status", "cross-site", "navigate", 403},
		{"GET", "/status", "cross-site", "no-cors", 403},
		{"GET", "/status", "same-site", "cors", 403},
		{"GET", "/artwork", "cross-site", "no-cors", 403},
		{"GET", "/live/video", "cross-site", "no-cors", 403},
		{"OPTIONS", "/presented", "cross-site", "cors", 403},
		{"POST", "/presented", "cross-site", "navigate", 403},
		{"POST", "/presented", "cross-site", "cors", 403},
	} {
		p, body := b.ask(c.method, c.path, `{"latencies":[1]}`, "Sec-Fetch-Site", c.site, "Sec-Fetch-Mode", c.mode, "Origin", "http://evil.example", pageHeader, "1")
		if p.StatusCode != c.status || c.status != 200 && bytes.Contains(body, []byte(secret)) {
			t.Errorf("%+v: %d", c, p.StatusCode)
		}
		guarded(t, c.path, p.Header)
	}
	if b.presented.Count() > 0 {
		t.Error("another site's page measures")
	}
}

// Nothing but the files of the page can be reached, and no answer sends a
// browser elsewhere.
func TestTraversal(t *testing.T) {
	b := startBench(t, "", live.Options{})
	for _, target := range []string{
		"/../server.go", "/..%2fserver.go", "/%2e%2e/server.go", "/page/index.html", "/page", "/page/", "/./page/app.js",
		"/../../../../etc/passwd", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/..\\..\\etc\\passwd", "//etc/passwd", "///evil.example/",
		"//evil.example/%2e%2e", "/app.js/", "/app.js/..", "/app.js%00.html", "/app.js.", "/.", "/..", "/live/../../etc/passwd", "/{$}", "*",
	} {
		p := b.raw("GET " + target + " HTTP/1.1\r\nHost: " + b.addr + "\r\nConnection: close\r\n\r\n")
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Errorf("%s: %v", target, err)
		}
		switch {
		case p.StatusCode >= 300 && p.StatusCode < 400:
			to, err := url.Parse(p.Header.Get("Location"))
			if err != nil || to.Host != "" || to.Scheme != "" || strings.HasPrefix(p.Header.Get("Location"), "//") {
				t.Errorf("%s leads to %q", target, p.Header.Get("Location"))
			}
		case p.StatusCode != 400 && p.StatusCode != 404:
			t.Errorf("%s: %d, %.40q", target, p.StatusCode, body)
		}
	}
}

// raw sends bytes on a connection of their own and returns the head of the
// answer.
func (b *bench) raw(request string) *http.Response {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		b.t.Fatal(err)
	}
	p, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.t.Fatalf("%.60q: %v", request, err)
	}
	return p
}

// Requests that are none, or too much of one, are refused in words of HTTP.
func TestMalformedRequests(t *testing.T) {
	b := startBench(t, "", live.Options{})
	host := "Host: " + b.addr + "\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no request":         {"\r\n\r\nhello\r\n\r\n", 400},
		"TLS":                {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"RTSP":               {"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400},
		"two hosts":          {"GET /status HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n", 400},
		"no host":            {"GET /status HTTP/1.0\r\n\r\n", 421},
		"another in target":  {"GET http://evil.example/status HTTP/1.1\r\n" + host + "\r\n", 421},
		"long head":          {"GET /status HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
		"long target":        {"GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431},
		"negative length":    {"POST /presented HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
		"length and chunks":  {"POST /presented HTTP/1.1\r\n" + host + pageHeader + ": 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"chunk of 2^63":      {"POST /presented HTTP/1.1\r\n" + host + pageHeader + ": 1\r\nTransfer-Encoding: chunked\r\n\r\n80000000000000000\r\n", 400},
		"encoding of chance": {"POST /presented HTTP/1.1\r\n" + host + "Transfer-Encoding: lzma\r\n\r\n", 501},
	} {
		if p := b.raw(c.request); p.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, p.StatusCode, c.status)
		}
	}
	if p, _ := b.ask("GET", "/status", ""); p.StatusCode != 200 {
		t.Errorf("the next one is told %d", p.StatusCode)
	}
}

// Hundreds of connections of one machine take its share and no more: they are
// closed as they come, others are answered all the while, and the share is
// free again when they end.
func TestHundredsOfConnections(t *testing.T) {
	b := startBench(t, "", live.Options{})
	var held []net.Conn
	defer func() { hangUp(held) }()
	for range 300 {
		held = append(held, b.dialFrom("127.0.0.2"))
	}
	if n := open(held); n != maxConnsAddress {
		t.Errorf("%d connections of one address are open, limit %d", n, maxConnsAddress)
	}
	if err := b.answersTo("127.0.0.3"); err != nil {
		t.Errorf("another machine: %v", err)
	}
	hangUp(held)
	b.eventually("the machine itself, afterwards", func() error { return b.answersTo("127.0.0.2") })

	// Many machines together stay below the limit of all.
	held = nil
	for i := range 200 {
		held = append(held, b.dialFrom(fmt.Sprintf("127.0.1.%d", 1+i/20)))
	}
	if n := open(held); n != maxConns {
		t.Errorf("%d connections are open, limit %d", n, maxConns)
	}
	hangUp(held)
	b.eventually("any machine, afterwards", func() error { return b.answersTo("127.0.0.3") })
}

func hangUp(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// open counts connections that the server has not closed.
func open(conns []net.Conn) (n int) {
	// Those above the limit were closed in the order in which they came, so
	// the last one is the one to wait for.
	_ = conns[len(conns)-1].SetReadDeadline(time.Now().Add(10 * time.Second))
	var b [1]byte
	_, _ = conns[len(conns)-1].Read(b[:])
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(b[:]); errors.Is(err, os.ErrDeadlineExceeded) {
			n++
		}
	}
	return n
}

// dialFrom connects from an address of the loopback.
func (b *bench) dialFrom(ip string) net.Conn {
	b.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c, err := d.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// answersTo asks for the status from an address of the loopback.
func (b *bench) answersTo(ip string) error {
	c := b.dialFrom(ip)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET /status HTTP/1.1\r\nHost: "+b.addr+"\r\n\r\n"); err != nil {
		return err
	}
	p, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && p.StatusCode != 200 {
		err = fmt.Errorf("status %d", p.StatusCode)
	}
	return err
}

// eventually waits until something goes well.
func (b *bench) eventually(what string, try func() error) {
	b.t.Helper()
	var err error
	for range 1000 {
		if err = try(); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Errorf("%s: %v", what, err)
}

// pipes is a listener whose connections are pipes, which obey the simulated
// clock of a synctest bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// onPipes runs a server on the simulated clock.
func onPipes(t *testing.T, try func(t *testing.T, ln *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		s := New(Options{Snapshot: idleSnapshot, Presented: func(time.Duration) {}})
		go func() { done <- s.Serve(ctx, ln) }()
		try(t, ln)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// drip writes the same bytes again and again, one write a second, and returns
// after how long the server has had enough.
func drip(c net.Conn, b string) time.Duration {
	began := time.Now()
	_ = c.SetDeadline(began.Add(time.Hour))
	for {
		if _, err := io.WriteString(c, b); err != nil {
			return time.Since(began)
		}
		time.Sleep(time.Second)
	}
}

// Who writes slowly is not waited for.
func TestSlowWriters(t *testing.T) {
	const head = "POST /presented HTTP/1.1\r\nHost: localhost\r\nAerie-Page: 1\r\nContent-Length: 4000\r\n\r\n"
	for name, c := range map[string]struct {
		first, drip string
		limit       time.Duration
	}{
		"nothing at all":           {"", "", 6 * time.Second},
		"a head byte by byte":      {"GET / HTTP/1.1\r\nA: ", "a", 6 * time.Second},
		"a head line by line":      {"GET / HTTP/1.1\r\n", "A: b\r\n", 6 * time.Second},
		"a body byte by byte":      {head, " ", 12 * time.Second},
		"a second request slowly":  {"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", "a", 62 * time.Second},
		"silence between requests": {"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "", 62 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onPipes(t, func(t *testing.T, ln *pipes) {
				conn := ln.dial()
				defer conn.Close()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				if _, err := io.WriteString(conn, c.first); err != nil {
					t.Fatal(err)
				}
				if d := drip(conn, c.drip); d > c.limit {
					t.Errorf("held for %v, limit %v", d, c.limit)
				}
			})
		})
	}
}

// Who asks and does not read is not waited for either.
func TestSlowReaders(t *testing.T) {
	onPipes(t, func(t *testing.T, ln *pipes) {
		conn := ln.dial()
		defer conn.Close()
		began := time.Now()
		_ = conn.SetDeadline(began.Add(time.Hour))
		for time.Since(began) < time.Hour { // until the server hangs up
			if _, err := io.WriteString(conn, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				break
			}
		}
		if d := time.Since(began); d > 25*time.Second {
			t.Errorf("held for %v", d)
		}
		// Meanwhile nobody else was held.
		next := ln.dial()
		defer next.Close()
		go func() { _, _ = io.WriteString(next, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		if p, err := http.ReadResponse(bufio.NewReader(next), nil); err != nil || p.StatusCode != 200 {
			t.Errorf("the next one: %v", err)
		}
	})
}

// FuzzRequest has the server answer whatever is a request to Go: nothing
// panics, nothing is a fault of ours, every answer has its headers, and only
// who calls the receiver by its own name is told the secret.
func FuzzRequest(f *testing.F) {
	for _, host := range append(foreignHosts, "localhost", "[::1]:80") {
		f.Add("GET /status HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	}
	f.Add("GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
	f.Add("POST /presented HTTP/1.1\r\nHost: localhost\r\nAerie-Page: 1\r\nContent-Length: 17\r\n\r\n{\"latencies\":[1]}")
	f.Add("GET //etc/../app.js HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-2,3-\r\nIf-None-Match: *\r\n\r\n")
	f.Add("GET /live/video HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n")
	s := New(Options{Snapshot: secretive, Presented: func(time.Duration) {}, Artwork: func() (string, []byte) { return "image/png", nil }})
	f.Fuzz(func(t *testing.T, request string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%q: %d", request, w.Code)
		}
		guarded(t, request, w.Header())
		if strings.Contains(w.Body.String(), secret) && !ownHost(r.Host, nil) {
			t.Errorf("%q: told to host %q", request, r.Host)
		}
	})
}
