package config

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What the page saves comes true through the system, which opens the file
// system for that and for no longer.
func TestHandOver(t *testing.T) {
	s, _ := aStore(t)
	s.Write = s.HandOver
	done := make(chan error, 1)
	go func() { done <- s.Save([]Change{{"name", "Den"}}) }()
	open, opened := false, 0
	writable := func() (func() error, error) {
		open, opened = true, opened+1
		return func() error { open = false; return nil }, nil
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		taken, err := s.TakeOver(writable)
		if err != nil {
			t.Fatal(err)
		}
		if taken {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing is handed over")
		}
	}
	if err := <-done; err != nil || open || opened != 1 {
		t.Errorf("%v, open %v, %d times", err, open, opened)
	}
	if c := load(t, s); c.Name != "Den" || s.Read().Name != "Den" {
		t.Errorf("%q", c.Name)
	}
	if taken, err := s.TakeOver(writable); taken || err != nil || opened != 1 {
		t.Errorf("a second time: %v, %v", taken, err)
	}
}

// The system has more rights than the receiver: what lies in the receiver's
// folder must not lead it elsewhere, nor stop it, nor stay.
func TestTakeOverIsNotFooled(t *testing.T) {
	writable := func() (func() error, error) { return func() error { return nil }, nil }
	for name, lay := range map[string]func(path string) error{
		"a link to elsewhere": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"a pipe":              func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a folder":            func(p string) error { return os.Mkdir(p, 0o700) },
		"a mistake":           func(p string) error { return os.WriteFile(p, []byte("name = x"), 0o600) },
		"too much":            func(p string) error { return os.WriteFile(p, make([]byte, maxFile+1), 0o600) },
	} {
		s, _ := aStore(t)
		before, _ := os.ReadFile(s.File)
		pending := filepath.Join(s.Dir, pendingName)
		if err := lay(pending); err != nil {
			t.Fatal(err)
		}
		if taken, err := s.TakeOver(writable); taken || err == nil {
			t.Errorf("%s: %v, %v", name, taken, err)
		}
		if _, err := os.Lstat(pending); err == nil {
			t.Errorf("%s: it stays", name)
		}
		if now, _ := os.ReadFile(s.File); string(now) != string(before) {
			t.Errorf("%s: %q", name, now)
		}
	}
	s, _ := aStore(t)
	if err := os.WriteFile(filepath.Join(s.Dir, pendingName), []byte("name = 'x'"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := errors.New("read-only for good")
	if taken, err := s.TakeOver(func() (func() error, error) { return nil, bad }); taken || !errors.Is(err, bad) {
		t.Errorf("%v, %v", taken, err)
	}
}
