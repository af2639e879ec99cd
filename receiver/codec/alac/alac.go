// Package alac writes Apple Lossless frames without compressing them: the
// escape form that the format has for samples which prediction cannot make
// smaller. Every decoder must read it, it costs nothing to make and its size
// is known beforehand, which suits a test sender. The magic cookie that goes
// with the frames is here too, and the way back for frames of this form.
//
// Predicting and Rice-coding encoders exist elsewhere; decoding what they make
// is the business of package codec.
//
// Proof: alac_test.go holds the cookie to one from real senders, has
// libavcodec decode frames of every shape bit by bit, and checks that a frame
// allocates nothing; verbatim_test.go has the way back, with a fuzz target.
package alac

import (
	"encoding/binary"
	"fmt"
)

// Config describes a stream.
type Config struct {
	SampleRate  int // Hz
	BitDepth    int // 16 or 24
	Channels    int // 1 or 2
	FrameLength int // samples per channel, 1 to 4096; AirPlay sends 352
}

// Check returns an error that names the first value out of range.
func (c Config) Check() error {
	switch {
	case c.SampleRate < 1 || c.SampleRate > 384000:
		return fmt.Errorf("alac: sample rate %d: 1 to 384000 are supported", c.SampleRate)
	case c.BitDepth != 16 && c.BitDepth != 24:
		return fmt.Errorf("alac: %d bits a sample: only 16 and 24 are supported", c.BitDepth)
	case c.Channels != 1 && c.Channels != 2:
		return fmt.Errorf("alac: %d channels: only 1 and 2 are supported", c.Channels)
	case c.FrameLength < 1 || c.FrameLength > 4096:
		return fmt.Errorf("alac: frame length %d: 1 to 4096 are supported", c.FrameLength)
	}
	return nil
}

// SpecificConfig returns the 24 bytes of ALACSpecificConfig (reference
// section 8.3). The parameters of the Rice coder, which verbatim frames do not
// use, are the usual ones.
func (c Config) SpecificConfig() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(c.FrameLength))
	b = append(b,
		0, // compatible version
		byte(c.BitDepth),
		40, 10, 14, // rice history multiplier, initial history, parameter limit
		byte(c.Channels))
	b = binary.BigEndian.AppendUint16(b, 255) // longest run
	b = binary.BigEndian.AppendUint32(b, 0)   // largest frame: unknown
	b = binary.BigEndian.AppendUint32(b, 0)   // average bit rate: unknown
	return binary.BigEndian.AppendUint32(b, uint32(c.SampleRate))
}

// MagicCookie returns SpecificConfig inside its 12 byte box header, the 36
// bytes that decoders take as their configuration.
func (c Config) MagicCookie() []byte {
	return append([]byte("\x00\x00\x00\x24alac\x00\x00\x00\x00"), c.SpecificConfig()...)
}

// FrameSize returns the bytes of a frame of so many samples per channel.
func (c Config) FrameSize(samples int) int {
	bits := 3 + 4 + 12 + 1 + 2 + 1 + samples*c.Channels*c.BitDepth + 3
	if samples != c.FrameLength {
		bits += 32
	}
	return (bits + 7) / 8
}

// AppendFrame appends a frame to dst. pcm holds interleaved samples,
// FrameLength per channel or, as the last frame of a stream, fewer; of each
// value the low BitDepth bits count. It panics if pcm is empty, longer than a
// frame or no multiple of the channels.
func (c Config) AppendFrame(dst []byte, pcm []int32) []byte {
	samples := len(pcm) / c.Channels
	if samples < 1 || samples > c.FrameLength || len(pcm)%c.Channels != 0 {
		panic(fmt.Sprintf("alac: frame of %d values, at most %d×%d are possible", len(pcm), c.FrameLength, c.Channels))
	}
	w := writer{buf: dst}
	w.put(3, uint32(c.Channels-1)) // single channel or channel pair element
	w.put(4, 0)                    // element instance
	w.put(12, 0)                   // unused
	partial := samples != c.FrameLength
	if partial {
		w.put(1, 1)
	} else {
		w.put(1, 0)
	}
	w.put(2, 0) // bytes shifted out
	w.put(1, 1) // verbatim
	if partial {
		w.put(32, uint32(samples))
	}
	for _, v := range pcm {
		w.put(c.BitDepth, uint32(v)&(1<<c.BitDepth-1))
	}
	w.put(3, 7) // end of frame
	w.put(-w.n&7, 0)
	return w.flush()
}

// writer appends bits to buf, the most significant first.
type writer struct {
	buf []byte
	acc uint64
	n   int // bits in acc that are not in buf
}

// put writes the n low bits of v, which has no others; n is at most 32.
func (w *writer) put(n int, v uint32) {
	w.acc = w.acc<<n | uint64(v)
	w.n += n
	if w.n >= 32 {
		w.n -= 32
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(w.acc>>w.n))
	}
}

// flush appends the whole bytes left and returns the buffer.
func (w *writer) flush() []byte {
	for ; w.n >= 8; w.n -= 8 {
		w.buf = append(w.buf, byte(w.acc>>(w.n-8)))
	}
	return w.buf
}
