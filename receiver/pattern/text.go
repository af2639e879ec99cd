package pattern

import (
	"strconv"
	"strings"
)

// Proportions of the font, in units of a tenth of the capitals' height.
const (
	penWidth = 1.5
	spacing  = 1.5 // between the edges of two glyphs
)

// point is a point of a path.
type point struct{ x, y float64 }

// typeface is the font at one size.
type typeface struct {
	unit   float64 // pixels a unit
	pen    float64 // width of the lines in units
	spread float64 // additional space between letters in units
}

func sized(capHeight float64) typeface { return typeface{unit: capHeight / 10, pen: penWidth} }

// advance returns the way from the left edge of one glyph to that of the
// next, in pixels.
func (f typeface) advance(g glyph) float64 {
	return f.unit * (g.width + f.pen + spacing + f.spread)
}

// width returns the width of a text in pixels.
func (f typeface) width(text string) float64 {
	w := 0.0
	for _, r := range text {
		w += f.advance(font[r])
	}
	return w - f.unit*(spacing+f.spread)
}

// strokes returns the lines of a glyph whose ink begins at x and whose
// capitals span y to y+10 units, and the rectangle they lie in.
func (f typeface) strokes(g glyph, x, y float64) (r rect, strokes []stroke) {
	half := f.pen / 2 * f.unit
	x += half
	x0, y0, x1, y1 := x, y, x, y
	for _, path := range flatten(g.path) {
		for i, p := range path {
			to := point{x + p.x*f.unit, y + p.y*f.unit}
			x0, y0, x1, y1 = min(x0, to.x), min(y0, to.y), max(x1, to.x), max(y1, to.y)
			if i > 0 {
				from := point{x + path[i-1].x*f.unit, y + path[i-1].y*f.unit}
				strokes = append(strokes, stroke{from.x, from.y, to.x, to.y})
			}
		}
	}
	return around(x0-half, y0-half, x1+half, y1+half), strokes
}

// flatten turns a glyph's path into lines of points. Paths are constants: a
// mistake in one panics, and a test draws them all.
func flatten(path string) (lines [][]point) {
	var at point
	var line []point
	fields := strings.Fields(path)
	next := func(i int) point {
		x, err := strconv.ParseFloat(strings.TrimLeft(fields[i], "mlabc"), 64)
		if err != nil {
			panic("pattern: glyph path " + path + ": " + err.Error())
		}
		y, err := strconv.ParseFloat(fields[i+1], 64)
		if err != nil {
			panic("pattern: glyph path " + path + ": " + err.Error())
		}
		return point{x, y}
	}
	for i := 0; i < len(fields); {
		command := fields[i][0]
		to := next(i)
		switch command {
		case 'm':
			if len(line) > 0 {
				lines = append(lines, line)
			}
			line = []point{to}
		case 'l':
			line = append(line, to)
		case 'a':
			line = curve(line, at, point{at.x + kappa*(to.x-at.x), at.y}, point{to.x, to.y - kappa*(to.y-at.y)}, to)
		case 'b':
			line = curve(line, at, point{at.x, at.y + kappa*(to.y-at.y)}, point{to.x - kappa*(to.x-at.x), to.y}, to)
		case 'c':
			control1, control2 := to, next(i+2)
			to = next(i + 4)
			i += 4
			line = curve(line, at, control1, control2, to)
		}
		at = to
		i += 2
	}
	if len(line) > 0 {
		lines = append(lines, line)
	}
	return lines
}

// kappa puts the control points of a Bézier curve that is a quarter of an
// ellipse.
const kappa = 0.5523

// curve appends a Bézier curve as lines.
func curve(line []point, p0, p1, p2, p3 point) []point {
	const parts = 10
	for i := 1; i <= parts; i++ {
		t := float64(i) / parts
		u := 1 - t
		a, b, c, d := u*u*u, 3*u*u*t, 3*u*t*t, t*t*t
		line = append(line, point{a*p0.x + b*p1.x + c*p2.x + d*p3.x, a*p0.y + b*p1.y + c*p2.y + d*p3.y})
	}
	return line
}

// write paints a text whose capitals begin at x, y.
func (c *canvas) write(f typeface, x, y float64, text string, colour colour) {
	for _, r := range text {
		g := font[r]
		box, strokes := f.strokes(g, x, y)
		c.stroke(box, strokes, f.pen*f.unit, colour)
		x += f.advance(g)
	}
}
