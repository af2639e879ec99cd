package h264

import (
	"bytes"
	"fmt"
	"testing"
)

// sameButOrder reports in which field b differs from a apart from what the
// rewrite is to change; "" if in none.
func sameButOrder(a, b *SPS) string {
	want := fields(a)
	for name, v := range map[string]int64{
		"vui_parameters_present_flag": 1, "bitstream_restriction_flag": 1,
		"max_num_reorder_frames": 0, "max_dec_frame_buffering": int64(a.MaxRefFrames),
	} {
		want[name] = v
	}
	if !a.VUI.Restriction { // the values that section E.2.1 infers
		for name, v := range map[string]int64{
			"motion_vectors_over_pic_boundaries_flag": 1, "max_bytes_per_pic_denom": 2, "max_bits_per_mb_denom": 1,
			"log2_max_mv_length_horizontal": 15, "log2_max_mv_length_vertical": 15,
		} {
			want[name] = v
		}
	}
	for name, got := range fields(b) {
		if got != want[name] {
			return fmt.Sprintf("%s is %d, want %d", name, got, want[name])
		}
	}
	if a.Crop != b.Crop || a.HeightMBs != b.HeightMBs || a.Constraints != b.Constraints ||
		a.VUI.SARWidth != b.VUI.SARWidth || a.VUI.SARHeight != b.VUI.SARHeight {
		return "size, cropping or shape"
	}
	return ""
}

// payloadBits returns the payload of a NAL unit without emulation prevention
// as text of zeros and ones.
func payloadBits(nal []byte) string {
	var b bytes.Buffer
	r := NewBitReader(nal[1:])
	for bit := r.U(1); r.Err() == nil; bit = r.U(1) {
		b.WriteByte('0' + byte(bit))
	}
	return b.String()
}

// checkRewrite holds one rewrite to every promise of RewriteZeroReorder.
func checkRewrite(t testing.TB, nal []byte) {
	t.Helper()
	before, err := ParseSPS(nal)
	if err != nil {
		t.Fatal(err)
	}
	original := bytes.Clone(nal)
	out, err := RewriteZeroReorder(nal)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(nal, original) {
		t.Error("the original was changed")
	}
	after, err := ParseSPS(out)
	if err != nil {
		t.Fatalf("rewritten set: %v", err)
	}
	if diff := sameButOrder(before, after); diff != "" {
		t.Error(diff)
	}
	// Everything before the first changed bit is the same bit for bit, and
	// nothing but trailing bits follows the last element.
	kept := before.vuiFlagPos
	if before.VUI.Present {
		kept = before.restrictionPos
	}
	if in, res := payloadBits(nal), payloadBits(out); in[:kept] != res[:kept] {
		t.Error("a bit before the restriction differs")
	}
	r := NewBitReader(out[1:])
	var s SPS
	s.parse(&r)
	if r.MoreData() || !r.Flag() {
		t.Error("no stop bit behind the last element")
	}
	for r.BitPos()%8 != 0 {
		if r.Flag() {
			t.Error("alignment bit is 1")
		}
	}
	if r.U(1); r.Err() == nil {
		t.Error("bytes behind the trailing bits")
	}
	for _, forbidden := range [][]byte{{0, 0, 0}, {0, 0, 1}, {0, 0, 2}} {
		if bytes.Contains(out, forbidden) {
			t.Errorf("% x in % x", forbidden, out)
		}
	}
	if again, err := RewriteZeroReorder(out); err != nil || !bytes.Equal(again, out) {
		t.Errorf("a second time: % x, %v", again, err)
	}
}

func TestRewriteZeroReorderReal(t *testing.T) {
	for _, c := range realSPS {
		t.Run(c.name, func(t *testing.T) { checkRewrite(t, unhex(c.hex)) })
	}
	// x264's zero-latency set says it already.
	done := unhex(realSPS[1].hex)
	if out, err := RewriteZeroReorder(done); err != nil || !bytes.Equal(out, done) {
		t.Errorf("% x becomes % x, %v", done, out, err)
	}
}

func TestRewriteZeroReorderGenerated(t *testing.T) {
	var without, escaped int
	for seed := range uint64(2000) {
		nal, _ := generateSPS(seed)
		checkRewrite(t, nal)
		if t.Failed() {
			t.Fatalf("set %d: % x", seed, nal)
		}
		if s, _ := ParseSPS(nal); !s.VUI.Present {
			without++
		}
		if bytes.Contains(nal, []byte{0, 0, 3}) {
			escaped++
		}
	}
	if without < 400 || escaped < 40 {
		t.Errorf("only %d sets without VUI and %d with emulation prevention: the generator is poor", without, escaped)
	}
}

// Bytes behind the set, as some senders pad it, do not survive and do no harm.
func TestRewriteZeroReorderPadding(t *testing.T) {
	clean, err := RewriteZeroReorder(unhex(airplaySPS))
	if err != nil {
		t.Fatal(err)
	}
	for _, pad := range []string{"00", "0000", "80ff"} {
		if out, err := RewriteZeroReorder(unhex(airplaySPS + pad)); err != nil || !bytes.Equal(out, clean) {
			t.Errorf("padded by %s: % x, %v", pad, out, err)
		}
	}
}

func TestRewriteZeroReorderRefuses(t *testing.T) {
	for _, nal := range [][]byte{nil, unhex(airplayPPS), unhex(airplaySPS)[:8]} {
		if out, err := RewriteZeroReorder(nal); err == nil || out != nil {
			t.Errorf("% x becomes % x", nal, out)
		}
	}
}

func FuzzRewriteZeroReorder(f *testing.F) {
	for _, c := range realSPS {
		f.Add(unhex(c.hex))
	}
	for seed := range uint64(50) {
		nal, _ := generateSPS(seed)
		f.Add(nal)
	}
	f.Fuzz(func(t *testing.T, nal []byte) {
		if _, err := ParseSPS(nal); err == nil {
			checkRewrite(t, nal)
		}
	})
}
