package main

import (
	"encoding/binary"
	"math"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/codec"
	"aerie/receiver/config"
	"aerie/receiver/message"
	"aerie/receiver/pattern/sound"
)

// freePorts returns the first of two UDP ports that nobody uses.
func freePorts(t testing.TB) int {
	t.Helper()
	for range 100 {
		first, err := net.ListenUDP("udp", nil)
		if err != nil {
			t.Fatal(err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		second, err := net.ListenUDP("udp", &net.UDPAddr{Port: port + 1})
		first.Close()
		if err == nil {
			second.Close()
			return port
		}
	}
	t.Fatal("no two free ports")
	return 0
}

// beepsIn returns the beeps of a recording whose samples are those that were
// sent, from some beep on.
func beepsIn(t *testing.T, file string) []sound.Onset {
	t.Helper()
	pcm := readWAV(t, file)
	beeps := sound.Find(pcm, 2, 44100)
	sameSamples(t, pcm, beeps)
	return beeps
}

// Music of AirPlay 2 on a group's clock that is a month ahead and runs fast, is
// what was sent, bit for bit.
func TestBufferedMusic(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.wav")
	port := freePorts(t)
	g := newRig(t, func(c *config.Config) {
		c.Identity, c.Network.PTPPort, c.Audio.Output = "airplay2", port, "file:"+file
	})
	report := g.mirror(phone.Options{Sound: tone(t, audio.ALAC), Buffered: true, PTPPort: port, Duration: 8 * time.Second,
		Ahead: 30 * 24 * time.Hour, Drift: 20e-6})
	g.stop()
	if f := report.Receiver.Features; f&message.FeatureBufferedAudio == 0 || f&message.FeaturePTP == 0 {
		t.Errorf("features %v", f)
	}
	if beeps := beepsIn(t, file); len(beeps) < 4 {
		t.Errorf("%d beeps", len(beeps))
	}
	if log := g.log.String(); strings.Contains(log, "refused=1") || !strings.Contains(log, `buffered sound" format`) && !strings.Contains(log, "buffered sound format") {
		t.Error("no buffered sound, or packets of it refused")
	}
}

// A pause stops the music where it is, and it goes on from there: no second
// of it is missing or heard twice.
func TestBufferedPause(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.wav")
	port := freePorts(t)
	g := newRig(t, func(c *config.Config) {
		c.Identity, c.Network.PTPPort, c.Audio.Output = "airplay2", port, "file:"+file
	})
	g.mirror(phone.Options{Sound: tone(t, audio.ALAC), Buffered: true, PTPPort: port, Duration: 9 * time.Second, PauseEvery: 2500 * time.Millisecond})
	g.stop()
	beeps := sound.Find(readWAV(t, file), 2, 44100)
	longer := 0
	for i := 1; i < len(beeps); i++ {
		switch d := (beeps[i].Sample - beeps[i-1].Sample) / 44100; {
		case math.Abs(d-1) < 0.01:
		case math.Abs(d-2.5) < 0.25: // the pause, and half a second before it begins again
			longer++
		default:
			t.Errorf("beeps %.3f s apart", d)
		}
	}
	if longer != 1 || len(beeps) < 5 {
		t.Errorf("%d pauses, %d beeps", longer, len(beeps))
	}
}

// Realtime sound on a group's clock likewise.
func TestRealtimeOnGroupClock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.wav")
	port := freePorts(t)
	g := newRig(t, func(c *config.Config) {
		c.Identity, c.Network.PTPPort, c.Audio.Output = "airplay2", port, "file:"+file
	})
	g.mirror(phone.Options{Sound: tone(t, audio.ALAC), PTPPort: port, Duration: 8 * time.Second, Ahead: time.Hour})
	g.stop()
	if beeps := beepsIn(t, file); len(beeps) < 4 {
		t.Errorf("%d beeps", len(beeps))
	}
}

// A mirrored screen on a group's clock: picture and sound of a recording are
// together, though the sound is placed by PTP and the picture by its stamps.
func TestMirroringOnGroupClock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.mp4")
	port := freePorts(t)
	g := newRig(t, func(c *config.Config) {
		c.Identity, c.Network.PTPPort, c.Video.Output, c.Audio.Output = "both", port, "file:"+file, "auto"
	})
	g.mirror(phone.Options{Picture: testPattern(t, 320, 240, 30, 240), Sound: tone(t, audio.ALAC), PTPPort: port, Ahead: time.Hour})
	g.stop()
	pcm := decodeFile(t, "-i", file, "-map", "0:a", "-af", "aresample=async=1:first_pts=0", "-f", "s16le", "-ac", "2", "-ar", "44100", "-")
	samples := make([]int16, len(pcm)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(pcm[2*i:]))
	}
	beeps := sound.Find(samples, 2, 44100)
	if len(beeps) < 4 {
		t.Fatalf("%d beeps in %.1f s", len(beeps), float64(len(samples))/2/44100)
	}
	begins := firstPicture(t, file)
	for _, b := range beeps[1:] {
		at := b.Sample/44100 - begins
		if skew := at - math.Round(at); math.Abs(skew) > 0.030 {
			t.Errorf("a beep at %.4f s: sound and picture are %.1f ms apart", at, skew*1000)
		}
	}
}

// Without its ports there is no group clock, and no promise of one.
func TestNoGroupClock(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Identity, c.Network.PTPPort = "airplay2", 0 })
	report := g.mirror(phone.Options{Sound: tone(t, audio.ALAC), Duration: time.Second})
	if f := report.Receiver.Features; f&(message.FeatureBufferedAudio|message.FeaturePTP) != 0 || f&message.FeatureNTP == 0 {
		t.Errorf("features %v", f)
	}
}

// aacTone is the sound of the pattern as AAC-LC.
type aacTone struct {
	t        testing.TB
	encoder  *codec.AudioEncoder
	source   *sound.Source
	position int64
	pcm      [codec.EncoderFrame * codec.EncoderChannels]float32
}

func newAACTone(t testing.TB) *aacTone {
	t.Helper()
	a := &aacTone{t: t}
	var err error
	if a.encoder, err = codec.NewAudioEncoder(44100, 256000); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.encoder.Close)
	if a.source, err = sound.New(44100); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *aacTone) Format() audio.Format {
	return audio.Format{Codec: audio.AACLC, Rate: 44100, Channels: 2, Bits: 16, Frames: codec.EncoderFrame}
}
func (a *aacTone) Delay() int { return a.encoder.Delay() }

func (a *aacTone) Next(dst []byte) []byte {
	var unit [codec.MaxAccessUnit]byte
	for {
		a.source.Fill(a.pcm[:], a.position)
		a.position += codec.EncoderFrame
		n, err := a.encoder.Encode(a.pcm[:], unit[:])
		if err != nil {
			a.t.Error(err)
			return append(dst, 0)
		}
		if n > 0 {
			return append(dst, unit[:n]...)
		}
	}
}

// A sender changes the format in the middle of a stream, to another codec,
// another rate and another width, and back: every part is heard at its speed.
func TestFormatChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.wav")
	port := freePorts(t)
	g := newRig(t, func(c *config.Config) {
		c.Identity, c.Network.PTPPort, c.Audio.Output = "airplay2", port, "file:"+file
	})
	wide, err := phone.NewToneIn(audio.Format{Codec: audio.ALAC, Rate: 48000, Channels: 2, Bits: 24, Frames: 352})
	if err != nil {
		t.Fatal(err)
	}
	const each = 3500 * time.Millisecond
	g.mirror(phone.Options{Sound: tone(t, audio.ALAC), Sequel: []phone.Sound{newAACTone(t), wide, tone(t, audio.ALAC)}, SequelEvery: each,
		Buffered: true, PTPPort: port, Duration: 4*each + 2*time.Second})
	g.stop()
	if log := g.log.String(); !strings.Contains(log, "48000 Hz, 2 channels, 24 bits") || strings.Contains(log, "cannot be played") {
		t.Error("the wide part was not played")
	}
	// Each part begins its pattern anew: within a part beeps are a second
	// apart, and there are three of each.
	beeps := sound.Find(readWAV(t, file), 2, 44100)
	seconds, joints := 0, 0
	for i := 1; i < len(beeps); i++ {
		if d := (beeps[i].Sample - beeps[i-1].Sample) / 44100; math.Abs(d-1) < 0.01 {
			seconds++
		} else {
			joints++
		}
	}
	if seconds < 8 || joints > 4 {
		t.Errorf("%d beeps, %d of them a second after the one before, %d not", len(beeps), seconds, joints)
	}
}
