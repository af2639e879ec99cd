package sound

import "math"

// Onset is where a beep begins.
type Onset struct {
	// Sample is the position in samples per channel from the start of the
	// recording, with its fraction. It is negative if the beep began before.
	Sample float64
	// Match is how well the recording fits the beep, from minMatch to 1.
	Match float64
}

const (
	// minMatch is the least correlation that counts as a beep.
	minMatch = 0.6
	// apart is the time, in seconds, within which only the best of several
	// matches counts.
	apart = 0.3
)

// Find returns the beeps in a recording of interleaved samples, in order. A
// beep that is cut off at either end is found if the better half of it is
// there. Find returns none for a rate below 16000 or above 192000 Hz or less
// than one channel.
func Find[S int16 | float32](pcm []S, channels, rate int) []Onset {
	if rate < minRate || rate > maxRate || channels < 1 {
		return nil
	}
	m := newMatcher(rate)
	samples := len(pcm) / channels
	var found []Onset
	next := 0
	// A peak needs a neighbour on each side, so blocks overlap by two lags.
	step := m.lags() - 2
	for start := step - m.size; start < samples; start += step {
		kept := copy(m.samples, m.samples[step:])
		for i := kept; i < m.size; i++ {
			m.samples[i] = m.band.pass(mix(pcm, channels, next))
			next++
		}
		for _, peak := range m.peaks() {
			found = keepBest(found, Onset{float64(start) + peak.Sample, peak.Match}, apart*float64(rate))
		}
	}
	return found
}

// mix returns the sum of all channels of a sample, 0 behind the end of the
// recording and for what is no number.
func mix[S int16 | float32](pcm []S, channels, at int) (sum float64) {
	if (at+1)*channels > len(pcm) {
		return 0
	}
	for _, v := range pcm[at*channels : (at+1)*channels] {
		sum += float64(v)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return 0
	}
	return sum
}

// keepBest appends an onset unless the last one is near and better; it
// replaces one that is near and worse.
func keepBest(found []Onset, next Onset, apart float64) []Onset {
	if n := len(found); n > 0 && next.Sample-found[n-1].Sample < apart {
		if next.Match > found[n-1].Match {
			found[n-1] = next
		}
		return found
	}
	return append(found, next)
}

// matcher correlates blocks of a recording with the beep. Both pass the same
// filter before, which leaves the beep's band: what else sounds, above all
// the chord, does not count.
type matcher struct {
	band     bandPass
	size     int // samples of a block, a power of two
	beep     []float64
	energy   float64      // of the beep
	spectrum []complex128 // of the beep, conjugated
	samples  []float64    // a block of the recording
	block    []complex128
	squares  []float64 // running sums of the samples' squares
	match    []float64 // correlation at each lag, -1 to 1
}

func newMatcher(rate int) *matcher {
	m := &matcher{size: 1, beep: beep(rate), band: newBandPass(rate)}
	m.beep = append(m.beep, make([]float64, rate/200)...) // room for the filter to fade
	filter := m.band
	for i, v := range m.beep {
		m.beep[i] = filter.pass(v)
	}
	for m.size < 4*len(m.beep) {
		m.size *= 2
	}
	m.spectrum = make([]complex128, m.size)
	m.samples = make([]float64, m.size)
	m.block = make([]complex128, m.size)
	m.squares = make([]float64, m.size+1)
	m.match = make([]float64, m.lags())
	for i, v := range m.beep {
		m.spectrum[i] = complex(v, 0)
		m.energy += v * v
	}
	fft(m.spectrum)
	for i, v := range m.spectrum {
		m.spectrum[i] = complex(real(v), -imag(v))
	}
	return m
}

// lags is how many positions of the beep lie in a block as a whole.
func (m *matcher) lags() int { return m.size - len(m.beep) + 1 }

// peaks returns the local maxima of the match that are high enough.
func (m *matcher) peaks() (peaks []Onset) {
	m.correlate()
	for i := 1; i < len(m.match)-1; i++ {
		before, here, after := math.Abs(m.match[i-1]), math.Abs(m.match[i]), math.Abs(m.match[i+1])
		if here < minMatch || here < before || here <= after {
			continue
		}
		// The top of the parabola through the three.
		offset := (before - after) / (2 * (before - 2*here + after))
		peaks = append(peaks, Onset{float64(i) + offset, min(here, 1)})
	}
	return peaks
}

// correlate fills match.
func (m *matcher) correlate() {
	for i, v := range m.samples {
		m.block[i] = complex(v, 0)
		m.squares[i+1] = m.squares[i] + v*v
	}
	fft(m.block)
	for i, v := range m.spectrum {
		// The inverse transform is the forward one of the conjugate.
		p := m.block[i] * v
		m.block[i] = complex(real(p), -imag(p))
	}
	fft(m.block)
	// What is quieter than this is the rounding error of something louder.
	least := 1e-9 * m.squares[m.size]
	for i := range m.match {
		m.match[i] = 0
		if energy := m.squares[i+len(m.beep)] - m.squares[i]; energy > least {
			m.match[i] = real(m.block[i]) / float64(m.size) / math.Sqrt(energy*m.energy)
		}
	}
}
