package screen

import (
	"image"
	"image/color"

	"golang.org/x/image/math/fixed"
)

// plan is a scene in the making. Layouts work in pixels from the top of area
// down; sizes are parts of the unit.
type plan struct {
	*Screen
	st     *State
	bounds image.Rectangle // of the screen
	area   image.Rectangle // where things may be
	unit   float64
	scene  scene
}

// px is a part of the unit in pixels.
func (p *plan) px(part float64) int { return int(part*p.unit + 0.5) }

func (p *plan) wide() bool { return p.bounds.Dx() >= p.bounds.Dy() }

// compose puts the screen together.
func (p *plan) compose() {
	st := p.st
	switch {
	case st.PIN != "":
		p.ground(glow)
		p.pin()
	case st.Identify:
		p.ground(glow)
		p.identify()
	case st.Setup.Title != "":
		p.ground(glow)
		p.setup(p.notices())
	case st.Title != "":
		light := glow
		if st.Artwork != nil {
			light = st.Artwork.light()
		}
		p.ground(light)
		p.music(p.notices())
	default:
		p.ground(glow)
		p.idle(p.notices())
	}
}

func (p *plan) ground(c color.RGBA) {
	p.scene = append(p.scene, element{kind: groundElement, area: p.bounds, color: c})
}

func (p *plan) box(at image.Rectangle, radius int, c color.RGBA) {
	p.scene = append(p.scene, element{kind: boxElement, area: at, radius: radius, color: c})
}

func (p *plan) icon(i icon, x, y, edge int, c color.RGBA) {
	p.scene = append(p.scene, element{kind: iconElement, area: image.Rect(x, y, x+edge, y+edge), icon: i, color: c})
}

// align is where in its column a text stands.
type align int

const (
	left align = iota
	middle
	right
)

// leading is the distance of lines, in heights of capital letters.
const leading = 1.75

// measure tells how high a text will be, from the top of its capital letters
// to the foot of the last line; 0 if there is nothing to be written.
func (p *plan) measure(text string, s style, width int) int {
	f := p.fonts.fit(text, s, p.unit, width)
	if len(f.lines) == 0 {
		return 0
	}
	return int(f.cap*(1+leading*float64(len(f.lines)-1)) + 0.5)
}

// text writes a text into a column that begins at x and has a width; y is the
// top of its capital letters. It returns where the last line ends.
func (p *plan) text(text string, s style, x, y, width int, a align) (bottom int) {
	f := p.fonts.fit(text, s, p.unit, width)
	base := float64(y) + f.cap
	em := f.font.size / 4
	for i, l := range f.lines {
		dot := fixed.Point26_6{X: fixed.I(x), Y: fixed.Int26_6(base * 64)}
		switch a {
		case middle:
			dot.X += (fixed.I(width) - f.widths[i]) / 2
		case right:
			dot.X += fixed.I(width) - f.widths[i]
		}
		from := dot.X.Floor()
		// Accents reach above capital letters, tails below the line.
		ink := image.Rect(from-em/8-1, int(base)-em, from+f.widths[i].Ceil()+em/8+1, int(base)+em*3/10+1)
		p.scene = append(p.scene, element{kind: textElement, area: ink, text: l, font: f.font, color: s.color, dot: dot})
		y = int(base + 0.5)
		base += f.cap * leading
	}
	return y
}

// The styles of texts.
var (
	nameStyle  = style{cap: capName, least: 0.05, bold: true, color: bright, lines: 2}
	titleStyle = style{cap: capTitle, least: capMain, bold: true, color: bright, lines: 2}
	mainStyle  = style{cap: capMain, color: bright, lines: 2}
	boldStyle  = style{cap: capMain, bold: true, color: bright, lines: 2}
	noteStyle  = style{cap: capNote, color: soft}
)

// of is a style that may take so many lines.
func (s style) of(lines int) style {
	s.lines = lines
	return s
}

// in is a style in another colour.
func (s style) in(c color.RGBA) style {
	s.color = c
	return s
}

// header writes what is at the top: a mark with a text, and the time. It
// returns where it ends.
func (p *plan) header(i icon, text string) (bottom int) {
	edge, top := p.px(0.05), p.area.Min.Y
	clock := 0
	if t := p.st.Time; clockKnown(t) {
		clock = p.px(0.4)
		x := p.area.Max.X - clock
		y := p.text(t.Format("15:04"), mainStyle, x, top, clock, right)
		p.text(t.Format("Monday, 2 January"), noteStyle, x, y+p.px(0.024), clock, right)
	}
	p.icon(i, p.area.Min.X, top-p.px(0.005), edge, accent)
	x := p.area.Min.X + edge + p.px(0.02)
	p.text(text, noteStyle.in(bright), x, top+p.px(0.02-capNote/2), p.area.Max.X-x-clock, left)
	return top + p.px(0.115)
}

// notices draws the notice that is due, at the bottom, and returns where it
// begins; without any that is the bottom.
func (p *plan) notices() (top int) {
	list := p.st.Notices
	if len(list) == 0 {
		return p.area.Max.Y
	}
	n := list[int((p.st.Time.Unix()/60%int64(len(list))+int64(len(list)))%int64(len(list)))]
	color, mark := bright, infoIcon
	switch n.Level {
	case Working:
		color, mark = accent, updateIcon
	case Done:
		color, mark = accent, doneIcon
	case Warning:
		color, mark = warm, warningIcon
	}
	pad, edge := p.px(0.034), p.px(0.07)
	x := p.area.Min.X + pad + edge + pad
	width := p.area.Max.X - pad - x
	lines := noteStyle.of(3)
	if p.wide() {
		lines.lines = 2
	}
	height := p.measure(n.Title, boldStyle, width)
	gap := 0
	if text := p.measure(n.Text, lines, width); text > 0 {
		gap = p.px(0.026)
		height += gap + text
	}
	card := image.Rect(p.area.Min.X, p.area.Max.Y-height-2*pad, p.area.Max.X, p.area.Max.Y)
	p.box(card, p.px(0.025), veil(color, 20))
	p.icon(mark, card.Min.X+pad, card.Min.Y+(card.Dy()-edge)/2, edge, color)
	y := p.text(n.Title, boldStyle.in(color), x, card.Min.Y+pad, width, left)
	p.text(n.Text, lines, x, y+gap, width, left)
	return card.Min.Y - p.px(0.04)
}
