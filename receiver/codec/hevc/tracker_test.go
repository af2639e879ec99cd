package hevc

import (
	"reflect"
	"slices"
	"testing"
)

// followed is what a Tracker said of one picture, copied.
type followed struct {
	poc   int
	lists [2][]int // order counts
	idr   bool
}

// follow runs a clip through a Tracker. Tokens are positions in the stream;
// the order counts of what it shows come back in the order of showing.
func follow(t *testing.T, units [][]byte) (pictures []followed, shown []int, all []Slice) {
	t.Helper()
	tracker := NewTracker()
	pocs, held := map[uint64]int{}, map[uint64]bool{}
	take := func(show, removed []uint64) {
		for _, token := range show {
			if !held[token] {
				t.Errorf("picture %d is shown and not in the buffer", token)
			}
			shown = append(shown, pocs[token])
		}
		for _, token := range removed {
			if !held[token] {
				t.Errorf("picture %d is removed and not in the buffer", token)
			}
			delete(held, token)
		}
	}
	for i, au := range units {
		p, err := tracker.Next(au, uint64(i))
		if err != nil || p == nil {
			t.Fatalf("access unit %d: %v, %v", i, p, err)
		}
		pocs[p.Token], held[p.Token] = int(p.POC), true
		take(p.Show, p.Removed)
		if len(held) > int(p.SPS.MaxDecPicBuffering) {
			t.Errorf("picture %d: %d pictures are held, the sequence needs %d", i, len(held), p.SPS.MaxDecPicBuffering)
		}
		f := followed{poc: int(p.POC), idr: p.Type.IsIDR()}
		for j := range p.Slices {
			s := &p.Slices[j]
			clone := *s
			clone.EntryPoints = slices.Clone(s.EntryPoints)
			all = append(all, clone)
			for l, n := range []uint8{s.RefIdxL0, s.RefIdxL1} {
				var list []int
				for _, at := range s.Lists[l][:n] {
					if !held[p.Refs[at].Token] {
						t.Errorf("picture %d refers to picture %d, which was removed", i, p.Refs[at].Token)
					}
					list = append(list, int(p.Refs[at].POC))
				}
				if j == 0 || len(list) > len(f.lists[l]) {
					f.lists[l] = list
				}
			}
		}
		pictures = append(pictures, f)
	}
	if s := tracker.Stats; s.Missing != 0 || s.Skipped != 0 || s.Pictures != uint64(len(units)) {
		t.Errorf("%+v", s)
	}
	take(tracker.Flush())
	if len(held) > 0 {
		t.Errorf("still held after the end: %v", held)
	}
	return pictures, shown, all
}

// Order counts and the order of showing are those of libavcodec's decoder,
// reference lists those that the encoder noted.
func TestTrackerFollowsClips(t *testing.T) {
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			clip := encode(t, c.filter, c.params)
			pictures, shown, all := follow(t, clip.units)
			if !slices.ContainsFunc(all, func(s Slice) bool { return c.uses(&s) }) {
				t.Error("the clip does not use what it is for")
			}
			decoded, output := decodedOrder(t, clip.file)
			var pocs []int
			base := 0
			for i, p := range pictures {
				pocs = append(pocs, p.poc)
				note := clip.notes[i]
				if p.idr {
					base = note.poc
				}
				if p.poc != note.poc-base {
					t.Errorf("picture %d: order count %d, the encoder has %d", i, p.poc, note.poc-base)
				}
				for l := range note.lists {
					for j := range note.lists[l] {
						note.lists[l][j] -= base
					}
					// x265 leaves out lists with pictures before the key frame.
					if !reflect.DeepEqual(p.lists[l], note.lists[l]) && !(p.poc < 0 && note.lists[l] == nil) {
						t.Errorf("picture %d: list %d is %v, the encoder has %v", i, l, p.lists[l], note.lists[l])
					}
				}
			}
			if !reflect.DeepEqual(pocs, decoded) {
				t.Errorf("order counts\n%v, the decoder has\n%v", pocs, decoded)
			}
			if !reflect.DeepEqual(shown, output) {
				t.Errorf("shown\n%v, the decoder shows\n%v", shown, output)
			}
			compareSlices(t, clip.stream, all, traceSlices(t, clip.file))
		})
	}
}
