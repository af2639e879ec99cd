package hevc

import (
	"fmt"

	"aerie/receiver/codec/h264"
)

// Limits of the standard that bound what a parser accepts.
const (
	maxLumaSamples = 35651584 // MaxLumaPs of level 6.2 (table A.8)
	maxSide        = 16888    // floor(sqrt(8*MaxLumaPs)) (section A.4.1)
	maxPictures    = 16       // MaxDpbSize (section A.4.2)
	maxRefPicSets  = 64
	maxLongTerm    = 32
)

// SPS is a sequence parameter set (ITU-T H.265 section 7.3.2.2.1). Names with
// a "minus" in the standard hold the plain value here.
type SPS struct {
	ID, VPSID            uint8
	SubLayers            uint8 // 1 to 7
	TemporalIDNesting    bool
	General              ProfileTierLevel
	ChromaFormat         uint8 // chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	SeparateColourPlanes bool
	CodedWidth           int // in luma samples
	CodedHeight          int
	Crop                 h264.Crop // conformance window, in luma samples
	BitDepthLuma         uint8     // 8 to 16
	BitDepthChroma       uint8
	POCBits              uint8 // log2 of MaxPicOrderCntLsb, 4 to 16

	// Of the highest sub-layer.
	MaxDecPicBuffering    uint8 // pictures, 1 to 16
	MaxNumReorder         uint8
	MaxLatencyIncreaseOne uint32 // sps_max_latency_increase_plus1; 0: no limit

	MinCodingBlockLog2    uint8 // 3 to 6
	CodingTreeBlockLog2   uint8 // 4 to 6 in every profile
	MinTransformBlockLog2 uint8
	MaxTransformBlockLog2 uint8
	TransformDepthInter   uint8 // max_transform_hierarchy_depth_inter
	TransformDepthIntra   uint8
	ScalingListEnabled    bool
	ScalingListData       bool          // else the default lists hold
	Scaling               *ScalingLists // nil without ScalingListData
	AMP                   bool
	SAO                   bool
	PCM                   *PCM // nil without pcm_enabled_flag
	RefPicSets            []RefPicSet
	LongTermRefs          []LongTermRef
	LongTermRefPics       bool // long_term_ref_pics_present_flag
	TemporalMVP           bool
	StrongIntraSmoothing  bool
	VUI                   VUI
	Extensions            uint8  // range 0x80, multilayer 0x40, 3D 0x20, screen content 0x10
	RangeExtension        uint16 // the 9 flags of sps_range_extension, the first in bit 8
}

// PCM says how samples are coded verbatim.
type PCM struct {
	BitDepthLuma, BitDepthChroma uint8
	MinBlockLog2, MaxBlockLog2   uint8
	LoopFilterDisabled           bool
}

// LongTermRef is a candidate for a long-term reference picture.
type LongTermRef struct {
	POCLSB uint16
	Used   bool // used_by_curr_pic_lt_sps_flag
}

// Size returns the size of the visible picture in luma samples: the
// conformance window. The default display window of the VUI is a hint that
// decoders do not follow.
func (s *SPS) Size() (width, height int) {
	return s.CodedWidth - s.Crop.Left - s.Crop.Right, s.CodedHeight - s.Crop.Top - s.Crop.Bottom
}

// Check420 returns nil if a decoder for the Main and, where tenBit is set,
// Main 10 profiles can take the stream, else an error that says what it
// cannot take.
func (s *SPS) Check420(tenBit bool) error {
	most := uint8(8)
	if tenBit {
		most = 10
	}
	switch {
	case s.ChromaFormat != 1 || s.SeparateColourPlanes:
		return fmt.Errorf("hevc: chroma format %d is not 4:2:0", s.ChromaFormat)
	case s.BitDepthLuma > most || s.BitDepthChroma > most:
		return fmt.Errorf("hevc: %d and %d bits for luma and chroma, at most %d are possible", s.BitDepthLuma, s.BitDepthChroma, most)
	case s.Extensions != 0:
		return fmt.Errorf("hevc: extensions %#02x beyond the Main profiles", s.Extensions)
	}
	return nil
}

// ParseSPS parses a sequence parameter set, a NAL unit of type 33 with its
// header. The syntax of the multilayer, 3D and screen content extensions,
// which come last, is not read.
func ParseSPS(nal []byte) (*SPS, error) {
	if TypeOf(nal) != TypeSPS {
		return nil, fmt.Errorf("hevc: SPS: NAL unit of %d bytes has type %d", len(nal), TypeOf(nal))
	}
	r := h264.NewBitReader(nal[headerSize:])
	s := new(SPS)
	s.parse(&r)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("hevc: SPS: %w", err)
	}
	return s, nil
}

func (s *SPS) parse(r *h264.BitReader) {
	s.VPSID = uint8(r.U(4))
	s.SubLayers = uint8(1 + r.U(3))
	if s.SubLayers > 7 {
		r.Fail(fmt.Errorf("%d sub-layers, at most 7 are possible", s.SubLayers))
		return
	}
	s.TemporalIDNesting = r.Flag()
	s.General = readProfileTierLevel(r, int(s.SubLayers))
	s.ID = uint8(r.UEMax("sps_seq_parameter_set_id", 15))
	s.parseFormat(r)
	s.POCBits = uint8(4 + r.UEMax("log2_max_pic_order_cnt_lsb_minus4", 12))
	s.parseOrdering(r)
	s.parseBlocks(r)
	s.parseTools(r)
	s.parseRefs(r)
	s.TemporalMVP = r.Flag()
	s.StrongIntraSmoothing = r.Flag()
	s.VUI = VUI{VideoFormat: 5, Colour: h264.UnspecifiedColour}
	if r.Flag() {
		s.VUI.parse(r, int(s.SubLayers), s.cropUnits)
	}
	if r.Flag() {
		s.Extensions = uint8(r.U(8)) // the lowest four bits are reserved
	}
	if s.Extensions&0x80 != 0 {
		s.RangeExtension = uint16(r.U(9))
	}
}

func (s *SPS) parseFormat(r *h264.BitReader) {
	s.ChromaFormat = uint8(r.UEMax("chroma_format_idc", 3))
	if s.ChromaFormat == 3 {
		s.SeparateColourPlanes = r.Flag()
	}
	s.CodedWidth = int(r.UEMax("pic_width_in_luma_samples", maxSide))
	s.CodedHeight = int(r.UEMax("pic_height_in_luma_samples", maxSide))
	if s.CodedWidth*s.CodedHeight == 0 || s.CodedWidth*s.CodedHeight > maxLumaSamples {
		r.Fail(fmt.Errorf("a picture of %dx%d samples", s.CodedWidth, s.CodedHeight))
	}
	if r.Flag() {
		s.Crop = readWindow(r, "conf_win", s.cropUnits)
		if w, h := s.Size(); w <= 0 || h <= 0 {
			r.Fail(fmt.Errorf("cropping %+v leaves nothing of %dx%d samples", s.Crop, s.CodedWidth, s.CodedHeight))
		}
	}
	s.BitDepthLuma = uint8(8 + r.UEMax("bit_depth_luma_minus8", 8))
	s.BitDepthChroma = uint8(8 + r.UEMax("bit_depth_chroma_minus8", 8))
}

// cropUnits returns SubWidthC and SubHeightC (table 6-1), in which windows
// count.
func (s *SPS) cropUnits() (x, y int) {
	switch s.ChromaFormat {
	case 1:
		return 2, 2
	case 2:
		return 2, 1
	}
	return 1, 1
}

func readWindow(r *h264.BitReader, name string, units func() (x, y int)) (c h264.Crop) {
	x, y := units()
	c.Left = x * int(r.UEMax(name+"_left_offset", maxSide))
	c.Right = x * int(r.UEMax(name+"_right_offset", maxSide))
	c.Top = y * int(r.UEMax(name+"_top_offset", maxSide))
	c.Bottom = y * int(r.UEMax(name+"_bottom_offset", maxSide))
	return c
}

// parseOrdering reads the needs of the picture buffer, which may be given for
// every sub-layer or for the highest alone.
func (s *SPS) parseOrdering(r *h264.BitReader) {
	n := 1
	if r.Flag() {
		n = int(s.SubLayers)
	}
	for range n {
		s.MaxDecPicBuffering = uint8(1 + r.UEMax("sps_max_dec_pic_buffering_minus1", maxPictures-1))
		s.MaxNumReorder = uint8(r.UEMax("sps_max_num_reorder_pics", maxPictures-1))
		s.MaxLatencyIncreaseOne = r.UE()
	}
}

func (s *SPS) parseBlocks(r *h264.BitReader) {
	s.MinCodingBlockLog2 = uint8(3 + r.UEMax("log2_min_luma_coding_block_size_minus3", 3))
	s.CodingTreeBlockLog2 = s.MinCodingBlockLog2 +
		uint8(r.UEMax("log2_diff_max_min_luma_coding_block_size", uint32(6-s.MinCodingBlockLog2)))
	s.MinTransformBlockLog2 = uint8(2 + r.UEMax("log2_min_luma_transform_block_size_minus2", 3))
	s.MaxTransformBlockLog2 = s.MinTransformBlockLog2 +
		uint8(r.UEMax("log2_diff_max_min_luma_transform_block_size", uint32(5-s.MinTransformBlockLog2)))
	s.TransformDepthInter = uint8(r.UEMax("max_transform_hierarchy_depth_inter", 4))
	s.TransformDepthIntra = uint8(r.UEMax("max_transform_hierarchy_depth_intra", 4))
	if mask := 1<<s.MinCodingBlockLog2 - 1; s.CodedWidth&mask != 0 || s.CodedHeight&mask != 0 {
		r.Fail(fmt.Errorf("%dx%d samples are no whole number of blocks of %d", s.CodedWidth, s.CodedHeight, mask+1))
	}
}

func (s *SPS) parseTools(r *h264.BitReader) {
	if s.ScalingListEnabled = r.Flag(); s.ScalingListEnabled {
		if s.ScalingListData = r.Flag(); s.ScalingListData {
			s.Scaling = new(ScalingLists)
			s.Scaling.parse(r)
		}
	}
	s.AMP = r.Flag()
	s.SAO = r.Flag()
	if r.Flag() {
		p := &PCM{BitDepthLuma: uint8(1 + r.U(4)), BitDepthChroma: uint8(1 + r.U(4))}
		p.MinBlockLog2 = uint8(3 + r.UEMax("log2_min_pcm_luma_coding_block_size_minus3", 2))
		p.MaxBlockLog2 = p.MinBlockLog2 + uint8(r.UEMax("log2_diff_max_min_pcm_luma_coding_block_size", uint32(5-p.MinBlockLog2)))
		p.LoopFilterDisabled = r.Flag()
		s.PCM = p
	}
}
