package decoder

import (
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/drm"
	"aerie/hw/lab/bench"
	"aerie/hw/v4l2/stateless"
	"aerie/receiver"
	"aerie/receiver/clock"
	"aerie/receiver/config"
)

// pausing is a clip that stands still after some pictures.
type pausing struct {
	*phone.Clip
	mu   sync.Mutex
	left int
}

func (p *pausing) When() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return time.Hour, nil
	}
	return p.Clip.When()
}

func (p *pausing) Next(dst []byte, at clock.Remote, restart bool) ([]byte, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	return p.Clip.Next(dst, at, restart)
}

// TestLabHEVC: a clip that is mirrored in HEVC goes through the kernel's
// stateless decoder, which draws colour bars instead of decoding, and the
// display shows its memory: nothing is copied, nothing is lost.
func TestLabHEVC(t *testing.T) {
	bench.Need(t)
	dev, err := stateless.Find()
	if err != nil {
		t.Fatal(err)
	}
	g := startHardwareRig(t, &receiver.Hardware{HEVC: &dev, Stall: waitLimit}, func(c *config.Config) { c.Video.HEVC = true })
	clip, err := phone.OpenClip("testdata/hevc.mp4", 10)
	if err != nil {
		t.Fatal(err)
	}
	clip.Loop = true // it has 20 pictures
	const frames = 45
	g.mirror(&pausing{Clip: clip, left: frames})
	g.until("all pictures decoded", func() bool { return g.metric("aerie_pictures_decoded_in_hardware_total") == frames })
	shown, since := -1.0, time.Now()
	g.until("the last one on the screen, and no other", func() bool {
		if n := g.metric("aerie_pictures_shown_total"); n != shown {
			shown, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	shot, err := g.display.Capture()
	if err != nil {
		t.Fatal(err)
	}
	checkBars(t, shot)
	s := g.status()
	if s.Picture == nil || !strings.HasPrefix(s.Picture.Decoder, "hardware: "+dev.Path) || s.Picture.Copied != 0 {
		t.Errorf("status %+v", s.Picture)
	}
	for _, name := range []string{"aerie_picture_copied_bytes_total", "aerie_pictures_decoded_total", "aerie_hardware_decoder_failures_total",
		"aerie_pictures_undecodable_total"} {
		if n := g.metric(name); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
}

// TestLabHEVCTakeover: a decoder that does not answer in time gives way to
// software, which begins with the key picture that the hardware had.
func TestLabHEVCTakeover(t *testing.T) {
	bench.Load(t, "visl", "visl_transtime_ms=2000")
	t.Cleanup(func() { bench.Load(t, "visl") })
	dev, err := stateless.Find()
	if err != nil {
		t.Fatal(err)
	}
	g := startHardwareRig(t, &receiver.Hardware{HEVC: &dev, Stall: 200 * time.Millisecond}, func(c *config.Config) { c.Video.HEVC = true })
	clip, err := phone.OpenClip("testdata/hevc.mp4", 10)
	if err != nil {
		t.Fatal(err)
	}
	const frames = 15
	g.mirror(&pausing{Clip: clip, left: frames})
	g.until("all pictures decoded in software", func() bool { return g.metric("aerie_pictures_decoded_total") == frames })
	if n := g.metric("aerie_hardware_decoder_failures_total"); n != 1 {
		t.Errorf("%v failures", n)
	}
	if s := g.status(); s.Picture == nil || s.Picture.Decoder != "software" {
		t.Errorf("status %+v", s.Picture)
	}
	if n := g.metric("aerie_pictures_undecodable_total"); n != 0 {
		t.Errorf("%v errors of the decoder", n)
	}
}

// checkBars looks for the eight colour bars near the bottom of the screen,
// below what visl writes over them. Which matrix they were made with is visl's
// affair, so they need only be the right ones.
func checkBars(t *testing.T, shot *drm.Screenshot) {
	t.Helper()
	bars := [][3]int{{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0}, {191, 0, 191}, {191, 0, 0}, {0, 0, 191}, {0, 0, 0}}
	for i, want := range bars {
		r, g, b := shot.RGB((2*i+1)*shot.Width/16, shot.Height-8)
		for c, got := range [3]int{r, g, b} {
			if got < want[c]-60 || got > want[c]+60 {
				t.Errorf("bar %d is %d, %d, %d, want %v", i, r, g, b, want)
				break
			}
		}
	}
}

// Where the settings do not ask for it, HEVC stays with software, and probe says
// so.
func TestLabHEVCIsOff(t *testing.T) {
	bench.Need(t)
	c := config.Default()
	c.Video.Output, c.Audio.Output = "kms", "none"
	for _, on := range []bool{false, true} {
		c.Video.HEVCHardware = on
		choice, err := receiver.Choose(c)
		if err != nil {
			t.Fatal(err)
		}
		want := "HEVC in software: there is /dev/video"
		if on {
			want = "HEVC by /dev/video"
		}
		if !strings.HasPrefix(choice.HEVC, want) {
			t.Errorf("on %v: %q", on, choice.HEVC)
		}
	}
}
