package screen

import (
	"image"
	"image/color"
)

// Colours are those of the status page, so that the two look like one thing.
var (
	ground = color.RGBA{10, 14, 24, 255}    // far from the glow
	glow   = color.RGBA{29, 42, 76, 255}    // at the upper edge
	bright = color.RGBA{233, 237, 248, 255} // what matters
	soft   = color.RGBA{176, 187, 218, 255} // what explains it
	faint  = color.RGBA{82, 94, 128, 255}   // not to be read
	accent = color.RGBA{55, 211, 196, 255}
	warm   = color.RGBA{255, 180, 84, 255} // something is not as it should be
	ink    = color.RGBA{4, 22, 24, 255}    // letters on accent or white
	white  = color.RGBA{255, 255, 255, 255}
	raised = veil(color.RGBA{150, 180, 255, 255}, 22) // a card
	groove = veil(color.RGBA{170, 190, 255, 255}, 44) // of the bar, where it is not yet
)

// veil is a colour that lets what is below it through; opacity is of 255.
func veil(c color.RGBA, opacity uint32) color.RGBA {
	part := func(v uint8) uint8 { return uint8(uint32(v) * opacity / 255) }
	return color.RGBA{part(c.R), part(c.G), part(c.B), uint8(opacity)}
}

// Heights of capital letters, as parts of the unit. From three metres a TV of
// a metre's width has 11 arc minutes for each hundredth of its height, and
// letters are read at ease from 15 and at all from 10: so what a person has to
// read is at least capMain high, and nothing is lower than capNote.
const (
	capName  = 0.085
	capCode  = 0.17
	capTitle = 0.06
	capMain  = 1.0 / 25
	capNote  = 1.0 / 42
)

// margin is how far everything stays away from the edges, as a part of each
// side: TVs cut off up to 3.5 % of a picture, and 5 % is the rule for text
// (EBU R 95).
const margin = 0.05

// unit is what sizes are parts of, in pixels. A tall screen is as wide as a
// phone: letters follow the narrower side.
func unit(b image.Rectangle) float64 {
	return min(float64(b.Dy()), float64(b.Dx())*9/16)
}

// drift is how far all of the screen is moved in a minute, so that no letter
// burns into the panel: a step of a pixel (of 1080 lines) a minute, to and fro
// within six of the middle. The periods of the two axes have no common divisor
// but 4, so the path covers the square before it repeats after two hours.
func drift(unit float64, minute int64) image.Point {
	const reachX, reachY = 6, 5
	step := max(int(unit/1080+0.5), 1)
	return image.Pt(swing(minute, reachX)*step, swing(minute, reachY)*step)
}

// swing goes from 0 to reach, to -reach and back, in steps of one.
func swing(n int64, reach int) int {
	period := int64(4 * reach)
	at := int((n%period + period + int64(reach)) % period) // from the lower end
	if at > 2*reach {
		at = 4*reach - at
	}
	return at - reach
}

// safe is where things may be, moved by the drift; its margins leave room for
// that.
func safe(b image.Rectangle, minute int64) image.Rectangle {
	u := unit(b)
	room := 6 * max(int(u/1080+0.5), 1)
	dx, dy := int(float64(b.Dx())*margin)+room, int(float64(b.Dy())*margin)+room
	return image.Rect(b.Min.X+dx, b.Min.Y+dy, b.Max.X-dx, b.Max.Y-dy).Add(drift(u, minute))
}
