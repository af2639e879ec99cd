package hevc

import (
	"fmt"

	"aerie/receiver/codec/h264"
)

// RefPicSet is a short-term reference picture set (ITU-T H.265 section
// 7.4.8): the pictures, by their distance in order count from the present
// one, that stay in the buffer. Those shown earlier come first, nearest
// first, then those shown later.
type RefPicSet struct {
	Negative int           // how many of Refs are shown earlier
	Refs     []RefPicDelta // at most 16
}

// RefPicDelta is one picture of a RefPicSet.
type RefPicDelta struct {
	DeltaPOC int32
	Used     bool // by the present picture; else only by later ones
}

// parseRefs reads the sets that a sequence parameter set lists.
func (s *SPS) parseRefs(r *h264.BitReader) {
	n := int(r.UEMax("num_short_term_ref_pic_sets", maxRefPicSets))
	for i := 0; i < n && r.Err() == nil; i++ {
		var set RefPicSet
		if i > 0 && r.Flag() {
			set.predict(r, &s.RefPicSets[i-1])
		} else {
			set.read(r)
		}
		s.RefPicSets = append(s.RefPicSets, set)
	}
	if s.LongTermRefPics = r.Flag(); s.LongTermRefPics {
		n := int(r.UEMax("num_long_term_ref_pics_sps", maxLongTerm))
		for i := 0; i < n && r.Err() == nil; i++ {
			s.LongTermRefs = append(s.LongTermRefs, LongTermRef{uint16(r.U(int(s.POCBits))), r.Flag()})
		}
	}
}

const maxDeltaPOC = 1<<15 - 1

// add appends a picture, unless the set is full.
func (set *RefPicSet) add(r *h264.BitReader, p RefPicDelta) {
	if len(set.Refs) == maxPictures {
		r.Fail(fmt.Errorf("reference picture set of more than %d pictures", maxPictures))
		return
	}
	set.Refs = append(set.Refs, p)
}

// read reads a set that stands for itself. The memory of Refs is used again.
func (set *RefPicSet) read(r *h264.BitReader) {
	negative := int(r.UEMax("num_negative_pics", maxPictures))
	positive := int(r.UEMax("num_positive_pics", maxPictures))
	set.Negative, set.Refs = negative, set.Refs[:0]
	poc := int32(0)
	for i := 0; i < negative+positive && r.Err() == nil; i++ {
		if i == negative {
			poc = 0
		}
		step := int32(1 + r.UEMax("delta_poc_minus1", maxDeltaPOC))
		if i < negative {
			step = -step
		}
		poc += step
		set.add(r, RefPicDelta{poc, r.Flag()})
	}
}

// predict reads a set that is told as a shift of another one (equations 7-61
// and 7-62). The memory of Refs is used again.
func (set *RefPicSet) predict(r *h264.BitReader, ref *RefPicSet) {
	negative := r.Flag()
	shift := int32(1 + r.UEMax("abs_delta_rps_minus1", maxDeltaPOC))
	if negative {
		shift = -shift
	}
	// One candidate for each picture of the reference and one for itself.
	var candidates [maxPictures + 1]struct{ used, kept bool }
	for j := range len(ref.Refs) + 1 {
		c := &candidates[j]
		c.used = r.Flag()
		c.kept = c.used || r.Flag() // use_delta_flag
	}
	add := func(j int, sign int32) {
		poc := shift
		if j < len(ref.Refs) {
			poc += ref.Refs[j].DeltaPOC
		}
		if c := candidates[j]; c.kept && poc*sign > 0 {
			set.add(r, RefPicDelta{poc, c.used})
		}
	}
	set.Refs = set.Refs[:0]
	for j := len(ref.Refs) - 1; j >= ref.Negative; j-- {
		add(j, -1)
	}
	add(len(ref.Refs), -1)
	for j := range ref.Negative {
		add(j, -1)
	}
	set.Negative = len(set.Refs)
	for j := ref.Negative - 1; j >= 0; j-- {
		add(j, 1)
	}
	add(len(ref.Refs), 1)
	for j := ref.Negative; j < len(ref.Refs); j++ {
		add(j, 1)
	}
}
