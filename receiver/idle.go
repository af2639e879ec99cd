package receiver

import (
	"context"
	"errors"
	"image"
	"net"
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
// at it for longer. Each time costs a commit and the drawing of the bar: a
// thirtieth of what the whole screen takes, which moves once a minute
// (BenchmarkDraw of package screen: 0.3 and 9 ms on a PC).
const advanceEvery = 5 * time.Second

// idleDrawing is what was drawn last on the screen without a picture. It
// belongs to the goroutine that draws.
type idleDrawing struct {
	screen  *screen.Screen
	bounds  image.Rectangle
	picture *image.RGBA
	changed []image.Rectangle
	shown   bool // the display was given what was drawn last
	// owed are the areas in which surfaces, by their ids, are not what was
	// drawn last.
	owed map[uint64][]image.Rectangle
}

// drawIdle draws the screen without a picture whenever it is asked for, every
// minute, and while music plays from time to time.
func (o *kmsOutput) drawIdle(ctx context.Context) {
	last := idleDrawing{screen: screen.New(screen.Fallback("/")), owed: map[uint64][]image.Rectangle{}}
	tick := time.NewTimer(time.Hour)
	defer tick.Stop()
	o.showIdle()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-o.redraw:
			asked = true
		case <-tick.C:
		}
		if k := o.current(); k != nil && k.hasPicture() {
			continue // when it ends, a redraw is asked for
		}
		st := o.r.screenState()
		id, file := o.r.playing.cover()
		st.Artwork = o.cover.of(ctx, id, file)
		if err := o.drawOnce(&last, &st, asked); err != nil && !errors.Is(err, drm.ErrClosed) {
			o.r.log.Warn("the idle screen cannot be shown", "error", err)
		}
		tick.Reset(untilTick(&st))
	}
}

// untilTick returns how long a screen stays as it is: until the next minute, or
// until the bar's position is a multiple of advanceEvery; and a little more, so
// that it is for certain.
func untilTick(st *screen.State) time.Duration {
	const more = 100 * time.Millisecond
	wait := time.Minute - time.Duration(st.Time.Second())*time.Second - time.Duration(st.Time.Nanosecond())
	if st.Title != "" && st.Position < st.Length {
		wait = min(wait, advanceEvery-st.Position%advanceEvery)
	}
	// One that stands still must not be looked at without a pause.
	return max(wait+more, time.Second)
}

// hasPicture tells whether the session has shown a picture.
func (k *kmsSession) hasPicture() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun || k.showing != nil
}

// drawOnce draws a state and shows it: if it was asked for, for there may be
// something else on the display, or if anything of it has changed.
func (o *kmsOutput) drawOnce(last *idleDrawing, st *screen.State, asked bool) error {
	width, height := o.display.Size()
	if width == 0 {
		return nil // it is drawn when a display is plugged in
	}
	if changed := last.draw(width, height, st); !changed && !asked && last.shown {
		return nil
	}
	last.shown = false
	b, err := o.idleSurface(width, height)
	if err != nil || b == nil {
		return err
	}
	last.paint(&b.image, b.id)
	if err := o.show(drm.Picture{ID: b.id, FB: b.fb}); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.give(b.id)
		return err
	}
	last.shown = true
	return nil
}

// draw draws a state, and tells whether anything of it has changed.
func (d *idleDrawing) draw(width, height int, st *screen.State) bool {
	if bounds := image.Rect(0, 0, width, height); bounds != d.bounds {
		d.bounds = bounds
		clear(d.owed)
	}
	d.picture, d.changed = d.screen.Draw(d.bounds, st)
	for id, areas := range d.owed {
		for _, r := range d.changed {
			areas = screen.Merge(areas, r)
		}
		d.owed[id] = areas
	}
	return len(d.changed) > 0
}

// paint brings a surface up to what was drawn last.
func (d *idleDrawing) paint(to *codec.Image, id uint64) {
	areas, known := d.owed[id]
	if !known {
		areas = append(areas, d.bounds)
	}
	for _, r := range areas {
		copyXRGB(to, d.picture.SubImage(r).(*image.RGBA))
	}
	d.owed[id] = areas[:0]
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
	st := screen.State{Name: r.Name(), Version: r.version, Address: r.screenAddress(), Page: r.screenPage(), Time: time.Now(), PIN: r.pin.shown(), Loudspeaker: r.loudspeaker()}
	if s := r.current.Load(); s != nil {
		st.Sender = s.opening.Sender.Name
		if st.Sender == "" {
			st.Sender = s.opening.Sender.Addr.Addr().String()
		}
		n := &r.playing
		n.mu.Lock()
		st.Title, st.Artist, st.Album = n.what.Title, n.what.Artist, n.what.Album
		st.Position, st.Length = n.position(s.Active())
		n.mu.Unlock()
	}
	r.poster.tell(&st, r.warnings.all())
	return st
}

// screenAddress is the address that people are told, "" without a network.
func (r *Receiver) screenAddress() string {
	if a := r.addresses(); len(a) > 0 && !a[0].IsLoopback() {
		return a[0].String()
	}
	return ""
}

// screenPage is where others than this machine find the page, "" for nowhere.
func (r *Receiver) screenPage() string {
	w := r.served.Load()
	if w == nil || w.ln == nil {
		return ""
	}
	if addr, ok := w.ln.Addr().(*net.TCPAddr); ok && addr.IP.IsLoopback() {
		return ""
	}
	return w.url()
}
