package page

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/service"
	"aerie/receiver/fleet/content"
	"aerie/receiver/status/chromium"
)

// visit is a page in the browser.
type visit struct {
	*chromium.Tab
	t *testing.T
}

func (v visit) eval(expression string) (s string) {
	v.t.Helper()
	if err := v.Eval("String("+expression+")", &s); err != nil {
		v.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

func (v visit) until(what, expression, want string) {
	v.t.Helper()
	v.Eventually(fmt.Sprintf("%s: %s is %q", what, expression, want), func() bool {
		var s string
		return v.Eval("String("+expression+")", &s) == nil && strings.Contains(s, want)
	})
}

// shoot keeps a screenshot where AERIE_SCREENSHOTS says; people look at it.
func (v visit) shoot(name string) {
	if dir := os.Getenv("AERIE_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), v.Screenshot(), 0o644); err != nil {
			v.t.Fatal(err)
		}
	}
}

// TestBrowser follows an owner with ten thousand devices.
func TestBrowser(t *testing.T) {
	b := chromium.Start(t)
	f := newFake(10_000)
	s, _ := newServer(t, f)
	server := httptest.NewServer(s)
	defer server.Close()
	defer server.CloseClientConnections() // of the events, which have no end
	p := visit{b.Open(server.URL+"/", 1360, 900), t}
	p.until("the way in", "document.body.dataset.view", "login")
	p.shoot("login")
	p.eval(`(token.value = "wrong", document.querySelector("#login button").click())`)
	p.until("a wrong token is told", `document.getElementById("login-error").textContent`, "not the owner's token")
	p.eval(`(token.value = "` + theToken + `", document.querySelector("#login button").click())`)
	p.until("the fleet", "document.body.dataset.view", "fleet")
	p.until("the first page", "range.textContent", "1–50 of 10,000")
	p.until("numbers", "tiles.innerText", "10,000")
	if n := p.eval("rows.children.length"); n != "50" {
		t.Errorf("%s rows", n)
	}
	p.shoot("fleet")

	// Searching ten thousand is a matter of a moment.
	began := time.Now()
	p.eval(`(search.value = "room 4242", search.dispatchEvent(new Event("input")))`)
	p.until("what is searched for", "range.textContent", "1–1 of 1")
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("a search takes %v", d)
	}
	p.eval(`(search.value = "", search.dispatchEvent(new Event("input")))`)
	p.until("all again", "range.textContent", "of 10,000")
	p.eval(`tiles.children[5].click()`)
	p.until("those in trouble", "range.textContent", "1–50 of 1,000")
	p.eval(`document.getElementById("next").click()`)
	p.until("the second page", "range.textContent", "51–100 of 1,000")

	// One device.
	p.eval(`rows.children[0].click()`)
	p.until("the device", "panel.innerText", "Raspberry Pi 4")
	p.shoot("device")
	p.eval(`[...panel.querySelectorAll("button")].find(b => b.textContent === "Identify").click()`)
	p.Eventually("it identifies itself", func() bool { return f.has("identify tv00509") })
	p.eval(`(panel.querySelector("form input").value = "Bar", panel.querySelector("form button").click())`)
	p.Eventually("it has another name", func() bool { return f.has("set tv00509 name Bar") })
	p.eval(`dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}))`)
	p.until("closed", "panel.hidden", "true")

	// A rollout, live.
	p.eval(`begin.click()`)
	p.eval(`(() => { const f = panel.querySelector("form"); f.url.value = "https://example.org/aerie/7"; f.counter.value = 7; f.querySelector("button").click(); })()`)
	p.Eventually("a rollout is ordered", func() bool { return f.has("release https://example.org/aerie/7 7 soak 600") })
	r := rollout.Rollout{ID: "r1", Plan: rollout.DefaultPlan, State: rollout.Running, Ring: 2, Well: time.Now().Unix() - 60,
		Steps: []rollout.Step{{Number: 1, Ring: 0, Devices: 1}, {Number: 2, Ring: 1, Devices: 500}, {Number: 3, Ring: 2, Devices: 2500}}}
	r.Release = content.Release{URL: "https://example.org/aerie/7", Counter: 7}
	f.change(func() {
		f.over.Rollout = &r
		f.over.Tally = rollout.Tally{rollout.Well: 1800, rollout.Trying: 420, rollout.Waiting: 180, rollout.Failed: 4, rollout.Absent: 96, rollout.Later: 7500}
	})
	p.until("its progress", "rollout.innerText", "1,800 confirmed")
	p.shoot("rollout")
	halted := r
	halted.State, halted.Reason = rollout.Halted, "61 of 2500 devices went back or did not confirm in time, 50 are allowed"
	f.change(func() { f.over.Rollout = &halted; f.over.Connected = false })
	p.until("it has halted", "rollout.innerText", "61 of 2500")
	p.until("no broker", "document.querySelector('#link span').textContent", "No connection to the broker")
	p.shoot("halted")

	// New devices.
	p.eval(`add.click()`)
	p.until("how devices come in", "panel.textContent", "With the code on its screen")
	p.eval(`[...panel.querySelectorAll("button")].find(b => b.textContent === "New code").click()`)
	p.until("a code", "panel.querySelector('output')?.textContent", "-")
	p.shoot("enrolment")

	// What a device says is text.
	f.change(func() {
		f.rows[0].Health.Name = `<img src=x onerror="document.title='owned'">`
		f.rows[0].Status = service.Trouble
		f.rows[0].Why = "</table><script>alert(1)</script>"
	})
	p.eval(`(tiles.children[0].click(), dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"})))`)
	p.until("markup is shown", "rows.innerText", "<img src=x")
	p.Resize(390, 844, 2, true)
	p.shoot("phone")
	p.eval(`out.click()`)
	p.until("signed out", "document.body.dataset.view", "login")
	for _, line := range p.Console() {
		if !strings.Contains(line, "403") && !strings.Contains(line, "401") { // the browser tells of every refusal
			t.Errorf("console: %s", line)
		}
	}
}
