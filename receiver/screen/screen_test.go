package screen

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var save = flag.String("save", "", "directory to save the pictures in, to look at them")

var states = map[string]State{
	"idle":    {Name: "Living Room", Address: "192.168.1.20"},
	"speaker": {Name: "Living Room", Address: "192.168.1.20", Loudspeaker: true},
	"pin":     {Name: "Living Room", PIN: "4711"},
	"waiting": {Name: "Living Room", Sender: "Ann's iPhone"},
	"music":   {Name: "Living Room", Sender: "Ann's iPhone", Title: "Für Elise", Artist: "Ludwig van Beethoven"},
	"song":    song,
	"bar":     {Sender: "Ann's iPhone", Title: "Für Elise", Artist: "Ludwig van Beethoven", Position: time.Minute, Length: 3 * time.Minute},
	"opera": {Sender: "Ann's iPhone", Title: strings.Repeat("A very long title ", 6), Artist: strings.Repeat("Somebody and ", 8), Album: "Complete", Artwork: &Artwork{pixels: disc(64)},
		Position: 100 * time.Minute, Length: 200 * time.Minute, Warning: "No sound: the device is in use"},
	"warning": {Name: "Living Room", Address: "192.168.1.20", Warning: "No sound: the device is in use"},
	"long":    {Name: strings.Repeat("A very long name ", 10), Address: "fe80::1234:5678:9abc:def0%eth0"},
	"empty":   {},
}

func TestEveryStateInEverySize(t *testing.T) {
	for name, s := range states {
		for _, size := range []image.Point{{1920, 1080}, {1280, 720}, {640, 480}, {1080, 1920}, {64, 64}} {
			// A margin around the screen shows whether anything leaves it.
			const margin = 16
			whole := image.NewRGBA(image.Rect(0, 0, size.X+2*margin, size.Y+2*margin))
			img := whole.SubImage(image.Rect(margin, margin, size.X+margin, size.Y+margin)).(*image.RGBA)
			Draw(img, s)
			for y := range whole.Bounds().Dy() {
				for x := range whole.Bounds().Dx() {
					in := image.Pt(x, y).In(img.Bounds())
					if c := whole.RGBAAt(x, y); (c != color.RGBA{}) != in {
						t.Fatalf("%s %v: pixel %d,%d is %v", name, size, x-margin, y-margin, c)
					}
				}
			}
			lit := 0
			for i := 0; i < len(whole.Pix); i += 4 {
				if whole.Pix[i] > 60 {
					lit++
				}
			}
			if lit == 0 && size.X > 64 {
				t.Errorf("%s %v: %d bright pixels", name, size, lit)
			}
			if *save != "" && size.X >= 1080 {
				f, err := os.Create(filepath.Join(*save, fmt.Sprintf("%s-%d.png", name, size.X)))
				if err != nil {
					t.Fatal(err)
				}
				if err := png.Encode(f, img); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
		}
	}
}

// What is drawn depends on nothing but the state.
func TestDrawingIsDeterministic(t *testing.T) {
	sum := func(s State) string {
		img := image.NewRGBA(image.Rect(0, 0, 640, 360))
		Draw(img, s)
		return fmt.Sprintf("%x", sha256.Sum256(img.Pix))
	}
	seen := map[string]string{}
	for name, s := range states {
		a := sum(s)
		if a != sum(s) {
			t.Errorf("%s differs from itself", name)
		}
		if other, ok := seen[a]; ok {
			t.Errorf("%s looks like %s", name, other)
		}
		seen[a] = name
	}
}

func BenchmarkDraw(b *testing.B) {
	img := image.NewRGBA(image.Rect(0, 0, 1920, 1080))
	for b.Loop() {
		Draw(img, states["idle"])
	}
}
