package receiver

import (
	"context"
	"errors"
	"image"

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

// drawIdle draws the screen without a picture whenever it is asked for.
func (o *kmsOutput) drawIdle(ctx context.Context) {
	o.showIdle()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.redraw:
		}
		if k := o.current(); k != nil && k.hasPicture() {
			continue
		}
		if err := o.drawOnce(); err != nil && !errors.Is(err, drm.ErrClosed) {
			o.r.log.Warn("the idle screen cannot be shown", "error", err)
		}
	}
}

// hasPicture tells whether the session has shown a picture.
func (k *kmsSession) hasPicture() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun || k.showing != nil
}

func (o *kmsOutput) drawOnce() error {
	width, height := o.display.Size()
	if width == 0 {
		return nil // it is drawn when a display is plugged in
	}
	b, err := o.idleSurface(width, height)
	if err != nil || b == nil {
		return err
	}
	img := &image.RGBA{Pix: make([]byte, width*height*4), Stride: width * 4, Rect: image.Rect(0, 0, width, height)}
	screen.Draw(img, o.r.screenState())
	copyXRGB(&b.image, img)
	if err := o.display.Show(drm.Picture{ID: b.id, FB: b.fb}); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.give(b.id)
		return err
	}
	return nil
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

// copyXRGB copies a picture into memory of the display, whose order of bytes
// is blue, green, red.
func copyXRGB(dst *codec.Image, src *image.RGBA) {
	for y := range dst.Height {
		to, from := dst.Row(0, y), src.Pix[y*src.Stride:]
		for x := 0; x+3 < len(to); x += 4 {
			to[x], to[x+1], to[x+2], to[x+3] = from[x+2], from[x+1], from[x], 0xff
		}
	}
}

// screenState says what the idle screen shows.
func (r *Receiver) screenState() screen.State {
	st := screen.State{Name: r.Name(), Address: r.mainAddress(), PIN: r.pin.shown(), Loudspeaker: r.loudspeaker()}
	if s := r.current.Load(); s != nil {
		st.Sender = s.opening.Sender.Name
		n := r.playing.now()
		st.Title, st.Artist = n.Title, n.Artist
	}
	if w := r.warnings.all(); len(w) > 0 {
		st.Warning = w[0]
	}
	return st
}
