package codec

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// eld is AAC-ELD as a phone sends it: 44.1 kHz stereo, 480 samples a frame.
var eld = AudioParameters{AAC, 44100, 2, 480, []byte{0xf8, 0xe8, 0x50, 0x00}}

// loadELD returns the packets of testdata/eld480.avcc, a signal made for this
// project, and what the FDK reference decoder makes of them.
func loadELD(t testing.TB) (packets [][]byte, want []int16) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		must(t, err)
		return b
	}
	stream := read("eld480.avcc")
	for _, field := range strings.Fields(string(read("eld480.idx"))) {
		n, err := strconv.Atoi(field)
		must(t, err)
		packets, stream = append(packets, stream[:n]), stream[n:]
	}
	pcm := read("eld480.s16")
	for i := 0; i < len(pcm); i += 2 {
		want = append(want, int16(binary.LittleEndian.Uint16(pcm[i:])))
	}
	return packets, want
}

func newAudio(t testing.TB, p AudioParameters) *AudioDecoder {
	t.Helper()
	d, err := NewAudioDecoder(p)
	must(t, err)
	t.Cleanup(d.Close)
	return d
}

// decodeAll decodes packets that must not fail.
func decodeAll(t testing.TB, d *AudioDecoder, packets [][]byte) (sound []float32) {
	t.Helper()
	buf := make([]float32, d.p.FrameLength*d.p.Channels)
	for i, p := range packets {
		n, err := d.Decode(p, buf)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		sound = append(sound, buf[:n]...)
	}
	return sound
}

// snr is the signal-to-noise ratio of got in dB.
func snr(got []float32, want func(i int) float64) float64 {
	var signal, noise float64
	for i, v := range got {
		w := want(i)
		signal += w * w
		noise += (float64(v) - w) * (float64(v) - w)
	}
	return 10 * math.Log10(signal/noise)
}

// TestELD compares with the reference decoder, sample by sample.
func TestELD(t *testing.T) {
	packets, want := loadELD(t)
	got := decodeAll(t, newAudio(t, eld), packets)
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	ratio := snr(got, func(i int) float64 { return float64(want[i]) / 32768 })
	t.Logf("SNR %.1f dB", ratio)
	if ratio < 80 {
		t.Errorf("SNR is %.1f dB, want 80", ratio)
	}
}

// TestAudioReset shows that Reset forgets: after it the decoder makes the
// same of the stream as a new one, and without it something else.
func TestAudioReset(t *testing.T) {
	packets, _ := loadELD(t)
	want := decodeAll(t, newAudio(t, eld), packets[50:60])
	d := newAudio(t, eld)
	for _, reset := range []bool{false, true} {
		decodeAll(t, d, packets[100:110])
		if reset {
			d.Reset()
		}
		got := decodeAll(t, d, packets[50:60])
		if same := fmt.Sprint(got) == fmt.Sprint(want); same != reset {
			t.Errorf("reset %t: same sound %t", reset, same)
		}
	}
}

// cookie is ALAC's magic cookie: an atom "alac" that holds ALACSpecificConfig.
func cookie(p AudioParameters, depth byte) []byte {
	k := binary.BigEndian.AppendUint32(nil, 36)
	k = append(k, "alac\x00\x00\x00\x00"...)
	k = binary.BigEndian.AppendUint32(k, uint32(p.FrameLength))
	k = append(k, 0, depth, 40, 10, 14, byte(p.Channels), 0, 255)
	k = append(k, 0, 0, 0, 0, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint32(k, uint32(p.Rate))
}

// bitWriter writes most significant bits first.
type bitWriter struct {
	b    []byte
	used int // bits in the last byte
}

func (w *bitWriter) put(v uint64, bits int) {
	for i := bits - 1; i >= 0; i-- {
		if w.used%8 == 0 {
			w.b = append(w.b, 0)
			w.used = 0
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (7 - w.used)
		w.used++
	}
}

// verbatim makes an ALAC frame of uncompressed samples: a channel pair element
// with the flag for "not compressed", and the end element.
func verbatim(samples []int32, depth int) []byte {
	var w bitWriter
	w.put(1, 3)  // channel pair
	w.put(0, 4)  // instance
	w.put(0, 12) // unused
	w.put(0, 1)  // frame of the usual length
	w.put(0, 2)  // no extra bits
	w.put(1, 1)  // not compressed
	for _, v := range samples {
		w.put(uint64(uint32(v)), depth)
	}
	w.put(7, 3)
	return w.b
}

// TestALACVerbatim decodes frames of 352 samples, as senders make them, to
// every bit.
func TestALACVerbatim(t *testing.T) {
	for _, depth := range []int{16, 24} {
		p := AudioParameters{Codec: ALAC, Rate: 44100, Channels: 2, FrameLength: 352}
		p.Config = cookie(p, byte(depth))
		d := newAudio(t, p)
		buf := make([]float32, 704)
		r := rand.New(rand.NewPCG(1, uint64(depth)))
		for range 20 {
			want := make([]int32, 704)
			for i := range want {
				want[i] = r.Int32() >> (32 - depth)
			}
			want[0], want[1] = -1<<(depth-1), 1<<(depth-1)-1
			n, err := d.Decode(verbatim(want, depth), buf)
			if err != nil || n != 704 {
				t.Fatalf("%d bits: %d samples, %v", depth, n, err)
			}
			for i, v := range buf {
				if got := float64(v) * float64(int(1)<<(depth-1)); got != float64(want[i]) {
					t.Fatalf("%d bits: sample %d is %v, want %d", depth, i, got, want[i])
				}
			}
		}
	}
}

// TestALAC decodes Rice-coded frames of Debian's encoder to the samples that
// went in.
func TestALAC(t *testing.T) {
	for _, v := range []struct{ format, codec string }{{"s16", "pcm_s16le"}, {"s24", "pcm_s24le"}} {
		depth, _ := strconv.Atoi(v.format[1:])
		sound := []string{"-f", "lavfi", "-i", "aevalsrc=0.5*sin(2*PI*440*t)+0.1*random(0)|0.4*sin(2*PI*1000*t*t):d=1:s=44100"}
		want := ffmpeg(t, append(sound, "-c:a", v.codec, "-f", v.format+"le", "-")...)
		dir := t.TempDir()
		raw := filepath.Join(dir, "raw")
		must(t, os.WriteFile(raw, want, 0o600))
		caf := filepath.Join(dir, "alac.caf")
		sample := map[int]string{16: "s16p", 24: "s32p"}[depth]
		ffmpeg(t, "-f", v.format+"le", "-ar", "44100", "-ac", "2", "-i", raw, "-c:a", "alac", "-sample_fmt", sample, caf)

		p := AudioParameters{Codec: ALAC, Rate: 44100, Channels: 2, FrameLength: 4096}
		p.Config = cookie(p, byte(depth))
		d := newAudio(t, p)
		buf := make([]float32, 8192)
		at := 0
		for _, packet := range packetsOf(t, caf) {
			n, err := d.Decode(packet, buf)
			must(t, err)
			for _, s := range buf[:n] {
				if got, w := float64(s)*float64(int(1)<<(depth-1)), little(want[at:], depth); got != float64(w) {
					t.Fatalf("%s: sample %d is %v, want %d", v.format, at, got, w)
				}
				at += depth / 8
			}
		}
		if at != len(want) {
			t.Errorf("%s: %d bytes of sound, want %d", v.format, at, len(want))
		}
	}
}

// packetsOf returns a file's packets, in the form that ffprobe prints.
func packetsOf(t *testing.T, file string) (packets [][]byte) {
	t.Helper()
	dump := ffmpeg(t, "-i", file, "-c", "copy", "-f", "framehash", "-hash", "sha256", "-")
	data := ffmpeg(t, "-i", file, "-map", "0:a", "-c", "copy", "-f", "data", "-")
	for line := range strings.Lines(string(dump)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(strings.Split(line, ",")[4]))
		must(t, err)
		packets, data = append(packets, data[:n]), data[n:]
	}
	return packets
}

func little(b []byte, depth int) int32 {
	if depth == 16 {
		return int32(int16(binary.LittleEndian.Uint16(b)))
	}
	return int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8
}

// TestAudioRoom gives Decode less room than the sound needs.
func TestAudioRoom(t *testing.T) {
	packets, _ := loadELD(t)
	d := newAudio(t, eld)
	buf := make([]float32, 1000)
	for _, room := range []int{0, 1, 959} {
		buf[room] = 7
		if n, err := d.Decode(packets[0], buf[:room]); n != 0 || !errors.Is(err, ErrRoom) {
			t.Errorf("room for %d: %d, %v", room, n, err)
		}
		if buf[room] != 7 {
			t.Errorf("room for %d: written beyond", room)
		}
	}
	if n, err := d.Decode(packets[1], buf[:960]); n != 960 || err != nil {
		t.Errorf("after the errors: %d, %v", n, err)
	}
	if _, err := d.Decode(nil, buf); err == nil {
		t.Error("an empty packet was decoded")
	}
	if _, err := d.Decode(make([]byte, maxAudioPacket+1), buf); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a huge packet: %v", err)
	}
}

func TestAudioParameters(t *testing.T) {
	alac := AudioParameters{Codec: ALAC, Rate: 44100, Channels: 2, FrameLength: 352}
	alac.Config = cookie(alac, 16)
	if hex.EncodeToString(alac.Config) != "00000024616c616300000000000001600010280a0e0200ff00000000000000000000ac44" {
		t.Fatalf("cookie %x", alac.Config)
	}
	change := func(p AudioParameters, f func(*AudioParameters)) AudioParameters {
		p.Config = append([]byte(nil), p.Config...)
		f(&p)
		return p
	}
	for name, p := range map[string]AudioParameters{
		"no codec":        change(eld, func(p *AudioParameters) { p.Codec = 0 }),
		"rate 0":          change(eld, func(p *AudioParameters) { p.Rate = 0 }),
		"other rate":      change(eld, func(p *AudioParameters) { p.Rate = 48000 }),
		"other channels":  change(eld, func(p *AudioParameters) { p.Channels = 1 }),
		"9 channels":      change(eld, func(p *AudioParameters) { p.Channels = 9 }),
		"huge frame":      change(eld, func(p *AudioParameters) { p.FrameLength = 1 << 24 }),
		"no config":       change(eld, func(p *AudioParameters) { p.Config = nil }),
		"garbage":         change(eld, func(p *AudioParameters) { p.Config = []byte{1, 2} }),
		"long config":     change(eld, func(p *AudioParameters) { p.Config = make([]byte, 65) }),
		"short cookie":    change(alac, func(p *AudioParameters) { p.Config = p.Config[:24] }),
		"not a cookie":    change(alac, func(p *AudioParameters) { p.Config[4] = 'x' }),
		"other length":    change(alac, func(p *AudioParameters) { p.Config[12] = 1 }),
		"cookie depth 17": change(alac, func(p *AudioParameters) { p.Config[17] = 17 }),
		"cookie mono":     change(alac, func(p *AudioParameters) { p.Config[21] = 1 }),
		"cookie rate":     change(alac, func(p *AudioParameters) { p.Config[35]++ }),
	} {
		if d, err := NewAudioDecoder(p); err == nil {
			d.Close()
			t.Errorf("%s was accepted", name)
		}
	}
	newAudio(t, alac)
	high := change(eld, func(p *AudioParameters) {
		p.Rate = 96000
		p.Config = []byte{0x10, 0x10} // AAC-LC, index 0, 2 channels
	})
	newAudio(t, high)
}
