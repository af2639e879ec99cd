package drm

import (
	"errors"
	"fmt"
)

// request is an atomic commit under construction. Its arrays live as long as
// it does and are pinned once, so that filling and sending it allocates
// nothing.
type request struct {
	card   *card
	pins   pins
	objs   [128]uint32
	counts [128]uint32
	props  [1024]uint32
	values [1024]uint64
	nobj   int
	nprop  int
	full   bool
	last   *object
	raw    atomic
}

func newRequest(c *card) *request {
	r := &request{card: c}
	r.raw.objsPtr, r.raw.countPropsPtr = pin(&r.pins, r.objs[:]), pin(&r.pins, r.counts[:])
	r.raw.propsPtr, r.raw.propValuesPtr = pin(&r.pins, r.props[:]), pin(&r.pins, r.values[:])
	return r
}

// free ends the pinning; the request must not be used again.
func (r *request) free() { r.pins.Unpin() }

func (r *request) reset() { r.nobj, r.nprop, r.full, r.last = 0, 0, false, nil }

// object begins the properties of an object.
func (r *request) object(o *object) {
	if r.nobj == len(r.objs) {
		r.full = true
		return
	}
	r.objs[r.nobj], r.counts[r.nobj], r.last = o.id, 0, o
	r.nobj++
}

// set gives the current object's property a value; a property that the object
// lacks is left out.
func (r *request) set(name string, v uint64) {
	id := r.last.prop(name)
	if id == 0 {
		return
	}
	if r.full || r.nprop == len(r.props) {
		r.full = true
		return
	}
	r.props[r.nprop], r.values[r.nprop] = id, v
	r.nprop++
	r.counts[r.nobj-1]++
}

// setEnum gives a property the value of that name, if there is one.
func (r *request) setEnum(property, name string) {
	if p, ok := r.last.props[property]; ok {
		if v, ok := p.enums[name]; ok {
			r.set(property, v)
		}
	}
}

var errRequestFull = errors.New("more properties than a commit has room for")

// commit sends the request; user comes back in its page-flip event.
func (r *request) commit(flags uint32, user uint64) error {
	if r.full {
		return fmt.Errorf("drm: %s: %w", r.card.path, errRequestFull)
	}
	r.raw.flags, r.raw.countObjs, r.raw.userData = flags, uint32(r.nobj), user
	return on(r.card, callAtomic, &r.raw)
}

// place puts a frame buffer on a plane. Source coordinates are 16.16 fixed
// point.
func (r *request) place(p *placement, crtc uint32, fb *Framebuffer, color Color, rot Rotation) {
	r.object(&p.plane.object)
	r.set("FB_ID", uint64(fb.id))
	r.set("CRTC_ID", uint64(crtc))
	r.set("SRC_X", uint64(p.source.X)<<16)
	r.set("SRC_Y", uint64(p.source.Y)<<16)
	r.set("SRC_W", uint64(p.source.W)<<16)
	r.set("SRC_H", uint64(p.source.H)<<16)
	r.set("CRTC_X", uint64(int64(p.dest.X)))
	r.set("CRTC_Y", uint64(int64(p.dest.Y)))
	r.set("CRTC_W", uint64(p.dest.W))
	r.set("CRTC_H", uint64(p.dest.H))
	r.set("rotation", uint64(rot))
	if fb.Format.IsYUV() {
		r.setEnum("COLOR_ENCODING", encodingNames[color.Encoding])
		r.setEnum("COLOR_RANGE", rangeNames[color.Range])
	}
	// What an earlier program may have left.
	r.set("alpha", 0xffff)
	r.setEnum("pixel blend mode", "Pre-multiplied")
}

// remove takes a plane off the screen.
func (r *request) remove(q *plane) {
	r.object(&q.object)
	r.set("FB_ID", 0)
	r.set("CRTC_ID", 0)
}
