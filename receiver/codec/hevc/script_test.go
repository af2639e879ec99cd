package hevc

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"aerie/receiver/codec/h264"
)

// A script is a stream made by hand of 64x64 pictures whose order and
// references are what the test says.
type script struct {
	t        *testing.T
	reorder  uint32
	buffered uint32
	latency  uint32
	longTerm bool
}

func (s *script) sets() []byte {
	var w h264.BitWriter
	w.U(8, 1)
	w.U(32, 1<<24)
	w.U(32, 0)
	w.U(24, 0)
	w.U(8, 93)
	for _, v := range []uint32{0, 1, 64, 64} {
		w.UE(v)
	}
	w.Flag(false)
	for _, v := range []uint32{0, 0, 0} { // depths, 4 bits of order count
		w.UE(v)
	}
	w.Flag(true)
	for _, v := range []uint32{s.buffered - 1, s.reorder, s.latency, 0, 1, 0, 1, 0, 0} {
		w.UE(v)
	}
	w.U(4, 0) // lists, AMP, SAO, PCM
	w.UE(0)   // reference picture sets
	w.Flag(s.longTerm)
	if s.longTerm {
		w.UE(0)
	}
	w.U(4, 0)
	w.TrailingBits()
	sps := h264.AppendEscaped([]byte{0x42, 1}, w.RBSP())
	w.Reset()
	w.UE(0)
	w.UE(0)
	w.U(1, 0)
	w.Flag(true) // pic_output_flag is there
	w.U(5, 0)
	w.UE(0)
	w.UE(0)
	w.SE(0)
	w.U(3, 0)
	w.SE(0)
	w.SE(0)
	w.U(6+1+1+1+1, 0)
	w.UE(0)
	w.U(2, 0)
	w.TrailingBits()
	pps := h264.AppendEscaped([]byte{0x44, 1}, w.RBSP())
	return h264.AppendAnnexB(h264.AppendAnnexB(nil, sps), pps)
}

// shot is one picture of a script.
type shot struct {
	typ      Type
	poc      uint32   // all of it; the lowest 4 bits are coded
	refs     []int32  // earlier pictures, nearest first, by distance
	longRefs []uint32 // long-term ones, by the 4 bits
	hidden   bool     // pic_output_flag 0
	drop     bool     // no_output_of_prior_pics_flag
}

func (s *script) unit(p shot) []byte {
	var w h264.BitWriter
	w.Flag(true)
	if p.typ.IsIRAP() {
		w.Flag(p.drop)
	}
	w.UE(0)
	kind := SliceI
	if len(p.refs)+len(p.longRefs) > 0 && !p.typ.IsIRAP() {
		kind = SliceP
	}
	w.UE(uint32(kind))
	w.Flag(!p.hidden)
	if !p.typ.IsIDR() {
		w.U(4, p.poc)
		w.Flag(false)
		w.UE(uint32(len(p.refs)))
		w.UE(0)
		last := int32(0)
		for _, d := range p.refs {
			w.UE(uint32(last - d - 1))
			w.Flag(true)
			last = d
		}
		if s.longTerm {
			w.UE(uint32(len(p.longRefs)))
			for _, lsb := range p.longRefs {
				w.U(4, lsb)
				w.Flag(true)
				w.Flag(false)
			}
		}
	}
	if kind == SliceP {
		w.Flag(true)
		w.UE(uint32(len(p.refs) + len(p.longRefs) - 1))
		w.UE(0) // merge candidates
	}
	w.SE(0)
	w.TrailingBits()
	nal := append(h264.AppendEscaped([]byte{byte(p.typ) << 1, 1}, w.RBSP()), 0xaa, 0x80)
	return h264.AppendAnnexB(nil, nal)
}

var endOfSequence = h264.AppendAnnexB(nil, []byte{byte(TypeEOS) << 1, 1})

// play runs a script and returns what was shown, by position, after each
// picture.
func (s *script) play(tracker *Tracker, shots []shot) (shown [][]uint64) {
	s.t.Helper()
	for i, p := range shots {
		au := s.unit(p)
		if i == 0 {
			au = append(s.sets(), au...)
		}
		pic, err := tracker.Next(au, uint64(i))
		if err != nil {
			s.t.Fatalf("picture %d: %v", i, err)
		}
		if pic == nil {
			shown = append(shown, nil)
			continue
		}
		shown = append(shown, append([]uint64{}, pic.Show...))
	}
	return shown
}

func TestMirroringStream(t *testing.T) {
	s := &script{t: t, buffered: 2}
	tracker := NewTracker()
	shots := []shot{{typ: TypeIDR}}
	for i := range uint32(40) {
		shots = append(shots, shot{typ: 1, poc: i + 1, refs: []int32{-1}})
	}
	for i, show := range s.play(tracker, shots) {
		if !reflect.DeepEqual(show, []uint64{uint64(i)}) {
			t.Errorf("with picture %d, %v are shown", i, show)
		}
	}
	if p := &tracker.pic; p.POC != 40 || len(p.Refs) != 1 || p.Refs[0] != (Ref{Token: 39, POC: 39}) || !reflect.DeepEqual(p.Removed, []uint64{38}) {
		t.Errorf("%+v", p)
	}
}

func TestLongTermPictureStays(t *testing.T) {
	s := &script{t: t, buffered: 4, longTerm: true}
	tracker := NewTracker()
	shots := []shot{{typ: TypeIDR}, {typ: 1, poc: 1, longRefs: []uint32{0}}}
	for i := uint32(2); i < 40; i++ {
		shots = append(shots, shot{typ: 1, poc: i, refs: []int32{-1}, longRefs: []uint32{0}})
	}
	s.play(tracker, shots)
	p := &tracker.pic
	want := []Ref{{Token: 0, POC: 0, LongTerm: true}, {Token: 38, POC: 38}}
	if !reflect.DeepEqual(p.Refs, want) || !reflect.DeepEqual(p.Before, []uint8{1}) || !reflect.DeepEqual(p.LongTerm, []uint8{0}) {
		t.Errorf("%+v", p)
	}
	if l := p.Slices[0].Lists[0][:2]; l[0] != 1 || l[1] != 0 {
		t.Errorf("list %v", l)
	}
}

func TestWhatIsShownWhen(t *testing.T) {
	for _, c := range []struct {
		name   string
		script script
		shots  []shot
		want   [][]uint64
	}{
		{"reordered by one", script{reorder: 1, buffered: 3},
			[]shot{{typ: TypeIDR}, {typ: 1, poc: 2, refs: []int32{-2}}, {typ: 0, poc: 1, refs: []int32{-1}}, {typ: 1, poc: 4, refs: []int32{-4}}},
			[][]uint64{{}, {0}, {2}, {1}}},
		{"hidden", script{buffered: 2},
			[]shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}, hidden: true}, {typ: 1, poc: 2, refs: []int32{-1}}},
			[][]uint64{{0}, {}, {2}}},
		{"flushed by a key frame", script{reorder: 2, buffered: 4},
			[]shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}}, {typ: TypeIDR}},
			[][]uint64{{}, {}, {0, 1}}},
		{"dropped by a key frame", script{reorder: 2, buffered: 4},
			[]shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}}, {typ: TypeIDR, drop: true}},
			[][]uint64{{}, {}, {}}},
		{"pushed out of a full buffer", script{reorder: 2, buffered: 2},
			[]shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}}, {typ: 1, poc: 2, refs: []int32{-1}}},
			[][]uint64{{}, {}, {0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.script.t = t
			if got := c.script.play(NewTracker(), c.shots); !reflect.DeepEqual(got, c.want) {
				t.Errorf("shown %v, want %v", got, c.want)
			}
		})
	}
}

func TestRandomAccess(t *testing.T) {
	s := &script{t: t, reorder: 1, buffered: 4}
	tracker := NewTracker()
	shots := []shot{
		{typ: 1, poc: 3, refs: []int32{-1}},       // before the first key frame
		{typ: TypeCRA, poc: 4},                    // begins the stream
		{typ: 9, poc: 3, refs: []int32{-2}},       // RASL: its reference never came
		{typ: 1, poc: 5, refs: []int32{-1}},       // decodable
		{typ: TypeCRA, poc: 9, refs: []int32{-4}}, // within the stream, which keeps 5
		{typ: 9, poc: 8, refs: []int32{-3}},       // RASL, whose reference is there
		{typ: 1, poc: 10, refs: []int32{-2}},      // order counts go on
	}
	shown := s.play(tracker, shots)
	if s := tracker.Stats; s != (TrackerStats{Pictures: 5, Skipped: 2}) {
		t.Errorf("%+v", s)
	}
	if tracker.pic.POC != 10 || !reflect.DeepEqual(shown[6], []uint64{4}) {
		t.Errorf("order count %d, shown %v", tracker.pic.POC, shown)
	}
	// After the end of a sequence, a CRA picture begins as at the start.
	if p, err := tracker.Next(endOfSequence, 7); p != nil || err != nil {
		t.Fatal(p, err)
	}
	if p, err := tracker.Next(s.unit(shot{typ: TypeCRA, poc: 2}), 8); err != nil || p.POC != 2 || !p.NoOutputOfPrior || len(p.Removed) != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := tracker.Next(s.unit(shot{typ: 8, poc: 1, refs: []int32{-1}}), 9); p != nil || err != nil || tracker.Stats.Skipped != 3 {
		t.Errorf("%+v, %v, %+v", p, err, tracker.Stats)
	}
}

func TestLostReference(t *testing.T) {
	s := &script{t: t, buffered: 3}
	tracker := NewTracker()
	s.play(tracker, []shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}}})
	// 2 and 3 are lost.
	p, err := tracker.Next(s.unit(shot{typ: 1, poc: 4, refs: []int32{-1, -3}}), 4)
	if err != nil || p.Missing != 1 || tracker.Stats.Missing != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if want := []Ref{{Token: 1, POC: 1}, {Token: 1, POC: 3}}; !reflect.DeepEqual(p.Refs, want) || !reflect.DeepEqual(p.Before, []uint8{1, 0}) {
		t.Errorf("%+v", p)
	}
	// Everything is lost, but what was in the buffer is removed all the same.
	if _, err := tracker.Next(s.unit(shot{typ: 1, poc: 9, refs: []int32{-1}}), 5); !errors.Is(err, ErrNoReference) || !strings.Contains(err.Error(), "9 refers to 8") {
		t.Fatal(err)
	}
	if p, err = tracker.Next(s.unit(shot{typ: TypeIDR}), 6); err != nil || !reflect.DeepEqual(p.Removed, []uint64{1, 4}) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestTrackerRefuses(t *testing.T) {
	s := &script{t: t, buffered: 2}
	idr := s.unit(shot{typ: TypeIDR})
	two := append(append(s.sets(), idr...), idr...)
	second := s.unit(shot{typ: TypeIDR})
	second[6] &^= 0x80 // not the first segment: bits move
	for _, c := range []struct {
		name string
		au   []byte
		want string
	}{
		{"no parameter sets", idr, "picture parameter set 0 has not come"},
		{"two pictures", two, "not one whole picture"},
		{"slice without data", append(s.sets(), idr[:len(idr)-2]...), "no slice data"},
		{"second segment alone", append(s.sets(), second...), "hevc: slice: "},
		{"damaged SPS", []byte{0, 0, 0, 1, 0x42, 1, 0xff}, "SPS"},
		{"huge set", append([]byte{0, 0, 0, 1, 0x42, 1}, make([]byte, 1<<15)...)[:1<<15], ""},
	} {
		p, err := NewTracker().Next(c.au, 0)
		if p != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v, want %q", c.name, p, err, c.want)
		}
	}
	// Another SPS without a key frame.
	tracker := NewTracker()
	s.play(tracker, []shot{{typ: TypeIDR}})
	s.buffered = 3
	if _, err := tracker.Next(append(s.sets(), s.unit(shot{typ: 1, poc: 1, refs: []int32{-1}})...), 1); err == nil || !strings.Contains(err.Error(), "without a key frame") {
		t.Error(err)
	}
}
