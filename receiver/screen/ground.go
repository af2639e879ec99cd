package screen

import (
	"image"
	"image/color"
)

// The ground is a glow at the upper edge that fades into the dark. Eight bits
// a channel show it in rings, so it is dithered: with a fixed pattern, which
// makes a part of the ground the same whether it is drawn alone or not.

// bayer is a threshold map of 8 by 8, from 0 to 63 (Bayer 1973).
var bayer = func() (m [8][8]int32) {
	for y := range 8 {
		for x := range 8 {
			v := 0
			for bit := range 3 {
				v = v<<2 | (x>>bit^y>>bit)&1<<1 | y>>bit&1
			}
			m[y][x] = int32(v)
		}
	}
	return m
}()

// fades is how many steps the glow has from its middle to where it ends.
const fades = 1024

// glowTable holds the colours of the steps, with eight bits behind the point,
// and how many steps away each column is.
type glowTable struct {
	color   color.RGBA // of the middle
	steps   [fades + 1][3]int32
	bounds  image.Rectangle
	columns []int32
}

// prepare makes the table for a colour and a screen with the given bounds.
func (g *glowTable) prepare(c color.RGBA, bounds image.Rectangle) {
	if g.color != c {
		g.color = c
		for i := range g.steps {
			left := 1 - float64(i)/fades
			left = left * left * (3 - 2*left) // no edge where it ends
			for k, to := range [3][2]uint8{{ground.R, c.R}, {ground.G, c.G}, {ground.B, c.B}} {
				g.steps[i][k] = int32(256 * (float64(to[0]) + left*(float64(to[1])-float64(to[0]))))
			}
		}
	}
	if g.bounds != bounds {
		g.bounds, g.columns = bounds, make([]int32, bounds.Dx())
		for i := range g.columns {
			// The glow is as wide as the screen and a half.
			g.columns[i] = away(i-bounds.Dx()/2, float64(bounds.Dx())*0.75)
		}
	}
}

// away is how many steps it is from the middle, in one direction; those of two
// directions add up.
func away(d int, reach float64) int32 {
	part := float64(d) / reach
	return int32(fades * min(part*part, 1))
}

// draw draws the ground into img, which is a part of the screen.
func (g *glowTable) draw(img *image.RGBA) {
	r := img.Rect.Intersect(g.bounds)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:r.Dx()*4]
		// Its middle is above the screen.
		down := away(y-g.bounds.Min.Y+g.bounds.Dy()/5, float64(g.bounds.Dy())*0.95)
		thresholds := &bayer[y&7]
		columns := g.columns[r.Min.X-g.bounds.Min.X:]
		for i := 0; i+3 < len(row); i += 4 {
			x := i / 4
			step := &g.steps[min(down+columns[x], fades)]
			t := thresholds[(x+r.Min.X)&7] * 4
			px := row[i:][:4:4]
			px[0], px[1], px[2], px[3] = uint8((step[0]+t)>>8), uint8((step[1]+t)>>8), uint8((step[2]+t)>>8), 255
		}
	}
}
