package led_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"aerie/hw/button"
	"aerie/hw/lab/bench"
	"aerie/hw/led"
)

// TestLabLine switches a light on a line of gpio-sim, and reads the line back.
func TestLabLine(t *testing.T) {
	bench.Need(t)
	g := bench.Lines(t, "GPIO17", "GPIO27")
	for _, c := range []struct {
		name, line string
		inverted   bool
	}{{"GPIO27", "GPIO27", false}, {"!GPIO17", "GPIO17", true}} {
		l, err := led.Open(c.name)
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
		if _, err := led.Open(c.name); err == nil {
			t.Error("a line was given away twice")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if l, err = led.Open(c.name); err != nil {
			t.Errorf("after it was given back: %v", err)
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := led.Open("GPIO4711"); !errors.Is(err, led.ErrNone) {
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
	l, err := led.Open("ACT")
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

// TestLabButton presses a button on a line of gpio-sim. It is here because each
// package with such tests has a virtual machine of its own.
func TestLabButton(t *testing.T) {
	bench.Need(t)
	g := bench.Lines(t, "GPIO26")
	if _, err := button.Open("GPIO4711"); !errors.Is(err, button.ErrNone) {
		t.Errorf("no such line: %v", err)
	}
	b, err := button.Open("GPIO26")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := button.Open("GPIO26"); err == nil {
		t.Error("a line was given away twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan bool, 16)
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, func(down bool) { seen <- down }) }()
	want := func(down bool) {
		t.Helper()
		select {
		case got := <-seen:
			if got != down {
				t.Errorf("reported %v, want %v", got, down)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%v was not reported", down)
		}
	}
	// The line was pulled up when it was asked for: it is not down.
	for range 3 {
		g.Pull("GPIO26", false)
		want(true)
		for i := range 20 { // the contacts bounce
			g.Pull("GPIO26", i%2 == 0)
		}
		g.Pull("GPIO26", true)
		want(false)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(seen) > 0 {
		t.Errorf("bouncing was reported: %v", <-seen)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
