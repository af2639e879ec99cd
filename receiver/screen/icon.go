package screen

import (
	"image"
	"math"

	"golang.org/x/image/vector"
)

// icon is a small picture of strokes.
type icon uint8

const (
	noIcon icon = iota
	mirrorIcon
	centreIcon
	screenIcon
	noteIcon
	speakerIcon
	networkIcon
	warningIcon
	updateIcon
	doneIcon
	infoIcon
	brandIcon
)

// stroke is a line through points in a square of 24 by 24, as those of the
// status page's icons; closed ones end where they begin.
type stroke struct {
	closed bool
	filled bool
	points []float64 // x, y, ...
}

// strokes are the icons. Round forms are lines through many points, made by
// ring, arc and rounded.
var strokes = map[icon][]stroke{
	mirrorIcon: {rounded(2.5, 7.5, 14, 10, 2), {points: join([]float64{7.5, 4.5, 19.5, 4.5}, arc(19.5, 6.5, 2, -90, 0), []float64{21.5, 14.5})}},
	centreIcon: {rounded(3, 3.5, 18, 7, 3.5), ring(6.8, 7, 1.2), rounded(3, 13.5, 18, 7, 3.5), ring(17.2, 17, 1.2)},
	screenIcon: {rounded(2.5, 4, 19, 13, 2), {points: []float64{8, 20.5, 16, 20.5}}},
	noteIcon:   {{points: []float64{9, 18, 9, 6, 19, 4, 19, 15.5}}, ring(6.5, 18, 2.5), ring(16.5, 15.5, 2.5)},
	speakerIcon: {{closed: true, points: []float64{4, 9.5, 4, 14.5, 7.5, 14.5, 12, 19, 12, 5, 7.5, 9.5}},
		{points: arc(12, 12, 4.6, -42, 42)}, {points: arc(12, 12, 8.4, -42, 42)}},
	networkIcon: {{points: arc(12, 18, 14, -135, -45)}, {points: arc(12, 18, 9.5, -135, -45)}, {points: arc(12, 18, 5, -135, -45)}, dot(12, 18, 1.3)},
	warningIcon: {{closed: true, points: []float64{12, 3.5, 21.5, 20, 2.5, 20}}, {points: []float64{12, 10, 12, 14}}, dot(12, 17, 0.8)},
	updateIcon:  {{points: []float64{12, 3.5, 12, 15}}, {points: []float64{7, 10.5, 12, 15.5, 17, 10.5}}, {points: []float64{4, 20.5, 20, 20.5}}},
	doneIcon:    {ring(12, 12, 9), {points: []float64{8, 12.3, 11, 15.2, 16.2, 9}}},
	infoIcon:    {ring(12, 12, 9), {points: []float64{12, 11, 12, 16.5}}, dot(12, 7.6, 0.8)},
	brandIcon:   {{points: []float64{3.6, 15.6, 3.6, 6.8, 4.2, 5.3, 5.6, 4.6, 18.4, 4.6, 19.8, 5.3, 20.4, 6.8, 20.4, 15.6}}, {closed: true, filled: true, points: []float64{12, 11, 19, 19, 5, 19}}},
}

func join(parts ...[]float64) (all []float64) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// arc is a part of a circle, between angles in degrees; those grow clockwise.
func arc(cx, cy, r, from, to float64) (points []float64) {
	const steps = 24
	for i := range steps + 1 {
		a := (from + (to-from)*float64(i)/steps) * math.Pi / 180
		points = append(points, cx+r*math.Cos(a), cy+r*math.Sin(a))
	}
	return points
}

func ring(cx, cy, r float64) stroke { return stroke{closed: true, points: arc(cx, cy, r, 0, 360)} }

func dot(cx, cy, r float64) stroke {
	return stroke{closed: true, filled: true, points: arc(cx, cy, r, 0, 360)}
}

func rounded(x, y, w, h, r float64) stroke {
	return stroke{closed: true, points: join(arc(x+r, y+r, r, 180, 270), arc(x+w-r, y+r, r, 270, 360), arc(x+w-r, y+h-r, r, 0, 90), arc(x+r, y+h-r, r, 90, 180))}
}

// weight is how thick strokes are, of 24.
const weight = 1.8

// icons keeps the masks of icons that were drawn.
type icons struct{ masks map[iconKey]*image.Alpha }

type iconKey struct {
	icon icon
	edge int
}

// draw draws an icon into its square, as far as img reaches.
func (c *icons) draw(img *image.RGBA, e *element) {
	k := iconKey{e.icon, e.area.Dx()}
	m := c.masks[k]
	if m == nil {
		if c.masks == nil || len(c.masks) >= maxKept {
			c.masks = map[iconKey]*image.Alpha{}
		}
		m = rasterize(e.icon, k.edge)
		c.masks[k] = m
	}
	drawMask(img, e.area, e.color, m, image.Point{})
}

// rasterize draws an icon: of each stroke, the pixels that are near to it.
func rasterize(i icon, edge int) *image.Alpha {
	m := image.NewAlpha(image.Rect(0, 0, edge, edge))
	scale := float64(edge) / 24
	for _, s := range strokes[i] {
		if s.filled {
			fill(m, s.points, scale)
			continue
		}
		p := s.points
		if s.closed {
			p = append(p[:len(p):len(p)], p[0], p[1])
		}
		for y := range edge {
			for x := range edge {
				far := distance(p, (float64(x)+0.5)/scale, (float64(y)+0.5)/scale)
				part := min(max((weight/2-far)*scale+0.5, 0), 1)
				at := y*m.Stride + x
				m.Pix[at] = max(m.Pix[at], uint8(255*part))
			}
		}
	}
	return m
}

// fill fills a polygon.
func fill(m *image.Alpha, points []float64, scale float64) {
	z := vector.NewRasterizer(m.Rect.Dx(), m.Rect.Dy())
	z.MoveTo(float32(points[0]*scale), float32(points[1]*scale))
	for i := 2; i+1 < len(points); i += 2 {
		z.LineTo(float32(points[i]*scale), float32(points[i+1]*scale))
	}
	z.ClosePath()
	z.Draw(m, m.Rect, image.Opaque, image.Point{})
}

// distance is that of a point from a line through points.
func distance(p []float64, x, y float64) float64 {
	least := math.Inf(1)
	for i := 0; i+3 < len(p); i += 2 {
		dx, dy := p[i+2]-p[i], p[i+3]-p[i+1]
		along := min(max(((x-p[i])*dx+(y-p[i+1])*dy)/max(dx*dx+dy*dy, 1e-9), 0), 1)
		ax, ay := x-p[i]-along*dx, y-p[i+1]-along*dy
		least = min(least, ax*ax+ay*ay)
	}
	return math.Sqrt(least)
}
