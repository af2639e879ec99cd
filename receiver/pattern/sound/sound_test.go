package sound

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// record returns seconds of the pattern's sound as stereo.
func record(t testing.TB, rate int, from, to float64) []float32 {
	s, err := New(rate)
	if err != nil {
		t.Fatal(err)
	}
	start := int64(from * float64(rate))
	pcm := make([]float32, 2*(int64(to*float64(rate))-start))
	s.Fill(pcm, start)
	return pcm
}

// expect checks that the onsets are where they should be, to 0.1 ms, and
// nowhere else.
func expect(t *testing.T, found []Onset, rate int, want ...float64) {
	t.Helper()
	if len(found) != len(want) {
		t.Fatalf("found %v, want onsets at %v", found, want)
	}
	for i, w := range want {
		if off := math.Abs(found[i].Sample-w) / float64(rate); off > 0.1e-3 {
			t.Errorf("onset at sample %.2f, want %.2f: %.3f ms off", found[i].Sample, w, off*1000)
		}
	}
}

// resampled returns pcm played back at another speed, from a shift in
// samples on, by windowed interpolation.
func resampled(pcm []float32, speed, shift float64) (out []float32) {
	const half = 16
	samples := len(pcm) / 2
	for i := 0; ; i++ {
		at := shift + float64(i)*speed
		if at >= float64(samples) {
			return out
		}
		for c := range 2 {
			sum := 0.0
			for j := int(at) - half; j <= int(at)+half; j++ {
				if j < 0 || j >= samples {
					continue
				}
				d := at - float64(j)
				w := (1 + math.Cos(math.Pi*d/(half+1))) / 2
				if d != 0 {
					w *= math.Sin(math.Pi*d) / (math.Pi * d)
				}
				sum += w * float64(pcm[2*j+c])
			}
			out = append(out, float32(sum))
		}
	}
}

func mapped(pcm []float32, f func(v float64) float64) []float32 {
	out := make([]float32, len(pcm))
	for i, v := range pcm {
		out[i] = float32(f(float64(v)))
	}
	return out
}

func TestSource(t *testing.T) {
	const rate = 44100
	s, err := New(rate)
	if err != nil {
		t.Fatal(err)
	}
	whole := record(t, rate, 0, 3)
	loudest := 0.0
	for _, v := range whole {
		loudest = max(loudest, math.Abs(float64(v)))
	}
	if loudest > 0.7 || loudest < 0.45 {
		t.Errorf("loudest sample %.2f", loudest)
	}
	// Any piece from anywhere is the same sound.
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		at, n := random.IntN(2*rate), random.IntN(rate)
		piece, piece16 := make([]float32, 2*n), make([]int16, 2*n)
		s.Fill(piece, int64(at))
		s.FillInt16(piece16, int64(at))
		for i, v := range piece {
			if want := whole[2*at+i]; v != want || math.Abs(float64(piece16[i])-32767*float64(want)) > 0.51 {
				t.Fatalf("value %d from sample %d: %g and %d, want %g", i, at, v, piece16[i], want)
			}
		}
	}
	before := make([]float32, 2000)
	s.Fill(before, -700)
	for i, v := range before {
		if i < 1400 && v != 0 || i >= 1400 && v != whole[i-1400] {
			t.Fatalf("value %d from sample -700 is %g", i, v)
		}
	}
	if n := testing.AllocsPerRun(10, func() { s.Fill(before, 44000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, rate := range []int{0, 8000, 200000} {
		if _, err := New(rate); err == nil {
			t.Errorf("rate %d is accepted", rate)
		}
	}
}

func TestFind(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, rate := range []int{44100, 48000, 16000, 96000} {
		r := float64(rate)
		pcm := record(t, rate, 0, 3.2)
		expect(t, Find(pcm, 2, rate), rate, 0, r, 2*r, 3*r)
		expect(t, Find(pcm[2*300:], 2, rate), rate, -300, r-300, 2*r-300, 3*r-300)
		expect(t, Find(mapped(pcm, func(v float64) float64 { return 1e-4 * v }), 2, rate), rate, 0, r, 2*r, 3*r)
		expect(t, Find(mapped(pcm, func(v float64) float64 { return 0.3 - v }), 2, rate), rate, 0, r, 2*r, 3*r)
		noise := func(v float64) float64 { return v + 0.1*random.NormFloat64() }
		expect(t, Find(mapped(pcm, noise), 2, rate), rate, 0, r, 2*r, 3*r)
		clipped := func(v float64) float64 { return min(max(4*v, -1), 1) }
		expect(t, Find(mapped(pcm, clipped), 2, rate), rate, 0, r, 2*r, 3*r)

		left := make([]int16, 0, len(pcm)/2)
		for i := 0; i < len(pcm); i += 2 {
			left = append(left, int16(1000*pcm[i]))
		}
		expect(t, Find(left, 1, rate), rate, 0, r, 2*r, 3*r)
	}
}

func TestFindResampled(t *testing.T) {
	const rate = 44100
	pcm := record(t, rate, 0.8, 2.3)
	for _, ppm := range []float64{-500, 0, 300} {
		for _, shift := range []float64{0.25, 100.7} {
			speed := 1 + ppm/1e6
			var want []float64
			for s := range 2 {
				want = append(want, ((0.2+float64(s))*rate-shift)/speed)
			}
			found := Find(resampled(pcm, speed, shift), 2, rate)
			expect(t, found, rate, want...)
			for i := range found {
				if off := math.Abs(found[i].Sample - want[i]); off > 1 {
					t.Errorf("%g ppm, shift %g: %.3f samples off", ppm, shift, off)
				}
			}
		}
	}
}

// TestFindCutOff records from the middle of a beep to the middle of another.
func TestFindCutOff(t *testing.T) {
	const rate = 48000
	expect(t, Find(record(t, rate, 1.02, 3.035), 2, rate), rate, -0.02*rate, 0.98*rate, 1.98*rate)
}

func TestFindNothing(t *testing.T) {
	const rate = 48000
	random := rand.New(rand.NewPCG(5, 6))
	sounds := map[string]func(i int) float64{
		"silence": func(int) float64 { return 0 },
		"offset":  func(int) float64 { return 0.5 },
		"noise":   func(int) float64 { return random.NormFloat64() },
		"tone":    func(i int) float64 { return math.Sin(float64(i) * 2 * math.Pi * 2500 / rate) },
		"clicks":  func(i int) float64 { return float64(1 - min(i%rate, 1)) },
		"slow chirp": func(i int) float64 {
			t := float64(i) / rate
			return math.Sin(2 * math.Pi * 500 * t * t)
		},
		"no number": func(i int) float64 { return math.NaN() },
		"infinite":  func(i int) float64 { return math.Inf(1 - 2*(i&1)) },
	}
	for name, at := range sounds {
		pcm := make([]float32, 4*rate)
		for i := range pcm {
			pcm[i] = float32(at(i))
		}
		if found := Find(pcm, 1, rate); found != nil {
			t.Errorf("%s: found %v", name, found)
		}
	}
	pcm := record(t, rate, 0, 0.012)
	if found := Find(pcm, 2, rate); found != nil {
		t.Errorf("a quarter of a beep is found: %v", found)
	}
	for _, channels := range []int{-1, 0, 1000000} {
		if found := Find(pcm, channels, rate); found != nil {
			t.Errorf("%d channels: found %v", channels, found)
		}
	}
	if found := Find(pcm, 2, 8000); found != nil {
		t.Errorf("8000 Hz: found %v", found)
	}
}

// FuzzFind searches any samples.
func FuzzFind(f *testing.F) {
	f.Add(uint8(1), uint16(44100), []byte{1, 2, 3, 4})
	f.Add(uint8(2), uint16(16000), []byte{0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x7f, 0xff, 0xff, 0x7f, 0x7f})
	f.Fuzz(func(t *testing.T, channels uint8, rate uint16, data []byte) {
		var floats []float32
		var ints []int16
		for range 1 + 4000/(len(data)+1) { // long enough to hold a beep
			for i := 0; i+4 <= len(data); i += 4 {
				v := binary.LittleEndian.Uint32(data[i:])
				floats = append(floats, math.Float32frombits(v))
				ints = append(ints, int16(v))
			}
		}
		for _, found := range [][]Onset{Find(floats, int(channels), int(rate)), Find(ints, int(channels), int(rate))} {
			for _, o := range found {
				if !(o.Match >= minMatch && o.Match <= 1 && o.Sample > -10000 && o.Sample < float64(len(floats))) {
					t.Errorf("onset %+v", o)
				}
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	pcm := record(b, 44100, 0, 10)
	for b.Loop() {
		Find(pcm, 2, 44100)
	}
}
