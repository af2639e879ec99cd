package screen

import (
	"image"
	"strings"
)

// maxDigits is how many characters of a code have a place of their own.
const maxDigits = 8

// pin shows the code that a sender is to be told, each digit in a place of its
// own.
func (p *plan) pin() {
	st, middleY := p.st, (p.area.Min.Y+p.area.Max.Y)/2
	height := p.px(capCode * 1.75)
	y := middleY - height/2
	p.digits(st.PIN, image.Rect(p.area.Min.X, y, p.area.Max.X, y+height), middle)
	const ask = "Enter this code on your device"
	above := p.measure(ask, mainStyle, p.area.Dx())
	p.text(ask, mainStyle, p.area.Min.X, y-p.px(0.075)-above, p.area.Dx(), middle)
	p.text(p.readable(st.Name, nameless), mainStyle.in(soft), p.area.Min.X, y+height+p.px(0.075), p.area.Dx(), middle)
}

// digits writes a code into a row of boxes as high as area.
func (p *plan) digits(code string, area image.Rectangle, a align) {
	digits := []rune(strings.ToValidUTF8(code, ""))
	n := min(len(digits), maxDigits)
	if n == 0 {
		return
	}
	height := area.Dy()
	width, gap := height*3/4, height/10
	if all := n*width + (n-1)*gap; all > area.Dx() {
		gap = max(area.Dx()/n/12, 1)
		width = max((area.Dx()-(n-1)*gap)/n, 1)
		height = min(height, width*4/3)
	}
	x := area.Min.X
	if a == middle {
		x += (area.Dx() - n*width - (n-1)*gap) / 2
	}
	y := area.Min.Y + (area.Dy()-height)/2
	digit := style{cap: float64(height) / 1.75 / p.unit, bold: true, color: bright}
	for _, r := range digits[:n] {
		p.box(image.Rect(x, y, x+width, y+height), height/8, veil(accent, 30))
		p.text(string(r), digit, x, y+(height-int(digit.cap*p.unit))/2, width, middle)
		x += width + gap
	}
}

// identify fills the screen with the name, in colours that are seen from the
// other end of a corridor.
func (p *plan) identify() {
	p.box(p.bounds, 0, accent)
	name, width := p.readable(p.st.Name, nameless), p.area.Dx()
	s := style{cap: 0.2, least: capMain, bold: true, color: ink, lines: 2}
	h := p.measure(name, s, width)
	gap := 0
	if p.st.Address != "" {
		gap = p.px(0.08)
	}
	y := (p.area.Min.Y+p.area.Max.Y)/2 - (h+gap)/2
	y = p.text(name, s, p.area.Min.X, y, width, middle)
	p.text(p.st.Address, mainStyle.in(ink).of(1), p.area.Min.X, y+gap, width, middle)
}

// maxSteps is how many lines of a set-up are shown.
const maxSteps = 4

// setup shows what to do, and a code to be scanned beside or below it.
func (p *plan) setup(bottom int) {
	s := &p.st.Setup
	top := p.header(brandIcon, p.readable(p.st.Name, nameless))
	text := image.Rect(p.area.Min.X, top, p.area.Max.X, bottom)
	if encode(s.QR) != nil {
		room := text
		if p.wide() {
			edge := min(room.Dy()-p.px(0.08), p.px(0.56))
			room.Min.X = room.Max.X - edge
			text.Max.X = room.Min.X - p.px(0.07)
		} else {
			edge := min(p.px(0.8), room.Dy()/2)
			room.Min.Y = room.Max.Y - edge - p.px(0.08)
			text.Max.Y = room.Min.Y - p.px(0.04)
		}
		p.code(s, room)
	}
	p.setupText(s, text)
}

// setupText writes the left part of a set-up.
func (p *plan) setupText(s *Setup, area image.Rectangle) {
	steps := s.Steps[:min(len(s.Steps), maxSteps)]
	gap, between, code := p.px(0.07), p.px(0.045), p.px(0.16)
	number := p.px(0.075)
	height := p.measure(s.Title, titleStyle, area.Dx())
	for i, l := range steps {
		height += map[bool]int{true: gap, false: between}[i == 0] + p.measure(l, mainStyle, area.Dx()-number)
	}
	if s.Code != "" {
		height += gap + code
	}
	y := max(area.Min.Y, area.Min.Y+(area.Dy()-height)/2)
	y = p.text(s.Title, titleStyle, area.Min.X, y, area.Dx(), left)
	for i, l := range steps {
		y += map[bool]int{true: gap, false: between}[i == 0]
		if len(steps) > 1 {
			p.text(string(rune('1'+i)), boldStyle.in(accent), area.Min.X, y, number, left)
		}
		y = p.text(l, mainStyle, area.Min.X+number, y, area.Dx()-number, left)
	}
	if s.Code != "" {
		p.digits(s.Code, image.Rect(area.Min.X+number, y+gap, area.Max.X, y+gap+code), left)
	}
}

// code draws a QR code on a white card, with a line below it.
func (p *plan) code(s *Setup, room image.Rectangle) {
	below := 0
	if s.Below != "" {
		below = p.px(0.03) + p.measure(s.Below, noteStyle.of(2), room.Dx())
	}
	modules := encode(s.QR).Size + 2*quiet
	edge := max(min(room.Dx(), room.Dy()-below)/modules, 1) * modules
	card := image.Rect(0, 0, edge, edge).Add(image.Pt(room.Min.X+(room.Dx()-edge)/2, room.Min.Y+(room.Dy()-below-edge)/2))
	p.box(card, p.px(0.025), white)
	p.scene = append(p.scene, element{kind: codeElement, area: card, text: s.QR, color: ink})
	p.text(s.Below, noteStyle.of(2), room.Min.X, card.Max.Y+p.px(0.03), room.Dx(), middle)
}
