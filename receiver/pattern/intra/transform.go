package intra

// block is a 4×4 block of residuals or coefficients in raster order.
type block [16]int32

// forward is the integer transform (the inverse of ITU-T H.264, section
// 8.5.12, up to the norms that the quantiser carries).
func (b *block) forward() {
	for i := 0; i < 16; i += 4 {
		s03, d03 := b[i]+b[i+3], b[i]-b[i+3]
		s12, d12 := b[i+1]+b[i+2], b[i+1]-b[i+2]
		b[i], b[i+1], b[i+2], b[i+3] = s03+s12, 2*d03+d12, s03-s12, d03-2*d12
	}
	for i := range 4 {
		s03, d03 := b[i]+b[i+12], b[i]-b[i+12]
		s12, d12 := b[i+4]+b[i+8], b[i+4]-b[i+8]
		b[i], b[i+4], b[i+8], b[i+12] = s03+s12, 2*d03+d12, s03-s12, d03-2*d12
	}
}

// inverse is the transform a decoder does, the final rounding included.
func (b *block) inverse() {
	for i := 0; i < 16; i += 4 {
		e0, e1 := b[i]+b[i+2], b[i]-b[i+2]
		e2, e3 := b[i+1]>>1-b[i+3], b[i+1]+b[i+3]>>1
		b[i], b[i+1], b[i+2], b[i+3] = e0+e3, e1+e2, e1-e2, e0-e3
	}
	for i := range 4 {
		e0, e1 := b[i]+b[i+8], b[i]-b[i+8]
		e2, e3 := b[i+4]>>1-b[i+12], b[i+4]+b[i+12]>>1
		b[i], b[i+4] = (e0+e3+32)>>6, (e1+e2+32)>>6
		b[i+8], b[i+12] = (e1-e2+32)>>6, (e0-e3+32)>>6
	}
}

// hadamard is the second transform of the sixteen DC coefficients of luma; it
// is its own inverse up to a factor.
func (b *block) hadamard() {
	for i := 0; i < 16; i += 4 {
		s03, d03 := b[i]+b[i+3], b[i]-b[i+3]
		s12, d12 := b[i+1]+b[i+2], b[i+1]-b[i+2]
		b[i], b[i+1], b[i+2], b[i+3] = s03+s12, d03+d12, s03-s12, d03-d12
	}
	for i := range 4 {
		s03, d03 := b[i]+b[i+12], b[i]-b[i+12]
		s12, d12 := b[i+4]+b[i+8], b[i+4]-b[i+8]
		b[i], b[i+4], b[i+8], b[i+12] = s03+s12, d03+d12, s03-s12, d03-d12
	}
}

// hadamard2 is the second transform of the four DC coefficients of a chroma
// plane.
func hadamard2(d *[4]int32) {
	a, b, c, e := d[0], d[1], d[2], d[3]
	d[0], d[1], d[2], d[3] = a+b+c+e, a-b+c-e, a+b-c-e, a-b-c+e
}

// quantiser holds the factors of one quantiser parameter below 30, where
// that of chroma is the same.
type quantiser struct {
	shift uint      // qp/6
	scale [16]int32 // forward, by raster position
	level [16]int32 // inverse: normAdjust4x4
}

// Factors by qp%6 for the three classes of positions: both coordinates even,
// both odd, one of each (section 8.5.9 has the inverse ones).
var (
	forwardScale = [6][3]int32{{13107, 5243, 8066}, {11916, 4660, 7490}, {10082, 4194, 6554},
		{9362, 3647, 5825}, {8192, 3355, 5243}, {7282, 2893, 4559}}
	inverseScale = [6][3]int32{{10, 16, 13}, {11, 18, 14}, {13, 20, 16}, {14, 23, 18}, {16, 25, 20}, {18, 29, 23}}
)

func newQuantiser(qp int) quantiser {
	q := quantiser{shift: uint(qp / 6)}
	for i := range 16 {
		class := 2
		switch {
		case i&1 == 0 && i>>2&1 == 0:
			class = 0
		case i&1 == 1 && i>>2&1 == 1:
			class = 1
		}
		q.scale[i], q.level[i] = forwardScale[qp%6][class], inverseScale[qp%6][class]
	}
	return q
}

// quantise rounds v·factor/2^bits towards zero from a third.
func quantise(v, factor int32, bits uint) int32 {
	third := int64(1) << bits / 3
	if v < 0 {
		return -int32((int64(-v)*int64(factor) + third) >> bits)
	}
	return int32((int64(v)*int64(factor) + third) >> bits)
}

// ac quantises the coefficients of b except the first, which it leaves, into
// levels in scan order and turns b into what a decoder has of them. It tells
// whether any level differs from zero.
func (q *quantiser) ac(b *block, levels *[15]int32) bool {
	any := int32(0)
	for i, at := range zigzag[1:] {
		level := quantise(b[at], q.scale[at], 15+q.shift)
		levels[i] = level
		any |= level
		b[at] = level * q.level[at] << q.shift
	}
	return any != 0
}

// lumaDC quantises the DC coefficients of the sixteen blocks into levels in
// scan order and turns them into what a decoder has of them (section
// 8.5.10).
func (q *quantiser) lumaDC(dc *block, levels *[16]int32) {
	dc.hadamard()
	var back block
	for i, at := range zigzag {
		level := quantise((dc[at]+1)>>1, q.scale[0], 16+q.shift)
		levels[i] = level
		back[at] = level
	}
	back.hadamard()
	for i, f := range back {
		dc[i] = (f*16*q.level[0] + 1<<(5-q.shift)) >> (6 - q.shift)
	}
}

// flatDC quantises a residual that is the same for all 256 samples and
// returns what a decoder has of it.
func (q *quantiser) flatDC(residual int32, levels *[16]int32) int32 {
	*levels = [16]int32{quantise(128*residual, q.scale[0], 16+q.shift)}
	d := (levels[0]*16*q.level[0] + 1<<(5-q.shift)) >> (6 - q.shift)
	return (d + 32) >> 6
}

// chromaDC does what lumaDC does for the four blocks of a chroma plane (section
// 8.5.11). It tells whether any level differs from zero.
func (q *quantiser) chromaDC(dc, levels *[4]int32) bool {
	hadamard2(dc)
	any := int32(0)
	for i, v := range dc {
		levels[i] = quantise(v, q.scale[0], 16+q.shift)
		any |= levels[i]
	}
	*dc = *levels
	hadamard2(dc)
	for i, f := range dc {
		dc[i] = f * 16 * q.level[0] << q.shift >> 5
	}
	return any != 0
}
