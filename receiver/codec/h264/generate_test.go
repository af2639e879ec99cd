package h264

import (
	"math/rand/v2"
	"strconv"
)

// An element is one syntax element of a generated parameter set, by its name
// in the standard.
type element struct {
	name  string
	value int64
}

// A generator writes a random sequence parameter set with BitWriter and keeps
// the list of what it wrote. The names and the order are those of sections
// 7.3.2.1.1 and E.1.1, so the list compares with what another reader prints.
type generator struct {
	rng      *rand.Rand
	w        BitWriter
	elements []element
}

// generateSPS returns a sequence parameter set and its elements. With seed it
// is always the same one.
func generateSPS(seed uint64) (nal []byte, elements []element) {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 264))}
	g.sps()
	g.w.TrailingBits()
	return AppendNAL(nil, 0x67, g.w.RBSP()), g.elements
}

func (g *generator) note(name string, v int64) int64 {
	g.elements = append(g.elements, element{name, v})
	return v
}

func (g *generator) u(name string, n int, v int64) int64 {
	g.w.U(n, uint32(v))
	return g.note(name, v)
}

func (g *generator) ue(name string, v int64) int64 {
	g.w.UE(uint32(v))
	return g.note(name, v)
}

func (g *generator) se(name string, v int64) int64 {
	g.w.SE(int32(v))
	return g.note(name, v)
}

func (g *generator) upTo(n int64) int64 { return g.rng.Int64N(n + 1) }

func (g *generator) flag(name string) bool { return g.u(name, 1, g.upTo(1)) == 1 }

func pick(g *generator, of ...int64) int64 { return of[g.rng.IntN(len(of))] }

func index(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

func (g *generator) sps() {
	profile := g.u("profile_idc", 8, pick(g, 66, 77, 88, 100, 100, 110, 122, 244))
	for _, name := range []string{"0", "1", "2", "3", "4", "5"} {
		g.u("constraint_set"+name+"_flag", 1, g.upTo(1))
	}
	g.u("reserved_zero_2bits", 2, 0)
	g.u("level_idc", 8, pick(g, 10, 21, 31, 40, 42, 51, 62))
	g.ue("seq_parameter_set_id", g.upTo(31))
	chroma := int64(1)
	if profile >= 100 {
		chroma = g.format()
	}
	g.ue("log2_max_frame_num_minus4", g.upTo(12))
	g.orderCount()
	g.ue("max_num_ref_frames", g.upTo(16))
	g.flag("gaps_in_frame_num_allowed_flag")
	g.size(chroma)
	if g.flag("vui_parameters_present_flag") {
		g.vui()
	}
}

func (g *generator) format() int64 {
	chroma := g.ue("chroma_format_idc", g.upTo(3))
	separate := chroma == 3 && g.flag("separate_colour_plane_flag")
	g.ue("bit_depth_luma_minus8", g.upTo(6))
	g.ue("bit_depth_chroma_minus8", g.upTo(6))
	g.flag("qpprime_y_zero_transform_bypass_flag")
	if g.flag("seq_scaling_matrix_present_flag") {
		lists := 8
		if chroma == 3 {
			lists = 12
		}
		for i := range lists {
			if !g.flag(index("seq_scaling_list_present_flag", i)) {
				continue
			}
			size := 16
			if i >= 6 {
				size = 64
			}
			g.scalingList(size)
		}
	}
	if separate {
		return 0 // the units of cropping are as for monochrome
	}
	return chroma
}

func (g *generator) scalingList(size int) {
	scale := int64(8)
	for j := range size {
		next := 1 + g.upTo(254)
		if g.upTo(20) == 0 {
			next = 0 // the rest repeats
		}
		delta := next - scale
		if delta > 127 {
			delta -= 256
		} else if delta < -128 {
			delta += 256
		}
		g.se(index("delta_scale", j), delta)
		if next == 0 {
			return
		}
		scale = next
	}
}

func (g *generator) orderCount() {
	switch g.ue("pic_order_cnt_type", g.upTo(2)) {
	case 0:
		g.ue("log2_max_pic_order_cnt_lsb_minus4", g.upTo(12))
	case 1:
		g.flag("delta_pic_order_always_zero_flag")
		g.se("offset_for_non_ref_pic", g.upTo(2000)-1000)
		g.se("offset_for_top_to_bottom_field", g.upTo(1<<31)-1<<30)
		n := g.ue("num_ref_frames_in_pic_order_cnt_cycle", g.upTo(pick(g, 0, 3, 255)))
		for i := range int(n) {
			g.se(index("offset_for_ref_frame", i), g.upTo(100)-50)
		}
	}
}

func (g *generator) size(chroma int64) {
	w := 1 + g.ue("pic_width_in_mbs_minus1", g.upTo(pick(g, 3, 119, 255)))
	h := 1 + g.ue("pic_height_in_map_units_minus1", g.upTo(pick(g, 3, 67, 200)))
	frames := g.flag("frame_mbs_only_flag")
	unitX, unitY := int64(1), int64(1)
	if !frames {
		g.flag("mb_adaptive_frame_field_flag")
		unitY, h = 2, h*2
	}
	g.u("direct_8x8_inference_flag", 1, 1)
	if chroma == 1 || chroma == 2 {
		unitX *= 2
	}
	if chroma == 1 {
		unitY *= 2
	}
	if g.flag("frame_cropping_flag") {
		left := g.ue("frame_crop_left_offset", g.upTo(w*16/unitX-1))
		g.ue("frame_crop_right_offset", g.upTo(w*16/unitX-1-left))
		top := g.ue("frame_crop_top_offset", g.upTo(h*16/unitY-1))
		g.ue("frame_crop_bottom_offset", g.upTo(h*16/unitY-1-top))
	}
}

func (g *generator) vui() {
	if g.flag("aspect_ratio_info_present_flag") {
		if g.u("aspect_ratio_idc", 8, pick(g, 0, 1, 14, 255)) == 255 {
			g.u("sar_width", 16, g.upTo(65535))
			g.u("sar_height", 16, pick(g, 0, 1, 65535))
		}
	}
	if g.flag("overscan_info_present_flag") {
		g.flag("overscan_appropriate_flag")
	}
	if g.flag("video_signal_type_present_flag") {
		g.u("video_format", 3, g.upTo(5))
		g.flag("video_full_range_flag")
		if g.flag("colour_description_present_flag") {
			g.u("colour_primaries", 8, pick(g, 1, 2, 9, 12))
			g.u("transfer_characteristics", 8, pick(g, 1, 2, 13, 18))
			g.u("matrix_coefficients", 8, pick(g, 1, 2, 6, 9))
		}
	}
	if g.flag("chroma_loc_info_present_flag") {
		g.ue("chroma_sample_loc_type_top_field", g.upTo(5))
		g.ue("chroma_sample_loc_type_bottom_field", g.upTo(5))
	}
	if g.flag("timing_info_present_flag") {
		g.u("num_units_in_tick", 32, 1+g.upTo(1<<32-2))
		g.u("time_scale", 32, 1+g.upTo(pick(g, 255, 1<<32-2)))
		g.flag("fixed_frame_rate_flag")
	}
	nal := g.flag("nal_hrd_parameters_present_flag")
	if nal {
		g.hrd()
	}
	vcl := g.flag("vcl_hrd_parameters_present_flag")
	if vcl {
		g.hrd()
	}
	if nal || vcl {
		g.flag("low_delay_hrd_flag")
	}
	g.flag("pic_struct_present_flag")
	if g.flag("bitstream_restriction_flag") {
		g.flag("motion_vectors_over_pic_boundaries_flag")
		g.ue("max_bytes_per_pic_denom", g.upTo(16))
		g.ue("max_bits_per_mb_denom", g.upTo(16))
		g.ue("log2_max_mv_length_horizontal", g.upTo(15))
		g.ue("log2_max_mv_length_vertical", g.upTo(15))
		g.ue("max_num_reorder_frames", g.upTo(16))
		g.ue("max_dec_frame_buffering", g.upTo(16))
	}
}

func (g *generator) hrd() {
	n := g.ue("cpb_cnt_minus1", pick(g, 0, 0, 31))
	g.u("bit_rate_scale", 4, g.upTo(15))
	g.u("cpb_size_scale", 4, g.upTo(15))
	for i := range int(n + 1) {
		g.ue(index("bit_rate_value_minus1", i), g.upTo(1<<32-2))
		g.ue(index("cpb_size_value_minus1", i), g.upTo(100000))
		g.u(index("cbr_flag", i), 1, g.upTo(1))
	}
	g.u("initial_cpb_removal_delay_length_minus1", 5, g.upTo(31))
	g.u("cpb_removal_delay_length_minus1", 5, g.upTo(31))
	g.u("dpb_output_delay_length_minus1", 5, g.upTo(31))
	g.u("time_offset_length", 5, g.upTo(31))
}
