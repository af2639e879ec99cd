package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/simulate"
	"aerie/receiver/fleet/content"
	"aerie/receiver/status/chromium"
)

// TestPage has an owner bring a release to a fleet by means of the page, and see
// it arrive.
func TestPage(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	state := filepath.Join(t.TempDir(), "state")
	plain, page := freePort(t), freePort(t)
	p := startProcess(t, state, "--listen", freePort(t), "--plain", plain, "--https", freePort(t), "--http", page, "--beat", "300ms")
	fleet := simulate.Start(simulate.Options{Devices: 30, Prefix: "tv", Pool: "aerie", Install: 200 * time.Millisecond,
		Dial: func(string) (net.Conn, error) { return net.Dial("tcp", plain) },
		Fate: func(id string) simulate.Fate {
			if id == "tv00011" {
				return simulate.GoesBack
			}
			return simulate.Works
		}})
	defer fleet.Stop()
	eventually(t, time.Minute, "all are paired", func() bool { o, err := p.overview(); return err == nil && o.Mine == 30 })
	token, err := fleetctl(t, "token", "--state", state)
	if err != nil {
		t.Fatal(err)
	}
	tab := b.Open("http://"+page+"/", 1360, 900)
	shows := func(what, expression, want string) {
		t.Helper()
		tab.Eventually(what, func() bool {
			var s string
			return tab.Eval("String("+expression+")", &s) == nil && strings.Contains(s, want)
		})
	}
	do := func(expression string) {
		t.Helper()
		if err := tab.Eval(expression, nil); err != nil {
			t.Fatal(err)
		}
	}
	shows("the way in", "document.body.dataset.view", "login")
	do(`void (token.value = "` + strings.TrimSpace(token) + `", document.querySelector("#login button").click())`)
	shows("the fleet", `document.getElementById("range").textContent`, "of 30")
	do(`void begin.click()`)
	do(`void (() => { const f = panel.querySelector("form"); f.url.value = "https://example.org/aerie/7"; f.counter.value = 7; f.soak.value = 0; f.failures.value = 1; f.querySelector("button").click(); })()`)
	shows("the rollout is done", `document.getElementById("rollout").innerText`, "done")
	shows("with one that went back", `document.getElementById("rollout").innerText`, "1 went back")
	shows("which is in trouble", "rows.innerText", "1.7.0 did not stay up")
	do(`void rows.children[0].click()`)
	shows("the device", "panel.innerText", "did not stay up")
	do(`void (panel.querySelector("form input").value = "Bar", panel.querySelector("form button").click())`)
	eventually(t, time.Minute, "it has another name", func() bool { return fleet.Devices[11].Setting(content.SettingName) == "Bar" })
	if dir := os.Getenv("AERIE_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "whole.png"), tab.Screenshot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
