package drm

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// output is the way from planes to a display: a CRTC, which generates the
// timing, and a connector.
type output struct {
	connector *connector
	crtc      *object
	planes    []*plane     // that the CRTC can use, bottom first
	used      map[int]bool // by plane.index: something may be on it
	mode      Mode
	why       string
	modes     []Mode
	rawEDID   []byte
	edid      EDID
	blob      uint32 // the mode's
}

// primary is the CRTC's primary plane, nil without one.
func (o *output) primary() *plane {
	for _, q := range o.planes {
		if q.kind == planePrimary {
			return q
		}
	}
	return nil
}

// parseEDID reads the connector's EDID; without one the zero EDID has no
// physical address.
func (n *connector) parseEDID() (EDID, error) {
	e, err := ParseEDID(n.edid)
	if err != nil {
		return EDID{Physical: 0xffff}, err
	}
	return e, nil
}

// newOutput routes a connector to a CRTC.
func (c *card) newOutput(n *connector, r Rotation) (*output, error) {
	crtc := c.crtcFor(n)
	if crtc == nil {
		return nil, fmt.Errorf("drm: %s: no CRTC can feed %s", c.path, n.name)
	}
	o := &output{connector: n, crtc: crtc, planes: c.planesFor(crtc), used: map[int]bool{},
		modes: slices.Clone(n.modes), rawEDID: n.edid}
	o.edid, _ = n.parseEDID()
	if !slices.ContainsFunc(o.planes, func(q *plane) bool { return q.rotates(r) }) {
		return nil, fmt.Errorf("drm: %s: %s: %w: rotation %#x", c.path, n.name, ErrUnsupported, uint8(r))
	}
	return o, nil
}

// maxModes bounds how many modes are tried on a display.
const maxModes = 4

// light sets a mode on a connector, the best one the hardware accepts, and
// shows black. Whatever else the card shows is switched off first: the bandwidth
// and the CRTC may be needed. The caller holds modeset.
func (d *Display) light(n *connector) error {
	o, err := d.card.newOutput(n, d.rotation)
	if err != nil {
		return err
	}
	d.pause()
	if err := d.clearOthers(o); err != nil {
		return err
	}
	modes := slices.Clone(n.modes)
	var errs []error
	for range maxModes {
		m, why, ok := ChooseMode(modes, d.override)
		if !ok {
			break
		}
		o.mode, o.why = m, why
		err := d.activate(o)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("drm: %s: %s at %v: %w", d.card.path, n.name, m, err))
		if !unsupported(err) {
			break // another mode will not help
		}
		modes = slices.DeleteFunc(modes, func(x Mode) bool { return x == m })
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("drm: %s: %s offers no mode", d.card.path, n.name))
	}
	return errors.Join(errs...)
}

// activate lights o with black on its primary plane, or, where the driver
// refuses that, with no plane at all.
func (d *Display) activate(o *output) error {
	blob, err := d.card.modeBlob(o.mode.info)
	if err != nil {
		return err
	}
	blackErr := d.makeBlack(o)
	r := newRequest(d.card)
	defer r.free()
	for _, black := range []*Framebuffer{d.black, nil} {
		r.reset()
		d.fillModeset(r, o, blob, black)
		if err = r.commit(atomicTestOnly|atomicAllowModeset, 0); err != nil {
			if !unsupported(err) {
				break
			}
			continue
		}
		// The event may be read before the call has returned.
		d.mu.Lock()
		d.serial++
		serial := d.serial
		d.inFlight, d.fresh = true, false
		d.mu.Unlock()
		if err = r.commit(atomicAllowModeset|atomicPageFlipEvent, serial); err == nil {
			d.lighted(o, blob, black != nil)
			return nil
		}
		d.mu.Lock()
		d.inFlight = false
		d.mu.Unlock()
	}
	d.card.destroyBlob(blob)
	err = errors.Join(err, blackErr)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// makeBlack makes a black picture of the mode's size, or keeps the one there
// is.
func (d *Display) makeBlack(o *output) error {
	if b := d.black; b != nil {
		if b.Width == o.mode.Width && b.Height == o.mode.Height {
			return nil
		}
		d.black = nil
		b.Close()
	}
	var err error
	d.black, err = d.NewDumb(o.mode.Width, o.mode.Height, XRGB8888)
	return err
}

// fillModeset writes the whole state of an output: what an earlier program
// left, a gamma table or high dynamic range for example, is put back to neutral.
func (d *Display) fillModeset(r *request, o *output, blob uint32, black *Framebuffer) {
	r.object(&o.connector.object)
	r.set("CRTC_ID", uint64(o.crtc.id))
	r.set("HDR_OUTPUT_METADATA", 0)
	r.setEnum("Colorspace", "Default")
	if o.connector.linkBad {
		r.set("link-status", 0)
	}
	r.object(o.crtc)
	r.set("MODE_ID", uint64(blob))
	r.set("ACTIVE", 1)
	for _, p := range []string{"GAMMA_LUT", "DEGAMMA_LUT", "CTM", "VRR_ENABLED"} {
		r.set(p, 0)
	}
	for _, q := range o.planes {
		if q == o.primary() && black != nil {
			full := Rect{0, 0, o.mode.Width, o.mode.Height}
			r.place(&placement{q, full, full}, o.crtc.id, black, Color{}, Upright)
		} else {
			r.remove(q)
		}
	}
}

// lighted takes over the output that the last commit made.
func (d *Display) lighted(o *output, blob uint32, black bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.out != nil {
		d.card.destroyBlob(d.out.blob)
	}
	o.blob = blob
	if p := o.primary(); p != nil && black {
		o.used[p.index] = true
	}
	clear(d.plans)
	d.out, d.plan, d.lit, d.attached = o, nil, true, true
	d.sent, d.retryAt, d.began = d.sys.now(), 0, 0
	d.phase = newPhase(o.mode.Interval())
	d.mend, d.plugRetries = false, 0
	d.counters.Modesets++
	d.commit()
}

// pause switches the present output off, so that nothing of this program is on
// a screen, and keeps the latest pictures for when one is lit again. It works
// as well as it can: a display that does not answer must not stop the next.
func (d *Display) pause() error {
	d.mu.Lock()
	o, lit := d.out, d.lit
	d.lit = false
	d.mu.Unlock()
	var err error
	if o != nil && lit {
		r := newRequest(d.card)
		r.object(&o.connector.object)
		r.set("CRTC_ID", 0)
		r.object(o.crtc)
		r.set("MODE_ID", 0)
		r.set("ACTIVE", 0)
		for _, q := range o.planes {
			r.remove(q)
		}
		// What is released below may be freed while the hardware still reads it
		// if this fails: worth a second try.
		for range 2 {
			if err = r.commit(atomicAllowModeset, 0); err == nil {
				break
			}
		}
		r.free()
	}
	d.mu.Lock()
	d.base.keep(d)
	d.over.keep(d)
	d.releaseAll(false)
	d.plan = nil
	d.mu.Unlock()
	return err
}

// clearOthers switches off everything on the card that is not o: a console on
// the other HDMI port, another program's planes, a writeback that would make
// the kernel refuse the next mode.
func (d *Display) clearOthers(o *output) error {
	c, r := d.card, newRequest(d.card)
	defer r.free()
	// Fresh copies: the card's own are being read by other goroutines.
	for _, n := range c.connectors {
		now, err := c.object(n.id, objectConnector, n.index)
		if err != nil {
			return err
		}
		if n != o.connector && now.value("CRTC_ID") != 0 {
			r.object(&now)
			r.set("CRTC_ID", 0)
		}
	}
	for i := range c.crtcs {
		now, err := c.object(c.crtcs[i].id, objectCRTC, i)
		if err != nil {
			return err
		}
		if now.id != o.crtc.id && now.value("ACTIVE") != 0 {
			r.object(&now)
			r.set("ACTIVE", 0)
			r.set("MODE_ID", 0)
		}
	}
	for _, q := range c.planes {
		now, err := c.object(q.id, objectPlane, q.index)
		if err != nil {
			return err
		}
		// The planes of o are set with its mode, cursors excepted.
		if id := now.value("CRTC_ID"); id != 0 && (id != uint64(o.crtc.id) || q.kind == planeCursor) {
			r.remove(q)
		}
	}
	if r.nobj == 0 {
		return nil
	}
	if err := r.commit(atomicAllowModeset, 0); err != nil && !unsupported(err) {
		return err
	}
	return nil
}

// snapshot is what a card showed before this program.
type snapshot struct {
	objects []savedObject
	modes   map[uint32]modeInfo // by CRTC
	shown   bool                // there was a picture
}

type savedObject struct {
	object
	kind uint32
}

// restorable are the properties that make up what is on a screen.
var restorable = []string{"CRTC_ID", "ACTIVE", "FB_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H",
	"CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H", "rotation"}

// save remembers what the card shows.
func (c *card) save() (*snapshot, error) {
	s := &snapshot{modes: map[uint32]modeInfo{}}
	add := func(o *object, kind uint32) error {
		saved, err := c.object(o.id, kind, o.index)
		if err == nil {
			s.objects = append(s.objects, savedObject{saved, kind})
			s.shown = s.shown || saved.value("FB_ID") != 0
		}
		return err
	}
	for _, n := range c.connectors {
		if n.kind == connectorWriteback {
			continue
		}
		if err := add(&n.object, objectConnector); err != nil {
			return nil, err
		}
	}
	for i := range c.crtcs {
		if err := add(&c.crtcs[i], objectCRTC); err != nil {
			return nil, err
		}
		b, err := c.blob(uint32(s.objects[len(s.objects)-1].value("MODE_ID")))
		if err == nil && len(b) >= int(unsafe.Sizeof(modeInfo{})) {
			var m modeInfo
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&m)), unsafe.Sizeof(m)), b)
			s.modes[c.crtcs[i].id] = m
		}
	}
	for _, q := range c.planes {
		if err := add(&q.object, objectPlane); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// restore puts back what was shown, if its frame buffers still exist: the
// kernel's console, usually, which the kernel would bring back by itself only
// when no other program holds the card open. Else it switches off.
func (d *Display) restore() error {
	if !d.saved.shown {
		return d.switchOff()
	}
	r := newRequest(d.card)
	defer r.free()
	var blobs []uint32
	defer func() {
		for _, b := range blobs {
			d.card.destroyBlob(b)
		}
	}()
	for i := range d.saved.objects {
		o := &d.saved.objects[i]
		r.object(&o.object)
		for _, name := range restorable {
			if p, ok := o.props[name]; ok && p.flags&propImmutable == 0 {
				r.set(name, p.value)
			}
		}
		if o.kind != objectCRTC {
			continue
		}
		var blob uint32
		if m, ok := d.saved.modes[o.id]; ok {
			b, err := d.card.modeBlob(m)
			if err != nil {
				return errors.Join(err, d.switchOff())
			}
			blob, blobs = b, append(blobs, b)
		}
		r.set("MODE_ID", uint64(blob))
	}
	if err := r.commit(atomicAllowModeset, 0); err != nil {
		return d.switchOff() // the picture is gone with its program
	}
	return nil
}

// switchOff darkens the output.
func (d *Display) switchOff() error {
	d.mu.Lock()
	d.lit = d.out != nil
	d.mu.Unlock()
	return d.pause()
}
