package hevc

import (
	"fmt"
	"math/rand/v2"

	"aerie/receiver/codec/h264"
)

// An element is one syntax element of a generated parameter set, by its name
// in the standard.
type element struct {
	name  string
	value int64
}

// A generator writes a random sequence parameter set and keeps the list of
// what it wrote, in the names and the order of ITU-T H.265 sections 7.3.2.2
// and E.2.1, to be compared with what another reader finds.
type generator struct {
	rng      *rand.Rand
	w        h264.BitWriter
	elements []element
}

// generateSPS returns a sequence parameter set and its elements. With seed it
// is always the same one.
func generateSPS(seed uint64) (nal []byte, elements []element) {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 265))}
	g.sps()
	g.w.TrailingBits()
	return h264.AppendEscaped([]byte{byte(TypeSPS) << 1, 1}, g.w.RBSP()), g.elements
}

func (g *generator) u(name string, n int, v int64) int64 {
	g.w.U(n, uint32(v))
	g.elements = append(g.elements, element{name, v})
	return v
}

func (g *generator) ue(name string, v int64) int64 {
	g.w.UE(uint32(v))
	g.elements = append(g.elements, element{name, v})
	return v
}

func (g *generator) se(name string, v int64) int64 {
	g.w.SE(int32(v))
	g.elements = append(g.elements, element{name, v})
	return v
}

func (g *generator) upTo(n int64) int64 { return g.rng.Int64N(n + 1) }

func (g *generator) flag(name string) bool { return g.u(name, 1, g.upTo(1)) == 1 }

func pick(g *generator, of ...int64) int64 { return of[g.rng.IntN(len(of))] }

func (g *generator) sps() {
	g.u("sps_video_parameter_set_id", 4, g.upTo(15))
	subLayers := 1 + int(g.u("sps_max_sub_layers_minus1", 3, pick(g, 0, 0, 1, 3, 6)))
	g.u("sps_temporal_id_nesting_flag", 1, 1)
	g.profile("general")
	g.subLayers(subLayers)
	g.ue("sps_seq_parameter_set_id", g.upTo(15))
	g.format()
	g.ue("log2_max_pic_order_cnt_lsb_minus4", 12)
	ordering := []int{subLayers - 1}
	if g.flag("sps_sub_layer_ordering_info_present_flag") {
		ordering = ordering[:0]
		for i := range subLayers {
			ordering = append(ordering, i)
		}
	}
	for _, i := range ordering {
		g.ue(fmt.Sprintf("sps_max_dec_pic_buffering_minus1[%d]", i), 15)
		g.ue(fmt.Sprintf("sps_max_num_reorder_pics[%d]", i), int64(i))
		g.ue(fmt.Sprintf("sps_max_latency_increase_plus1[%d]", i), g.upTo(1<<32-2))
	}
	g.ue("log2_min_luma_coding_block_size_minus3", 0)
	g.ue("log2_diff_max_min_luma_coding_block_size", 1+g.upTo(2))
	g.ue("log2_min_luma_transform_block_size_minus2", 0)
	g.ue("log2_diff_max_min_luma_transform_block_size", g.upTo(2))
	g.ue("max_transform_hierarchy_depth_inter", g.upTo(1))
	g.ue("max_transform_hierarchy_depth_intra", g.upTo(1))
	if g.flag("scaling_list_enabled_flag") && g.flag("sps_scaling_list_data_present_flag") {
		g.scalingLists()
	}
	g.flag("amp_enabled_flag")
	g.flag("sample_adaptive_offset_enabled_flag")
	if g.flag("pcm_enabled_flag") {
		g.u("pcm_sample_bit_depth_luma_minus1", 4, 7)
		g.u("pcm_sample_bit_depth_chroma_minus1", 4, 7)
		g.ue("log2_min_pcm_luma_coding_block_size_minus3", 0)
		g.ue("log2_diff_max_min_pcm_luma_coding_block_size", g.upTo(1))
		g.flag("pcm_loop_filter_disabled_flag")
	}
	g.refs()
	g.flag("sps_temporal_mvp_enabled_flag")
	g.flag("strong_intra_smoothing_enabled_flag")
	if g.flag("vui_parameters_present_flag") {
		g.vui(subLayers)
	}
	if g.flag("sps_extension_present_flag") {
		ranged := g.flag("sps_range_extension_flag")
		g.u("sps_multilayer_extension_flag", 1, 0)
		g.u("sps_3d_extension_flag", 1, 0)
		g.u("sps_scc_extension_flag", 1, 0)
		g.u("sps_extension_4bits", 4, 0)
		if ranged {
			for _, name := range []string{"transform_skip_rotation_enabled", "transform_skip_context_enabled", "implicit_rdpcm_enabled",
				"explicit_rdpcm_enabled", "extended_precision_processing", "intra_smoothing_disabled",
				"high_precision_offsets_enabled", "persistent_rice_adaptation_enabled", "cabac_bypass_alignment_enabled"} {
				g.flag(name + "_flag")
			}
		}
	}
}

func (g *generator) profile(of string) {
	g.u(of+"_profile_space", 2, 0)
	g.flag(of + "_tier_flag")
	g.u(of+"_profile_idc", 5, 1+g.upTo(1))
	for i := range 32 {
		g.u(fmt.Sprintf("%s_profile_compatibility_flag[%d]", of, i), 1, pick(g, 0, 0, 1))
	}
	// Most names of the 48 constraint bits depend on the profile, and where
	// they are reserved ffmpeg insists on zero.
	for i := range 4 {
		g.flag(fmt.Sprintf("constraint %d", i))
	}
	for i := 4; i < 48; i++ {
		g.u(fmt.Sprintf("constraint %d", i), 1, 0)
	}
	if of == "general" {
		g.u("general_level_idc", 8, pick(g, 30, 93, 120, 186))
	}
}

func (g *generator) subLayers(n int) {
	var profile, level [8]bool
	for i := range n - 1 {
		profile[i] = g.flag(fmt.Sprintf("sub_layer_profile_present_flag[%d]", i))
		level[i] = g.flag(fmt.Sprintf("sub_layer_level_present_flag[%d]", i))
	}
	for i := n - 1; n > 1 && i < 8; i++ {
		g.u(fmt.Sprintf("reserved_zero_2bits[%d]", i), 2, 0)
	}
	for i := range n - 1 {
		if profile[i] {
			g.profile("sub_layer")
		}
		if level[i] {
			g.u(fmt.Sprintf("sub_layer_level_idc[%d]", i), 8, g.upTo(255))
		}
	}
}

func (g *generator) format() {
	chroma := g.ue("chroma_format_idc", g.upTo(3))
	if chroma == 3 {
		g.flag("separate_colour_plane_flag")
	}
	w := 8 * (2 + g.upTo(500))
	h := 8 * (2 + g.upTo(500))
	g.ue("pic_width_in_luma_samples", w)
	g.ue("pic_height_in_luma_samples", h)
	if g.flag("conformance_window_flag") {
		g.ue("conf_win_left_offset", g.upTo(3))
		g.ue("conf_win_right_offset", g.upTo(3))
		g.ue("conf_win_top_offset", g.upTo(3))
		g.ue("conf_win_bottom_offset", g.upTo(3))
	}
	g.ue("bit_depth_luma_minus8", g.upTo(8))
	g.ue("bit_depth_chroma_minus8", g.upTo(8))
}

func (g *generator) scalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for m := 0; m < 6; m += step {
			if !g.flag(fmt.Sprintf("scaling_list_pred_mode_flag[%d][%d]", size, m)) {
				g.ue(fmt.Sprintf("scaling_list_pred_matrix_id_delta[%d][%d]", size, m), g.upTo(int64(m/step)))
				continue
			}
			if size > 1 {
				g.se(fmt.Sprintf("scaling_list_dc_coef_minus8[%d][%d]", size-2, m), g.upTo(254)-7)
			}
			for i := range min(64, 1<<(4+2*size)) {
				g.se(fmt.Sprintf("scaling_list_delta_coeff[%d][%d][%d]", size, m, i), g.upTo(255)-128)
			}
		}
	}
}

// refs writes reference picture sets. The generator follows how many pictures
// each holds, which says how many flags a predicted one has.
func (g *generator) refs() {
	n := int(g.ue("num_short_term_ref_pic_sets", pick(g, 0, 1, 5, 64)))
	var last RefPicSet
	for i := range n {
		if i > 0 && g.flag("inter_ref_pic_set_prediction_flag") {
			last = g.predicted(last)
		} else {
			last = g.explicit()
		}
	}
	if g.flag("long_term_ref_pics_present_flag") {
		for i := range int(g.ue("num_long_term_ref_pics_sps", pick(g, 0, 2, 32))) {
			g.u(fmt.Sprintf("lt_ref_pic_poc_lsb_sps[%d]", i), 16, g.upTo(65535))
			g.flag(fmt.Sprintf("used_by_curr_pic_lt_sps_flag[%d]", i))
		}
	}
}

func (g *generator) explicit() (set RefPicSet) {
	negative := int(g.ue("num_negative_pics", g.upTo(6)))
	positive := int(g.ue("num_positive_pics", g.upTo(6)))
	set.Negative = negative
	for i := range negative + positive {
		list, at := "s0", i
		if i >= negative {
			list, at = "s1", i-negative
		}
		d := 1 + g.ue(fmt.Sprintf("delta_poc_%s_minus1[%d]", list, at), g.upTo(5))
		if list == "s0" {
			d = -d
		}
		if at > 0 {
			d += int64(set.Refs[i-1].DeltaPOC)
		}
		set.Refs = append(set.Refs, RefPicDelta{int32(d), g.flag(fmt.Sprintf("used_by_curr_pic_%s_flag[%d]", list, at))})
	}
	return set
}

func (g *generator) predicted(ref RefPicSet) RefPicSet {
	shift := int32(1 - 2*g.u("delta_rps_sign", 1, g.upTo(1)))
	shift *= int32(1 + g.ue("abs_delta_rps_minus1", g.upTo(4)))
	flags := 0
	return shifted(ref, shift, func(name string) int64 {
		if name == "used_by_curr_pic_flag" {
			flags++
		}
		return g.u(fmt.Sprintf("%s[%d]", name, flags-1), 1, pick(g, 0, 0, 1))
	})
}

func (g *generator) vui(subLayers int) {
	if g.flag("aspect_ratio_info_present_flag") {
		if g.u("aspect_ratio_idc", 8, pick(g, 0, 1, 14, 255)) == 255 {
			g.u("sar_width", 16, g.upTo(65535))
			g.u("sar_height", 16, g.upTo(65535))
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
	g.flag("neutral_chroma_indication_flag")
	g.flag("field_seq_flag")
	g.flag("frame_field_info_present_flag")
	if g.flag("default_display_window_flag") {
		for _, side := range []string{"left", "right", "top", "bottom"} {
			g.ue("def_disp_win_"+side+"_offset", g.upTo(2))
		}
	}
	if g.flag("vui_timing_info_present_flag") {
		g.u("vui_num_units_in_tick", 32, 1+g.upTo(1<<32-2))
		g.u("vui_time_scale", 32, 1+g.upTo(1<<32-2))
		if g.flag("vui_poc_proportional_to_timing_flag") {
			g.ue("vui_num_ticks_poc_diff_one_minus1", g.upTo(1<<32-2))
		}
		if g.flag("vui_hrd_parameters_present_flag") {
			g.hrd(subLayers)
		}
	}
	if g.flag("bitstream_restriction_flag") {
		g.flag("tiles_fixed_structure_flag")
		g.flag("motion_vectors_over_pic_boundaries_flag")
		g.flag("restricted_ref_pic_lists_flag")
		g.ue("min_spatial_segmentation_idc", g.upTo(4095))
		g.ue("max_bytes_per_pic_denom", g.upTo(16))
		g.ue("max_bits_per_min_cu_denom", g.upTo(16))
		g.ue("log2_max_mv_length_horizontal", g.upTo(15))
		g.ue("log2_max_mv_length_vertical", g.upTo(15))
	}
}

func (g *generator) hrd(subLayers int) {
	nal := g.flag("nal_hrd_parameters_present_flag")
	vcl := g.flag("vcl_hrd_parameters_present_flag")
	subPic := false
	if nal || vcl {
		if subPic = g.flag("sub_pic_hrd_params_present_flag"); subPic {
			g.u("tick_divisor_minus2", 8, g.upTo(255))
			g.u("du_cpb_removal_delay_increment_length_minus1", 5, g.upTo(31))
			g.flag("sub_pic_cpb_params_in_pic_timing_sei_flag")
			g.u("dpb_output_delay_du_length_minus1", 5, g.upTo(31))
		}
		g.u("bit_rate_scale", 4, g.upTo(15))
		g.u("cpb_size_scale", 4, g.upTo(15))
		if subPic {
			g.u("cpb_size_du_scale", 4, g.upTo(15))
		}
		g.u("initial_cpb_removal_delay_length_minus1", 5, g.upTo(31))
		g.u("au_cpb_removal_delay_length_minus1", 5, g.upTo(31))
		g.u("dpb_output_delay_length_minus1", 5, g.upTo(31))
	}
	for i := range subLayers {
		g.subLayerHRD(i, nal, vcl, subPic)
	}
}

func (g *generator) subLayerHRD(i int, nal, vcl, subPic bool) {
	fixed := g.flag(fmt.Sprintf("fixed_pic_rate_general_flag[%d]", i))
	if !fixed {
		fixed = g.flag(fmt.Sprintf("fixed_pic_rate_within_cvs_flag[%d]", i))
	}
	lowDelay := false
	if fixed {
		g.ue(fmt.Sprintf("elemental_duration_in_tc_minus1[%d]", i), g.upTo(2047))
	} else {
		lowDelay = g.flag(fmt.Sprintf("low_delay_hrd_flag[%d]", i))
	}
	n := 1
	if !lowDelay {
		n += int(g.ue(fmt.Sprintf("cpb_cnt_minus1[%d]", i), pick(g, 0, 1, 31)))
	}
	for _, present := range []bool{nal, vcl} {
		rate, size := int64(0), int64(1<<32-1) // rates rise, sizes fall
		for j := 0; present && j < n; j++ {
			rate, size = rate+g.upTo(1000)+1, size-g.upTo(1000)-1
			g.ue(fmt.Sprintf("bit_rate_value_minus1[%d]", j), rate)
			g.ue(fmt.Sprintf("cpb_size_value_minus1[%d]", j), size)
			if subPic {
				g.ue(fmt.Sprintf("cpb_size_du_value_minus1[%d]", j), size)
				g.ue(fmt.Sprintf("bit_rate_du_value_minus1[%d]", j), rate)
			}
			g.flag(fmt.Sprintf("cbr_flag[%d]", j))
		}
	}
}
