package h264

import "time"

// VUI is the video usability information of a sequence parameter set (ITU-T
// H.264 annex E). Without one, Present is false and Colour is unspecified.
type VUI struct {
	Present              bool
	SARWidth, SARHeight  uint16 // sample aspect ratio; 0, 0 if unspecified
	OverscanInfo         bool
	OverscanAppropriate  bool
	VideoFormat          uint8 // 5: unspecified
	Colour               Colour
	ChromaLocation       bool  // the next two are given
	ChromaLocTop         uint8 // chroma_sample_loc_type, 0 to 5
	ChromaLocBottom      uint8
	Timing               bool // the next three are given
	UnitsInTick          uint32
	TimeScale            uint32
	FixedFrameRate       bool
	NALHRD, VCLHRD       bool // buffering parameters are present
	LowDelayHRD          bool
	PicStruct            bool
	Restriction          bool // bitstream_restriction_flag: the rest is given
	MVsOverPicBoundaries bool
	MaxBytesPerPicDenom  uint8
	MaxBitsPerMBDenom    uint8
	Log2MaxMVHorizontal  uint8
	Log2MaxMVVertical    uint8
	MaxReorderFrames     uint8 // max_num_reorder_frames
	MaxDecFrameBuffering uint8 // max_dec_frame_buffering
}

// Colour says how samples become light, in the code points of ITU-T H.273:
// the same in H.264, HEVC and the colr box of a file.
type Colour struct {
	Primaries uint8 // 1: BT.709; 2: unspecified; 9: BT.2020; 12: Display P3
	Transfer  uint8
	Matrix    uint8 // 1: BT.709; 5, 6: BT.601; 9: BT.2020
	FullRange bool  // luma 0 to 255, else 16 to 235 (at 8 bits)
}

// UnspecifiedColour is what holds without a colour description. The range is
// then limited.
var UnspecifiedColour = Colour{Primaries: 2, Transfer: 2, Matrix: 2}

// FrameDuration returns the nominal time between two frames (a frame is two
// ticks, section E.2.1), 0 if the stream does not say or says nonsense.
func (v *VUI) FrameDuration() time.Duration {
	if !v.Timing || v.UnitsInTick == 0 || v.TimeScale == 0 {
		return 0
	}
	return time.Duration(2 * uint64(v.UnitsInTick) * uint64(time.Second) / uint64(v.TimeScale))
}

// sampleAspectRatios is table E-1.
var sampleAspectRatios = [...][2]uint16{
	{0, 0}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11},
	{80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1},
}

// ReadAspectRatio reads aspect_ratio_idc and, for Extended_SAR, the ratio that
// follows; it is the same in HEVC. Reserved values give 0, 0.
func ReadAspectRatio(r *BitReader) (width, height uint16) {
	const extendedSAR = 255
	switch idc := r.U(8); {
	case idc == extendedSAR:
		return uint16(r.U(16)), uint16(r.U(16))
	case int(idc) < len(sampleAspectRatios):
		return sampleAspectRatios[idc][0], sampleAspectRatios[idc][1]
	}
	return 0, 0
}

// ReadVideoSignal reads video_format, the range and the colour description;
// it is the same in HEVC.
func ReadVideoSignal(r *BitReader) (format uint8, c Colour) {
	c = UnspecifiedColour
	format = uint8(r.U(3))
	c.FullRange = r.Flag()
	if r.Flag() {
		c.Primaries = uint8(r.U(8))
		c.Transfer = uint8(r.U(8))
		c.Matrix = uint8(r.U(8))
	}
	return format, c
}

// parseVUI reads vui_parameters (section E.1.1).
func (s *SPS) parseVUI(r *BitReader) {
	v := &s.VUI
	*v = VUI{Present: true, VideoFormat: 5, Colour: UnspecifiedColour}
	if r.Flag() {
		v.SARWidth, v.SARHeight = ReadAspectRatio(r)
	}
	if v.OverscanInfo = r.Flag(); v.OverscanInfo {
		v.OverscanAppropriate = r.Flag()
	}
	if r.Flag() {
		v.VideoFormat, v.Colour = ReadVideoSignal(r)
	}
	if v.ChromaLocation = r.Flag(); v.ChromaLocation {
		v.ChromaLocTop = uint8(r.UEMax("chroma_sample_loc_type_top_field", 5))
		v.ChromaLocBottom = uint8(r.UEMax("chroma_sample_loc_type_bottom_field", 5))
	}
	if v.Timing = r.Flag(); v.Timing {
		v.UnitsInTick = r.U(32)
		v.TimeScale = r.U(32)
		v.FixedFrameRate = r.Flag()
	}
	if v.NALHRD = r.Flag(); v.NALHRD {
		skipHRD(r)
	}
	if v.VCLHRD = r.Flag(); v.VCLHRD {
		skipHRD(r)
	}
	if v.NALHRD || v.VCLHRD {
		v.LowDelayHRD = r.Flag()
	}
	v.PicStruct = r.Flag()
	s.restrictionPos = r.BitPos()
	if v.Restriction = r.Flag(); v.Restriction {
		v.parseRestriction(r)
	}
}

func (v *VUI) parseRestriction(r *BitReader) {
	v.MVsOverPicBoundaries = r.Flag()
	v.MaxBytesPerPicDenom = uint8(r.UEMax("max_bytes_per_pic_denom", 16))
	v.MaxBitsPerMBDenom = uint8(r.UEMax("max_bits_per_mb_denom", 16))
	v.Log2MaxMVHorizontal = uint8(r.UEMax("log2_max_mv_length_horizontal", 16))
	v.Log2MaxMVVertical = uint8(r.UEMax("log2_max_mv_length_vertical", 16))
	v.MaxReorderFrames = uint8(r.UEMax("max_num_reorder_frames", maxRefFrames))
	v.MaxDecFrameBuffering = uint8(r.UEMax("max_dec_frame_buffering", maxRefFrames))
}

// skipHRD reads hrd_parameters (section E.1.2).
func skipHRD(r *BitReader) {
	n := 1 + r.UEMax("cpb_cnt_minus1", 31)
	r.Skip(4 + 4) // bit_rate_scale, cpb_size_scale
	for range n {
		r.UE() // bit_rate_value_minus1
		r.UE() // cpb_size_value_minus1
		r.Flag()
	}
	r.Skip(5 + 5 + 5 + 5) // lengths of the delays that SEI messages carry
}
