package led

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes the files of lights: name -> its trigger file.
func tree(t *testing.T, lights map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, trigger := range lights {
		dir := filepath.Join(root, "sys/class/leds", name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"max_brightness": "255\n", "brightness": "0\n"}
		if trigger != "" {
			files["trigger"] = trigger
		}
		for f, text := range files {
			if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func read(t *testing.T, root, name, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "sys/class/leds", name, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func noLine(string) (light, error) { return nil, ErrNone }

// A light of the kernel's is found under its names of all times, shows what it
// is told, and then again what it showed before.
func TestSysfs(t *testing.T) {
	for _, c := range []struct{ name, real, trigger, on, off, after string }{
		{"ACT", "ACT", "none [mmc0] timer heartbeat\n", "255", "0", "mmc0"},
		{"ACT", "led0", "none rc-feedback [actpwr]\n", "255", "0", "actpwr"},
		{"!ACT", "ACT", "[none] mmc0\n", "0", "255", "[none] mmc0"},
		{"PWR", "led1", "none [default-on]", "255", "0", "default-on"},
		{"front:green", "front:green", "", "255", "0", ""},
	} {
		root := tree(t, map[string]string{c.real: c.trigger, "other": "[none]"})
		l, err := open(root, c.name, noLine)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, on := range []bool{false, true, true, false, true} {
			if err := l.Set(on); err != nil {
				t.Error(err)
			}
			want := c.off
			if on {
				want = c.on
			}
			if got := read(t, root, c.real, "brightness"); got != want {
				t.Errorf("%s: on is %v, brightness %s", c.name, on, got)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if c.trigger != "" {
			if got := read(t, root, c.real, "trigger"); got != c.after {
				t.Errorf("%s: the trigger is %q afterwards", c.name, got)
			}
		}
	}
}

// What is not there, or not what it should be, is an error and no more.
func TestErrors(t *testing.T) {
	root := tree(t, map[string]string{"dim": "[none]", "odd": "[none]", "bare": "[none]"})
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, "sys/class/leds", name, "max_brightness"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("dim", "0\n")
	write("odd", "bright\n")
	if err := os.Remove(filepath.Join(root, "sys/class/leds/bare/max_brightness")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dim", "odd"} {
		if _, err := open(root, name, noLine); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "!", "GPIO99", "..", "../leds/dim", "a/b"} {
		if _, err := open(root, name, noLine); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for list, want := range map[string]string{"": "", "none": "", "[": "", "none [mmc0": "", "a [b] [c]": "b", "[]": ""} {
		if got := chosen(list); got != want {
			t.Errorf("%q: %q is chosen", list, got)
		}
	}
}

// fake is a light on a line that can fail.
type fake struct {
	lit    bool
	err    error
	sets   int
	closed bool
}

func (f *fake) set(lit bool) error { f.lit, f.sets = lit, f.sets+1; return f.err }
func (f *fake) close() error       { f.closed = true; return f.err }

// A light whose line fails is tried again the next time, and one that is as it
// should be is left alone.
func TestLine(t *testing.T) {
	f := &fake{}
	open := func(name string) (*LED, error) {
		return open(t.TempDir(), name, func(name string) (light, error) {
			if name != "GPIO17" {
				t.Errorf("line %q", name)
			}
			return f, nil
		})
	}
	l, err := open("!GPIO17")
	if err != nil || !f.lit || f.sets != 1 {
		t.Fatalf("%v, lit: %v, after %d", err, f.lit, f.sets)
	}
	for range 3 {
		if err := l.Set(true); err != nil || f.lit || f.sets != 2 {
			t.Errorf("%v, lit: %v, after %d", err, f.lit, f.sets)
		}
	}
	f.err = os.ErrClosed
	for i := range 3 {
		if err := l.Set(false); !errors.Is(err, os.ErrClosed) || f.sets != 3+i {
			t.Errorf("%v, after %d", err, f.sets)
		}
	}
	if err := l.Close(); !errors.Is(err, os.ErrClosed) || !f.closed {
		t.Errorf("close: %v", err)
	}
	*f = fake{err: os.ErrPermission}
	if _, err := open("GPIO17"); !errors.Is(err, os.ErrPermission) || !f.closed {
		t.Errorf("a line that cannot be set: %v, closed: %v", err, f.closed)
	}
}
