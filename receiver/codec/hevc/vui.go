package hevc

import (
	"time"

	"aerie/receiver/codec/h264"
)

// Colour says how samples become light, in the code points of ITU-T H.273.
type Colour = h264.Colour

// VUI is the video usability information of a sequence parameter set (ITU-T
// H.265 annex E). Without one, Present is false and Colour is unspecified.
type VUI struct {
	Present             bool
	SARWidth, SARHeight uint16 // sample aspect ratio; 0, 0 if unspecified
	VideoFormat         uint8  // 5: unspecified
	Colour              Colour
	ChromaLocation      bool  // the next two are given
	ChromaLocTop        uint8 // chroma_sample_loc_type, 0 to 5
	ChromaLocBottom     uint8
	FieldSeq            bool      // pictures are fields
	DisplayWindow       h264.Crop // default display window, in luma samples
	Timing              bool      // the next two are given
	UnitsInTick         uint32
	TimeScale           uint32
	HRD                 bool   // buffering parameters are present
	MinSpatialSegments  uint16 // min_spatial_segmentation_idc, 0 if not given
}

// FrameDuration returns the nominal time between two pictures (one tick,
// section E.3.1), 0 if the stream does not say or says nonsense.
func (v *VUI) FrameDuration() time.Duration {
	if !v.Timing || v.UnitsInTick == 0 || v.TimeScale == 0 {
		return 0
	}
	return time.Duration(uint64(v.UnitsInTick) * uint64(time.Second) / uint64(v.TimeScale))
}

func (v *VUI) parse(r *h264.BitReader, subLayers int, units func() (x, y int)) {
	v.Present = true
	if r.Flag() {
		v.SARWidth, v.SARHeight = h264.ReadAspectRatio(r)
	}
	if r.Flag() {
		r.Flag() // overscan_appropriate_flag
	}
	if r.Flag() {
		v.VideoFormat, v.Colour = h264.ReadVideoSignal(r)
	}
	if v.ChromaLocation = r.Flag(); v.ChromaLocation {
		v.ChromaLocTop = uint8(r.UEMax("chroma_sample_loc_type_top_field", 5))
		v.ChromaLocBottom = uint8(r.UEMax("chroma_sample_loc_type_bottom_field", 5))
	}
	r.Flag() // neutral_chroma_indication_flag
	v.FieldSeq = r.Flag()
	r.Flag() // frame_field_info_present_flag
	if r.Flag() {
		v.DisplayWindow = readWindow(r, "def_disp_win", units)
	}
	if v.Timing = r.Flag(); v.Timing {
		v.UnitsInTick = r.U(32)
		v.TimeScale = r.U(32)
		if r.Flag() {
			r.UE() // vui_num_ticks_poc_diff_one_minus1
		}
		if v.HRD = r.Flag(); v.HRD {
			skipHRD(r, subLayers)
		}
	}
	if r.Flag() {
		v.parseRestriction(r)
	}
}

func (v *VUI) parseRestriction(r *h264.BitReader) {
	r.Skip(3) // fixed tiles, motion vectors over boundaries, restricted lists
	v.MinSpatialSegments = uint16(r.UEMax("min_spatial_segmentation_idc", 4095))
	r.UEMax("max_bytes_per_pic_denom", 16)
	r.UEMax("max_bits_per_min_cu_denom", 16)
	r.UEMax("log2_max_mv_length_horizontal", 16)
	r.UEMax("log2_max_mv_length_vertical", 16)
}

// skipHRD reads hrd_parameters with the common part (section E.2.2).
func skipHRD(r *h264.BitReader, subLayers int) {
	nal, vcl := r.Flag(), r.Flag()
	subPic := false
	if nal || vcl {
		if subPic = r.Flag(); subPic {
			r.Skip(8 + 5 + 1 + 5)
		}
		r.Skip(4 + 4) // scales
		if subPic {
			r.Skip(4)
		}
		r.Skip(5 + 5 + 5) // lengths of delays
	}
	for range subLayers {
		skipSubLayerHRD(r, nal, vcl, subPic)
	}
}

func skipSubLayerHRD(r *h264.BitReader, nal, vcl, subPic bool) {
	lowDelay := false
	fixed := r.Flag()
	if !fixed {
		fixed = r.Flag() // within the sequence
	}
	if fixed {
		r.UEMax("elemental_duration_in_tc_minus1", 2047)
	} else {
		lowDelay = r.Flag()
	}
	buffers := 1
	if !lowDelay {
		buffers = 1 + int(r.UEMax("cpb_cnt_minus1", 31))
	}
	for _, present := range []bool{nal, vcl} {
		for i := 0; present && i < buffers; i++ {
			r.UE() // bit_rate_value_minus1
			r.UE() // cpb_size_value_minus1
			if subPic {
				r.UE()
				r.UE()
			}
			r.Flag() // cbr_flag
		}
	}
}
