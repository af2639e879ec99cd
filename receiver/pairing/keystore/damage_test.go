package keystore

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// filled returns the disk of a store that remembers two senders, and the
// store.
func filled(t testing.TB) (*disk, *Store) {
	t.Helper()
	d := newDisk()
	s, err := OpenFS(d, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for n := byte(1); n <= 2; n++ {
		if err := s.Remember(keyOf(n), string('a'+rune(n)), "", noon); err != nil {
			t.Fatal(err)
		}
	}
	return d, s
}

// damages are ways for a file to be of no use.
var damages = map[string]func([]byte) []byte{
	"empty":     func(b []byte) []byte { return nil },
	"cut":       func(b []byte) []byte { return b[:len(b)-1] },
	"longer":    func(b []byte) []byte { return append(b, ' ') },
	"one bit":   func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
	"first bit": func(b []byte) []byte { b[0] ^= 1; return b },
	"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
	"no body":   func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] },
	"not JSON":  func(b []byte) []byte { return encode(kindOf(b), []byte("{")) },
	"other JSON": func(b []byte) []byte {
		return encode(kindOf(b), []byte(`{"ed25519_seed":"AAAA","senders":[{"key":"00"}]}`))
	},
	"other kind": func(b []byte) []byte { return encode("picture", []byte("{}")) },
}

func kindOf(b []byte) string { return strings.Fields(string(b))[1] }

// TestDamagedSenders shows that a damaged list costs the list and nothing
// else, and is kept for inspection.
func TestDamagedSenders(t *testing.T) {
	for name, damage := range damages {
		d, before := filled(t)
		f := d.view[sendersName]
		f.now = damage(bytes.Clone(f.now))
		var log bytes.Buffer
		s, err := OpenFS(d, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(s.Senders()) != 0 || string(s.Identity()) != string(before.Identity()) {
			t.Errorf("%s: %d senders", name, len(s.Senders()))
		}
		if d.view[sendersName+".damaged"] != f || strings.Count(log.String(), "set aside") != 1 {
			t.Errorf("%s: not set aside: log %q", name, &log)
		}
	}
}

// TestDamagedIdentity shows that either of the two files may be damaged.
func TestDamagedIdentity(t *testing.T) {
	for name, damage := range damages {
		for _, file := range []string{identityName, identityCopyName} {
			d, before := filled(t)
			good := bytes.Clone(d.view[file].now)
			d.view[file].now = damage(d.view[file].now)
			s, err := OpenFS(d, quiet)
			if err != nil || string(s.Identity()) != string(before.Identity()) || len(s.Senders()) != 2 {
				t.Errorf("%s %s: error %v", name, file, err)
			}
			if !bytes.Equal(d.view[file].now, good) {
				t.Errorf("%s %s: not repaired", name, file)
			}
			if _, ok := d.view[file+".damaged"]; !ok {
				t.Errorf("%s %s: not set aside", name, file)
			}
		}
	}
}

// TestMissingIdentity shows that either of the two files may be missing.
func TestMissingIdentity(t *testing.T) {
	for _, file := range []string{identityName, identityCopyName} {
		d, before := filled(t)
		delete(d.view, file)
		s, err := OpenFS(d, quiet)
		if err != nil || string(s.Identity()) != string(before.Identity()) {
			t.Errorf("%s: error %v", file, err)
		}
		if _, ok := d.view[file]; !ok {
			t.Errorf("%s is not restored", file)
		}
	}
}

// TestLostIdentity shows what remains when both files are damaged: a start
// with a new identity, said loudly, with the old files kept.
func TestLostIdentity(t *testing.T) {
	d, before := filled(t)
	d.view[identityName].now[0] ^= 1
	d.view[identityCopyName].now[0] ^= 1
	var log bytes.Buffer
	s, err := OpenFS(d, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Identity()) == string(before.Identity()) {
		t.Error("a damaged identity is used")
	}
	if strings.Count(log.String(), "level=ERROR") != 2 || !strings.Contains(log.String(), "new identity") {
		t.Errorf("log %q", &log)
	}
	if len(s.Senders()) != 2 {
		t.Error("the senders are lost with the identity")
	}
}

// TestTwoIdentities shows that the file counts, not the copy, which is kept
// aside.
func TestTwoIdentities(t *testing.T) {
	d, before := filled(t)
	other, _ := filled(t)
	d.view[identityCopyName] = other.view[identityCopyName]
	s, err := OpenFS(d, quiet)
	if err != nil || string(s.Identity()) != string(before.Identity()) {
		t.Errorf("error %v", err)
	}
	if _, ok := d.view[identityCopyName+".damaged"]; !ok {
		t.Error("the other identity is overwritten")
	}
	if !bytes.Equal(d.view[identityName].now, d.view[identityCopyName].now) {
		t.Error("the two files still differ")
	}
}

// TestCopyByHand shows that the copy can be put in the place of the file.
func TestCopyByHand(t *testing.T) {
	d, before := filled(t)
	d.view[identityName] = d.view[identityCopyName]
	delete(d.view, identityCopyName)
	if s, err := OpenFS(d, quiet); err != nil || string(s.Identity()) != string(before.Identity()) {
		t.Errorf("error %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("x"), encode(identityName, []byte("{}")))
	f.Fuzz(func(t *testing.T, body, data []byte) {
		got, err := decode(identityName, encode(identityName, body))
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%q comes back as %q, %v", body, got, err)
		}
		if got, err := decode(identityName, data); err == nil && !bytes.Equal(encode(identityName, got), data) {
			t.Errorf("%q is taken for %q", data, got)
		}
	})
}

// FuzzSenders gives a store hostile lists under a correct digest.
func FuzzSenders(f *testing.F) {
	d, _ := filled(f)
	body, err := decode(sendersName, d.view[sendersName].now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"senders":[{"key":"","id":7}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := newDisk()
		d.view[sendersName] = &content{now: encode(sendersName, body)}
		s, err := OpenFS(d, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Remember(keyOf(7), "seven", "Seven", noon); err != nil {
			t.Fatal(err)
		}
		if found, ok := s.Lookup(keyOf(7)); !ok || found.ID != "seven" || len(s.Senders()) > MaxSenders {
			t.Errorf("%d senders, %v", len(s.Senders()), found)
		}
		again, err := OpenFS(d.restart(), quiet)
		if err != nil || len(again.Senders()) != len(s.Senders()) {
			t.Errorf("%d senders after a restart, %d before, error %v", len(again.Senders()), len(s.Senders()), err)
		}
	})
}
