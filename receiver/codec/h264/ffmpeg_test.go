package h264

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// These tests hold the package to ffmpeg, which has its own parser and writer
// of parameter sets.

// run runs a tool of FFmpeg and returns what it prints on both channels.
func run(t *testing.T, tool string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed (Debian: apt install ffmpeg)", tool)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// ffmpeg runs a tool that has to succeed.
func ffmpeg(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := run(t, tool, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
	return out
}

var traced = regexp.MustCompile(`\] \d+ +(\S+) +[01]+ = (-?\d+)$`)

// trace has ffmpeg print the elements of every parameter set in a stream. It
// prints those in front of the first picture twice, as extradata and packet.
func trace(t *testing.T, stream []byte) (sets [][]element) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sets.264")
	if err := os.WriteFile(file, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	// It fails behind the sets, for there is no picture.
	out, _ := run(t, "ffmpeg", "-v", "trace", "-f", "h264", "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-")
	lines := bufio.NewScanner(strings.NewReader(out))
	open := false
	for lines.Scan() {
		line := lines.Text()
		if strings.HasSuffix(line, "] Sequence Parameter Set") {
			sets = append(sets, nil)
			open = true
		}
		m := traced.FindStringSubmatch(line)
		if m == nil || !open {
			continue
		}
		if m[1] == "rbsp_stop_one_bit" {
			open = false
			continue
		}
		v, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sets[len(sets)-1] = append(sets[len(sets)-1], element{m[1], v})
	}
	for i := range sets {
		sets[i] = sets[i][3:] // the NAL unit header
	}
	return sets
}

// withPPS is a stream of a parameter set and the smallest picture parameter
// set that refers to it, without which ffmpeg gives up.
func withPPS(t *testing.T, sps []byte) []byte {
	s, err := ParseSPS(sps)
	if err != nil {
		t.Fatal(err)
	}
	var w BitWriter
	w.UE(0)
	w.UE(uint32(s.ID))
	w.U(2, 0)
	w.U(3, 0b111)
	w.U(3, 0)
	w.U(3, 0b111)
	w.U(3, 0)
	w.TrailingBits()
	return AppendAnnexB(AppendAnnexB(nil, sps), AppendNAL(nil, 0x68, w.RBSP()))
}

// What BitWriter writes and what RewriteZeroReorder makes of it reads the
// same in ffmpeg, element by element.
func TestFFmpegReadsTheSame(t *testing.T) {
	for seed := range uint64(12) {
		nal, want := generateSPS(seed)
		sets := trace(t, withPPS(t, nal))
		if len(sets) == 0 {
			t.Fatalf("set %d: ffmpeg found none in % x", seed, nal)
		}
		compareElements(t, fmt.Sprintf("set %d", seed), sets[0], want)

		out, err := RewriteZeroReorder(nal)
		if err != nil {
			t.Fatal(err)
		}
		sets = trace(t, withPPS(t, out))
		if len(sets) == 0 {
			t.Fatalf("set %d: ffmpeg found none in the rewritten % x", seed, out)
		}
		compareElements(t, fmt.Sprintf("set %d rewritten", seed), sets[0], rewritten(want))
	}
}

func compareElements(t *testing.T, name string, got, want []element) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s: element %d: ffmpeg has %v, want %v", name, i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// rewritten is what the elements of a set become.
func rewritten(in []element) (out []element) {
	refs, restriction := int64(0), map[string]int64{}
	absent := []string{"aspect_ratio_info_present_flag", "overscan_info_present_flag", "video_signal_type_present_flag",
		"chroma_loc_info_present_flag", "timing_info_present_flag", "nal_hrd_parameters_present_flag",
		"vcl_hrd_parameters_present_flag", "pic_struct_present_flag"}
	for _, e := range in {
		switch e.name {
		case "max_num_ref_frames":
			refs = e.value
		case "bitstream_restriction_flag":
			continue
		case "motion_vectors_over_pic_boundaries_flag", "max_bytes_per_pic_denom", "max_bits_per_mb_denom",
			"log2_max_mv_length_horizontal", "log2_max_mv_length_vertical", "max_num_reorder_frames", "max_dec_frame_buffering":
			restriction[e.name] = e.value
			continue
		case "vui_parameters_present_flag":
			out = append(out, element{e.name, 1})
			if e.value == 0 {
				for _, name := range absent {
					out = append(out, element{name, 0})
				}
			}
			continue
		}
		out = append(out, e)
	}
	if len(restriction) == 0 {
		restriction = map[string]int64{"motion_vectors_over_pic_boundaries_flag": 1, "max_bytes_per_pic_denom": 2,
			"max_bits_per_mb_denom": 1, "log2_max_mv_length_horizontal": 15, "log2_max_mv_length_vertical": 15}
	}
	restriction["max_num_reorder_frames"], restriction["max_dec_frame_buffering"] = 0, refs
	out = append(out, element{"bitstream_restriction_flag", 1})
	for _, name := range []string{"motion_vectors_over_pic_boundaries_flag", "max_bytes_per_pic_denom", "max_bits_per_mb_denom",
		"log2_max_mv_length_horizontal", "log2_max_mv_length_vertical", "max_num_reorder_frames", "max_dec_frame_buffering"} {
		out = append(out, element{name, restriction[name]})
	}
	return out
}

// withoutVUI returns the set as an Apple encoder might write it: nothing said
// about reordering.
func withoutVUI(t *testing.T, nal []byte) []byte {
	s, err := ParseSPS(nal)
	if err != nil {
		t.Fatal(err)
	}
	var w BitWriter
	r := NewBitReader(nal[1:])
	copyBits(&w, &r, s.vuiFlagPos)
	w.Flag(false)
	w.TrailingBits()
	return AppendNAL(nil, nal[0], w.RBSP())
}

// replaceSPS returns a stream with each parameter set replaced.
func replaceSPS(stream []byte, with func([]byte) []byte) (out []byte) {
	for nal := range AnnexB(stream) {
		if TypeOf(nal) == TypeSPS {
			nal = with(nal)
		}
		out = AppendAnnexB(out, nal)
	}
	return out
}

// A clip without B pictures decodes to the same pictures with the rewritten
// set, and the decoder holds none back.
func TestFFmpegDecodesRewritten(t *testing.T) {
	dir := t.TempDir()
	original := filepath.Join(dir, "original.264")
	// Order count type 0, as Apple's encoder uses: x264 takes it only if B
	// pictures are allowed, so they are, and then discouraged.
	ffmpeg(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=322x242:rate=30:duration=2,format=yuv420p",
		"-c:v", "libx264", "-preset", "fast", "-x264-params", "bframes=1:b-adapt=1:b-bias=-100:ref=4:keyint=30", original)
	if types := ffmpeg(t, "ffprobe", "-v", "error", "-show_entries", "frame=pict_type", "-of", "csv=p=0", original); strings.Contains(types, "B") {
		t.Fatal("the clip has B pictures")
	}
	stream, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	silent := replaceSPS(stream, func(nal []byte) []byte { return withoutVUI(t, nal) })
	changed := 0
	zero := replaceSPS(silent, func(nal []byte) []byte {
		out, err := RewriteZeroReorder(nal)
		if err != nil {
			t.Fatal(err)
		}
		changed++
		return out
	})
	if changed == 0 || bytes.Equal(zero, silent) {
		t.Fatal("nothing was rewritten")
	}
	pictures, delay := decode(t, dir, "silent", silent)
	rewrittenPictures, rewrittenDelay := decode(t, dir, "zero", zero)
	if strings.Count(pictures, "\n") < 60 || rewrittenPictures != pictures {
		t.Errorf("pictures differ:\n%s\n%s", pictures, rewrittenPictures)
	}
	if delay == 0 || rewrittenDelay != 0 {
		t.Errorf("the decoder holds back %d pictures before the rewrite and %d behind it", delay, rewrittenDelay)
	}
}

// decode returns the checksums of all pictures and how many the decoder holds
// back for reordering. A strict decoder assumes the most that the level allows
// where the set says nothing, like the Raspberry Pi's.
func decode(t *testing.T, dir, name string, stream []byte) (md5 string, delay int) {
	file := filepath.Join(dir, name+".264")
	if err := os.WriteFile(file, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	md5 = ffmpeg(t, "ffmpeg", "-v", "error", "-i", file, "-f", "framemd5", "-")
	out := ffmpeg(t, "ffprobe", "-v", "error", "-strict", "strict", "-show_entries", "stream=has_b_frames", "-of", "csv=p=0", file)
	delay, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return md5, delay
}
