package h264

import (
	"fmt"
	"math/bits"
)

// PPS is a picture parameter set (ITU-T H.264 section 7.3.2.2): what a parser
// of slice headers needs of it.
type PPS struct {
	ID, SPSID            uint8
	CABAC                bool // entropy_coding_mode_flag
	BottomFieldPicOrder  bool
	SliceGroups          uint8 // 1 to 8
	SliceGroupMapType    uint8
	SliceGroupChangeRate uint32 // map types 3 to 5
	RefIdxL0, RefIdxL1   uint8  // num_ref_idx_default_active, 1 to 32
	WeightedPred         bool
	WeightedBipred       uint8
	InitQP, InitQS       int8 // pic_init_qp, pic_init_qs: plain, not minus 26
	ChromaQPOffset       int8
	SecondChromaQPOffset int8
	DeblockingControl    bool
	ConstrainedIntraPred bool
	RedundantPicCnt      bool
	Transform8x8         bool
	ScalingMatrix        bool
}

// ParsePPS parses a picture parameter set, a NAL unit of type 8 with its
// header byte. The set of scaling lists depends on the chroma format of the
// sequence parameter set it refers to; sps nil stands for 4:2:0 at 8 bits.
func ParsePPS(nal []byte, sps *SPS) (*PPS, error) {
	if TypeOf(nal) != TypePPS {
		return nil, fmt.Errorf("h264: PPS: NAL unit of %d bytes has type %d", len(nal), TypeOf(nal))
	}
	if sps == nil {
		sps = &SPS{ChromaFormat: 1, BitDepthLuma: 8}
	}
	r := NewBitReader(nal[1:])
	p := new(PPS)
	p.parse(&r, sps)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("h264: PPS: %w", err)
	}
	return p, nil
}

func (p *PPS) parse(r *BitReader, sps *SPS) {
	p.ID = uint8(r.UEMax("pic_parameter_set_id", 255))
	p.SPSID = uint8(r.UEMax("seq_parameter_set_id", 31))
	p.CABAC = r.Flag()
	p.BottomFieldPicOrder = r.Flag()
	p.SliceGroups = 1 + uint8(r.UEMax("num_slice_groups_minus1", 7))
	if p.SliceGroups > 1 {
		p.parseSliceGroups(r)
	}
	p.RefIdxL0 = 1 + uint8(r.UEMax("num_ref_idx_l0_default_active_minus1", 31))
	p.RefIdxL1 = 1 + uint8(r.UEMax("num_ref_idx_l1_default_active_minus1", 31))
	p.WeightedPred = r.Flag()
	p.WeightedBipred = uint8(r.U(2))
	bdOffset := 6 * (int32(sps.BitDepthLuma) - 8)
	p.InitQP = int8(26 + r.SERange("pic_init_qp_minus26", -26-bdOffset, 25))
	p.InitQS = int8(26 + r.SERange("pic_init_qs_minus26", -26, 25))
	p.ChromaQPOffset = int8(r.SERange("chroma_qp_index_offset", -12, 12))
	p.SecondChromaQPOffset = p.ChromaQPOffset
	p.DeblockingControl = r.Flag()
	p.ConstrainedIntraPred = r.Flag()
	p.RedundantPicCnt = r.Flag()
	if r.Err() != nil || !r.MoreData() {
		return
	}
	p.Transform8x8 = r.Flag()
	if p.ScalingMatrix = r.Flag(); p.ScalingMatrix {
		lists := 0
		if p.Transform8x8 {
			lists = scalingLists8x8(sps.ChromaFormat)
		}
		skipScalingMatrix(r, lists)
	}
	p.SecondChromaQPOffset = int8(r.SERange("second_chroma_qp_index_offset", -12, 12))
}

// parseSliceGroups reads the map of flexible macroblock ordering, which only
// the Baseline and Extended profiles have.
func (p *PPS) parseSliceGroups(r *BitReader) {
	p.SliceGroupMapType = uint8(r.UEMax("slice_group_map_type", 6))
	switch p.SliceGroupMapType {
	case 0:
		for range p.SliceGroups {
			r.UEMax("run_length_minus1", maxFrameMBs-1)
		}
	case 2:
		for range p.SliceGroups - 1 {
			r.UEMax("top_left", maxFrameMBs-1)
			r.UEMax("bottom_right", maxFrameMBs-1)
		}
	case 3, 4, 5:
		r.Flag() // slice_group_change_direction_flag
		p.SliceGroupChangeRate = 1 + r.UEMax("slice_group_change_rate_minus1", maxFrameMBs-1)
	case 6:
		n := 1 + r.UEMax("pic_size_in_map_units_minus1", maxFrameMBs-1)
		r.Skip(int(n) * bits.Len8(p.SliceGroups-1))
	}
}
