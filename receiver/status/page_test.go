package status

import (
	"strings"
	"testing"
	"time"

	"aerie/receiver/live"
	"aerie/receiver/status/chromium"
)

// shows waits until the page shows a picture that is not older than maxAge
// frames, and then a later one.
func shows(t testing.TB, p *chromium.Tab, f *feed, maxAge uint32) {
	t.Helper()
	var first uint32
	p.Eventually("a present picture in a screenshot", func() bool {
		oldest := f.newest() - min(f.newest(), maxAge)
		n, ok := p.Frame()
		if ok && n > f.newest() {
			t.Fatalf("frame %d is shown before it was sent, the newest is %d", n, f.newest())
		}
		first = n
		return ok && n >= oldest
	})
	p.Eventually("a later picture", func() bool {
		n, ok := p.Frame()
		return ok && n > first
	})
}

func view(p *chromium.Tab) string { return chromium.Ask[string](p, "document.body.dataset.view") }

// clean fails when the page complained, as it would of a policy that it breaks.
func clean(t testing.TB, p *chromium.Tab) {
	t.Helper()
	for _, line := range p.Console() {
		t.Errorf("console: %s", line)
	}
}

// TestPage follows a visitor through an evening in headless Chromium: an idle
// page, a picture with sound, the phone turned, locked, gone and back.
func TestPage(t *testing.T) {
	c := chromium.Start(t)
	b := startBench(t, "", live.Options{})
	f := &feed{t: t, view: b.view, fps: 30}
	p := c.Open(b.url(), 1280, 800)
	p.Eventually("the idle view with the name", func() bool {
		var title string
		p.Eval("document.title", &title)
		return title == "Living Room" && view(p) == "idle"
	})
	b.set(func(s *Snapshot) { s.PIN = "4821" })
	p.Eventually("the PIN", func() bool {
		return chromium.Ask[string](p, `document.getElementById("pin-digits").innerText`) == "4821"
	})
	b.set(func(s *Snapshot) { s.PIN = "" })

	b.view.Start()
	b.set(mirroring(1280, 720, 30, &b.view.HandOver))
	stop := f.start(1280, 720, makeAAC(t))
	// Three seconds are far above what the picture is behind, and far below what
	// it would be if the page played everything from the beginning.
	const maxAge = 90
	shows(t, p, f, maxAge)
	p.Eventually("sound in step with the picture", func() bool {
		return chromium.Ask[bool](p, "player.sound.playing && Math.abs(player.skew) < 40")
	})
	p.Eventually("latencies told to the receiver", func() bool { return b.presented.Count() > 30 })
	if b.presented.Quantile(0.5) > 3*time.Second {
		t.Errorf("half of the pictures were shown after %v", b.presented.Quantile(0.5))
	}

	f.size(720, 1280)
	p.Eventually("the turned picture", func() bool { return chromium.Ask[int](p, "player.picture.element.videoWidth") == 720 })
	shows(t, p, f, maxAge)

	f.pause(true)
	p.Eventually("the last picture of a locked phone", func() bool {
		n, ok := p.Frame()
		return ok && n == f.newest()
	})
	f.pause(false)
	shows(t, p, f, maxAge)

	p.Reload()
	shows(t, p, f, maxAge)
	clean(t, p)

	stop()
	b.view.End()
	b.set(func(s *Snapshot) { *s = idleSnapshot() })
	p.Eventually("the idle view", func() bool { return view(p) == "idle" })
}

// TestLatePage opens the page when the key picture lies twenty seconds back:
// phones send no other.
func TestLatePage(t *testing.T) {
	c := chromium.Start(t)
	b := startBench(t, "", live.Options{})
	f := &feed{t: t, view: b.view, fps: 60}
	b.view.Start()
	b.set(mirroring(640, 360, 60, nil))
	f.start(640, 360, nil)
	for f.newest() < 20*60 {
		time.Sleep(50 * time.Millisecond)
	}
	p := c.Open(b.url(), 1280, 800)
	shows(t, p, f, 180)
	clean(t, p)
}

// TestRestart has the receiver go and come back at the same address: the page
// comes back by itself.
func TestRestart(t *testing.T) {
	c := chromium.Start(t)
	b := startBench(t, "", live.Options{})
	p := c.Open(b.url(), 800, 600)
	p.Eventually("the idle view", func() bool { return view(p) == "idle" })
	b.stop()
	p.Eventually("that the receiver is away", func() bool { return view(p) == "away" })
	b2 := startBench(t, b.addr, live.Options{})
	f := &feed{t: t, view: b2.view, fps: 30}
	b2.view.Start()
	b2.set(mirroring(640, 360, 30, nil))
	f.start(640, 360, nil)
	shows(t, p, f, 90)
}

// TestTooLate says what to do when the key picture is out of reach.
func TestTooLate(t *testing.T) {
	c := chromium.Start(t)
	b := startBench(t, "", live.Options{MaxHistory: 1 << 20})
	f := &feed{t: t, view: b.view, fps: 60}
	b.view.Start()
	b.set(mirroring(1280, 720, 60, nil))
	f.start(1280, 720, nil)
	p := c.Open(b.url(), 1280, 800)
	p.Eventually("a word of what to do", func() bool {
		return strings.Contains(chromium.Ask[string](p, `document.getElementById("notice-title").innerText`), "fresh start")
	})
	f.size(1280, 720)
	shows(t, p, f, 180)
}
