package receiver

import (
	"bytes"
	"strings"
	"testing"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/h264"
	"aerie/receiver/mirror"
	"aerie/receiver/pattern"
)

// parameterSet makes a sequence parameter set.
type parameterSet struct {
	profile, chroma, depth uint32
	columns, rows          uint32 // macroblocks
	interlaced             bool
	id                     uint32
}

func (p parameterSet) nal() []byte {
	var w h264.BitWriter
	w.U(8, p.profile)
	w.U(16, 40)
	w.UE(p.id)
	if p.profile >= 100 {
		w.UE(p.chroma)
		w.UE(p.depth - 8)
		w.UE(p.depth - 8)
		w.U(2, 0)
	}
	w.UE(0) // log2_max_frame_num_minus4
	w.UE(2) // pic_order_cnt_type
	w.UE(3) // max_num_ref_frames
	w.U(1, 0)
	w.UE(p.columns - 1)
	if p.interlaced {
		w.UE(p.rows/2 - 1)
		w.U(2, 0)
	} else {
		w.UE(p.rows - 1)
		w.U(1, 1)
	}
	w.U(3, 4) // direct_8x8_inference_flag, no cropping, no VUI
	w.TrailingBits()
	return h264.AppendNAL(nil, 0x67, w.RBSP())
}

func parametersOf(t testing.TB, sets ...parameterSet) *mirror.Parameters {
	t.Helper()
	var sps [][]byte
	for _, s := range sets {
		sps = append(sps, s.nal())
	}
	c, err := h264.NewConfig(sps, [][]byte{{0x68, 0xce, 0x38, 0x80}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := mirror.ParseParameters(c.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var piDecoder = &Hardware{Device: v4l2.Device{Path: "/dev/video10", Driver: "bcm2835-codec",
	Limits: map[uapi.FourCC]uapi.FrmsizeStepwise{uapi.H264: {MinWidth: 32, MaxWidth: 1920, MinHeight: 32, MaxHeight: 1920}}}}

// TestSuit: what the hardware might not survive never gets there.
func TestSuit(t *testing.T) {
	good := parameterSet{profile: 100, chroma: 1, depth: 8, columns: 120, rows: 68}
	change := func(f func(*parameterSet)) parameterSet {
		p := good
		f(&p)
		return p
	}
	for what, sets := range map[string][]parameterSet{
		"profile 122":          {change(func(p *parameterSet) { p.profile, p.chroma = 122, 2 })},
		"chroma format 2":      {change(func(p *parameterSet) { p.chroma = 2 })},
		"chroma format 0":      {change(func(p *parameterSet) { p.chroma = 0 })},
		"10 and 10 bits":       {change(func(p *parameterSet) { p.depth = 10 })},
		"interlaced":           {change(func(p *parameterSet) { p.interlaced = true })},
		"more than it decodes": {change(func(p *parameterSet) { p.rows = 75 })},
		"is more than":         {change(func(p *parameterSet) { p.columns, p.rows = 256, 144 })},
		"not within":           {change(func(p *parameterSet) { p.columns, p.rows = 1, 1 })},
		"profile 110":          {change(func(p *parameterSet) { p.profile, p.depth = 110, 10 })},
		"several sizes":        {good, change(func(p *parameterSet) { p.columns, p.id = 40, 1 })},
		"none of Baseline":     {good, change(func(p *parameterSet) { p.profile, p.chroma, p.id = 244, 1, 1 })},
	} {
		if s, err := piDecoder.suit(parametersOf(t, sets...)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	if _, err := piDecoder.suit(&mirror.Parameters{HEVC: true}); err == nil {
		t.Error("HEVC")
	}
	for _, p := range []parameterSet{good, {profile: 66, columns: 40, rows: 30}, {profile: 77, columns: 68, rows: 120}} {
		s, err := piDecoder.suit(parametersOf(t, p))
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		if s.width != int(p.columns)*16 || s.height != int(p.rows)*16 || s.references != 3 {
			t.Errorf("%+v", s)
		}
		for nal := range h264.AnnexB(s.annexB) {
			if h264.TypeOf(nal) != h264.TypeSPS {
				continue
			}
			sps, err := h264.ParseSPS(nal)
			if err != nil || !sps.VUI.Restriction || sps.VUI.MaxReorderFrames != 0 {
				t.Errorf("the set was not rewritten: %+v, %v", sps, err)
			}
		}
	}
}

// TestHide: parameter sets within the stream do not reach the hardware either.
func TestHide(t *testing.T) {
	good := parameterSet{profile: 100, chroma: 1, depth: 8, columns: 40, rows: 30}
	s, err := piDecoder.suit(parametersOf(t, good))
	if err != nil {
		t.Fatal(err)
	}
	slice := []byte{0x65, 1, 2, 3}
	au := h264.AppendLengthPrefixed(h264.AppendLengthPrefixed(h264.AppendLengthPrefixed(nil, good.nal()), []byte{0x6f, 9}), slice)
	if !s.hide(au) {
		t.Error("a set that is known was refused")
	}
	var types []h264.Type
	for nal := range h264.LengthPrefixed(au) {
		types = append(types, h264.TypeOf(nal))
	}
	if len(types) != 3 || types[0] != 0 || types[1] != 0 || types[2] != h264.TypeIDR {
		t.Errorf("types %v", types)
	}
	other := good
	other.chroma = 2
	if s.hide(h264.AppendLengthPrefixed(h264.AppendLengthPrefixed(nil, other.nal()), slice)) {
		t.Error("an unknown set passed")
	}
}

func TestBacklog(t *testing.T) {
	b := newBacklog()
	p := &mirror.Parameters{}
	put := func(idr bool, size int, mark byte) {
		au := &mirror.AccessUnit{Data: bytes.Repeat([]byte{mark}, size), Parameters: p, IDR: idr}
		if b.full(au) {
			b.trim(3)
		}
		b.add(au)
	}
	put(true, 100, 'K')
	for i := range backlogUnits - 1 {
		put(false, 10, byte(i))
	}
	var au mirror.AccessUnit
	b.unit(0, &au)
	if !b.whole || len(b.units) != backlogUnits || !au.New || !au.IDR || au.Data[0] != 'K' || len(au.Data) != 100 {
		t.Errorf("whole %v, %d units, %+v", b.whole, len(b.units), au)
	}
	put(false, 10, 'x')
	if b.whole || len(b.units) != 4 {
		t.Fatalf("whole %v, %d units", b.whole, len(b.units))
	}
	for i, want := range []byte{backlogUnits - 4, backlogUnits - 3, backlogUnits - 2, 'x'} {
		if b.unit(i, &au); au.Data[0] != want || au.Data[9] != want || len(au.Data) != 10 || au.New {
			t.Errorf("unit %d is %d", i, au.Data[0])
		}
	}
	put(false, backlogBytes-1, 'y') // pushes all but three out, and itself as well
	put(true, 7, 'K')
	if !b.whole || len(b.units) != 1 || testing.AllocsPerRun(100, func() { put(false, 1, 1) }) > 2 {
		t.Errorf("whole %v, %d units", b.whole, len(b.units))
	}
}

// patternUnits are access units of the test pattern, a key picture first.
func patternUnits(t testing.TB, width, height, n int) (p *mirror.Parameters, units [][]byte) {
	t.Helper()
	s, err := pattern.New(pattern.Config{Width: width, Height: height, FPS: 30})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = mirror.ParseParameters(s.AVCC()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		units = append(units, s.AppendFrame(nil, pattern.Frame{Number: uint32(i + 1), Elapsed: 33e6 * 1, SenderTime: uint64(i)}, i == 0))
	}
	return p, units
}
