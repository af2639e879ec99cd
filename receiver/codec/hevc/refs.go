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

func (s *SPS) parseRefs(r *h264.BitReader) {
	n := int(r.UEMax("num_short_term_ref_pic_sets", maxRefPicSets))
	for i := 0; i < n && r.Err() == nil; i++ {
		var set RefPicSet
		if i > 0 && r.Flag() {
			set = predictRefPicSet(r, s.RefPicSets[i-1])
		} else {
			set = readRefPicSet(r)
		}
		if len(set.Refs) > maxPictures {
			r.Fail(fmt.Errorf("reference picture set of %d pictures", len(set.Refs)))
			return
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

func readRefPicSet(r *h264.BitReader) (set RefPicSet) {
	negative := int(r.UEMax("num_negative_pics", maxPictures))
	positive := int(r.UEMax("num_positive_pics", maxPictures))
	set.Negative = negative
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
		set.Refs = append(set.Refs, RefPicDelta{poc, r.Flag()})
	}
	return set
}

// predictRefPicSet reads a set that is told as a shift of the one before it
// (equations 7-61 and 7-62).
func predictRefPicSet(r *h264.BitReader, ref RefPicSet) (set RefPicSet) {
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
			set.Refs = append(set.Refs, RefPicDelta{poc, c.used})
		}
	}
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
	return set
}
