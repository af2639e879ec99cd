package h264

import (
	"fmt"
	"io"
)

// BitReader reads the syntax elements of a NAL unit behind its header,
// dropping emulation prevention bytes on the way. The first failure sticks:
// every later read returns zero, so a parser reads to its end and asks Err
// once. HEVC uses the same descriptors and the same emulation prevention, so
// the reader serves both.
//
// A BitReader is a value; a copy of it looks ahead without disturbing the
// original.
type BitReader struct {
	data  []byte
	pos   int // next byte to load
	zeros int // zero bytes directly before pos
	acc   uint64
	n     int // loaded and not yet read: the low n bits of acc
	read  int
	err   error
}

// NewBitReader reads payload, the bytes of a NAL unit behind its header.
func NewBitReader(payload []byte) BitReader { return BitReader{data: payload} }

// Err returns the first failure: io.ErrUnexpectedEOF at the end of the data,
// or an error that names the syntax element out of range.
func (r *BitReader) Err() error { return r.err }

// Fail makes err the reader's failure unless it has one.
func (r *BitReader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// BitPos returns how many bits were read, emulation prevention not counted.
func (r *BitReader) BitPos() int { return r.read }

// BytePos returns how many bytes of the payload the bits that were read
// occupy, the last one perhaps in part, emulation prevention bytes among them
// counted. It tells where slice data begins behind a header.
func (r *BitReader) BytePos() int { return r.pos }

// load brings one more byte into acc.
func (r *BitReader) load() bool {
	if r.zeros >= 2 && r.pos < len(r.data) && r.data[r.pos] == 3 {
		r.pos++
		r.zeros = 0
	}
	if r.pos >= len(r.data) {
		r.Fail(io.ErrUnexpectedEOF)
		return false
	}
	b := r.data[r.pos]
	r.pos++
	if b == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	r.acc = r.acc<<8 | uint64(b)
	r.n += 8
	return true
}

// U reads n bits, 0 to 32: u(n).
func (r *BitReader) U(n int) uint32 {
	if r.err != nil {
		return 0
	}
	for r.n < n {
		if !r.load() {
			return 0
		}
	}
	r.n -= n
	r.read += n
	return uint32(r.acc >> r.n & (1<<n - 1))
}

// Flag reads one bit: u(1).
func (r *BitReader) Flag() bool { return r.U(1) == 1 }

// Skip drops n bits.
func (r *BitReader) Skip(n int) {
	for ; n > 32 && r.err == nil; n -= 32 {
		r.U(32)
	}
	r.U(n)
}

// UE reads an unsigned Exp-Golomb code: ue(v).
func (r *BitReader) UE() uint32 {
	zeros := 0
	for zeros <= 32 && r.err == nil && r.U(1) == 0 {
		zeros++
	}
	v := uint64(1)<<zeros - 1 + uint64(r.U(zeros))
	if v > 1<<32-1 {
		r.Fail(fmt.Errorf("Exp-Golomb code before bit %d exceeds 32 bits", r.read))
	}
	if r.err != nil {
		return 0
	}
	return uint32(v)
}

// SE reads a signed Exp-Golomb code: se(v).
func (r *BitReader) SE() int32 {
	code := r.UE()
	v := int32(code>>1 + code&1) // 2^32-1 would be 2^31: it wraps, and no range admits it
	if code&1 == 0 {
		return -v
	}
	return v
}

// UEMax reads ue(v) and fails, naming the syntax element, above max.
func (r *BitReader) UEMax(name string, max uint32) uint32 {
	v := r.UE()
	if v > max {
		r.Fail(fmt.Errorf("%s is %d, at most %d is possible", name, v, max))
		return 0
	}
	return v
}

// SERange reads se(v) and fails, naming the syntax element, outside min to
// max.
func (r *BitReader) SERange(name string, min, max int32) int32 {
	v := r.SE()
	if v < min || v > max {
		r.Fail(fmt.Errorf("%s is %d, possible are %d to %d", name, v, min, max))
		return 0
	}
	return v
}

// MoreData is more_rbsp_data (section 7.2): whether syntax elements follow
// before the trailing bits, which begin with the last one bit of the payload.
// Without any one bit left, it is false.
func (r *BitReader) MoreData() bool {
	p := *r
	p.U(1) // the stop bit, or the first bit of more
	for p.err == nil {
		if p.Flag() {
			return true
		}
	}
	return false
}
