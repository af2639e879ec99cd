package keystore

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// open opens a store on a real directory and fails the test on a line in the
// log beyond that of a new identity.
func open(t *testing.T, directory string) *Store {
	t.Helper()
	var log bytes.Buffer
	s, err := Open(directory, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("log %q", &log)
	}
	return s
}

func TestRestart(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "var", "lib", "aerie")
	s := open(t, directory)
	for n := byte(1); n <= 3; n++ {
		if err := s.Remember(keyOf(n), fmt.Sprint("id", n), fmt.Sprint("Phone ", n), noon.Add(time.Duration(n)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, directory)
	if string(again.Identity()) != string(s.Identity()) || again.PairingID() != s.PairingID() {
		t.Error("another identity after a restart")
	}
	if summary(again) != summary(s) || len(again.Senders()) != 3 {
		t.Errorf("after a restart %q, before %q", summary(again), summary(s))
	}
	want := Sender{keyOf(2), "id2", "Phone 2", noon.Add(2 * time.Minute), noon.Add(2 * time.Minute), false}
	if got, ok := again.Lookup(keyOf(2)); !ok || got != want {
		t.Errorf("found %v, want %v", got, want)
	}
	if _, ok := again.Lookup(keyOf(4)); ok {
		t.Error("a sender that was never remembered")
	}
}

// TestPermissions shows that other users cannot read the identity.
func TestPermissions(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state")
	open(t, directory)
	for name, want := range map[string]os.FileMode{"": 0o700, identityName: 0o600, identityCopyName: 0o600} {
		info, err := os.Stat(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has permissions %v, want %v", name, got, want)
		}
	}
}

// TestUnusablePlaces shows that the caller learns when nothing could be kept.
func TestUnusablePlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{file, filepath.Join(file, "below"), "/proc/aerie"} {
		if _, err := Open(place, quiet); err == nil || !strings.Contains(err.Error(), "keystore: ") {
			t.Errorf("%s: %v", place, err)
		}
	}
	s := Volatile(nil)
	if err := s.Remember(keyOf(1), "one", "", noon); err != nil {
		t.Error(err)
	}
	if _, ok := s.Lookup(keyOf(1)); !ok || len(s.Identity()) == 0 {
		t.Error("a volatile store remembers nothing")
	}
}

// TestOversizedFile shows that a file is not read without end.
func TestOversizedFile(t *testing.T) {
	directory := t.TempDir()
	open(t, directory)
	path := filepath.Join(directory, sendersName)
	if err := os.WriteFile(path, make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(directory, quiet); err != nil || len(s.Senders()) != 0 {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

// TestBound shows which sender goes when there are too many.
func TestBound(t *testing.T) {
	s := Volatile(nil)
	key := func(n int) Key { return Key{byte(n), byte(n >> 8)} }
	for n := range MaxSenders {
		if err := s.Remember(key(n), fmt.Sprint(n), "", noon); err != nil {
			t.Fatal(err)
		}
	}
	s.Seen(key(0), "", noon)
	if err := s.Remember(key(MaxSenders), "new", "", noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{0: true, 1: false, 2: true, MaxSenders: true} {
		if _, ok := s.Lookup(key(n)); ok != want {
			t.Errorf("sender %d remembered: %v, want %v", n, ok, want)
		}
	}
	if n := len(s.Senders()); n != MaxSenders {
		t.Errorf("%d senders", n)
	}
}

// TestRememberAgain shows what becomes of a sender that comes back with the
// same key, and of one that comes back with the same ID.
func TestRememberAgain(t *testing.T) {
	s := Volatile(nil)
	later := noon.Add(time.Hour)
	for _, step := range []struct {
		key      byte
		id, name string
		at       time.Time
	}{{1, "one", "Phone", noon}, {2, "two", "", noon}, {1, "one", "", later}, {3, "two", "", later}, {4, "", "", noon}, {5, "", "", noon}} {
		if err := s.Remember(keyOf(step.key), step.id, step.name, step.at); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := s.Lookup(keyOf(1))
	if want := (Sender{keyOf(1), "one", "Phone", noon, later, false}); one != want {
		t.Errorf("the same key again: %v, want %v", one, want)
	}
	if _, ok := s.Lookup(keyOf(2)); ok || len(s.Senders()) != 4 {
		t.Errorf("the same ID again: %q", summary(s))
	}
}

func TestForget(t *testing.T) {
	d, s := filled(t)
	if found, err := s.Forget("nobody"); found || err != nil {
		t.Errorf("forgetting nobody: %v, %v", found, err)
	}
	if found, err := s.Forget("b"); !found || err != nil {
		t.Errorf("forgetting b: %v, %v", found, err)
	}
	if _, ok := s.Lookup(keyOf(1)); ok || len(s.Senders()) != 1 {
		t.Errorf("left %q", summary(s))
	}
	if err := s.ForgetAll(); err != nil || len(s.Senders()) != 0 {
		t.Errorf("left %q, error %v", summary(s), err)
	}
	if again, err := OpenFS(d, quiet); err != nil || len(again.Senders()) != 0 {
		t.Errorf("the next start finds %q, error %v", summary(again), err)
	}
}

// TestFlushSparesTheDisk counts writes: one an hour is enough for visits, a
// new name is written at once, and a disk that fails is left alone for an
// hour.
func TestFlushSparesTheDisk(t *testing.T) {
	d, s := filled(t)
	for _, c := range []struct {
		name   string
		key    byte
		called string
		after  time.Duration
		writes bool
	}{
		{"first after a start", 1, "", time.Minute, true},
		{"soon after", 2, "", 2 * time.Minute, false},
		{"a new name", 1, "Name", 3 * time.Minute, true},
		{"the same name", 1, "Name", 4 * time.Minute, false},
		{"hours later", 2, "", 2 * time.Hour, true},
		{"the clock was set back", 2, "", time.Hour, true},
		{"a stranger", 9, "Stranger", 9 * time.Hour, false},
	} {
		before := d.operations
		s.Seen(keyOf(c.key), c.called, noon.Add(c.after))
		if d.operations != before {
			t.Errorf("%s: Seen uses the disk", c.name)
		}
		if err := s.Flush(noon.Add(c.after)); err != nil {
			t.Error(err)
		}
		if n := d.operations - before; (n > 0) != c.writes {
			t.Errorf("%s: %d operations", c.name, n)
		}
	}
	if one, _ := s.Lookup(keyOf(1)); !one.LastSeen.Equal(noon.Add(4*time.Minute)) || one.Name != "Name" {
		t.Errorf("in memory %v", one)
	}
	if _, ok := s.Lookup(keyOf(9)); ok {
		t.Error("a stranger is remembered")
	}

	s.Seen(keyOf(1), "Other", noon)
	d.failAt, d.cut = d.operations+1, true
	if s.Flush(noon) == nil {
		t.Error("no error from a disk that fails")
	}
	failed := d.operations
	if err := s.Flush(noon.Add(time.Hour)); err != nil || d.operations != failed {
		t.Errorf("tried again at once: %v", err)
	}
	d.failAt = 0
	if err := s.Flush(noon.Add(time.Hour + 1)); err != nil || d.operations == failed {
		t.Errorf("not tried again: %v", err)
	}
	if again, err := OpenFS(d, quiet); err != nil || summary(again) != summary(s) {
		t.Errorf("found %q, want %q", summary(again), summary(s))
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Jörg’s iPhone":          "Jörg’s iPhone",
		"a\nb\tc\u00a0d":         "a b c d",
		"\x00\x1b[31mred\x7f":    "[31mred",
		"bad\xff\xfeutf8":        "badutf8",
		"":                       "",
		strings.Repeat("x", 500): strings.Repeat("x", 128),
		strings.Repeat("é", 500): strings.Repeat("é", 64),
		strings.Repeat("€", 500): strings.Repeat("€", 42),
		"\u202eright to left":    "right to left",
	} {
		if got := clean(in); got != want || !utf8.ValidString(got) || len(got) > maxTextSize {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestPairingID(t *testing.T) {
	a, b := Volatile(nil), Volatile(nil)
	if a.PairingID() == b.PairingID() {
		t.Error("two identities have one ID")
	}
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !form.MatchString(a.PairingID()) {
		t.Errorf("%q is no UUID", a.PairingID())
	}
}

// TestConcurrentUse lets senders be remembered, seen and listed at once: the
// disk holds them all in the end.
func TestConcurrentUse(t *testing.T) {
	d := newDisk()
	s, err := OpenFS(d, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range byte(20) {
		all.Go(func() {
			if err := s.Remember(keyOf(n), fmt.Sprint(n), "", noon); err != nil {
				t.Error(err)
			}
			s.Seen(keyOf(n), "Name", noon)
			if err := s.Flush(noon); err != nil {
				t.Error(err)
			}
			if _, ok := s.Lookup(keyOf(n)); !ok || len(s.Senders()) == 0 {
				t.Errorf("sender %d is not found", n)
			}
		})
	}
	all.Wait()
	again, err := OpenFS(d, quiet)
	if err != nil || len(again.Senders()) != 20 || summary(again) != summary(s) {
		t.Errorf("error %v, found %q, want %q", err, summary(again), summary(s))
	}
}

// slowDisk is a disk whose directory is synced when the test says so.
type slowDisk struct {
	*disk
	begun, end chan struct{}
}

func (d *slowDisk) Sync() error {
	if d.begun != nil {
		close(d.begun)
		<-d.end
	}
	return d.disk.Sync()
}

// TestLookupDoesNotWaitForTheDisk looks a sender up while another is written.
func TestLookupDoesNotWaitForTheDisk(t *testing.T) {
	d, _ := filled(t)
	slow := &slowDisk{disk: d}
	s, err := OpenFS(slow, quiet)
	if err != nil {
		t.Fatal(err)
	}
	slow.begun, slow.end = make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() { done <- s.Remember(keyOf(3), "three", "", noon) }()
	<-slow.begun
	for n := byte(1); n <= 3; n++ {
		if _, ok := s.Lookup(keyOf(n)); !ok {
			t.Errorf("sender %d is not found", n)
		}
	}
	s.Seen(keyOf(1), "Name", noon)
	close(slow.end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
