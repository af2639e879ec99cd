package led

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"aerie/hw/lab/bench"
)

// TestLabLine switches a light on a line of gpio-sim, and reads the line back.
func TestLabLine(t *testing.T) {
	bench.Need(t)
	g := bench.Lines(t, "GPIO17", "GPIO27")
	for _, c := range []struct {
		name, line string
		inverted   bool
	}{{"GPIO27", "GPIO27", false}, {"!GPIO17", "GPIO17", true}} {
		l, err := Open(c.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []bool{false, true, false, true} {
			if err := l.Set(on); err != nil {
				t.Error(err)
			}
			if g.Level(c.line) != (on != c.inverted) {
				t.Errorf("%s: on is %v, the line %v", c.name, on, g.Level(c.line))
			}
		}
		if _, err := Open(c.name); err == nil {
			t.Error("a line was given away twice")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if l, err = Open(c.name); err != nil {
			t.Errorf("after it was given back: %v", err)
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open("GPIO4711"); !errors.Is(err, ErrNone) {
		t.Errorf("no such line: %v", err)
	}
}

// TestLabSysfs switches a light of the kernel's, made by the driver uleds, which
// tells of every change.
func TestLabSysfs(t *testing.T) {
	bench.Need(t)
	bench.Load(t, "uleds")
	f, err := os.OpenFile("/dev/uleds", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// struct uleds_user_dev: the name, and the most brightness.
	var device [68]byte
	copy(device[:], "ACT")
	binary.NativeEndian.PutUint32(device[64:], 7)
	if _, err := f.Write(device[:]); err != nil {
		t.Fatal(err)
	}
	l, err := Open("ACT")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan uint32, 16)
	go func() {
		var b [4]byte
		for {
			if n, err := f.Read(b[:]); n != 4 || err != nil {
				return
			}
			told <- binary.NativeEndian.Uint32(b[:])
		}
	}()
	for _, want := range []uint32{7, 0, 7, 0} {
		if err := l.Set(want == 7); err != nil {
			t.Error(err)
		}
		for seen := uint32(99); seen != want; {
			select {
			case seen = <-told:
			case <-time.After(30 * time.Second):
				t.Fatalf("the light is not told %d", want)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
