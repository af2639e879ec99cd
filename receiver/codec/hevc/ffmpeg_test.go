package hevc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"aerie/receiver/codec/h264"
)

var traced = regexp.MustCompile(`\] \d+ +(\S+) +[01]+ = (-?\d+)$`)

// trace has ffmpeg print the elements of the first sequence parameter set in
// a stream.
func trace(t *testing.T, stream []byte) (set []element) {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed (Debian: apt install ffmpeg)")
	}
	file := filepath.Join(t.TempDir(), "sets.265")
	if err := os.WriteFile(file, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	// It fails behind the sets, for there is no picture.
	out, _ := exec.Command(path, "-v", "trace", "-f", "hevc", "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-").CombinedOutput()
	_, text, found := strings.Cut(string(out), "] Sequence Parameter Set\n")
	if !found {
		t.Fatalf("ffmpeg found no set:\n%s", out)
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		m := traced.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if m[1] == "rbsp_stop_one_bit" {
			return set[4:] // without the NAL unit header
		}
		v, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, element{m[1], v})
	}
	t.Fatalf("ffmpeg gave up in the set:\n%s", out)
	return nil
}

// A generated set reads the same in ffmpeg, element by element, so that what
// TestParseSPSGenerated expects is what the standard says.
func TestFFmpegReadsTheSame(t *testing.T) {
	vps := unhex(realSets[0].vps)
	for seed := range uint64(12) {
		nal, want := generateSPS(seed)
		vps[2] = byte(want[0].value)<<4 | vps[2]&0xf
		got := trace(t, h264.AppendAnnexB(h264.AppendAnnexB(nil, vps), nal))
		// The constraint bits have many names and lengths: they are compared
		// as one number.
		g, w := join(got), join(want)
		for i := range max(len(g), len(w)) {
			if i >= len(g) || i >= len(w) || g[i] != w[i] {
				t.Fatalf("set %d: element %d: ffmpeg has %v, want %v", seed, i, g[min(i, len(g)):], w[min(i, len(w)):])
			}
		}
	}
}

// afterConstraints are the elements that can follow the constraint bits.
var afterConstraints = regexp.MustCompile(`_level_idc$|_profile_space$|^sub_layer_level|^sps_seq_parameter_set_id$`)

// join drops the constraint bits, which have other names for every profile,
// and the indices, which ffmpeg writes in other places.
func join(in []element) (out []element) {
	inside := false
	for _, e := range in {
		last := strings.HasSuffix(e.name, "_profile_compatibility_flag[31]") || strings.Contains(e.name, "_profile_compatibility_flag[") && strings.HasSuffix(e.name, "][31]")
		e.name, _, _ = strings.Cut(e.name, "[")
		if inside = inside && !afterConstraints.MatchString(e.name); !inside {
			out = append(out, e)
		}
		inside = inside || last
	}
	return out
}

func TestParseSPSGenerated(t *testing.T) {
	predicted := 0
	for seed := range uint64(500) {
		nal, elements := generateSPS(seed)
		s, err := ParseSPS(nal)
		if err != nil {
			t.Fatalf("set %d: %v", seed, err)
		}
		last := map[string]int64{}
		for _, e := range elements {
			last[e.name] = e.value
		}
		got := fields(s)
		for name, v := range got {
			if want, ok := last[name]; ok && v != want {
				t.Errorf("set %d: %s is %d, want %d", seed, name, v, want)
			}
		}
		if last["vui_parameters_present_flag"] != 0 != s.VUI.Present || len(s.LongTermRefs) != int(last["num_long_term_ref_pics_sps"]) ||
			len(s.RefPicSets) != int(last["num_short_term_ref_pic_sets"]) {
			t.Errorf("set %d: %+v", seed, s)
		}
		// The generator's own account of the reference picture sets.
		g := generatorRefs(seed)
		for i := range s.RefPicSets {
			if !reflect.DeepEqual(s.RefPicSets[i], g[i]) {
				t.Fatalf("set %d: reference picture set %d is %+v, want %+v", seed, i, s.RefPicSets[i], g[i])
			}
		}
		predicted += len(g)
	}
	if predicted < 300 {
		t.Errorf("only %d reference picture sets", predicted)
	}
}

// generatorRefs derives the reference picture sets of a generated set from
// its elements.
func generatorRefs(seed uint64) (sets []RefPicSet) {
	_, elements := generateSPS(seed)
	at := 0
	for elements[at].name != "num_short_term_ref_pic_sets" {
		at++
	}
	n := int(elements[at].value)
	at++
	next := func(name string) int64 {
		if !strings.HasPrefix(elements[at].name, name) {
			panic(fmt.Sprintf("element %d is %v, not %s", at, elements[at], name))
		}
		at++
		return elements[at-1].value
	}
	for i := range n {
		if i > 0 && next("inter_ref_pic_set_prediction_flag") == 1 {
			shift := 1 - 2*next("delta_rps_sign")
			shift *= 1 + next("abs_delta_rps_minus1")
			sets = append(sets, shifted(sets[i-1], int32(shift), next))
			continue
		}
		negative, positive := next("num_negative_pics"), next("num_positive_pics")
		set, poc := RefPicSet{Negative: int(negative)}, int64(0)
		for range negative {
			poc -= 1 + next("delta_poc_s0_minus1")
			set.Refs = append(set.Refs, RefPicDelta{int32(poc), next("used_by_curr_pic_s0_flag") == 1})
		}
		poc = 0
		for range positive {
			poc += 1 + next("delta_poc_s1_minus1")
			set.Refs = append(set.Refs, RefPicDelta{int32(poc), next("used_by_curr_pic_s1_flag") == 1})
		}
		sets = append(sets, set)
	}
	return sets
}

// shifted derives a predicted set by sorting, unlike the parser, which
// follows the loops of the standard.
func shifted(ref RefPicSet, shift int32, next func(string) int64) (set RefPicSet) {
	kept := map[int32]bool{}
	for j := range len(ref.Refs) + 1 {
		poc := shift
		if j < len(ref.Refs) {
			poc += ref.Refs[j].DeltaPOC
		}
		used := next("used_by_curr_pic_flag") == 1
		if used || next("use_delta_flag") == 1 {
			kept[poc] = used
		}
	}
	delete(kept, 0)
	for d := int32(-1); d > -1000; d-- {
		if used, ok := kept[d]; ok {
			set.Refs = append(set.Refs, RefPicDelta{d, used})
		}
	}
	set.Negative = len(set.Refs)
	for d := int32(1); d < 1000; d++ {
		if used, ok := kept[d]; ok {
			set.Refs = append(set.Refs, RefPicDelta{d, used})
		}
	}
	return set
}
