package screen

import (
	"image"
	"strings"
)

// nameless is what a receiver is called whose name cannot be written.
const nameless = "AirPlay receiver"

// readable is a text if anything of it can be written, else another.
func (p *plan) readable(text, otherwise string) string {
	if f := p.fonts.fit(text, noteStyle, p.unit, p.area.Dx()); len(f.lines) == 0 {
		return otherwise
	}
	return text
}

// step is one of the things to do on a phone.
type step struct {
	icon icon
	verb string
	what string
}

// idle shows the name and how to connect.
func (p *plan) idle(bottom int) {
	st := p.st
	name := p.readable(st.Name, nameless)
	top := p.header(brandIcon, p.brand())
	if len(st.Notices) == 0 {
		bottom = p.foot()
	}
	ready, color := "Ready for your screen", accent
	steps := [3]step{{centreIcon, "Open", "Control Centre"}, {mirrorIcon, "Tap", "Screen Mirroring"}, {screenIcon, "Choose", name}}
	if st.Loudspeaker {
		ready = "Ready for your music"
		steps = [3]step{{noteIcon, "Open", "your music"}, {speakerIcon, "Tap", "AirPlay"}, {screenIcon, "Choose", name}}
	}
	showSteps := true
	switch {
	case st.Sender != "":
		ready, showSteps = "Connected to "+st.Sender, false
	case st.Address == "":
		ready, color, showSteps = "No network: plug in a cable, or set up Wi-Fi", warm, false
	}

	width := p.area.Dx()
	gap, dot := p.px(0.05), p.px(0.018)
	height := p.measure(name, nameStyle, width) + gap + p.px(capMain)
	cards := 0
	if showSteps {
		cards = p.stepsHeight(steps[:])
		height += p.px(0.07) + cards
	}
	y := max(top, top+(bottom-top-height)/2)
	y = p.text(name, nameStyle, p.area.Min.X, y, width, left) + gap
	x := p.area.Min.X + dot + p.px(0.022)
	p.box(image.Rect(0, 0, dot, dot).Add(image.Pt(p.area.Min.X, y+(p.px(capMain)-dot)/2)), dot, color)
	state := mainStyle.in(soft).of(1)
	if color == warm {
		state.color = warm
	}
	y = p.text(ready, state, x, y, p.area.Max.X-x, left) + p.px(0.07)
	if showSteps {
		p.steps(steps[:], y, cards)
	}
}

// brand is what the program is called, with its version and slot.
func (p *plan) brand() string {
	text := "Aerie"
	if v := p.st.Version; v != "" {
		text += " " + v
	}
	switch slot := p.st.Slot; slot {
	case "":
	case "a", "b":
		text += ", slot " + strings.ToUpper(slot)
	default:
		text += ", " + slot
	}
	return text
}

// foot writes where the receiver is on the network, and returns where that
// begins.
func (p *plan) foot() (top int) {
	st := p.st
	if st.Address == "" {
		return p.area.Max.Y
	}
	text := st.Address
	if st.Page != "" {
		text = "Live view and settings: " + strings.TrimSuffix(strings.TrimPrefix(st.Page, "http://"), "/")
	}
	edge := p.px(0.036)
	y := p.area.Max.Y - p.px(capNote)
	p.icon(networkIcon, p.area.Min.X, y-(edge-p.px(capNote))/2, edge, soft)
	x := p.area.Min.X + edge + p.px(0.018)
	p.text(text, noteStyle, x, y, p.area.Max.X-x, left)
	return y - p.px(0.05)
}

// Sizes of the cards with the steps.
const (
	cardPad  = 0.034
	cardIcon = 0.066
	cardGap  = 0.026
)

// cardWidth is how wide a card and the text on it are: side by side on a wide
// screen, below each other on a tall one.
func (p *plan) cardWidth(n int) (card, text int) {
	if p.wide() {
		card = (p.area.Dx() - (n-1)*p.px(cardGap)) / n
		return card, card - 2*p.px(cardPad)
	}
	return p.area.Dx(), p.area.Dx() - 3*p.px(cardPad) - p.px(cardIcon)
}

// cardHeight is that of one card.
func (p *plan) cardHeight(s step, text int) int {
	h := 2*p.px(cardPad) + p.px(capNote) + p.px(0.022) + p.measure(s.what, mainStyle, text) + p.px(0.008)
	if p.wide() {
		h += p.px(cardIcon) + p.px(0.03)
	}
	return h
}

// stepsHeight is how high the cards are, together.
func (p *plan) stepsHeight(steps []step) (sum int) {
	_, text := p.cardWidth(len(steps))
	for _, s := range steps {
		if h := p.cardHeight(s, text); p.wide() {
			sum = max(sum, h)
		} else {
			sum += h + p.px(cardGap)
		}
	}
	return sum
}

// steps draws the cards.
func (p *plan) steps(steps []step, y, height int) {
	width, text := p.cardWidth(len(steps))
	pad, edge := p.px(cardPad), p.px(cardIcon)
	x := p.area.Min.X
	for _, s := range steps {
		if !p.wide() {
			height = p.cardHeight(s, text)
		}
		p.box(image.Rect(x, y, x+width, y+height), p.px(0.025), raised)
		if p.wide() {
			p.icon(s.icon, x+pad, y+pad, edge, accent)
			at := p.text(s.verb, noteStyle, x+pad, y+pad+edge+p.px(0.03), text, left)
			p.text(s.what, mainStyle, x+pad, at+p.px(0.022), text, left)
			x += width + p.px(cardGap)
			continue
		}
		p.icon(s.icon, x+pad, y+(height-edge)/2, edge, accent)
		at := p.text(s.verb, noteStyle, x+2*pad+edge, y+pad, text, left)
		p.text(s.what, mainStyle, x+2*pad+edge, at+p.px(0.022), text, left)
		y += height + p.px(cardGap)
	}
}
