package codec

import (
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// tone is a sweep on the left and a chord on the right.
func tone(rate, samples int) []float32 {
	s := make([]float32, 2*samples)
	for i := range samples {
		t := float64(i) / float64(rate)
		s[2*i] = float32(0.6 * math.Sin(2*math.Pi*(200+600*t)*t))
		s[2*i+1] = float32(0.3*math.Sin(2*math.Pi*440*t) + 0.3*math.Sin(2*math.Pi*1320*t))
	}
	return s
}

// encodeAll encodes whole frames to the end of the stream.
func encodeAll(t testing.TB, e *AudioEncoder, sound []float32) (units [][]byte) {
	t.Helper()
	buf := make([]byte, MaxAccessUnit)
	step := EncoderFrame * EncoderChannels
	for i := 0; ; i += step {
		var pcm []float32
		if i < len(sound) {
			pcm = sound[i : i+step]
		}
		n, err := e.Encode(pcm, buf)
		must(t, err)
		if n > 0 {
			units = append(units, append([]byte(nil), buf[:n]...))
		} else if pcm == nil {
			return units
		} else if i > 0 {
			t.Fatalf("frame %d made no access unit", i/step)
		}
	}
}

// TestEncoder encodes, decodes with this package's decoder and with Debian's,
// and finds the signal at the stated delay.
func TestEncoder(t *testing.T) {
	for rate, config := range map[int]string{44100: "121056e500", 48000: "119056e500"} {
		e, err := NewAudioEncoder(rate, 192000)
		must(t, err)
		defer e.Close()
		if got := hex.EncodeToString(e.Config()); got != config {
			t.Errorf("%d Hz: configuration %s, want %s", rate, got, config)
		}
		const frames = 60
		sound := tone(rate, frames*EncoderFrame)
		units := encodeAll(t, e, sound)
		if want := frames + e.Delay()/EncoderFrame; len(units) < want {
			t.Errorf("%d access units, want %d", len(units), want)
		}
		got := decodeAll(t, newAudio(t, AudioParameters{AAC, rate, 2, 1024, e.Config()}), units)
		// One sample of delay too many or too few would cost 10 dB.
		check := func(by string, got []float32) {
			got = got[2*e.Delay():]
			ratio := snr(got[:len(sound)], func(i int) float64 { return float64(sound[i]) })
			t.Logf("%d Hz, decoded by %s: SNR %.1f dB", rate, by, ratio)
			if ratio < 25 {
				t.Errorf("%d Hz, decoded by %s: SNR is %.1f dB", rate, by, ratio)
			}
		}
		check("aerie", got)
		t.Run("ffmpeg", func(t *testing.T) { check("ffmpeg", decodeADTS(t, rate, units)) })
	}
}

// decodeADTS frames the units for a file and has ffmpeg decode it.
func decodeADTS(t *testing.T, rate int, units [][]byte) (sound []float32) {
	index := map[int]byte{48000: 3, 44100: 4}[rate]
	var stream []byte
	for _, u := range units {
		n := len(u) + 7
		stream = append(stream, 0xff, 0xf1, 1<<6|index<<2, 2<<6|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc)
		stream = append(stream, u...)
	}
	file := filepath.Join(t.TempDir(), "aac.adts")
	must(t, os.WriteFile(file, stream, 0o600))
	pcm := ffmpeg(t, "-f", "aac", "-i", file, "-f", "s16be", "-")
	sound = make([]float32, len(pcm)/2)
	_, err := decodePCM16(pcm, sound, 2)
	must(t, err)
	return sound
}

func TestEncoderRefuses(t *testing.T) {
	for _, v := range [][2]int{{8000, 128000}, {44100, 1000}, {48000, 1 << 30}} {
		if _, err := NewAudioEncoder(v[0], v[1]); err == nil {
			t.Errorf("%d Hz at %d bit/s was accepted", v[0], v[1])
		}
	}
	e, err := NewAudioEncoder(44100, 128000)
	must(t, err)
	defer e.Close()
	buf := make([]byte, MaxAccessUnit)
	if _, err := e.Encode(make([]float32, 100), buf); err == nil {
		t.Error("a short frame was accepted")
	}
	// What no sound card makes is taken for silence or full scale.
	odd := make([]float32, EncoderFrame*EncoderChannels)
	for i := range odd {
		odd[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), -1e30, 1}[i%4]
	}
	for range 3 {
		_, err := e.Encode(odd, buf)
		must(t, err)
	}
	if _, err := e.Encode(tone(44100, EncoderFrame), buf[:3]); !errors.Is(err, ErrRoom) {
		t.Errorf("3 bytes of room: %v", err)
	}
	if n, err := e.Encode(tone(44100, EncoderFrame), buf); n == 0 || err != nil {
		t.Errorf("after the error: %d, %v", n, err)
	}
	for n := 1; n > 0; {
		n, err = e.Encode(nil, buf)
		must(t, err)
	}
	if _, err := e.Encode(odd, buf); err == nil {
		t.Error("a frame was accepted after the end")
	}
}
