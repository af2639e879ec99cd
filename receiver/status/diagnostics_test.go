package status

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aerie/receiver/live"
	"aerie/receiver/ota"
	"aerie/receiver/status/chromium"
)

// save has the page's pictures left to be looked at.
var save = flag.String("save", "", "directory to save pictures of the page in")

// Only the page gets a bundle: no other site's, no link, no form, and no name
// that is not the receiver's.
func TestWhoGetsDiagnostics(t *testing.T) {
	asked := 0
	s := New(Options{Snapshot: idleSnapshot, Diagnose: func(_ context.Context, w io.Writer) error {
		asked++
		_, err := io.WriteString(w, "bundle")
		return err
	}})
	for name, c := range map[string]struct {
		method  string
		headers map[string]string
		want    int
	}{
		"the page":                     {"POST", map[string]string{pageHeader: "1"}, 200},
		"the page, as a browser says":  {"POST", map[string]string{pageHeader: "1", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200},
		"a form":                       {"POST", nil, 403},
		"a form of another site":       {"POST", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403},
		"a script of another site":     {"POST", map[string]string{pageHeader: "1", "Sec-Fetch-Site": "cross-site"}, 403},
		"a script of another port":     {"POST", map[string]string{pageHeader: "1", "Sec-Fetch-Site": "same-site"}, 403},
		"a link":                       {"GET", map[string]string{pageHeader: "1"}, 405},
		"a name of somebody else's":    {"POST", map[string]string{pageHeader: "1", "Host": "evil.example"}, 421},
		"a question before the script": {"OPTIONS", map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Headers": pageHeader}, 405},
	} {
		before := asked
		q := httptest.NewRequest(c.method, "http://127.0.0.1:7080/diagnostics", nil)
		for k, v := range c.headers {
			if q.Header.Set(k, v); k == "Host" {
				q.Host = v
			}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code != c.want || (asked > before) != (c.want == 200) || (w.Body.String() == "bundle") != (c.want == 200) {
			t.Errorf("%s: %d, asked %d times, %q", name, w.Code, asked-before, w.Body)
		}
		if c.want == 200 && (w.Header().Get("Content-Type") != "application/zip" || w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment")) {
			t.Errorf("%s: %v", name, w.Header())
		}
		guarded(t, name, w.Header())
	}
	if got := local(New(Options{Snapshot: idleSnapshot}), "POST", "/diagnostics").Code; got != 404 {
		t.Errorf("without any: %d", got)
	}
}

// One bundle is made at a time; one that fails is cut off, and the next works.
func TestDiagnosticsOneAtATime(t *testing.T) {
	begun, goOn, fails := make(chan bool, 1), make(chan bool), true
	s := New(Options{Snapshot: idleSnapshot, Diagnose: func(ctx context.Context, w io.Writer) error {
		begun <- true
		<-goOn
		if fails {
			io.WriteString(w, "beginning")
			return errors.New("no space")
		}
		return nil
	}})
	server := httptest.NewServer(s)
	defer server.Close()
	ask := func() (int, error) {
		q, err := http.NewRequest("POST", server.URL+"/diagnostics", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set(pageHeader, "1")
		p, err := http.DefaultClient.Do(q)
		if err != nil {
			return 0, err
		}
		defer p.Body.Close()
		_, err = io.ReadAll(p.Body)
		return p.StatusCode, err
	}
	first := make(chan error, 1)
	go func() {
		_, err := ask()
		first <- err
	}()
	<-begun
	if code, err := ask(); code != http.StatusTooManyRequests || err != nil {
		t.Errorf("the second: %d, %v", code, err)
	}
	goOn <- true
	if err := <-first; err == nil {
		t.Error("one that failed looks whole")
	}
	fails = false
	go func() { goOn <- <-begun }()
	if code, err := ask(); code != 200 || err != nil {
		t.Errorf("the next: %d, %v", code, err)
	}
}

// TestAppliancePage has the page of an appliance in Chromium: what became of
// an update, how the board fares, and a click that saves the diagnostics.
func TestAppliancePage(t *testing.T) {
	c := chromium.Start(t)
	dir := t.TempDir()
	c.Downloads(dir)
	b := startBench(t, "", live.Options{})
	warm := 71.4
	b.set(func(s *Snapshot) {
		s.Receiver.Version = "1.3.2"
		s.Board = &Board{Model: "Raspberry Pi 4 Model B Rev 1.4", Memory: 3884388 << 10, Clock: 1500, Temperature: &warm, Now: "none", SinceBoot: "under-voltage, throttled"}
		s.Update = &ota.Status{Version: "1.3.2", Slot: "a", Proven: true, Available: "1.4.0"}
	})
	p := c.Open(b.url(), 1280, 800)
	text := func(id string) string { return chromium.Ask[string](p, `document.getElementById("`+id+`").innerText`) }
	shot := func(name string) {
		if *save != "" {
			if err := os.WriteFile(filepath.Join(*save, name+".png"), p.Screenshot(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.Eventually("the version that is ready", func() bool { return strings.HasPrefix(text("update"), "Version 1.4.0 is ready") })
	b.set(func(s *Snapshot) {
		s.Update.WentBack, s.Update.Available, s.Health = "went back from 1.4.0 to 1.3.2: it did not start three times", "", "decoder: no progress for 20s"
	})
	p.Eventually("why it went back", func() bool {
		return text("update") == "Went back from 1.4.0 to 1.3.2: it did not start three times"
	})
	shot("page-update")
	p.Eval(`document.getElementById("more").click()`, nil)
	for _, want := range []string{"Slot\nA\n", "71 °C", "1500 MHz", "Raspberry Pi 4 Model B Rev 1.4", "3.7 GiB", "since start: under-voltage, throttled", "Stuck: decoder: no progress for 20s",
		"The power supply is too weak", "Went back from 1.4.0 to 1.3.2"} {
		p.Eventually(want, func() bool { return strings.Contains(text("details"), want) })
	}
	shot("page-details")
	p.Eval(`document.querySelector("#details footer").scrollIntoView()`, nil)
	p.Eval(`document.getElementById("diagnose").click()`, nil)
	p.Eventually("the file", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "aerie Living Room 20*.zip")) // the pattern is well formed
		if len(files) != 1 {
			return false
		}
		got, err := os.ReadFile(files[0])
		return err == nil && string(got) == "PK bundle"
	})
	p.Eventually("that it is saved", func() bool { return strings.HasPrefix(text("diagnose-text"), "Saved.") })
	shot("page-diagnostics")
	clean(t, p)
}
