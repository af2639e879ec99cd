package eld

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aerie/receiver/pattern/sound"
)

// caf packs access units as a Core Audio file, with an MPEG-4 elementary
// stream descriptor for its cookie.
func caf(e *Encoder, units [][]byte) []byte {
	be := binary.BigEndian
	file := []byte("caff\x00\x01\x00\x00")
	chunk := func(kind string, body []byte) {
		file = append(file, kind...)
		file = be.AppendUint64(file, uint64(len(body)))
		file = append(file, body...)
	}

	desc := be.AppendUint64(nil, math.Float64bits(float64(e.config.SampleRate)))
	desc = append(desc, "aac \x00\x00\x00\x00\x00\x00\x00\x00"...)
	desc = be.AppendUint32(desc, uint32(e.config.FrameLength))
	desc = be.AppendUint32(desc, uint32(e.config.Channels))
	chunk("desc", be.AppendUint32(desc, 0))

	specific := append([]byte{5, 4}, e.AudioSpecificConfig()...)
	decoder := append([]byte{4, byte(13 + len(specific)), 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, specific...)
	chunk("kuki", append([]byte{0, 0, 0, 0, 3, byte(3 + len(decoder)), 0, 0, 0}, decoder...))

	pakt := be.AppendUint64(nil, uint64(len(units)))
	pakt = be.AppendUint64(pakt, uint64(len(units)*e.config.FrameLength))
	pakt = be.AppendUint64(pakt, 0) // priming and remainder frames
	data := make([]byte, 4)         // edit count
	for _, unit := range units {
		pakt = append(pakt, byte(len(unit)>>7)|0x80, byte(len(unit)&0x7f))
		data = append(data, unit...)
	}
	chunk("pakt", pakt)
	chunk("data", data)
	return file
}

// decode has libavcodec decode access units and returns interleaved samples.
func decode(t *testing.T, e *Encoder, units [][]byte) []float32 {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: the decoder of this test")
	}
	in := filepath.Join(t.TempDir(), "in.caf")
	if err := os.WriteFile(in, caf(e, units), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ffmpeg, "-v", "warning", "-xerror", "-f", "caf", "-i", in, "-f", "f32le", "-")
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]float32, len(raw)/4)
	for i := range pcm {
		pcm[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return pcm
}

// A signal is one of the test's sounds: both channels at sample i of 44100 a
// second.
type signal struct {
	name    string
	at      func(i int) (left, right float64)
	snr     [2]float64 // dB at least, for mono (the left channel) and stereo
	bitRate int        // bit/s at most, per channel
}

func sine(hz float64, i int) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / 44100) }

func signals() []signal {
	random := rand.New(rand.NewPCG(3, 4))
	return []signal{
		{"two tones", func(i int) (float64, float64) { return .5 * sine(440, i), .3 * sine(1000, i) }, [2]float64{45, 45}, 80500},
		{"high tone", func(i int) (float64, float64) { return .5 * sine(9000, i), .5 * sine(9000, i) }, [2]float64{36, 39}, 80500},
		{"quiet tone", func(i int) (float64, float64) { return .001 * sine(500, i), -.001 * sine(500, i) }, [2]float64{37, 39}, 80500},
		{"full scale", func(i int) (float64, float64) { return sine(997, i), sine(997, i) }, [2]float64{45, 45}, 80500},
		{"chord", func(i int) (float64, float64) {
			low := .2*sine(220, i) + .15*sine(277, i) + .1*sine(330, i)
			return low + .1*sine(1760, i), low + .1*sine(2217, i)
		}, [2]float64{40, 40}, 80500},
		{"chirp", func(i int) (float64, float64) {
			s := float64(i%22050) / 44100 // 1 to 4 kHz in half a second
			v := .5 * math.Sin(2*math.Pi*(1000*s+3000*s*s))
			return v, v
		}, [2]float64{35, 35}, 80500},
		{"square", func(i int) (float64, float64) {
			v := .8 - 1.6*float64(i/100&1)
			return v, v
		}, [2]float64{18, 27}, 80500},
		{"white noise", func(int) (float64, float64) { return random.Float64() - .5, random.Float64() - .5 }, [2]float64{3.5, 3.5}, 80500},
		{"silence", func(int) (float64, float64) { return 0, 0 }, [2]float64{}, 3000},
	}
}

// TestDecodedByLibavcodec is the proof of the format: any slip in the
// syntax, the scale or the stated delay leaves nothing of these ratios.
func TestDecodedByLibavcodec(t *testing.T) {
	const frames = 100
	for _, n := range []int{480, 512} {
		for channels := 1; channels <= 2; channels++ {
			for _, s := range signals() {
				t.Run(fmt.Sprintf("%s/%d/%d", s.name, channels, n), func(t *testing.T) {
					e, err := NewEncoder(Config{SampleRate: 44100, Channels: channels, FrameLength: n})
					if err != nil {
						t.Fatal(err)
					}
					pcm := s.samples(frames*n, channels)
					units, size := encodeAll(e, pcm)
					if rate := size * 8 * 44100 / (frames * n); rate > s.bitRate*channels {
						t.Errorf("%d bit/s, at most %d expected", rate, s.bitRate*channels)
					}
					out := decode(t, e, units)
					if len(out) != len(pcm) {
						t.Fatalf("%d samples decoded of %d", len(out), len(pcm))
					}
					got, loudest := compare(pcm, out, e.Delay()*channels, 8*n*channels)
					if want := s.snr[channels-1]; want > 0 && !(got >= want) {
						t.Errorf("decoded at %.1f dB, at least %.1f expected", got, want)
					} else if want == 0 && loudest != 0 {
						t.Errorf("silence decoded as %g", loudest)
					}
				})
			}
		}
	}
}

// TestRates has 48 kHz decoded: the configuration says so, the bands are the
// same.
func TestRates(t *testing.T) {
	e, err := NewEncoder(Config{SampleRate: 48000, Channels: 2, FrameLength: 480, BitRate: 128000})
	if err != nil {
		t.Fatal(err)
	}
	pcm := signals()[0].samples(480*50, 2)
	units, _ := encodeAll(e, pcm)
	if snr, _ := compare(pcm, decode(t, e, units), 480, 8000); snr < 45 {
		t.Errorf("decoded at %.1f dB", snr)
	}
}

// TestBeep has the test pattern's sound coded: it must stay clean, and its
// beeps must be where they were, after the stated delay.
func TestBeep(t *testing.T) {
	for _, rate := range []int{44100, 48000} {
		for _, n := range []int{480, 512} {
			e, err := NewEncoder(Config{SampleRate: rate, Channels: 2, FrameLength: n, BitRate: 160000})
			if err != nil {
				t.Fatal(err)
			}
			source, err := sound.New(rate)
			if err != nil {
				t.Fatal(err)
			}
			pcm := make([]float32, 2*n*(3*rate/n+20))
			source.Fill(pcm, 0)
			units, _ := encodeAll(e, pcm)
			out := decode(t, e, units)
			if snr, _ := compare(pcm, out, 2*e.Delay(), 8*n); snr < 36 {
				t.Errorf("%d Hz, %d: decoded at %.1f dB", rate, n, snr)
			}
			found := sound.Find(out, 2, rate)
			if len(found) != 4 {
				t.Fatalf("%d Hz, %d: %d beeps found, want 4", rate, n, len(found))
			}
			for i, onset := range found {
				if off := onset.Sample - float64(i*rate+e.Delay()); math.Abs(off) > 0.5 {
					t.Errorf("%d Hz, %d: beep %d is %.2f samples off", rate, n, i, off)
				}
			}
		}
	}
}

func (s signal) samples(n, channels int) (pcm []float32) {
	for i := range n {
		left, right := s.at(i)
		pcm = append(pcm, float32(left))
		if channels == 2 {
			pcm = append(pcm, float32(right))
		}
	}
	return pcm
}

func encodeAll(e *Encoder, pcm []float32) (units [][]byte, size int) {
	for n := e.config.FrameLength * e.config.Channels; len(pcm) >= n; pcm = pcm[n:] {
		units = append(units, e.AppendFrame(nil, pcm[:n]))
		size += len(units[len(units)-1])
	}
	return units, size
}

// compare returns the signal-to-noise ratio in dB of out, which lags delay
// values behind in, and its highest magnitude, both from value start on.
func compare(in, out []float32, delay, start int) (snr, loudest float64) {
	signal, noise := 0.0, 0.0
	for i := start; i < len(out); i++ {
		want, got := float64(in[i-delay]), float64(out[i])
		signal += want * want
		noise += (want - got) * (want - got)
		loudest = max(loudest, math.Abs(got))
	}
	return 10 * math.Log10(signal/noise), loudest
}
