package pattern

import "math"

// colour is a colour in BT.709 YCbCr.
type colour struct{ y, cb, cr uint8 }

// palette converts the picture's colours to the range of the stream.
type palette struct{ fullRange bool }

// rgb converts a colour given as 0xrrggbb (ITU-R BT.709-6, items 3.2 to 3.4).
func (p palette) rgb(v uint32) colour {
	c := components(v)
	return p.ycbcr(c[0], c[1], c[2])
}

// components returns red, green and blue from 0 to 1.
func components(rgb uint32) [3]float64 {
	return [3]float64{float64(rgb>>16&255) / 255, float64(rgb>>8&255) / 255, float64(rgb&255) / 255}
}

func (p palette) ycbcr(r, g, b float64) colour {
	y, cb, cr := p.exact(r, g, b)
	return colour{level(y), level(cb), level(cr)}
}

// exact returns the levels before rounding.
func (p palette) exact(r, g, b float64) (y, cb, cr float64) {
	y = 0.2126*r + 0.7152*g + 0.0722*b
	cb, cr = (b-y)/1.8556, (r-y)/1.5748
	if p.fullRange {
		return 255 * y, 128 + 255*cb, 128 + 255*cr
	}
	return 16 + 219*y, 128 + 224*cb, 128 + 224*cr
}

func level(v float64) uint8 { return uint8(min(max(math.Round(v), 0), 255)) }

// The picture's colours.
const (
	skyTop    = 0x0b1226
	skyBottom = 0x1a2750
	white     = 0xf4f7ff
	dim       = 0x7f93c4
	faint     = 0x34457c
	accent    = 0x35d0c0
	warm      = 0xffb454
	laneColor = 0x0a1022
)

// bars are the colour bars at 75 % (EBU Tech 3373).
var bars = [8]uint32{0xbfbfbf, 0xbfbf00, 0x00bfbf, 0x00bf00, 0xbf00bf, 0xbf0000, 0x0000bf, 0x000000}

// Levels of the stamp and of its ground: the stamp reads by contrast, so one
// pair serves both ranges.
var (
	stampBlack = colour{16, 128, 128}
	stampWhite = colour{235, 128, 128}
)
