package screen

import (
	"fmt"
	"image"
	"time"
)

// What is playing: the cover, left of the text or on a tall screen above it,
// then title, artist, album, and how far it is. All sizes are parts of the unit.
const (
	coverEdge = 0.52
	coverGap  = 0.075 // between the cover and the text
	barGap    = 0.06
	barHeight = 0.01
	timeGap   = 0.024
)

// music shows what is playing.
func (p *plan) music(bottom int) {
	st := p.st
	from := st.Sender
	if from == "" {
		from = st.Name
	}
	top := p.header(noteIcon, p.readable(from, nameless))
	text := image.Rect(p.area.Min.X, top, p.area.Max.X, bottom)
	text = p.artwork(text)
	title := p.readable(st.Title, "♪")
	titles := titleStyle.of(3)
	artist, album := mainStyle.in(soft), noteStyle.of(2)
	width := text.Dx()
	height := p.measure(title, titles, width)
	gap := func(text string, s style, gap float64) int {
		if h := p.measure(text, s, width); h > 0 {
			height += p.px(gap) + h
			return p.px(gap)
		}
		return 0
	}
	artistGap, albumGap := gap(st.Artist, artist, 0.045), gap(st.Album, album, 0.035)
	bar := image.Rectangle{}
	if st.Length > 0 {
		bar = image.Rect(text.Min.X, 0, text.Max.X, max(p.px(barHeight), 2))
		height += p.px(barGap) + bar.Dy() + p.px(timeGap+capNote)
	}
	y := max(text.Min.Y, text.Min.Y+(text.Dy()-height)/2)
	y = p.text(title, titles, text.Min.X, y, width, left)
	y = p.text(st.Artist, artist, text.Min.X, y+artistGap, width, left)
	y = p.text(st.Album, album, text.Min.X, y+albumGap, width, left)
	if !bar.Empty() {
		p.progress(bar.Add(image.Pt(0, y+p.px(barGap))))
	}
}

// artwork places the cover, or what stands for it, and returns what is left for
// the text.
func (p *plan) artwork(room image.Rectangle) (text image.Rectangle) {
	edge := min(p.px(coverEdge), room.Dy())
	corner := image.Pt(room.Min.X, room.Min.Y+(room.Dy()-edge)/2)
	text = room
	if p.wide() {
		text.Min.X += edge + p.px(coverGap)
	} else {
		edge = min(room.Dx(), room.Dy()*3/5)
		corner = image.Pt(room.Min.X+(room.Dx()-edge)/2, room.Min.Y)
		text.Min.Y += edge + p.px(coverGap)
	}
	at := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(edge, edge))}
	switch radius := p.px(0.02); {
	case at.Empty():
	case p.st.Artwork != nil:
		p.scene = append(p.scene, element{kind: coverElement, area: at, cover: p.st.Artwork, radius: radius})
	default:
		p.box(at, radius, raised)
		p.icon(noteIcon, at.Min.X+edge/3, at.Min.Y+edge/3, edge/3, faint)
	}
	return text
}

// progress draws the bar and its times. They are the only part of a screen that
// changes every few seconds, and the last of a scene.
func (p *plan) progress(bar image.Rectangle) {
	st := p.st
	at := min(max(st.Position, 0), st.Length)
	p.box(bar, bar.Dy(), groove)
	played := bar
	played.Max.X = bar.Min.X + int(float64(bar.Dx())*at.Seconds()/st.Length.Seconds())
	if !played.Empty() {
		p.box(played, bar.Dy(), accent)
	}
	y := bar.Max.Y + p.px(timeGap)
	half := bar.Dx() / 2
	p.text(clockFace(at), noteStyle, bar.Min.X, y, half, left)
	p.text(clockFace(st.Length), noteStyle, bar.Max.X-half, y, half, right)
}

// clockFace writes a time as players do.
func clockFace(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
