package hevc

import "fmt"

// references marks the pictures in the buffer by the reference picture set of
// the present one: what is in neither of its parts leaves (section 8.3.2).
func (t *Tracker) references(h *SliceHeader, restart bool) error {
	b, p := &t.dpb, &t.pic
	var keep [maxPictures]marking
	if !restart {
		mask := int32(1)<<p.SPS.POCBits - 1
		for _, l := range h.LongTerm[:h.LongTermPics] {
			poc, bits := l.order(p.POC, mask)
			if i := b.find(poc, bits, true); i >= 0 {
				keep[i] = longTerm
			}
		}
		for _, d := range h.RefPics(p.SPS).Refs {
			if i := b.find(p.POC+d.DeltaPOC, -1, false); i >= 0 && keep[i] == unused {
				keep[i] = shortTerm
			}
		}
	}
	for i := range b.pics {
		b.pics[i].mark = keep[i]
	}
	if n := b.references(); n >= maxPictures {
		return fmt.Errorf("hevc: %d reference pictures beside the present one, at most %d are possible", n, maxPictures-1)
	}
	return nil
}

// order returns the order count of a long-term picture, and the bits of it
// that are known.
func (l *LongTermPic) order(now, mask int32) (poc, bits int32) {
	if !l.MSB {
		return int32(l.POCLSB), mask
	}
	// The cycle is at most 2^28 a picture; what overflows matches no picture.
	return int32(l.POCLSB) + now - int32(l.MSBCycle)*(mask+1) - now&mask, -1
}

// describe lists the reference pictures for a decoder, the part of the set
// that the present picture uses, and the lists of each slice. A key frame uses
// none: what its set names may be absent.
func (t *Tracker) describe(h *SliceHeader) error {
	p, b := &t.pic, &t.dpb
	p.Refs = t.refs[:0]
	for _, s := range b.pics {
		if s.mark != unused {
			p.Refs = append(p.Refs, Ref{s.token, s.poc, s.mark == longTerm})
		}
	}
	p.Before, p.After, p.LongTerm = t.before[:0], t.after[:0], t.lt[:0]
	if p.Type.IsIRAP() {
		return nil
	}
	set := h.RefPics(p.SPS)
	for i, d := range set.Refs {
		if !d.Used {
			continue
		}
		at, err := t.lookUp(p.POC+d.DeltaPOC, -1, false)
		if err != nil {
			return err
		}
		if i < set.Negative {
			p.Before = append(p.Before, at)
		} else {
			p.After = append(p.After, at)
		}
	}
	mask := int32(1)<<p.SPS.POCBits - 1
	for _, l := range h.LongTerm[:h.LongTermPics] {
		if !l.Used {
			continue
		}
		poc, bits := l.order(p.POC, mask)
		at, err := t.lookUp(poc, bits, true)
		if err != nil {
			return err
		}
		p.LongTerm = append(p.LongTerm, at)
	}
	for i := range p.Slices {
		t.lists(&p.Slices[i])
	}
	return nil
}

// lookUp finds a reference picture among those told to the decoder. For a lost
// one it puts the nearest there is.
func (t *Tracker) lookUp(poc, mask int32, long bool) (uint8, error) {
	p := &t.pic
	for i, r := range p.Refs {
		if r.LongTerm == long && r.POC&mask == poc&mask {
			return uint8(i), nil
		}
	}
	near := t.dpb.nearest(poc)
	if near < 0 {
		return 0, fmt.Errorf("%w: order count %d refers to %d", ErrNoReference, p.POC, poc)
	}
	p.Missing++
	token := t.dpb.pics[near].token
	if len(p.Refs) < MaxRefs {
		p.Refs = append(p.Refs, Ref{token, poc, long})
		return uint8(len(p.Refs) - 1), nil
	}
	for i, r := range p.Refs {
		if r.Token == token {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%w: order count %d refers to %d", ErrNoReference, p.POC, poc)
}

// lists builds the reference picture lists of a slice (section 8.3.4).
func (t *Tracker) lists(s *Slice) {
	p := &t.pic
	s.Lists = [2][MaxRefs]uint8{}
	if s.SliceType != SliceI {
		t.list(s, 0, s.RefIdxL0, p.Before, p.After)
	}
	if s.SliceType == SliceB {
		t.list(s, 1, s.RefIdxL1, p.After, p.Before)
	}
}

// list builds one list: the candidates over and over, until it is full, or the
// order that the header gives.
func (t *Tracker) list(s *Slice, which int, active uint8, near, far []uint8) {
	c := append(append(append(t.candidates[:0], near...), far...), t.pic.LongTerm...)
	m := &s.modification[which]
	for i := range active {
		at := int(i) % len(c)
		if m.present {
			at = int(m.entries[i])
		}
		s.Lists[which][i] = c[at]
	}
}
