package hevc

import (
	"math/rand/v2"
	"slices"
	"testing"

	"aerie/receiver/codec/h264"
)

// FuzzSlice parses slice segment headers with the parameter sets that come
// before them.
func FuzzSlice(f *testing.F) {
	for seed := range uint64(40) {
		var stream []byte
		for _, nal := range generatePicture(f, seed) {
			stream = h264.AppendAnnexB(stream, nal)
		}
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var sets Sets
		var before *SliceHeader
		for nal := range h264.AnnexB(stream) {
			if !TypeOf(nal).IsSlice() {
				_ = sets.Add(nal)
				continue
			}
			h := new(SliceHeader)
			if h.Parse(nal, &sets, before) != nil {
				continue
			}
			before = h
			s := sets.SPS(sets.PPS(h.PPSID).SPSID)
			if n := s.treeBlocks(); int(h.Address) >= n || h.DataOffset >= len(nal) || h.RefIdxL0 > 15 || h.RefIdxL1 > 15 || len(h.EntryPoints) >= maxEntryPoints {
				t.Errorf("%+v", h)
			}
			if set := h.RefPics(s); len(set.Refs) > maxPictures || set.Negative > len(set.Refs) || h.LongTermPics > maxPictures {
				t.Errorf("%+v", set)
			}
		}
	})
}

// FuzzTracker follows hostile streams: what it says of a picture must be
// within the bounds that a decoder relies on, and every picture must leave the
// buffer once.
func FuzzTracker(f *testing.F) {
	for _, s := range []script{{buffered: 2}, {buffered: 4, reorder: 2, longTerm: true}} {
		var stream []byte
		stream = append(stream, s.sets()...)
		for i, p := range []shot{{typ: TypeIDR}, {typ: 1, poc: 1, refs: []int32{-1}}, {typ: 1, poc: 2, refs: []int32{-1, -2}},
			{typ: TypeCRA, poc: 3}, {typ: 9, poc: 2, refs: []int32{-1}}, {typ: 1, poc: 7, refs: []int32{-4}}} {
			stream = append(stream, s.unit(p)...)
			if i == 3 {
				stream = append(stream, endOfSequence...)
			}
		}
		f.Add(stream)
	}
	for seed := range uint64(10) {
		var stream []byte
		for _, nal := range generatePicture(f, seed) {
			stream = h264.AppendAnnexB(stream, nal)
		}
		f.Add(append(stream, stream...))
	}
	f.Fuzz(followHostile)
}

// Streams with flipped bits, cut and doubled parts do no harm either. Unlike
// random bytes, most of them get far.
func TestTrackerSurvivesDamage(t *testing.T) {
	s := script{t: t, buffered: 4, reorder: 1, longTerm: true}
	good := append(s.sets(), s.unit(shot{typ: TypeIDR})...)
	for i := range uint32(12) {
		good = append(good, s.unit(shot{typ: 1, poc: i + 1, refs: []int32{-1}, longRefs: []uint32{0}})...)
	}
	var made []byte
	for _, nal := range generatePicture(t, 3) {
		made = h264.AppendAnnexB(made, nal)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		stream := slices.Clone(good)
		if i%4 == 0 {
			stream = append(slices.Clone(made), made...)
		}
		for range 1 + rng.IntN(6) {
			stream[rng.IntN(len(stream))] ^= 1 << rng.IntN(8)
		}
		if at := rng.IntN(len(stream)); i%8 == 1 {
			stream = append(stream[:at], good[rng.IntN(len(good)):]...)
		}
		followHostile(t, stream)
	}
}

func followHostile(t *testing.T, stream []byte) {
	tracker := NewTracker()
	held := map[uint64]bool{}
	leave := func(show, removed []uint64) {
		for _, token := range append(append([]uint64{}, show...), removed...) {
			if !held[token] {
				t.Fatalf("token %d is not in the buffer", token)
			}
		}
		for _, token := range removed {
			delete(held, token)
		}
	}
	for i, au := range accessUnits(stream) {
		p, err := tracker.Next(au, uint64(i))
		if p == nil || err != nil {
			continue
		}
		held[p.Token] = true
		leave(p.Show, p.Removed)
		if len(held) > maxPictures {
			t.Fatalf("%d pictures held", len(held))
		}
		checkPicture(t, p, len(au), held)
	}
	leave(tracker.Flush())
	if len(held) > 0 {
		t.Errorf("still held: %v", held)
	}
}

func checkPicture(t *testing.T, p *Picture, size int, held map[uint64]bool) {
	t.Helper()
	if len(p.Slices) == 0 || len(p.Slices) > MaxSlices || len(p.Refs) > MaxRefs || p.SPS == nil || p.PPS == nil {
		t.Fatalf("%+v", p)
	}
	for _, r := range p.Refs {
		if !held[r.Token] {
			t.Fatalf("%+v is not in the buffer", r)
		}
	}
	for _, set := range [][]uint8{p.Before, p.After, p.LongTerm} {
		for _, at := range set {
			if int(at) >= len(p.Refs) {
				t.Fatalf("reference %d of %d", at, len(p.Refs))
			}
		}
	}
	for i := range p.Slices {
		s := &p.Slices[i]
		if s.Start < 3 || s.Data <= s.Start || s.End <= s.Data || s.End > size {
			t.Fatalf("slice %d: from %d, data at %d, to %d of %d", i, s.Start, s.Data, s.End, size)
		}
		for l, n := range []uint8{s.RefIdxL0, s.RefIdxL1} {
			for _, at := range s.Lists[l][:n] {
				if int(at) >= len(p.Refs) {
					t.Fatalf("slice %d: reference %d of %d", i, at, len(p.Refs))
				}
			}
		}
	}
}

func TestTrackerAllocatesNothing(t *testing.T) {
	s := &script{t: t, buffered: 4, longTerm: true}
	var units [][]byte
	for i := range uint32(50) {
		p := shot{typ: 1, poc: i, refs: []int32{-1}, longRefs: []uint32{0}}
		switch i {
		case 0:
			p = shot{typ: TypeIDR}
		case 1:
			p.refs = nil
		}
		au := s.unit(p)
		if i == 0 {
			au = append(s.sets(), au...)
		}
		units = append(units, au)
	}
	tracker := NewTracker()
	play := func() {
		for i, au := range units {
			if p, err := tracker.Next(au, uint64(i)); err != nil || len(p.Show) == 0 {
				t.Fatalf("picture %d: %v", i, err)
			}
		}
	}
	play()
	if n := testing.AllocsPerRun(20, play); n != 0 {
		t.Errorf("%v allocations for %d pictures", n, len(units))
	}
}
