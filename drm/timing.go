package drm

import "time"

// phase predicts vertical blankings from the time stamps of those that were
// seen. The nominal interval of the mode is refined by what the display's clock
// does against this machine's, which crystals allow to differ by a few hundred
// parts per million at most.
type phase struct {
	nominal  time.Duration
	interval float64 // nanoseconds, measured
	anchor   int64   // time of the first blanking of the window, 0: none
	first    uint32  // its number
	last     int64   // time of the latest blanking, 0: none seen yet
	seq      uint32
}

const (
	// maxDrift is how far a measurement may be from the nominal interval before
	// it is taken for an error.
	maxDrift = 0.002
	// minWindow and maxWindow bound the measurement in blankings: short enough
	// to follow temperature, long enough that the microsecond of a time stamp
	// does not matter.
	minWindow = 30
	maxWindow = 3600
)

func newPhase(nominal time.Duration) phase {
	return phase{nominal: nominal, interval: float64(nominal)}
}

// observe takes in the time stamp of blanking number seq. Numbers wrap; a time
// of 0, which drivers give for the event of a mode setting, is no observation.
func (p *phase) observe(t int64, seq uint32) {
	if t <= 0 || p.last != 0 && t <= p.last {
		return
	}
	n := seq - p.first
	span := float64(t - p.anchor)
	steady := p.anchor != 0 && int32(seq-p.seq) > 0 &&
		abs(span-float64(n)*float64(p.nominal)) < float64(n)*float64(p.nominal)*maxDrift+float64(p.nominal)/4
	switch {
	case !steady:
		p.anchor, p.first = t, seq
	case n >= minWindow:
		p.interval = span / float64(n)
		if n >= maxWindow {
			p.anchor, p.first = t, seq
		}
	}
	p.last, p.seq = t, seq
}

// next is the first blanking later than after, and its number; ok is false
// until one has been seen.
func (p *phase) next(after int64) (t int64, seq uint32, ok bool) {
	if p.last == 0 || p.interval <= 0 {
		return 0, 0, false
	}
	if after < p.last {
		after = p.last
	}
	n := uint64(float64(after-p.last)/p.interval) + 1
	t = p.last + int64(float64(n)*p.interval)
	for t <= after { // rounding
		n++
		t = p.last + int64(float64(n)*p.interval)
	}
	return t, p.seq + uint32(n), true
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
