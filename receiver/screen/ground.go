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

// glowTable holds the colours of the steps, with eight bits behind the point.
type glowTable struct {
	color color.RGBA // of the middle
	steps [fades + 1][3]int32
}

func (g *glowTable) fill(c color.RGBA) {
	g.color = c
	for i := range g.steps {
		left := 1 - float64(i)/fades
		left = left * left * (3 - 2*left) // no edge where it ends
		for k, to := range [3][2]uint8{{ground.R, c.R}, {ground.G, c.G}, {ground.B, c.B}} {
			g.steps[i][k] = int32(256 * (float64(to[0]) + left*(float64(to[1])-float64(to[0]))))
		}
	}
}

// draw draws the ground of a screen with the given bounds into img, which is a
// part of it.
func (g *glowTable) draw(img *image.RGBA, bounds image.Rectangle) {
	r := img.Rect.Intersect(bounds)
	if r.Empty() {
		return
	}
	// The ellipse in which it fades: wide as the screen, and centred above it.
	cx, cy := bounds.Min.X+bounds.Dx()/2, bounds.Min.Y-bounds.Dy()/5
	rx, ry := float64(bounds.Dx())*0.75, float64(bounds.Dy())*0.95
	kx, ky := fades/(rx*rx), fades/(ry*ry)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:r.Dx()*4]
		down := float64((y-cy)*(y-cy)) * ky
		thresholds := &bayer[y&7]
		for x := r.Min.X; x < r.Max.X; x++ {
			step := &g.steps[min(int(down+float64((x-cx)*(x-cx))*kx), fades)]
			t := thresholds[x&7] * 4
			px := row[(x-r.Min.X)*4:][:4:4]
			px[0], px[1], px[2], px[3] = uint8((step[0]+t)>>8), uint8((step[1]+t)>>8), uint8((step[2]+t)>>8), 255
		}
	}
}
