package sound

import "math"

// bandPass passes the band of the beep.
type bandPass struct{ high, low section }

func newBandPass(rate int) bandPass {
	return bandPass{newSection(beepLow*0.8, rate, true), newSection(beepHigh*1.25, rate, false)}
}

func (b *bandPass) pass(v float64) float64 { return b.low.pass(b.high.pass(v)) }

// section is a Butterworth filter of second order.
type section struct {
	b0, b1, b2, a1, a2 float64
	x1, x2, y1, y2     float64
}

// newSection returns a high-pass or low-pass filter by the bilinear
// transform.
func newSection(hz float64, rate int, highPass bool) section {
	sin, cos := math.Sincos(2 * math.Pi * hz / float64(rate))
	alpha := sin / math.Sqrt2
	s := section{a1: -2 * cos / (1 + alpha), a2: (1 - alpha) / (1 + alpha)}
	if highPass {
		s.b0 = (1 + cos) / 2 / (1 + alpha)
		s.b1 = -2 * s.b0
	} else {
		s.b0 = (1 - cos) / 2 / (1 + alpha)
		s.b1 = 2 * s.b0
	}
	s.b2 = s.b0
	return s
}

func (s *section) pass(x float64) float64 {
	y := s.b0*x + s.b1*s.x1 + s.b2*s.x2 - s.a1*s.y1 - s.a2*s.y2
	s.x1, s.x2 = x, s.x1
	s.y1, s.y2 = y, s.y1
	return y
}

// fft is the discrete Fourier transform of a power of two of values, in
// place.
func fft(v []complex128) {
	n := len(v)
	for i, j := 1, 0; i < n; i++ {
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		j ^= bit
		if i < j {
			v[i], v[j] = v[j], v[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		for k := range half {
			sin, cos := math.Sincos(-math.Pi * float64(k) / float64(half))
			w := complex(cos, sin)
			for i := k; i < n; i += 2 * half {
				a, b := v[i], v[i+half]*w
				v[i], v[i+half] = a+b, a-b
			}
		}
	}
}
