package drm

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPhase runs displays whose clocks are off, whose time stamps have the
// microsecond grain of DRM events, and which skip blankings, and checks every
// prediction against the truth.
func TestPhase(t *testing.T) {
	nominal := vic16.Interval()
	for _, ppm := range []float64{0, 80, -80, 900} {
		rng := rand.New(rand.NewPCG(1, 2))
		true_ := float64(nominal) * (1 + ppm/1e6)
		at := func(seq uint32) float64 { return 5e9 + float64(seq)*true_ }
		p := newPhase(nominal)
		if _, _, ok := p.next(0); ok {
			t.Fatal("a prediction out of nothing")
		}
		p.observe(0, 0) // the event of a mode setting
		for seq := uint32(1); seq < 20000; seq += 1 + uint32(rng.IntN(3)) {
			p.observe(int64(at(seq))/1000*1000, seq)
			if seq < 200 {
				continue
			}
			// Two intervals and ten seconds ahead.
			for _, ahead := range []uint32{2, 600} {
				want := at(seq + ahead)
				got, n, ok := p.next(int64(want - true_/2))
				if diff := float64(got) - want; !ok || n != seq+ahead || diff > 200_000 || diff < -200_000 {
					t.Fatalf("%v ppm, blanking %d+%d: predicted %d at %v, off by %v", ppm, seq, ahead, n, got, time.Duration(diff))
				}
			}
		}
		if off := p.interval/true_ - 1; off > 5e-6 || off < -5e-6 {
			t.Errorf("%v ppm: measured interval is off by %.1f ppm", ppm, off*1e6)
		}
	}
}

// TestPhaseOutliers: a jump of numbers or of time begins a new measurement and
// never bends the interval.
func TestPhaseOutliers(t *testing.T) {
	nominal := vic16.Interval()
	p := newPhase(nominal)
	tm, seq := int64(1e9), uint32(1<<32-50) // the number wraps
	for range 100 {
		p.observe(tm, seq)
		tm, seq = tm+int64(nominal), seq+1
	}
	if off := p.interval - float64(nominal); off > 1 || off < -1 {
		t.Errorf("interval off by %v ns across the wrap", off)
	}
	p.observe(tm-int64(10*time.Second), seq) // back in time: ignored
	p.observe(tm+int64(time.Hour), seq+1)    // the display was off
	p.observe(tm+int64(time.Hour+nominal), seq+2)
	p.observe(tm+int64(2*time.Hour), 5) // the counter began anew
	if off := p.interval - float64(nominal); off > 1 || off < -1 {
		t.Errorf("interval off by %v ns after outliers", off)
	}
	if next, n, _ := p.next(tm + int64(2*time.Hour)); n != 6 || next != tm+int64(2*time.Hour)+int64(p.interval) {
		t.Errorf("next is %d at %d", n, next)
	}
}

func TestDebounce(t *testing.T) {
	b := debounce{quiet: 500, limit: 2000}
	if _, ok := b.due(); ok {
		t.Error("due without an event")
	}
	b.event(1000)
	if at, ok := b.due(); !ok || at != 1500 {
		t.Errorf("due %d", at)
	}
	b.event(1400)
	if at, _ := b.due(); at != 1900 {
		t.Errorf("prolonged to %d", at)
	}
	for now := int64(1800); now <= 6000; now += 400 { // a set that flaps for ever
		b.event(now)
	}
	if at, _ := b.due(); at != 3000 {
		t.Errorf("a flapping line is looked at at %d", at)
	}
	b.reset()
	b.event(9000)
	if at, _ := b.due(); at != 9500 {
		t.Errorf("after a reset due %d", at)
	}
}
