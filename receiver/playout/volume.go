package playout

import (
	"fmt"
	"math"
	"sync/atomic"
)

// Curve is how a volume in dB becomes a gain. Senders give the position of a
// slider as -30 dB at its lower end to 0 at its upper, and -144 for silence
// (reference section 12.2).
type Curve uint8

// Curves.
const (
	// Flat takes the decibels as they are.
	Flat Curve = iota
	// Taper halves the loudness with the slider's position: 10 dB for every
	// halving, so that the lower end is nearly silent.
	Taper
)

// ParseCurve parses the name of a curve: "flat" or "taper".
func ParseCurve(name string) (Curve, error) {
	switch name {
	case "flat":
		return Flat, nil
	case "taper":
		return Taper, nil
	}
	return Flat, fmt.Errorf("playout: volume curve %q is neither flat nor taper", name)
}

const lowestDB = -30

// MuteDB is the volume that means silence on the wire.
const MuteDB = -144

// Gain returns the factor for a volume in dB: 0 below -30, 1 from 0 on.
func (c Curve) Gain(db float64) float32 {
	switch {
	case math.IsNaN(db) || db < lowestDB:
		return 0
	case db >= 0:
		return 1
	case c == Taper:
		db = 10 * math.Log2(1-db/lowestDB)
	}
	return float32(math.Pow(10, db/20))
}

// Volume is a gain that changes without a noise. Set is safe while another
// goroutine applies it; before the first Set it is silence.
type Volume struct {
	goal    atomic.Uint32 // float32 bits
	gain    float32
	started bool
}

// rampFrames is over how many frames the whole range is spread: 10 ms at
// 48 kHz.
const rampFrames = 480

// Set sets the gain.
func (v *Volume) Set(gain float32) { v.goal.Store(math.Float32bits(gain)) }

// Apply scales interleaved sound in place.
func (v *Volume) Apply(pcm []float32, channels int) {
	goal := math.Float32frombits(v.goal.Load())
	if !v.started {
		v.gain, v.started = goal, true
	}
	i := 0
	for ; v.gain != goal && i+channels <= len(pcm); i += channels {
		const step = 1.0 / rampFrames
		v.gain += min(max(goal-v.gain, -step), step)
		for ch := range channels {
			pcm[i+ch] *= v.gain
		}
	}
	if v.gain == 1 {
		return
	}
	for j := i; j < len(pcm); j++ {
		pcm[j] *= v.gain
	}
}
