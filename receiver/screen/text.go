package screen

import (
	"image"
	"image/color"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// fontKey tells a font: bold or not, and its size in pixels, in quarters.
type fontKey struct {
	bold bool
	size int
}

// maxText is how much of a text is looked at, in letters: a title that a
// stranger sends may be as long as a book.
const maxText = 300

// parsed are the fonts of the program. They have the letters of Latin, Greek
// and Cyrillic scripts; others come from files, see fallback.
var parsed = sync.OnceValues(func() ([2]*opentype.Font, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return [2]*opentype.Font{}, err
	}
	bold, err := opentype.Parse(gobold.TTF)
	return [2]*opentype.Font{regular, bold}, err
})

// capRatio is the height of capital letters in a font of size 1 (OS/2 table:
// 1480 of 2048).
const capRatio = 1480.0 / 2048

// typeface is a font at a size, with those that stand in for letters that it
// does not have.
type typeface struct {
	size  float64
	faces []font.Face
	fonts []*opentype.Font
	whole bool // those that stand in are among them
}

// fonts keeps what texts are drawn with.
type fonts struct {
	fallback func() []*opentype.Font
	faces    map[fontKey]*typeface
	fitted   map[fitKey]fitting
	buffer   sfnt.Buffer
}

// maxKept bounds what is kept; a screen has some ten sizes and twenty texts.
const maxKept = 64

// at returns a typeface, nil if there is none.
func (f *fonts) at(k fontKey) *typeface {
	if t := f.faces[k]; t != nil {
		return t
	}
	own, err := parsed()
	if err != nil {
		return nil
	}
	if f.faces == nil || len(f.faces) >= maxKept {
		f.faces = map[fontKey]*typeface{}
	}
	t := &typeface{size: float64(k.size) / 4}
	of := own[0]
	if k.bold {
		of = own[1]
	}
	if !t.add(of) {
		return nil
	}
	f.faces[k] = t
	return t
}

// add adds a font that stands in for those before it.
func (t *typeface) add(of *opentype.Font) bool {
	face, err := opentype.NewFace(of, &opentype.FaceOptions{Size: t.size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return false
	}
	t.faces, t.fonts = append(t.faces, face), append(t.fonts, of)
	return true
}

// has returns which of the fonts has a letter; false if none has. Those that
// stand in are opened when the first letter is missing.
func (f *fonts) has(t *typeface, r rune) (int, bool) {
	for i := 0; ; i++ {
		if i == len(t.fonts) {
			if t.whole || f.fallback == nil {
				return 0, false
			}
			t.whole = true
			for _, of := range f.fallback() {
				t.add(of)
			}
			if i == len(t.fonts) {
				return 0, false
			}
		}
		if g, err := t.fonts[i].GlyphIndex(&f.buffer, r); err == nil && g != 0 {
			return i, true
		}
	}
}

// walk calls do for each letter of a text with the face that has it and the
// place where it begins, and returns how wide the text is.
func (f *fonts) walk(t *typeface, text string, do func(face font.Face, r rune, at fixed.Int26_6)) fixed.Int26_6 {
	var x fixed.Int26_6
	before, last := rune(-1), -1
	for _, r := range text {
		i, _ := f.has(t, r)
		face := t.faces[i]
		if last == i {
			x += face.Kern(before, r)
		}
		if do != nil {
			do(face, r, x)
		}
		advance, _ := face.GlyphAdvance(r)
		x += advance
		before, last = r, i
	}
	return x
}

// draw draws a text, as far as img reaches.
func (f *fonts) draw(img *image.RGBA, e *element) {
	t := f.at(e.font)
	if t == nil {
		return
	}
	f.walk(t, e.text, func(face font.Face, r rune, at fixed.Int26_6) {
		if x := (e.dot.X + at).Floor(); x > img.Rect.Max.X+e.font.size || x < img.Rect.Min.X-e.font.size {
			return // far from what is to be drawn; letters are no wider than four times their height
		}
		if dr, mask, mp, _, ok := face.Glyph(fixed.Point26_6{X: e.dot.X + at, Y: e.dot.Y}, r); ok {
			drawMask(img, dr, e.color, mask, mp)
		}
	})
}

// drawMask draws a colour through a mask, whose pixels are an Alpha's.
func drawMask(img *image.RGBA, at image.Rectangle, c color.RGBA, mask image.Image, mp image.Point) {
	m, ok := mask.(*image.Alpha)
	if !ok {
		return
	}
	r := at.Intersect(img.Rect)
	shift := mp.Sub(at.Min)
	r = r.Intersect(m.Rect.Sub(shift))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		from := m.Pix[m.PixOffset(r.Min.X+shift.X, y+shift.Y):][:r.Dx()]
		to := img.Pix[img.PixOffset(r.Min.X, y):][:r.Dx()*4]
		for x, a := range from {
			if a == 0 {
				continue
			}
			px, on, left := to[x*4:][:4:4], uint32(a), 255-uint32(c.A)*uint32(a)/255
			px[0] = uint8((uint32(px[0])*left + uint32(c.R)*on + 127) / 255)
			px[1] = uint8((uint32(px[1])*left + uint32(c.G)*on + 127) / 255)
			px[2] = uint8((uint32(px[2])*left + uint32(c.B)*on + 127) / 255)
			px[3] = 255
		}
	}
}

// style is how a text is written.
type style struct {
	cap   float64 // height of capital letters, in units
	least float64 // it may shrink to; 0: not at all
	bold  bool
	color color.RGBA
	lines int // it may take; 0: one
}

// fitKey is a text in a room.
type fitKey struct {
	text  string
	style style
	unit  float64
	width int
}

// fitting is how a text fits: its lines, their widths, their font.
type fitting struct {
	lines  []string
	widths []fixed.Int26_6
	font   fontKey
	cap    float64 // in pixels
}

// fit makes a text fit into a width in pixels: it breaks it into lines, gives
// it smaller letters where it may, and cuts it in the end.
func (f *fonts) fit(text string, s style, unit float64, width int) fitting {
	k := fitKey{text, s, unit, width}
	if got, ok := f.fitted[k]; ok {
		return got
	}
	if f.fitted == nil || len(f.fitted) >= maxKept {
		f.fitted = map[fitKey]fitting{}
	}
	got := f.fitAnew(text, s, unit, width)
	f.fitted[k] = got
	return got
}

func (f *fonts) fitAnew(text string, s style, unit float64, width int) (got fitting) {
	room, most := fixed.I(max(width, 1)), max(s.lines, 1)
	if s.least == 0 {
		s.least = s.cap
	}
	readable := ""
	// A little smaller is better than one line more, and that is better than
	// much smaller.
	for lines := 1; ; lines++ {
		least := s.least
		if lines < most {
			least = max(least, s.cap*0.78)
		}
		for height := s.cap; ; height = max(height*0.94, least) {
			got.cap = height * unit
			got.font = fontKey{s.bold, max(int(4*got.cap/capRatio+0.5), 16)}
			t := f.at(got.font)
			if t == nil {
				return fitting{}
			}
			if readable == "" {
				readable = f.legible(t, text)
			}
			last := lines == most && height <= least
			if all, whole := f.wrap(t, readable, room, lines, last); whole || last {
				for _, l := range all {
					l = visual(l)
					got.lines = append(got.lines, l)
					got.widths = append(got.widths, f.walk(t, l, nil))
				}
				return got
			}
			if height <= least {
				break
			}
		}
	}
}

// wrap breaks a text into lines that fit, at blanks and, where a word is
// longer than a line, within it if cut says so. What is too much is cut off;
// whole tells that nothing was.
func (f *fonts) wrap(t *typeface, text string, room fixed.Int26_6, most int, cut bool) (lines []string, whole bool) {
	for text != "" && len(lines) < most {
		n := f.prefix(t, text, room)
		if n == len(text) {
			return append(lines, text), true
		}
		at := strings.LastIndexByte(text[:n+1], ' ')
		if text[n] != ' ' && at <= 0 && breakable(text, n) {
			at = n
		}
		switch {
		case len(lines) == most-1, at <= 0 && !cut:
			return append(lines, f.ellipsis(t, text, room)), false
		case at <= 0:
			at = max(n, firstLetter(text))
		}
		lines = append(lines, strings.TrimRight(text[:at], " "))
		text = strings.TrimLeft(text[at:], " ")
	}
	return lines, text == ""
}

// breakable tells whether a line may end before a letter without a blank: in
// scripts that have none, such as Chinese.
func breakable(text string, n int) bool {
	r, _ := utf8.DecodeRuneInString(text[n:])
	return r >= 0x2e80 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff
}

func firstLetter(text string) int {
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// prefix returns how much of a text fits, in bytes.
func (f *fonts) prefix(t *typeface, text string, room fixed.Int26_6) int {
	var x fixed.Int26_6
	before, last := rune(-1), -1
	for n, r := range text {
		i, _ := f.has(t, r)
		face := t.faces[i]
		if last == i {
			x += face.Kern(before, r)
		}
		advance, _ := face.GlyphAdvance(r)
		if x += advance; x > room {
			return n
		}
		before, last = r, i
	}
	return len(text)
}

// ellipsis shortens a text to what fits.
func (f *fonts) ellipsis(t *typeface, text string, room fixed.Int26_6) string {
	const dots = "…"
	n := f.prefix(t, text, room-f.walk(t, dots, nil))
	return strings.TrimRight(text[:n], " ") + dots
}
