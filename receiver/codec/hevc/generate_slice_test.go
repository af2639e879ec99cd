package hevc

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"aerie/receiver/codec/h264"
)

// A sliceGenerator writes random pictures: a picture parameter set and slice
// segment headers that use everything the standard has for the Main profiles,
// much of which no encoder at hand does.
type sliceGenerator struct {
	generator
	s *SPS
	p *PPS
}

// generatePicture returns the units of a picture: VPS, SPS, PPS and slice
// segments.
func generatePicture(t testing.TB, seed uint64) (nals [][]byte) {
	sps, elements := generateSPS(seed)
	s, err := ParseSPS(sps)
	if err != nil {
		t.Fatal(err)
	}
	vps := unhex(realSets[0].vps)
	vps[2] = byte(elements[0].value)<<4 | vps[2]&0xf
	g := &sliceGenerator{generator: generator{rng: rand.New(rand.NewPCG(seed, 7364))}, s: s}
	pps := g.unit(TypePPS, g.pps)
	if g.p, err = ParsePPS(pps); err != nil {
		t.Fatal(err)
	}
	nals = [][]byte{vps, sps, pps}
	typ := Type(pick(&g.generator, 0, 1, 1, 9, 19, 20, 21))
	picture := g.rng.Uint64()
	for i := range 1 + g.upTo(3) {
		dependent := i > 0 && g.p.DependentSliceSegments && g.upTo(1) == 1
		nals = append(nals, g.unit(typ, func() { g.slice(typ, i == 0, dependent, picture) }))
	}
	return nals
}

// unit makes a NAL unit of what write writes.
func (g *sliceGenerator) unit(typ Type, write func()) []byte {
	g.w.Reset()
	write()
	g.w.TrailingBits()
	nal := h264.AppendEscaped([]byte{byte(typ) << 1, 1}, g.w.RBSP())
	if typ.IsSlice() {
		return append(nal, 0xaa, 0x55, 0x80) // the data, which nobody reads
	}
	return nal
}

func (g *sliceGenerator) pps() {
	g.ue("pps_pic_parameter_set_id", g.upTo(63))
	g.ue("pps_seq_parameter_set_id", int64(g.s.ID))
	g.flag("dependent_slice_segments_enabled_flag")
	g.flag("output_flag_present_flag")
	g.u("num_extra_slice_header_bits", 3, pick(&g.generator, 0, 0, 2))
	g.flag("sign_data_hiding_enabled_flag")
	g.flag("cabac_init_present_flag")
	g.ue("num_ref_idx_l0_default_active_minus1", g.upTo(14))
	g.ue("num_ref_idx_l1_default_active_minus1", g.upTo(14))
	g.se("init_qp_minus26", g.upTo(20)-10)
	g.flag("constrained_intra_pred_flag")
	g.flag("transform_skip_enabled_flag")
	if g.flag("cu_qp_delta_enabled_flag") {
		g.ue("diff_cu_qp_delta_depth", g.upTo(int64(g.s.CodingTreeBlockLog2-g.s.MinCodingBlockLog2)))
	}
	g.se("pps_cb_qp_offset", g.upTo(24)-12)
	g.se("pps_cr_qp_offset", g.upTo(24)-12)
	g.flag("pps_slice_chroma_qp_offsets_present_flag")
	g.flag("weighted_pred_flag")
	g.flag("weighted_bipred_flag")
	g.flag("transquant_bypass_enabled_flag")
	w, h := g.s.TreeBlocks()
	tiles := w >= 4 && h >= 4 && g.flag("tiles_enabled_flag")
	if w < 4 || h < 4 {
		g.u("tiles_enabled_flag", 1, 0)
	}
	g.flag("entropy_coding_sync_enabled_flag")
	if tiles {
		g.tiles()
	}
	g.flag("pps_loop_filter_across_slices_enabled_flag")
	if g.flag("deblocking_filter_control_present_flag") {
		g.flag("deblocking_filter_override_enabled_flag")
		if !g.flag("pps_deblocking_filter_disabled_flag") {
			g.se("pps_beta_offset_div2", g.upTo(12)-6)
			g.se("pps_tc_offset_div2", g.upTo(12)-6)
		}
	}
	if g.flag("pps_scaling_list_data_present_flag") {
		g.scalingLists()
	}
	g.flag("lists_modification_present_flag")
	g.ue("log2_parallel_merge_level_minus2", g.upTo(1))
	g.flag("slice_segment_header_extension_present_flag")
	g.u("pps_extension_present_flag", 1, 0)
}

func (g *sliceGenerator) tiles() {
	columns := 1 + g.ue("num_tile_columns_minus1", 1+g.upTo(2))
	rows := 1 + g.ue("num_tile_rows_minus1", g.upTo(3))
	if !g.flag("uniform_spacing_flag") {
		for i := range columns - 1 {
			g.ue(fmt.Sprintf("column_width_minus1[%d]", i), 0)
		}
		for i := range rows - 1 {
			g.ue(fmt.Sprintf("row_height_minus1[%d]", i), 0)
		}
	}
	g.flag("loop_filter_across_tiles_enabled_flag")
}

// references writes what all slices of a picture say alike. It tells how many
// pictures they refer to, and whether motion vectors are predicted from one.
func (g *sliceGenerator) references(seed uint64) (total int, mvp bool) {
	defer func(saved *rand.Rand) { g.rng = saved }(g.rng)
	g.rng = rand.New(rand.NewPCG(seed, 1))
	s := g.s
	g.u("slice_pic_order_cnt_lsb", int(s.POCBits), g.upTo(1<<s.POCBits-1))
	var set RefPicSet
	if n := len(s.RefPicSets); n > 0 && g.flag("short_term_ref_pic_set_sps_flag") {
		i := int64(0)
		if n > 1 {
			i = g.u("short_term_ref_pic_set_idx", ceilLog2(n), g.upTo(int64(n-1)))
		}
		set = s.RefPicSets[i]
	} else {
		if n == 0 {
			g.u("short_term_ref_pic_set_sps_flag", 1, 0)
		}
		if n > 0 && g.flag("inter_ref_pic_set_prediction_flag") {
			back := 1 + g.ue("delta_idx_minus1", g.upTo(int64(min(n, 4)-1)))
			set = g.predicted(s.RefPicSets[n-int(back)])
		} else {
			set = g.explicit()
		}
	}
	for _, r := range set.Refs {
		if r.Used {
			total++
		}
	}
	if s.LongTermRefPics {
		total += g.longTerm(min(3, 15-len(set.Refs)))
	}
	return total, s.TemporalMVP && g.flag("slice_temporal_mvp_enabled_flag")
}

func (g *sliceGenerator) longTerm(most int) (total int) {
	s, fromSPS := g.s, int64(0)
	if n := len(s.LongTermRefs); n > 0 {
		fromSPS = g.ue("num_long_term_sps", g.upTo(int64(max(0, min(most, n)))))
	}
	n := fromSPS + g.ue("num_long_term_pics", g.upTo(max(0, int64(most)-fromSPS)))
	for i := range n {
		var used bool
		if i < fromSPS {
			at := int64(0)
			if bits := ceilLog2(len(s.LongTermRefs)); bits > 0 {
				at = g.u(fmt.Sprintf("lt_idx_sps[%d]", i), bits, g.upTo(int64(len(s.LongTermRefs)-1)))
			}
			used = s.LongTermRefs[at].Used
		} else {
			g.u(fmt.Sprintf("poc_lsb_lt[%d]", i), int(s.POCBits), g.upTo(1<<s.POCBits-1))
			used = g.flag(fmt.Sprintf("used_by_curr_pic_lt_flag[%d]", i))
		}
		if used {
			total++
		}
		if g.flag(fmt.Sprintf("delta_poc_msb_present_flag[%d]", i)) {
			g.ue(fmt.Sprintf("delta_poc_msb_cycle_lt[%d]", i), g.upTo(3))
		}
	}
	return total
}

func (g *sliceGenerator) slice(typ Type, first, dependent bool, picture uint64) {
	if g.u("first_slice_segment_in_pic_flag", 1, map[bool]int64{true: 1}[first]); typ.IsIRAP() {
		g.flag("no_output_of_prior_pics_flag")
	}
	g.ue("slice_pic_parameter_set_id", int64(g.p.ID))
	if !first {
		if g.p.DependentSliceSegments {
			g.u("dependent_slice_segment_flag", 1, map[bool]int64{true: 1}[dependent])
		}
		n := g.s.treeBlocks()
		g.u("slice_segment_address", ceilLog2(n), 1+g.upTo(int64(n-2)))
	}
	if !dependent {
		g.independent(typ, picture)
	}
	g.entryPoints()
	if g.p.SliceHeaderExtension {
		n := g.ue("slice_segment_header_extension_length", g.upTo(3))
		for range n {
			g.u("slice_segment_header_extension_data_byte", 8, g.upTo(255))
		}
	}
}

func (g *sliceGenerator) independent(typ Type, picture uint64) {
	s, p := g.s, g.p
	for range p.ExtraSliceHeaderBits {
		g.u("slice_reserved_flag", 1, 0)
	}
	// The references come behind the type, which depends on them.
	total, mvp := 0, false
	if !typ.IsIDR() {
		ahead := &sliceGenerator{s: s, p: p}
		total, mvp = ahead.references(picture)
	}
	kind := SliceI
	if total > 0 && !typ.IsIRAP() {
		kind = SliceType(g.upTo(2))
	}
	g.ue("slice_type", int64(kind))
	if p.OutputFlag {
		g.flag("pic_output_flag")
	}
	if s.SeparateColourPlanes {
		g.u("colour_plane_id", 2, g.upTo(2))
	}
	if !typ.IsIDR() {
		g.references(picture)
	}
	sao := false
	if s.SAO {
		sao = g.flag("slice_sao_luma_flag")
		if s.chromaArrayType() != 0 {
			sao = g.flag("slice_sao_chroma_flag") || sao
		}
	}
	if kind != SliceI {
		g.inter(kind == SliceB, total, mvp)
	}
	g.se("slice_qp_delta", g.upTo(10)-5)
	if p.SliceChromaQPOffsets {
		g.se("slice_cb_qp_offset", pick(&g.generator, 0, -int64(p.CbQPOffset)))
		g.se("slice_cr_qp_offset", pick(&g.generator, 0, -int64(p.CrQPOffset)))
	}
	off := p.DeblockingDisabled
	if p.DeblockingOverride && g.flag("deblocking_filter_override_flag") {
		if off = g.flag("slice_deblocking_filter_disabled_flag"); !off {
			g.se("slice_beta_offset_div2", g.upTo(12)-6)
			g.se("slice_tc_offset_div2", g.upTo(12)-6)
		}
	}
	if p.LoopFilterAcrossSlices && (sao || !off) {
		g.flag("slice_loop_filter_across_slices_enabled_flag")
	}
}

func (g *sliceGenerator) inter(b bool, total int, mvp bool) {
	p := g.p
	active := []int64{int64(p.RefIdxL0), int64(p.RefIdxL1)}
	if g.flag("num_ref_idx_active_override_flag") {
		active[0] = 1 + g.ue("num_ref_idx_l0_active_minus1", g.upTo(14))
		if b {
			active[1] = 1 + g.ue("num_ref_idx_l1_active_minus1", g.upTo(14))
		}
	}
	if !b {
		active = active[:1]
	}
	if p.ListsModification && total > 1 {
		for l, n := range active {
			if g.flag(fmt.Sprintf("ref_pic_list_modification_flag_l%d", l)) {
				for i := range n {
					g.u(fmt.Sprintf("list_entry_l%d[%d]", l, i), ceilLog2(total), g.upTo(int64(total-1)))
				}
			}
		}
	}
	if b {
		g.flag("mvd_l1_zero_flag")
	}
	if p.CABACInit {
		g.flag("cabac_init_flag")
	}
	if mvp {
		from := 0
		if b && !g.flag("collocated_from_l0_flag") {
			from = 1
		}
		if active[from] > 1 {
			g.ue("collocated_ref_idx", g.upTo(active[from]-1))
		}
	}
	if p.WeightedPred && !b || p.WeightedBipred && b {
		g.weights(active)
	}
	g.ue("five_minus_max_num_merge_cand", g.upTo(4))
}

func (g *sliceGenerator) weights(active []int64) {
	chroma := g.s.chromaArrayType() != 0
	luma := g.ue("luma_log2_weight_denom", g.upTo(7))
	if chroma {
		g.se("delta_chroma_log2_weight_denom", g.upTo(7)-luma)
	}
	for l, n := range active {
		var both [16][2]bool
		for i := range n {
			both[i][0] = g.flag(fmt.Sprintf("luma_weight_l%d_flag[%d]", l, i))
		}
		for i := range n {
			both[i][1] = chroma && g.flag(fmt.Sprintf("chroma_weight_l%d_flag[%d]", l, i))
		}
		for i := range n {
			if both[i][0] {
				g.se(fmt.Sprintf("delta_luma_weight_l%d[%d]", l, i), g.upTo(255)-128)
				g.se(fmt.Sprintf("luma_offset_l%d[%d]", l, i), g.upTo(255)-128)
			}
			for c := 0; both[i][1] && c < 2; c++ {
				g.se(fmt.Sprintf("delta_chroma_weight_l%d[%d][%d]", l, i, c), g.upTo(255)-128)
				g.se(fmt.Sprintf("delta_chroma_offset_l%d[%d][%d]", l, i, c), g.upTo(1023)-512)
			}
		}
	}
}

func (g *sliceGenerator) entryPoints() {
	p, most := g.p, int64(0)
	_, rows := g.s.TreeBlocks()
	switch {
	case p.EntropyCodingSync:
		most = int64(p.TileColumns)*int64(rows) - 1
	case p.TileColumns*p.TileRows > 1:
		most = int64(p.TileColumns)*int64(p.TileRows) - 1
	default:
		return
	}
	n := g.ue("num_entry_point_offsets", g.upTo(min(most, 20)))
	if n == 0 {
		return
	}
	size := 1 + g.ue("offset_len_minus1", g.upTo(31))
	for i := range n {
		g.u(fmt.Sprintf("entry_point_offset_minus1[%d]", i), int(size), g.upTo(1<<size-2))
	}
}
