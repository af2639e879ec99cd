package hevc

import (
	"errors"
	"fmt"
)

// references reads the order count of a picture that is not IDR and which
// pictures it and those after it may refer to.
func (p *sliceParser) references(h *SliceHeader) {
	r, s := &p.r, p.sps
	h.POCLSB = uint16(r.U(int(s.POCBits)))
	if n := len(s.RefPicSets); !r.Flag() {
		p.ownRefPics(h)
	} else if n == 0 {
		r.Fail(errors.New("a reference picture set of the sequence, which has none"))
	} else if i := r.U(ceilLog2(n)); int(i) < n {
		h.setIndex = int8(i)
	} else {
		r.Fail(fmt.Errorf("short_term_ref_pic_set_idx is %d of %d", i, n))
	}
	if s.LongTermRefPics {
		start := r.BitPos()
		p.longTerm(h)
		h.LongTermBits = uint16(r.BitPos() - start)
	}
	h.TemporalMVP = s.TemporalMVP && r.Flag()
	if r.Err() != nil {
		return
	}
	for _, d := range h.RefPics(s).Refs {
		if d.Used {
			h.total++
		}
	}
	for _, l := range h.LongTerm[:h.LongTermPics] {
		if l.Used {
			h.total++
		}
	}
	if h.total > maxPictures {
		r.Fail(fmt.Errorf("%d reference pictures", h.total))
	}
}

// ownRefPics reads a reference picture set that the slice header holds itself.
func (p *sliceParser) ownRefPics(h *SliceHeader) {
	r, sets := &p.r, p.sps.RefPicSets
	start := r.BitPos()
	set := RefPicSet{Refs: h.own[:0]}
	if len(sets) > 0 && r.Flag() {
		back := 1 + int(r.UEMax("delta_idx_minus1", uint32(len(sets)-1)))
		ref := &sets[len(sets)-back]
		set.predict(r, ref)
		h.DeltaPOCsOfRefSet = uint8(len(ref.Refs))
	} else {
		set.read(r)
	}
	if r.Err() != nil {
		return
	}
	h.ownNegative, h.ownCount = uint8(set.Negative), uint8(len(set.Refs))
	h.ShortTermBits = uint16(r.BitPos() - start)
}

func (p *sliceParser) longTerm(h *SliceHeader) {
	r, s := &p.r, p.sps
	fromSPS := 0
	if n := len(s.LongTermRefs); n > 0 {
		fromSPS = int(r.UEMax("num_long_term_sps", uint32(min(n, maxPictures))))
	}
	n := fromSPS + int(r.UEMax("num_long_term_pics", maxPictures))
	if n > maxPictures {
		r.Fail(fmt.Errorf("%d long-term reference pictures, at most %d are possible", n, maxPictures))
		return
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		l := &h.LongTerm[i]
		if i < fromSPS {
			at := r.U(ceilLog2(len(s.LongTermRefs)))
			if int(at) >= len(s.LongTermRefs) {
				r.Fail(fmt.Errorf("lt_idx_sps is %d of %d", at, len(s.LongTermRefs)))
				return
			}
			l.POCLSB, l.Used = s.LongTermRefs[at].POCLSB, s.LongTermRefs[at].Used
		} else {
			l.POCLSB = uint16(r.U(int(s.POCBits)))
			l.Used = r.Flag()
		}
		if l.MSB = r.Flag(); l.MSB {
			l.MSBCycle = r.UEMax("delta_poc_msb_cycle_lt", 1<<28)
		}
		if i > 0 && i != fromSPS {
			l.MSBCycle += h.LongTerm[i-1].MSBCycle
		}
	}
	h.LongTermPics = uint8(n)
}

// inter reads what a P or B slice says of its references.
func (p *sliceParser) inter(h *SliceHeader) {
	r, pps, b := &p.r, p.pps, h.SliceType == SliceB
	h.RefIdxL0 = pps.RefIdxL0
	if b {
		h.RefIdxL1 = pps.RefIdxL1
	}
	if r.Flag() { // num_ref_idx_active_override_flag
		h.RefIdxL0 = uint8(1 + r.UEMax("num_ref_idx_l0_active_minus1", 14))
		if b {
			h.RefIdxL1 = uint8(1 + r.UEMax("num_ref_idx_l1_active_minus1", 14))
		}
	}
	if h.total == 0 {
		r.Fail(errors.New("a predicted slice without reference pictures"))
		return
	}
	if pps.ListsModification && h.total > 1 {
		p.modify(&h.modification[0], h.RefIdxL0, h.total)
		if b {
			p.modify(&h.modification[1], h.RefIdxL1, h.total)
		}
	}
	h.MVDL1Zero = b && r.Flag()
	h.CABACInit = pps.CABACInit && r.Flag()
	if h.TemporalMVP {
		h.CollocatedL0 = !b || r.Flag()
		n := h.RefIdxL0
		if !h.CollocatedL0 {
			n = h.RefIdxL1
		}
		if n > 1 {
			h.CollocatedRef = uint8(r.UEMax("collocated_ref_idx", uint32(n-1)))
		}
	}
	if pps.WeightedPred && !b || pps.WeightedBipred && b {
		h.Weights.parse(r, p.sps.chromaArrayType() != 0, h.RefIdxL0, h.RefIdxL1)
	}
	h.MaxMergeCand = 5 - uint8(r.UEMax("five_minus_max_num_merge_cand", 4))
}

func (p *sliceParser) modify(m *listModification, active, total uint8) {
	if m.present = p.r.Flag(); !m.present {
		return
	}
	for i := range active {
		v := p.r.U(ceilLog2(int(total)))
		if v >= uint32(total) {
			p.r.Fail(fmt.Errorf("list_entry is %d of %d", v, total))
			return
		}
		m.entries[i] = uint8(v)
	}
}
