package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/config"
	"aerie/receiver/pattern/sound"
	"aerie/receiver/pattern/stamp"
)

// A recorded session has every picture in its order, and beeps when the square
// lights up.
func TestRecording(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.mp4")
	g := newRig(t, func(c *config.Config) { c.Video.Output, c.Audio.Output = "file:"+file, "auto" })
	const width, height, fps, frames = 640, 480, 30, 120
	g.mirror(phone.Options{Picture: testPattern(t, width, height, fps, frames), Sound: tone(t, audio.AACELD)})
	g.stop()

	raw := decodeFile(t, "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	const size = width * height * 3 / 2
	if len(raw) != frames*size {
		t.Fatalf("%d pictures, want %d", len(raw)/size, frames)
	}
	for i := range frames {
		st, ok := stamp.Read(stamp.Plane{Pix: raw[i*size:], Stride: width, Width: width, Height: height}, stamp.Place(width, height))
		if !ok || st.Frame != uint32(i+1) {
			t.Fatalf("picture %d has stamp %d, %v", i, st.Frame, ok)
		}
	}
	// Pictures are stamped every 1/30 s from 0 on; the beep of second n is n
	// seconds after the first picture.
	pcm := decodeFile(t, "-i", file, "-map", "0:a", "-af", "aresample=async=1:first_pts=0", "-f", "s16le", "-ac", "2", "-ar", "44100", "-")
	samples := make([]int16, len(pcm)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(pcm[2*i:]))
	}
	beeps := sound.Find(samples, 2, 44100)
	if len(beeps) < 2 {
		t.Fatalf("%d beeps in %.1f s", len(beeps), float64(len(samples))/2/44100)
	}
	begins := firstPicture(t, file)
	for _, b := range beeps {
		at := b.Sample/44100 - begins
		if skew := at - math.Round(at); math.Abs(skew) > 0.010 {
			t.Errorf("a beep at %.4f s: sound and picture are %.1f ms apart", at, skew*1000)
		}
	}
}

// firstPicture returns the time of the first picture in a file, in seconds.
func firstPicture(t *testing.T, file string) float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-read_intervals", "%+#1", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	v, err := strconv.ParseFloat(strings.Trim(string(out), "\n\r ,"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The elementary stream is what the sender encoded, byte for byte.
func TestElementaryStream(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.h264")
	g := newRig(t, func(c *config.Config) { c.Video.Output = "raw:" + file })
	src := &noted{Pattern: testPattern(t, 320, 240, 60, 90)}
	g.mirror(phone.Options{Picture: src, Fast: true})
	g.stop()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, src.want.Bytes()) {
		t.Errorf("%d bytes, want %d", len(got), src.want.Len())
	}
}

// noted keeps what a pattern encodes, with start codes.
type noted struct {
	*phone.Pattern
	want bytes.Buffer
}

func (n *noted) Next(dst []byte, at clock.Remote, key bool) ([]byte, bool, error) {
	if n.want.Len() == 0 {
		payload, _, _, _ := n.Describe()
		conf, err := h264.ParseConfig(payload)
		if err != nil {
			return nil, false, err
		}
		n.want.Write(conf.AppendAnnexB(nil))
	}
	head := len(dst)
	au, isKey, err := n.Pattern.Next(dst, at, key)
	if err == nil {
		b := bytes.Clone(au[head:])
		if err := h264.ToAnnexB(b); err != nil {
			return nil, false, err
		}
		n.want.Write(b)
	}
	return au, isKey, err
}

// What would be heard is what was sent: lossless codecs bit for bit, and beeps
// are a second apart in all of them.
func TestSound(t *testing.T) {
	t.Parallel()
	for _, codec := range []audio.Codec{audio.AACELD, audio.ALAC, audio.PCM} {
		t.Run(codec.String(), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(c *config.Config) { c.Audio.Output = "file:" + file })
			g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 10, 70), Sound: tone(t, codec)})
			g.stop()
			pcm := readWAV(t, file)
			if len(pcm) < 2*44100*3 {
				t.Fatalf("%.2f s of sound", float64(len(pcm))/2/44100)
			}
			beeps := sound.Find(pcm, 2, 44100)
			if len(beeps) < 3 {
				t.Fatalf("%d beeps", len(beeps))
			}
			for i := 1; i < len(beeps); i++ {
				if d := beeps[i].Sample - beeps[i-1].Sample; math.Abs(d-44100) > 44 {
					t.Errorf("beeps %.1f samples apart", d)
				}
			}
			if codec != audio.AACELD {
				sameSamples(t, pcm, beeps)
			}
		})
	}
}

// sameSamples compares a recording with the source over the two seconds behind
// a beep. Any will do: while the clock of the sender is being learned, which
// takes longer on a busy machine, sound may be resampled; then it is not.
func sameSamples(t *testing.T, pcm []int16, beeps []sound.Onset) {
	t.Helper()
	if !slices.ContainsFunc(beeps, func(b sound.Onset) bool { return samplesAt(t, pcm, int64(math.Round(b.Sample))) }) {
		t.Errorf("%d beeps in %.2f s, and the samples are not those that were sent", len(beeps), float64(len(pcm))/2/44100)
	}
}

// samplesAt tells whether the source is what stands behind a beep that begins
// at the given sample.
func samplesAt(t *testing.T, pcm []int16, beep int64) bool {
	t.Helper()
	src, err := sound.New(44100)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 2*2*44100)
	// Which second it was does not matter to the beep, but to the chord.
	for second := range int64(8) {
		for shift := int64(-2); shift <= 2; shift++ {
			src.Fill(want, second*44100)
			same := true
			for i := range want {
				at := 2*(beep+shift) + int64(i)
				if at < 0 || at >= int64(len(pcm)) {
					same = false
					break
				}
				if w := int16(math.RoundToEven(float64(want[i]) * 32767)); pcm[at] != w {
					same = false
					break
				}
			}
			if same {
				return true
			}
		}
	}
	return false
}

// Sound with holes: all of it is back where the sender answers, concealed and
// in step where it does not.
func TestLossySound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    phone.Options
		lost bool
	}{
		{"20 % lost, sent again", phone.Options{Loss: 0.2, Reorder: 0.1}, false},
		{"5 % lost for good", phone.Options{Loss: 0.05, Deaf: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(conf *config.Config) { conf.Audio.Output = "file:" + file })
			o := c.o
			// Without copies, which hide losses of AAC-ELD.
			o.Picture, o.Sound = testPattern(t, 160, 120, 10, 70), tone(t, audio.ALAC)
			report := g.mirror(o)
			g.stop()
			if report.SoundLost == 0 {
				t.Error("nothing was lost")
			}
			pcm := readWAV(t, file)
			beeps := sound.Find(pcm, 2, 44100)
			if len(beeps) < 2 {
				t.Fatalf("%d beeps", len(beeps))
			}
			if !c.lost {
				sameSamples(t, pcm, beeps)
			}
		})
	}
}

// Locked, turned round, and locked again: the stream goes on in new sizes.
func TestLockAndTurn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.mp4")
	g := newRig(t, func(c *config.Config) { c.Video.Output = "file:" + file })
	g.mirror(phone.Options{Picture: testPattern(t, 320, 240, 30, 150), RotateEvery: 1500 * time.Millisecond, PauseEvery: 2 * time.Second})
	g.stop()
	raw := decodeFile(t, "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-autoscale", "0", "-")
	const size = 320 * 240
	if n := len(raw) / size; n != 150 {
		t.Errorf("%d pictures, want 150", n)
	}
	if log := g.log.String(); strings.Count(log, "picture codec=") < 3 || !strings.Contains(log, "paused=true") {
		t.Error("no rotation or no pause was seen")
	}
	// The stamp tells upright pictures from turned ones; both are whole.
	upright, turned := 0, 0
	for i := 0; i+size <= len(raw); i += size {
		if _, ok := stamp.Read(stamp.Plane{Pix: raw[i:], Stride: 320, Width: 320, Height: 240}, stamp.Place(320, 240)); ok {
			upright++
		} else if _, ok := stamp.Read(stamp.Plane{Pix: raw[i:], Stride: 240, Width: 240, Height: 320}, stamp.Place(240, 320)); ok {
			turned++
		}
	}
	if upright+turned != 150 || upright < 40 || turned < 40 {
		t.Errorf("%d pictures upright, %d turned", upright, turned)
	}
}

// Senders whose clock is wrong, drifts or is not told.
func TestClocks(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]phone.Options{
		"a month ahead, 100 ppm fast": {Ahead: 30 * 24 * time.Hour, Drift: 100e-6},
		"100 ppm slow":                {Drift: -100e-6},
		"never answers":               {NoClock: true, Ahead: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(c *config.Config) { c.Audio.Output = "file:" + file })
			o.Picture, o.Sound = testPattern(t, 160, 120, 10, 40), tone(t, audio.PCM)
			g.mirror(o)
			g.stop()
			beeps := sound.Find(readWAV(t, file), 2, 44100)
			if len(beeps) < 3 {
				t.Fatalf("%d beeps", len(beeps))
			}
			for i := 1; i < len(beeps); i++ {
				if d := beeps[i].Sample - beeps[i-1].Sample; math.Abs(d-44100) > 300 {
					t.Errorf("beeps %.1f samples apart", d)
				}
			}
		})
	}
}
