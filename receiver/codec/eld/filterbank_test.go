package eld

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

// synthesis is the decoder's side of the filterbank as the standard states
// it, in the order of its formulas and without any fast algorithm.
type synthesis struct {
	n      int
	window []float64
	blocks [4][]float64 // windowed outputs, newest first
}

func newSynthesis(n int) *synthesis {
	s := &synthesis{n: n, window: make([]float64, 4*n)}
	table := window480[:]
	if n == 512 {
		table = window512[:]
	}
	for i, w := range table {
		s.window[n/4+i] = float64(w)
	}
	for i := range s.blocks {
		s.blocks[i] = make([]float64, 4*n)
	}
	return s
}

func (s *synthesis) frame(lines []float64) []float64 {
	block := s.blocks[3]
	copy(s.blocks[1:], s.blocks[:3])
	s.blocks[0] = block
	n0 := float64(-s.n+1) / 2
	for t := range block {
		sum := 0.0
		for k, x := range lines {
			sum += x * math.Cos(math.Pi/float64(s.n)*(float64(t)+n0)*(float64(k)+0.5))
		}
		block[t] = -sum / float64(s.n) * s.window[t]
	}
	out := make([]float64, s.n)
	for t := range out {
		for b := range s.blocks {
			// The first n/4 positions of the window are zero: a decoder
			// may skip them and be that much earlier.
			if i := t + s.n/4 + b*s.n; i < 4*s.n {
				out[t] += s.blocks[b][i]
			}
		}
	}
	return out
}

// TestFilterbankInverts passes noise through the analysis and the standard's
// synthesis. The window is not made for perfect reconstruction: what is
// missing is about -55 dB.
func TestFilterbankInverts(t *testing.T) {
	for _, n := range []int{480, 512} {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		f, s := newFilterbank(n), newSynthesis(n)
		var in, out []float64
		lines := make([]float64, n)
		for range 8 {
			samples := f.push()
			for i := range samples {
				samples[i] = random.Float64()*2 - 1
			}
			in = append(in, samples...)
			f.analyse(lines)
			out = append(out, s.frame(lines)...)
		}
		signal, wrong := 0.0, 0.0
		for i := 3 * n; i < len(out); i++ {
			want := in[i-n/2]
			signal += want * want
			wrong += (out[i] - want) * (out[i] - want)
		}
		if snr := 10 * math.Log10(signal/wrong); snr < 54 {
			t.Errorf("%d samples a frame: reconstruction at %.1f dB", n, snr)
		}
	}
}

// TestFFT compares the transform with its definition.
func TestFFT(t *testing.T) {
	for _, n := range []int{240, 256, 30, 1} {
		random := rand.New(rand.NewPCG(2, uint64(n)))
		in, out := make([]complex128, n), make([]complex128, n)
		for i := range in {
			in[i] = complex(random.NormFloat64(), random.NormFloat64())
		}
		newFFT(n).transform(out, in)
		for k := range out {
			var want complex128
			for i, x := range in {
				want += x * cmplx.Rect(1, -2*math.Pi*float64(i*k%n)/float64(n))
			}
			if cmplx.Abs(out[k]-want) > 1e-10 {
				t.Fatalf("n %d: line %d is %v, want %v", n, k, out[k], want)
			}
		}
	}
}
