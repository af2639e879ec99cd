// Package sound makes the sound that belongs to the test pattern and finds it
// again in a recording: a soft chord in stereo, and at each whole second of
// pattern time, in step with the picture's flash, a beep.
//
// The beep is a chirp: its correlation with a recording peaks so sharply that
// Find places its onset to a small part of a sample period, also after the
// sound was scaled, mixed to one channel, resampled by a clock that runs a
// few hundred ppm off, or coded and decoded with loss.
//
// The package neither encodes nor plays sound, and it knows no clock: a
// position is a number of samples since pattern time zero.
//
// Proof: sound_test.go finds the beeps of scaled, resampled, noisy and
// inverted recordings to 0.1 ms and none in other sounds; the tests of package
// eld do so through its encoder and libavcodec; FuzzFind feeds any samples.
package sound

import (
	"fmt"
	"math"
	"time"
)

// BeepTime is how long a beep lasts. It begins at the whole second.
const BeepTime = 50 * time.Millisecond

// The beep rises from beepLow to beepHigh Hz, far above the chord. Its edges
// are soft for edgeTime.
const (
	beepLow   = 1000.0
	beepHigh  = 4000.0
	beepLevel = 0.5 // of full scale
	edgeTime  = 0.004
)

// chord holds the tones: Hz, whole numbers so that a second is a period, and
// the levels left and right.
var chord = [...]struct{ hz, left, right float64 }{
	{220, 0.050, 0.020},
	{277, 0.015, 0.045},
	{330, 0.025, 0.025},
	{440, 0.015, 0.010},
}

// Rates from which Source and Find work.
const (
	minRate = 16000
	maxRate = 192000
)

// Source is the pattern's sound at one sample rate. It may be used from
// several goroutines at once.
type Source struct {
	rate   int
	second []float32 // interleaved; the sound repeats every second
}

// New returns the sound at a rate of 16000 to 192000 Hz.
func New(rate int) (*Source, error) {
	if rate < minRate || rate > maxRate {
		return nil, fmt.Errorf("sound: sample rate %d: %d to %d are supported", rate, minRate, maxRate)
	}
	s := &Source{rate, make([]float32, 2*rate)}
	for i, v := range beep(rate) {
		s.second[2*i], s.second[2*i+1] = float32(beepLevel*v), float32(beepLevel*v)
	}
	for i := range rate {
		t := float64(i) / float64(rate)
		swell := 0.8 + 0.2*math.Cos(2*math.Pi*t)
		left, right := 0.0, 0.0
		for _, tone := range chord {
			v := swell * math.Sin(2*math.Pi*tone.hz*t)
			left += tone.left * v
			right += tone.right * v
		}
		s.second[2*i] += float32(left)
		s.second[2*i+1] += float32(right)
	}
	return s, nil
}

// beep returns the chirp at full scale.
func beep(rate int) []float64 {
	length := BeepTime.Seconds()
	b := make([]float64, int(length*float64(rate)))
	for i := range b {
		t := float64(i) / float64(rate)
		phase := 2 * math.Pi * (beepLow*t + (beepHigh-beepLow)/(2*length)*t*t)
		edge := min(t, length-t, edgeTime) / edgeTime
		b[i] = math.Sin(phase) * (1 - math.Cos(math.Pi*edge)) / 2
	}
	return b
}

// Fill fills dst with interleaved stereo samples, full scale at -1 and 1,
// from a position on. A beep begins at each multiple of the sample rate.
// Before position 0 there is silence.
func (s *Source) Fill(dst []float32, position int64) {
	s.run(len(dst), position, func(at int, samples []float32) { copy(dst[at:], samples) })
}

// FillInt16 is Fill for 16 bit samples.
func (s *Source) FillInt16(dst []int16, position int64) {
	s.run(len(dst), position, func(at int, samples []float32) {
		for i, v := range samples {
			dst[at+i] = int16(math.Round(float64(v) * math.MaxInt16))
		}
	})
}

// silence is what comes before position 0.
var silence [512]float32

// run calls put for consecutive parts of n values from a position on.
func (s *Source) run(n int, position int64, put func(at int, samples []float32)) {
	for at := 0; at < n; {
		part := silence[:]
		if position >= 0 {
			part = s.second[2*(position%int64(s.rate)):]
		} else if before := -2 * position; before < int64(len(part)) {
			part = part[:before]
		}
		part = part[:min(len(part), n-at)]
		put(at, part)
		at += len(part)
		position += int64(len(part) / 2)
	}
}
