package button

import (
	"context"
	"errors"
	"testing"
	"time"

	"aerie/hw/lab/bench"
)

// TestLabLine presses a button on a line of gpio-sim.
func TestLabLine(t *testing.T) {
	bench.Need(t)
	g := bench.Lines(t, "GPIO26")
	if _, err := Open("GPIO4711"); !errors.Is(err, ErrNone) {
		t.Errorf("no such line: %v", err)
	}
	b, err := Open("GPIO26")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open("GPIO26"); err == nil {
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
