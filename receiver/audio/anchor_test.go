package audio

import (
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// syncs feeds a filter with a sync packet a second, each as late as late says,
// and calls check with how late the anchor is after each.
func syncs(count int, late func(second int) time.Duration, check func(second int, off time.Duration)) {
	var f anchorFilter
	for i := range count {
		// Every 125 packets of 352 frames.
		frame := int64(i) * 44000
		truth := clock.Remote(frame * 1e9 / 44100)
		a := f.add(Anchor{Frame: frame, At: truth.Add(late(i)), Lead: 11025}, false, 44100)
		check(i, a.Heard(frame, 44100).Sub(truth))
	}
}

func TestAnchorFollowsExactSenders(t *testing.T) {
	drift := func(second int) time.Duration { return time.Duration(second) * 100 * time.Microsecond }
	syncs(600, drift, func(i int, off time.Duration) {
		if wrong := off - drift(i); i > anchorRun && wrong != 0 {
			t.Fatalf("second %d: off by %v", i, wrong)
		}
	})
}

// The anchor does not tremble with a sender that does.
func TestAnchorStaysWithTremblingSenders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, late := range map[string]func(int) time.Duration{
		"at random":    func(int) time.Duration { return time.Duration(rng.Int64N(int64(20 * time.Millisecond))) },
		"in saw teeth": func(i int) time.Duration { return time.Duration(i%32) * 730 * time.Microsecond },
		"with outliers": func(i int) time.Duration {
			if i%17 == 3 {
				return time.Second
			}
			return time.Duration(rng.Int64N(int64(10 * time.Millisecond)))
		},
	} {
		moves, last := 0, time.Duration(0)
		syncs(600, late, func(i int, off time.Duration) {
			if i > 0 && (off-last).Abs() > 250*time.Microsecond {
				moves++
			}
			last = off
			if off < -time.Millisecond || off > 25*time.Millisecond {
				t.Errorf("%s, second %d: off by %v", name, i, off)
			}
		})
		if moves > 1 {
			t.Errorf("%s: the anchor moved %d times", name, moves)
		}
	}
}

// A trembling sender whose sound runs 100 ppm fast is followed all the same.
func TestAnchorFollowsDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	drift := func(second int) time.Duration { return time.Duration(second) * 100 * time.Microsecond }
	late := func(i int) time.Duration {
		return drift(i) + time.Duration(rng.Int64N(int64(20*time.Millisecond)))
	}
	syncs(3600, late, func(i int, off time.Duration) {
		if wrong := off - drift(i); wrong < -8*time.Millisecond || wrong > 20*time.Millisecond {
			t.Fatalf("second %d: off by %v", i, wrong)
		}
	})
}

// The first packet may be quite wrong; a leap later on must be told twice.
func TestAnchorLeaps(t *testing.T) {
	const step = 276 * time.Millisecond
	late := func(i int) time.Duration {
		switch {
		case i == 0:
			return -step
		case i >= 100:
			return step
		}
		return 0
	}
	syncs(110, late, func(i int, off time.Duration) {
		want := late(i)
		if i == 100 {
			want = 0
		}
		if (off - want).Abs() > time.Microsecond {
			t.Errorf("second %d: off by %v, want %v", i, off, want)
		}
	})
}

func TestAnchorBeginsAnew(t *testing.T) {
	s := NewStream(Format{Codec: ALAC, Rate: 44100, Channels: 2, Bits: 16, Frames: 352}, nil)
	s.Sync(Sync{First: true, RTP: 0, At: clock.Remote(time.Second), Newest: 77175})
	s.Sync(Sync{First: true, RTP: 44100, At: clock.Remote(7 * time.Second), Newest: 44100 + 77175})
	if a, _ := s.Anchor(); a.Frame != 44100 || a.At != clock.Remote(7*time.Second) {
		t.Errorf("%+v", a)
	}
	// After a flush the next packet counts, though it does not say so.
	s.Sync(Sync{RTP: 88200, At: clock.Remote(8 * time.Second), Newest: 88200 + 77175})
	s.Flush(0, 0, false)
	s.Sync(Sync{RTP: 132300, At: clock.Remote(20 * time.Second), Newest: 132300 + 77175})
	if a, _ := s.Anchor(); a.Frame != 132300 || a.At != clock.Remote(20*time.Second) {
		t.Errorf("after a flush: %+v", a)
	}
}

// A sender that leaves part of the latency to the receiver gets it.
func TestSyncAddsTheLatency(t *testing.T) {
	for _, c := range []struct {
		relaxed, classic bool
		lead             uint32
		want             time.Duration
	}{
		{false, true, 77175, 0}, {true, false, 77175, 0}, {true, true, 77175, 250 * time.Millisecond}, {true, true, 0, 500 * time.Millisecond},
	} {
		s := NewStream(Format{Codec: ALAC, Rate: 44100, Channels: 2, Bits: 16, Frames: 352}, nil)
		s.Classic = c.classic
		p := Sync{First: true, Relaxed: c.relaxed, RTP: 1000, At: clock.Remote(time.Second), Newest: 1000 + c.lead}
		back, ok := ParseSync(p.AppendTo(nil))
		if !ok || back != p {
			t.Errorf("%+v became %+v", p, back)
		}
		s.Sync(back)
		if a, _ := s.Anchor(); a.At.Sub(p.At) != c.want {
			t.Errorf("%+v: later by %v", c, a.At.Sub(p.At))
		}
	}
}
