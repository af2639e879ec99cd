package hevc

import "aerie/receiver/codec/h264"

// PredWeights are the parameters of weighted prediction (ITU-T H.265 section
// 7.3.6.3): of each entry of the two reference lists, what its weight differs
// from 1 << Log2Denom, and what is added. Where a list says nothing, all is 0.
type PredWeights struct {
	LumaLog2Denom   uint8 // 0 to 7
	ChromaLog2Denom uint8 // 0 to 7
	Lists           [2][maxPictures]PredWeight
}

// PredWeight belongs to one entry of a reference list.
type PredWeight struct {
	LumaDelta    int8
	LumaOffset   int8
	ChromaDelta  [2]int8 // Cb, Cr
	ChromaOffset [2]int8 // ChromaOffsetL0 or L1, derived from what the header codes
}

func (w *PredWeights) parse(r *h264.BitReader, chroma bool, l0, l1 uint8) {
	w.LumaLog2Denom = uint8(r.UEMax("luma_log2_weight_denom", 7))
	if chroma {
		d := int32(w.LumaLog2Denom)
		w.ChromaLog2Denom = uint8(d + r.SERange("delta_chroma_log2_weight_denom", -d, 7-d))
	}
	w.parseList(r, &w.Lists[0], chroma, l0)
	w.parseList(r, &w.Lists[1], chroma, l1)
}

// parseList reads the weights of one list. All flags come before all weights.
func (w *PredWeights) parseList(r *h264.BitReader, list *[maxPictures]PredWeight, chroma bool, n uint8) {
	if n == 0 {
		return
	}
	var luma, both [maxPictures]bool
	for i := range n {
		luma[i] = r.Flag()
	}
	for i := range n {
		both[i] = chroma && r.Flag()
	}
	for i := range n {
		e := &list[i]
		if luma[i] {
			e.LumaDelta = int8(r.SERange("delta_luma_weight", -128, 127))
			e.LumaOffset = int8(r.SERange("luma_offset", -128, 127))
		}
		for c := 0; both[i] && c < len(e.ChromaDelta); c++ {
			e.ChromaDelta[c] = int8(r.SERange("delta_chroma_weight", -128, 127))
			coded := r.SERange("delta_chroma_offset", -512, 511)
			weight := 1<<w.ChromaLog2Denom + int32(e.ChromaDelta[c])
			// Equation 7-56.
			e.ChromaOffset[c] = int8(min(max(128+coded-128*weight>>w.ChromaLog2Denom, -128), 127))
		}
	}
}
