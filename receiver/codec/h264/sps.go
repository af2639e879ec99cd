package h264

import "fmt"

// Limits of the standard that bound what a parser accepts.
const (
	maxFrameMBs  = 139264 // MaxFS of level 6.2 (table A-1)
	maxSideMBs   = 1055   // floor(sqrt(8*MaxFS)) (section A.3.1)
	maxRefFrames = 16     // MaxDpbFrames (section A.3.1)
)

// SPS is a sequence parameter set (ITU-T H.264 section 7.3.2.1.1). Names with
// a "minus" in the standard hold the plain value here.
type SPS struct {
	Profile     uint8 // profile_idc
	Constraints uint8 // constraint_set0_flag (0x80) to constraint_set5_flag (0x04)
	Level       uint8 // level_idc: ten times the level; 11 with constraint 3 is level 1b
	ID          uint8

	ChromaFormat         uint8 // chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4
	SeparateColourPlanes bool
	BitDepthLuma         uint8 // 8 to 14
	BitDepthChroma       uint8
	TransformBypass      bool // qpprime_y_zero_transform_bypass_flag: lossless macroblocks
	ScalingMatrix        bool
	FrameNumBits         uint8 // log2 of MaxFrameNum, 4 to 16
	POCType              uint8 // pic_order_cnt_type
	POCBits              uint8 // POCType 0: log2 of MaxPicOrderCntLsb, 4 to 16
	DeltaPOCAlwaysZero   bool  // POCType 1
	MaxRefFrames         uint8 // max_num_ref_frames, 0 to 16
	FrameNumGapsAllowed  bool
	FrameMBsOnly         bool // no fields, no interlaced macroblocks
	MBAdaptiveFrameField bool
	Direct8x8Inference   bool
	WidthMBs, HeightMBs  int  // coded frame in macroblocks of 16x16
	Crop                 Crop // in luma samples
	VUI                  VUI
	vuiFlagPos           int // bit position of vui_parameters_present_flag
	restrictionPos       int // of bitstream_restriction_flag, if VUI.Present
}

// Crop is what is cut off each side of the coded frame, in luma samples.
type Crop struct{ Left, Right, Top, Bottom int }

// CodedSize returns the size of the decoded frame in luma samples, a multiple
// of 16 each.
func (s *SPS) CodedSize() (width, height int) { return s.WidthMBs * 16, s.HeightMBs * 16 }

// Size returns the size of the visible picture in luma samples.
func (s *SPS) Size() (width, height int) {
	w, h := s.CodedSize()
	return w - s.Crop.Left - s.Crop.Right, h - s.Crop.Top - s.Crop.Bottom
}

// Check8Bit420 returns nil if a decoder for the Constrained Baseline,
// Baseline, Main and High profiles can take the stream, else an error that
// says what it cannot take. High 4:2:2 was seen to wedge the
// Raspberry Pi's decoder until the next boot (hardware reference section 1.2),
// so the profile must be one of those too, whatever the other fields claim.
func (s *SPS) Check8Bit420() error {
	switch {
	case s.Profile != 66 && s.Profile != 77 && s.Profile != 100:
		return fmt.Errorf("h264: profile %d is none of Baseline, Main and High", s.Profile)
	case s.ChromaFormat != 1 || s.SeparateColourPlanes:
		return fmt.Errorf("h264: chroma format %d is not 4:2:0", s.ChromaFormat)
	case s.BitDepthLuma != 8 || s.BitDepthChroma != 8:
		return fmt.Errorf("h264: %d and %d bits for luma and chroma, not 8", s.BitDepthLuma, s.BitDepthChroma)
	case s.TransformBypass:
		return fmt.Errorf("h264: lossless macroblocks")
	}
	return nil
}

// ParseSPS parses a sequence parameter set, a NAL unit of type 7 with its
// header byte. Bytes behind its syntax elements are ignored, as decoders do.
func ParseSPS(nal []byte) (*SPS, error) {
	if TypeOf(nal) != TypeSPS {
		return nil, fmt.Errorf("h264: SPS: NAL unit of %d bytes has type %d", len(nal), TypeOf(nal))
	}
	r := NewBitReader(nal[1:])
	s := new(SPS)
	s.parse(&r)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("h264: SPS: %w", err)
	}
	return s, nil
}

func (s *SPS) parse(r *BitReader) {
	s.Profile = uint8(r.U(8))
	s.Constraints = uint8(r.U(8))
	s.Level = uint8(r.U(8))
	s.ID = uint8(r.UEMax("seq_parameter_set_id", 31))
	s.parseFormat(r)
	s.FrameNumBits = 4 + uint8(r.UEMax("log2_max_frame_num_minus4", 12))
	s.parseOrderCount(r)
	s.MaxRefFrames = uint8(r.UEMax("max_num_ref_frames", maxRefFrames))
	s.FrameNumGapsAllowed = r.Flag()
	s.parseSize(r)
	s.vuiFlagPos = r.BitPos()
	if r.Flag() {
		s.parseVUI(r)
	} else {
		s.VUI = VUI{VideoFormat: 5, Colour: UnspecifiedColour}
	}
}

// parseFormat reads chroma format and bit depth, which only the High family
// of profiles carries.
func (s *SPS) parseFormat(r *BitReader) {
	s.ChromaFormat, s.BitDepthLuma, s.BitDepthChroma = 1, 8, 8
	switch s.Profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
	default:
		return
	}
	s.ChromaFormat = uint8(r.UEMax("chroma_format_idc", 3))
	if s.ChromaFormat == 3 {
		s.SeparateColourPlanes = r.Flag()
	}
	s.BitDepthLuma = 8 + uint8(r.UEMax("bit_depth_luma_minus8", 6))
	s.BitDepthChroma = 8 + uint8(r.UEMax("bit_depth_chroma_minus8", 6))
	s.TransformBypass = r.Flag()
	if s.ScalingMatrix = r.Flag(); s.ScalingMatrix {
		skipScalingMatrix(r, scalingLists8x8(s.ChromaFormat))
	}
}

// scalingLists8x8 is the number of 8x8 scaling lists: chroma has its own only
// in 4:4:4.
func scalingLists8x8(chromaFormat uint8) int {
	if chromaFormat == 3 {
		return 6
	}
	return 2
}

// skipScalingMatrix reads six 4x4 lists and lists8x8 8x8 lists, each of which
// may be absent (section 7.3.2.1.1.1).
func skipScalingMatrix(r *BitReader, lists8x8 int) {
	for i := 0; i < 6+lists8x8; i++ {
		size := 16
		if i >= 6 {
			size = 64
		}
		if r.Flag() {
			skipScalingList(r, size)
		}
	}
}

func skipScalingList(r *BitReader, size int) {
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.SERange("delta_scale", -128, 127) + 256) % 256
		}
		if next != 0 {
			last = next
		}
	}
}

func (s *SPS) parseOrderCount(r *BitReader) {
	s.POCType = uint8(r.UEMax("pic_order_cnt_type", 2))
	switch s.POCType {
	case 0:
		s.POCBits = 4 + uint8(r.UEMax("log2_max_pic_order_cnt_lsb_minus4", 12))
	case 1:
		s.DeltaPOCAlwaysZero = r.Flag()
		r.SE() // offset_for_non_ref_pic
		r.SE() // offset_for_top_to_bottom_field
		for n := r.UEMax("num_ref_frames_in_pic_order_cnt_cycle", 255); n > 0; n-- {
			r.SE() // offset_for_ref_frame
		}
	}
}

func (s *SPS) parseSize(r *BitReader) {
	s.WidthMBs = 1 + int(r.UEMax("pic_width_in_mbs_minus1", maxSideMBs-1))
	s.HeightMBs = 1 + int(r.UEMax("pic_height_in_map_units_minus1", maxSideMBs-1))
	s.FrameMBsOnly = r.Flag()
	if !s.FrameMBsOnly {
		s.HeightMBs *= 2
		s.MBAdaptiveFrameField = r.Flag()
	}
	s.Direct8x8Inference = r.Flag()
	if s.HeightMBs > maxSideMBs || s.WidthMBs*s.HeightMBs > maxFrameMBs {
		r.Fail(fmt.Errorf("a frame of %dx%d macroblocks exceeds every level", s.WidthMBs, s.HeightMBs))
	}
	if r.Flag() {
		s.parseCrop(r)
	}
}

// parseCrop reads the cropping rectangle, which counts in chroma samples and,
// in interlaced streams, in field lines (equations 7-19 to 7-22).
func (s *SPS) parseCrop(r *BitReader) {
	unitX, unitY := 1, 1
	if !s.SeparateColourPlanes && (s.ChromaFormat == 1 || s.ChromaFormat == 2) {
		unitX = 2
	}
	if !s.SeparateColourPlanes && s.ChromaFormat == 1 {
		unitY = 2
	}
	if !s.FrameMBsOnly {
		unitY *= 2
	}
	const most = maxSideMBs * 16
	s.Crop.Left = unitX * int(r.UEMax("frame_crop_left_offset", most))
	s.Crop.Right = unitX * int(r.UEMax("frame_crop_right_offset", most))
	s.Crop.Top = unitY * int(r.UEMax("frame_crop_top_offset", most))
	s.Crop.Bottom = unitY * int(r.UEMax("frame_crop_bottom_offset", most))
	if w, h := s.Size(); w <= 0 || h <= 0 {
		cw, ch := s.CodedSize()
		r.Fail(fmt.Errorf("cropping %+v leaves nothing of %dx%d samples", s.Crop, cw, ch))
	}
}
