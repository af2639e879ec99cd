package receiver

import (
	"context"
	"errors"
	"image"
	"time"

	"aerie/drm"
	"aerie/receiver/codec"
	"aerie/receiver/screen"
)

// showIdle asks for the screen without a picture to be drawn anew: something
// on it has changed, or there is no picture any more.
func (o *kmsOutput) showIdle() {
	select {
	case o.redraw <- struct{}{}:
	default:
	}
}

// advanceEvery is how often the bar of what is playing moves. In five seconds
// it moves by some twenty pixels in a song of four minutes, and few people look
// at it for longer. Each time costs a commit and the drawing of the bar, a sixth
// of the time that all of a plain screen takes (BenchmarkAdvance, BenchmarkDraw
// of package screen: 0.6 and 3.5 ms on a PC), so a Pi 3 does not notice.
const advanceEvery = 5 * time.Second

// idleDrawing is what was drawn last on the screen without a picture. It
// belongs to the goroutine that draws.
type idleDrawing struct {
	state  screen.State
	bounds image.Rectangle
	held   map[uint64]bool // ids of surfaces with all of it, but for the bar
}

// drawIdle draws the screen without a picture whenever it is asked for, and
// the bar of what is playing from time to time.
func (o *kmsOutput) drawIdle(ctx context.Context) {
	last := idleDrawing{held: map[uint64]bool{}}
	advance := time.NewTimer(time.Hour)
	defer advance.Stop()
	o.showIdle()
	for {
		moved := false // and nothing else
		select {
		case <-ctx.Done():
			return
		case <-o.redraw:
		case <-advance.C:
			moved = true
		}
		if k := o.current(); k != nil && k.hasPicture() {
			continue // when it ends, a redraw is asked for
		}
		st := o.r.screenState()
		id, file := o.r.playing.cover()
		st.Artwork = o.cover.of(ctx, id, file)
		if !moved || st != last.state {
			if err := o.drawOnce(&last, st); err != nil && !errors.Is(err, drm.ErrClosed) {
				o.r.log.Warn("the idle screen cannot be shown", "error", err)
			}
		}
		advance.Reset(untilAdvance(st))
	}
}

// untilAdvance returns how long the bar stands: until the position is a
// multiple of advanceEvery, and a little more, so that it is for certain.
func untilAdvance(st screen.State) time.Duration {
	if st.Title == "" || st.Length == 0 || st.Position >= st.Length {
		return time.Hour
	}
	const more = 100 * time.Millisecond
	// One that stands still must not be looked at without a pause.
	return max(advanceEvery-st.Position%advanceEvery+more, time.Second)
}

// hasPicture tells whether the session has shown a picture.
func (k *kmsSession) hasPicture() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun || k.showing != nil
}

// drawOnce draws a state.
func (o *kmsOutput) drawOnce(last *idleDrawing, st screen.State) error {
	width, height := o.display.Size()
	if width == 0 {
		return nil // it is drawn when a display is plugged in
	}
	b, err := o.idleSurface(width, height)
	if err != nil || b == nil {
		return err
	}
	last.paint(&b.image, b.id, st)
	if err := o.show(drm.Picture{ID: b.id, FB: b.fb}); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.give(b.id)
		return err
	}
	return nil
}

// paint draws a state into a surface: what of it is not there yet.
func (d *idleDrawing) paint(to *codec.Image, id uint64, st screen.State) {
	if bounds := image.Rect(0, 0, to.Width, to.Height); bounds != d.bounds || withoutPosition(st) != withoutPosition(d.state) {
		clear(d.held)
		d.bounds = bounds
	}
	d.state = st
	if d.held[id] {
		if part := screen.Advance(d.bounds, st); part != nil {
			copyXRGB(to, part)
		}
		return
	}
	img := image.NewRGBA(d.bounds)
	screen.Draw(img, st)
	copyXRGB(to, img)
	d.held[id] = true
}

// withoutPosition is what of a state has to be drawn with all of the screen.
func withoutPosition(st screen.State) screen.State {
	st.Position = 0
	return st
}

// idleSurface returns memory for a picture of the whole screen; nil if all of
// it is in use, which a redraw that follows soon makes good.
func (o *kmsOutput) idleSurface(width, height int) (*surface, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle == nil || o.idle.width != width || o.idle.height != height {
		if o.idle != nil {
			o.idle.close()
		}
		s := &surfaces{display: o.display, generation: o.generation.Add(1), format: codec.XRGB8888, width: width, height: height, screen: [2]int{width, height}}
		if err := s.make(drm.XRGB8888); err != nil {
			o.idle = nil
			return nil, err
		}
		o.idle = s
	}
	b, _ := o.idle.take()
	return b, nil
}

// copyXRGB copies a picture, or a part of one at its place, into memory of the
// display, whose order of bytes is blue, green, red.
func copyXRGB(dst *codec.Image, src *image.RGBA) {
	r := src.Rect.Intersect(image.Rect(0, 0, dst.Width, dst.Height))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		to, from := dst.Row(0, y)[r.Min.X*4:r.Max.X*4], src.Pix[src.PixOffset(r.Min.X, y):]
		for x := 0; x+3 < len(to); x += 4 {
			to[x], to[x+1], to[x+2], to[x+3] = from[x+2], from[x+1], from[x], 0xff
		}
	}
}

// screenState says what the idle screen shows, but for the artwork.
func (r *Receiver) screenState() screen.State {
	st := screen.State{Name: r.Name(), Address: r.mainAddress(), PIN: r.pin.shown(), Loudspeaker: r.loudspeaker()}
	if s := r.current.Load(); s != nil {
		st.Sender = s.opening.Sender.Name
		n := &r.playing
		n.mu.Lock()
		st.Title, st.Artist, st.Album = n.what.Title, n.what.Artist, n.what.Album
		st.Position, st.Length = n.position(s.Active())
		n.mu.Unlock()
	}
	if w := r.warnings.all(); len(w) > 0 {
		st.Warning = w[0]
	}
	if n := r.fleetNotice(); n != "" {
		st.Warning = n
	}
	return st
}
