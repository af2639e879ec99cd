package release

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a network in memory, so that servers can be as slow as they like in
// simulated time.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

// served gives a source whose server is the handler.
func served(t *testing.T, h http.Handler) *Web {
	t.Helper()
	w := newWire()
	server := &http.Server{Handler: h, ErrorLog: quiet}
	go server.Serve(w)
	t.Cleanup(func() { server.Close() })
	web, err := NewWeb("http://updates.test/stable", WebOptions{Insecure: true, dial: w.dial})
	if err != nil {
		t.Fatal(err)
	}
	return web
}

// quiet is the log of servers whose clients are meant to fail.
var quiet = log.New(io.Discard, "", 0)

// rawServer is a server that says the same to everybody, byte for byte, and then
// closes or keeps still.
type rawServer struct {
	answer string
	again  string // and this, without end
	stays  bool
	wrote  *atomic.Int64
}

func (r rawServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, r.answer)
	for r.again != "" && err == nil {
		_, err = io.WriteString(conn, r.again)
		if r.wrote != nil && r.wrote.Add(int64(len(r.again))) > most {
			return
		}
	}
	if r.stays {
		_, _ = conn.Read(make([]byte, 1)) // until the other side goes
	}
}

// most is what a server can make a device take that asks it for a program of
// 100,000 bytes: for the signature, and for the program in several attempts.
const most = 1 << 20

// directory is a good server: a folder with one release.
func directory(text, program []byte) http.Handler {
	mux := http.NewServeMux()
	serve := func(name string, b []byte) {
		mux.HandleFunc("GET /stable/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf("\"%d\"", len(b)))
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		})
	}
	serve(IndexName(Product, "arm64"), text)
	serve(claims().File, program)
	return mux
}

func TestWeb(t *testing.T) {
	p := program(300_000)
	key, keys := owner(t)
	text := signed(t, key, p, claims())
	synctest.Test(t, func(t *testing.T) {
		var ranges []string
		good := directory(text, p)
		s := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ranges = append(ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
			if len(ranges) == 2 {
				w = &cutting{ResponseWriter: w, left: 100_000}
			}
			good.ServeHTTP(w, r)
		}))
		r, err := Latest(t.Context(), s, keys, Product, "arm64")
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{t: t, most: r.Size}
		if err := Download(t.Context(), s, r, m, 0, Limits{}); err != nil || !bytes.Equal(m.b, p) {
			t.Fatalf("%d bytes, %v", len(m.b), err)
		}
		// The index, the start, and the rest of the same file.
		if len(ranges) != 3 || !strings.HasPrefix(ranges[2], "bytes=") || ranges[2] == "bytes=0-" || !strings.HasSuffix(ranges[2], " \"300000\"") {
			t.Errorf("asked for %q", ranges)
		}
		if _, err := Latest(t.Context(), s, keys, Product, "armhf"); !errors.Is(err, ErrNone) {
			t.Errorf("for another machine: %v", err)
		}
		if _, err := Named(t.Context(), s, keys, "aerie-arm64-0.9"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("another release: %v", err)
		}
	})
}

// cutting breaks the connection after some bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(b []byte) (int, error) {
	if len(b) > c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

// The index of one machine does not lead to the release of another, whoever
// signed it.
func TestIndexOfAnother(t *testing.T) {
	key, keys := owner(t)
	other := claims()
	other.Product = "kite"
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			file, arch string
			info       Info
			want       error
		}{
			{IndexName(Product, "armhf"), "armhf", claims(), ErrArchitecture},
			{IndexName(Product, "arm64"), "arm64", other, ErrProduct},
		} {
			text := signed(t, key, []byte("x"), c.info)
			s := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(text) }))
			if _, err := Latest(t.Context(), s, keys, Product, c.arch); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", c.file, err)
			}
		}
	})
}

// Servers that mean no good, or are broken, asked for the signature and for
// the program. None of them keeps the device longer than the limits, and none
// makes it write a byte that counts.
func TestHostileServers(t *testing.T) {
	p := program(100_000)
	const ok = "HTTP/1.1 200 OK\r\n"
	bomb := &bytes.Buffer{}
	z := gzip.NewWriter(bomb)
	for range 100 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	loop := func(to string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	}
	for name, c := range map[string]struct {
		server http.Handler
		want   error         // of the signature
		wantP  error         // of the program
		atMost time.Duration // for both
	}{
		"silent":              {rawServer{stays: true}, errAny, errAny, 5 * time.Minute},
		"silent in a header":  {rawServer{answer: "HTTP/1.1 200 O", stays: true}, errAny, errAny, 5 * time.Minute},
		"silent after it":     {rawServer{answer: ok + "Content-Length: 100000\r\n\r\n", stays: true}, context.DeadlineExceeded, ErrStalled, 5 * time.Minute},
		"no HTTP":             {rawServer{answer: "220 ready\r\n"}, errAny, errAny, 2 * time.Minute},
		"endless header":      {rawServer{answer: ok, again: "X-A: " + strings.Repeat("a", 1000) + "\r\n"}, errAny, errAny, 2 * time.Minute},
		"endless line":        {rawServer{answer: ok, again: strings.Repeat("a", 1000)}, errAny, errAny, 2 * time.Minute},
		"endless interim":     {rawServer{again: "HTTP/1.1 103 Early Hints\r\n\r\n"}, errAny, errAny, 2 * time.Minute},
		"endless":             {rawServer{answer: ok + "\r\n", again: strings.Repeat("a", 10_000)}, ErrFormat, ErrContent, time.Minute},
		"endless, in chunks":  {rawServer{answer: ok + "Transfer-Encoding: chunked\r\n\r\n", again: "1\r\na\r\n"}, ErrFormat, ErrContent, time.Minute},
		"endless chunk":       {rawServer{answer: ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", again: "a"}, errAny, ErrContent, 3 * time.Minute},
		"huge":                {rawServer{answer: ok + "Content-Length: 9000000000000\r\n\r\n", again: strings.Repeat("a", 10_000)}, ErrFormat, ErrContent, time.Minute},
		"two lengths":         {rawServer{answer: ok + "Content-Length: 5\r\nContent-Length: 100000\r\n\r\naaaaa"}, errAny, errAny, 2 * time.Minute},
		"truncated":           {rawServer{answer: ok + "Content-Length: 100000\r\n\r\nuntrusted"}, io.ErrUnexpectedEOF, errAny, 5 * time.Minute},
		"a bomb of gzip":      {rawServer{answer: fmt.Sprintf("%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", ok, bomb.Len(), bomb)}, errAny, errAny, time.Minute},
		"a bomb in transfer":  {rawServer{answer: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n"}, errAny, errAny, 2 * time.Minute},
		"redirects in circle": {loop("/stable/next"), errAny, errAny, time.Minute},
		"redirects to a file": {loop("file:///etc/passwd"), ErrInsecure, ErrInsecure, time.Minute},
		"a part nobody asked": {rawServer{answer: "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/100000\r\nContent-Length: 5\r\n\r\naaaaa"}, errAny, errAny, time.Minute},
		"a web page":          {rawServer{answer: ok + "Content-Type: text/html\r\nContent-Length: 21\r\n\r\n<html>log in</html>\n\n"}, ErrFormat, ErrContent, time.Minute},
		"nothing there":       {http.NotFoundHandler(), ErrNone, fs.ErrNotExist, time.Minute},
		"forbidden":           {rawServer{answer: "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"}, errAny, errAny, time.Minute},
		"overloaded":          {rawServer{answer: "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, errAny, errAny, 2 * time.Minute},
		"switches protocol":   {rawServer{answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", again: "a"}, errAny, errAny, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened(t, p)
			_, keys := owner(t)
			synctest.Test(t, func(t *testing.T) {
				wrote := &atomic.Int64{}
				if raw, ok := c.server.(rawServer); ok {
					raw.wrote = wrote
					c.server = raw
				}
				s := served(t, c.server)
				start := time.Now()
				_, err := Latest(t.Context(), s, keys, Product, "arm64")
				if c.want == errAny && err == nil || c.want != errAny && !errors.Is(err, c.want) {
					t.Errorf("the signature: %v, want %v", err, c.want)
				}
				m := &memory{t: t, most: r.Size}
				err = Download(t.Context(), s, r, m, 0, Limits{})
				if c.wantP == errAny && err == nil || c.wantP != errAny && !errors.Is(err, c.wantP) {
					t.Errorf("the program: %v, want %v", err, c.wantP)
				}
				if took := time.Since(start); took > c.atMost {
					t.Errorf("it took %v", took)
				}
				if n := wrote.Load(); n > most {
					t.Errorf("it took more than %d bytes", n)
				}
			})
		})
	}
}

// What a server answers when it is asked for the rest.
func TestRanges(t *testing.T) {
	p := program(100_000)
	part := func(first, last int, total string, body []byte) http.Handler {
		return rawServer{answer: fmt.Sprintf("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%s\r\nContent-Length: %d\r\n\r\n%s", first, last, total, len(body), body)}
	}
	full := rawServer{answer: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(p), p)}
	for name, c := range map[string]struct {
		server http.Handler
		good   bool
	}{
		"the rest":             {part(40_000, 99_999, "100000", p[40_000:]), true},
		"of a size it hides":   {part(40_000, 99_999, "*", p[40_000:]), true},
		"all of it":            {full, true},
		"from elsewhere":       {part(50_000, 99_999, "100000", p[50_000:]), false},
		"of another size":      {part(40_000, 99_999, "100001", p[40_000:]), false},
		"past the end":         {part(40_000, 100_000, "100000", p[40_000:]), false},
		"backwards":            {part(40_000, 30_000, "100000", p[40_000:]), false},
		"of negative bytes":    {part(-1, 99_999, "100000", p), false},
		"of more than it said": {part(40_000, 99_999, "100000", append(slices.Clone(p[40_000:]), p...)), true},
		"without saying which": {rawServer{answer: "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\naaaaa"}, false},
		"in several parts":     {rawServer{answer: "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=b\r\nContent-Length: 5\r\n\r\naaaaa"}, false},
		"none, and then all of it": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			full.ServeHTTP(w, r)
		}), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened(t, p)
			synctest.Test(t, func(t *testing.T) {
				m := &memory{t: t, most: r.Size, b: slices.Clone(p[:40_000])}
				err := Download(t.Context(), served(t, c.server), r, m, 40_000, Limits{})
				if c.good != (err == nil) || err == nil && !bytes.Equal(m.b, p) {
					t.Errorf("%d bytes, %v", len(m.b), err)
				}
			})
		})
	}
}

// Only a tag that promises the same bytes is used to go on, and only bytes as
// they are count.
func TestContent(t *testing.T) {
	for tag, want := range map[string]string{"": "", `"1"`: `"1"`, `W/"1"`: ""} {
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {tag}}}
		if c, err := content(resp, 0); err != nil || c.Tag != want {
			t.Errorf("%q: %+v, %v", tag, c, err)
		}
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Encoding": {"gzip"}}}
	if c, err := content(resp, 0); err == nil {
		t.Errorf("an encoded answer is taken: %+v", c)
	}
}

func TestParseSource(t *testing.T) {
	dir := t.TempDir()
	for where, want := range map[string]error{
		"https://updates.example/aerie":        nil,
		"https://user:secret@updates.example/": nil,
		dir:                                    nil,
		"http://updates.example/aerie":         ErrInsecure,
		"ftp://updates.example/aerie":          ErrInsecure,
		"file:///etc":                          ErrInsecure,
		"HTTPS://":                             errAny,
		"https://updates.example/aerie?a=b":    errAny,
		"https://updates.example/aerie#a":      errAny,
		"https://upd ates/":                    errAny,
		dir + "/none":                          fs.ErrNotExist,
	} {
		s, err := ParseSource(where, WebOptions{})
		if want == errAny && err == nil || want != errAny && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", where, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", where, err)
		}
		if (s == nil) != (err != nil) {
			t.Errorf("%s: %v and %v", where, s, err)
		}
	}
	if _, err := ParseSource("http://192.168.1.2/aerie", WebOptions{Insecure: true}); err != nil {
		t.Error(err)
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-4/5")
	f.Add("bytes 0-4/*")
	f.Fuzz(func(t *testing.T, s string) {
		if first, size, err := contentRange(s); err == nil && (first < 0 || size >= 0 && first >= size) {
			t.Errorf("%q: from %d of %d", s, first, size)
		}
	})
}
