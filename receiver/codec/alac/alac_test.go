package alac

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var airplay = Config{SampleRate: 44100, BitDepth: 16, Channels: 2, FrameLength: 352}

func TestMagicCookie(t *testing.T) {
	const want = "00000024616c616300000000" + // reference section 8.3
		"000001600010280a0e0200ff00000000000000000000ac44"
	if got := hex.EncodeToString(airplay.MagicCookie()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	if err := airplay.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(c *Config){
		"sample rate 0":     func(c *Config) { c.SampleRate = 0 },
		"20 bits":           func(c *Config) { c.BitDepth = 20 },
		"6 channels":        func(c *Config) { c.Channels = 6 },
		"frame length 4097": func(c *Config) { c.FrameLength = 4097 },
	} {
		c := airplay
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestDecodedByLibavcodec compares every bit of what libavcodec decodes, the
// shorter last frame included.
func TestDecodedByLibavcodec(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: the decoder of this test")
	}
	for _, c := range []Config{
		airplay,
		{48000, 24, 2, 352},
		{44100, 16, 1, 352},
		{44100, 24, 1, 4096},
		{44100, 16, 2, 4096},
		{44100, 16, 2, 1},
	} {
		t.Run(fmt.Sprintf("%d/%d/%d", c.BitDepth, c.Channels, c.FrameLength), func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			pcm := make([]int32, c.Channels*(c.FrameLength*20+c.FrameLength/3))
			for i := range pcm {
				pcm[i] = int32(random.Uint32()) >> (32 - c.BitDepth)
			}
			top := int32(1) << (c.BitDepth - 1)
			copy(pcm, []int32{-top, top - 1, 0, -1, 1}[:min(5, len(pcm))])

			in := filepath.Join(t.TempDir(), "in.caf")
			if err := os.WriteFile(in, caf(t, c, pcm), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(ffmpeg, "-v", "warning", "-xerror", "-i", in, "-f", "s32le", "-")
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != 4*len(pcm) {
				t.Fatalf("%d samples decoded of %d", len(out)/4, len(pcm))
			}
			for i, want := range pcm {
				if got := int32(binary.LittleEndian.Uint32(out[4*i:])) >> (32 - c.BitDepth); got != want {
					t.Fatalf("value %d is %d, want %d", i, got, want)
				}
			}
		})
	}
}

// caf packs pcm as a Core Audio file of ALAC frames.
func caf(t *testing.T, c Config, pcm []int32) []byte {
	be := binary.BigEndian
	file := []byte("caff\x00\x01\x00\x00")
	chunk := func(kind string, body []byte) {
		file = append(file, kind...)
		file = be.AppendUint64(file, uint64(len(body)))
		file = append(file, body...)
	}
	desc := be.AppendUint64(nil, math.Float64bits(float64(c.SampleRate)))
	desc = append(desc, "alac\x00\x00\x00\x00\x00\x00\x00\x00"...)
	desc = be.AppendUint32(desc, uint32(c.FrameLength))
	desc = be.AppendUint32(desc, uint32(c.Channels))
	chunk("desc", be.AppendUint32(desc, uint32(c.BitDepth)))
	chunk("kuki", c.SpecificConfig())

	var sizes []byte
	data := make([]byte, 4) // edit count
	frames, samples := 0, len(pcm)/c.Channels
	for len(pcm) > 0 {
		n := min(len(pcm), c.FrameLength*c.Channels)
		frame := c.AppendFrame(nil, pcm[:n])
		if len(frame) != c.FrameSize(n/c.Channels) {
			t.Fatalf("frame of %d bytes, FrameSize says %d", len(frame), c.FrameSize(n/c.Channels))
		}
		data = append(data, frame...)
		sizes = append(sizes, byte(len(frame)>>14)|0x80, byte(len(frame)>>7)|0x80, byte(len(frame)&0x7f))
		pcm = pcm[n:]
		frames++
	}
	pakt := be.AppendUint64(nil, uint64(frames))
	pakt = be.AppendUint64(pakt, uint64(samples))
	pakt = be.AppendUint64(pakt, 0) // priming and remainder frames
	chunk("pakt", append(pakt, sizes...))
	chunk("data", data)
	return file
}

func TestFrameAllocatesNothing(t *testing.T) {
	pcm := make([]int32, 704)
	frame := airplay.AppendFrame(nil, pcm)
	if frame[0] != 0x20 {
		t.Errorf("first byte %#x, senders have 20", frame[0])
	}
	if n := testing.AllocsPerRun(100, func() { frame = airplay.AppendFrame(frame[:0], pcm) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	pcm := make([]int32, 704)
	var frame []byte
	b.ReportAllocs()
	for b.Loop() {
		frame = airplay.AppendFrame(frame[:0], pcm)
	}
}
