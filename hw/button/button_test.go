package button

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/go-gpiocdev"
)

// contact is a line that a test presses.
type contact struct {
	mu    sync.Mutex
	value int
	err   error
	reads int
}

func (c *contact) Value() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	return c.value, c.err
}

func (c *contact) Close() error { return nil }

// rig is a button on a contact.
type rig struct {
	*Button
	contact *contact
	reports []bool
}

func (g *rig) level(v int, edge bool) {
	g.contact.mu.Lock()
	g.contact.value = v
	g.contact.mu.Unlock()
	if edge {
		g.edged(gpiocdev.LineEvent{})
	}
}

func run(t *testing.T, test func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &rig{contact: &contact{}}
		g.Button = &Button{name: "test", line: g.contact, edge: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx, func(down bool) { g.reports = append(g.reports, down) }) }()
		test(t, g)
		cancel()
		if err := <-done; err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
}

func (g *rig) saw(t *testing.T, want ...bool) {
	t.Helper()
	synctest.Wait()
	if len(g.reports) != len(want) {
		t.Fatalf("reports %v, want %v", g.reports, want)
	}
	for i := range want {
		if g.reports[i] != want[i] {
			t.Fatalf("reports %v, want %v", g.reports, want)
		}
	}
	g.reports = nil
}

// A press is reported once, however much the contacts bounce.
func TestBounce(t *testing.T) {
	run(t, func(t *testing.T, g *rig) {
		bounce := func(end int) {
			for i := range 20 {
				g.level(i%2, true)
				time.Sleep(300 * time.Microsecond)
			}
			g.level(end, true)
		}
		time.Sleep(time.Minute)
		g.saw(t)
		for range 3 {
			bounce(1)
			time.Sleep(3 * settle)
			g.saw(t, true)
			time.Sleep(time.Minute)
			bounce(0)
			time.Sleep(3 * settle)
			g.saw(t, false)
		}
	})
}

// A line that makes noise without end wakes a limited number of times.
func TestNoise(t *testing.T) {
	run(t, func(t *testing.T, g *rig) {
		for i := range 100_000 {
			g.level(i%2, true)
			time.Sleep(10 * time.Microsecond)
		}
		synctest.Wait()
		if n := len(g.reports); n > 60 {
			t.Errorf("%d reports in a second", n)
		}
		if n := g.contact.reads; n > 60 {
			t.Errorf("%d reads in a second", n)
		}
	})
}

// A level whose edge was lost is noticed all the same; a short glitch is not.
func TestLostEdgeAndGlitch(t *testing.T) {
	run(t, func(t *testing.T, g *rig) {
		time.Sleep(time.Millisecond)
		g.level(1, false)
		time.Sleep(look + settle)
		g.saw(t, true)
		g.level(0, true)
		time.Sleep(settle / 2)
		g.level(1, true)
		time.Sleep(time.Minute)
		g.saw(t)
	})
}

// A line that fails ends Run.
func TestFailure(t *testing.T) {
	run(t, func(t *testing.T, g *rig) {
		time.Sleep(time.Millisecond)
		g.contact.mu.Lock()
		g.contact.err = os.ErrClosed
		g.contact.mu.Unlock()
		time.Sleep(2 * look)
		g.saw(t)
	})
}
