package h264

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// BitWriter writes the syntax elements of a raw byte sequence payload (RBSP),
// most significant bit first, with the descriptors of ITU-T H.264 section
// 7.2. The zero value is ready for use; Reset keeps the memory, so that a
// writer used again allocates nothing. AppendNAL turns the finished payload
// into a NAL unit with emulation prevention.
type BitWriter struct {
	buf  []byte
	acc  uint64 // the last free bits not yet in buf, right-aligned
	free int    // how many of them, 0 to 31
}

// Reset empties the writer and keeps its memory.
func (w *BitWriter) Reset() { w.buf, w.acc, w.free = w.buf[:0], 0, 0 }

// U writes the low n bits of v, n from 0 to 32: u(n).
func (w *BitWriter) U(n int, v uint32) {
	w.acc = w.acc<<n | uint64(v)&(1<<n-1)
	w.free += n
	if w.free >= 32 {
		w.free -= 32
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(w.acc>>w.free))
	}
}

// Flag writes one bit: u(1).
func (w *BitWriter) Flag(v bool) {
	var b uint32
	if v {
		b = 1
	}
	w.U(1, b)
}

// UE writes an unsigned Exp-Golomb code, ue(v) (section 9.1): 1 bit for 0, up
// to 65 bits for 2^32-1.
func (w *BitWriter) UE(v uint32) {
	code := uint64(v) + 1
	n := bits.Len64(code)
	w.U(n-1, 0)
	w.U(1, 1)
	w.U(n-1, uint32(code))
}

// SE writes a signed Exp-Golomb code, se(v) (section 9.1.1). The range is
// -2^31+1 to 2^31-1, as the standard has it.
func (w *BitWriter) SE(v int32) {
	if v > 0 {
		w.UE(uint32(v)<<1 - 1)
	} else {
		w.UE(uint32(-v) << 1)
	}
}

// Aligned tells whether the next bit is the first one of a byte.
func (w *BitWriter) Aligned() bool { return w.free&7 == 0 }

// AlignZero writes zero bits up to the next byte boundary, as
// pcm_alignment_zero_bit.
func (w *BitWriter) AlignZero() { w.U(-w.free&7, 0) }

// TrailingBits writes rbsp_trailing_bits: a one and then zeros up to the next
// byte boundary.
func (w *BitWriter) TrailingBits() {
	w.U(1, 1)
	w.AlignZero()
}

// Write appends whole bytes, as the samples of an I_PCM macroblock. It is
// fast where the writer is Aligned and correct elsewhere. It never fails.
func (w *BitWriter) Write(p []byte) (int, error) {
	if !w.Aligned() {
		for _, b := range p {
			w.U(8, uint32(b))
		}
		return len(p), nil
	}
	w.flush()
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// flush moves the whole bytes of the accumulator to buf.
func (w *BitWriter) flush() {
	for w.free >= 8 {
		w.free -= 8
		w.buf = append(w.buf, byte(w.acc>>w.free))
	}
}

// BitLen returns how many bits have been written.
func (w *BitWriter) BitLen() int { return len(w.buf)*8 + w.free }

// RBSP returns the payload written so far, a last incomplete byte filled with
// zeros. It is valid until the next call of any method.
func (w *BitWriter) RBSP() []byte {
	w.flush()
	if w.free == 0 {
		return w.buf
	}
	// The last byte goes behind the slice, not into it: writing may go on.
	return append(w.buf, byte(w.acc<<(8-w.free)))
}

// AppendNAL appends a NAL unit to dst: its header byte (nal_ref_idc<<5 |
// nal_unit_type) and the payload with emulation prevention bytes (section
// 7.4.1). It adds neither a start code nor a length.
func AppendNAL(dst []byte, header byte, rbsp []byte) []byte {
	return AppendEscaped(append(dst, header), rbsp)
}

// AppendEscaped appends rbsp to dst and inserts emulation_prevention_three_byte
// wherever two zero bytes are followed by a byte below 4, and behind a payload
// that ends in a zero byte (only cabac_zero_words do). HEVC's rule is the
// same (ITU-T H.265 section 7.4.2). The zeros are counted from the start of
// rbsp, so what precedes it in dst must not be zero.
func AppendEscaped(dst, rbsp []byte) []byte {
	from := 0 // start of what is not in dst yet
	for pos := 0; ; {
		i := bytes.Index(rbsp[pos:], twoZeros)
		if i < 0 || pos+i+2 == len(rbsp) {
			break
		}
		pos += i + 2
		if rbsp[pos] > 3 {
			continue
		}
		dst = append(append(dst, rbsp[from:pos]...), 3)
		from = pos
	}
	dst = append(dst, rbsp[from:]...)
	if n := len(rbsp); n > 0 && rbsp[n-1] == 0 {
		dst = append(dst, 3)
	}
	return dst
}

var twoZeros = []byte{0, 0}
