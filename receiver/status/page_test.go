package status

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
	"time"

	"aerie/receiver/live"
	"aerie/receiver/pattern/stamp"
)

// patience is how long the page may take for what usually takes a second or
// two: browsers are slow on a busy machine.
const patience = time.Minute

// eventually waits for something that the page brings about by itself.
func eventually(t testing.TB, p *tab, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if happens() {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Fatalf("in %v not: %s\nconsole: %s", patience, what, strings.Join(p.console, "\n"))
}

// seen reads the stamp in a screenshot: what a person sees now.
func seen(t testing.TB, p *tab) (frame uint32, ok bool) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(p.screenshot()))
	if err != nil {
		t.Fatal(err)
	}
	s, _, ok := stamp.FindImage(img)
	return s.Frame, ok
}

// shows waits until the page shows a picture that is not older than maxAge
// frames, and then a later one.
func shows(t testing.TB, p *tab, f *feed, maxAge uint32) {
	t.Helper()
	var first uint32
	eventually(t, p, "a present picture in a screenshot", func() bool {
		oldest := f.newest() - min(f.newest(), maxAge)
		n, ok := seen(t, p)
		if ok && n > f.newest() {
			t.Fatalf("frame %d is shown before it was sent, the newest is %d", n, f.newest())
		}
		first = n
		return ok && n >= oldest
	})
	eventually(t, p, "a later picture", func() bool {
		n, ok := seen(t, p)
		return ok && n > first
	})
}

// query evaluates an expression with the page's player and the document.
func query[T any](t testing.TB, p *tab, expression string) (v T) {
	t.Helper()
	if err := p.eval(`import("/app.js").then(({player, figures, probe}) => `+expression+`)`, &v); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func view(t testing.TB, p *tab) string { return query[string](t, p, "document.body.dataset.view") }

// clean fails when the page complained, as it would of a policy that it breaks.
func clean(t testing.TB, p *tab) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.console {
		t.Errorf("console: %s", line)
	}
}

// TestPage follows a visitor through an evening in headless Chromium: an idle
// page, a picture with sound, the phone turned, locked, gone and back.
func TestPage(t *testing.T) {
	c := startChromium(t)
	b := startBench(t, "", live.Options{})
	f := &feed{t: t, view: b.view, fps: 30}
	p := c.open(b.url(), 1280, 800)
	eventually(t, p, "the idle view with the name", func() bool {
		var title string
		p.eval("document.title", &title)
		return title == "Living Room" && view(t, p) == "idle"
	})
	b.set(func(s *Snapshot) { s.PIN = "4821" })
	eventually(t, p, "the PIN", func() bool {
		return query[string](t, p, `document.getElementById("pin-digits").innerText`) == "4821"
	})
	b.set(func(s *Snapshot) { s.PIN = "" })

	b.view.Start()
	b.set(mirroring(1280, 720, 30, &b.view.HandOver))
	stop := f.start(1280, 720, makeAAC(t))
	// Three seconds are far above what the picture is behind, and far below what
	// it would be if the page played everything from the beginning.
	const maxAge = 90
	shows(t, p, f, maxAge)
	eventually(t, p, "sound in step with the picture", func() bool {
		return query[bool](t, p, "player.sound.playing && Math.abs(player.skew) < 40")
	})
	eventually(t, p, "latencies told to the receiver", func() bool { return b.presented.Count() > 30 })
	if b.presented.Quantile(0.5) > 3*time.Second {
		t.Errorf("half of the pictures were shown after %v", b.presented.Quantile(0.5))
	}

	f.size(720, 1280)
	eventually(t, p, "the turned picture", func() bool { return query[int](t, p, "player.picture.element.videoWidth") == 720 })
	shows(t, p, f, maxAge)

	f.pause(true)
	eventually(t, p, "the last picture of a locked phone", func() bool {
		n, ok := seen(t, p)
		return ok && n == f.newest()
	})
	f.pause(false)
	shows(t, p, f, maxAge)

	p.reload()
	shows(t, p, f, maxAge)
	clean(t, p)

	stop()
	b.view.End()
	b.set(func(s *Snapshot) { *s = idleSnapshot() })
	eventually(t, p, "the idle view", func() bool { return view(t, p) == "idle" })
}

// TestLatePage opens the page when the key picture lies twenty seconds back:
// phones send no other.
func TestLatePage(t *testing.T) {
	c := startChromium(t)
	b := startBench(t, "", live.Options{})
	f := &feed{t: t, view: b.view, fps: 60}
	b.view.Start()
	b.set(mirroring(640, 360, 60, nil))
	f.start(640, 360, nil)
	for f.newest() < 20*60 {
		time.Sleep(50 * time.Millisecond)
	}
	p := c.open(b.url(), 1280, 800)
	shows(t, p, f, 180)
	clean(t, p)
}

// TestRestart has the receiver go and come back at the same address: the page
// comes back by itself.
func TestRestart(t *testing.T) {
	c := startChromium(t)
	b := startBench(t, "", live.Options{})
	p := c.open(b.url(), 800, 600)
	eventually(t, p, "the idle view", func() bool { return view(t, p) == "idle" })
	b.stop()
	eventually(t, p, "that the receiver is away", func() bool { return view(t, p) == "away" })
	b2 := startBench(t, b.addr, live.Options{})
	f := &feed{t: t, view: b2.view, fps: 30}
	b2.view.Start()
	b2.set(mirroring(640, 360, 30, nil))
	f.start(640, 360, nil)
	shows(t, p, f, 90)
}

// TestTooLate says what to do when the key picture is out of reach.
func TestTooLate(t *testing.T) {
	c := startChromium(t)
	b := startBench(t, "", live.Options{MaxHistory: 1 << 20})
	f := &feed{t: t, view: b.view, fps: 60}
	b.view.Start()
	b.set(mirroring(1280, 720, 60, nil))
	f.start(1280, 720, nil)
	p := c.open(b.url(), 1280, 800)
	eventually(t, p, "a word of what to do", func() bool {
		return strings.Contains(query[string](t, p, `document.getElementById("notice-title").innerText`), "fresh start")
	})
	f.size(1280, 720)
	shows(t, p, f, 180)
}
