package pattern

import (
	"math"
	"time"

	"aerie/receiver/pattern/intra"
	"aerie/receiver/pattern/stamp"
)

// screen is the canvas, what lies behind all that moves, and whom to tell of
// changes.
type screen struct {
	canvas
	background *intra.Picture
	encoder    *intra.Encoder
}

// erase shows the background in a rectangle again.
func (s *screen) erase(r rect) {
	if r = r.intersect(s.visible); r != (rect{}) {
		s.restore(s.background, r)
		s.touch(r)
	}
}

func (s *screen) touch(r rect) { s.encoder.Touch(r.x0, r.y0, r.x1, r.y1) }

// clockText is the form of the clock; zeros stand for digits.
var clockText = []rune("00:00:00.000")

// typeface returns the font that fits the cells of a row.
func (r row) typeface() typeface {
	return sized(min(float64(r.height)*10/11.6, float64(r.width)*10/8.1))
}

// baseline returns the upper edge of the capitals in a row.
func (r row) baseline(f typeface) float64 {
	return float64(r.y) + (float64(r.height)-10*f.unit)/2
}

// cell returns the place of character i of a clock; that of a digit is twice
// as wide as the others.
func (r row) cell(i int) rect {
	x := r.x
	half := r.width / 2 &^ 1
	for _, c := range clockText[:i] {
		if c == '0' {
			x += r.width
		} else {
			x += half
		}
	}
	if clockText[i] != '0' {
		return rect{x, r.y, x + half, r.y + r.height}
	}
	return rect{x, r.y, x + r.width, r.y + r.height}
}

// readout is a row of digits.
type readout struct {
	cells  []rect
	shown  []int8 // digits, blank at first
	leads  []bool // whether a leading zero is shown
	digits [10]mask
}

const blank = -1

func newClock(r row) *readout {
	var cells []rect
	for i, c := range clockText {
		if c == '0' {
			cells = append(cells, r.cell(i))
		}
	}
	return newReadout(r, cells)
}

// counterDigits is how many digits of the frame number are shown.
const counterDigits = 8

func newCounter(r row) *readout {
	var cells []rect
	for i := range counterDigits {
		x := r.x + i*r.width
		cells = append(cells, rect{x, r.y, x + r.width, r.y + r.height})
	}
	return newReadout(r, cells)
}

func newReadout(r row, cells []rect) *readout {
	o := &readout{cells: cells, shown: make([]int8, len(cells)), leads: make([]bool, len(cells))}
	for i := range o.shown {
		o.shown[i] = blank
	}
	f := r.typeface()
	for d := range o.digits {
		g := font['0'+rune(d)]
		x := (float64(r.width) - f.unit*(g.width+f.pen)) / 2
		box, strokes := f.strokes(g, x, r.baseline(f)-float64(r.y))
		o.digits[d].drawStrokes(box.intersect(rect{0, 0, r.width, r.height}), strokes, f.pen*f.unit)
	}
	return o
}

// show writes a number, the last digit into the last cell. Its first zeros
// have a colour of their own.
func (o *readout) show(s *screen, v uint64, leading, colour colour) {
	for i := len(o.cells) - 1; i >= 0; i-- {
		d, lead := int8(v%10), v == 0 && i < len(o.cells)-1
		v /= 10
		if d == o.shown[i] && lead == o.leads[i] {
			continue
		}
		o.shown[i], o.leads[i] = d, lead
		cell := o.cells[i]
		s.erase(cell)
		if lead {
			s.blend(&o.digits[d], cell.x0, cell.y0, leading)
		} else {
			s.blend(&o.digits[d], cell.x0, cell.y0, colour)
		}
	}
}

// hand goes round the dial once a second.
type hand struct {
	circle
	thickness float64
	mask      mask
}

func newHand(dial circle, thickness float64) *hand {
	h := &hand{circle: dial, thickness: thickness}
	h.mask.resize(around(0, 0, dial.radius, dial.radius)) // memory for any turn
	h.mask.rect = rect{}
	return h
}

func (h *hand) show(s *screen, elapsed time.Duration, colour colour) {
	s.erase(h.mask.rect)
	turn := float64(elapsed%time.Second) / float64(time.Second)
	sin, cos := math.Sincos(2 * math.Pi * turn)
	x0, y0 := h.x+0.36*h.radius*sin, h.y-0.36*h.radius*cos
	x1, y1 := h.x+0.8*h.radius*sin, h.y-0.8*h.radius*cos
	half := h.thickness / 2
	box := around(min(x0, x1)-half, min(y0, y1)-half, max(x0, x1)+half, max(y0, y1)+half)
	h.mask.drawStrokes(box.intersect(s.visible), []stroke{{x0, y0, x1, y1}}, h.thickness)
	s.blend(&h.mask, 0, 0, colour)
	s.touch(h.mask.rect)
}

// sweep is a bar with a tail that crosses the picture from left to right in
// sweepTime. A picture that stutters or tears shows it here.
type sweep struct {
	lane      rect
	bar, tail float64 // widths
	last      rect
	cover     []uint8 // of one row: the same in all
	half      []uint8 // of one row of chroma
}

const sweepTime = 2 * time.Second

func newSweep(lane rect, unit float64) *sweep {
	w := &sweep{lane: lane, bar: max(16*unit, 4), tail: max(96*unit, 8)}
	n := (int(w.bar+w.tail) + 8) &^ 1
	w.cover, w.half = make([]uint8, n), make([]uint8, n/2)
	return w
}

func (w *sweep) show(s *screen, elapsed time.Duration, tail, bar colour) {
	s.erase(w.last)
	part := float64(elapsed%sweepTime) / float64(sweepTime)
	end := part * (float64(w.lane.width()) + w.tail)
	x0 := int(math.Floor(end-w.bar-w.tail)) &^ 1
	w.last = rect{x0, w.lane.y0, x0 + len(w.cover), w.lane.y1}.intersect(s.visible)
	w.mix(s, x0, tail, func(x float64) float64 {
		t := 1 - (end-w.bar-x)/w.tail // 0 at the tail's end, 1 at the bar
		return 0.85 * t * t * min(max(end-w.bar-x+0.5, 0), 1)
	})
	w.mix(s, x0, bar, func(x float64) float64 {
		return min(max(end-x+0.5, 0), 1) * min(max(x-end+w.bar+0.5, 0), 1)
	})
	s.touch(w.last)
}

// mix blends a colour over the lane by a cover that is the same in all rows.
func (w *sweep) mix(s *screen, x0 int, colour colour, cover func(x float64) float64) {
	for i := range w.cover {
		x := float64(x0+i) + 0.5
		w.cover[i] = uint8(255 * min(max(cover(x), 0), 1))
	}
	for i := range w.half {
		w.half[i] = uint8((int(w.cover[2*i]) + int(w.cover[2*i+1]) + 1) / 2)
	}
	r := w.last
	if r == (rect{}) {
		return // out of sight
	}
	whole, half := w.cover[r.x0-x0:r.x1-x0], w.half[(r.x0-x0)/2:(r.x1-x0)/2]
	for y := r.y0; y < r.y1; y++ {
		mix(s.Y[y*s.Width:][r.x0:r.x1], whole, colour.y)
	}
	for y := r.y0 / 2; y < r.y1/2; y++ {
		mix(s.Cb[y*s.Width/2:][r.x0/2:r.x1/2], half, colour.cb)
		mix(s.Cr[y*s.Width/2:][r.x0/2:r.x1/2], half, colour.cr)
	}
}

// flash is the square that lights up with each beep.
type flash struct {
	mask mask
	on   bool
}

func (f *flash) show(s *screen, on bool, colour colour) {
	if on == f.on {
		return
	}
	f.on = on
	s.erase(f.mask.rect)
	if on {
		s.blend(&f.mask, 0, 0, colour)
	}
}

// stamped keeps the stamp.
type stamped struct {
	x, y, cell int
	cells      stamp.Cells
}

func (p *stamped) show(s *screen, v stamp.Stamp) {
	cells := v.Cells()
	for r := range stamp.Rows {
		changed := cells[r] ^ p.cells[r]
		for c := 0; changed != 0; c, changed = c+1, changed>>1 {
			if changed&1 == 0 {
				continue
			}
			x, y := p.x+c*p.cell, p.y+r*p.cell
			colour := stampBlack
			if cells.White(r, c) {
				colour = stampWhite
			}
			cell := rect{x, y, x + p.cell, y + p.cell}
			s.fill(cell, colour)
			s.touch(cell)
		}
	}
	p.cells = cells
}
