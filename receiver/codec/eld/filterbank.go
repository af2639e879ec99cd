package eld

import "math"

// filterbank is the analysis side of the low delay filterbank (ISO/IEC
// 14496-3, section 4.6.20) for one channel: each frame of n samples becomes
// n spectral lines. The window covers the last 15n/4 samples and has its
// weight near the newest, which is where the low delay comes from.
type filterbank struct {
	n       int
	window  []float64 // oldest sample first
	history []float64 // the samples the window covers
	folded  []float64 // n values whose DCT-IV is the spectrum
	rotate  []complex128
	in, out []complex128
	fft     *fft
}

func newFilterbank(n int) *filterbank {
	f := &filterbank{
		n:       n,
		window:  make([]float64, 15*n/4),
		history: make([]float64, 15*n/4),
		folded:  make([]float64, n),
		rotate:  make([]complex128, n/2),
		in:      make([]complex128, n/2),
		out:     make([]complex128, n/2),
		fft:     newFFT(n / 2),
	}
	synthesis := window480[:]
	if n == 512 {
		synthesis = window512[:]
	}
	for i, w := range synthesis {
		f.window[len(f.window)-1-i] = float64(w)
	}
	for k := range f.rotate {
		sin, cos := math.Sincos(-math.Pi * float64(4*k+1) / float64(4*n))
		f.rotate[k] = complex(cos, sin)
	}
	return f
}

// push moves the history on by one frame; the caller fills the n samples it
// returns.
func (f *filterbank) push() []float64 {
	copy(f.history, f.history[f.n:])
	return f.history[len(f.history)-f.n:]
}

// analyse writes the spectrum of the history to lines, n values, in the
// scale from which the standard's decoder regains the samples as they were.
func (f *filterbank) analyse(lines []float64) {
	f.fold()
	f.dct4(lines)
}

// windowed returns sample p of the window's 4n positions, of which the newest
// n/4 have no weight.
func (f *filterbank) windowed(p int) float64 {
	if p >= len(f.history) {
		return 0
	}
	return f.history[p] * f.window[p]
}

// fold maps the 4n windowed samples to the n values of a DCT-IV: first the
// kernel's period, which changes sign every 2n samples, then the symmetries
// of an MDCT.
func (f *filterbank) fold() {
	n, half := f.n, f.n/2
	u := func(i int) float64 { return f.windowed(i+2*n) - f.windowed(i) }
	for i := range half {
		f.folded[i] = -2 * (u(half-1-i) + u(half+i))
		f.folded[half+i] = -2 * (u(n+i) - u(2*n-1-i))
	}
}

// dct4 writes the DCT-IV of folded to lines by way of a complex transform of
// half the length.
func (f *filterbank) dct4(lines []float64) {
	n := f.n
	for i, w := range f.rotate {
		f.in[i] = complex(f.folded[2*i], f.folded[n-1-2*i]) * w
	}
	f.fft.transform(f.out, f.in)
	for i, w := range f.rotate {
		v := f.out[i] * w
		lines[2*i], lines[n-1-2*i] = real(v), -imag(v)
	}
}
