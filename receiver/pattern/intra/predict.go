package intra

import (
	"bytes"
	"encoding/binary"
)

// Prediction modes of Intra_16x16 luma (ITU-T H.264, table 8-4). Chroma has
// the same ones in another order (table 8-5).
const (
	vertical = iota
	horizontal
	dc
	plane
)

var chromaMode = [4]uint32{vertical: 2, horizontal: 1, dc: 0, plane: 3}

// predictor predicts one square of a plane, 16 or 8 samples a side, from the
// decoded samples above and to the left.
type predictor struct {
	size        int
	above, left [17]int32 // samples -1 to size-1; -1 is the corner
	hasAbove    bool
	hasLeft     bool
	samples     [256]byte // size×size: the prediction last made
}

// look takes the neighbours of the square at x, y.
func (p *predictor) look(decoded []byte, stride, x, y, size int) {
	p.size, p.hasAbove, p.hasLeft = size, y > 0, x > 0
	at := y*stride + x
	if p.hasAbove {
		for i, v := range decoded[at-stride : at-stride+size] {
			p.above[i+1] = int32(v)
		}
	}
	if p.hasLeft {
		for i := range size {
			p.left[i+1] = int32(decoded[at+i*stride-1])
		}
	}
	if p.hasAbove && p.hasLeft {
		p.above[0] = int32(decoded[at-stride-1])
		p.left[0] = p.above[0]
	}
}

func (p *predictor) has(mode int) bool {
	switch mode {
	case vertical:
		return p.hasAbove
	case horizontal:
		return p.hasLeft
	case plane:
		return p.hasAbove && p.hasLeft
	}
	return true
}

// predict makes the prediction of a mode that has its neighbours.
func (p *predictor) predict(mode int) {
	n := p.size
	switch {
	case mode == vertical:
		for x := range n {
			p.samples[x] = byte(p.above[1+x])
		}
		for y := 1; y < n; y++ {
			copy(p.samples[y*n:(y+1)*n], p.samples[:n])
		}
	case mode == horizontal:
		for y := range n {
			row, v := p.samples[y*n:(y+1)*n], uint64(p.left[1+y])*eachByte
			for x := 0; x < n; x += 8 {
				binary.LittleEndian.PutUint64(row[x:], v)
			}
		}
	case mode == plane:
		p.predictPlane()
	case n == 16:
		fill(p.samples[:], byte(p.mean(0, 16, true, true)))
	default:
		p.predictChromaDC()
	}
}

// mean returns the rounded mean of the neighbours from..to of those sides
// that are wanted and there.
func (p *predictor) mean(from, to int, above, left bool) int32 {
	sum, n := int32(0), int32(0)
	if above && p.hasAbove {
		for _, v := range p.above[1+from : 1+to] {
			sum += v
		}
		n += int32(to - from)
	}
	if left && p.hasLeft {
		for _, v := range p.left[1+from : 1+to] {
			sum += v
		}
		n += int32(to - from)
	}
	if n == 0 {
		return 128
	}
	return (sum + n/2) / n
}

// predictChromaDC predicts each 4×4 block by a mean of its own (section
// 8.3.4.1): the blocks on the diagonal from both sides, the upper right one
// from above, the lower left one from the left, where there is a choice.
func (p *predictor) predictChromaDC() {
	corner := p.mean(0, 4, true, true)
	upperRight := p.mean(4, 8, true, false)
	if !p.hasAbove {
		upperRight = p.mean(0, 4, false, true)
	}
	lowerLeft := p.mean(4, 8, false, true)
	if !p.hasLeft {
		lowerLeft = p.mean(0, 4, true, false)
	}
	lowerRight := p.mean(4, 8, true, true)
	for y := range 8 {
		a, b := corner, upperRight
		if y >= 4 {
			a, b = lowerLeft, lowerRight
		}
		row := p.samples[8*y : 8*y+8]
		fill(row[:4], byte(a))
		fill(row[4:], byte(b))
	}
}

// predictPlane continues the slopes of both sides (sections 8.3.3.4 and
// 8.3.4.4).
func (p *predictor) predictPlane() {
	n := p.size
	half := n / 2
	h, v := int32(0), int32(0)
	for i := 1; i <= half; i++ {
		h += int32(i) * (p.above[half+i] - p.above[half-i])
		v += int32(i) * (p.left[half+i] - p.left[half-i])
	}
	b, c := (5*h+32)>>6, (5*v+32)>>6
	if n == 8 {
		b, c = (34*h+32)>>6, (34*v+32)>>6
	}
	a := 16 * (p.left[n] + p.above[n])
	middle := int32(half - 1)
	for y := range n {
		at := a - b*middle + c*(int32(y)-middle) + 16
		for x := range n {
			p.samples[y*n+x] = clamp(at >> 5)
			at += b
		}
	}
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

// eachByte times a byte is that byte eight times.
const eachByte = 0x0101010101010101

// choose makes the prediction that differs least from the picture and
// returns its mode; close is true if it is so close that it needs no
// residual.
func (p *predictor) choose(picture []byte, stride int) (mode int, close bool) {
	for _, mode := range [...]int{horizontal, vertical, dc} {
		if !p.has(mode) {
			continue
		}
		if p.predict(mode); p.matches(picture, stride, keySlack) {
			return mode, true
		}
	}
	best, least := -1, 0
	for mode := vertical; mode <= plane; mode++ {
		if !p.has(mode) {
			continue
		}
		p.predict(mode)
		if d := p.difference(picture, stride); best < 0 || d < least {
			best, least = mode, d
		}
	}
	if best != plane {
		p.predict(best)
	}
	return best, false
}

// keySlack is by how much a sample of a key frame may miss the picture
// without a residual. A gradient whose rows are of one colour each costs next
// to nothing so.
const keySlack = 1

// matches tells whether no sample of the prediction differs from the picture
// by more than slack.
func (p *predictor) matches(picture []byte, stride int, slack uint8) bool {
	n := p.size
	for y := range n {
		row, predicted := picture[y*stride:][:n], p.samples[y*n:][:n]
		if bytes.Equal(row, predicted) {
			continue
		}
		if slack == 0 {
			return false
		}
		for x, v := range row {
			if v-predicted[x]+slack > 2*slack {
				return false
			}
		}
	}
	return true
}

// store writes the prediction as decoded samples.
func (p *predictor) store(decoded []byte, stride int) {
	n := p.size
	for y := range n {
		copy(decoded[y*stride:][:n], p.samples[y*n:])
	}
}

// difference returns the sum of absolute differences to the picture.
func (p *predictor) difference(picture []byte, stride int) (sum int) {
	n := p.size
	for y := range n {
		row, predicted := picture[y*stride:][:n], p.samples[y*n:][:n]
		for x, v := range row {
			d := int(v) - int(predicted[x])
			sum += max(d, -d)
		}
	}
	return sum
}

// copySquare copies a square of samples.
func copySquare(to, from []byte, stride, size int) {
	for y := range size {
		copy(to[y*stride:][:size], from[y*stride:])
	}
}
