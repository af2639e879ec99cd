package alsa

import (
	"encoding/binary"
	"math"
	"testing"
)

// decode is the inverse of encode, as a device would understand the bytes.
func decode(f Format, b []byte) []float64 {
	var s []float64
	for n := f.Bytes(); len(b) >= n; b = b[n:] {
		switch f {
		case S16:
			s = append(s, float64(int16(binary.LittleEndian.Uint16(b)))/(1<<15))
		case S24:
			s = append(s, float64(int32(binary.LittleEndian.Uint32(b)<<8)>>8)/(1<<23))
		case S24Packed:
			s = append(s, float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8)/(1<<23))
		case S32:
			s = append(s, float64(int32(binary.LittleEndian.Uint32(b)))/(1<<31))
		case Float:
			s = append(s, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		case IEC958:
			s = append(s, float64(int32(binary.LittleEndian.Uint32(b)<<4)>>8)/(1<<23))
		}
	}
	return s
}

// Every 16-bit value passes every format unchanged, and every 24-bit value
// those that have the room.
func TestFormatsAreExact(t *testing.T) {
	notInside(t)
	for _, f := range preference {
		bits := []int{16, 24}
		if f == S16 {
			bits = bits[:1]
		}
		for _, n := range bits {
			e := newEncoder(f, 44100, false)
			full := 1 << (n - 1)
			src := make([]float32, 1<<12)
			dst := make([]byte, len(src)*f.Bytes())
			for v := -full; v < full; v += len(src) {
				for i := range src {
					src[i] = float32(v+i) / float32(full)
				}
				e.encode(dst, src)
				for i, got := range decode(f, dst) {
					if want := float64(v+i) / float64(full); got != want {
						t.Fatalf("%v: %d-bit value %d became %v, want %v", f, n, v+i, got, want)
					}
				}
			}
		}
	}
}

func TestFormatRounding(t *testing.T) {
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		f    Format
		in   float32
		want float64
	}{
		{S16, 1, 32767. / 32768}, {S16, -1, -1}, {S16, 7, 32767. / 32768}, {S16, -inf, -1}, {S16, inf, 32767. / 32768},
		{S16, nan, 0}, {S16, 0.4 / 32768, 0}, {S16, 0.6 / 32768, 1. / 32768}, {S16, 0.5 / 32768, 0}, {S16, 1.5 / 32768, 2. / 32768},
		{S16, -0.6 / 32768, -1. / 32768}, {S16, 32767.4 / 32768, 32767. / 32768},
		{S24, 2, 1 - 1./(1<<23)}, {S24Packed, -2, -1}, {S24, nan, 0},
		{S32, 1, 1 - 1./(1<<31)}, {S32, -1, -1}, {S32, nan, 0}, {S32, 1. / (1 << 31), 1. / (1 << 31)}, {S32, inf, 1 - 1./(1<<31)},
		{Float, 2, 1}, {Float, -2, -1}, {Float, nan, 0}, {Float, 0.25, 0.25}, {Float, -inf, -1},
		{IEC958, 2, 1 - 1./(1<<23)}, {IEC958, -2, -1}, {IEC958, nan, 0},
	} {
		e := newEncoder(c.f, 48000, false)
		dst := make([]byte, 2*c.f.Bytes())
		e.encode(dst, []float32{c.in, c.in})
		for _, got := range decode(c.f, dst) {
			if got != c.want {
				t.Errorf("%v: %v became %v, want %v", c.f, c.in, got, c.want)
			}
		}
	}
}

// Dither makes the mean of the output the input, which rounding does not, and
// adds the variance of a triangle of two steps: 1/6, plus 1/12 for rounding.
func TestDither(t *testing.T) {
	const n, step = 1 << 18, 1. / (1 << 15)
	for _, level := range []float64{0, 0.25, 0.5, 100.1} {
		src := make([]float32, n)
		for i := range src {
			src[i] = float32(level * step)
		}
		e := newEncoder(S16, 44100, true)
		dst := make([]byte, 2*n)
		e.encode(dst, src)
		var sum, square float64
		for _, v := range decode(S16, dst) {
			d := v/step - level
			sum += d
			square += d * d
		}
		mean, variance := sum/n, square/n
		if math.Abs(mean) > 0.01 {
			t.Errorf("level %v: mean error %.4f steps", level, mean)
		}
		if math.Abs(variance-0.25) > 0.01 {
			t.Errorf("level %v: variance %.4f square steps, want 0.25", level, variance)
		}
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	src := make([]float32, 882)
	dst := make([]byte, 4*len(src))
	for _, f := range preference {
		e := newEncoder(f, 44100, true)
		if n := testing.AllocsPerRun(100, func() { e.encode(dst, src) }); n != 0 {
			t.Errorf("%v: %v allocations", f, n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	src := make([]float32, 882)
	for i := range src {
		src[i] = float32(math.Sin(float64(i) / 20))
	}
	dst := make([]byte, 4*len(src))
	for _, f := range preference {
		b.Run(f.String(), func(b *testing.B) {
			e := newEncoder(f, 44100, false)
			b.ReportAllocs()
			for b.Loop() {
				e.encode(dst, src)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)*100/1e6, "ms/s")
		})
	}
}
