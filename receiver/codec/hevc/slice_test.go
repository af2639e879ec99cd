package hevc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aerie/receiver/codec/h264"
)

// elementsOf lists what a parsed header says of the elements of the standard.
func elementsOf(s *SliceHeader) map[string]int64 {
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	m := map[string]int64{
		"nal_unit_type":                                int64(s.Type),
		"nuh_temporal_id_plus1":                        int64(s.TemporalID) + 1,
		"first_slice_segment_in_pic_flag":              flag(s.FirstSegment),
		"no_output_of_prior_pics_flag":                 flag(s.NoOutputOfPrior),
		"slice_pic_parameter_set_id":                   int64(s.PPSID),
		"dependent_slice_segment_flag":                 flag(s.Dependent),
		"slice_segment_address":                        int64(s.Address),
		"slice_type":                                   int64(s.SliceType),
		"pic_output_flag":                              flag(s.PicOutput),
		"colour_plane_id":                              int64(s.ColourPlane),
		"slice_pic_order_cnt_lsb":                      int64(s.POCLSB),
		"short_term_ref_pic_set_sps_flag":              flag(s.setIndex >= 0),
		"short_term_ref_pic_set_idx":                   int64(s.setIndex),
		"slice_temporal_mvp_enabled_flag":              flag(s.TemporalMVP),
		"slice_sao_luma_flag":                          flag(s.SAOLuma),
		"slice_sao_chroma_flag":                        flag(s.SAOChroma),
		"num_ref_idx_l0_active_minus1":                 int64(s.RefIdxL0) - 1,
		"num_ref_idx_l1_active_minus1":                 int64(s.RefIdxL1) - 1,
		"ref_pic_list_modification_flag_l0":            flag(s.modification[0].present),
		"ref_pic_list_modification_flag_l1":            flag(s.modification[1].present),
		"mvd_l1_zero_flag":                             flag(s.MVDL1Zero),
		"cabac_init_flag":                              flag(s.CABACInit),
		"collocated_from_l0_flag":                      flag(s.CollocatedL0),
		"collocated_ref_idx":                           int64(s.CollocatedRef),
		"luma_log2_weight_denom":                       int64(s.Weights.LumaLog2Denom),
		"delta_chroma_log2_weight_denom":               int64(s.Weights.ChromaLog2Denom) - int64(s.Weights.LumaLog2Denom),
		"five_minus_max_num_merge_cand":                5 - int64(s.MaxMergeCand),
		"slice_qp_delta":                               int64(s.QPDelta),
		"slice_cb_qp_offset":                           int64(s.CbQPOffset),
		"slice_cr_qp_offset":                           int64(s.CrQPOffset),
		"slice_deblocking_filter_disabled_flag":        flag(s.DeblockingOff),
		"slice_beta_offset_div2":                       int64(s.BetaOffset),
		"slice_tc_offset_div2":                         int64(s.TcOffset),
		"slice_loop_filter_across_slices_enabled_flag": flag(s.FilterAcross),
		"num_entry_point_offsets":                      int64(len(s.EntryPoints)),
	}
	for i, l := range s.LongTerm[:s.LongTermPics] {
		m[fmt.Sprintf("poc_lsb_lt[%d]", i)] = int64(l.POCLSB)
		m[fmt.Sprintf("used_by_curr_pic_lt_flag[%d]", i)] = flag(l.Used)
		m[fmt.Sprintf("delta_poc_msb_present_flag[%d]", i)] = flag(l.MSB)
	}
	for i, v := range s.EntryPoints {
		m[fmt.Sprintf("entry_point_offset_minus1[%d]", i)] = int64(v) - 1
	}
	for l := range s.Weights.Lists {
		for i, w := range s.Weights.Lists[l] {
			m[fmt.Sprintf("delta_luma_weight_l%d[%d]", l, i)] = int64(w.LumaDelta)
			m[fmt.Sprintf("luma_offset_l%d[%d]", l, i)] = int64(w.LumaOffset)
			m[fmt.Sprintf("delta_chroma_weight_l%d[%d][0]", l, i)] = int64(w.ChromaDelta[0])
			m[fmt.Sprintf("delta_chroma_weight_l%d[%d][1]", l, i)] = int64(w.ChromaDelta[1])
		}
		for i, v := range s.modification[l].entries {
			m[fmt.Sprintf("list_entry_l%d[%d]", l, i)] = int64(v)
		}
	}
	return m
}

// Generated headers read the same in ffmpeg, element by element.
func TestParseSliceGenerated(t *testing.T) {
	var stream []byte
	var got []Slice
	for seed := range uint64(150) {
		var sets Sets
		var before *SliceHeader
		for _, nal := range generatePicture(t, seed) {
			stream = h264.AppendAnnexB(stream, nal)
			if !TypeOf(nal).IsSlice() {
				if err := sets.Add(nal); err != nil {
					t.Fatal(err)
				}
				continue
			}
			h := new(SliceHeader)
			if err := h.Parse(nal, &sets, before); err != nil {
				t.Fatalf("picture %d: %v", seed, err)
			}
			got = append(got, Slice{SliceHeader: *h})
			before = h
		}
	}
	file := filepath.Join(t.TempDir(), "made.265")
	if err := os.WriteFile(file, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	traced := traceSlices(t, file)
	compareSlices(t, stream, got, traced)
	seen := map[string]int{}
	for _, s := range traced {
		for name := range s.elements {
			seen[name]++
		}
	}
	for _, name := range []string{"dependent_slice_segment_flag", "pic_output_flag", "colour_plane_id", "short_term_ref_pic_set_idx", "delta_idx_minus1",
		"num_negative_pics", "lt_idx_sps[1]", "poc_lsb_lt[0]", "delta_poc_msb_cycle_lt[1]", "list_entry_l0[3]", "list_entry_l1[1]", "mvd_l1_zero_flag",
		"cabac_init_flag", "collocated_ref_idx", "luma_offset_l1[0]", "luma_offset_l0[2]", "slice_cr_qp_offset", "slice_tc_offset_div2",
		"entry_point_offset_minus1[9]", "slice_segment_header_extension_length"} {
		if seen[name] < 3 {
			t.Errorf("%s occurs %d times", name, seen[name])
		}
	}
}

// compareSlices compares slice headers with what ffmpeg printed of them.
func compareSlices(t *testing.T, stream []byte, got []Slice, want []tracedSlice) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d slices, ffmpeg finds %d", len(got), len(want))
	}
	var nals [][]byte
	for nal := range h264.AnnexB(stream) {
		if TypeOf(nal).IsSlice() {
			nals = append(nals, nal)
		}
	}
	compared := 0
	for i := range got {
		s, w := &got[i], want[i]
		have := elementsOf(&s.SliceHeader)
		for name, e := range w.elements {
			if v, ok := have[name]; ok {
				compared++
				if v != e.value {
					t.Errorf("slice %d: %s is %d, ffmpeg has %d", i, name, v, e.value)
				}
			}
		}
		compareDerived(t, i, &s.SliceHeader, nals[i], w)
		if t.Failed() {
			t.Fatalf("slice %d: %v", i, w.elements)
		}
	}
	t.Logf("%d slices, %d elements", len(got), compared)
}

// compareDerived compares what is no element: sizes and offsets, which follow
// from where ffmpeg found the elements.
func compareDerived(t *testing.T, i int, s *SliceHeader, nal []byte, w tracedSlice) {
	t.Helper()
	bits := w.elements["alignment_bit_equal_to_one"].bit + 1
	if n := len(unescape(nal[:s.DataOffset])); n != (bits+7)/8 {
		t.Errorf("slice %d: the data begins at byte %d, %d without emulation prevention; ffmpeg reads %d bits before it", i, s.DataOffset, n, bits)
	}
	if s.Dependent {
		return
	}
	short, long := span(w, isShortTerm), span(w, isLongTerm)
	if int(s.ShortTermBits) != short || int(s.LongTermBits) != long {
		t.Errorf("slice %d: %d bits of short-term set, %d of long-term; ffmpeg has %d and %d", i, s.ShortTermBits, s.LongTermBits, short, long)
	}
	compareRefPics(t, i, s, w)
	for l := range s.Weights.Lists {
		for j, p := range s.Weights.Lists[l] {
			for c := range p.ChromaOffset {
				// The older name is without "delta".
				at := fmt.Sprintf("chroma_offset_l%d[%d][%d]", l, j, c)
				e, ok := w.elements["delta_"+at]
				if !ok {
					e = w.elements[at]
				}
				d := s.Weights.ChromaLog2Denom
				weight := int64(1)<<d + w.elements[fmt.Sprintf("delta_chroma_weight_l%d[%d][%d]", l, j, c)].value
				if v := min(max(e.value-(128*weight>>d)+128, -128), 127); v != int64(p.ChromaOffset[c]) {
					t.Errorf("slice %d: offset of list %d, entry %d, colour %d is %d, want %d", i, l, j, c, p.ChromaOffset[c], v)
				}
			}
		}
	}
}

// compareRefPics adds up what ffmpeg read of the reference pictures.
func compareRefPics(t *testing.T, i int, s *SliceHeader, w tracedSlice) {
	t.Helper()
	if n, ok := w.elements["num_negative_pics"]; ok {
		set := RefPicSet{Negative: int(n.value)}
		for j, list := range []string{"s0", "s1"} {
			poc := int32(0)
			for k := 0; ; k++ {
				d, ok := w.elements[fmt.Sprintf("delta_poc_%s_minus1[%d]", list, k)]
				if !ok {
					break
				}
				poc += int32(2*j-1) * int32(d.value+1)
				used := w.elements[fmt.Sprintf("used_by_curr_pic_%s_flag[%d]", list, k)].value == 1
				set.Refs = append(set.Refs, RefPicDelta{poc, used})
			}
		}
		if got := s.RefPics(new(SPS)); got.Negative != set.Negative || !slices.Equal(got.Refs, set.Refs) {
			t.Errorf("slice %d: reference picture set %+v, ffmpeg has %+v", i, got, set)
		}
	}
	cycle, fromSPS := int64(0), int(w.elements["num_long_term_sps"].value)
	for j, l := range s.LongTerm[:s.LongTermPics] {
		if j == fromSPS {
			cycle = 0
		}
		if cycle += w.elements[fmt.Sprintf("delta_poc_msb_cycle_lt[%d]", j)].value; cycle != int64(l.MSBCycle) {
			t.Errorf("slice %d: cycle %d of long-term picture %d, ffmpeg has %d", i, l.MSBCycle, j, cycle)
		}
	}
}

func isShortTerm(name string) bool {
	name, _, _ = strings.Cut(name, "[")
	return slices.Contains([]string{"inter_ref_pic_set_prediction_flag", "delta_idx_minus1", "delta_rps_sign", "abs_delta_rps_minus1",
		"used_by_curr_pic_flag", "use_delta_flag", "num_negative_pics", "num_positive_pics", "delta_poc_s0_minus1", "delta_poc_s1_minus1",
		"used_by_curr_pic_s0_flag", "used_by_curr_pic_s1_flag"}, name)
}

func isLongTerm(name string) bool {
	name, _, _ = strings.Cut(name, "[")
	return slices.Contains([]string{"num_long_term_sps", "num_long_term_pics", "lt_idx_sps", "poc_lsb_lt", "used_by_curr_pic_lt_flag",
		"delta_poc_msb_present_flag", "delta_poc_msb_cycle_lt"}, name)
}

// span returns how many bits a run of elements takes.
func span(w tracedSlice, in func(string) bool) int {
	first := -1
	for _, name := range w.names {
		switch e := w.elements[name]; {
		case in(name) && first < 0:
			first = e.bit
		case !in(name) && first >= 0:
			return e.bit - first
		}
	}
	return 0
}

// unescape takes the emulation prevention bytes out.
func unescape(nal []byte) (rbsp []byte) {
	zeros := 0
	for _, b := range nal {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		rbsp = append(rbsp, b)
	}
	return rbsp
}
