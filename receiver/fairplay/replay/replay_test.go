package replay

import (
	"log/slog"
	"testing"

	"aerie/receiver/fairplay"
)

func TestEveryExchange(t *testing.T) {
	names, modes := map[string]bool{}, map[byte]bool{}
	for _, e := range All() {
		t.Run(e.Name, func(t *testing.T) {
			h := fairplay.New(slog.New(slog.DiscardHandler))
			m2, err := h.Reply(e.M1[:])
			if err != nil {
				t.Fatal(err)
			}
			if err := e.CheckM2(m2); err != nil {
				t.Error(err)
			}
			m4, err := h.Reply(e.M3[:])
			if err != nil {
				t.Fatal(err)
			}
			if err := e.CheckM4(m4); err != nil {
				t.Error(err)
			}
			key, verified, err := h.SessionKey(e.EKey[:])
			if err != nil {
				t.Fatal(err)
			}
			if key != e.Key {
				t.Errorf("key %x, want %x", key, e.Key)
			}
			// The last exchange was recorded with a receiver of another SAP:
			// its check value cannot agree with ours.
			if want := e.Name != "capture1"; verified != want {
				t.Errorf("verified %v, want %v", verified, want)
			}
		})
		if named, err := ByName(e.Name); err != nil || named != e {
			t.Errorf("by name %q: %v", e.Name, err)
		}
		names[e.Name], modes[e.Mode] = true, true
	}
	if len(names) != len(All()) || len(names) < 6 || len(modes) != 4 {
		t.Errorf("%d names, %d modes of %d exchanges", len(names), len(modes), len(All()))
	}
}

func TestUnknownName(t *testing.T) {
	if _, err := ByName("nobody"); err == nil {
		t.Error("an exchange of an unknown name")
	}
}

// TestRepliesAreChecked shows that damaged replies are noticed.
func TestRepliesAreChecked(t *testing.T) {
	e, err := ByName("mode3")
	if err != nil {
		t.Fatal(err)
	}
	h := fairplay.New(slog.New(slog.DiscardHandler))
	m2, err := h.Reply(e.M1[:])
	if err != nil {
		t.Fatal(err)
	}
	m4, err := h.Reply(e.M3[:])
	if err != nil {
		t.Fatal(err)
	}
	for at := range 14 {
		m2[at] ^= 1
		if e.CheckM2(m2) == nil {
			t.Errorf("byte %d of m2 changed unnoticed", at)
		}
		m2[at] ^= 1
	}
	for at := range m4 {
		m4[at] ^= 1
		if e.CheckM4(m4) == nil {
			t.Errorf("byte %d of m4 changed unnoticed", at)
		}
		m4[at] ^= 1
	}
	if e.CheckM2(m2[:141]) == nil || e.CheckM2(nil) == nil || e.CheckM4(m4[:31]) == nil || e.CheckM4(nil) == nil {
		t.Error("short replies are accepted")
	}
}

// TestAllIsACopy shows that a caller cannot change the exchanges of others.
func TestAllIsACopy(t *testing.T) {
	all := All()
	all[0].Name = "changed"
	if _, err := ByName("changed"); err == nil {
		t.Error("a change of the result of All is seen by others")
	}
}
