package screen

import (
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/math/fixed"
)

// kind is what an element is.
type kind uint8

const (
	groundElement kind = iota // the whole screen, below everything
	textElement
	boxElement
	iconElement
	coverElement
	codeElement // a QR code
)

// element is one thing on the screen. Elements are compared: those of two
// scenes that are equal look the same.
type element struct {
	kind   kind
	area   image.Rectangle // all that it touches
	color  color.RGBA
	text   string // of a text; what a code says
	font   fontKey
	dot    fixed.Point26_6 // where the text begins, on its base line
	radius int             // of a box's or a cover's corners
	icon   icon
	cover  *Artwork
}

// scene is everything on a screen, from back to front.
type scene []element

// differences adds to a list the areas that differ between two scenes: of all
// elements of one that the other does not have at the same place in the order
// of those they share.
func differences(list []image.Rectangle, a, b scene) []image.Rectangle {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	// Between what is common at the ends there are few: the order of those in
	// the middle is kept if the k-th of both is the same.
	if len(a) == len(b) {
		for i := range a {
			if a[i] != b[i] {
				list = append(list, a[i].area, b[i].area)
			}
		}
		return list
	}
	for _, rest := range []scene{a, b} {
		for i := range rest {
			list = append(list, rest[i].area)
		}
	}
	return list
}

// maxAreas is how many areas are worth keeping apart.
const maxAreas = 12

// Merge adds an area to a list of such, and joins those that overlap or of
// which there are too many: together they cover all that was added. Empty ones
// are left out.
func Merge(list []image.Rectangle, r image.Rectangle) []image.Rectangle {
	if r.Empty() {
		return list
	}
	for i := 0; i < len(list); {
		if list[i].Overlaps(r) || len(list) >= maxAreas && i == len(list)-1 {
			r = r.Union(list[i])
			list = slices.Delete(list, i, i+1)
			i = 0 // the union may reach further
			continue
		}
		i++
	}
	return append(list, r)
}

// paint draws what of a scene is within area.
func (s *Screen) paint(sc scene, area image.Rectangle) {
	for i := range sc {
		e := &sc[i]
		clip := e.area.Intersect(area)
		if clip.Empty() {
			continue
		}
		s.clip = *s.canvas
		s.clip.Rect, s.clip.Pix = clip, s.canvas.Pix[s.canvas.PixOffset(clip.Min.X, clip.Min.Y):]
		s.element(&s.clip, e)
	}
}

// element draws one element, as far as img reaches.
func (s *Screen) element(img *image.RGBA, e *element) {
	switch e.kind {
	case groundElement:
		s.glow.prepare(e.color, e.area)
		s.glow.draw(img)
	case textElement:
		s.fonts.draw(img, e)
	case boxElement:
		drawBox(img, e.area, e.radius, e.color)
	case iconElement:
		s.icons.draw(img, e)
	case coverElement:
		e.cover.draw(img, e.area, e.radius)
	case codeElement:
		drawCode(img, e.area, e.text, e.color)
	}
}

// drawBox fills a rectangle with round corners.
func drawBox(img *image.RGBA, area image.Rectangle, radius int, c color.RGBA) {
	r := img.Rect.Intersect(area)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):][:r.Dx()*4]
		corners := y < area.Min.Y+radius || y >= area.Max.Y-radius
		for x := r.Min.X; x < r.Max.X; x++ {
			a := uint32(255)
			if corners {
				a = covered(area, radius, x, y)
			}
			left := 255 - uint32(c.A)*a/255
			px := row[(x-r.Min.X)*4:][:4:4]
			px[0] = uint8((uint32(px[0])*left + uint32(c.R)*a + 127) / 255)
			px[1] = uint8((uint32(px[1])*left + uint32(c.G)*a + 127) / 255)
			px[2] = uint8((uint32(px[2])*left + uint32(c.B)*a + 127) / 255)
			px[3] = 255
		}
	}
}

// covered is how much of a pixel a rectangle with round corners covers, of
// 255; the pixel is within the rectangle.
func covered(area image.Rectangle, radius, x, y int) uint32 {
	radius = min(radius, area.Dx()/2, area.Dy()/2)
	dx := max(area.Min.X+radius-x, x-(area.Max.X-1-radius))
	dy := max(area.Min.Y+radius-y, y-(area.Max.Y-1-radius))
	if dx <= 0 || dy <= 0 {
		return 255
	}
	// Distances are between middles of pixels, the edge is half of one away.
	out := math.Hypot(float64(dx), float64(dy)) - float64(radius)
	return uint32(255 * min(max(0.5-out, 0), 1))
}
