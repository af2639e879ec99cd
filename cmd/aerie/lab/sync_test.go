package lab

import (
	"math"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/pattern/sound"
)

// TestLabSync measures lip-sync where it counts: the instants at which pictures
// appear are the kernel's flip time stamps, those of the beeps are the kernel's
// time stamps of the card that captured them, both on CLOCK_MONOTONIC. The
// sender's clock is this machine's, so both can be held against the stamps that
// the sender gave.
func TestLabSync(t *testing.T) {
	g := newRig(t, "sync")
	ear := g.record()
	tone, err := phone.NewTone(audio.PCM)
	if err != nil {
		t.Fatal(err)
	}
	src := newSource(t, 320, 240, 30)
	stop := g.mirror(phone.Options{Picture: src, Sound: tone})
	g.until("picture", func() bool { return g.shown() > 0 })
	begin := ear.Frames()
	g.until("twelve seconds of sound", func() bool { return ear.Frames() > begin+12*44100 })
	g.until("enough pictures to have a median", func() bool { return g.shown() > 30 })
	picture := time.Duration(-1)
	for _, s := range g.status().Latency {
		if s.Name == "pattern to shown" && s.Count > 20 {
			picture = time.Duration(s.Median * float64(time.Millisecond))
		}
	}
	kept := float64(g.shown()) / float64(g.pictures())
	stop()
	if picture < 0 {
		t.Fatalf("no latency of the picture in %+v", g.status().Latency)
	}
	// Half an interval of the display, and the loopback card's timer; three
	// times that, for the machine is emulated and shared.
	most := 3 * 15 * time.Millisecond
	if kept < 0.9 {
		// Pictures come after they are due: then they lag, for sound cannot
		// wait longer than the settings allow.
		most = 10 * most
		t.Logf("this machine is too busy to show more than %.0f %% of the pictures", 100*kept)
	}
	first := time.Duration(src.began())
	n := 0
	for _, b := range sound.Find(ear.Samples(0), 2, 44100) {
		heard, ok := ear.When(b.Sample)
		if !ok {
			continue
		}
		// The n-th beep belongs to the instant n seconds after the first picture.
		since := (heard - first).Seconds()
		late := time.Duration((since - math.Floor(since)) * float64(time.Second))
		skew := late - picture
		t.Logf("beep heard %v after its stamp, the picture is %v after its own: skew %v", late, picture, skew)
		if n++; n > 2 && (skew > most || skew < -most) { // the delay settles at first
			t.Errorf("picture and sound are %v apart", skew)
		}
	}
	if kept >= 0.9 && n < 4 { // else sound has no less trouble than the picture
		t.Errorf("%d beeps", n)
	}
}
