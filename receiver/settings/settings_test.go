package settings

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/setup"
	"aerie/receiver/status"
)

// bench is a receiver with its page on the real server, a settings file and a
// TV.
type bench struct {
	t     testing.TB
	addr  string
	store *config.Store
	page  *Page
	log   bytes.Buffer

	mu      sync.Mutex
	pin     string // on the TV
	visits  int
	network setup.Status
	mistake string
	portal  string
}

const ownFile = "# mine\nname = \"Kitchen\" # the room\n\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n"

func startBench(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, store: &config.Store{File: filepath.Join(dir, "aerie.toml"), Dir: dir + "/state"}}
	if err := os.WriteFile(b.store.File, []byte(ownFile), 0o600); err != nil {
		t.Fatal(err)
	}
	b.network = setup.Status{Phase: setup.Online, SSID: "Home", AccessPoint: setup.AccessPoint{SSID: "Aerie-BEEF", Password: "secret4phones"}, Networks: []setup.Found{
		{SSID: "Home", Signal: 84, Secured: true}, {SSID: "Cafe", Signal: 40}, {SSID: `<img src=x onerror="document.title='taken'">`, Signal: 20, Secured: true}}}
	b.page = New(Options{
		Config: func() *config.Config {
			c := config.Default()
			if err := c.ReadFile(b.store.File); err != nil {
				t.Error(err)
			}
			return c
		},
		Mistake: func() string { return locked(b, func() string { return b.mistake }) },
		Save:    b.store.Save,
		Network: func() setup.Status { return locked(b, func() setup.Status { return b.network }) },
		Visit:   func() { locked(b, func() int { b.visits++; return 0 }) },
		ShowPIN: func(pin string) { locked(b, func() int { b.pin = pin; return 0 }) },
		Log:     slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	server := status.New(status.Options{
		Snapshot: func() status.Snapshot { return status.Snapshot{} }, Settings: b.page,
		Portal: func() string { return locked(b, func() string { return b.portal }) },
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
		b.page.HidePIN()
	})
	return b
}

func locked[T any](b *bench, f func() T) T {
	b.mu.Lock()
	defer b.mu.Unlock()
	return f()
}

func (b *bench) shownPIN() string { return locked(b, func() string { return b.pin }) }

// visitor is a browser, as far as it has cookies and a token.
type visitor struct {
	b             *bench
	cookie, token string
}

// do sends a request as the page does; headers come in pairs, and an empty value
// takes one away.
func (v *visitor) do(method, path, body string, headers ...string) (*http.Response, []byte) {
	v.b.t.Helper()
	r, err := http.NewRequest(method, "http://"+v.b.addr+path, strings.NewReader(body))
	if err != nil {
		v.b.t.Fatal(err)
	}
	r.Header.Set(pageHeader, "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "http://"+v.b.addr)
	r.Header.Set(tokenHeader, v.token)
	if v.cookie != "" {
		r.Header.Set("Cookie", cookieName+"="+v.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else if r.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 30 * time.Second}
	p, err := client.Do(r)
	if err != nil {
		v.b.t.Fatal(err)
	}
	defer p.Body.Close()
	answer, err := io.ReadAll(p.Body)
	if err != nil {
		v.b.t.Fatal(err)
	}
	for _, c := range p.Cookies() {
		v.cookie = c.Value
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != Path || c.Domain != "" {
			v.b.t.Errorf("%v", c)
		}
	}
	return p, answer
}

func (v *visitor) state() (s view) {
	v.b.t.Helper()
	p, body := v.do("GET", Path+"state", "")
	if err := json.Unmarshal(body, &s); err != nil || p.StatusCode != 200 || p.Header.Get("Cache-Control") != "no-store" {
		v.b.t.Fatalf("%d, %v: %s", p.StatusCode, err, body)
	}
	v.token = s.Token
	return s
}

// owner is a visitor who has read the PIN.
func (b *bench) owner() *visitor {
	b.t.Helper()
	v := &visitor{b: b}
	if p, body := v.do("POST", Path+"pin", ""); p.StatusCode != 204 {
		b.t.Fatalf("%d %s", p.StatusCode, body)
	}
	if p, body := v.do("POST", Path+"enter", fmt.Sprintf(`{"pin":%q}`, b.shownPIN())); p.StatusCode != 204 {
		b.t.Fatalf("%d %s", p.StatusCode, body)
	}
	if v.state(); v.token == "" {
		b.t.Fatal("no token")
	}
	return v
}

func (b *bench) file() string {
	text, err := os.ReadFile(b.store.File)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

const rename = `{"changes":[{"key":"name","value":"Den"}]}`

// An owner reads, changes and leaves; secrets are set and never told.
func TestOwner(t *testing.T) {
	b := startBench(t)
	v := &visitor{b: b}
	if p, body := v.do("GET", Path, ""); p.StatusCode != 200 || !strings.Contains(string(body), "<!doctype html>") || strings.Contains(string(body), "Kitchen") {
		t.Errorf("%d", p.StatusCode)
	}
	if s := v.state(); !s.Locked || s.Shown || s.Token != "" || s.Settings != nil || s.Network != nil {
		t.Errorf("a stranger is told %+v", s)
	}
	b.mistake = "aerie.toml, line 3: wrong"
	v = b.owner()
	s := v.state()
	_, body := v.do("GET", Path+"state", "")
	if s.Locked || s.Mistake != b.mistake || s.Network.SSID != "Home" || s.Network.AccessPoint != "" || len(s.Network.Networks) != 3 {
		t.Errorf("%s", body)
	}
	if strings.Contains(string(body), "correct horse") || strings.Contains(string(body), "secret4phones") {
		t.Errorf("a secret is told: %s", body)
	}
	for _, want := range []string{`"key":"wifi.password","help":"Its password. Empty: the network is open.","value":"","arg":"TEXT","secret":true,"set":true`, `"options":["off","once","always"]`, `"switch":true`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
	if p, body := v.do("POST", Path+"save", `{"changes":[{"key":"name","value":"Den \"1\""},{"key":"wifi.country","value":"DE"}]}`); p.StatusCode != 204 {
		t.Fatalf("%d %s", p.StatusCode, body)
	}
	if got, want := b.file(), "# mine\nname = \"Den \\\"1\\\"\" # the room\n\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\ncountry = \"DE\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p, body := v.do("POST", Path+"save", `{"changes":[{"key":"wifi.ssid","value":"Cafe"},{"key":"wifi.password","value":"short"}]}`)
	if p.StatusCode != 422 || string(body) != `{"error":"wifi.password: has 5 characters; passwords of Wi-Fi have 8 to 63","key":"wifi.password"}`+"\n" {
		t.Errorf("%d %s", p.StatusCode, body)
	}
	if strings.Contains(b.file(), "Cafe") {
		t.Error("half of the changes are written")
	}
	if b.visits == 0 {
		t.Error("nobody was here")
	}
	if p, _ := v.do("POST", Path+"leave", ""); p.StatusCode != 204 || !v.state().Locked {
		t.Errorf("%d", p.StatusCode)
	}
	if log := b.log.String(); strings.Contains(log, "short") || strings.Contains(log, "correct horse") {
		t.Errorf("a secret is logged: %s", log)
	}
}

// What the page does not have, it does not change.
func TestOtherSettings(t *testing.T) {
	b := startBench(t)
	v := b.owner()
	many := `{"changes":[` + strings.Repeat(`{"key":"name","value":"x"},`, maxChanges) + `{"key":"name","value":"x"}]}`
	for body, status := range map[string]int{
		`{"changes":[{"key":"log.record","value":"/etc/passwd"}]}`:           403,
		`{"changes":[{"key":"state","value":"../../x"}]}`:                    403,
		`{"changes":[{"key":"network.http","value":""}]}`:                    403,
		`{"changes":[{"key":"video.output","value":"file:/etc/x"}]}`:         403,
		`{"changes":[{"key":"audio.output","value":"file:/etc/x"}]}`:         403,
		`{"changes":[{"key":"updates.url","value":"https://evil.example"}]}`: 403,
		`{"changes":[{"key":"","value":""}]}`:                                403,
		`{"changes":[{"key":"name\n[access]\npin","value":"x"}]}`:            403,
		many: 403,
		`{"changes":[{"key":"name","value":"a\nb"}]}`:                             422,
		`{"changes":[{"key":"name","value":"` + strings.Repeat("x", 100) + `"}]}`: 422,
		`{"changes":[{"key":"wifi.country","value":"Germany"}]}`:                  422,
		`{"changes":[{"key":"video.mode","value":"999999x1"}]}`:                   422,
		`{"changes":[{"key":"access.takeover","value":"perhaps"}]}`:               422,
		`{"changes":"all"}`:                400,
		`{"changes":[`:                     400,
		``:                                 400,
		`[]`:                               400,
		strings.Repeat(`[`, 4000):          400,
		rename + strings.Repeat(" ", 5000): 400,
	} {
		if p, answer := v.do("POST", Path+"save", body); p.StatusCode != status {
			t.Errorf("%.80s: %d %s, want %d", body, p.StatusCode, answer, status)
		}
	}
	if got := b.file(); got != ownFile {
		t.Errorf("%q", got)
	}
	// A list of networks that is all there is to change.
	if p, _ := v.do("POST", Path+"save", `{"changes":[]}`); p.StatusCode != 204 || b.file() != ownFile {
		t.Errorf("nothing to change: %d", p.StatusCode)
	}
}

// Everybody else is refused: without a session, with another's, from another
// site, under another name, without what only the page can send.
func TestHostileVisitors(t *testing.T) {
	b := startBench(t)
	owner := b.owner()
	for name, c := range map[string]struct {
		cookie, token string
		headers       []string
		status        []int
	}{
		"no session":         {"", owner.token, nil, []int{401}},
		"a made-up session":  {strings.Repeat("ab", 16), owner.token, nil, []int{401}},
		"no token":           {owner.cookie, "", nil, []int{403}},
		"another token":      {owner.cookie, strings.Repeat("0", 32), nil, []int{403}},
		"another origin":     {owner.cookie, owner.token, []string{"Origin", "http://evil.example", "Sec-Fetch-Site", ""}, []int{403}},
		"another port":       {owner.cookie, owner.token, []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", ""}, []int{403}},
		"origin null":        {owner.cookie, owner.token, []string{"Origin", "null", "Sec-Fetch-Site", ""}, []int{403}},
		"cross-site":         {owner.cookie, owner.token, []string{"Sec-Fetch-Site", "cross-site"}, []int{403}},
		"same-site":          {owner.cookie, owner.token, []string{"Sec-Fetch-Site", "same-site"}, []int{403}},
		"a form":             {owner.cookie, owner.token, []string{pageHeader, "", "Content-Type", "text/plain"}, []int{403}},
		"DNS rebinding":      {owner.cookie, owner.token, []string{"Host", "evil.example", "Origin", "http://evil.example"}, []int{421}},
		"a name of the like": {owner.cookie, owner.token, []string{"Host", "aerie.local.evil.example"}, []int{421}},
	} {
		v := &visitor{b: b, cookie: c.cookie, token: c.token}
		if p, body := v.do("POST", Path+"save", rename, c.headers...); !slices.Contains(c.status, p.StatusCode) {
			t.Errorf("%s: %d %s", name, p.StatusCode, body)
		}
		if p, body := v.do("GET", Path+"state", "", c.headers...); p.StatusCode == 200 && strings.Contains(string(body), owner.token) && len(c.headers) > 0 && c.headers[0] == "Host" {
			t.Errorf("%s: is told %s", name, body)
		}
	}
	if b.file() != ownFile {
		t.Errorf("%q", b.file())
	}
	// Neither a PIN on the TV nor a try at it is to be had from elsewhere.
	for _, path := range []string{"pin", "enter"} {
		for _, headers := range [][]string{{pageHeader, ""}, {"Origin", "http://evil.example", "Sec-Fetch-Site", ""}, {"Host", "evil.example"}} {
			if p, _ := (&visitor{b: b}).do("POST", Path+path, `{"pin":"1"}`, headers...); p.StatusCode != 403 && p.StatusCode != 421 {
				t.Errorf("%s %v: %d", path, headers, p.StatusCode)
			}
		}
		if p, _ := (&visitor{b: b}).do("GET", Path+path, ""); p.StatusCode != 405 {
			t.Errorf("GET %s: %d", path, p.StatusCode)
		}
	}
	if b.shownPIN() != "" {
		t.Error("a PIN is shown")
	}
	// The owner goes on undisturbed.
	if p, body := owner.do("POST", Path+"save", rename); p.StatusCode != 204 {
		t.Errorf("%d %s", p.StatusCode, body)
	}
}

func TestGuessingThroughTheServer(t *testing.T) {
	b := startBench(t)
	v := &visitor{b: b}
	v.do("POST", Path+"pin", "")
	pin := b.shownPIN()
	for i := range maxTries {
		p, body := v.do("POST", Path+"enter", fmt.Sprintf(`{"pin":%q}`, other(pin)))
		if want := map[bool]int{true: 429, false: 403}[i == maxTries-1]; p.StatusCode != want || v.cookie != "" {
			t.Errorf("try %d: %d %s", i, p.StatusCode, body)
		}
	}
	if p, _ := v.do("POST", Path+"enter", fmt.Sprintf(`{"pin":%q}`, pin)); p.StatusCode != 429 || b.shownPIN() != "" {
		t.Errorf("the PIN after too many tries: %d", p.StatusCode)
	}
	if p, body := v.do("POST", Path+"pin", ""); p.StatusCode != 429 || !strings.Contains(string(body), `"wait_seconds":60`) && !strings.Contains(string(body), `"wait_seconds":5`) {
		t.Errorf("%d %s", p.StatusCode, body)
	}
	if strings.Contains(b.log.String(), pin) {
		t.Error("the PIN is logged")
	}
}

func TestTraversal(t *testing.T) {
	b := startBench(t)
	v := b.owner()
	for _, path := range []string{"../aerie.toml", "..%2faerie.toml", "%2e%2e/state", "page/index.html", "index.html", "settings.js/..", "settings.css%00", "/etc/passwd", "..\\aerie.toml", "state/", "save/../../x", "{$}"} {
		p, body := v.do("GET", Path+path, "")
		location := p.Header.Get("Location")
		switch {
		case p.StatusCode >= 300 && p.StatusCode < 400 && strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//"):
		case p.StatusCode == 404 || p.StatusCode == 400 || p.StatusCode == 405:
		default:
			t.Errorf("%s: %d %q %.60q", path, p.StatusCode, location, body)
		}
	}
}

// In the access point every name leads to the page; elsewhere foreign names are
// refused, as ever.
func TestPortal(t *testing.T) {
	b := startBench(t)
	v := &visitor{b: b}
	probes := map[string]string{"captive.apple.com": "/hotspot-detect.html", "connectivitycheck.gstatic.com": "/generate_204", "www.msftconnecttest.com": "/connecttest.txt", "detectportal.firefox.com:80": "/canonical.html"}
	for host, path := range probes {
		if p, _ := v.do("GET", path, "", "Host", host, "Origin", "", "Sec-Fetch-Site", ""); p.StatusCode != 421 {
			t.Errorf("%s without an access point: %d", host, p.StatusCode)
		}
	}
	locked(b, func() int { b.portal = "http://10.42.0.1/settings/"; return 0 })
	for host, path := range probes {
		p, body := v.do("GET", path, "", "Host", host, "Origin", "", "Sec-Fetch-Site", "")
		if p.StatusCode != 302 || p.Header.Get("Location") != "http://10.42.0.1/settings/" || p.Header.Get("Cache-Control") != "no-store" || strings.Contains(string(body), "Kitchen") {
			t.Errorf("%s: %d %s", host, p.StatusCode, p.Header.Get("Location"))
		}
	}
	if p, _ := v.do("POST", Path+"pin", "", "Host", "evil.example"); p.StatusCode != 421 {
		t.Errorf("a foreign name may post: %d", p.StatusCode)
	}
	if p, _ := v.do("GET", Path, ""); p.StatusCode != 200 {
		t.Errorf("the page itself: %d", p.StatusCode)
	}
}

// FuzzSave has the page take whatever is sent by somebody who has a session: it
// never fails, and the file never has a mistake.
func FuzzSave(f *testing.F) {
	f.Add(rename)
	f.Add(`{"changes":[{"key":"wifi.ssid","value":"\u0000"},{"key":"wifi.password","value":"\"]"}]}`)
	f.Add(`{"changes":[{"key":"audio.offset","value":"-1e3"}]}`)
	f.Add(`{"changes":[{"key":"name","value":"` + "\xff" + `"},{"key":"name"}]}`)
	dir := f.TempDir()
	store := &config.Store{File: filepath.Join(dir, "aerie.toml"), Dir: dir}
	pin := ""
	p := New(Options{Config: config.Default, Mistake: func() string { return "" }, Save: store.Save, ShowPIN: func(s string) { pin = s }, Log: slog.New(slog.DiscardHandler)})
	p.gate.ask()
	id, _, err := p.gate.enter(pin)
	if err != nil {
		f.Fatal(err)
	}
	token := p.gate.session(id).token
	f.Fuzz(func(t *testing.T, body string) {
		if err := os.WriteFile(store.File, []byte(ownFile), 0o600); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", Path+"save", strings.NewReader(body))
		r.Header.Set(pageHeader, "1")
		r.Header.Set(tokenHeader, token)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: id})
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
		if err := config.Default().ReadFile(store.File); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	})
}
