package page

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/enrolment"
	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/service"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/twin"
)

const theToken = "correct-horse-battery-staple"

// fake is a fleet that remembers what was ordered.
type fake struct {
	mu      sync.Mutex
	rows    []service.Row
	over    service.Overview
	changed chan struct{}
	done    []string
}

func newFake(n int) *fake {
	f := &fake{changed: make(chan struct{})}
	statuses := []service.Status{service.Good, service.Good, service.Good, service.Good, service.Good, service.Good, service.Offline, service.Updating, service.Unpaired, service.Trouble}
	f.over = service.Overview{ID: "11111111-1111-4111-8111-111111111111", Pool: "Grand Hotel", Connected: true, Instances: []string{"a", "b"}, Total: n, Counts: map[service.Status]int{}}
	for i := range n {
		r := service.Row{ID: fmt.Sprintf("tv%05d", i), Status: statuses[i%len(statuses)], Partner: f.over.ID, Mine: i%2 == 0, Seen: time.Now().Add(-time.Duration(i%600) * time.Second),
			Health: content.Health{Name: fmt.Sprintf("Room %d", 100+i), Version: "1.6.0", Counter: 6, Slot: "a", Board: "Raspberry Pi 4 Model B", State: content.StateConfirmed,
				Uptime: float64(i * 977), Temperature: 40 + float64(i%45), Sessions: uint64(i % 31), Pictures: uint64(i) * 1000, Dropped: uint64(i % 5),
				Latency: []uint64{3, 40, 160, 220, 90, 60, 20, 8, 3, 1, 0}}}
		if r.Status == service.Trouble {
			r.Why = "went back: the health check failed"
			r.Health.Rollback = "the health check failed"
		}
		f.rows = append(f.rows, r)
		f.over.Counts[r.Status]++
	}
	return f
}

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, fmt.Sprintf(format, args...))
}

func (f *fake) has(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.done, what)
}

func (f *fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.over.Revision++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fake) Overview(context.Context) (service.Overview, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over, nil
}

func (f *fake) List(_ context.Context, q service.Query) (p service.Page, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.Total, p.Counts = len(f.rows), f.over.Counts
	for _, r := range f.rows {
		if (q.Status == "" || r.Status == q.Status) && strings.Contains(strings.ToLower(r.Health.Name), strings.ToLower(q.Search)) {
			if p.Matched++; p.Matched > q.Offset && len(p.Rows) < q.Limit {
				p.Rows = append(p.Rows, r)
			}
		}
	}
	return p, nil
}

func (f *fake) Device(_ context.Context, id string) (d service.Detail, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rows {
		if r.ID == id {
			return service.Detail{Row: r, Settings: map[string]twin.Acknowledgement{}}, nil
		}
	}
	return d, service.ErrNoDevice
}

func (f *fake) Call(_ context.Context, id, method string, argument []byte) (service.Result, error) {
	f.note("%s %s", method, id)
	if method == content.MethodDiagnostics {
		return bundlePart(id, argument), nil
	}
	return service.Result{Status: 200}, nil
}

func (f *fake) Set(_ context.Context, id, name string, value any) error {
	f.note("set %s %s %v", id, name, value)
	return nil
}

func (f *fake) Order(_ context.Context, kind rollout.Kind, id string, plan *rollout.Plan) error {
	f.note("%s %s", kind, id)
	if plan != nil {
		f.note("release %s %d soak %d", plan.Release.URL, plan.Release.Counter, plan.Soak)
	}
	return nil
}

// bundlePart is a piece of a bundle, or what a hostile device says in its place.
func bundlePart(id string, argument []byte) service.Result {
	payload := `{"name":"../b\"undle.txt","size":10,"sha256":"72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0","offset":0,"data":"YWJjZGU="}`
	if strings.Contains(string(argument), "5") {
		payload = `{"name":"../b\"undle.txt","size":10,"sha256":"72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0","offset":5,"data":"ZmdoaWo="}`
	}
	switch id {
	case "tv00001":
		payload = strings.Replace(payload, "7239", "7230", 1)
	case "tv00002":
		payload = `{"offset":0,"size":1000000000000,"data":"YQ=="}`
	case "tv00003":
		payload = `{"offset":0,"size":10,"data":""}`
	}
	return service.Result{Status: 200, Payload: []byte(payload)}
}

func newServer(t testing.TB, f Fleet) (*Server, *enrolment.Enrolment) {
	t.Helper()
	a, err := authority.Open(t.TempDir(), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e, err := enrolment.Open(enrolment.Options{Authority: a, File: t.TempDir() + "/members", Pool: "hotel", Broker: "mqtts://127.0.0.1:8883", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return New(Options{Fleet: f, Enrolment: e, Token: theToken, Log: log, NewID: func() string { return "r1" }}), e
}

func ask(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestAccess(t *testing.T) {
	s, _ := newServer(t, newFake(20))
	bearer := "Bearer " + theToken
	w := ask(s, "POST", "/login", `{"token":"`+theToken+`"}`, marker, "1")
	cookie := w.Header().Get("Set-Cookie")
	if w.Code != 204 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Fatalf("signing in: %d %q", w.Code, cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for _, c := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"nobody", "GET", "/api/devices", nil, 401},
		{"nobody, metrics", "GET", "/api/overview", nil, 401},
		{"a wrong token", "GET", "/api/devices", []string{"Authorization", "Bearer x"}, 401},
		{"an empty token", "GET", "/api/devices", []string{"Authorization", "Bearer "}, 401},
		{"the token", "GET", "/api/devices", []string{"Authorization", bearer}, 200},
		{"the page", "GET", "/api/devices?limit=3", []string{"Cookie", cookie}, 200},
		{"a forged cookie", "GET", "/api/devices", []string{"Cookie", strings.Replace(cookie, "=1", "=9", 1)}, 401},
		{"the page orders", "POST", "/api/devices/tv00000/call/identify", []string{"Cookie", cookie, marker, "1"}, 200},
		{"another site orders", "POST", "/api/devices/tv00000/call/restart", []string{"Cookie", cookie}, 403},
		{"the page without an account", "GET", "/", nil, 200},
	} {
		if w := ask(s, c.method, c.path, "", c.header...); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		} else if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: headers are missing", c.name)
		}
	}
	// Sessions end, and with another token at once.
	s.o.Now = func() time.Time { return time.Now().Add(loginLife + time.Hour) }
	if w := ask(s, "GET", "/api/devices", "", "Cookie", cookie); w.Code != 401 {
		t.Errorf("an old session: %d", w.Code)
	}
	s.o.Now, s.o.Token = time.Now, "another"
	if w := ask(s, "GET", "/api/devices", "", "Cookie", cookie); w.Code != 401 {
		t.Errorf("a session of another token: %d", w.Code)
	}
	codes := map[int]int{}
	for range 40 {
		codes[ask(s, "POST", "/login", `{"token":"guess"}`, marker, "1").Code]++
	}
	if codes[429] < 25 || codes[204] > 0 {
		t.Errorf("guesses: %v", codes)
	}
}

func TestRequests(t *testing.T) {
	f := newFake(20)
	s, _ := newServer(t, f)
	for _, c := range []struct {
		method, path, body string
		want               int
		done               string
	}{
		{"POST", "/api/devices/tv00000/call/identify", "", 200, "identify tv00000"},
		{"POST", "/api/devices/tv00000/call/format", "", 400, ""},
		{"POST", "/api/devices/tv00000/settings", `{"name":"Bar"}`, 200, "set tv00000 name Bar"},
		{"POST", "/api/devices/tv00000/settings", `{"name":"` + strings.Repeat("x", 51) + `"}`, 400, ""},
		{"POST", "/api/devices/tv00000/settings", `{"name":7}`, 400, ""},
		{"POST", "/api/devices/tv00000/settings", `{"release":{"url":"https://x/","counter":9}}`, 400, ""},
		{"POST", "/api/devices/tv00000/settings", `{"name":`, 400, ""},
		{"POST", "/api/devices/tv00000/settings", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 400, ""},
		{"GET", "/api/devices/nobody", "", 404, ""},
		{"GET", "/api/devices?limit=-1", "", 400, ""},
		{"GET", "/api/devices?offset=x", "", 400, ""},
		{"GET", "/api/devices?search=" + strings.Repeat("x", 300), "", 400, ""},
		{"POST", "/api/rollout/start", `{"release":{"url":"https://example.org/7","counter":7},"soak":60}`, 200, "release https://example.org/7 7 soak 60"},
		{"POST", "/api/rollout/start", `{"release":{"url":"https://example.org/7"},"sok":60}`, 400, ""},
		{"POST", "/api/rollout/explode", "", 400, ""},
		{"POST", "/api/rollout/pause", "", 409, ""},
		{"POST", "/api/enrolment/codes", `{"note":"Lobby"}`, 200, ""},
		{"POST", "/api/enrolment/admit", `{"device":"tv","code":"ABCD-EFGH"}`, 409, ""},
		{"POST", "/api/devices/tv00000/revoke", "", 409, ""},
		{"GET", "/api/enrolment", "", 200, ""},
		{"GET", "/api/devices/tv00001/diagnostics", "", 409, ""},
		{"GET", "/api/devices/tv00002/diagnostics", "", 409, ""},
		{"GET", "/api/devices/tv00003/diagnostics", "", 409, ""},
		{"POST", "/enrol", "nonsense", 400, ""},
		{"POST", "/renew", "{}", 403, ""},
	} {
		w := ask(s, c.method, c.path, c.body, "Authorization", "Bearer "+theToken)
		if w.Code != c.want || c.done != "" && !f.has(c.done) {
			t.Errorf("%s %.60s %.60s: %d %.200s, want %d and %q in %q", c.method, c.path, c.body, w.Code, w.Body, c.want, c.done, f.done)
		}
	}
	w := ask(s, "GET", "/api/devices/tv00000/diagnostics", "", "Authorization", "Bearer "+theToken)
	if b, _ := io.ReadAll(w.Body); string(b) != "abcdefghij" || w.Header().Get("Content-Disposition") != `attachment; filename="tv00000-b_undle.txt"` {
		t.Errorf("diagnostics: %q as %q", b, w.Header().Get("Content-Disposition"))
	}
}

// Whatever is asked, without a token nothing is changed or told.
func FuzzRequest(f *testing.F) {
	fleet := newFake(3)
	s, _ := newServer(f, fleet)
	f.Add("POST", "/api/devices/tv00000/call/identify", "", "aerie-fleet=1.2")
	f.Add("GET", "/api/devices/%2e%2e/x", "", "")
	f.Add("POST", "/login", `{"token":"x"}`, "")
	f.Add("POST", "/enrol", `{"device":"tv","pool":"hotel"}`, "")
	f.Fuzz(func(t *testing.T, method, path, body, cookie string) {
		r, err := http.NewRequest(method, "http://fleet"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if len(fleet.done) > 0 || strings.Contains(w.Body.String(), "Room 1") {
			t.Errorf("%s %q: %d %s; %v", method, path, w.Code, w.Body, fleet.done)
		}
	})
}
