package audio

import (
	"math"
	"math/rand/v2"
	"testing"
)

// tone is a chord of three sines on each channel.
func tone(frames int) []float32 {
	pcm := make([]float32, frames*2)
	for i := range frames {
		x := float64(i) / 44100 * 2 * math.Pi
		pcm[2*i] = float32(0.2*math.Sin(220*x) + 0.1*math.Sin(440*x) + 0.05*math.Sin(661*x))
		pcm[2*i+1] = float32(0.3 * math.Sin(330*x))
	}
	return pcm
}

// A click is a jump of the waveform beyond what the sound itself does. 5 % of
// all packets are lost; no click is above -40 dBFS.
func TestConcealmentDoesNotClick(t *testing.T) {
	pcm := tone(44100 * 4)
	steepest := jump(pcm)
	rng := rand.New(rand.NewPCG(5, 6))
	c := NewConcealer(44100, 2)
	for at := 0; at+960 <= len(pcm); at += 960 {
		if at > 10*960 && rng.IntN(20) == 0 {
			c.Lost(pcm[at : at+960])
		} else {
			c.Heard(pcm[at : at+960])
		}
	}
	if got := jump(pcm); got > steepest+0.01 {
		t.Errorf("steepest step %.4f, of the sound itself %.4f: a click of %.1f dBFS", got, steepest, 20*math.Log10(float64(got-steepest)))
	}
}

// jump returns the largest second difference of any channel.
func jump(pcm []float32) (most float32) {
	for i := 4; i < len(pcm); i++ {
		d := pcm[i] - 2*pcm[i-2] + pcm[i-4]
		most = max(most, d, -d)
	}
	return most
}

// A lost packet of a steady tone is hardly to be told from the tone.
func TestConcealmentContinuesATone(t *testing.T) {
	want := tone(4800)
	got := tone(4800)
	c := NewConcealer(44100, 2)
	c.Heard(got[:8*480])
	c.Lost(got[8*480 : 10*480])
	var signal, noise float64
	for i := 8 * 480; i < 10*480; i++ {
		d := float64(got[i] - want[i])
		signal += float64(want[i]) * float64(want[i])
		noise += d * d
	}
	if db := 10 * math.Log10(signal/noise); db < 9 {
		t.Errorf("the replacement is %.1f dB above its error", db)
	}
}

func TestConcealmentFadesToSilence(t *testing.T) {
	pcm := tone(44100)
	c := NewConcealer(44100, 2)
	c.Heard(pcm)
	gap := make([]float32, 960)
	for range 10 {
		c.Lost(gap)
	}
	for i, v := range gap {
		if v != 0 {
			t.Fatalf("sample %d after 100 ms is %v", i, v)
		}
	}
	// Sound comes back without a step from silence.
	back := tone(480)
	for i := range back {
		back[i] += 0.5
	}
	c.Heard(back)
	if back[0] > 0.01 || back[1] > 0.01 {
		t.Errorf("sound is back at %v", back[0])
	}
}

func TestConcealmentOfNothing(t *testing.T) {
	c := NewConcealer(44100, 2)
	gap := []float32{1, 1, 1, 1}
	c.Lost(gap)
	c.Lost(nil)
	for _, v := range gap {
		if v != 0 {
			t.Error("sound out of silence")
		}
	}
	c.Heard(nil)
	c.Heard(make([]float32, 2))
	c.Reset()
	long := make([]float32, 960)
	if n := testing.AllocsPerRun(10, func() { c.Lost(long); c.Heard(long) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLost(b *testing.B) {
	c := NewConcealer(44100, 2)
	pcm := tone(480)
	for b.Loop() {
		c.Heard(pcm)
		c.Lost(pcm)
	}
}
