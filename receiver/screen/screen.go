// Package screen draws what the display shows when no phone does: the name to
// look for, how to connect, the PIN when one is asked for, and what is playing
// while there is sound alone.
//
// It draws into plain memory and knows neither displays nor sessions; when to
// draw is decided by its caller. What is to be read from a sofa is large: the
// height of letters is a fixed part of the height of the screen.
//
// Proof: screen_test.go draws every state in several sizes, and checks that
// nothing leaves the screen, that states can be told apart, and that drawing
// depends on nothing but the state; with -save it leaves pictures to look at.
// music_test.go checks that the bar drawn alone is that of the whole, and
// artwork_test.go that covers keep their colours, and that hostile ones are
// refused within the limits; FuzzDecodeArtwork looks for those that are not.
package screen

import (
	"image"
	"image/color"
	"strings"
	"sync"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// State is what is to be shown.
type State struct {
	Name    string // of the receiver
	Address string // where its page is, or of the receiver; "" for none
	PIN     string // "" for none
	Sender  string // who is connected and sends no picture; "" for nobody
	Title   string // of what is playing
	Artist  string
	Album   string
	Artwork *Artwork // its cover; nil for none
	Warning string
	// Position is how far it is, of Length; a Length of 0 is not known.
	Position, Length time.Duration
	// Loudspeaker tells that senders are offered sound alone.
	Loudspeaker bool
}

var (
	background = color.RGBA{12, 14, 20, 255}
	bright     = color.RGBA{240, 242, 246, 255}
	soft       = color.RGBA{150, 158, 172, 255}
	accent     = color.RGBA{110, 170, 255, 255}
	alarm      = color.RGBA{255, 170, 90, 255}
)

// line is one line of text.
type line struct {
	text  string
	size  float64 // height of the font, as a part of the height of the screen
	bold  bool
	color color.RGBA
	gap   float64 // below it, likewise
}

// column is where lines are written: in the middle of it, or from one side.
type column struct {
	left, width    int
	centred, right bool
}

// whole is the column of a whole screen.
func whole(b image.Rectangle) column {
	return column{left: b.Min.X + b.Dx()/20, width: b.Dx() * 9 / 10, centred: true}
}

// unit is what sizes are parts of. A tall screen is as wide as a phone: letters
// follow the narrower side.
func unit(b image.Rectangle) float64 {
	return min(float64(b.Dy()), float64(b.Dx())*9/16)
}

// Draw draws a state; img is filled whole.
func Draw(img *image.RGBA, s State) {
	fill(img, background)
	if s.playing() {
		drawMusic(img, s)
		return
	}
	lines, b := layout(s), img.Bounds()
	y := float64(b.Min.Y) + (float64(b.Dy())-height(lines)*unit(b))/2
	drawLines(img, lines, whole(b), unit(b), y)
}

// height is that of lines, in units.
func height(lines []line) (total float64) {
	for _, l := range lines {
		total += l.size*1.2 + l.gap
	}
	return total
}

// drawLines draws lines below each other, from y.
func drawLines(img *image.RGBA, lines []line, c column, unit, y float64) {
	for _, l := range lines {
		drawLine(img, l, c, l.size*unit, y+l.size*0.95*unit)
		y += (l.size*1.2 + l.gap) * unit
	}
}

// layout says which lines there are.
func layout(s State) []line {
	name := line{s.Name, 0.11, true, bright, 0.03}
	var lines []line
	switch {
	case s.PIN != "":
		lines = []line{
			{"Enter this code on your device", 0.05, false, soft, 0.03},
			{strings.Join(strings.Split(s.PIN, ""), " "), 0.28, true, accent, 0.03},
			{s.Name, 0.05, false, bright, 0},
		}
	case s.Sender != "":
		lines = []line{name, {"Connected to " + s.Sender, 0.05, false, soft, 0}}
	case s.Loudspeaker:
		lines = []line{
			name,
			{"Tap AirPlay where music is playing,", 0.045, false, soft, 0.005},
			{"and choose this name.", 0.045, false, soft, 0.05},
			{s.Address, 0.035, false, soft, 0},
		}
	default:
		lines = []line{
			name,
			{"Open Control Centre, tap Screen Mirroring,", 0.045, false, soft, 0.005},
			{"and choose this name.", 0.045, false, soft, 0.05},
			{s.Address, 0.035, false, soft, 0},
		}
	}
	if s.Warning != "" {
		lines = append(lines, line{"", 0.02, false, soft, 0}, line{s.Warning, 0.035, false, alarm, 0})
	}
	return lines
}

func fill(img *image.RGBA, c color.RGBA) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := img.Pix[img.PixOffset(b.Min.X, y):][:b.Dx()*4]
		for x := 0; x < len(row); x += 4 {
			row[x], row[x+1], row[x+2], row[x+3] = c.R, c.G, c.B, 255
		}
	}
}

// drawLine draws a line; one that is too long gets smaller letters, down to
// half, and is cut then.
func drawLine(img *image.RGBA, l line, c column, size, y float64) {
	if l.text == "" {
		return
	}
	room := fixed.I(c.width)
	f, err := face(l.bold, size)
	if err != nil {
		return
	}
	width := font.MeasureString(f, l.text)
	if width > room {
		f.Close()
		if f, err = face(l.bold, max(size*float64(room)/float64(width), size/2)); err != nil {
			return
		}
	}
	defer f.Close()
	text := cut(f, l.text, room)
	x := fixed.I(c.left)
	switch left := room - font.MeasureString(f, text); {
	case c.centred:
		x += left / 2
	case c.right:
		x += left
	}
	d := font.Drawer{Dst: img, Src: image.NewUniform(l.color), Face: f, Dot: fixed.Point26_6{X: x, Y: fixed.Int26_6(y * 64)}}
	d.DrawString(text)
}

// cut shortens text to what fits.
func cut(f font.Face, text string, room fixed.Int26_6) string {
	if font.MeasureString(f, text) <= room {
		return text
	}
	r := []rune(text)
	for len(r) > 0 && font.MeasureString(f, string(r)+"…") > room {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

var fonts = sync.OnceValues(func() ([2]*opentype.Font, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return [2]*opentype.Font{}, err
	}
	bold, err := opentype.Parse(gobold.TTF)
	return [2]*opentype.Font{regular, bold}, err
})

func face(bold bool, size float64) (font.Face, error) {
	both, err := fonts()
	if err != nil {
		return nil, err
	}
	f := both[0]
	if bold {
		f = both[1]
	}
	return opentype.NewFace(f, &opentype.FaceOptions{Size: max(size, 4), DPI: 72, Hinting: font.HintingNone})
}
