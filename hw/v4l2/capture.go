package v4l2

import (
	"fmt"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// prepareCapture makes memory for pictures of a size and tells the caller.
func (d *Decoder) prepareCapture(width, height int) error {
	l, err := d.chooseFormat(width, height)
	if err != nil {
		return err
	}
	if err := d.capture.request(min(d.pictures(), uapi.MaxFrames)); err != nil {
		return err
	}
	if d.capture.buffers[0].size < l.Size {
		return d.f.Fail(uapi.QueryBuf.Name, d.capture.typ, fmt.Errorf("a buffer of %d bytes for a picture of %d", d.capture.buffers[0].size, l.Size))
	}
	if l.Buffers, err = d.capture.exportAll(); err != nil {
		return err
	}
	d.generation++
	l.Generation = d.generation
	d.place(l)
	d.layout, d.held, d.ended = l, 0, false
	if d.cfg.Setup == nil {
		return nil
	}
	return d.cfg.Setup(l)
}

// chooseFormat sets the best format that the device can give.
func (d *Decoder) chooseFormat(width, height int) (*Layout, error) {
	var last error
	for _, want := range d.cfg.Formats {
		f := plainFormat{width: width, height: height, format: want}
		if err := d.capture.format(&uapi.SFmt, &f); err != nil {
			return nil, err
		}
		if f.format != want {
			last = fmt.Errorf("%w: no %v", ErrUnsuitable, want)
			continue
		}
		l, err := layoutOf(&f)
		if err == nil {
			d.format = f
			return l, nil
		}
		last = err
	}
	return nil, d.f.Fail(uapi.SFmt.Name, d.capture.typ, last)
}

// pictures is how many buffers are needed so that the device always has one to
// decode into.
func (d *Decoder) pictures() int {
	n := d.cfg.References + d.quirk.frames
	c := &uapi.Control{ID: uapi.CIDMinBuffersForCapture}
	if d.f.Try(&uapi.GCtrl, unsafe.Pointer(c)) == nil && c.Value > 0 {
		n = max(n, int(min(c.Value, uapi.MaxFrames)))
	}
	return n + d.cfg.Held + 1
}

// visible asks the device which part of its pictures is to be seen. The type is
// that of single-planar queues for both kinds (hardware reference section 1.2).
func (d *Decoder) visible() (Rect, bool) {
	s := &uapi.Selection{Type: uapi.Capture, Target: uapi.SelCompose}
	if d.f.Try(&uapi.GSelection, unsafe.Pointer(s)) != nil {
		return Rect{}, false
	}
	return Rect{int(s.R.Left), int(s.R.Top), int(min(s.R.Width, maxSide)), int(min(s.R.Height, maxSide))}, true
}

// place decides what is visible of a layout: what the device says, else what
// the caller said, else all.
func (d *Decoder) place(l *Layout) {
	if r, ok := d.visible(); ok && l.place(r) {
		return
	}
	if !l.place(d.cfg.Visible) {
		l.place(Rect{0, 0, l.Width, l.Height})
	}
}

// startCapture lets the device decode.
func (d *Decoder) startCapture() error {
	for i := range d.capture.buffers {
		if err := d.capture.put(i, 0, 0); err != nil {
			return err
		}
	}
	return d.capture.stream(true)
}

// retire lets the memory for pictures go.
func (d *Decoder) retire() error {
	if d.layout != nil {
		l := d.layout
		d.layout = nil
		if d.cfg.Retire != nil {
			d.cfg.Retire(l)
		}
	}
	d.held = 0
	if d.capture.f == nil {
		return nil
	}
	return d.capture.free()
}

// takeEvents takes what the device announces.
func (d *Decoder) takeEvents() error {
	const limit = 64 // in one go: a driver may announce for ever
	for range limit {
		e := new(uapi.Event)
		switch err := d.f.Try(&uapi.DQEvent, unsafe.Pointer(e)); err {
		case nil:
		case unix.ENOENT, unix.EAGAIN:
			return nil
		default:
			return d.f.Fail(uapi.DQEvent.Name, d.capture.typ, err)
		}
		switch e.Type {
		case uapi.EventSourceChange:
			if err := d.sourceChanged(); err != nil {
				return err
			}
		case uapi.EventEOS:
			if d.draining {
				// A buffer marked as the last may come behind it, or not.
				d.deadline = min(d.deadline, d.sys.Now()+d.stall/4)
			}
		}
	}
	return nil
}

// sourceChanged looks at what a SOURCE_CHANGE has changed: at first everything,
// later often nothing (hardware reference section 1.4).
func (d *Decoder) sourceChanged() error {
	f := plainFormat{}
	if err := d.capture.format(&uapi.GFmt, &f); err != nil {
		return err
	}
	switch {
	case d.quirk.isNoise(&f) || d.layout != nil && d.same(&f):
		if d.quirk.resume {
			return d.resume()
		}
		return nil
	case d.layout == nil:
		if err := d.prepareCapture(f.width, f.height); err != nil {
			return err
		}
		return d.startCapture()
	}
	d.changing = true
	d.deadline = d.sys.Now() + d.stall
	if d.ended {
		return d.rebuild()
	}
	return nil
}

// same tells whether pictures still come as they did.
func (d *Decoder) same(f *plainFormat) bool {
	g := &d.format
	if f.width != g.width || f.height != g.height || f.format != g.format || f.pitch != g.pitch || f.size > g.size {
		return false
	}
	r, ok := d.visible()
	return !ok || r == d.layout.Visible
}

// rebuild makes memory for pictures of another size; those of the old one have
// all come.
func (d *Decoder) rebuild() error {
	d.changing, d.deadline = false, 0
	if err := d.retire(); err != nil {
		return err
	}
	f := plainFormat{}
	if err := d.capture.format(&uapi.GFmt, &f); err != nil {
		return err
	}
	if err := d.prepareCapture(f.width, f.height); err != nil {
		return err
	}
	d.watch.reset()
	if err := d.startCapture(); err != nil || !d.draining {
		return err
	}
	// The change has ended the drain that was asked for before it.
	return d.startDrain()
}

// takePictures takes what has been decoded.
func (d *Decoder) takePictures() error {
	r := &d.taking
	for d.capture.on && d.capture.queued > 0 && !d.ended {
		switch err := d.capture.take(r); err {
		case nil:
		case errNothing:
			return nil
		case errEnd:
			return d.lastCame()
		default:
			return err
		}
		if err := d.deliver(r); err != nil {
			return err
		}
		if r.flags&uapi.BufFlagLast != 0 {
			return d.lastCame()
		}
	}
	return nil
}

// deliver gives a picture to the caller. An empty buffer is none.
func (d *Decoder) deliver(r *result) error {
	if r.used == 0 {
		if r.flags&uapi.BufFlagLast != 0 {
			return nil // it is queued again when the queue goes on
		}
		return d.capture.put(r.index, 0, 0)
	}
	d.watch.came()
	if d.deadline != 0 {
		d.deadline = d.sys.Now() + d.stall // it is at it
	}
	d.held |= 1 << r.index
	d.cfg.Picture(Picture{Generation: d.layout.Generation, Index: r.index, Token: r.token, Corrupt: r.flags&uapi.BufFlagError != 0})
	return nil
}

// giveBack queues a picture's memory again.
func (d *Decoder) giveBack(p Picture) error {
	if d.layout == nil || p.Generation != d.layout.Generation || p.Index < 0 || d.held>>p.Index&1 == 0 {
		return nil
	}
	d.held &^= 1 << p.Index
	return d.capture.put(p.Index, 0, 0)
}

// lastCame is told that no picture comes until something is done.
func (d *Decoder) lastCame() error {
	d.ended = true
	switch {
	case d.changing:
		return d.rebuild()
	case d.draining:
		return d.endDrain(nil)
	}
	return nil // an event will say why
}

// resume makes the device go on after a last picture.
func (d *Decoder) resume() error {
	d.ended = false
	start := &uapi.DecoderCmd{Cmd: uapi.DecStart}
	if err := d.f.Call(&uapi.SendDecoderCmd, unsafe.Pointer(start)); err != nil {
		return err
	}
	return d.requeue()
}

// requeue gives the device every buffer that is with nobody.
func (d *Decoder) requeue() error {
	for i := range d.capture.buffers {
		if d.held>>i&1 == 0 && !d.capture.buffers[i].queued {
			if err := d.capture.put(i, 0, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// startDrain asks for all that is to come.
func (d *Decoder) startDrain() error {
	stop := &uapi.DecoderCmd{Cmd: uapi.DecStop}
	if err := d.f.Call(&uapi.SendDecoderCmd, unsafe.Pointer(stop)); err != nil {
		d.answer <- err
		return err
	}
	d.draining, d.deadline = true, d.sys.Now()+d.stall
	if d.ended {
		return d.endDrain(nil)
	}
	return nil
}

func (d *Decoder) endDrain(err error) error {
	d.draining, d.deadline = false, 0
	d.watch.reset()
	if resumed := d.resume(); err == nil {
		err = resumed
	}
	d.answer <- err
	return err
}

// flush forgets what the device has.
func (d *Decoder) flush() error {
	busy := make([]int, 0, len(d.out.buffers))
	for i := range d.out.buffers {
		if d.out.buffers[i].queued {
			busy = append(busy, i)
		}
	}
	if err := d.out.stream(false); err != nil {
		return err
	}
	for _, i := range busy {
		d.free <- &d.inputs[i]
	}
	d.watch.reset()
	d.ended = false
	if d.layout != nil {
		if err := d.capture.stream(false); err != nil {
			return err
		}
		if err := d.requeue(); err != nil {
			return err
		}
	}
	if err := d.out.stream(true); err != nil {
		return err
	}
	if d.layout == nil {
		return nil
	}
	return d.capture.stream(true)
}
