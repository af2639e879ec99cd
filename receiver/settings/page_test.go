package settings

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aerie/receiver/setup"
	"aerie/receiver/status/chromium"
)

// text is what a person reads in an element; "" if it is not to be seen.
func text(p *chromium.Tab, id string) (s string) {
	_ = p.Eval(`(e => e && e.checkVisibility() ? e.innerText : "")(document.getElementById("`+id+`"))`, &s)
	return s
}

func shows(p *chromium.Tab) (s string) {
	_ = p.Eval("document.body.dataset.view", &s)
	return s
}

// press clicks what a selector finds.
func press(t *testing.T, p *chromium.Tab, selector string) {
	t.Helper()
	if err := p.Eval(`document.querySelector(`+"`"+selector+"`"+`).click()`, nil); err != nil {
		t.Fatal(err)
	}
}

// fill writes into a field as a person does.
func fill(t *testing.T, p *chromium.Tab, id, value string) {
	t.Helper()
	if err := p.Eval(`(e => { e.value = "`+value+`"; e.dispatchEvent(new Event("input", {bubbles: true})) })(document.getElementById("`+id+`"))`, nil); err != nil {
		t.Fatal(err)
	}
}

// picture leaves a screenshot for people, in the folder that AERIE_PICTURES
// names.
func picture(t *testing.T, p *chromium.Tab, name string) {
	dir := os.Getenv("AERIE_PICTURES")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), p.Screenshot(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// An owner with a phone in the access point: the PIN, a wrong password, the
// right one; then from the sofa the name. A network's name is text, whatever it
// looks like.
func TestPage(t *testing.T) {
	c := chromium.Start(t)
	b := startBench(t)
	b.mistake = "aerie.toml, line 3: name takes text in quotes"
	b.network.Phase, b.network.Failure = setup.Offering, "The password of “Home” is wrong."
	b.network.AccessPoint.Address = netip.MustParseAddr("10.42.0.1")
	p := c.Open("http://"+b.addr+Path, 390, 844)
	p.Resize(390, 844, 2, true)
	p.Eventually("the gate", func() bool { return shows(p) == "gate" && text(p, "ask") != "" })
	picture(t, p, "gate")
	press(t, p, "#ask")
	p.Eventually("a PIN on the TV", func() bool { return b.shownPIN() != "" && text(p, "enter") != "" })
	fill(t, p, "pin", other(b.shownPIN()))
	press(t, p, "#enter button")
	p.Eventually("that it is wrong", func() bool { return strings.Contains(text(p, "gate-error"), "not the PIN") })
	picture(t, p, "wrong")
	fill(t, p, "pin", b.shownPIN())
	press(t, p, "#enter button")
	p.Eventually("the settings", func() bool { return shows(p) == "settings" })
	if got := text(p, "mistake"); got != b.mistake {
		t.Errorf("mistake %q", got)
	}
	if got := text(p, "failure"); got != b.network.Failure {
		t.Errorf("failure %q", got)
	}
	if got := text(p, "networks"); !strings.Contains(got, "<img src=x onerror=") || !strings.Contains(got, "Another network") {
		t.Errorf("networks %q", got)
	}
	picture(t, p, "settings")

	press(t, p, `#networks [data-ssid="Home"]`)
	fill(t, p, "set-wifi-password", "short")
	press(t, p, "#save")
	p.Eventually("what is wrong with the password", func() bool { return strings.Contains(text(p, "save-error"), "8 to 63") })
	picture(t, p, "password")
	fill(t, p, "set-wifi-password", "battery staple")
	fill(t, p, "set-wifi-country", "DE")
	press(t, p, "#save")
	p.Eventually("that it is saved", func() bool {
		return shows(p) == "done" && strings.Contains(text(p, "done-title"), "Joining") && strings.Contains(text(p, "done-text"), "“Aerie-BEEF” closes now")
	})
	picture(t, p, "joining")
	want := strings.Replace(ownFile, "correct horse\"\n", "battery staple\"\ncountry = \"DE\"\n", 1)
	if got := b.file(); got != want {
		t.Errorf("%q, want %q", got, want)
	}

	// From the sofa.
	locked(b, func() int {
		b.network.Phase, b.network.Failure, b.mistake = setup.Online, "", ""
		b.network.AccessPoint.Address = netip.Addr{}
		return 0
	})
	p.Resize(1280, 900, 1, false)
	press(t, p, "#back")
	p.Eventually("the settings again", func() bool { return shows(p) == "settings" && text(p, "joined") == "On “Home”." })
	press(t, p, `#networks [data-ssid="Cafe"]`)
	fill(t, p, "set-name", "Den")
	picture(t, p, "wide")
	press(t, p, "#save")
	p.Eventually("that it is saved", func() bool { return shows(p) == "done" })
	for _, line := range []string{`name = "Den" # the room`, `ssid = "Cafe"`, `password = ""`} {
		if !strings.Contains(b.file(), line) {
			t.Errorf("%s is missing in %q", line, b.file())
		}
	}
	press(t, p, "#back")
	p.Eventually("the settings again", func() bool { return shows(p) == "settings" })
	press(t, p, "#leave")
	p.Eventually("the gate", func() bool { return shows(p) == "gate" })

	var title string
	_ = p.Eval("document.title", &title)
	if title != "Aerie settings" {
		t.Errorf("a network's name has run: %q", title)
	}
	for _, line := range p.Console() {
		if !strings.Contains(line, "Failed to load resource") { // refusals, as they should be
			t.Errorf("console: %s", line)
		}
	}
}
