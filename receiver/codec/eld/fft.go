package eld

import "math"

// fft is a complex discrete Fourier transform of a length whose prime
// factors are 2, 3 and 5.
type fft struct {
	n       int
	factors []int        // radices, outermost first
	twiddle []complex128 // exp(-2πi k/n)
}

func newFFT(n int) *fft {
	f := &fft{n: n, twiddle: make([]complex128, n)}
	for k := range f.twiddle {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		f.twiddle[k] = complex(cos, sin)
	}
	for rest := n; rest > 1; {
		for _, r := range [...]int{4, 2, 3, 5} {
			if rest%r == 0 {
				f.factors = append(f.factors, r)
				rest /= r
				break
			}
		}
	}
	return f
}

// transform writes the transform of in to out; both have the length n and
// must not overlap.
func (f *fft) transform(out, in []complex128) { f.stage(out, in, 1, f.factors) }

// stage is the recursive decimation in time: the transform of every stride-th
// value of in.
func (f *fft) stage(out, in []complex128, stride int, factors []int) {
	if len(factors) == 0 {
		out[0] = in[0]
		return
	}
	radix := factors[0]
	m := len(out) / radix
	for r := range radix {
		f.stage(out[r*m:(r+1)*m], in[r*stride:], stride*radix, factors[1:])
	}
	switch radix {
	case 2:
		f.butterfly2(out, m, stride)
	case 4:
		f.butterfly4(out, m, stride)
	default:
		f.butterfly(out, m, stride, radix)
	}
}

func (f *fft) butterfly2(out []complex128, m, stride int) {
	a, b := out[:m], out[m:2*m]
	for k := range a {
		t := b[k] * f.twiddle[k*stride]
		a[k], b[k] = a[k]+t, a[k]-t
	}
}

func (f *fft) butterfly4(out []complex128, m, stride int) {
	a, b, c, d := out[:m], out[m:2*m], out[2*m:3*m], out[3*m:4*m]
	for k := range a {
		t1 := b[k] * f.twiddle[k*stride]
		t2 := c[k] * f.twiddle[2*k*stride]
		t3 := d[k] * f.twiddle[3*k*stride]
		even, odd := a[k]+t2, a[k]-t2
		sum, diff := t1+t3, t1-t3
		diff = complex(imag(diff), -real(diff)) // times -i
		a[k], b[k], c[k], d[k] = even+sum, odd+diff, even-sum, odd-diff
	}
}

// butterfly serves the radices 3 and 5, of which one stage each is enough for
// 240 points.
func (f *fft) butterfly(out []complex128, m, stride, radix int) {
	var t [5]complex128
	for k := range m {
		for r := range radix {
			t[r] = out[r*m+k] * f.twiddle[r*k*stride]
		}
		for q := range radix {
			sum := t[0]
			for r := 1; r < radix; r++ {
				sum += t[r] * f.twiddle[(r*q*m*stride)%f.n]
			}
			out[q*m+k] = sum
		}
	}
}
