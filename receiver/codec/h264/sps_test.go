package h264

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// The parameter sets of an AirPlay sender (reference section 9.3).
const (
	airplaySPS = "6764c028ac56200d814fe59b81010101"
	airplayPPS = "28ee3cb0"
)

// realSPS are sets made by x264, one for each option that changes the format.
var realSPS = []struct {
	name, hex     string
	profile       uint8
	chroma, depth uint8
	width, height int // visible
	coded         [2]int
	refs, reorder uint8
	colour        Colour
	frame         time.Duration
	eligible      bool
}{
	{"AirPlay", airplaySPS, 100, 1, 8, 864, 648, [2]int{864, 656}, 7, 0, Colour{2, 2, 2, true}, 0, true},
	{"High 1080p zerolatency bt709 full", "6764002aacb200f0044fcb80b701010140000003004000000f23c60c92",
		100, 1, 8, 1920, 1080, [2]int{1920, 1088}, 3, 0, Colour{1, 1, 1, true}, time.Second / 30, true},
	{"Baseline", "6742c01ed900a02ff970110000030001000003003c0f162e48",
		66, 1, 8, 640, 360, [2]int{640, 368}, 3, 0, UnspecifiedColour, time.Second / 30, true},
	{"High 4:2:2 10 bit", "677a001fb6cd9405005bb0110000030001000003003c0f183196",
		122, 2, 10, 1280, 720, [2]int{1280, 720}, 4, 2, UnspecifiedColour, time.Second / 30, false},
	{"High 4:4:4", "67f4000d919b282a10f1f1f80880000003008000001e078a14cb",
		244, 3, 8, 322, 242, [2]int{336, 256}, 4, 2, UnspecifiedColour, time.Second / 30, false},
	{"interlaced with HRD", "67640028acd94078044fde022000000300200000078c080002625a0001312d498601f162d960",
		100, 1, 8, 1920, 1080, [2]int{1920, 1088}, 4, 2, UnspecifiedColour, time.Second / 30, true},
	{"portrait, cropped to the right", "67640028acd940e00f1e5f0110000003001000000303c0f1831960",
		100, 1, 8, 888, 1920, [2]int{896, 1920}, 4, 2, UnspecifiedColour, time.Second / 30, true},
	{"lossless", "67f4000daeb20283f60220000003002000000781e28549",
		244, 1, 8, 320, 240, [2]int{320, 240}, 3, 0, UnspecifiedColour, time.Second / 30, false},
	{"monochrome", "6764000df3650507ec05b2000003000200000300781e28532c",
		100, 0, 8, 320, 240, [2]int{320, 240}, 4, 2, Colour{2, 2, 2, true}, time.Second / 30, false},
}

func TestParseSPSReal(t *testing.T) {
	for _, c := range realSPS {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseSPS(unhex(c.hex))
			if err != nil {
				t.Fatal(err)
			}
			w, h := s.Size()
			cw, ch := s.CodedSize()
			if w != c.width || h != c.height || [2]int{cw, ch} != c.coded {
				t.Errorf("size %dx%d of %dx%d", w, h, cw, ch)
			}
			if s.Profile != c.profile || s.ChromaFormat != c.chroma || s.BitDepthLuma != c.depth || s.BitDepthChroma != c.depth {
				t.Errorf("profile %d, chroma %d, %d and %d bits", s.Profile, s.ChromaFormat, s.BitDepthLuma, s.BitDepthChroma)
			}
			if s.MaxRefFrames != c.refs || s.VUI.MaxReorderFrames != c.reorder {
				t.Errorf("%d reference frames, %d reordered", s.MaxRefFrames, s.VUI.MaxReorderFrames)
			}
			if s.VUI.Colour != c.colour || s.VUI.FrameDuration() != c.frame {
				t.Errorf("colour %+v, frame duration %v", s.VUI.Colour, s.VUI.FrameDuration())
			}
			if err := s.Check8Bit420(); (err == nil) != c.eligible {
				t.Errorf("eligible for hardware: %v", err)
			}
		})
	}
}

// fields lists what a parsed set says of the elements of a generated one; an
// element that the set does not have is missing.
func fields(s *SPS) map[string]int64 {
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	v := s.VUI
	return map[string]int64{
		"profile_idc":                             int64(s.Profile),
		"constraint_set0_flag":                    int64(s.Constraints >> 7),
		"constraint_set5_flag":                    int64(s.Constraints >> 2 & 1),
		"level_idc":                               int64(s.Level),
		"seq_parameter_set_id":                    int64(s.ID),
		"chroma_format_idc":                       int64(s.ChromaFormat),
		"separate_colour_plane_flag":              flag(s.SeparateColourPlanes),
		"bit_depth_luma_minus8":                   int64(s.BitDepthLuma) - 8,
		"bit_depth_chroma_minus8":                 int64(s.BitDepthChroma) - 8,
		"qpprime_y_zero_transform_bypass_flag":    flag(s.TransformBypass),
		"seq_scaling_matrix_present_flag":         flag(s.ScalingMatrix),
		"log2_max_frame_num_minus4":               int64(s.FrameNumBits) - 4,
		"pic_order_cnt_type":                      int64(s.POCType),
		"log2_max_pic_order_cnt_lsb_minus4":       int64(s.POCBits) - 4,
		"delta_pic_order_always_zero_flag":        flag(s.DeltaPOCAlwaysZero),
		"max_num_ref_frames":                      int64(s.MaxRefFrames),
		"gaps_in_frame_num_allowed_flag":          flag(s.FrameNumGapsAllowed),
		"pic_width_in_mbs_minus1":                 int64(s.WidthMBs) - 1,
		"frame_mbs_only_flag":                     flag(s.FrameMBsOnly),
		"mb_adaptive_frame_field_flag":            flag(s.MBAdaptiveFrameField),
		"direct_8x8_inference_flag":               flag(s.Direct8x8Inference),
		"vui_parameters_present_flag":             flag(v.Present),
		"overscan_info_present_flag":              flag(v.OverscanInfo),
		"overscan_appropriate_flag":               flag(v.OverscanAppropriate),
		"video_format":                            int64(v.VideoFormat),
		"video_full_range_flag":                   flag(v.Colour.FullRange),
		"colour_primaries":                        int64(v.Colour.Primaries),
		"transfer_characteristics":                int64(v.Colour.Transfer),
		"matrix_coefficients":                     int64(v.Colour.Matrix),
		"chroma_sample_loc_type_top_field":        int64(v.ChromaLocTop),
		"chroma_sample_loc_type_bottom_field":     int64(v.ChromaLocBottom),
		"num_units_in_tick":                       int64(v.UnitsInTick),
		"time_scale":                              int64(v.TimeScale),
		"fixed_frame_rate_flag":                   flag(v.FixedFrameRate),
		"nal_hrd_parameters_present_flag":         flag(v.NALHRD),
		"vcl_hrd_parameters_present_flag":         flag(v.VCLHRD),
		"low_delay_hrd_flag":                      flag(v.LowDelayHRD),
		"pic_struct_present_flag":                 flag(v.PicStruct),
		"bitstream_restriction_flag":              flag(v.Restriction),
		"motion_vectors_over_pic_boundaries_flag": flag(v.MVsOverPicBoundaries),
		"max_bytes_per_pic_denom":                 int64(v.MaxBytesPerPicDenom),
		"max_bits_per_mb_denom":                   int64(v.MaxBitsPerMBDenom),
		"log2_max_mv_length_horizontal":           int64(v.Log2MaxMVHorizontal),
		"log2_max_mv_length_vertical":             int64(v.Log2MaxMVVertical),
		"max_num_reorder_frames":                  int64(v.MaxReorderFrames),
		"max_dec_frame_buffering":                 int64(v.MaxDecFrameBuffering),
	}
}

func TestParseSPSGenerated(t *testing.T) {
	for seed := range uint64(2000) {
		nal, elements := generateSPS(seed)
		s, err := ParseSPS(nal)
		if err != nil {
			t.Fatalf("set %d: %v", seed, err)
		}
		got, crop := fields(s), map[string]int64{}
		for _, e := range elements {
			if v, ok := got[e.name]; ok && v != e.value {
				t.Errorf("set %d: %s is %d, want %d", seed, e.name, v, e.value)
			}
			crop[e.name] = e.value
		}
		if cut := s.Crop.Left + s.Crop.Right + s.Crop.Top + s.Crop.Bottom; (cut != 0) !=
			(crop["frame_crop_left_offset"]+crop["frame_crop_right_offset"]+crop["frame_crop_top_offset"]+crop["frame_crop_bottom_offset"] != 0) {
			t.Errorf("set %d: cropped by %+v", seed, s.Crop)
		}
	}
}

// patched is a Baseline set with one element replaced.
func patched(name string, value int64) []byte {
	var w BitWriter
	w.U(24, 66<<16|30)
	ue := func(n string, v int64) {
		if n == name {
			v = value
		}
		w.UE(uint32(v))
	}
	ue("seq_parameter_set_id", 0)
	ue("log2_max_frame_num_minus4", 0)
	ue("pic_order_cnt_type", 2)
	ue("max_num_ref_frames", 1)
	w.Flag(false)
	ue("pic_width_in_mbs_minus1", 39)
	ue("pic_height_in_map_units_minus1", 22)
	w.U(3, 0b111) // frames only, direct 8x8, cropping
	ue("frame_crop_left_offset", 0)
	ue("frame_crop_right_offset", 0)
	ue("frame_crop_top_offset", 0)
	ue("frame_crop_bottom_offset", 4)
	w.Flag(false)
	w.TrailingBits()
	return AppendNAL(nil, 0x67, w.RBSP())
}

func TestParseSPSRefuses(t *testing.T) {
	if _, err := ParseSPS(patched("", 0)); err != nil {
		t.Fatalf("the unpatched set: %v", err)
	}
	cases := []struct {
		name string
		nal  []byte
		want string
	}{
		{"empty", nil, "type 0"},
		{"PPS", unhex(airplayPPS), "type 8"},
		{"header alone", unhex("67"), "unexpected EOF"},
		{"cut in the middle", unhex(airplaySPS)[:9], "unexpected EOF"},
		{"endless Exp-Golomb code", unhex("6742001e 80 000003000003000003000003000003000001"), "Exp-Golomb"},
		{"id", patched("seq_parameter_set_id", 32), "seq_parameter_set_id is 32"},
		{"frame number bits", patched("log2_max_frame_num_minus4", 13), "log2_max_frame_num"},
		{"order count type", patched("pic_order_cnt_type", 3), "pic_order_cnt_type is 3"},
		{"reference frames", patched("max_num_ref_frames", 17), "max_num_ref_frames is 17"},
		{"width of 2^36", patched("pic_width_in_mbs_minus1", 1<<32-2), "pic_width_in_mbs_minus1"},
		{"width beyond every level", patched("pic_width_in_mbs_minus1", 1055), "pic_width_in_mbs_minus1"},
		{"crop of all columns", patched("frame_crop_left_offset", 320), "leaves nothing"},
		{"crop of more", patched("frame_crop_bottom_offset", 1<<32-2), "frame_crop_bottom_offset"},
	}
	for _, c := range cases {
		if _, err := ParseSPS(c.nal); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// A frame may be 1055 macroblocks wide, or high, but not both.
func TestParseSPSFrameArea(t *testing.T) {
	var w BitWriter
	w.U(24, 66<<16|62)
	for _, v := range []uint32{0, 0, 2, 1} {
		w.UE(v)
	}
	w.Flag(false)
	w.UE(1054)
	w.UE(1054)
	w.U(4, 0b1100)
	w.TrailingBits()
	if _, err := ParseSPS(AppendNAL(nil, 0x67, w.RBSP())); err == nil || !strings.Contains(err.Error(), "1055x1055") {
		t.Errorf("error %v", err)
	}
}

func FuzzSPS(f *testing.F) {
	for _, c := range realSPS {
		f.Add(unhex(c.hex))
	}
	for seed := range uint64(50) {
		nal, _ := generateSPS(seed)
		f.Add(nal)
	}
	f.Fuzz(func(t *testing.T, nal []byte) {
		s, err := ParseSPS(nal)
		if err != nil {
			return
		}
		w, h := s.Size()
		cw, ch := s.CodedSize()
		if w <= 0 || h <= 0 || w > cw || h > ch || cw > 16*maxSideMBs || ch > 16*maxSideMBs || cw*ch > maxFrameMBs*256 {
			t.Errorf("size %dx%d of %dx%d", w, h, cw, ch)
		}
		s.Check8Bit420()
		s.VUI.FrameDuration()
	})
}
