package stamp

// Geometry is where a grid lies: the top left corner of its first cell and
// the size of a cell, in pixels. Coordinates count from the corner of the
// picture's first pixel, whose centre is at ½.
type Geometry struct {
	X, Y                  float64
	CellWidth, CellHeight float64
}

// MinWidth and MinHeight are the size below which a picture has no room.
const (
	MinWidth  = 160
	MinHeight = 120
)

// Place returns where the test pattern has its stamp in a picture of width by
// height pixels: centred, one cell above the lower edge. A cell is as many
// pixels wide and high as possible so that 29 cells fill at most 4/5 of the
// width and 7 cells at most 6/25 of the height. From 16 pixels on it is a
// multiple of 16 and so is the position, which makes a cell a whole number of
// macroblocks; below it is a multiple of 4.
//
// It returns the zero Geometry if the picture is too small.
func Place(width, height int) Geometry {
	if width < MinWidth || height < MinHeight {
		return Geometry{}
	}
	cell := min(4*width/(5*29), 6*height/(25*7))
	unit := 16
	if cell < unit {
		unit = 4
	}
	cell -= cell % unit
	x, y := (width-Columns*cell)/2, height-(Rows+1)*cell
	return Geometry{
		X:          float64(x - x%unit),
		Y:          float64(y - y%unit),
		CellWidth:  float64(cell),
		CellHeight: float64(cell),
	}
}

// Scale returns where the grid lies after the picture was scaled by these
// factors.
func (g Geometry) Scale(horizontal, vertical float64) Geometry {
	return Geometry{g.X * horizontal, g.Y * vertical, g.CellWidth * horizontal, g.CellHeight * vertical}
}

// Move returns where the grid lies after the picture was put at x, y of a
// larger one.
func (g Geometry) Move(x, y float64) Geometry {
	g.X += x
	g.Y += y
	return g
}

// within tells whether the whole grid lies in a picture of that size, with
// cells large enough to be read.
func (g Geometry) within(width, height int) bool {
	return g.CellWidth >= minCell && g.CellHeight >= minCell &&
		g.X >= 0 && g.Y >= 0 &&
		g.X+Columns*g.CellWidth <= float64(width) && g.Y+Rows*g.CellHeight <= float64(height)
}

// minCell is the smallest cell, in pixels, worth a try: below it, pixels
// belong to two cells.
const minCell = 2
