package playout

import (
	"math"
	"testing"
)

// distortion returns by how many dB a resampled sine is above what is not the
// sine.
func distortion(rate, out, hz float64) float64 {
	src := func(f int64) float64 { return 0.5 * math.Sin(2*math.Pi*hz*float64(f)/rate) }
	step := rate / out
	pos := position{frame: 1000}
	var signal, noise float64
	for range 20 {
		const n = 441
		first, count := span(pos, step, n)
		in := make([]float32, 2*count)
		for i := range count {
			v := float32(src(first + int64(i)))
			in[2*i], in[2*i+1] = v, v
		}
		dst := make([]float32, 2*n)
		resample(dst, in, 2, pos, step)
		for i := range n {
			at := pos.plus(step * float64(i))
			want := 0.5 * math.Sin(2*math.Pi*hz*(float64(at.frame)+at.part)/rate)
			d := float64(dst[2*i]) - want
			signal += want * want
			noise += d * d
			if dst[2*i] != dst[2*i+1] {
				return 0
			}
		}
		pos = pos.plus(step * n)
	}
	return 10 * math.Log10(signal/noise)
}

func TestResamplerIsClean(t *testing.T) {
	for _, c := range []struct{ rate, out, hz, want float64 }{
		{44100, 44100 * 1.0001, 997, 95},
		{44100, 44100 * 0.9999, 10007, 85},
		{44100, 48000, 997, 95},
		{44100, 48000, 15013, 80},
		{48000, 44100, 997, 95},
	} {
		if db := distortion(c.rate, c.out, c.hz); db < c.want {
			t.Errorf("%.0f Hz from %.1f to %.1f: %.1f dB", c.hz, c.rate, c.out, db)
		}
	}
}

func TestPosition(t *testing.T) {
	p := position{frame: 1 << 40}
	for range 1_000_000 {
		p = p.plus(0.3)
	}
	if d := p.minus(position{frame: 1<<40 + 300_000}); math.Abs(d) > 1e-6 {
		t.Errorf("a million steps are off by %v", d)
	}
	if q := (position{frame: 5, part: 0.25}).plus(-0.5); q.frame != 4 || q.part != 0.75 {
		t.Errorf("backwards: %+v", q)
	}
	if q := (position{frame: 5}).plus(-1e-20); q.part >= 1 || q.part < 0 {
		t.Errorf("part %v", q.part)
	}
}

func TestVolume(t *testing.T) {
	for _, c := range []struct {
		curve Curve
		db    float64
		want  float64
	}{
		{Flat, 0, 1}, {Flat, 20, 1}, {Flat, -20, 0.1}, {Flat, -30, 0.0316}, {Flat, -30.1, 0}, {Flat, -144, 0}, {Flat, math.NaN(), 0},
		{Flat, math.Inf(1), 1}, {Flat, math.Inf(-1), 0},
		{Taper, 0, 1}, {Taper, -15, 0.3162}, {Taper, -22.5, 0.1}, {Taper, -30, 0}, {Taper, -144, 0},
	} {
		if got := float64(c.curve.Gain(c.db)); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("curve %d: %v dB is a gain of %v, want %v", c.curve, c.db, got, c.want)
		}
	}
	var v Volume
	pcm := []float32{1, 1}
	v.Apply(pcm, 2)
	if pcm[0] != 0 {
		t.Error("loud before anything was set")
	}
	// A change is spread out, and exact afterwards.
	v.Set(1)
	pcm = make([]float32, 2*1000)
	for i := range pcm {
		pcm[i] = 1
	}
	v.Apply(pcm, 2)
	for i := 2; i < len(pcm); i += 2 {
		if step := pcm[i] - pcm[i-2]; step < 0 || step > 0.0022 || pcm[i] != pcm[i+1] {
			t.Fatalf("frame %d steps by %v", i/2, step)
		}
	}
	if pcm[0] > 0.003 || pcm[2*500] != 1 {
		t.Errorf("ramp from %v to %v", pcm[0], pcm[1000])
	}
	if _, err := ParseCurve("steep"); err == nil {
		t.Error("an unknown curve")
	}
}
