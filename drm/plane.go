package drm

import (
	"encoding/binary"
	"slices"
)

// plane is a layer that the display controller reads from memory.
type plane struct {
	object
	kind    uint64 // overlay, primary or cursor
	crtcs   uint32 // mask of CRTCs it can serve
	formats map[Format][]Modifier
}

func (c *card) readPlanes() error {
	var p pins
	defer p.Unpin()
	var g getPlaneRes
	var ids []uint32
	size := func() error {
		ids = make([]uint32, min(g.countPlanes, maxObjects))
		g = getPlaneRes{planeIDPtr: pin(&p, ids), countPlanes: uint32(len(ids))}
		return nil
	}
	if err := list(c, callGetPlaneRes, &g, size, func() bool { return int(g.countPlanes) > len(ids) }); err != nil {
		return err
	}
	c.planes = nil
	for i, id := range ids[:min(len(ids), int(g.countPlanes))] {
		q, err := c.readPlane(id, i)
		if err != nil {
			return err
		}
		c.planes = append(c.planes, q)
	}
	return nil
}

func (c *card) readPlane(id uint32, index int) (*plane, error) {
	var p pins
	defer p.Unpin()
	g := getPlane{planeID: id}
	var formats []uint32
	size := func() error {
		formats = make([]uint32, min(g.countFormatTypes, maxObjects))
		g = getPlane{planeID: id, formatTypePtr: pin(&p, formats), countFormatTypes: uint32(len(formats))}
		return nil
	}
	if err := list(c, callGetPlane, &g, size, func() bool { return int(g.countFormatTypes) > len(formats) }); err != nil {
		return nil, err
	}
	o, err := c.object(id, objectPlane, index)
	if err != nil {
		return nil, err
	}
	q := &plane{object: o, kind: o.value("type"), crtcs: g.possibleCRTCs}
	if blob, err := c.blob(uint32(o.value("IN_FORMATS"))); err == nil {
		q.formats = parseInFormats(blob)
	}
	if len(q.formats) == 0 {
		// A driver without modifiers: linear, or what it knows by itself.
		q.formats = map[Format][]Modifier{}
		for _, f := range formats[:min(len(formats), int(g.countFormatTypes))] {
			q.formats[Format(f)] = []Modifier{Linear}
		}
	}
	return q, nil
}

// parseInFormats reads the IN_FORMATS blob: a list of formats, and a list of
// modifiers each with a 64-bit mask of the formats, from an offset on, that it
// goes with (drm_mode.h, struct drm_format_modifier_blob).
func parseInFormats(b []byte) map[Format][]Modifier {
	le := binary.LittleEndian
	if len(b) < 24 || le.Uint32(b) != 1 {
		return nil
	}
	table := func(count, offset uint32, size int) []byte {
		if uint64(offset)+uint64(count)*uint64(size) > uint64(len(b)) {
			return nil
		}
		return b[offset:][:int(count)*size]
	}
	formats := table(le.Uint32(b[8:]), le.Uint32(b[12:]), 4)
	modifiers := table(le.Uint32(b[16:]), le.Uint32(b[20:]), 24)
	out := map[Format][]Modifier{}
	for ; len(modifiers) > 0; modifiers = modifiers[24:] {
		mask, m := le.Uint64(modifiers), Modifier(le.Uint64(modifiers[16:]))
		for bit := range 64 {
			at := (uint64(le.Uint32(modifiers[8:])) + uint64(bit)) * 4
			if mask>>bit&1 == 0 || at+4 > uint64(len(formats)) {
				continue
			}
			f := Format(le.Uint32(formats[at:]))
			if !slices.Contains(out[f], m) {
				out[f] = append(out[f], m)
			}
		}
	}
	return out
}

// takes reports whether the plane can read a format laid out so.
func (q *plane) takes(f Format, m Modifier) bool {
	list, ok := q.formats[f]
	if !ok {
		return false
	}
	return m == Implicit || slices.ContainsFunc(list, func(l Modifier) bool { return l.kind() == m.kind() })
}

// rotates reports whether the plane can show its picture turned.
func (q *plane) rotates(r Rotation) bool {
	if r == Upright {
		return true
	}
	p, ok := q.props["rotation"]
	if !ok {
		return false
	}
	var can uint64
	for _, bit := range p.enums { // a bitmask's values are bit numbers
		can |= 1 << (bit & 63)
	}
	return uint64(r)&^can == 0
}

// above orders planes from bottom to top: by "zpos" where there is one, else
// primary, overlays, cursor, each in the driver's order.
func above(a, b *plane) int {
	za, oka := a.props["zpos"]
	zb, okb := b.props["zpos"]
	if oka && okb && za.value != zb.value {
		if za.value < zb.value {
			return -1
		}
		return 1
	}
	rank := func(q *plane) int {
		switch q.kind {
		case planePrimary:
			return 0
		case planeOverlay:
			return 1
		}
		return 2
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return a.index - b.index
}

// planesFor lists the planes a CRTC can use, bottom first, cursors left out:
// they are small and take few formats.
func (c *card) planesFor(crtc *object) []*plane {
	var out []*plane
	for _, q := range c.planes {
		if q.crtcs&(1<<crtc.index) != 0 && q.kind != planeCursor {
			out = append(out, q)
		}
	}
	slices.SortStableFunc(out, above)
	return out
}
