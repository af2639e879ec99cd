package eld

import (
	"encoding/binary"
	"math/bits"
)

// ms_mask_present.
const (
	maskNone = iota
	maskPerBand
	maskAll
)

func (e *Encoder) stereoMask() uint32 {
	joint := 0
	for _, on := range e.midSide[:len(e.bands)-1] {
		joint += int(bit(on))
	}
	switch joint {
	case 0:
		return maskNone
	case len(e.bands) - 1:
		return maskAll
	}
	return maskPerBand
}

// headerBits returns the bits of an access unit outside its channel streams.
func (e *Encoder) headerBits() int {
	n := 6 + 7 // max_sfb, byte alignment at most
	if len(e.channels) == 2 {
		n += 2
		if e.stereoMask() == maskPerBand {
			n += len(e.bands) - 1
		}
	}
	return n
}

// writeAccessUnit writes er_raw_data_block_eld (ISO/IEC 14496-3, section
// 4.4.2): one element without tag or window description. All bands are
// always present, so the first byte of stereo is 8c, 8d or 8e as phones send
// it for 480 samples; some receivers check that.
func (e *Encoder) writeAccessUnit() {
	w := &e.out
	maxSFB := uint32(len(e.bands) - 1)
	if len(e.channels) == 1 {
		c := e.channels[0]
		w.put(8, c.globalGain(e.bands))
		w.put(6, maxSFB)
		c.write(w, e.bands)
		return
	}
	w.put(6, maxSFB)
	mask := e.stereoMask()
	w.put(2, mask)
	if mask == maskPerBand {
		for _, on := range e.midSide[:maxSFB] {
			w.put(1, bit(on))
		}
	}
	for _, c := range e.channels {
		w.put(8, c.globalGain(e.bands))
		c.write(w, e.bands)
	}
}

// globalGain returns the first scalefactor, from which the differences count.
func (c *channel) globalGain(bands []int) uint32 {
	for b := range len(bands) - 1 {
		if c.peak[b] > 0 {
			return uint32(c.scalefactor[b])
		}
	}
	return neutralScale
}

// write writes an individual_channel_stream behind its global_gain and
// ics_info.
func (c *channel) write(w *bitWriter, bands []int) {
	c.writeSections(w, len(bands)-1)
	c.writeScalefactors(w, bands)
	w.put(1, 0) // tns_data_present
	for b, k := range c.books.book[:len(bands)-1] {
		if k != zeroBook {
			books[k].write(w, c.quantised[bands[b]:bands[b+1]])
		}
	}
}

func (c *channel) writeSections(w *bitWriter, bands int) {
	chosen := c.books.book[:bands]
	for from := 0; from < bands; {
		to := from + 1
		for to < bands && chosen[to] == chosen[from] {
			to++
		}
		w.put(4, uint32(chosen[from]))
		length := to - from
		for ; length >= sectionExtend; length -= sectionExtend {
			w.put(5, sectionExtend)
		}
		w.put(5, uint32(length))
		from = to
	}
}

func (c *channel) writeScalefactors(w *bitWriter, bands []int) {
	last := int(c.globalGain(bands))
	for b, k := range c.books.book[:len(bands)-1] {
		if k == zeroBook {
			continue
		}
		next := last // a band of zeros inside a section repeats it
		if c.peak[b] > 0 {
			next = c.scalefactor[b]
		}
		w.word(scalefactorBook[next-last+maxScaleDelta])
		last = next
	}
}

// sideBits returns the bits of a channel stream besides the sections and the
// values: global_gain, tns_data_present and the scalefactors of bands that
// have values.
func (c *channel) sideBits(bands int) int {
	n, last := 8+1+5, -1 // a section longer than 30 bands extends its length
	for b := range bands {
		if c.peak[b] == 0 {
			continue
		}
		next := c.scalefactor[b]
		if last < 0 {
			last = next
		}
		n += scalefactorBook[next-last+maxScaleDelta].bits()
		last = next
	}
	return n
}

// write writes the values of a band.
func (k *book) write(w *bitWriter, values []int32) {
	for i := 0; i < len(values); i += k.dim {
		v := values[i : i+k.dim]
		w.word(k.words[k.index(v)])
		if k.signed {
			continue
		}
		for _, x := range v {
			if x != 0 {
				w.put(1, bit(x < 0))
			}
		}
		for _, x := range v {
			if m := abs(x); m >= escape {
				w.escape(uint32(m))
			}
		}
	}
}

// bitWriter writes bits, the most significant first.
type bitWriter struct {
	buf []byte
	acc uint64 // the last bits not yet in buf, right-aligned
	n   int    // how many, below 32
}

func (w *bitWriter) reset() { w.buf, w.acc, w.n = w.buf[:0], 0, 0 }

// put writes the low n bits of v, which has no others; n is at most 32.
func (w *bitWriter) put(n int, v uint32) {
	w.acc = w.acc<<n | uint64(v)
	w.n += n
	if w.n >= 32 {
		w.n -= 32
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(w.acc>>w.n))
	}
}

func (w *bitWriter) word(c codeword) { w.put(c.bits(), c.code()) }

// escape writes the escape sequence of a magnitude of 16 or more: a unary
// exponent, counted from 4, and the mantissa.
func (w *bitWriter) escape(m uint32) {
	exponent := bits.Len32(m) - 1
	w.put(exponent-3, 1<<(exponent-3)-2)
	w.put(exponent, m&(1<<exponent-1))
}

// appendTo appends what was written to dst, filled up with zeros to a whole
// byte.
func (w *bitWriter) appendTo(dst []byte) []byte {
	w.put(-w.n&7, 0)
	dst = append(dst, w.buf...)
	for n := w.n; n > 0; n -= 8 {
		dst = append(dst, byte(w.acc>>(n-8)))
	}
	return dst
}

func bit(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}
