package stamp

import (
	"image"
	"image/color"
)

// ringEdges is the number of edges that a line through the top row of a grid
// crosses: the left edges of all its cells. The last cell is black like the
// ground, so its right edge shows none.
const ringEdges = Columns

// contrasts are the differences of level that count as an edge, tried one
// after the other: with a high one noise makes no edges, with a low one a
// dimmed picture still does.
var contrasts = [...]byte{96, 48, minContrast}

// Find searches a plane for a stamp of any size and shape, and returns where
// it lies. It takes a few milliseconds for a megapixel; a caller that has
// found one reads the next frames with Read.
func Find(p Plane) (Stamp, Geometry, bool) {
	if !p.valid() {
		return Stamp{}, Geometry{}, false
	}
	for _, contrast := range contrasts {
		if s, g, ok := p.find(contrast); ok {
			return s, g, true
		}
	}
	return Stamp{}, Geometry{}, false
}

func (p *Plane) find(contrast byte) (Stamp, Geometry, bool) {
	var edges []float64
	for y := 0; y < p.Height; y += minCell {
		row := line{p.Pix[y*p.Stride:], 1, p.Width}
		edges = row.edges(edges[:0], contrast)
		for first := 0; first+ringEdges <= len(edges); first += 2 {
			pitch, ok := ringRow(edges[first:])
			if !ok {
				continue
			}
			g, ok := p.measure(edges[first], pitch, y, contrast)
			if !ok {
				continue
			}
			if s, ok := Read(*p, g); ok {
				return s, g, true
			}
		}
	}
	return Stamp{}, Geometry{}, false
}

// ringRow tells whether a line's edges begin like the top row of a ring, and
// returns its pitch. Behind it there is black for one and a half cells, which
// stripes do not have: they would make every edge a candidate.
func ringRow(edges []float64) (pitch float64, ok bool) {
	last := edges[ringEdges-1]
	pitch = (last - edges[0]) / (ringEdges - 1)
	if len(edges) > ringEdges && edges[ringEdges]-last < 1.3*pitch {
		return 0, false
	}
	return pitch, even(edges[:ringEdges])
}

// FindImage searches an image, such as a screenshot. YCbCr and grey images
// are read in place, others are converted.
func FindImage(img image.Image) (Stamp, Geometry, bool) {
	bounds := img.Bounds()
	p, ok := lumaOf(img)
	if !ok {
		return Stamp{}, Geometry{}, false
	}
	s, g, ok := Find(p)
	return s, g.Move(float64(bounds.Min.X), float64(bounds.Min.Y)), ok
}

// measure completes the geometry: the grid's left edge is at x, its top row
// covers line y. The left column shows the rows as the top row shows the
// columns: six edges, the first rising.
func (p *Plane) measure(x, pitch float64, y int, contrast byte) (Geometry, bool) {
	column := line{p.Pix[min(int(x+pitch/2), p.Width-1):], p.Stride, p.Height}
	var space [64]float64
	edges := column.edges(space[:0], contrast)
	for first := 0; first+Rows <= len(edges); first += 2 {
		top, next := edges[first], edges[first+1]
		if middle := float64(y) + 0.5; top <= middle && middle < next && even(edges[first:first+Rows]) {
			height := (edges[first+Rows-1] - top) / (Rows - 1)
			return Geometry{x, top, pitch, height}, true
		}
	}
	return Geometry{}, false
}

// even tells whether edges have about the same distance.
func even(edges []float64) bool {
	pitch := (edges[len(edges)-1] - edges[0]) / float64(len(edges)-1)
	if pitch < minCell {
		return false
	}
	slack := 0.3*pitch + 0.5
	for i, e := range edges[1:] {
		if d := e - edges[i] - pitch; d > slack || d < -slack {
			return false
		}
	}
	return true
}

// line is a row or a column of a plane.
type line struct {
	pix    []byte
	stride int
	n      int
}

// edges appends the positions of all edges, rising and falling in turn, the
// first one rising. An edge is where the level crosses the middle between a
// low and a high that differ by contrast or more, to a part of a pixel.
func (l line) edges(to []float64, contrast byte) []float64 {
	low, high := extreme{0, l.pix[0]}, extreme{}
	up := false // the level has left low; high is the highest since
	for i := 1; i < l.n; i++ {
		v := l.pix[i*l.stride]
		switch {
		case up && v > high.level:
			high = extreme{i, v}
		case up && high.level-v >= contrast:
			to = append(to, l.crossing(low, high))
			up, low = false, extreme{i, v}
		case !up && v < low.level:
			low = extreme{i, v}
		case !up && v-low.level >= contrast:
			if len(to) > 0 {
				to = append(to, l.crossing(high, low))
			}
			up, high = true, extreme{i, v}
		}
	}
	if up {
		return append(to, l.crossing(low, high))
	}
	if len(to) > 0 {
		return append(to, l.crossing(high, low))
	}
	return to
}

// extreme is a local minimum or maximum of a line.
type extreme struct {
	at    int
	level byte
}

// crossing returns where the level first passes the middle of two extremes.
// Levels belong to the centres of pixels.
func (l line) crossing(a, b extreme) float64 {
	middle := (float64(a.level) + float64(b.level)) / 2
	before := float64(a.level)
	for i := a.at + 1; i < b.at; i++ {
		v := float64(l.pix[i*l.stride])
		if (v > middle) == (b.level > a.level) && v != middle {
			return float64(i) - 0.5 + (middle-before)/(v-before)
		}
		before = v
	}
	return float64(b.at) - 0.5 + (middle-before)/(float64(b.level)-before)
}

// lumaOf returns the image as a plane.
func lumaOf(img image.Image) (Plane, bool) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		return Plane{}, false
	}
	switch img := img.(type) {
	case *image.Gray:
		return Plane{img.Pix[img.PixOffset(b.Min.X, b.Min.Y):], img.Stride, w, h}, true
	case *image.YCbCr:
		return Plane{img.Y[img.YOffset(b.Min.X, b.Min.Y):], img.YStride, w, h}, true
	}
	p := Plane{make([]byte, w*h), w, w, h}
	switch img := img.(type) {
	case *image.RGBA:
		p.convert(img.Pix, img.Stride)
	case *image.NRGBA:
		p.convert(img.Pix, img.Stride)
	default:
		for i := range p.Pix {
			at := img.At(b.Min.X+i%w, b.Min.Y+i/w)
			p.Pix[i] = color.GrayModel.Convert(at).(color.Gray).Y
		}
	}
	return p, true
}

// convert fills the plane from samples of red, green, blue and opacity.
func (p *Plane) convert(rgba []byte, stride int) {
	for y := range p.Height {
		row := rgba[y*stride:]
		for x := range p.Width {
			c := row[4*x : 4*x+4]
			p.Pix[y*p.Stride+x] = byte((299*int(c[0]) + 587*int(c[1]) + 114*int(c[2])) / 1000)
		}
	}
}
