package receiver

import (
	"errors"

	"aerie/drm"
	"aerie/receiver/codec"
	"aerie/receiver/codec/h264"
)

// put shows a picture: from where it was decoded, if the display can read it
// there, else from a copy. kept says that the display has the picture itself.
func (k *kmsSession) put(p *kmsPicture) (kept bool) {
	if p.hard.from != nil {
		return k.scan(p)
	}
	if k.o.measure {
		p.stamp, p.stamped = readStamp(p.frame)
	}
	if k.share(p) {
		return true
	}
	k.copy(p)
	return false
}

// share shows a picture from where it was decoded; false if that cannot be.
func (k *kmsSession) share(p *kmsPicture) bool {
	fb, visible := k.memory.show(p.frame)
	if fb == nil {
		return false
	}
	k.mu.Lock()
	p.shown, k.begun = true, true // the display may give it back at once
	k.mu.Unlock()
	err := k.o.show(drm.Picture{ID: p.id, FB: fb, Source: visible, Color: colorOf(p.meta.colour, visible.H), Due: int64(p.due)})
	if err == nil {
		return true
	}
	k.mu.Lock()
	p.shown = false
	k.mu.Unlock()
	if !errors.Is(err, drm.ErrClosed) {
		k.memory.refused(err)
	}
	return false
}

// copy copies a picture into memory of the display and shows that.
func (k *kmsSession) copy(p *kmsPicture) {
	b, err := k.surface(p)
	if err != nil {
		k.report(err)
		return
	}
	if b == nil {
		k.s.r.meters.skipped.Inc()
		return
	}
	if err := k.converter.Convert(&b.image, p.frame); err != nil {
		k.released(b.id)
		k.report(err)
		return
	}
	k.s.r.meters.PixelsCopied.Add(b.bytes())
	b.onScreen = p.onScreen
	err = k.o.show(drm.Picture{ID: b.id, FB: b.fb, Color: colorOf(p.meta.colour, p.frame.Height), Due: int64(p.due)})
	if err != nil {
		k.released(b.id)
		if !errors.Is(err, drm.ErrClosed) {
			k.report(err)
		}
	}
}

// colorOf says how the display is to read the picture. A stream that does not
// say means what television does.
func colorOf(c h264.Colour, height int) drm.Color {
	var out drm.Color
	switch c.Matrix {
	case codec.MatrixBT709:
		out.Encoding = drm.BT709
	case codec.MatrixBT470BG, codec.MatrixSMPTE170M:
		out.Encoding = drm.BT601
	case codec.MatrixBT2020:
		out.Encoding = drm.BT2020
	default:
		if height < 720 {
			out.Encoding = drm.BT601
		}
	}
	if c.FullRange {
		out.Range = drm.Full
	}
	return out
}
