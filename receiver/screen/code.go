package screen

import (
	"image"
	"image/color"

	"rsc.io/qr"
)

// maxCode is the longest text that a code says, in bytes. Longer ones have
// modules too small for a phone across the room.
const maxCode = 300

// quiet is the margin of a QR code, in modules (ISO/IEC 18004 section 7.3).
const quiet = 4

// encode makes a QR code; nil for a text that has none. A quarter of it may be
// in the glare of a lamp.
func encode(text string) *qr.Code {
	if text == "" || len(text) > maxCode {
		return nil
	}
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil
	}
	return c
}

// drawCode draws a QR code into a square, its modules of a whole number of
// pixels each; the square has to be light and a bit larger than the code, for
// its margin. img may be a part of it.
func drawCode(img *image.RGBA, area image.Rectangle, text string, c color.RGBA) {
	code := encode(text)
	if code == nil {
		return
	}
	edge := area.Dx() / (code.Size + 2*quiet)
	corner := area.Min.Add(image.Pt((area.Dx()-edge*code.Size)/2, (area.Dy()-edge*code.Size)/2))
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				at := image.Rect(x, y, x+1, y+1)
				at = image.Rectangle{Min: at.Min.Mul(edge), Max: at.Max.Mul(edge)}.Add(corner)
				drawBox(img, at, 0, c)
			}
		}
	}
}
