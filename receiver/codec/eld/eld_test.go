package eld

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestAudioSpecificConfig(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{SampleRate: 44100, Channels: 2, FrameLength: 480}, "f8e85000"}, // reference section 8.1
		{Config{SampleRate: 44100, Channels: 2, FrameLength: 512}, "f8e84000"},
		{Config{SampleRate: 48000, Channels: 1, FrameLength: 480}, "f8e63000"},
	} {
		e, err := NewEncoder(c.config)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(e.AudioSpecificConfig()); got != c.want {
			t.Errorf("%+v: %s, want %s", c.config, got, c.want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{SampleRate: 32000, Channels: 2, FrameLength: 480}, "sample rate 32000"},
		{Config{SampleRate: 44100, Channels: 0, FrameLength: 480}, "0 channels"},
		{Config{SampleRate: 44100, Channels: 3, FrameLength: 480}, "3 channels"},
		{Config{SampleRate: 44100, Channels: 2, FrameLength: 960}, "frame length 960"},
		{Config{SampleRate: 44100, Channels: 2, FrameLength: 480, BitRate: -1}, "bit rate -1"},
		{Config{SampleRate: 44100, Channels: 2, FrameLength: 480, BitRate: 1e6}, "bit rate 1000000"},
	} {
		if _, err := NewEncoder(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.config, err, c.want)
		}
	}
}

// TestBudget holds loud noise, which would take six times as much, to the bit
// rate on average and to twice of it in any frame, at the limits of both.
func TestBudget(t *testing.T) {
	for _, rate := range []int{48000, 160000, 512000} {
		e, err := NewEncoder(Config{SampleRate: 44100, Channels: 2, FrameLength: 480, BitRate: rate})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(5, 6))
		total, largest := 0, 0
		pcm := make([]float32, 960)
		const frames = 200
		for range frames {
			for i := range pcm {
				pcm[i] = 2*random.Float32() - 1
			}
			n := len(e.AppendFrame(nil, pcm))
			total, largest = total+n, max(largest, n)
		}
		average := rate * 480 / 44100 / 8
		if total > (average+1)*frames || total < average*frames*95/100 {
			t.Errorf("%d bit/s: %d bytes a frame on average, want about %d", rate, total/frames, average)
		}
		if largest > 2*average+1 {
			t.Errorf("%d bit/s: a frame of %d bytes, at most %d expected", rate, largest, 2*average)
		}
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	e, err := NewEncoder(Config{SampleRate: 44100, Channels: 2, FrameLength: 480})
	if err != nil {
		t.Fatal(err)
	}
	pcm := signals()[4].samples(480, 2)
	unit := e.AppendFrame(make([]byte, 0, 1000), pcm)
	if n := testing.AllocsPerRun(100, func() { unit = e.AppendFrame(unit[:0], pcm) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// FuzzAppendFrame encodes any samples, among them infinities and NaN, and
// reads the access units back.
func FuzzAppendFrame(f *testing.F) {
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf})
	f.Add(uint8(3), []byte{0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0xff, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		config := Config{SampleRate: 44100, Channels: 1 + int(kind&1), FrameLength: 480}
		if kind&2 != 0 {
			config.FrameLength = 512
		}
		e, err := NewEncoder(config)
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]float32, config.FrameLength*config.Channels)
		for range 4 { // the window spans four frames
			for i := range pcm {
				pcm[i] = 0
				if len(data) >= 4 {
					at := i * 4 % (len(data) - 3)
					pcm[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[at:]))
				}
			}
			readBack(t, e, e.AppendFrame(nil, pcm))
		}
	})
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, s := range signals() {
		b.Run(s.name, func(b *testing.B) {
			e, err := NewEncoder(Config{SampleRate: 44100, Channels: 2, FrameLength: 480})
			if err != nil {
				b.Fatal(err)
			}
			pcm := s.samples(48000, 2)
			var unit []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i = (i + 960) % len(pcm) {
				unit = e.AppendFrame(unit[:0], pcm[i:i+960])
			}
		})
	}
}
