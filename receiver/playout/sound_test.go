package playout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
)

// waveform is a source whose every frame is known.
type waveform struct {
	anchor audio.Anchor
	rate   float64
	at     func(frame float64) float32
}

func (w *waveform) Anchor() (audio.Anchor, bool) { return w.anchor, w.rate != 0 }

func (w *waveform) Read(from int64, dst []float32) {
	for i := range len(dst) / 2 {
		v := w.at(float64(from + int64(i)))
		dst[2*i], dst[2*i+1] = v, -v
	}
}

func sine(rate, hz float64) func(float64) float32 {
	return func(f float64) float32 { return float32(0.5 * math.Sin(2*math.Pi*hz*f/rate)) }
}

func TestNothingChangesWhenClocksAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]float32, 1<<16)
	for i := range noise {
		noise[i] = rng.Float32()*2 - 1
	}
	src := &waveform{anchor: audio.Anchor{Frame: 1000, At: 5e9}, rate: 44100, at: func(f float64) float32 { return noise[int64(f)&0xffff] }}
	s := NewSound(src, 44100, 44100, 2)
	dst := make([]float32, 2*441)
	at := clock.Remote(6e9 + 12345)
	first := int64(-1)
	for block := range 500 {
		// The estimate of the sender's clock moves about by 200 µs.
		s.Fill(dst, at.Add(time.Duration(rng.Int64N(400_000)-200_000)))
		at = at.Add(10 * time.Millisecond)
		for i := range 441 {
			if first < 0 {
				first = s.pos.frame - 441
			}
			if want := noise[(first+int64(block*441+i))&0xffff]; dst[2*i] != want || dst[2*i+1] != -want {
				t.Fatalf("block %d frame %d is %v, not %v as it went in", block, i, dst[2*i], want)
			}
		}
	}
	if want := 1000 + 44100.5445; math.Abs(float64(first)-want) > 12 {
		t.Errorf("began with frame %d, not at %.0f", first, want)
	}
}

// placed runs a Sound against an output whose clock drifts, and returns the
// errors of its position in seconds, one per block, after ten seconds.
func placed(t *testing.T, rate, out int, drift float64, jitter time.Duration) (s *Sound, errors []float64) {
	rng := rand.New(rand.NewPCG(7, 8))
	src := &waveform{anchor: audio.Anchor{Frame: 1 << 33, At: 0}, rate: float64(rate), at: sine(float64(rate), 440)}
	s = NewSound(src, rate, out, 2)
	block := out / 100
	dst := make([]float32, 2*block)
	for i := range 2500 {
		// The output plays a block in 10 ms of its own clock.
		truth := clock.Remote(float64(i) * 10e6 * (1 + drift))
		s.Fill(dst, truth.Add(time.Duration(rng.NormFloat64()*float64(jitter))))
		if i > 1000 {
			done := s.pos.minus(s.want(src.anchor, truth.Add(time.Duration(10e6*(1+drift)))))
			errors = append(errors, done/float64(rate))
		}
	}
	return s, errors
}

func TestDriftIsFollowed(t *testing.T) {
	for _, c := range []struct {
		rate, out int
		drift     float64
		jitter    time.Duration
	}{
		{44100, 44100, 100e-6, 0}, {44100, 44100, -100e-6, 0}, {44100, 44100, 100e-6, 200 * time.Microsecond},
		{44100, 48000, 100e-6, 0}, {44100, 48000, -100e-6, 200 * time.Microsecond}, {48000, 44100, 0, 0}, {44100, 44100, 1e-3, 0},
	} {
		t.Run(fmt.Sprintf("%d to %d, %+.0f ppm, %v", c.rate, c.out, c.drift*1e6, c.jitter), func(t *testing.T) {
			s, errors := placed(t, c.rate, c.out, c.drift, c.jitter)
			worst := 0.0
			for _, e := range errors {
				worst = max(worst, math.Abs(e))
			}
			if worst > 1e-3 {
				t.Errorf("off by up to %.2f ms", worst*1e3)
			}
			if s.Leaps.Value() != 0 {
				t.Errorf("%d leaps", s.Leaps.Value())
			}
		})
	}
}

// A correction is not heard: the tone stays a tone.
func TestCorrectionIsClean(t *testing.T) {
	src := &waveform{anchor: audio.Anchor{}, rate: 44100, at: sine(44100, 1000)}
	s := NewSound(src, 44100, 44100, 2)
	dst := make([]float32, 2*441)
	var out []float32
	for i := range 500 {
		at := clock.Remote(int64(i) * 10e6)
		if i > 50 {
			at = at.Add(5 * time.Millisecond) // a step of the estimate
		}
		s.Fill(dst, at)
		for j := range 441 {
			out = append(out, dst[2*j])
		}
	}
	if s.Leaps.Value() != 0 || s.Corrections.Value() == 0 {
		t.Errorf("%d leaps, %d frames corrected", s.Leaps.Value(), s.Corrections.Value())
	}
	// The step of a sine of 1 kHz is never above 2π·1000/44100·0.5.
	for i := 1; i < len(out); i++ {
		if step := math.Abs(float64(out[i] - out[i-1])); step > 0.0725 {
			t.Fatalf("frame %d steps by %.4f", i, step)
		}
	}
	if s.pos.part != 0 || s.correcting {
		t.Errorf("ends at a fraction of %v", s.pos.part)
	}
}

func TestLeap(t *testing.T) {
	src := &waveform{anchor: audio.Anchor{}, rate: 44100, at: sine(44100, 300)}
	s := NewSound(src, 44100, 44100, 2)
	dst := make([]float32, 2*441)
	var last float32
	for i := range 20 {
		at := clock.Remote(int64(i) * 10e6)
		if i == 10 {
			src.anchor.Frame += 44100 * 3 // the sender sought
		}
		s.Fill(dst, at)
		if step := math.Abs(float64(dst[0] - last)); i > 0 && step > 0.05 {
			t.Errorf("block %d begins with a step of %.3f", i, step)
		}
		last = dst[len(dst)-2]
	}
	if s.Leaps.Value() != 1 {
		t.Errorf("%d leaps", s.Leaps.Value())
	}
	if want := s.want(src.anchor, clock.Remote(200e6)); math.Abs(s.pos.minus(want)) > 1 {
		t.Errorf("%.1f frames off", s.pos.minus(want))
	}
}

// What is learned about the sender's clock before the first sound changes
// nothing of the sound, and neither does what is learned in a rest.
func TestSilenceIsNotCorrected(t *testing.T) {
	const first, rest, second = 44100, 2 * 44100, 3 * 44100 // frames where it begins and ends
	src := &waveform{rate: 44100, at: func(f float64) float32 {
		if f < first || f >= rest && f < second {
			return 0
		}
		return float32(math.Mod(f, 1000)+1) / 2000
	}}
	s := NewSound(src, 44100, 44100, 2)
	dst := make([]float32, 2*441)
	for block := range 400 {
		// The estimate is off by 30 ms at first, and by 10 ms until the rest.
		at := clock.Remote(block) * 10e6
		switch {
		case block < 50:
			at = at.Add(30 * time.Millisecond)
		case block < 250:
			at = at.Add(10 * time.Millisecond)
		}
		s.Fill(dst, at)
		for i := range 441 {
			if want := src.at(float64(s.pos.frame - 441 + int64(i))); dst[2*i] != want {
				t.Fatalf("block %d frame %d is %v, not %v as it went in", block, i, dst[2*i], want)
			}
		}
	}
	if s.Corrections.Value() != 0 || s.Leaps.Value() != 0 {
		t.Errorf("%d frames resampled, %d leaps", s.Corrections.Value(), s.Leaps.Value())
	}
	if want := int64(400 * 441); s.pos.frame != want {
		t.Errorf("at frame %d in the end, not %d", s.pos.frame, want)
	}
}

func TestNoAnchorIsSilence(t *testing.T) {
	s := NewSound(&waveform{}, 44100, 44100, 2)
	dst := []float32{1, 1, 1, 1}
	if s.Fill(dst, 0) || dst[0] != 0 || dst[3] != 0 {
		t.Errorf("sound out of nothing: %v", dst)
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	for _, out := range []int{44100, 48000} {
		src := &waveform{anchor: audio.Anchor{}, rate: 44100, at: func(float64) float32 { return 0.25 }}
		s := NewSound(src, 44100, out, 2)
		dst := make([]float32, 2*441)
		at := clock.Remote(0)
		if n := testing.AllocsPerRun(200, func() { s.Fill(dst, at); at = at.Add(10010 * time.Microsecond) }); n != 0 {
			t.Errorf("%v allocations a block at %d Hz", n, out)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	for _, out := range []int{44100, 48000} {
		b.Run(fmt.Sprint(out), func(b *testing.B) {
			src := &waveform{anchor: audio.Anchor{}, rate: 44100, at: func(float64) float32 { return 0.25 }}
			s := NewSound(src, 44100, out, 2)
			dst := make([]float32, 2*out/100)
			at := clock.Remote(0)
			b.ReportAllocs()
			for b.Loop() {
				s.Fill(dst, at)
				at = at.Add(10 * time.Millisecond)
			}
		})
	}
}
