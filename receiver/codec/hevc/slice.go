package hevc

import (
	"errors"
	"fmt"
	"math/bits"

	"aerie/receiver/codec/h264"
)

// SliceType is slice_type (ITU-T H.265 table 7-7).
type SliceType uint8

// The slice types: predicted from up to two pictures, from one, from none.
const (
	SliceB SliceType = iota
	SliceP
	SliceI
)

// maxEntryPoints bounds the entry points of a slice segment: one for each row
// of coding tree blocks in each column of tiles (section 7.4.7.1), with the
// smallest blocks that the Main profiles have, and the largest picture.
const maxEntryPoints = maxTileColumns * (maxSide/16 + 1)

// SliceHeader is a slice segment header (ITU-T H.265 section 7.3.6.1). Names
// with a "minus" in the standard hold the plain value here. A dependent slice
// segment has the values of the slice that it belongs to.
type SliceHeader struct {
	Type       Type // of the NAL unit
	TemporalID uint8

	FirstSegment      bool // of the picture
	NoOutputOfPrior   bool // no_output_of_prior_pics_flag
	PPSID             uint8
	Dependent         bool   // dependent_slice_segment_flag
	Address           uint32 // of the first coding tree block, in raster order
	SliceType         SliceType
	PicOutput         bool // pic_output_flag
	ColourPlane       uint8
	POCLSB            uint16
	TemporalMVP       bool
	SAOLuma           bool
	SAOChroma         bool
	RefIdxL0          uint8 // num_ref_idx_l0_active, 1 to 15; 0 in an I slice
	RefIdxL1          uint8 // the same; 0 unless it is a B slice
	MVDL1Zero         bool
	CABACInit         bool
	CollocatedL0      bool // collocated_from_l0_flag
	CollocatedRef     uint8
	Weights           PredWeights
	MaxMergeCand      uint8 // 1 to 5; 0 in an I slice
	QPDelta           int8
	CbQPOffset        int8
	CrQPOffset        int8
	DeblockingOff     bool
	BetaOffset        int8 // div2
	TcOffset          int8
	FilterAcross      bool     // slice_loop_filter_across_slices_enabled_flag
	EntryPoints       []uint32 // sizes of the substreams but the last, in bytes of the NAL unit
	LongTerm          [maxPictures]LongTermPic
	LongTermPics      uint8  // how many of LongTerm there are
	ShortTermBits     uint16 // size of st_ref_pic_set in the header, 0 without
	LongTermBits      uint16 // size of the elements for long-term pictures
	DeltaPOCsOfRefSet uint8  // NumDeltaPocs[RefRpsIdx], 0 unless the set is predicted
	DataOffset        int    // of the slice data within the NAL unit

	modification [2]listModification
	setIndex     int8 // of the set in the SPS; negative: own holds it
	ownNegative  uint8
	ownCount     uint8
	own          [maxPictures]RefPicDelta
	total        uint8 // NumPicTotalCurr
}

// LongTermPic is a long-term reference picture as a slice header names it.
type LongTermPic struct {
	POCLSB   uint16
	Used     bool   // by the present picture
	MSB      bool   // MSBCycle holds
	MSBCycle uint32 // DeltaPocMsbCycleLt, the sum of equation 7-52
}

// listModification is one half of ref_pic_lists_modification.
type listModification struct {
	present bool
	entries [maxPictures]uint8
}

// ParameterSets finds the sets that a slice header refers to. The results are
// nil for sets that have not come.
type ParameterSets interface {
	SPS(id uint8) *SPS
	PPS(id uint8) *PPS
}

// RefPics returns the short-term reference picture set of the picture. It is
// valid until the header is parsed anew.
func (h *SliceHeader) RefPics(s *SPS) RefPicSet {
	if h.setIndex >= 0 && int(h.setIndex) < len(s.RefPicSets) {
		return s.RefPicSets[h.setIndex]
	}
	return RefPicSet{int(h.ownNegative), h.own[:h.ownCount]}
}

// IsIDR tells whether all pictures before are forgotten.
func (t Type) IsIDR() bool { return t == TypeIDR || t == TypeIDRWithRA }

// Parse reads the header of a slice segment, a NAL unit of type 0 to 31 with
// its header. before is the header of the slice segment before it in the same
// picture, whose values a dependent one takes over; nil if there is none.
// Nothing is allocated once EntryPoints has grown.
func (h *SliceHeader) Parse(nal []byte, sets ParameterSets, before *SliceHeader) error {
	t := TypeOf(nal)
	if !t.IsSlice() || len(nal) <= headerSize || nal[1]&7 == 0 {
		return fmt.Errorf("hevc: slice: NAL unit of %d bytes has type %d", len(nal), t)
	}
	p := sliceParser{r: h264.NewBitReader(nal[headerSize:])}
	first := p.r.Flag()
	noOutput := t.IsIRAP() && p.r.Flag()
	id := uint8(p.r.UEMax("slice_pic_parameter_set_id", 63))
	if p.r.Err() == nil {
		p.find(id, sets)
	}
	if err := p.r.Err(); err != nil {
		return fmt.Errorf("hevc: slice: %w", err)
	}
	p.begin(h, before, first)
	h.Type, h.TemporalID = t, nal[1]&7-1
	h.FirstSegment, h.NoOutputOfPrior, h.PPSID = first, noOutput, id
	p.address(h)
	if !h.Dependent {
		p.independent(h)
	}
	p.entryPoints(h)
	if p.pps.SliceHeaderExtension {
		p.r.Skip(8 * int(p.r.UEMax("slice_segment_header_extension_length", 256)))
	}
	if !p.r.Flag() { // alignment_bit_equal_to_one
		p.r.Fail(errors.New("no alignment bit behind the header"))
	}
	for p.r.BitPos()&7 != 0 && p.r.Err() == nil {
		p.r.Flag()
	}
	h.DataOffset = headerSize + p.r.BytePos()
	if h.DataOffset >= len(nal) {
		p.r.Fail(errors.New("no slice data"))
	}
	if err := p.r.Err(); err != nil {
		return fmt.Errorf("hevc: slice: %w", err)
	}
	return nil
}

// sliceParser is what the parts of Parse share.
type sliceParser struct {
	r   h264.BitReader
	sps *SPS
	pps *PPS
}

func (p *sliceParser) find(id uint8, sets ParameterSets) {
	if p.pps = sets.PPS(id); p.pps == nil {
		p.r.Fail(fmt.Errorf("picture parameter set %d has not come", id))
		return
	}
	if p.sps = sets.SPS(p.pps.SPSID); p.sps == nil {
		p.r.Fail(fmt.Errorf("sequence parameter set %d has not come", p.pps.SPSID))
	}
}

// begin reads whether the segment is dependent and sets what it does not say.
func (p *sliceParser) begin(h, before *SliceHeader, first bool) {
	dependent := !first && p.pps.DependentSliceSegments && p.r.Flag()
	points := h.EntryPoints[:0]
	switch {
	case dependent && before == nil:
		p.r.Fail(errors.New("a dependent slice segment without the slice it depends on"))
	case dependent:
		*h = *before
	default:
		*h = SliceHeader{}
	}
	h.EntryPoints, h.Dependent = points, dependent
}

func (p *sliceParser) address(h *SliceHeader) {
	h.Address = 0
	if h.FirstSegment {
		return
	}
	blocks := p.sps.treeBlocks()
	h.Address = p.r.U(ceilLog2(blocks))
	if h.Address == 0 || int(h.Address) >= blocks {
		p.r.Fail(fmt.Errorf("slice_segment_address is %d, possible are 1 to %d", h.Address, blocks-1))
	}
}

// treeBlocks is PicSizeInCtbsY.
func (s *SPS) treeBlocks() int {
	w, h := s.TreeBlocks()
	return w * h
}

// TreeBlocks returns the size of the picture in coding tree blocks.
func (s *SPS) TreeBlocks() (width, height int) {
	mask := 1<<s.CodingTreeBlockLog2 - 1
	return (s.CodedWidth + mask) >> s.CodingTreeBlockLog2, (s.CodedHeight + mask) >> s.CodingTreeBlockLog2
}

// ceilLog2 returns how many bits hold the values 0 to n-1.
func ceilLog2(n int) int { return bits.Len(uint(n - 1)) }

// independent reads what a slice says of itself.
func (p *sliceParser) independent(h *SliceHeader) {
	r, s, pps := &p.r, p.sps, p.pps
	r.Skip(int(pps.ExtraSliceHeaderBits))
	h.SliceType = SliceType(r.UEMax("slice_type", 2))
	h.PicOutput = !pps.OutputFlag || r.Flag()
	if s.SeparateColourPlanes {
		h.ColourPlane = uint8(r.U(2))
	}
	h.setIndex = -1
	if !h.Type.IsIDR() {
		p.references(h)
	}
	if s.SAO {
		h.SAOLuma = r.Flag()
		h.SAOChroma = s.chromaArrayType() != 0 && r.Flag()
	}
	h.CollocatedL0 = true
	if h.SliceType != SliceI {
		p.inter(h)
	}
	h.QPDelta = int8(r.SERange("slice_qp_delta", -99, 99))
	if pps.SliceChromaQPOffsets {
		h.CbQPOffset = int8(r.SERange("slice_cb_qp_offset", -12, 12))
		h.CrQPOffset = int8(r.SERange("slice_cr_qp_offset", -12, 12))
	}
	p.deblocking(h)
}

// chromaArrayType is ChromaArrayType (section 7.4.3.2.1).
func (s *SPS) chromaArrayType() uint8 {
	if s.SeparateColourPlanes {
		return 0
	}
	return s.ChromaFormat
}

func (p *sliceParser) deblocking(h *SliceHeader) {
	r, pps := &p.r, p.pps
	h.DeblockingOff, h.BetaOffset, h.TcOffset = pps.DeblockingDisabled, pps.BetaOffset, pps.TcOffset
	if pps.DeblockingOverride && r.Flag() {
		if h.DeblockingOff = r.Flag(); !h.DeblockingOff {
			h.BetaOffset = int8(r.SERange("slice_beta_offset_div2", -6, 6))
			h.TcOffset = int8(r.SERange("slice_tc_offset_div2", -6, 6))
		}
	}
	h.FilterAcross = pps.LoopFilterAcrossSlices
	if h.FilterAcross && (h.SAOLuma || h.SAOChroma || !h.DeblockingOff) {
		h.FilterAcross = r.Flag()
	}
}

// entryPoints reads where the substreams of tiles and wavefronts begin.
func (p *sliceParser) entryPoints(h *SliceHeader) {
	r, pps := &p.r, p.pps
	if !pps.EntropyCodingSync && int(pps.TileColumns)*int(pps.TileRows) == 1 {
		return
	}
	_, rows := p.sps.TreeBlocks()
	most := int(pps.TileColumns)
	if pps.EntropyCodingSync {
		most *= rows
	} else {
		most *= int(pps.TileRows)
	}
	n := int(r.UEMax("num_entry_point_offsets", uint32(min(most, maxEntryPoints)-1)))
	if n == 0 {
		return
	}
	size := 1 + int(r.UEMax("offset_len_minus1", 31))
	for i := 0; i < n && r.Err() == nil; i++ {
		v := r.U(size)
		if v == 1<<32-1 {
			r.Fail(errors.New("entry_point_offset_minus1 is 2^32-1"))
		}
		h.EntryPoints = append(h.EntryPoints, v+1)
	}
}
