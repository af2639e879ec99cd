package stamp

// Plane is a plane of samples, such as the luma of a decoded frame.
type Plane struct {
	Pix           []byte // row y starts at Pix[y*Stride]
	Stride        int
	Width, Height int
}

// valid tells whether every pixel lies in Pix.
func (p *Plane) valid() bool {
	return p.Width > 0 && p.Height > 0 && p.Width <= p.Stride &&
		p.Stride <= len(p.Pix) && p.Height-1 <= (len(p.Pix)-p.Width)/p.Stride
}

// minContrast is the least difference of white and black, of 255, at which a
// grid is read.
const minContrast = 24

// Read reads the stamp that lies at g, exactly to about a third of a cell. It
// returns false if there is none, also if g reaches out of the plane. It
// allocates nothing.
func Read(p Plane, g Geometry) (Stamp, bool) {
	if !p.valid() || !g.within(p.Width, p.Height) {
		return Stamp{}, false
	}
	var levels [Rows][Columns]int
	sample(&p, g, &levels)
	threshold, ok := threshold(&levels)
	if !ok {
		return Stamp{}, false
	}
	var cells Cells
	for r := range levels {
		for c, level := range levels[r] {
			if level > threshold {
				cells[r] |= 1 << c
			}
		}
	}
	return cells.Parse()
}

// taps is the number of pixels that make a cell's level: its centre and
// four around it.
const taps = 5

// sample adds up the taps of every cell.
func sample(p *Plane, g Geometry, levels *[Rows][Columns]int) {
	dx, dy := g.CellWidth/6, g.CellHeight/6
	for r := range Rows {
		y := g.Y + (float64(r)+0.5)*g.CellHeight
		above := p.Pix[int(y-dy)*p.Stride:]
		middle := p.Pix[int(y)*p.Stride:]
		below := p.Pix[int(y+dy)*p.Stride:]
		for c := range Columns {
			x := g.X + (float64(c)+0.5)*g.CellWidth
			left, centre, right := int(x-dx), int(x), int(x+dx)
			levels[r][c] = int(middle[centre]) +
				int(above[left]) + int(above[right]) + int(below[left]) + int(below[right])
		}
	}
}

// threshold returns the level between the ring's black and white; false if
// they are not clearly different.
func threshold(levels *[Rows][Columns]int) (int, bool) {
	var sum, count [2]int
	for r := range levels {
		for c, level := range levels[r] {
			if ringMask[r]>>c&1 != 0 {
				white := ring[r] >> c & 1
				sum[white] += level
				count[white]++
			}
		}
	}
	black, white := sum[0]/count[0], sum[1]/count[1]
	return (black + white) / 2, white-black >= minContrast*taps
}
