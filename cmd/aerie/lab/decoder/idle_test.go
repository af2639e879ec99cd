package decoder

import (
	"image/color"
	"testing"
	"time"

	"aerie/receiver"
	"aerie/receiver/screen"
)

// TestLabIdle reads the display back while nobody plays: it shows how to
// connect, a notice, and the receiver's name when it is to identify itself. It
// commits nothing while nothing changes.
func TestLabIdle(t *testing.T) {
	g := startHardwareRig(t, nil)
	shown := func() uint64 { return g.display.Status().Counters.Shown }
	// after does something, waits until the display shows it and is at rest, as
	// reading back wants it, and counts the pixels in the colours of what is
	// well and of what is not.
	after := func(do func()) (accent, warm int) {
		t.Helper()
		was := shown()
		do()
		g.until("something to be shown", func() bool { return shown() > was })
		last, since := shown(), time.Now()
		g.until("rest", func() bool {
			if n := shown(); n != last {
				last, since = n, time.Now()
			}
			return time.Since(since) > 2*time.Second
		})
		shot, err := g.display.Capture()
		if err != nil {
			t.Fatal(err)
		}
		return pixels(shot, color.RGBA{55, 211, 196, 255}), pixels(shot, color.RGBA{255, 180, 84, 255})
	}
	g.until("the first screen", func() bool { return shown() > 0 })
	width, height := g.display.Size()

	_, before := after(func() { g.r.Notify(receiver.TopicFleet, screen.Notice{Title: "News"}) })
	accent, warm := after(func() {
		g.r.Notify(receiver.TopicSettings, screen.Notice{Level: screen.Warning, Title: "Mistake in the settings", Text: "line 7"})
		g.r.Notify(receiver.TopicFleet, screen.Notice{})
	})
	if warm < before+100 || accent < 20 || accent > width*height/10 {
		t.Errorf("a notice: %d pixels of the accent, %d of a warning, %d before", accent, warm, before)
	}
	if accent, _ = after(func() { g.r.Identify(time.Minute) }); accent < width*height/2 {
		t.Errorf("the name: %d pixels of the accent", accent)
	}
	if accent, _ = after(func() { g.r.Identify(0) }); accent > width*height/10 {
		t.Errorf("afterwards: %d pixels of the accent", accent)
	}

	// Of what changes nothing, one may be that of a minute.
	was := shown()
	time.Sleep(6 * time.Second)
	if n := shown() - was; n > 1 {
		t.Errorf("%d commits in six seconds of nothing", n)
	}
}
