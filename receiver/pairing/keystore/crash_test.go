package keystore

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	noon  = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

// keyOf returns a key that is told from others by its first byte.
func keyOf(n byte) Key { return Key{n, 0xff} }

// life is what a store goes through in these tests, one change after another.
var life = []func(*Store) error{
	func(s *Store) error { return s.Remember(keyOf(1), "one", "Phone", noon) },
	func(s *Store) error { return s.Remember(keyOf(2), "two", "Tablet", noon) },
	func(s *Store) error {
		s.Seen(keyOf(1), "Renamed", noon.Add(2*time.Hour))
		return s.Flush(noon.Add(2 * time.Hour))
	},
	func(s *Store) error { _, err := s.Forget("two"); return err },
	func(s *Store) error { return s.Remember(keyOf(3), "three", "Laptop", noon) },
	func(s *Store) error { return s.ForgetAll() },
}

// summary is the state of a store in a form to compare.
func summary(s *Store) string {
	var b strings.Builder
	for _, x := range s.Senders() {
		fmt.Fprintf(&b, "%x %s %q %v; ", x.Key[0], x.ID, x.Name, x.LastSeen.Sub(noon))
	}
	return b.String()
}

// states returns the summaries before the first and after every change.
func states(t *testing.T) []string {
	s := Volatile(nil)
	all := []string{summary(s)}
	for _, change := range life {
		if err := change(s); err != nil {
			t.Fatal(err)
		}
		all = append(all, summary(s))
	}
	if len(slices.Compact(slices.Clone(all))) != len(life)+1 {
		t.Fatal("changes that change nothing")
	}
	return all
}

// live opens a store and takes it through life until a change fails. It
// returns the identity, "" where the store did not open, and how many changes
// succeeded.
func live(d *disk) (identity string, done int) {
	s, err := OpenFS(d, quiet)
	if err != nil {
		return "", 0
	}
	for _, change := range life {
		if change(s) != nil {
			break
		}
		done++
	}
	return string(s.Identity()), done
}

// TestPowerLoss cuts the power at every operation of a store's life, and goes
// through every state that the disk may then be found in: the store opens,
// has the identity that it had, and holds all changes that were reported done
// and at most the one that was under way.
func TestPowerLoss(t *testing.T) {
	want := states(t)
	whole := newDisk()
	if _, done := live(whole); done != len(life) {
		t.Fatalf("%d of %d changes without a failure", done, len(life))
	}
	found := 0
	for cut := 1; cut <= whole.operations+1; cut++ {
		for _, half := range []bool{false, true} {
			d := newDisk()
			d.failAt, d.cut, d.halfWrite = cut, true, half
			identity, done := live(d)
			for _, after := range d.afterPowerLoss() {
				found++
				s, err := OpenFS(after, quiet)
				if err != nil {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				if identity != "" && string(s.Identity()) != identity {
					t.Fatalf("cut at %d after %d changes: another identity", cut, done)
				}
				allowed := want[done:min(done+2, len(want))]
				if got := summary(s); !slices.Contains(allowed, got) {
					t.Fatalf("cut at %d after %d changes: found %q, want one of %q", cut, done, got, allowed)
				}
				if err := s.Remember(keyOf(9), "nine", "", noon); err != nil {
					t.Fatalf("cut at %d: the store takes no more: %v", cut, err)
				}
			}
		}
	}
	t.Logf("%d operations, %d disks found after a cut", whole.operations, found)
}

// TestFailure lets every operation fail once, without a loss of power. The
// change under way is reported as failed, later ones work, and the next start
// finds the identity and either the old or the new content.
func TestFailure(t *testing.T) {
	want := states(t)
	whole := newDisk()
	live(whole)
	for failure := 1; failure <= whole.operations; failure++ {
		for _, half := range []bool{false, true} {
			d := newDisk()
			d.failAt, d.halfWrite = failure, half
			s, err := OpenFS(d, quiet)
			if err != nil {
				// Only an identity that cannot be read or saved keeps the store
				// from opening, and only this time.
				if _, err := OpenFS(d.restart(), quiet); err != nil {
					t.Errorf("operation %d failed: %v", failure, err)
				}
				continue
			}
			for i, change := range life {
				err := change(s)
				if summary(s) != want[i+1] {
					t.Errorf("operation %d failed: the store in use holds %q, want %q", failure, summary(s), want[i+1])
				}
				next, openErr := OpenFS(d.restart(), quiet)
				if openErr != nil {
					t.Fatalf("operation %d failed: %v", failure, openErr)
				}
				if string(next.Identity()) != string(s.Identity()) {
					t.Fatalf("operation %d failed: another identity", failure)
				}
				got := summary(next)
				if got != want[i+1] && (err == nil || got != want[i]) {
					t.Errorf("operation %d failed, error %v: found %q after change %d", failure, err, got, i)
				}
			}
		}
	}
}

// TestRestartsOnADyingDisk opens a store again and again on a disk on which a
// new operation fails each time: the identity stays.
func TestRestartsOnADyingDisk(t *testing.T) {
	d := newDisk()
	first, err := OpenFS(d, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{identityName, identityCopyName} {
		for failure := 1; failure < 20; failure++ {
			next := d.restart()
			next.view[damaged] = &content{now: []byte("noise")}
			next.failAt = failure
			s, err := OpenFS(next, quiet)
			if err == nil && string(s.Identity()) != string(first.Identity()) {
				t.Fatalf("%s damaged, operation %d failed: another identity", damaged, failure)
			}
			s, err = OpenFS(next.restart(), quiet)
			if err != nil || string(s.Identity()) != string(first.Identity()) {
				t.Fatalf("%s damaged, operation %d failed, next start: %v", damaged, failure, err)
			}
		}
	}
}

// TestPowerLossDuringRepair cuts the power at every operation of a start that
// finds one of the identity files damaged or missing.
func TestPowerLossDuringRepair(t *testing.T) {
	for _, damaged := range []string{identityName, identityCopyName} {
		for _, missing := range []bool{false, true} {
			for cut := 1; cut < 20; cut++ {
				d, before := filled(t)
				d.failAt, d.cut, d.operations = cut, true, 0
				d.view[damaged].now = []byte("noise")
				d.view[damaged].synced = d.view[damaged].now
				if missing {
					delete(d.view, damaged)
					delete(d.medium, damaged)
				}
				_, _ = OpenFS(d, quiet)
				for _, after := range d.afterPowerLoss() {
					s, err := OpenFS(after, quiet)
					if err != nil || string(s.Identity()) != string(before.Identity()) || len(s.Senders()) != 2 {
						t.Fatalf("%s, missing %v, cut at %d: error %v", damaged, missing, cut, err)
					}
				}
			}
		}
	}
}
