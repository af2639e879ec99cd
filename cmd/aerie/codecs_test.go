package main

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/codec"
	"aerie/receiver/config"
	"aerie/receiver/pattern/sound"
)

// samples is the sound of the pattern in formats that the sender's own tone
// does not come in: PCM of any rate and depth, and AAC-LC.
type samples struct {
	format   audio.Format
	source   *sound.Source
	encoder  *codec.AudioEncoder // of AAC-LC
	position int64
}

func newSamples(t *testing.T, f audio.Format) *samples {
	t.Helper()
	s := &samples{format: f}
	var err error
	if s.source, err = sound.New(f.Rate); err != nil {
		t.Fatal(err)
	}
	if f.Codec == audio.AACLC {
		if s.encoder, err = codec.NewAudioEncoder(f.Rate, 128_000); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.encoder.Close)
		// The unit that comes now was put in one frame ago, and what is decoded
		// from it lags behind; a sound that can be computed is begun earlier.
		s.position = int64(s.encoder.Delay() + f.Frames)
	}
	return s
}

func (s *samples) Format() audio.Format { return s.format }

func (s *samples) Delay() int { return 0 }

func (s *samples) Next(dst []byte) []byte {
	pcm := make([]float32, 2*s.format.Frames)
	s.source.Fill(pcm, s.position)
	s.position += int64(s.format.Frames)
	if s.encoder != nil {
		unit := make([]byte, codec.MaxAccessUnit)
		n, _ := s.encoder.Encode(pcm, unit) // an error is silence, which is heard
		return append(dst, unit[:n]...)
	}
	for _, v := range pcm {
		n := int32(math.RoundToEven(float64(v) * 32767))
		dst = append(dst, byte(n>>8), byte(n))
		if s.format.Bits == 24 {
			dst = append(dst, 0)
		}
	}
	return dst
}

// Every format that a sender may choose is heard, at its rate.
func TestSoundFormats(t *testing.T) {
	t.Parallel()
	for _, f := range []audio.Format{
		{Codec: audio.PCM, Rate: 48000, Channels: 2, Bits: 16, Frames: 352},
		{Codec: audio.PCM, Rate: 44100, Channels: 2, Bits: 24, Frames: 352},
		{Codec: audio.AACLC, Rate: 44100, Channels: 2, Bits: 16, Frames: 1024},
		{Codec: audio.AACLC, Rate: 48000, Channels: 2, Bits: 16, Frames: 1024},
	} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			if f.AudioFormat() == 0 {
				t.Fatal("no sender can ask for it")
			}
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(c *config.Config) { c.Audio.Output = "file:" + file })
			g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 10, 40), Sound: newSamples(t, f)})
			g.stop()
			beeps := sound.Find(readWAV(t, file), 2, 44100)
			// A busy machine lets the delay grow, which slows sound by up to
			// 0.2 %, or leap once; a rate that is misunderstood is wrong always.
			right := 0
			for i := 1; i < len(beeps); i++ {
				if d := beeps[i].Sample - beeps[i-1].Sample; math.Abs(d-44100) < 100 {
					right++
				}
			}
			if right == 0 {
				t.Errorf("no two beeps are a second apart: %+v", beeps)
			}
		})
	}
}

// HEVC, where it is offered, arrives as it was encoded, in a stream and in a
// movie.
func TestHEVC(t *testing.T) {
	dir := t.TempDir()
	clip := filepath.Join(dir, "clip.mp4")
	decodeFile(t, "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-frames:v", "40", "-pix_fmt", "yuv420p",
		"-c:v", "libx265", "-x265-params", "bframes=0:keyint=1000:log-level=none", "-tag:v", "hvc1", clip)
	want := decodeFile(t, "-i", clip, "-f", "rawvideo", "-")
	for output, format := range map[string]string{"raw:" + filepath.Join(dir, "x.hevc"): "hevc", "file:" + filepath.Join(dir, "x.mp4"): "mov"} {
		g := newRig(t, func(c *config.Config) { c.Video.Output, c.Video.HEVC = output, true })
		src, err := phone.OpenClip(clip, 0)
		if err != nil {
			t.Fatal(err)
		}
		g.mirror(phone.Options{Picture: src, Fast: true})
		g.stop()
		_, file, _ := strings.Cut(output, ":")
		if got := decodeFile(t, "-f", format, "-i", file, "-fps_mode", "passthrough", "-f", "rawvideo", "-"); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of pictures, want %d", output, len(got), len(want))
		}
	}
	// The software decoder takes it too.
	g := startRig(t, func(c *config.Config) { c.Video.HEVC = true }, true)
	src, err := phone.OpenClip(clip, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.mirror(phone.Options{Picture: src})
	if n := g.latency()["decode"].Count; n != 40 {
		t.Errorf("%d pictures decoded, want 40", n)
	}
	// Where it is not offered, it is not taken.
	g = newRig(t, nil)
	if src, err = phone.OpenClip(clip, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := g.try(phone.Options{Picture: src}); err == nil && strings.Contains(g.log.String(), "picture codec=") {
		t.Error("HEVC is taken though it was not offered")
	}
}
