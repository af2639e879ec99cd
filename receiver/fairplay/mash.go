package fairplay

import "math/bits"

// mash scrambles a block of 64 bytes into 16 bytes: the block is spread over
// 210 cells, a circuit mixes those with three smaller arrays, and everything
// is folded into sixteen (FairPlay reference section 6).
func mash(block *[64]byte) [16]byte {
	m := newMachine()
	m.fill(block)
	m.spread()
	m.run(circuit())
	m.fold()
	m.finish()
	return [16]byte(m.l())
}

// newMachine returns the memory as it is before a block comes in.
func newMachine() *machine {
	m := new(machine)
	copy(m.q(), "\x96\x5f\xc6\x53\xf8\x46\xcc\x18\xdf\xbe\xb2\xf8\x38\x62\xec\x22\x93\xd1\x20\x8f")
	copy(m.r(), "\x43\x54\x62\x7a\x18\xc3\xd6\xb3\x9a\x56\xf6\x1c\x14\x3f\x0c\x1d\x3b\x36"+
		"\x83\xb1\x39\x51\x4a\xaa\x09\x3e\xfe\x44\xaf\xde\xc3\x20\x9d\x42\xb8")
	copy(m.s(), "\xed\x25\xd1\xbb\xbc\x27\x9f\x02\xa2\xa9\x11\x00\x0c\xb3\x52\xc0\xbd\xe3\x1b\x49\xc7")
	copy(m.l(), "\xe1\xe1\xe1\x3d\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1")
	return m
}

// fill repeats the block, each word of four bytes reversed, until P is full.
func (m *machine) fill(block *[64]byte) {
	p := m.p()
	for i := range p {
		p[i] = block[i%64^3]
	}
}

// spread goes four times through P, replacing each cell by a mix of itself
// and three earlier ones.
func (m *machine) spread() {
	p := m.p()
	for i := range uint32(4 * pSize) {
		// Below zero i-k wraps around at 2^32, which is not a multiple of the
		// size of P: the index is not the one a signed remainder would give.
		x, y, z := p[(i-155)%pSize], p[(i-57)%pSize], p[(i-13)%pSize]
		w := &p[i%pSize]
		*w = bits.RotateLeft8(y, 5) + (bits.RotateLeft8(z, 3) ^ *w) - bits.RotateLeft8(x, 7)
	}
}

// fold adds P, Q and R to the sixteen cells of L.
func (m *machine) fold() {
	l := m.l()
	for _, array := range [][]byte{m.p(), m.q(), m.r()} {
		for i, b := range array {
			l[i%16] ^= b
		}
	}
}

// finish goes sixteen times through L, mixing each cell with three earlier
// ones.
func (m *machine) finish() {
	l := m.l()
	for n := range uint32(16 * lSize) {
		l[n%16] ^= bits.RotateLeft8(l[(n-7)%16], 1) ^
			bits.RotateLeft8(l[(n-5)%16], 6) ^
			bits.RotateLeft8(l[(n-1)%16], 5)
	}
}
