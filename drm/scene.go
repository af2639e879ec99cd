package drm

import (
	"errors"
	"fmt"
)

// shape is everything about a picture but its memory.
type shape struct {
	format        Format
	modifier      Modifier
	width, height int // of the frame buffer
	source, dest  Rect
	color         Color
}

// scene is what is to be seen: a base picture, and one over it. A zero shape is
// no picture.
type scene struct{ base, over shape }

// placement is a picture on a plane, in screen coordinates as the hardware
// counts them.
type placement struct {
	plane        *plane
	source, dest Rect
}

// plan is a way to show a scene.
type plan struct {
	base, over placement
	curtain    bool // black on the primary plane behind the base picture
	modeset    bool // the driver wants ALLOW_MODESET for it

	refusal error // there is no way: why
}

// Scaled reports whether the base picture is scaled by the hardware.
func (p *plan) scaled() bool {
	return p.base.source.W != p.base.dest.W || p.base.source.H != p.base.dest.H
}

// shapeOf works out where a picture goes on a screen of w by h pixels.
func shapeOf(p *Picture, w, h int) (shape, error) {
	fb := p.FB
	if fb == nil {
		return shape{}, nil
	}
	s := shape{format: fb.Format, modifier: fb.Modifier, width: fb.Width, height: fb.Height, source: p.Source, dest: p.Dest}
	if fb.Format.IsYUV() {
		s.color = p.Color
	}
	if int(s.color.Encoding) >= len(encodingNames) || int(s.color.Range) >= len(rangeNames) {
		return shape{}, fmt.Errorf("drm: picture %d: bad colour %v", p.ID, p.Color)
	}
	if s.source == (Rect{}) {
		s.source = Rect{0, 0, fb.Width, fb.Height}
	}
	if !s.source.in(fb.Width, fb.Height) {
		return shape{}, fmt.Errorf("drm: picture %d: source %v is not inside its %dx%d frame buffer", p.ID, p.Source, fb.Width, fb.Height)
	}
	s.source = s.source.evenOrigin(fb.Format)
	if s.dest == (Rect{}) {
		s.dest = Letterbox(s.source.W, s.source.H, Rect{0, 0, w, h})
	}
	if !s.dest.in(w, h) {
		return shape{}, fmt.Errorf("drm: picture %d: destination %v is not inside the %dx%d screen", p.ID, p.Dest, w, h)
	}
	return s, nil
}

// maxPlans bounds how many scenes are remembered: a stream has a handful.
const maxPlans = 64

// planFor finds a way to show a scene, by asking the kernel the first time and
// from memory later. base and over are pictures of these shapes. A scene that
// the hardware cannot show gives an error that is ErrUnsupported.
func (d *Display) planFor(sc *scene, base, over *Framebuffer) (*plan, error) {
	p := d.plans[*sc]
	if p == nil {
		var err error
		p, err = d.search(sc, base, over)
		if err != nil && !unsupported(err) {
			return nil, err // no verdict: not to be remembered
		}
		if p == nil {
			p = &plan{refusal: errors.Join(d.unsupported(sc), err)}
		}
		if len(d.plans) >= maxPlans {
			clear(d.plans)
		}
		d.plans[*sc] = p
	}
	return p, p.refusal
}

func (d *Display) unsupported(sc *scene) error {
	o := ""
	if sc.over != (shape{}) {
		o = fmt.Sprintf(" under %dx%d %v", sc.over.dest.W, sc.over.dest.H, sc.over.format)
	}
	return fmt.Errorf("drm: %s: %w: %dx%d %v %v as %dx%d%s", d.card.path, ErrUnsupported,
		sc.base.source.W, sc.base.source.H, sc.base.format, sc.base.modifier, sc.base.dest.W, sc.base.dest.H, o)
}

// search tests one candidate after the other and gives the first that passes,
// or the last refusal, or the first failure that is no refusal.
func (d *Display) search(sc *scene, base, over *Framebuffer) (*plan, error) {
	var refusal error
	for _, p := range d.candidates(sc) {
		for _, modeset := range []bool{false, true} {
			p.modeset = modeset
			flags := uint32(atomicTestOnly)
			if modeset {
				flags |= atomicAllowModeset
			}
			d.req.reset()
			d.fill(d.req, &p, sc, base, over)
			err := d.req.commit(flags, 0)
			if err == nil {
				return &p, nil
			}
			if !unsupported(err) {
				return nil, err
			}
			refusal = err
		}
	}
	return nil, refusal
}

// candidates lists the ways to show a scene, the best first: on the primary
// plane alone, which costs the least memory bandwidth; on an overlay, for
// drivers whose primary plane takes fewer formats or must cover the screen,
// then with black behind it; and each of these unscaled in the middle of the
// screen, for hardware that cannot scale. A picture larger than the screen is
// not shown in part: the caller can scale it in software.
func (d *Display) candidates(sc *scene) []plan {
	var out []plan
	w, h := d.out.mode.Width, d.out.mode.Height
	dests := []Rect{sc.base.dest}
	if s := sc.base.source; (s.W != sc.base.dest.W || s.H != sc.base.dest.H) && s.W <= w && s.H <= h {
		dests = append(dests, Rect{0, 0, w, h}.center(s.W, s.H))
	}
	for _, dest := range dests {
		overlays := 0
		for i, q := range d.out.planes {
			if !q.takes(sc.base.format, sc.base.modifier) || !q.rotates(d.rotation) {
				continue
			}
			p := plan{base: placement{q, sc.base.source, dest.turn(d.rotation, w, h)}}
			if sc.over != (shape{}) {
				if p.over = d.placeOver(&sc.over, d.out.planes[i+1:]); p.over.plane == nil {
					continue
				}
			}
			if q.kind == planePrimary {
				out = append(out, p)
				continue
			}
			if overlays++; overlays > 1 {
				continue // they are all alike
			}
			out = append(out, p)
			if d.out.primary() != nil && d.black != nil {
				p.curtain = true
				out = append(out, p)
			}
		}
	}
	return out
}

// placeOver finds a plane for the upper picture among those above the lower's.
func (d *Display) placeOver(s *shape, planes []*plane) placement {
	for _, q := range planes {
		if q.kind == planeOverlay && q.takes(s.format, s.modifier) && q.rotates(d.rotation) {
			return placement{q, s.source, s.dest.turn(d.rotation, d.out.mode.Width, d.out.mode.Height)}
		}
	}
	return placement{}
}

// fill writes a whole plan into a request: every plane that has been used is
// set or taken off.
func (d *Display) fill(r *request, p *plan, sc *scene, base, over *Framebuffer) {
	crtc := d.out.crtc.id
	for _, q := range d.out.planes {
		switch {
		case q == p.base.plane && base != nil:
			r.place(&p.base, crtc, base, sc.base.color, d.rotation)
		case q == p.over.plane && over != nil:
			r.place(&p.over, crtc, over, sc.over.color, d.rotation)
		case p.curtain && q == d.out.primary():
			full := Rect{0, 0, d.out.mode.Width, d.out.mode.Height}
			r.place(&placement{q, full, full}, crtc, d.black, Color{}, Upright)
		case d.out.used[q.index]:
			r.remove(q)
		}
	}
}

// uses records which planes a plan has put something on.
func (o *output) use(p *plan) {
	for _, q := range o.planes {
		if q == p.base.plane || q == p.over.plane || p.curtain && q == o.primary() {
			o.used[q.index] = true
		}
	}
}
