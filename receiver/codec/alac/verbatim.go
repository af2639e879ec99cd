package alac

import "encoding/binary"

// DecodeVerbatim decodes a frame of the form that AppendFrame writes into
// interleaved samples in [-1, 1), and returns how many there are, over all
// channels. It returns false, without having looked further than it must, for
// every other frame: one that is compressed, cut off or too long for pcm.
//
// Software senders write this form and leave out the mark behind the last
// sample, without which libavcodec takes no frame.
func (c Config) DecodeVerbatim(frame []byte, pcm []float32) (samples int, ok bool) {
	const minimum = 8
	if len(frame) < minimum {
		return 0, false
	}
	head := binary.BigEndian.Uint64(frame)
	field := func(at, bits int) int { return int(head >> (64 - at - bits) & (1<<bits - 1)) }
	if field(0, 3) != c.Channels-1 || field(20, 2) != 0 || field(22, 1) != 1 {
		return 0, false
	}
	n, at := c.FrameLength, 23
	if field(19, 1) == 1 {
		n, at = field(23, 32), 55
	}
	if n < 1 || n > c.FrameLength || n*c.Channels > len(pcm) || at+n*c.Channels*c.BitDepth > 8*len(frame) {
		return 0, false
	}
	r := bitReader{buf: frame[at/8:], skip: at % 8}
	scale := 1 / float32(int(1)<<(c.BitDepth-1))
	for i := range n * c.Channels {
		pcm[i] = float32(r.signed(c.BitDepth)) * scale
	}
	return n * c.Channels, true
}

// bitReader reads values that begin within a byte.
type bitReader struct {
	buf  []byte
	skip int // bits of the first byte that are read
}

// signed reads a value of 16 or 24 bits.
func (r *bitReader) signed(bits int) int32 {
	var v uint32
	for i := range min(bits/8+1, len(r.buf)) {
		v |= uint32(r.buf[i]) << (24 - 8*i)
	}
	v <<= r.skip
	r.buf = r.buf[bits/8:]
	return int32(v) >> (32 - bits)
}
