package alsa

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// hardware is a playback position as a driver tells it.
type hardware struct {
	rate    float64 // true frames per second
	granule int64   // steps of the position
	start   int64   // when frame 0 was heard
}

// told is the position told at t, truth when frame n is heard.
func (h hardware) told(t int64) int64 {
	n := int64(float64(t-h.start) * h.rate / 1e9)
	return n - n%h.granule
}

func (h hardware) truth(n int64) float64 { return float64(h.start) + float64(n)*1e9/h.rate }

func TestTimeline(t *testing.T) {
	for _, c := range []struct {
		rate    int
		ppm     float64
		granule int64
		period  int
		jitter  int64 // of the wake-up, ns
		limit   time.Duration
	}{
		{44100, 0, 1, 441, 100e3, 30 * time.Microsecond},
		{44100, 40, 16, 441, 300e3, 100 * time.Microsecond},   // a DMA burst
		{48000, -60, 48, 480, 2e6, 400 * time.Microsecond},    // a tick of 1 ms
		{44100, 100, 441, 441, 500e3, 250 * time.Microsecond}, // a whole period, told at the interrupt
		{48000, 25, 192, 480, 9e6, 1500 * time.Microsecond},   // 4 ms, wake-ups anywhere
	} {
		t.Run(fmt.Sprintf("%d Hz granule %d", c.rate, c.granule), func(t *testing.T) {
			h := hardware{rate: float64(c.rate) * (1 - c.ppm/1e6), granule: c.granule, start: 5e12}
			r := rand.New(rand.NewPCG(1, uint64(c.granule)))
			var l timeline
			l.reset(c.rate, c.period)
			var worst, late float64
			last, horizon := int64(0), int64(8*c.period)
			for k := int64(1); k <= 6000; k++ {
				now := int64(h.truth(k*int64(c.period))) + 1 + r.Int64N(c.jitter)
				if !l.observe(h.told(now), now) {
					t.Fatalf("snapshot %d taken for a discontinuity", k)
				}
				n := k*int64(c.period) + horizon
				off := float64(l.at(n)) - h.truth(n)
				if k > 100 { // the first second gathers snapshots
					worst = max(worst, math.Abs(off))
				}
				if k > 5000 {
					late = max(late, math.Abs(off))
				}
				// A position told in steps is at most a step behind.
				if math.Abs(off) > float64(l.bound())+float64(c.granule)*1e9/float64(c.rate)+1e4 {
					t.Fatalf("snapshot %d: off by %v, bound %v", k, time.Duration(off), l.bound())
				}
				if k > 100 && math.Abs(off) > float64(l.bound())+1e5 {
					t.Fatalf("snapshot %d: off by %v, bound %v", k, time.Duration(off), l.bound())
				}
				if d := l.at(n) - last; k > 200 && math.Abs(float64(d)-float64(c.period)*1e9/h.rate) > 2e5 {
					t.Fatalf("snapshot %d: play times are %v apart", k, time.Duration(d))
				}
				last = l.at(n)
			}
			t.Logf("off by %v at most, %v once settled; drift %.1f ppm (true %.1f), bound %v",
				time.Duration(worst), time.Duration(late), l.drift(), c.ppm, l.bound())
			if worst > float64(c.limit) {
				t.Errorf("off by %v, want at most %v", time.Duration(worst), c.limit)
			}
			if math.Abs(l.drift()-c.ppm) > 25 {
				t.Errorf("drift %.1f ppm, want %.1f", l.drift(), c.ppm)
			}
		})
	}
}

// A device that is suddenly ahead starts a new line at once, one that has lost
// time after a while; a snapshot that came late does not disturb.
func TestTimelineJump(t *testing.T) {
	h := hardware{rate: 44100, granule: 16}
	var l timeline
	l.reset(44100, 441)
	k := int64(1)
	watch := func(n int64, late int64) (jumps int) {
		for end := k + n; k < end; k++ {
			if !l.observe(h.told(k*1e7), k*1e7+late) {
				jumps++
			}
		}
		return jumps
	}
	precise := func(what string) {
		t.Helper()
		n := int64(float64(k) * 441)
		if off := float64(l.at(n)) - h.truth(n); math.Abs(off) > 1e6 {
			t.Errorf("%s: off by %v", what, time.Duration(off))
		}
	}
	if watch(500, 0) != 0 {
		t.Error("a jump without one")
	}
	if watch(timelineStrays-1, 50e6) != 0 {
		t.Error("late snapshots were taken for a jump")
	}
	precise("after late snapshots")
	h.start -= 300e6
	if watch(1, 0) != 1 {
		t.Error("a jump ahead by 300 ms went unnoticed")
	}
	precise("after a jump ahead")
	h.start += 300e6
	if watch(100, 0) != 1 {
		t.Error("a loss of 300 ms went unnoticed")
	}
	precise("after a loss")
}

func TestTimelineDoesNotAllocate(t *testing.T) {
	h := hardware{rate: 44100, granule: 16}
	var l timeline
	l.reset(44100, 441)
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1e7
		l.observe(h.told(now), now)
		l.at(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
