package pattern

import (
	"math"

	"aerie/receiver/pattern/intra"
)

// rect is a rectangle from x0, y0 up to but without x1, y1. Rectangles that
// are painted have even coordinates, since chroma has half the resolution.
type rect struct{ x0, y0, x1, y1 int }

func (r rect) width() int  { return r.x1 - r.x0 }
func (r rect) height() int { return r.y1 - r.y0 }

// around returns the smallest rectangle with even coordinates that holds the
// given one, one more pixel for smooth edges.
func around(x0, y0, x1, y1 float64) rect {
	return rect{
		int(math.Floor(x0-1)) &^ 1, int(math.Floor(y0-1)) &^ 1,
		(int(math.Ceil(x1+1)) + 1) &^ 1, (int(math.Ceil(y1+1)) + 1) &^ 1,
	}
}

func (r rect) intersect(s rect) rect {
	r = rect{max(r.x0, s.x0), max(r.y0, s.y0), min(r.x1, s.x1), min(r.y1, s.y1)}
	if r.x0 >= r.x1 || r.y0 >= r.y1 {
		return rect{}
	}
	return r
}

// shape is a signed distance: how far a point lies outside, negative inside,
// in pixels. Pixel x covers x to x+1.
type shape func(x, y float64) float64

// mask is how much of each pixel of a rectangle a shape covers, 255 for all.
type mask struct {
	rect
	luma   []uint8 // width() a row
	chroma []uint8 // width()/2 a row: means of four
}

// draw fills the mask with a shape in a rectangle.
func (m *mask) draw(r rect, s shape) {
	m.resize(r)
	w := r.width()
	for y := range r.height() {
		row := m.luma[y*w:][:w]
		for x := range row {
			row[x] = coverage(s(float64(r.x0+x)+0.5, float64(r.y0+y)+0.5))
		}
	}
	m.drawChroma()
}

// stroke is a straight line of a pen.
type stroke struct{ x0, y0, x1, y1 float64 }

// drawStrokes fills the mask with lines of some thickness with round ends. It
// does what draw does for the union of their shapes, in less time.
func (m *mask) drawStrokes(r rect, strokes []stroke, thickness float64) {
	m.resize(r)
	clear(m.luma)
	for i := range strokes {
		m.addStroke(&strokes[i], thickness)
	}
	m.drawChroma()
}

func (m *mask) addStroke(s *stroke, thickness float64) {
	half := thickness / 2
	box := around(min(s.x0, s.x1)-half, min(s.y0, s.y1)-half, max(s.x0, s.x1)+half, max(s.y0, s.y1)+half).intersect(m.rect)
	dx, dy := s.x1-s.x0, s.y1-s.y0
	perLength := 1 / max(dx*dx+dy*dy, 1e-9)
	for y := box.y0; y < box.y1; y++ {
		row := m.luma[(y-m.y0)*m.width():][box.x0-m.x0 : box.x1-m.x0]
		py := float64(y) + 0.5 - s.y0
		for i := range row {
			px := float64(box.x0+i) + 0.5 - s.x0
			t := min(max((px*dx+py*dy)*perLength, 0), 1)
			ex, ey := px-t*dx, py-t*dy
			row[i] = max(row[i], coverage(math.Sqrt(ex*ex+ey*ey)-half))
		}
	}
}

// coverage is how much of a pixel lies inside an edge that is at a distance
// from its centre.
func coverage(distance float64) uint8 { return uint8(255 * min(max(0.5-distance, 0), 1)) }

// resize gives the mask another rectangle and keeps its memory.
func (m *mask) resize(r rect) {
	m.rect = r
	m.luma = resized(m.luma, r.width()*r.height())
	m.chroma = resized(m.chroma, r.width()*r.height()/4)
}

// drawChroma averages luma.
func (m *mask) drawChroma() {
	w, h := m.width(), m.height()
	for y := range h / 2 {
		above, below := m.luma[2*y*w:][:w], m.luma[(2*y+1)*w:][:w]
		for x := range w / 2 {
			sum := int(above[2*x]) + int(above[2*x+1]) + int(below[2*x]) + int(below[2*x+1])
			m.chroma[y*w/2+x] = uint8((sum + 2) / 4)
		}
	}
}

func resized(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}

// canvas paints on a picture, whose visible part begins at its upper left
// corner.
type canvas struct {
	*intra.Picture
	visible rect
}

// paint mixes a colour into the picture where a shape covers it.
func (c *canvas) paint(r rect, s shape, colour colour) {
	var m mask
	if r = r.intersect(c.visible); r != (rect{}) {
		m.draw(r, s)
		c.blend(&m, 0, 0, colour)
	}
}

// stroke mixes a colour into the picture where lines cover it.
func (c *canvas) stroke(r rect, strokes []stroke, thickness float64, colour colour) {
	var m mask
	if r = r.intersect(c.visible); r != (rect{}) {
		m.drawStrokes(r, strokes, thickness)
		c.blend(&m, 0, 0, colour)
	}
}

// blend mixes a colour into the picture where the mask, moved by dx, dy (both
// even), covers it. The moved mask must lie inside the picture.
func (c *canvas) blend(m *mask, dx, dy int, colour colour) {
	w := m.width()
	for y := range m.height() {
		at := (m.y0+dy+y)*c.Width + m.x0 + dx
		mix(c.Y[at:at+w], m.luma[y*w:][:w], colour.y)
	}
	w /= 2
	for y := range m.height() / 2 {
		at := ((m.y0+dy)/2+y)*c.Width/2 + (m.x0+dx)/2
		cover := m.chroma[y*w:][:w]
		mix(c.Cb[at:at+w], cover, colour.cb)
		mix(c.Cr[at:at+w], cover, colour.cr)
	}
}

// mix moves samples towards a level by as much as they are covered.
func mix(samples, cover []uint8, level uint8) {
	for i, a := range cover {
		if a != 0 {
			v := int(samples[i])
			samples[i] = uint8(v + ((int(level)-v)*int(a)+127)/255)
		}
	}
}

// fill paints a rectangle in one colour.
func (c *canvas) fill(r rect, colour colour) {
	for y := r.y0; y < r.y1; y++ {
		fillRow(c.Y[y*c.Width:][r.x0:r.x1], colour.y)
	}
	for y := r.y0 / 2; y < r.y1/2; y++ {
		fillRow(c.Cb[y*c.Width/2:][r.x0/2:r.x1/2], colour.cb)
		fillRow(c.Cr[y*c.Width/2:][r.x0/2:r.x1/2], colour.cr)
	}
}

func fillRow(row []uint8, v uint8) {
	for i := range row {
		row[i] = v
	}
}

// restore copies a rectangle from another picture of the same size.
func (c *canvas) restore(from *intra.Picture, r rect) {
	for y := r.y0; y < r.y1; y++ {
		at := y * c.Width
		copy(c.Y[at+r.x0:at+r.x1], from.Y[at+r.x0:])
	}
	for y := r.y0 / 2; y < r.y1/2; y++ {
		at := y * c.Width / 2
		copy(c.Cb[at+r.x0/2:at+r.x1/2], from.Cb[at+r.x0/2:])
		copy(c.Cr[at+r.x0/2:at+r.x1/2], from.Cr[at+r.x0/2:])
	}
}

// roundedBox is a rectangle with round corners.
func roundedBox(r rect, radius float64) shape {
	cx, cy := float64(r.x0+r.x1)/2, float64(r.y0+r.y1)/2
	hw, hh := float64(r.width())/2-radius, float64(r.height())/2-radius
	return func(x, y float64) float64 {
		dx, dy := math.Abs(x-cx)-hw, math.Abs(y-cy)-hh
		return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - radius
	}
}

// outline is the border of a shape, of some thickness, inside it.
func outline(s shape, thickness float64) shape {
	return func(x, y float64) float64 { return math.Abs(s(x, y)+thickness/2) - thickness/2 }
}
