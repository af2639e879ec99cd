package hevc

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// realSets are parameter sets made by x265.
var realSets = []struct {
	name, vps, sps, pps string
	profile, level      uint8
	chroma, depth       uint8
	width, height       int // visible
	coded               [2]int
	reorder             uint8
	colour              Colour
	frame               time.Duration
	main, main10        bool
}{
	{"1080p zerolatency bt709 full",
		"40010c01ffff016000000300900000030000030078ba0240",
		"420101016000000300900000030000030078a003c0801107cb96e92930bc05b808080820000003002000000303c1",
		"4401c0718312",
		1, 120, 1, 8, 1920, 1080, [2]int{1920, 1088}, 0, Colour{Primaries: 1, Transfer: 1, Matrix: 1, FullRange: true}, time.Second / 30, true, true},
	{"2160p 10 bit, Display P3, PQ",
		"40010c01ffff022000000300900000030000030096ba0240",
		"420101022000000300900000030000030096a001e020021c4d96e92930bc05a860804820000003002000000303c1",
		"4401c073c189",
		2, 150, 1, 10, 3840, 2160, [2]int{3840, 2160}, 0, Colour{Primaries: 12, Transfer: 16, Matrix: 9}, time.Second / 30, false, true},
	{"portrait with scaling lists and HRD",
		"40010c01ffff016000000300900000030000030078959809",
		"420101016000000300900000030000030078a006f20078165959a49395e02d010000030001000003001e6014966e0001312d0000989688",
		"4401c172b46240",
		1, 120, 1, 8, 888, 1920, [2]int{888, 1920}, 2, h264.UnspecifiedColour, time.Second / 30, true, true},
	{"4:4:4 12 bit",
		"40010c01ffff040800000300980800000300003c959809",
		"420101040800000300980800000300003c90014901f39e7294b2b349265780b4040000030004000003007820",
		"4401c172860c4624",
		4, 60, 3, 12, 322, 242, [2]int{328, 248}, 2, h264.UnspecifiedColour, time.Second / 30, false, false},
	{"4:2:2 10 bit lossless",
		"40010c01ffff0408000003009d080000030000ff959809",
		"4201010408000003009d080000030000ffb00a080f1365959a4932bc05a020000003002000000303c1",
		"4401c171ab12",
		4, 255, 2, 10, 320, 240, [2]int{320, 240}, 2, h264.UnspecifiedColour, time.Second / 30, false, false},
}

func TestParseReal(t *testing.T) {
	for _, c := range realSets {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseSPS(unhex(c.sps))
			if err != nil {
				t.Fatal(err)
			}
			w, h := s.Size()
			if w != c.width || h != c.height || [2]int{s.CodedWidth, s.CodedHeight} != c.coded {
				t.Errorf("size %dx%d of %dx%d", w, h, s.CodedWidth, s.CodedHeight)
			}
			if s.ChromaFormat != c.chroma || s.BitDepthLuma != c.depth || s.BitDepthChroma != c.depth ||
				s.General.Profile != c.profile || s.General.Level != c.level || s.General.HighTier {
				t.Errorf("chroma %d, %d and %d bits, %+v", s.ChromaFormat, s.BitDepthLuma, s.BitDepthChroma, s.General)
			}
			if s.MaxNumReorder != c.reorder || s.VUI.Colour != c.colour || s.VUI.FrameDuration() != c.frame {
				t.Errorf("%d reordered, colour %+v, frame duration %v", s.MaxNumReorder, s.VUI.Colour, s.VUI.FrameDuration())
			}
			if main, main10 := s.Check420(false) == nil, s.Check420(true) == nil; main != c.main || main10 != c.main10 {
				t.Errorf("eligible for Main %v, Main 10 %v", main, main10)
			}
			v, err := ParseVPS(unhex(c.vps))
			if err != nil || v.General != s.General || v.Layers != 1 || v.SubLayers != s.SubLayers {
				t.Errorf("VPS %+v, %v", v, err)
			}
			if _, err := ParsePPS(unhex(c.pps)); err != nil {
				t.Error(err)
			}
		})
	}
}

// fields lists what a parsed set says of the elements of a generated one.
func fields(s *SPS) map[string]int64 {
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	v := s.VUI
	m := map[string]int64{
		"sps_video_parameter_set_id":               int64(s.VPSID),
		"sps_max_sub_layers_minus1":                int64(s.SubLayers) - 1,
		"general_level_idc":                        int64(s.General.Level),
		"general_profile_idc":                      int64(s.General.Profile),
		"general_tier_flag":                        flag(s.General.HighTier),
		"general_profile_compatibility_flag[0]":    int64(s.General.Compatibility >> 31),
		"general_profile_compatibility_flag[31]":   int64(s.General.Compatibility & 1),
		"sps_seq_parameter_set_id":                 int64(s.ID),
		"chroma_format_idc":                        int64(s.ChromaFormat),
		"separate_colour_plane_flag":               flag(s.SeparateColourPlanes),
		"pic_width_in_luma_samples":                int64(s.CodedWidth),
		"pic_height_in_luma_samples":               int64(s.CodedHeight),
		"bit_depth_luma_minus8":                    int64(s.BitDepthLuma) - 8,
		"bit_depth_chroma_minus8":                  int64(s.BitDepthChroma) - 8,
		"log2_max_pic_order_cnt_lsb_minus4":        int64(s.POCBits) - 4,
		"log2_diff_max_min_luma_coding_block_size": int64(s.CodingTreeBlockLog2 - s.MinCodingBlockLog2),
		"max_transform_hierarchy_depth_inter":      int64(s.TransformDepthInter),
		"max_transform_hierarchy_depth_intra":      int64(s.TransformDepthIntra),
		"scaling_list_enabled_flag":                flag(s.ScalingListEnabled),
		"sps_scaling_list_data_present_flag":       flag(s.ScalingListData),
		"amp_enabled_flag":                         flag(s.AMP),
		"sample_adaptive_offset_enabled_flag":      flag(s.SAO),
		"pcm_enabled_flag":                         flag(s.PCM != nil),
		"long_term_ref_pics_present_flag":          flag(s.LongTermRefPics),
		"sps_temporal_mvp_enabled_flag":            flag(s.TemporalMVP),
		"strong_intra_smoothing_enabled_flag":      flag(s.StrongIntraSmoothing),
		"vui_parameters_present_flag":              flag(v.Present),
		"video_format":                             int64(v.VideoFormat),
		"video_full_range_flag":                    flag(v.Colour.FullRange),
		"colour_primaries":                         int64(v.Colour.Primaries),
		"transfer_characteristics":                 int64(v.Colour.Transfer),
		"matrix_coefficients":                      int64(v.Colour.Matrix),
		"chroma_sample_loc_type_top_field":         int64(v.ChromaLocTop),
		"chroma_sample_loc_type_bottom_field":      int64(v.ChromaLocBottom),
		"field_seq_flag":                           flag(v.FieldSeq),
		"vui_num_units_in_tick":                    int64(v.UnitsInTick),
		"vui_time_scale":                           int64(v.TimeScale),
		"vui_hrd_parameters_present_flag":          flag(v.HRD),
		"min_spatial_segmentation_idc":             int64(v.MinSpatialSegments),
		"sps_range_extension_flag":                 int64(s.Extensions >> 7),
		"transform_skip_rotation_enabled_flag":     int64(s.RangeExtension >> 8),
		"cabac_bypass_alignment_enabled_flag":      int64(s.RangeExtension & 1),
	}
	x, y := s.cropUnits()
	m["conf_win_left_offset"] = int64(s.Crop.Left / x)
	m["conf_win_right_offset"] = int64(s.Crop.Right / x)
	m["conf_win_top_offset"] = int64(s.Crop.Top / y)
	m["conf_win_bottom_offset"] = int64(s.Crop.Bottom / y)
	m["def_disp_win_right_offset"] = int64(v.DisplayWindow.Right / x)
	return m
}

func TestParseRefuses(t *testing.T) {
	sps := unhex(realSets[0].sps)
	for name, f := range map[string]func() error{
		"empty SPS":        func() error { _, err := ParseSPS(nil); return err },
		"VPS as SPS":       func() error { _, err := ParseSPS(unhex(realSets[0].vps)); return err },
		"header alone":     func() error { _, err := ParseSPS(sps[:2]); return err },
		"cut SPS":          func() error { _, err := ParseSPS(sps[:30]); return err },
		"seven sub-layers": func() error { _, err := ParseSPS(unhex("42010f01600000")); return err },
		"empty VPS":        func() error { _, err := ParseVPS(nil); return err },
		"cut VPS":          func() error { _, err := ParseVPS(unhex(realSets[0].vps)[:12]); return err },
		"64 layers": func() error {
			_, err := ParseVPS(unhex("400103f1ffff016000000300900000030000030078ba0240"))
			return err
		},
		"empty PPS":          func() error { _, err := ParsePPS(nil); return err },
		"cut PPS":            func() error { _, err := ParsePPS(unhex(realSets[0].pps)[:4]); return err },
		"PPS of another SPS": func() error { _, err := ParsePPS(unhex("4401 80 00 00 00 80")); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	for _, c := range []struct {
		w, h, crop uint32
		want       string
	}{
		{0, 64, 0, "picture of 0x64"}, {64, 0, 0, "64x0"}, {16889, 64, 0, "pic_width_in_luma_samples is 16889"},
		{1<<32 - 2, 64, 0, "pic_width"}, {16384, 16384, 0, "16384x16384"}, {64, 64, 32, "leaves nothing"}, {60, 64, 0, "whole number of blocks"},
	} {
		var w h264.BitWriter
		w.U(8, 1)
		w.U(32, 1<<24)
		w.U(32, 0)
		w.U(24, 0)
		w.U(8, 93)
		for _, v := range []uint32{0, 1, c.w, c.h} {
			w.UE(v)
		}
		w.Flag(c.crop != 0)
		if c.crop != 0 {
			for _, v := range []uint32{c.crop, 0, 0, 0} {
				w.UE(v)
			}
		}
		for _, v := range []uint32{0, 0, 0} {
			w.UE(v)
		}
		w.Flag(true)
		for _, v := range []uint32{0, 0, 0, 0, 1, 0, 1, 0, 0} {
			w.UE(v)
		}
		w.U(16, 0)
		w.TrailingBits()
		_, err := ParseSPS(h264.AppendEscaped([]byte{0x42, 1}, w.RBSP()))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%dx%d cropped by %d: %v, want %q", c.w, c.h, c.crop, err, c.want)
		}
	}
}

func FuzzSPS(f *testing.F) {
	for _, c := range realSets {
		f.Add(unhex(c.sps))
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
		if w <= 0 || h <= 0 || w > s.CodedWidth || h > s.CodedHeight || s.CodedWidth*s.CodedHeight > maxLumaSamples {
			t.Errorf("size %dx%d of %dx%d", w, h, s.CodedWidth, s.CodedHeight)
		}
		for _, set := range s.RefPicSets {
			if len(set.Refs) > maxPictures || set.Negative > len(set.Refs) {
				t.Errorf("reference picture set %+v", set)
			}
		}
		s.Check420(true)
		s.VUI.FrameDuration()
	})
}
