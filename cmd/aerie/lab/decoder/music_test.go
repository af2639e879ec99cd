package decoder

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"net"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/drm"
	"aerie/receiver/audio"
	"aerie/receiver/message"
)

// TestLabMusic plays music with a cover, and reads the display back: the cover
// is where it belongs in its colour, and the bar beside it advances. When the
// music ends the cover is gone.
func TestLabMusic(t *testing.T) {
	g := startHardwareRig(t, nil)
	red := image.NewRGBA(image.Rect(0, 0, 700, 500))
	draw.Draw(red, red.Rect, image.NewUniform(color.RGBA{210, 40, 30, 255}), image.Point{}, draw.Src)
	var cover bytes.Buffer
	if err := jpeg.Encode(&cover, red, nil); err != nil {
		t.Fatal(err)
	}
	sound, err := phone.NewTone(audio.PCM)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := phone.Play(ctx, phone.Options{Address: net.JoinHostPort("127.0.0.1", fmt.Sprint(g.r.Port())), Sound: sound, Classic: &phone.Classic{Artwork: cover.Bytes(),
			Playing: message.NowPlaying{Title: "Für Elise", Artist: "Beethoven", Album: "Bagatelles", Length: 30 * time.Second}}})
		ended <- err
	}()
	look := func() (covered, bar int) {
		shot, err := g.display.Capture()
		if err != nil {
			t.Fatal(err)
		}
		return pixels(shot, color.RGBA{210, 40, 30, 255}), pixels(shot, color.RGBA{55, 211, 196, 255})
	}
	// Reading back wants a display at rest: it is between two of the bar's steps,
	// which are at multiples of five seconds. What the screen shows may be behind
	// by some of those: this machine draws slowly.
	played := func(seconds float64) {
		g.until("the music goes on", func() bool {
			n := g.status().NowPlaying
			return n != nil && n.Artwork != "" && n.Position >= seconds
		})
	}
	const least = 640 * 480 / 15 // pixels of the cover
	covered, first := 0, 0
	at := 2.0
	for ; covered < least && at < 20; at += 5 {
		played(at)
		covered, first = look()
	}
	if covered < least {
		t.Errorf("%d pixels of the cover, %d of the bar", covered, first)
	}
	bar := first
	for ; bar <= first+20 && at < 29; at += 5 {
		played(at)
		covered, bar = look()
	}
	if covered < least || bar <= first+20 {
		t.Errorf("%d pixels of the cover, %d of the bar, first %d", covered, bar, first)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Logf("the music ended with %v", err)
	}
	g.until("the end", func() bool { return g.status().Sender == nil })
	time.Sleep(time.Second)
	if covered, _ := look(); covered != 0 { // the colour of the bar is also that of other things
		t.Errorf("%d pixels of the cover in the end", covered)
	}
}

// pixels is how many of a screen have a colour, within what a JPEG keeps of it.
func pixels(shot *drm.Screenshot, c color.RGBA) (n int) {
	near := func(a int, b uint8) bool { return a > int(b)-6 && a < int(b)+6 }
	for y := range shot.Height {
		for x := range shot.Width {
			if r, g, b := shot.RGB(x, y); near(r, c.R) && near(g, c.G) && near(b, c.B) {
				n++
			}
		}
	}
	return n
}
