package eld

import "math/bits"

// Codebooks of the spectrum (ISO/IEC 14496-3, section 4.6.3): 0 stands for
// bands without any value; 1 to 4 code four lines at once, the others two.
const (
	zeroBook   = 0
	escapeBook = 11
	numBooks   = 12

	sectionBits   = 4 + 5 // sect_cb, sect_len_incr
	sectionExtend = 31    // the sect_len_incr behind which another follows
)

type book struct {
	words  []codeword
	dim    int
	base   int   // of the index: the number of values a line may have
	signed bool  // the index covers negative values; else signs follow
	peak   int32 // highest magnitude
	cost   []int // bits of each word with its signs
}

var books = [numBooks]book{
	1:  {words: book1[:], dim: 4, base: 3, signed: true, peak: 1},
	2:  {words: book2[:], dim: 4, base: 3, signed: true, peak: 1},
	3:  {words: book3[:], dim: 4, base: 3, peak: 2},
	4:  {words: book4[:], dim: 4, base: 3, peak: 2},
	5:  {words: book5[:], dim: 2, base: 9, signed: true, peak: 4},
	6:  {words: book6[:], dim: 2, base: 9, signed: true, peak: 4},
	7:  {words: book7[:], dim: 2, base: 8, peak: 7},
	8:  {words: book8[:], dim: 2, base: 8, peak: 7},
	9:  {words: book9[:], dim: 2, base: 13, peak: 12},
	10: {words: book10[:], dim: 2, base: 13, peak: 12},
	11: {words: book11[:], dim: 2, base: 17, peak: maxValue},
}

func init() {
	for i := range books {
		k := &books[i]
		for index, word := range k.words {
			cost := word.bits()
			for d := 0; d < k.dim && !k.signed; d++ {
				if index%k.base != 0 {
					cost++
				}
				index /= k.base
			}
			k.cost = append(k.cost, cost)
		}
	}
}

// escape is the value in book 11's index that announces a longer one.
const escape = 16

// index returns the codebook index of dim values.
func (k *book) index(v []int32) (i int) {
	for _, x := range v {
		i *= k.base
		switch {
		case k.signed:
			i += int(x + k.peak)
		default:
			i += int(min(abs(x), escape))
		}
	}
	return i
}

// escapeBits returns the length of the escape sequence that a magnitude of 16
// or more has: a unary exponent, then the mantissa.
func escapeBits(v int32) int {
	if v < escape {
		return 0
	}
	exponent := bits.Len32(uint32(v)) - 1
	return 2*exponent - 3
}

// bandCost returns the bits of a band's values.
func (k *book) bandCost(values []int32) (n int) {
	switch {
	case k.signed && k.dim == 4:
		for i := 0; i+4 <= len(values); i += 4 {
			v := values[i : i+4 : i+4]
			n += k.cost[((v[0]*3+v[1])*3+v[2])*3+v[3]+40]
		}
	case k.signed:
		for i := 0; i+2 <= len(values); i += 2 {
			v := values[i : i+2 : i+2]
			n += k.cost[v[0]*9+v[1]+40]
		}
	case k.dim == 4:
		for i := 0; i+4 <= len(values); i += 4 {
			v := values[i : i+4 : i+4]
			n += k.cost[((abs(v[0])*3+abs(v[1]))*3+abs(v[2]))*3+abs(v[3])]
		}
	default:
		for i := 0; i+2 <= len(values); i += 2 {
			x, y := abs(values[i]), abs(values[i+1])
			n += k.cost[min(x, escape)*int32(k.base)+min(y, escape)]
			if x|y >= escape {
				n += escapeBits(x) + escapeBits(y)
			}
		}
	}
	return n
}

func abs(x int32) int32 {
	sign := x >> 31
	return x ^ sign - sign
}

// sections is the choice of a codebook for each band.
type sections struct {
	book [maxBands]uint8
	cost [maxBands][numBooks]int32 // cheapest coding of all bands up to this one, which has this book
	from [maxBands][numBooks]uint8 // the book of the band before in that coding
}

// unfit is the cost of a book that cannot hold a band's values.
const unfit = 1 << 24

// chooseBooks finds the cheapest division of the bands into sections by
// dynamic programming, and returns the bits of the whole individual channel
// stream.
func (c *channel) chooseBooks(bands []int) int {
	s := &c.books
	last := len(bands) - 2
	cheapest := uint8(0)
	for b := range last + 1 {
		before := int32(0)
		if b > 0 {
			before = s.cost[b-1][cheapest]
		}
		next := uint8(0)
		for k := range uint8(numBooks) {
			cost, from := before+sectionBits, cheapest
			if b > 0 && s.cost[b-1][k] <= cost {
				cost, from = s.cost[b-1][k], k
			}
			s.cost[b][k] = cost + c.bandCost(bands, b, k)
			s.from[b][k] = from
			if s.cost[b][k] < s.cost[b][next] {
				next = k
			}
		}
		cheapest = next
	}
	for b, k := last, cheapest; b >= 0; b-- {
		s.book[b] = k
		k = s.from[b][k]
	}
	return int(s.cost[last][cheapest]) + c.sideBits(last+1)
}

// bandCost returns the bits of band b coded with book k. A band of zeros
// inside a section needs a scalefactor, which repeats the last: one bit.
func (c *channel) bandCost(bands []int, b int, k uint8) int32 {
	from, to := bands[b], bands[b+1]
	book := &books[k]
	switch peak := c.peak[b]; {
	case k == zeroBook && peak == 0:
		return 0
	case k == zeroBook || peak > book.peak || peak > 0 && k > widest[min(peak, escape)]:
		return unfit
	case peak == 0:
		zero := 0
		if book.signed {
			zero = 40
		}
		return int32((to-from)/book.dim*book.cost[zero] + 1)
	}
	return int32(book.bandCost(c.quantised[from:to]))
}

// widest is the last book worth a try for a band's highest magnitude: books
// made for much higher ones never pay.
var widest = [escape + 1]uint8{1: 4, 2: 6, 3: 8, 4: 8, 5: 10, 6: 10, 7: 10,
	8: 11, 9: 11, 10: 11, 11: 11, 12: 11, 13: 11, 14: 11, 15: 11, 16: 11}
