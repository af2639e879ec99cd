package screen

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"
	"time"
)

// disc is a cover that shows how well it was scaled.
func disc(edge int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	for y := range edge {
		for x := range edge {
			dx, dy := 2*x-edge, 2*y-edge
			c := color.RGBA{uint8(200 * x / edge), 60, uint8(220 * y / edge), 255}
			if d := dx*dx + dy*dy; d < edge*edge/2 && d > edge*edge/30 {
				c = color.RGBA{uint8(60 + 180*((x*40/edge+y*40/edge)%2)), 170, 90, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

var song = State{Name: "Living Room", Sender: "Ann's iPhone", Title: "Für Elise", Artist: "Ludwig van Beethoven", Album: "Bagatelles",
	Artwork: &Artwork{pixels: disc(900)}, Position: 83 * time.Second, Length: 177 * time.Second}

var screens = []image.Rectangle{image.Rect(0, 0, 1920, 1080), image.Rect(0, 0, 1280, 720), image.Rect(0, 0, 1080, 1920), image.Rect(0, 0, 640, 480), image.Rect(7, 5, 71, 69)}

// The bar drawn alone, over a picture with another one, is that of the whole.
func TestAdvanceIsThatOfTheWhole(t *testing.T) {
	for _, b := range screens {
		for _, cover := range []*Artwork{nil, song.Artwork} {
			for _, length := range []time.Duration{177 * time.Second, 27 * time.Hour} {
				s := song
				s.Artwork, s.Length = cover, length
				img, want := image.NewRGBA(b), image.NewRGBA(b)
				Draw(img, s)
				for _, at := range []time.Duration{-time.Second, 0, 99 * time.Second, length, length + time.Hour} {
					s.Position = at
					part := Advance(b, s)
					if part == nil || part.Rect.Dx()*part.Rect.Dy() > b.Dx()*b.Dy()/8 || !part.Rect.In(b) {
						t.Fatalf("%v: %v", b, part)
					}
					draw.Draw(img, part.Rect, part, part.Rect.Min, draw.Src)
					if Draw(want, s); !bytes.Equal(img.Pix, want.Pix) {
						t.Errorf("%v, %v of %v: differs", b, at, length)
					}
				}
			}
		}
	}
}

// Nothing advances without a length, without music, and while a PIN is shown.
func TestNothingToAdvance(t *testing.T) {
	for name, change := range map[string]func(*State){
		"length": func(s *State) { s.Length = 0 }, "title": func(s *State) { s.Title = "" }, "pin": func(s *State) { s.PIN = "4711" },
	} {
		s := song
		change(&s)
		if part := Advance(screens[0], s); part != nil {
			t.Errorf("%s: %v", name, part.Rect)
		}
	}
}

// The bar is as long as the part that was played, on a screen of any size.
func TestBarIsProportional(t *testing.T) {
	for range 200 {
		b := image.Rect(0, 0, 160+rand.IntN(3000), 120+rand.IntN(2000))
		s := song
		s.Length = time.Duration(1 + rand.Int64N(int64(27*time.Hour)))
		s.Position = time.Duration(rand.Int64N(int64(s.Length) + 1))
		part := Advance(b, s)
		if part == nil {
			t.Fatalf("%v: no bar", b)
		}
		filled := 0
		for x := part.Rect.Min.X; x < part.Rect.Max.X; x++ {
			switch c := part.RGBAAt(x, part.Rect.Min.Y); c {
			case accent:
				filled++
			case track:
			default:
				t.Fatalf("%v: %v in the bar", b, c)
			}
		}
		want := float64(part.Rect.Dx()) * s.Position.Seconds() / s.Length.Seconds()
		if d := want - float64(filled); d < 0 || d > 1 {
			t.Errorf("%v, %v of %v: %d of %d pixels, want %.1f", b, s.Position, s.Length, filled, part.Rect.Dx(), want)
		}
	}
}

// Cover, text and bar have places of their own, within the screen.
func TestMusicDoesNotOverlap(t *testing.T) {
	for range 500 {
		b := image.Rect(0, 0, 64+rand.IntN(3000), 64+rand.IntN(2500)).Add(image.Pt(rand.IntN(50), rand.IntN(50)))
		p := planMusic(b, song)
		text := image.Rect(p.text.left, int(p.top), p.text.left+p.text.width, int(p.top+height(p.lines)*p.unit))
		for name, r := range map[string]image.Rectangle{"cover": p.cover, "text": text, "bar": p.bar} {
			if r.Empty() || !r.In(b) {
				t.Errorf("%v: %s at %v", b, name, r)
			}
		}
		if p.cover.Overlaps(text) || p.cover.Overlaps(p.bar) || text.Overlaps(p.bar) || p.cover.Dx() != p.cover.Dy() {
			t.Errorf("%v: cover %v, text %v, bar %v", b, p.cover, text, p.bar)
		}
	}
}

func TestClockFace(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 59999 * time.Millisecond: "0:59", 83 * time.Second: "1:23", time.Hour: "1:00:00", 27*time.Hour + 61*time.Second: "27:01:01"} {
		if got := clockFace(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// A song is drawn once with its cover scaled anew, and again without that.
func BenchmarkDrawMusic(b *testing.B) {
	img := image.NewRGBA(screens[0])
	for _, first := range []bool{true, false} {
		b.Run(map[bool]string{true: "first", false: "again"}[first], func(b *testing.B) {
			for b.Loop() {
				if first {
					song.Artwork.scaled = nil
				}
				Draw(img, song)
			}
		})
	}
}

func BenchmarkAdvance(b *testing.B) {
	for b.Loop() {
		Advance(screens[0], song)
	}
}
