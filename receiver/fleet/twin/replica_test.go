package twin

import (
	"math/rand/v2"
	"testing"
)

func TestReplica(t *testing.T) {
	var r Replica
	r.Connected()
	if applied, gap := r.Patch(3, Object{"b": 2.0}); applied || gap || r.Current() {
		t.Error("a patch before its document is applied")
	}
	if applied, _ := r.Patch(2, Object{"a": 9.0}); applied {
		t.Error("a patch before its document is applied")
	}
	if !r.Document(2, Object{"a": 1.0}) || !Equal(r.Properties(), Object{"a": 1.0, "b": 2.0}) || r.Version() != 3 {
		t.Errorf("%v at %d", r.Properties(), r.Version())
	}
	for _, version := range []int64{1, 2, 3} {
		if applied, gap := r.Patch(version, Object{"a": 5.0}); applied || gap {
			t.Errorf("version %d is taken twice", version)
		}
	}
	if applied, gap := r.Patch(4, Object{"a": nil}); !applied || gap || !Equal(r.Properties(), Object{"b": 2.0}) {
		t.Errorf("%v", r.Properties())
	}
	if applied, gap := r.Patch(6, Object{"c": 3.0}); applied || !gap || r.Current() {
		t.Error("a gap is not seen")
	}
	if !r.Document(5, Object{"d": 4.0}) || !Equal(r.Properties(), Object{"c": 3.0, "d": 4.0}) {
		t.Errorf("after a gap %v", r.Properties())
	}
	r.Connected()
	if r.Document(6, Object{"c": 3.0, "d": 4.0}) {
		t.Error("the same again is a change")
	}
}

// A server changes its half while connections break and messages are lost,
// doubled and out of order. Whenever the replica says that it is current, it is
// what the server had at that version; in the end it is what the server has.
func TestReplicaAgainstServer(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	type note struct {
		version int64
		half    Object
		whole   bool
	}
	for range 300 {
		history := []Object{{}}
		server := func() (int64, Object) { return int64(len(history) - 1), history[len(history)-1] }
		var r Replica
		var wire []note
		ask := func() { v, h := server(); wire = append(wire, note{v, h, true}) }
		connect := func() { wire = nil; r.Connected(); ask() }
		connect()
		for range 60 {
			switch rng.IntN(8) {
			case 0:
				connect()
			case 1, 2, 3:
				patch := random(rng, 2, true)
				_, h := server()
				history = append(history, Merge(h, patch))
				if rng.IntN(5) > 0 { // else it is lost
					wire = append(wire, note{int64(len(history) - 1), patch, false})
				}
			default:
				if len(wire) == 0 {
					continue
				}
				i := 0
				if rng.IntN(4) == 0 {
					i = rng.IntN(len(wire)) // out of order
				}
				n := wire[i]
				if rng.IntN(4) > 0 { // else it comes again
					wire = append(wire[:i:i], wire[i+1:]...)
				}
				if n.whole {
					r.Document(n.version, n.half)
					if !r.Current() {
						ask()
					}
				} else if _, gap := r.Patch(n.version, n.half); gap {
					ask()
				}
				if r.Current() && !Equal(r.Properties(), history[r.Version()]) {
					t.Fatalf("version %d is %v, was %v", r.Version(), r.Properties(), history[r.Version()])
				}
			}
		}
		connect()
		v, h := server()
		r.Document(v, h)
		if !r.Current() || r.Version() != v || !Equal(r.Properties(), h) {
			t.Fatalf("in the end version %d %v, not %d %v", r.Version(), r.Properties(), v, h)
		}
	}
}

func TestPatchesWithoutADocumentAreBounded(t *testing.T) {
	var r Replica
	for i := range 10 * maxPending {
		r.Patch(int64(i), Object{})
	}
	if len(r.pending) != maxPending {
		t.Errorf("%d are kept", len(r.pending))
	}
}
