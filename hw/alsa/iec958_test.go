package alsa

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// subframe is one subframe by the book, bit by bit: an independent and slow
// statement of IEC 60958 as the hardware reference section 4.2 has it.
func subframe(frame int, second bool, sample int32, status []bool) uint32 {
	var bit [32]bool
	// Bits 0 to 3 name the preamble.
	switch {
	case second:
		bit[2] = true
	case frame%192 == 0:
		bit[3] = true
	default:
		bit[1] = true
	}
	// Bits 4 to 27, two's complement, least significant first.
	v := int64(sample)
	if v < 0 {
		v += 1 << 24
	}
	for i := range 24 {
		bit[4+i] = v%2 == 1
		v /= 2
	}
	bit[30] = status[frame%192]
	ones := 0
	for i := 4; i <= 30; i++ {
		if bit[i] {
			ones++
		}
	}
	bit[31] = ones%2 == 1
	var w uint32
	for i := 31; i >= 0; i-- {
		w *= 2
		if bit[i] {
			w++
		}
	}
	return w
}

// statusBits spells out the channel status by field (IEC 60958-3 section 5).
func statusBits(rate int) []bool {
	b := make([]bool, 192)
	set := func(first int, values ...int) {
		for i, v := range values {
			b[first+i] = v == 1
		}
	}
	set(0, 0, 0, 1)                // consumer, PCM, no copyright
	set(3, 0, 0, 0)                // no emphasis
	set(8, 0, 1, 0, 0, 0, 0, 0, 1) // category of a digital-digital converter
	set(16, 0, 0, 0, 0)            // source
	set(20, 0, 0, 0, 0)            // channel: do not take into account
	set(24, map[int][]int{
		32000: {1, 1, 0, 0}, 44100: {0, 0, 0, 0}, 48000: {0, 1, 0, 0}, 88200: {0, 0, 0, 1}, 96000: {0, 1, 0, 1},
		176400: {0, 0, 1, 1}, 192000: {0, 1, 1, 1}, 22050: {1, 0, 0, 0}}[rate]...)
	set(32, 1, 1, 0, 1) // up to 24 bits, all 24 used
	return b
}

func TestSubframes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, rate := range []int{32000, 44100, 48000, 88200, 96000, 176400, 192000, 22050} {
		e := newEncoder(IEC958, rate, false)
		bits := statusBits(rate)
		frame := 0
		for range 50 {
			// Writes of any length: the block runs on across them.
			src := make([]float32, 2*(1+r.IntN(300)))
			want := make([]uint32, len(src))
			for i := range src {
				v := int32(r.IntN(1<<24)) - 1<<23
				switch r.IntN(8) {
				case 0:
					v = 0
				case 1:
					v = -1 << 23
				case 2:
					v = 1<<23 - 1
				}
				src[i] = float32(v) / (1 << 23)
				want[i] = subframe(frame+i/2, i%2 == 1, v, bits)
			}
			frame += len(src) / 2
			dst := make([]byte, 4*len(src))
			e.encode(dst, src)
			for i, w := range want {
				if got := binary.LittleEndian.Uint32(dst[4*i:]); got != w {
					t.Fatalf("%d Hz, subframe %d of a write up to frame %d: %032b, want %032b", rate, i, frame, got, w)
				}
			}
		}
		e.reset()
		dst := make([]byte, 8)
		e.encode(dst, []float32{0, 0})
		if got, want := binary.LittleEndian.Uint32(dst), subframe(0, false, 0, bits); got != want {
			t.Errorf("%d Hz: after a reset %#x, want the start of a block %#x", rate, got, want)
		}
	}
}

// A 16-bit sample sits in bits 12 to 27.
func TestSubframeOfSixteenBits(t *testing.T) {
	e := newEncoder(IEC958, 44100, false)
	dst := make([]byte, 8)
	for v := -1 << 15; v < 1<<15; v++ {
		x := float32(v) / (1 << 15)
		e.encode(dst, []float32{x, x})
		for i := range 2 {
			w := binary.LittleEndian.Uint32(dst[4*i:])
			if got, want := w&0x0ffffff0, uint32(uint16(v))<<12; got != want {
				t.Fatalf("sample %d: %#x, want %#x", v, got, want)
			}
		}
	}
}

// The channel status bytes that alsa-lib's profile for vc4 writes for 24 bits.
func TestChannelStatus(t *testing.T) {
	for rate, code := range map[int]byte{32000: 3, 44100: 0, 48000: 2, 88200: 8, 96000: 0xa, 176400: 0xc, 192000: 0xe, 8000: 1} {
		if got, want := channelStatus(rate), (status{0x04, 0x82, 0x00, code, 0x0b}); got != want {
			t.Errorf("%d Hz: % x, want % x", rate, got, want)
		}
	}
}
