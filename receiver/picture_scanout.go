package receiver

import (
	"errors"

	"aerie/drm"
	"aerie/hw/v4l2"
)

// scanout is a hardware decoder's memory for pictures, each buffer imported
// once, as frame buffers of the display. No pixel in it passes the CPU.
type scanout struct {
	stream  *hardwareStream
	fbs     []*drm.Framebuffer
	layout  *v4l2.Layout
	visible drm.Rect
	retired bool // guarded by kmsSession.mu
	gone    bool // the descriptors are closed; guarded by hardwareStream.mu
}

// hardwarePicture is a picture in a scanout; the zero value is none.
type hardwarePicture struct {
	from    *scanout
	picture v4l2.Picture
}

// release gives the memory back to the decoder.
func (p *hardwarePicture) release() {
	if p.from != nil {
		p.from.stream.release(p.picture)
		*p = hardwarePicture{}
	}
}

// newScanout imports a decoder's memory. A display that is lit is asked whether
// it can show it.
func newScanout(d *drm.Display, s *hardwareStream, l *v4l2.Layout) (*scanout, error) {
	o := &scanout{stream: s, layout: l, visible: drm.Rect(l.Visible)}
	for _, fd := range l.Buffers {
		b := drm.DMABuf{Width: l.Width, Height: l.Height, Format: drm.Format(l.Fourcc), Modifier: drm.Modifier(l.Modifier)}
		for i, p := range l.Planes {
			b.Planes[i] = drm.DMABufPlane{FD: fd, Offset: p.Offset, Pitch: p.Pitch}
		}
		fb, err := d.Import(b)
		if err != nil {
			o.close()
			return nil, err
		}
		o.fbs = append(o.fbs, fb)
	}
	if err := d.Check(drm.Picture{FB: o.fbs[0], Source: o.visible}); errors.Is(err, drm.ErrUnsupported) {
		o.close()
		return nil, err
	}
	return o, nil
}

// close lets the frame buffers go; one that is on the screen goes when its
// successor is there.
func (o *scanout) close() {
	for _, fb := range o.fbs {
		_ = fb.Close()
	}
	o.fbs = nil
}

// scan shows a picture from where the hardware decoded it. kept says that the
// display has it.
func (k *kmsSession) scan(p *kmsPicture) (kept bool) {
	from := p.hard.from
	k.mu.Lock()
	if from.retired {
		k.mu.Unlock()
		k.s.r.meters.skipped.Inc()
		return false
	}
	fb := from.fbs[p.hard.picture.Index]
	p.shown, k.begun = true, true // the display may give it back at once
	k.mu.Unlock()
	err := k.o.show(drm.Picture{ID: p.id, FB: fb, Source: from.visible, Color: colorOf(p.meta.colour, from.visible.H), Due: int64(p.due)})
	if err == nil {
		return true
	}
	k.mu.Lock()
	p.shown = false
	retired := from.retired
	k.mu.Unlock()
	if !retired && !errors.Is(err, drm.ErrClosed) {
		from.stream.fail(err) // software can be scaled and converted
	}
	return false
}
