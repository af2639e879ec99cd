package eld

import (
	"math/rand/v2"
	"testing"
)

// bitReader reads what bitWriter wrote. Behind the end it reads zeros, which
// the caller notices by pos.
type bitReader struct {
	data []byte
	pos  int
}

func (r *bitReader) get(n int) (v int) {
	for range n {
		v <<= 1
		if r.pos>>3 < len(r.data) {
			v |= int(r.data[r.pos>>3] >> (7 - r.pos&7) & 1)
		}
		r.pos++
	}
	return v
}

// word reads a codeword and returns its index in the book.
func (r *bitReader) word(t *testing.T, book []codeword) int {
	code, length := 0, 0
	for length < 20 {
		code, length = code<<1|r.get(1), length+1
		for i, w := range book {
			if w.bits() == length && w.code() == uint32(code) {
				return i
			}
		}
	}
	t.Fatalf("no codeword at bit %d", r.pos)
	return 0
}

// readBack reads an access unit as a decoder does, from the formulas of the
// standard and the codewords alone, and compares what it finds with what the
// encoder meant.
func readBack(t *testing.T, e *Encoder, unit []byte) {
	t.Helper()
	r := &bitReader{data: unit}
	bands := len(e.bands) - 1
	if len(e.channels) == 2 {
		if got := r.get(6); got != bands {
			t.Fatalf("max_sfb %d, want %d", got, bands)
		}
		mask := r.get(2)
		for b := range bands {
			on := mask == maskAll || mask == maskPerBand && r.get(1) == 1
			if on != e.midSide[b] {
				t.Fatalf("band %d: mid/side %v, want %v", b, on, e.midSide[b])
			}
		}
	}
	for _, c := range e.channels {
		readChannel(t, r, e, c)
	}
	if left := len(unit)*8 - r.pos; left < 0 || left > 7 {
		t.Fatalf("%d bits left of %d bytes", left, len(unit))
	}
}

func readChannel(t *testing.T, r *bitReader, e *Encoder, c *channel) {
	bands := len(e.bands) - 1
	gain := r.get(8)
	if len(e.channels) == 1 && r.get(6) != bands {
		t.Fatal("max_sfb is wrong")
	}
	var chosen []int
	for len(chosen) < bands {
		book, length := r.get(4), 0
		for more := sectionExtend; more == sectionExtend; {
			more = r.get(5)
			length += more
		}
		if length == 0 || book > escapeBook {
			t.Fatalf("section of %d bands with book %d", length, book)
		}
		for range length {
			chosen = append(chosen, book)
		}
	}
	for b, book := range chosen {
		if book == zeroBook {
			continue
		}
		gain += r.word(t, scalefactorBook[:]) - maxScaleDelta
		if c.peak[b] > 0 && gain != c.scalefactor[b] {
			t.Fatalf("band %d: scalefactor %d, want %d", b, gain, c.scalefactor[b])
		}
	}
	if r.get(1) != 0 {
		t.Fatal("tns_data_present")
	}
	for b, book := range chosen {
		for i := e.bands[b]; i < e.bands[b+1]; {
			for _, got := range readValues(t, r, book) {
				if got != c.quantised[i] {
					t.Fatalf("line %d, book %d: %d, want %d", i, book, got, c.quantised[i])
				}
				i++
			}
		}
	}
}

// readValues reads one codeword and what belongs to it.
func readValues(t *testing.T, r *bitReader, book int) []int32 {
	if book == zeroBook {
		return []int32{0, 0}
	}
	k := &books[book]
	values := make([]int32, k.dim)
	index := r.word(t, k.words)
	for d := k.dim - 1; d >= 0; d-- {
		values[d] = int32(index % k.base)
		index /= k.base
		if k.signed {
			values[d] -= k.peak
		}
	}
	if k.signed {
		return values
	}
	var negative [4]bool
	for d, v := range values {
		negative[d] = v != 0 && r.get(1) == 1
	}
	for d, v := range values {
		if book == escapeBook && v == escape {
			n := 4
			for r.get(1) == 1 {
				n++
			}
			v = 1<<n + int32(r.get(n))
		}
		if negative[d] {
			v = -v
		}
		values[d] = v
	}
	return values
}

// TestAccessUnits reads back sounds of all kinds, so that every codebook, the
// longest section and every stereo mask occur.
func TestAccessUnits(t *testing.T) {
	var bookSeen [numBooks]bool
	var maskSeen [3]bool
	for channels := 1; channels <= 2; channels++ {
		for _, s := range signals() {
			e, err := NewEncoder(Config{SampleRate: 44100, Channels: channels, FrameLength: 480})
			if err != nil {
				t.Fatal(err)
			}
			pcm := s.samples(480*30, channels)
			for at := 0; at < len(pcm); at += 480 * channels {
				unit := e.AppendFrame(nil, pcm[at:at+480*channels])
				readBack(t, e, unit)
				if channels == 2 {
					maskSeen[e.stereoMask()] = true
					if first := unit[0]; first < 0x8c || first > 0x8e {
						t.Fatalf("first byte %#x, phones send 8c, 8d or 8e", first)
					}
				}
				for _, c := range e.channels {
					for _, k := range c.books.book[:35] {
						bookSeen[k] = true
					}
				}
			}
		}
	}
	for k, seen := range bookSeen {
		if !seen {
			t.Errorf("book %d never used", k)
		}
	}
	for mask, seen := range maskSeen {
		if !seen {
			t.Errorf("ms_mask_present %d never used", mask)
		}
	}
}

// TestScalefactorSpan feeds a spectrum whose neighbouring bands differ by
// more than a scalefactor difference can express.
func TestScalefactorSpan(t *testing.T) {
	e, err := NewEncoder(Config{SampleRate: 44100, Channels: 1, FrameLength: 480, BitRate: 256000})
	if err != nil {
		t.Fatal(err)
	}
	c := e.channels[0]
	random := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		for b := range len(e.bands) - 1 {
			level := []float64{0, 1e-3, 1, 30, 1e4, 1e7}[random.IntN(6)]
			for i := e.bands[b]; i < e.bands[b+1]; i++ {
				c.lines[i] = level * random.NormFloat64()
			}
			c.threshold[b] = 1e-3 + level*level*random.Float64()/1000
		}
		e.fitBudget()
		e.out.reset()
		e.writeAccessUnit()
		readBack(t, e, e.out.appendTo(nil))
	}
}
