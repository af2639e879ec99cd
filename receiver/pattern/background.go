package pattern

import (
	"fmt"
	"math"
)

// paintBackground paints all that never changes.
func (c *canvas) paintBackground(l *layout, colours palette, config Config) {
	c.paintSky(colours)
	c.paintCorners(l, colours)
	c.paintHeader(l, colours, config)
	c.paintDial(l, colours)
	c.paintFlashFrame(l, colours)
	c.paintLabels(l, colours)
	c.paintLane(l, colours)
	c.paintBars(l, colours)
	c.paintGreys(l, colours)

	g := l.stamp
	half := g.CellWidth / 2
	ground := rect{int(g.X - half), int(g.Y - half), int(g.X + 28.5*g.CellWidth), int(g.Y + 6.5*g.CellHeight)}
	c.paint(ground, roundedBox(ground, 0.8*half), stampBlack)
}

// dither holds offsets that turn the steps of a slow gradient into lines too
// fine to see. The rows stay of one colour each, which costs no bits.
var dither = [4]float64{0.125, 0.625, 0.375, 0.875}

// paintSky paints a gradient from top to bottom, beyond the visible part too.
func (c *canvas) paintSky(colours palette) {
	top, bottom := components(skyTop), components(skyBottom)
	for y := range c.Height {
		t := float64(y) / float64(c.Height-1)
		var rgb [3]float64
		for i := range rgb {
			rgb[i] = top[i] + (bottom[i]-top[i])*t
		}
		luma, cb, cr := colours.exact(rgb[0], rgb[1], rgb[2])
		d := dither[y%4]
		fillRow(c.Y[y*c.Width:][:c.Width], uint8(luma+d))
		if y%2 == 0 {
			d = dither[y/2%4]
			fillRow(c.Cb[y/2*c.Width/2:][:c.Width/2], uint8(cb+d))
			fillRow(c.Cr[y/2*c.Width/2:][:c.Width/2], uint8(cr+d))
		}
	}
}

// paintCorners marks the picture's corners: where one is missing, the
// picture is cropped.
func (c *canvas) paintCorners(l *layout, colours palette) {
	thick, long := max(even(3*l.unit), 2), even(56*l.unit)
	w, h := l.visible.x1, l.visible.y1
	for _, x := range []int{0, w - long} {
		for _, y := range []int{0, h - thick} {
			c.fill(rect{x, y, x + long, y + thick}, colours.rgb(dim))
		}
	}
	for _, x := range []int{0, w - thick} {
		for _, y := range []int{0, h - long} {
			c.fill(rect{x, y, x + thick, y + long}, colours.rgb(dim))
		}
	}
}

func (c *canvas) paintHeader(l *layout, colours palette, config Config) {
	u := l.unit
	title, small := sized(56*u), sized(18*u)
	title.spread, small.spread = 2.4, 2.2
	c.write(title, l.title.x, l.title.y, "AERIE", colours.rgb(white))
	c.write(small, l.subtitle.x, l.subtitle.y, "SCREEN MIRRORING TEST", colours.rgb(dim))

	size := sized(36 * u)
	text := fmt.Sprintf("%d × %d", config.Width, config.Height)
	c.write(size, l.size.x-size.width(text), l.size.y, text, colours.rgb(white))
	text = fmt.Sprintf("%d FPS", config.FPS)
	c.write(small, l.rate.x-small.width(text), l.rate.y, text, colours.rgb(dim))
}

// paintDial paints a ring with a tick for each frame of a second at 60
// frames per second, a longer one every tenth of a second.
func (c *canvas) paintDial(l *layout, colours palette) {
	d := l.dial
	for i := range 60 {
		inner, thick, colour := 0.93, 2.5, uint32(faint)
		if i%6 == 0 {
			inner, thick, colour = 0.88, 4, dim
		}
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 60)
		x0, y0 := d.x+inner*d.radius*sin, d.y-inner*d.radius*cos
		x1, y1 := d.x+d.radius*sin, d.y-d.radius*cos
		c.stroke(around(min(x0, x1)-3, min(y0, y1)-3, max(x0, x1)+3, max(y0, y1)+3),
			[]stroke{{x0, y0, x1, y1}}, thick*l.unit, colours.rgb(colour))
	}
	ring := func(x, y float64) float64 {
		return math.Abs(math.Hypot(x-d.x, y-d.y)-0.2*d.radius) - 2*l.unit
	}
	r := 0.2*d.radius + 3
	c.paint(around(d.x-r, d.y-r, d.x+r, d.y+r), ring, colours.rgb(faint))
}

func (c *canvas) paintFlashFrame(l *layout, colours palette) {
	box := roundedBox(l.flash, 28*l.unit)
	c.paint(l.flash, box, colours.rgb(laneColor))
	c.paint(l.flash, outline(box, 4*l.unit), colours.rgb(faint))
	f := sized(22 * l.unit)
	f.spread = 2
	const text = "BEEP"
	x := float64(l.flash.x0+l.flash.x1)/2 - f.width(text)/2
	y := float64(l.flash.y0+l.flash.y1)/2 - 11*l.unit
	c.write(f, x, y, text, colours.rgb(faint))
}

// paintLabels writes what stands between the digits and beside them.
func (c *canvas) paintLabels(l *layout, colours palette) {
	f := l.clock.typeface()
	small := sized(2.6 * f.unit)
	small.spread = 2
	y := float64(l.counter.y) + (float64(l.counter.height)-10*small.unit)/2
	c.write(small, float64(l.clock.cell(0).x0)+0.6*f.unit, y, "FRAME", colours.rgb(dim))

	for _, i := range []int{2, 5, 8} {
		cell := l.clock.cell(i)
		g := font[clockText[i]]
		ink := f.unit * f.pen
		x := float64(cell.x0+cell.x1)/2 - ink/2
		box, strokes := f.strokes(g, x, l.clock.baseline(f))
		c.stroke(box, strokes, ink, colours.rgb(dim))
	}
}

// paintLane paints the track of the sweep, with a mark every eighth.
func (c *canvas) paintLane(l *layout, colours palette) {
	c.fill(l.lane, colours.rgb(laneColor))
	thin := max(even(2*l.unit), 2)
	for i := 1; i < 8; i++ {
		x := even(float64(l.lane.x1) * float64(i) / 8)
		c.fill(rect{x - thin/2&^1, l.lane.y0, x - thin/2&^1 + thin, l.lane.y1}, colours.rgb(faint))
	}
}

func (c *canvas) paintBars(l *layout, colours palette) {
	box := roundedBox(l.bars, 10*l.unit)
	for i, rgb := range bars {
		c.paint(part(l.bars, i, len(bars)), box, colours.rgb(rgb))
	}
}

// paintGreys paints steps from black to white.
func (c *canvas) paintGreys(l *layout, colours palette) {
	const steps = 11
	box := roundedBox(l.greys, 8*l.unit)
	for i := range steps {
		v := float64(i) / (steps - 1)
		c.paint(part(l.greys, i, steps), box, colours.ycbcr(v, v, v))
	}
}

// part returns the i-th of n parts of a rectangle, side by side.
func part(r rect, i, n int) rect {
	x := func(i int) int { return r.x0 + r.width()*i/n&^1 }
	return rect{x(i), r.y0, x(i + 1), r.y1}
}
