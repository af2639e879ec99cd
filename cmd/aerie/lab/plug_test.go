package lab

import (
	"fmt"
	"os"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/hw/lab/bench"
	"aerie/receiver/audio"
)

// held is what a receiver must not lose.
type held struct{ descriptors, handles, framebuffers, dmabufs int }

func (h held) String() string {
	return fmt.Sprintf("%d descriptors, %d GEM handles, %d frame buffers, %d dma-bufs", h.descriptors, h.handles, h.framebuffers, h.dmabufs)
}

func (g *rig) held() held {
	g.t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		g.t.Fatal(err)
	}
	return held{len(fds), g.card.Handles(), g.card.Framebuffers(), bench.DMABufs(g.t)}
}

// TestLabPlug50 unplugs the television and plugs it in, fifty times (five with
// -short), while a sender mirrors: picture and sound are back each time, sound
// not before the picture's mode, and nothing more is held. A round takes three
// seconds; on a machine that is too busy for fifty within the time of the test
// it says how many there were.
func TestLabPlug50(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	g := newRig(t, "tv")
	ear := g.record()
	sound, err := phone.NewTone(audio.PCM)
	if err != nil {
		t.Fatal(err)
	}
	g.mirror(phone.Options{Picture: newSource(t, 320, 240, 20), Sound: sound})
	plays := func() bool { return g.plays(ear) }
	g.until("picture", func() bool { return g.shown() > 10 })
	g.until("sound", plays)

	var first, most held
	const least = 5
	for i := range rounds {
		if end, limited := t.Deadline(); limited && i >= least && time.Until(end) < 2*patient {
			t.Logf("this machine is busy: %d rounds of %d", i, rounds)
			break
		}
		g.card.Plug(0, false)
		g.until("unplugged", func() bool { return g.log.count("display unplugged") == i+1 })
		g.until("silence", func() bool { return !plays() })
		g.card.Plug(0, true)
		g.until("plugged", func() bool { return g.log.count("msg=display connector=") == i+1 })
		before := g.shown()
		g.until("the picture is back", func() bool { return g.shown() > before+5 })
		g.until("the sound is back", plays)
		now := g.held()
		if i == 0 {
			first, most = now, now
		}
		// A picture may be on its way in one round and not in another.
		most = held{max(most.descriptors, now.descriptors), max(most.handles, now.handles), max(most.framebuffers, now.framebuffers), max(most.dmabufs, now.dmabufs)}
	}
	t.Logf("held after the first round: %v; at most: %v", first, most)
	const swing = 3 // pictures between the decoder and the screen
	if most.descriptors > first.descriptors+swing || most.handles > first.handles+swing || most.framebuffers > first.framebuffers+swing || most.dmabufs > first.dmabufs+swing {
		t.Errorf("after the first round %v were held, later %v", first, most)
	}
	if n := g.metric("aerie_picture_copied_bytes_total"); n != 0 {
		t.Errorf("%v bytes of pictures were copied", n)
	}
	g.stop()
	if h := g.held(); h.handles+h.framebuffers+h.dmabufs != 0 {
		t.Errorf("held in the end: %v", h)
	}
}

// plays listens for a tenth of a second and tells whether there is sound.
func (g *rig) plays(ear *bench.Capture) bool {
	g.t.Helper()
	from := ear.Frames()
	g.until("a tenth of a second is recorded", func() bool { return ear.Frames() > from+4410 })
	for _, v := range ear.Samples(from) {
		if v != 0 {
			return true
		}
	}
	return false
}

// TestLabHeadless starts without a television. A sender may come all the same;
// when a set is plugged in, first on one port and then on the other, it shows
// the picture, and then there is sound.
func TestLabHeadless(t *testing.T) {
	g := startRig(t, "bare", false)
	ear := g.record()
	sound, err := phone.NewTone(audio.PCM)
	if err != nil {
		t.Fatal(err)
	}
	g.mirror(phone.Options{Picture: newSource(t, 320, 240, 20), Sound: sound})
	g.until("pictures are decoded", func() bool { return g.metric("aerie_pictures_decoded_total") > 20 })
	if g.shown() != 0 || g.plays(ear) {
		t.Error("there is a picture or sound without a television")
	}
	for _, port := range []int{1, 0} {
		before := g.shown()
		g.card.Plug(port, true)
		g.until("the picture", func() bool { return g.shown() > before+5 })
		g.until("the sound", func() bool { return g.plays(ear) })
		g.card.Plug(port, false)
		g.until("silence", func() bool { return !g.plays(ear) })
	}
}
