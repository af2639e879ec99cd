package fairplay

import (
	"encoding/binary"
	"math/bits"
)

// An exchange permutes the message words of mdx half way through, by indices
// taken from the state at that moment.
type exchange func(m *[16]uint32, a, b, c, d uint32)

// mdx is the compression function of MD5 (RFC 1321 section 3.4) with two
// deviations: the message words are read big-endian, and before round 32 some
// of them change places (FairPlay reference section 5).
func mdx(state words, block *[64]byte, rearrange exchange) words {
	var m [16]uint32
	for i := range m {
		m[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	a, b, c, d := state[0], state[1], state[2], state[3]
	for i := range 64 {
		if i == 32 {
			rearrange(&m, a, b, c, d)
		}
		var f uint32
		var k int
		switch i / 16 {
		case 0:
			f, k = b&c|^b&d, i
		case 1:
			f, k = d&b|^d&c, 5*i+1
		case 2:
			f, k = b^c^d, 3*i+5
		case 3:
			f, k = c^(b|^d), 7*i
		}
		sum := a + f + m[k%16] + md5Sine[i]
		a, b, c, d = d, b+bits.RotateLeft32(sum, md5Shift[i/16][i%4]), b, c
	}
	return state.plus(words{a, b, c, d})
}

// nibble returns bits 4j to 4j+3 of x, an index of a message word.
func nibble(x uint32, j int) uint32 { return x >> (4 * j) & 15 }

// swap is the exchange of the key encryption key. The five exchanges follow
// one another: indices may coincide.
func swap(m *[16]uint32, a, b, c, d uint32) {
	exchange := func(i, j uint32) { m[i], m[j] = m[j], m[i] }
	exchange(nibble(a, 0), nibble(b, 0))
	exchange(nibble(c, 0), nibble(d, 0))
	exchange(nibble(a, 1), nibble(b, 1))
	exchange(nibble(a, 2), nibble(b, 2))
	exchange(nibble(a, 3), nibble(b, 3))
}

// cycle is the exchange of the check key: eight words move one place on. The
// assignments follow one another: indices may coincide.
func cycle(m *[16]uint32, a, b, c, d uint32) {
	places := [8]uint32{
		nibble(a, 0), nibble(b, 0), nibble(c, 0), nibble(d, 0),
		nibble(a, 1), nibble(b, 1), nibble(c, 1), nibble(d, 1),
	}
	first := m[places[0]]
	for j := range 7 {
		m[places[j]] = m[places[j+1]]
	}
	m[places[7]] = first
}

// md5Shift holds MD5's rotations: by group of sixteen rounds, then by round
// modulo four.
var md5Shift = [4][4]int{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}

// md5Sine holds MD5's additive constants: the integer part of 2^32 |sin(i+1)|.
var md5Sine = [64]uint32{
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
}
