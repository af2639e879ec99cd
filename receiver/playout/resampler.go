package playout

import "math"

// The filter: a sinc under a Kaiser window, taps frames long, tabulated for
// phases positions between two frames and interpolated linearly between
// those. It passes up to 20 kHz at 44.1 kHz; images are below -90 dB.
const (
	taps       = 48
	phases     = 256
	kaiserBeta = 9.0
	cutoff     = 0.95 // of half the sampling rate
)

var sinc = makeSinc()

func makeSinc() *[phases + 1][taps]float32 {
	var table [phases + 1][taps]float32
	for p := range table {
		var row [taps]float64
		var sum float64
		for k := range row {
			x := float64(k) - (taps/2 - 1) - float64(p)/phases
			w := x / (taps / 2)
			if w < -1 || w > 1 {
				continue
			}
			v := cutoff
			if x != 0 {
				v = math.Sin(math.Pi*cutoff*x) / (math.Pi * x)
			}
			row[k] = v * bessel(kaiserBeta*math.Sqrt(1-w*w)) / bessel(kaiserBeta)
			sum += row[k]
		}
		for k := range row {
			table[p][k] = float32(row[k] / sum)
		}
	}
	return &table
}

// bessel is the modified Bessel function of the first kind, order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// Frames of source that the filter wants before and behind a position.
const (
	lookBack  = taps/2 - 1
	lookAhead = taps / 2
)

// span returns which frames of the source n frames of output at pos, step
// apart, are made of: from the first, count of them.
func span(pos position, step float64, n int) (first int64, count int) {
	last := pos.plus(step * float64(n-1))
	first = pos.frame - lookBack
	return first, int(last.frame+lookAhead-first) + 1
}

// resample makes len(dst)/channels frames of output from src, whose first
// frame is the one that span gave. The first lies at pos, each next one step
// frames of the source further.
func resample(dst, src []float32, channels int, pos position, step float64) {
	first := pos.frame - lookBack
	var h [taps]float32
	for i := range len(dst) / channels {
		at := pos.plus(step * float64(i))
		phase := at.part * phases
		p := int(phase)
		w := float32(phase - float64(p))
		a, b := &sinc[p], &sinc[p+1]
		for k := range h {
			h[k] = a[k] + (b[k]-a[k])*w
		}
		s := src[int(at.frame-lookBack-first)*channels:][:taps*channels]
		out := dst[i*channels:][:channels]
		if channels == 2 {
			var left, right float32
			for k, c := range h {
				left += c * s[2*k]
				right += c * s[2*k+1]
			}
			out[0], out[1] = left, right
			continue
		}
		for ch := range out {
			var v float32
			for k, c := range h {
				v += c * s[k*channels+ch]
			}
			out[ch] = v
		}
	}
}

// position is a place between two frames: exact for hours, where a float64 of
// frames would not be.
type position struct {
	frame int64
	part  float64 // 0 <= part < 1
}

func (p position) plus(d float64) position {
	d += p.part
	whole := math.Floor(d)
	part := d - whole
	if part >= 1 {
		whole, part = whole+1, 0
	}
	return position{p.frame + int64(whole), part}
}

// minus returns p-q in frames.
func (p position) minus(q position) float64 {
	return float64(p.frame-q.frame) + p.part - q.part
}
