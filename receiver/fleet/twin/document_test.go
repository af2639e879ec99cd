package twin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDocument(t *testing.T) {
	for text, want := range map[string]error{
		`{"$run":"a","$version":1,"x":2}`:    nil,
		`{"$run":"a","$version":0}`:          ErrMalformed,
		`{"$run":"a","$version":1.5}`:        ErrMalformed,
		`{"$run":"a","$version":-1}`:         ErrMalformed,
		`{"$run":"a","$version":"1"}`:        ErrMalformed,
		`{"$run":"a","$version":9999999e99}`: ErrMalformed,
		`{"$run":"","$version":1}`:           ErrMalformed,
		`{"$run":7,"$version":1}`:            ErrMalformed,
		`{"$version":1}`:                     ErrMalformed,
		`{"$run":"a"}`:                       ErrMalformed,
	} {
		d, err := ParseDocument([]byte(text))
		if !errors.Is(err, want) || err == nil && (d.Run != "a" || d.Version != 1 || len(d.Properties) != 1 || d.Properties["x"] != 2.0) {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
}

func TestWriter(t *testing.T) {
	w := Writer{Run: "r"}
	first, changed := w.Set(Object{})
	if !changed || first.Version != 1 {
		t.Errorf("at first %v, %v", first, changed)
	}
	if d, changed := w.Set(Object{"a": nil}); changed || d.Version != 1 {
		t.Errorf("without a change %v, %v", d, changed)
	}
	if d := w.Again(Object{}); d.Version != 2 {
		t.Errorf("again %v", d)
	}
	if d, changed := w.Set(Object{"a": 1.0}); !changed || d.Version != 3 || w.Document().Version != 3 {
		t.Errorf("with a change %v, %v", d, changed)
	}
}

// A reader that misses documents, and sees them again in its run or the run
// before, takes each once, in order, and has the last in the end.
func TestReader(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var all []Document
		var run []int // of each document
		for n := range 1 + r.IntN(3) {
			w := Writer{Run: fmt.Sprint("run ", n)}
			for range 1 + r.IntN(5) {
				all, run = append(all, w.Again(Object{})), append(run, n)
			}
		}
		var reader Reader
		var taken []int
		seen := map[int]bool{}
		for at := 0; at < len(all); at++ {
			if at < len(all)-1 && r.IntN(3) == 0 {
				continue // lost
			}
			if reader.Take(all[at]) {
				taken = append(taken, at)
			}
			seen[run[at]] = true
			for range r.IntN(3) {
				back := r.IntN(at + 1)
				if run[back] < run[at]-1 || !seen[run[back]] {
					continue // brokers forget what is that old
				}
				if reader.Take(all[back]) {
					t.Fatalf("%v is taken after %v", all[back], taken)
				}
			}
		}
		if !slices.IsSorted(taken) || len(slices.Compact(slices.Clone(taken))) != len(taken) || taken[len(taken)-1] != len(all)-1 {
			t.Fatalf("took %v of %d", taken, len(all))
		}
	}
}
