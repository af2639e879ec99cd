package live

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// serve starts an HTTP server around a view.
func serve(t testing.TB, v *View) (addr string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/live/video", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		v.ServeVideo(w, r)
	})
	mux.HandleFunc("/live/audio", v.ServeAudio)
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		v.Close() // or the server waits for its streams
		s.Close()
	})
	return s.Listener.Addr().String()
}

// get opens a stream.
func get(t testing.TB, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Body.Close() })
	return p
}

// eventually waits for something that happens soon.
func eventually(t testing.TB, what string, happens func() bool) {
	t.Helper()
	for range 3000 {
		if happens() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("in 30 s not: %s", what)
}

func TestServe(t *testing.T) {
	v, p := newView(t, Options{})
	addr := serve(t, v)
	v.Start()
	p.turn(1280, 720)
	p.show(true)
	p.showMany(2000)
	r := get(t, "http://"+addr+"/live/video")
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != MediaType || r.Header.Get("Cache-Control") != "no-store" ||
		r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	body := bufio.NewReader(r.Body)
	var n int
	for n = 0; n < 2001; {
		m, err := readMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == KindFragment {
			n++
		}
	}
	if got := v.HandOver.Count(); got != 0 {
		t.Errorf("%d hand-overs counted while it was behind", got)
	}
	eventually(t, "one viewer", func() bool { return v.Viewers() == 1 })
	r.Body.Close()
	eventually(t, "no viewer", func() bool { return v.Viewers() == 0 })
}

func TestRefusals(t *testing.T) {
	v, _ := newView(t, Options{MaxViewers: 3})
	addr := serve(t, v)
	for range 3 {
		get(t, "http://"+addr+"/live/video")
	}
	r := get(t, "http://"+addr+"/live/video")
	var answer struct{ Error string }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || r.StatusCode != 503 || answer.Error != "too-many-viewers" {
		t.Errorf("the fourth of three: %s, %+v, %v", r.Status, answer, err)
	}
	if r := get(t, "http://"+addr+"/live/audio"); r.StatusCode != 200 {
		t.Errorf("the sound beside: %s", r.Status)
	}
	if n := v.Refused.Value(); n != 1 {
		t.Errorf("%d refused", n)
	}
	for _, method := range []string{"POST", "HEAD", "OPTIONS"} {
		q := httptest.NewRequest(method, "/", nil)
		w := httptest.NewRecorder()
		v.ServeVideo(w, q)
		if w.Code != 405 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	w := httptest.NewRecorder() // which cannot be hijacked, like HTTP/2
	v.ServeAudio(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 501 {
		t.Errorf("without a connection: %d", w.Code)
	}
}

// TestClose checks that streams end with the view and leave nothing behind.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	v, p := newView(t, Options{})
	addr := serve(t, v)
	v.Start()
	p.turn(1280, 720)
	p.show(true)
	streams := []*http.Response{get(t, "http://"+addr+"/live/video"), get(t, "http://"+addr+"/live/audio")}
	v.Close()
	for _, s := range streams {
		if _, err := io.Copy(io.Discard, s.Body); err != nil {
			t.Error(err)
		}
	}
	r := get(t, "http://"+addr+"/live/video")
	if r.StatusCode != 503 {
		t.Errorf("a stream of a closed view: %s", r.Status)
	}
	r.Body.Close() // or its connection stays
	eventually(t, "viewers' goroutines end", func() bool {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		return runtime.NumGoroutine() <= before+1 // the server's own
	})
}

// TestSlowReader checks over a real socket that a reader who takes next to
// nothing does not hold up the session, and loses its place at the end.
func TestSlowReader(t *testing.T) {
	v, p := newView(t, Options{MaxHistory: 4 << 20})
	addr := serve(t, v)
	v.Start()
	p.turn(1280, 720)
	p.sizes = 50_000
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /live/video HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "one viewer", func() bool { return v.Viewers() == 1 })
	p.show(true)
	for range 2000 { // 100 MB, more than sockets hold
		p.show(false)
	}
	r := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := readMessage(r)
		if err != nil {
			t.Fatal(err)
		}
		if m.kind == KindState && m.state.State == StateTooLate {
			break
		}
	}
	if v.Restarted.Value() != 1 {
		t.Errorf("restarted %d times", v.Restarted.Value())
	}
}

// TestOldHTTP checks that an answer to HTTP/1.0 and to a pipelined request is
// a stream, or nothing.
func TestOldHTTP(t *testing.T) {
	v, _ := newView(t, Options{})
	addr := serve(t, v)
	for request, want := range map[string]string{
		"GET /live/video HTTP/1.0\r\n\r\n": "HTTP/1.1 200 OK\r\n",
		"GET /live/video HTTP/1.1\r\nHost: x\r\n\r\n" + "GET /live/video HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 200 OK\r\n",
		"GET /live/video HTTP/1.1\r\n\r\n": "HTTP/1.1 400 ",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, request)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%q: %q, %v", request, got, err)
		}
		conn.Close()
	}
	eventually(t, "no viewer", func() bool { return v.Viewers() == 0 })
}
