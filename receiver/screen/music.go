package screen

import (
	"fmt"
	"image"
	"image/color"
	"time"
)

// What is playing: the cover, left of the text or on a tall screen above it,
// then title, artist, album, and how far it is. All sizes are parts of the unit.
const (
	coverEdge = 0.5
	coverGap  = 0.06 // between the cover and the text
	barGap    = 0.045
	barHeight = 0.008
	timeGap   = 0.012
	timeSize  = 0.034
	footGap   = 0.05 // between the foot and the lower edge of the screen
)

var track = color.RGBA{52, 58, 72, 255} // of the bar, where it is not yet

// musicPlan is where what is playing is drawn.
type musicPlan struct {
	unit  float64
	cover image.Rectangle // empty for none
	text  column
	top   float64 // of the lines
	lines []line
	bar   image.Rectangle // with its times; empty for none
}

// playing tells whether there is something that plays to be shown.
func (s *State) playing() bool { return s.PIN == "" && s.Title != "" }

// planMusic says where everything is. It depends on all of the state but its
// Position.
func planMusic(b image.Rectangle, s State) musicPlan {
	p := musicPlan{unit: unit(b), lines: musicLines(s)}
	px := func(part float64) int { return int(part * p.unit) }
	width, height := float64(b.Dx()), height(p.lines)*p.unit
	if s.Length > 0 {
		height += (barGap + barHeight + timeGap + timeSize*1.25) * p.unit
	}
	middle := float64(b.Min.Y) + float64(b.Dy())*0.48 // the foot is below
	p.text = column{left: b.Min.X + int(width*0.12), width: int(width * 0.76), centred: true}
	p.top = middle - height/2
	switch edge := px(coverEdge); {
	case s.Artwork == nil:
	case b.Dx() >= b.Dy():
		left := b.Min.X + int(width*0.08)
		p.cover = image.Rect(0, 0, edge, edge).Add(image.Pt(left, int(middle)-edge/2))
		p.text.left, p.text.centred = p.cover.Max.X+px(coverGap), false
		p.text.width = b.Max.X - int(width*0.08) - p.text.left
	default:
		edge = min(int(width*0.76), b.Dy()/2)
		p.top += (float64(edge) + coverGap*p.unit) / 2
		p.cover = image.Rect(0, 0, edge, edge).Add(image.Pt(b.Min.X+(b.Dx()-edge)/2, int(p.top)-px(coverGap)-edge))
	}
	if s.Length > 0 {
		top := p.top + height - (barHeight+timeGap+timeSize*1.25)*p.unit
		p.bar = image.Rect(p.text.left, int(top), p.text.left+p.text.width, int(p.top+height)).Intersect(b)
	}
	return p
}

// musicLines says which lines there are above the bar.
func musicLines(s State) []line {
	lines := []line{{s.Title, 0.085, true, bright, 0.015}}
	if s.Artist != "" {
		lines = append(lines, line{s.Artist, 0.06, false, soft, 0.01})
	}
	if s.Album != "" {
		lines = append(lines, line{s.Album, 0.045, false, soft, 0})
	}
	return lines
}

func drawMusic(img *image.RGBA, s State) {
	b := img.Bounds()
	p := planMusic(b, s)
	if !p.cover.Empty() {
		s.Artwork.draw(img, p.cover)
	}
	drawLines(img, p.lines, p.text, p.unit, p.top)
	p.drawBar(img.SubImage(p.bar).(*image.RGBA), s)

	foot := []line{{s.Sender, 0.035, false, soft, 0}}
	if s.Warning != "" {
		foot = append([]line{{s.Warning, 0.035, false, alarm, 0.01}}, foot...)
	}
	y := float64(b.Max.Y) - (height(foot)+footGap)*p.unit
	drawLines(img, foot, whole(b), p.unit, y)
}

// Advance draws the part of a state that time changes, for a screen with the
// given bounds: to be laid over what Draw drew there for a state that differs
// in its Position alone. It is nil if there is no such part.
func Advance(bounds image.Rectangle, s State) *image.RGBA {
	if !s.playing() {
		return nil
	}
	p := planMusic(bounds, s)
	if p.bar.Empty() {
		return nil
	}
	img := image.NewRGBA(p.bar)
	fill(img, background)
	p.drawBar(img, s)
	return img
}

// drawBar draws the bar and its times into an image of just that part: letters
// that leave it are cut off in Draw as in Advance.
func (p *musicPlan) drawBar(img *image.RGBA, s State) {
	if p.bar.Empty() {
		return
	}
	at := min(max(s.Position, 0), s.Length)
	bar := p.bar
	bar.Max.Y = bar.Min.Y + max(int(barHeight*p.unit), 1)
	fill(img.SubImage(bar).(*image.RGBA), track)
	bar.Max.X = bar.Min.X + int(float64(bar.Dx())*at.Seconds()/s.Length.Seconds())
	fill(img.SubImage(bar).(*image.RGBA), accent)

	y := float64(bar.Max.Y) + timeGap*p.unit
	half := column{left: p.bar.Min.X, width: p.bar.Dx() / 2}
	drawLines(img, []line{{clockFace(at), timeSize, false, soft, 0}}, half, p.unit, y)
	half.left, half.right = p.bar.Max.X-half.width, true
	drawLines(img, []line{{clockFace(s.Length), timeSize, false, soft, 0}}, half, p.unit, y)
}

// clockFace writes a time as players do.
func clockFace(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
