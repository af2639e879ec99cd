package drm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// debounce waits for a signal to have been quiet, though not for ever. Times
// are nanoseconds of any one clock.
type debounce struct {
	quiet, limit int64
	first, last  int64
	pending      bool
	dropped      bool // the display was seen to be away meanwhile
}

// event takes note of a change.
func (b *debounce) event(now int64) {
	if !b.pending {
		b.pending, b.first = true, now
	}
	b.last = now
}

// due is when the change is to be acted on, if there was one.
func (b *debounce) due() (at int64, ok bool) {
	return min(b.last+b.quiet, b.first+b.limit), b.pending
}

func (b *debounce) reset() { b.pending = false }

// readUevents takes what the kernel announces. A message lost to a full buffer
// may have been one that matters.
func (d *Display) readUevents(buf []byte) {
	for range 64 {
		n, kernel, err := d.sys.receive(d.uev, buf)
		if errors.Is(err, unix.ENOBUFS) {
			d.glimpse(d.sys.now())
			continue
		}
		if err != nil {
			return
		}
		if !kernel {
			continue
		}
		switch readUevent(buf[:n], d.card.name()) {
		case newsHotplug:
			d.glimpse(d.sys.now())
		case newsRemoved:
			d.fail(fmt.Errorf("drm: %s was removed: %w", d.card.path, unix.ENODEV))
		}
	}
}

// glimpse starts, or prolongs, the wait for a change to settle, and looks
// without a probe whether the display in use is away: a set that was away needs
// its mode set again even if it is back before the wait is over (hardware
// reference section 3.6).
func (d *Display) glimpse(now int64) {
	d.plug.event(now)
	d.mu.Lock()
	o := d.out
	d.mu.Unlock()
	if o == nil {
		return
	}
	d.modeset.Lock()
	defer d.modeset.Unlock()
	if status, err := d.card.glance(o.connector); err == nil && status != statusConnected {
		d.plug.dropped = true
	}
}

// replug looks at all connectors and follows what it finds: it lights a display
// that is new, changed or back, on whichever port, and notes one that is gone.
// With mend it lights the present one again in any case.
func (d *Display) replug(mend bool) {
	d.modeset.Lock()
	defer d.modeset.Unlock()
	dropped := d.plug.dropped
	d.plug.dropped = false
	if err := errors.Join(d.card.readResources(), d.card.probe()); err != nil {
		d.plugFailed(err)
		return
	}
	d.mu.Lock()
	d.mend = false
	o, attached := d.out, d.attached
	d.mu.Unlock()
	var present *connector
	if o != nil {
		present = o.connector
	}
	n := d.card.pick(d.opt.Connector, present)
	switch {
	case n == nil:
		d.unplugged(mend)
	case attached && !mend && !dropped && n == present && !n.linkBad && n.sameDisplay(o.rawEDID, o.modes):
		// Nothing has changed.
	case d.blanked:
		d.mu.Lock()
		d.attached = true
		d.mu.Unlock()
	default:
		d.relight(n)
	}
}

// unplugged notes that no display is there. The CRTC runs on, so that timing and
// flips do; unless it was it that had to be mended.
func (d *Display) unplugged(mend bool) {
	if mend {
		d.pause()
	}
	d.mu.Lock()
	if d.attached {
		d.attached = false
		d.report(Change{Kind: Disconnected, Connector: d.out.connector.name})
	}
	d.mu.Unlock()
}

// relight lights a connector and tells.
func (d *Display) relight(n *connector) {
	err := d.light(n)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.report(Change{Kind: Connected, Connector: n.name, Mode: d.out.mode, EDID: d.out.edid})
	case errors.Is(err, ErrBusy), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		d.lose(err)
	default:
		d.attached = false
		d.report(Change{Kind: Failed, Connector: n.name, Err: err})
		d.retryLater()
	}
}

// plugFailed deals with a card that cannot say what is connected.
func (d *Display) plugFailed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EBADF) {
		d.lose(err)
		return
	}
	d.report(Change{Kind: Failed, Err: fmt.Errorf("hotplug: %w", err)})
	d.retryLater()
}

// maxPlugRetries bounds how often a display that could not be lit is tried
// again before the next uevent.
const maxPlugRetries = 5

// retryLater looks at the connectors again after a while.
func (d *Display) retryLater() {
	d.mend = false
	if d.plugRetries++; d.plugRetries <= maxPlugRetries {
		d.plug.event(d.sys.now())
	}
}

// Blank switches the picture, and with it the sound that HDMI carries, off, or
// on again with what was shown last. Unlike the other methods it may take as
// long as the display does to change its mode.
func (d *Display) Blank(on bool) error {
	d.modeset.Lock()
	err := d.blank(on)
	d.modeset.Unlock()
	d.deliver()
	return err
}

func (d *Display) blank(on bool) error {
	d.mu.Lock()
	closed, lost, o, attached := d.closed, d.lost, d.out, d.attached
	d.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case lost != nil:
		return fmt.Errorf("%w: %w", ErrClosed, lost)
	case on == d.blanked:
		return nil
	}
	if on {
		d.blanked = true
		return d.pause()
	}
	d.blanked = false
	if o == nil || !attached {
		return nil // the next display that comes is lit
	}
	n := d.card.pick(d.opt.Connector, o.connector)
	if n == nil {
		return nil
	}
	err := d.light(n)
	if err != nil { // the loop goes on trying
		d.mu.Lock()
		d.mend = true
		d.mu.Unlock()
		d.signal()
	}
	return err
}
