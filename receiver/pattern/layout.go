package pattern

import "aerie/receiver/pattern/stamp"

// plan is the design of a picture whose shorter or longer side is known, in
// units of which a picture of 1920 by 1080, or one 1080 wide that stands
// upright, has one per pixel.
type plan struct {
	width, height float64 // the least room in units, above the stamp
	margin        float64 // left free at both sides
	radius        float64 // of the dial
	flash         float64 // side of the square
	clock         float64 // scale of the readouts
	lane          float64 // heights of the sweep,
	bars, greys   float64 // the colour bars and the greys
	upright       bool
}

var (
	wide = plan{width: 1920, height: 832, margin: 96, radius: 140, flash: 200, clock: 1, lane: 48, bars: 92, greys: 44}
	tall = plan{width: 1080, height: 1400, margin: 60, radius: 230, flash: 290, clock: 1.12, lane: 64, bars: 140, greys: 60, upright: true}
)

// Sizes of the parts, in units; those of the readouts count at scale 1.
const (
	headerHeight = 104
	digitWidth   = 80
	digitHeight  = 112
	clockWidth   = 9*digitWidth + 3*digitWidth/2
	countWidth   = 56
	countHeight  = 80
	countBelow   = 144 // from the top of the clock to that of the counter
	readHeight   = countBelow + countHeight
	greysBelow   = 8 // from the bars to the greys
)

// layout says where everything is, in pixels.
type layout struct {
	unit    float64
	margin  float64
	visible rect
	stamp   stamp.Geometry

	title, subtitle point // upper left corners
	size, rate      point // upper right corners
	dial            circle
	flash           rect
	clock, counter  row
	lane            rect // of the sweep
	bars, greys     rect
}

// circle is the dial.
type circle struct{ x, y, radius float64 }

// row is a row of digits: its upper left corner and the size of a digit's
// cell.
type row struct{ x, y, width, height int }

// newLayout stacks the parts between the picture's upper edge and the stamp
// with equal gaps.
func newLayout(width, height int) layout {
	l := layout{visible: rect{0, 0, width, height}, stamp: stamp.Place(width, height)}
	p := wide
	if height > width {
		p = tall
	}
	room := l.stamp.Y - l.stamp.CellHeight/2
	l.unit = min(float64(width)/p.width, room/p.height)
	l.margin = p.margin * l.unit

	heights := []float64{headerHeight, max(2*p.radius, readHeight*p.clock), p.lane, p.bars + greysBelow + p.greys}
	if p.upright {
		heights = []float64{headerHeight, 2 * p.radius, readHeight * p.clock, p.lane, p.bars + greysBelow + p.greys}
	}
	gap := room
	for _, h := range heights {
		gap -= h * l.unit
	}
	gap /= float64(len(heights)) + 0.5 // more above the header than between
	tops := make([]float64, len(heights))
	y := 0.8 * gap
	for i, h := range heights {
		tops[i] = y
		y += h*l.unit + 0.93*gap
	}
	l.header(tops[0])
	middle := tops[1] + heights[1]/2*l.unit
	if p.upright {
		l.upright(p, middle, tops[2])
	} else {
		l.landscape(p, middle)
	}
	l.colours(p, tops[len(tops)-2], tops[len(tops)-1])
	return l
}

func (l *layout) header(y float64) {
	left, right := l.margin, float64(l.visible.x1)-l.margin
	l.title, l.subtitle = point{left, y}, point{left, y + 86*l.unit}
	l.size, l.rate = point{right, y + 10*l.unit}, point{right, y + 86*l.unit}
}

// landscape puts dial, readouts and flash side by side.
func (l *layout) landscape(p plan, middle float64) {
	const between = 72
	u := l.unit
	whole := 2*p.radius + clockWidth*p.clock + p.flash + 2*between
	x := (float64(l.visible.x1) - whole*u) / 2
	l.dial = circle{x + p.radius*u, middle, p.radius * u}
	x += (2*p.radius + between) * u
	l.readouts(p.clock*u, x, middle-readHeight*p.clock/2*u)
	x += (clockWidth*p.clock + between) * u
	l.square(x, middle, p.flash*u)
}

// upright puts dial and flash side by side above the readouts.
func (l *layout) upright(p plan, middle, readouts float64) {
	const between = 90
	u := l.unit
	x := (float64(l.visible.x1) - (2*p.radius+between+p.flash)*u) / 2
	l.dial = circle{x + p.radius*u, middle, p.radius * u}
	l.square(x+(2*p.radius+between)*u, middle, p.flash*u)
	l.readouts(p.clock*u, (float64(l.visible.x1)-clockWidth*p.clock*u)/2, readouts)
}

func (l *layout) square(x, middle, side float64) {
	l.flash = rect{even(x), even(middle - side/2), even(x + side), even(middle + side/2)}
}

// readouts places clock and frame counter, whose right edges are the same.
func (l *layout) readouts(u, x, y float64) {
	l.clock = row{0, snap(y), snap(digitWidth * u), snap(digitHeight * u)}
	width := l.clock.cell(len(clockText) - 1).x1
	l.clock.x = snap(x + (clockWidth*u-float64(width))/2)
	right := l.clock.x + width
	l.counter = row{0, snap(y + countBelow*u), snap(countWidth * u), snap(countHeight * u)}
	l.counter.x = right - counterDigits*l.counter.width
}

func (l *layout) colours(p plan, lane, top float64) {
	u := l.unit
	l.lane = rect{0, snap(lane), l.visible.x1, snap(lane) + max(snap(p.lane*u), 4)}
	left, right := even(l.margin), even(float64(l.visible.x1)-l.margin)
	l.bars = rect{left, even(top), right, even(top + p.bars*u)}
	top += (p.bars + greysBelow) * u
	l.greys = rect{left, even(top), right, even(top + p.greys*u)}
}

func even(v float64) int { return int(v+1) &^ 1 }

// snap rounds to the grid of macroblocks as far as the size allows: what is
// aligned touches fewer of them.
func snap(v float64) int {
	unit := 2
	switch {
	case v >= 64:
		unit = 16
	case v >= 24:
		unit = 8
	}
	return (int(v) + unit/2) / unit * unit
}
