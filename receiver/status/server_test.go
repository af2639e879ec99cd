package status

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/live"
	"aerie/receiver/metric"
)

// ask sends a request to the bench's server; fields are names and values of
// header fields.
func (b *bench) ask(method, path, body string, fields ...string) (*http.Response, []byte) {
	b.t.Helper()
	r, err := http.NewRequest(method, "http://"+b.addr+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	p, err := tr.RoundTrip(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer p.Body.Close()
	got, err := io.ReadAll(p.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return p, got
}

// guarded complains about a header that is on every answer but this one. What
// may be kept is said by each answer itself.
func guarded(t testing.TB, what string, h http.Header) {
	t.Helper()
	for name, want := range headers {
		if got := h.Get(name); got != want && name != "Cache-Control" {
			t.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s lets other sites in", what, name)
		}
	}
}

// Every address answers with its own status, type and rule for caches, and
// with the headers that all have.
func TestAnswers(t *testing.T) {
	b := startBench(t, "", live.Options{})
	b.artwork = picture(t)
	for _, c := range []struct {
		method, path string
		status       int
		mediaType    string
		cache        string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/app.js", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/stamp.js", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8", "no-cache"},
		{"GET", "/icon.svg", 200, "image/svg+xml", "no-cache"},
		{"GET", "/status", 200, "application/json", "no-store"},
		{"GET", "/metrics", 200, metric.PrometheusType, "no-store"},
		{"GET", "/artwork", 200, "image/png", "no-store"},
		{"GET", "/clock", 200, "application/json", "no-store"},
		{"HEAD", "/status", 200, "application/json", "no-store"},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8", "no-store"},
		{"GET", "/index.html", 404, "text/plain; charset=utf-8", "no-store"},
		{"POST", "/status", 405, "text/plain; charset=utf-8", "no-store"},
		{"DELETE", "/", 405, "text/plain; charset=utf-8", "no-store"},
		{"OPTIONS", "/status", 405, "text/plain; charset=utf-8", "no-store"},
		{"GET", "/presented", 405, "text/plain; charset=utf-8", "no-store"},
	} {
		what := c.method + " " + c.path
		p, body := b.ask(c.method, c.path, "")
		if p.StatusCode != c.status || p.Header.Get("Content-Type") != c.mediaType || p.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d, %q, caches %q", what, p.StatusCode, p.Header.Get("Content-Type"), p.Header.Get("Cache-Control"))
		}
		if c.method == "HEAD" && (len(body) > 0 || p.ContentLength <= 0) {
			t.Errorf("%s: a body of %d bytes, length %d", what, len(body), p.ContentLength)
		}
		guarded(t, what, p.Header)
	}
}

// The page may load and call nothing but this server, and no other page may
// hold it in a frame.
func TestContentSecurityPolicy(t *testing.T) {
	policy := map[string]string{}
	for directive := range strings.SplitSeq(headers["Content-Security-Policy"], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		policy[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
		"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
	} {
		if policy[name] != want {
			t.Errorf("%s %q, want %q", name, policy[name], want)
		}
	}
	for path, a := range assets {
		if a.mediaType == "" {
			t.Errorf("%s has no media type", path)
		}
		if !strings.HasPrefix(a.mediaType, "text/html") {
			continue
		}
		// What the policy forbids, the page must not be made of.
		for _, inline := range []string{"<script>", "<style", " style=", " onclick=", " onload=", "javascript:", "src=\"http", "href=\"http"} {
			if bytes.Contains(a.content, []byte(inline)) {
				t.Errorf("%s contains %s", path, inline)
			}
		}
	}
}

// A browser that has a file already is told so in one line.
func TestETag(t *testing.T) {
	b := startBench(t, "", live.Options{})
	tags := map[string]string{}
	for path := range assets {
		path = strings.TrimSuffix(path, "{$}")
		p, body := b.ask("GET", path, "")
		tag := p.Header.Get("ETag")
		if p.StatusCode != 200 || len(body) == 0 || len(tag) != 18 {
			t.Errorf("%s: %d, %d bytes, tag %s", path, p.StatusCode, len(body), tag)
		}
		if other, taken := tags[tag]; taken {
			t.Errorf("%s and %s share the tag %s", path, other, tag)
		}
		tags[tag] = path
		p, body = b.ask("GET", path, "", "If-None-Match", tag)
		if p.StatusCode != http.StatusNotModified || len(body) != 0 || p.Header.Get("ETag") != tag {
			t.Errorf("%s again: %d, %d bytes", path, p.StatusCode, len(body))
		}
		guarded(t, path+" again", p.Header)
		if p, _ = b.ask("GET", path, "", "If-None-Match", `"0000000000000000"`); p.StatusCode != 200 {
			t.Errorf("%s with the tag of another version: %d", path, p.StatusCode)
		}
	}
}

func TestStatusTellsTheSnapshot(t *testing.T) {
	b := startBench(t, "", live.Options{})
	var latency metric.Histogram
	latency.Observe(3 * time.Millisecond)
	b.set(mirroring(1920, 1080, 60, &latency))
	b.set(func(s *Snapshot) { s.PIN, s.Warnings = "0042", []string{"no free display"} })
	_, body := b.ask("GET", "/status", "")
	var got Snapshot
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if got.Receiver.Name != "Living Room" || got.PIN != "0042" || got.Viewers != 0 || len(got.Warnings) != 1 ||
		got.Sender == nil || got.Sender.Model != "iPhone14,5" || got.Picture == nil || got.Picture.Width != 1920 ||
		got.Sound == nil || *got.Sound.Volume != -12 || got.Clock == nil || got.Clock.Source != "ntp" ||
		len(got.Latency) != 1 || got.Latency[0].Count != 1 {
		t.Errorf("%s", body)
	}
	// Programs read the keys by their names, so those stay.
	for _, key := range []string{"uptime_seconds", "addresses", "reason", "bit_rate", "fps", "drift_ppm", "sync_error_ms", "sync_99_ms", "waiting", "offset_error_ms", "median_ms", "p99_ms", "buckets"} {
		if !bytes.Contains(body, []byte(`"`+key+`":`)) {
			t.Errorf("the key %q is gone: %s", key, body)
		}
	}
	b.set(func(s *Snapshot) { *s = idleSnapshot() })
	_, body = b.ask("GET", "/status", "")
	for _, key := range []string{"pin", "sender", "picture", "sound", "now_playing"} {
		if bytes.Contains(body, []byte(`"`+key+`":`)) {
			t.Errorf("%q is told of a receiver that is idle: %s", key, body)
		}
	}
	b.set(func(s *Snapshot) { s.Receiver.Uptime = math.NaN() })
	if p, body := b.ask("GET", "/status", ""); p.StatusCode != 500 || len(body) == 0 {
		t.Errorf("a number that JSON does not have: %d, %q", p.StatusCode, body)
	}
}

// A stage counts every observation in exactly one bucket.
func TestStageBuckets(t *testing.T) {
	var h metric.Histogram
	for _, d := range []time.Duration{0, 10 * time.Microsecond, 20 * time.Microsecond, time.Millisecond, 20 * time.Millisecond, 900 * time.Millisecond, time.Minute} {
		h.Observe(d)
	}
	s := NewStage("Network", &h)
	var sum uint64
	for _, n := range s.Buckets {
		sum += n
	}
	if s.Name != "Network" || s.Count != 7 || sum != 7 || len(s.Buckets) != buckets || s.Buckets[0] != 2 || s.Buckets[1] != 1 || s.Buckets[buckets-1] != 1 {
		t.Errorf("%+v", s)
	}
	if s.Median > s.P95 || s.P95 > s.P99 || s.P99 > s.Max || s.Max < 59_000 {
		t.Errorf("quantiles out of order: %+v", s)
	}
}

func TestMetricsAnswer(t *testing.T) {
	b := startBench(t, "", live.Options{})
	b.view.HandOver.Observe(time.Millisecond)
	_, body := b.ask("GET", "/metrics", "")
	if !bytes.Contains(body, []byte("aerie_live_hand_over_seconds_count 1\n")) {
		t.Errorf("%s", body)
	}
}

// A stream has the headers of all answers though it is written past the HTTP
// server, and whoever reads it counts as a viewer.
func TestStreamAnswer(t *testing.T) {
	b := startBench(t, "", live.Options{})
	for _, path := range []string{"/live/video", "/live/audio"} {
		p, err := http.Get("http://" + b.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		if p.StatusCode != 200 || p.Header.Get("Content-Type") != live.MediaType || p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v", path, p.StatusCode, p.Header)
		}
		guarded(t, path, p.Header)
		if path == "/live/video" {
			if _, body := b.ask("GET", "/status", ""); !bytes.Contains(body, []byte(`"viewers":1`)) {
				t.Errorf("a viewer is not counted: %s", body)
			}
		}
		p.Body.Close()
	}
}

// picture is a PNG of one pixel.
func picture(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The artwork comes from the sender: nothing but an image is passed on, as
// what it is and not as what it was called.
func TestArtwork(t *testing.T) {
	b := startBench(t, "", live.Options{})
	show := func(image []byte) (*http.Response, []byte) {
		b.mu.Lock()
		b.artwork = image
		b.mu.Unlock()
		return b.ask("GET", "/artwork", "")
	}
	if p, body := show(picture(t)); p.StatusCode != 200 || !bytes.Equal(body, picture(t)) {
		t.Errorf("PNG: %d, %d bytes", p.StatusCode, len(body))
	}
	if p, _ := show([]byte("\xff\xd8\xff\xe0 JFIF")); p.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("JPEG: %q", p.Header.Get("Content-Type"))
	}
	for _, bad := range []string{"", "<html><script>alert(1)</script>", "<svg xmlns='http://www.w3.org/2000/svg'/>", "GIF89a", "%PDF-1.4"} {
		if p, body := show([]byte(bad)); p.StatusCode != 404 || bytes.Contains(body, []byte(bad)) && bad != "" {
			t.Errorf("%q: %d, %q", bad, p.StatusCode, body)
		}
	}
}

func TestClock(t *testing.T) {
	known := true
	s := New(Options{Snapshot: idleSnapshot, Clock: func() (clock.Time, clock.Remote, bool) { return 5_000_000, 7_000_000, known }})
	for _, want := range []string{`{"now":5000,"sender":7000}`, `{"now":5000}`} {
		if got := local(s, "GET", "/clock").Body.String(); got != want+"\n" {
			t.Errorf("%s, want %s", got, want)
		}
		known = false
	}
}

// local asks a server that listens nowhere.
func local(s *Server, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost"
	s.ServeHTTP(w, r)
	return w
}

// What a page measured is taken from the page only, in a form that makes
// sense.
func TestPresented(t *testing.T) {
	b := startBench(t, "", live.Options{})
	if p, _ := b.ask("POST", "/presented", `{"latencies":[1000,2000,-1,99999999]}`, pageHeader, "1"); p.StatusCode != http.StatusNoContent {
		t.Errorf("a report: %d", p.StatusCode)
	}
	if n := b.presented.Count(); n != 2 || b.presented.Max() < 2*time.Millisecond || b.presented.Max() > 3*time.Millisecond {
		t.Errorf("%d latencies, up to %v", n, b.presented.Max())
	}
	many := `{"latencies":[` + strings.Repeat("1,", maxPresented) + `1]}`
	for name, c := range map[string]struct {
		body, header string
		status       int
	}{
		"without the header": {`{"latencies":[1]}`, "", 403},
		"of too many":        {many, "1", 400},
		"too long":           {strings.Repeat(" ", maxBody) + `{"latencies":[1]}`, "1", 400},
		"not JSON":           {"latencies", "1", 400},
		"of texts":           {`{"latencies":["1"]}`, "1", 400},
		"nested deep":        {strings.Repeat("[", maxBody-1), "1", 400},
		"empty":              {"", "1", 400},
	} {
		if p, _ := b.ask("POST", "/presented", c.body, pageHeader, c.header); p.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, p.StatusCode, c.status)
		}
	}
	if n := b.presented.Count(); n != 2 {
		t.Errorf("%d latencies after bad reports", n)
	}
}

// What is not given is not there.
func TestOptionsAreOptional(t *testing.T) {
	s := New(Options{Snapshot: idleSnapshot})
	for _, path := range []string{"/metrics", "/artwork", "/clock", "/live/video", "/live/audio"} {
		if got := local(s, "GET", path).Code; got != 404 {
			t.Errorf("%s: %d", path, got)
		}
	}
	if got := local(s, "POST", "/presented").Code; got != 404 {
		t.Errorf("/presented: %d", got)
	}
	if got := local(s, "GET", "/status").Code; got != 200 {
		t.Errorf("/status: %d", got)
	}
}
