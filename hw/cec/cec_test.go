package cec

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// rig is an Adapter on a model, running.
type rig struct {
	*Adapter
	bus  *model
	stop func() error

	mu     sync.Mutex
	got    []string
	states []string
	sent   []error
}

// run runs a test on simulated time with an Adapter on the bus.
func run(t *testing.T, prepare func(*model), test func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &rig{bus: newModel()}
		if prepare != nil {
			prepare(g.bus)
		}
		var err error
		if g.Adapter, err = openOn(g.bus, "/dev/cec0", g.options()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		g.stop = sync.OnceValue(func() error { cancel(); return <-done })
		test(t, g)
		if err := g.stop(); err != nil && !errors.Is(err, ErrGone) {
			t.Errorf("Run: %v", err)
		}
		g.Close()
		if g.bus.opened != 0 {
			t.Errorf("%d descriptors are left open", g.bus.opened)
		}
		time.Sleep(time.Second) // timers of the model
	})
}

func (g *rig) options() Options {
	return Options{
		Name: "Wohnzimmer\x07 mit langem Namen",
		Received: func(f Frame) {
			time.Sleep(g.bus.slow)
			g.mu.Lock()
			defer g.mu.Unlock()
			g.got = append(g.got, f.String())
		},
		Changed: func(s State) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.states = append(g.states, s.String())
		},
		Sent: func(_ Frame, err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.sent = append(g.sent, err)
		},
	}
}

// went are the messages on the bus so far.
func (g *rig) went() []Frame {
	synctest.Wait()
	g.bus.mu.Lock()
	defer g.bus.mu.Unlock()
	return slices.Clone(g.bus.sent)
}

func (g *rig) seen() (got, states string) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.got, ", "), strings.Join(g.states, "; ")
}

// An Adapter takes an address, gets messages and sends.
func TestConversation(t *testing.T) {
	run(t, nil, func(t *testing.T, g *rig) {
		time.Sleep(time.Second)
		if s := g.State(); s != (State{0x1000, 4}) {
			t.Fatalf("state %v", s)
		}
		g.bus.arrive(0x04, 0x8f)
		g.bus.arrive(0x0f, 0x36)
		g.bus.arrive(0x04) // is somebody there?
		got, states := g.seen()
		if got != "0>4 8f, 0>15 36, 0>4 " {
			t.Errorf("got %q", got)
		}
		if states != "1.0.0.0, no address; 1.0.0.0, address 4" {
			t.Errorf("states %q", states)
		}
		if g.bus.name != "Wohnzimmer mit" {
			t.Errorf("the television shows %q", g.bus.name)
		}
		if err := errors.Join(g.Send(Television, 0x04), g.Send(Broadcast, 0x82, 0x10, 0)); err != nil {
			t.Fatal(err)
		}
		if s := g.went(); len(s) != 2 || s[0].String() != "4>0 04" || s[1].String() != "4>15 82 10 00" {
			t.Errorf("sent %v", s)
		}
		if c := g.Counts(); c != (Counts{Received: 3, Sent: 2}) {
			t.Errorf("counts %+v", c)
		}
		if err := g.stop(); err != nil || g.bus.mask != 0 {
			t.Errorf("stopped with %v, and address %#x is kept", err, g.bus.mask)
		}
	})
}

// A television that goes takes the address along, and brings it back.
func TestCable(t *testing.T) {
	run(t, func(b *model) { b.physical = NoPhysical }, func(t *testing.T, g *rig) {
		time.Sleep(time.Hour)
		if err := g.Send(Broadcast, 0x82, 0x10, 0); !errors.Is(err, ErrUnregistered) {
			t.Errorf("without an address: %v", err)
		}
		// A television that hides its socket while it sleeps can be woken.
		if err := g.Send(Television, 0x04); err != nil {
			t.Error(err)
		}
		if s := g.went(); len(s) != 1 || s[0].String() != "15>0 04" {
			t.Errorf("sent %v", s)
		}
		for range 3 {
			g.bus.plug(0x2300)
			time.Sleep(time.Minute)
			g.bus.plug(NoPhysical)
			time.Sleep(time.Minute)
		}
		_, states := g.seen()
		want := strings.Repeat("2.3.0.0, no address; 2.3.0.0, address 4; no television; ", 3)
		if states+"; " != want {
			t.Errorf("states %q", states)
		}
	})
}

// Where all addresses are taken one is asked for from time to time.
func TestNoAddressFree(t *testing.T) {
	run(t, func(b *model) { b.address = 15 }, func(t *testing.T, g *rig) {
		time.Sleep(10 * time.Minute)
		g.bus.mu.Lock()
		if n := g.bus.claims; n < 10 || n > 20 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		g.bus.address = 8
		g.bus.mu.Unlock()
		time.Sleep(longestClaim + time.Second)
		if s := g.State(); s.Logical != 8 {
			t.Errorf("state %v", s)
		}
	})
}

// Some adapters have to be told what the display says.
func TestPhysicalOfDisplay(t *testing.T) {
	for _, flags := range []uint32{capPhysical, 0} {
		run(t, func(b *model) { b.physical, b.flags = NoPhysical, b.flags|flags }, func(t *testing.T, g *rig) {
			g.SetPhysical(0x3000)
			time.Sleep(time.Second)
			want := NoPhysical
			if flags != 0 {
				want = 0x3000
			}
			if s := g.State(); int(s.Physical) != want || s.Ready() != (flags != 0) {
				t.Errorf("state %v", s)
			}
		})
	}
}

// A flood costs neither memory nor the messages that are sent meanwhile, even if
// the owner is slow.
func TestFlood(t *testing.T) {
	run(t, func(b *model) { b.slow = 10 * time.Millisecond }, func(t *testing.T, g *rig) {
		time.Sleep(time.Second)
		for i := range 10_000 {
			g.bus.arrive(0x04, 0x44, byte(i))
			if i%100 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
		}
		if err := g.Send(Television, 0x90, 0); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		c := g.Counts()
		if c.Received+c.Lost < 10_000 || c.Lost == 0 || c.Received > 1000 || c.Sent != 1 {
			t.Errorf("counts %+v", c)
		}
	})
}

// What waits to be sent is limited, and so is how long a result is waited for.
func TestSending(t *testing.T) {
	run(t, func(b *model) { b.deaf = true }, func(t *testing.T, g *rig) {
		time.Sleep(time.Second)
		n := 0
		var err error
		for ; err == nil && n < 100; n++ {
			err = g.Send(Television, 0x04)
			synctest.Wait()
		}
		if !errors.Is(err, ErrFull) || n != maxQueue+2 { // one is on its way
			t.Errorf("%d messages, then %v", n, err)
		}
		time.Sleep((maxQueue + 2) * longestFlight)
		if c := g.Counts(); c.Failed != maxQueue+1 {
			t.Errorf("counts %+v", c)
		}
		g.bus.mu.Lock()
		g.bus.deaf, g.bus.status = false, txNack
		g.bus.mu.Unlock()
		if err := g.Send(Television, 0x04); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		g.mu.Lock()
		if last := g.sent[len(g.sent)-1]; !errors.Is(last, ErrNack) {
			t.Errorf("nobody takes it: %v", last)
		}
		g.mu.Unlock()
		if g.Send(16) == nil || g.Send(-1) == nil || g.Send(0, bytes.Repeat([]byte{1}, 16)...) == nil {
			t.Error("impossible messages are taken")
		}
	})
}

// A result that comes after it was given up is not that of the next message.
func TestLateResult(t *testing.T) {
	run(t, func(b *model) { b.deaf = true }, func(t *testing.T, g *rig) {
		time.Sleep(time.Second)
		if err := errors.Join(g.Send(Television, 0x04), g.Send(Television, 0x8f)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(longestFlight + time.Second)
		late := func(sequence uint32) Counts {
			g.bus.mu.Lock()
			g.bus.queue(message{length: 2, sequence: sequence, txStatus: txOK})
			g.bus.mu.Unlock()
			synctest.Wait()
			return g.Counts()
		}
		if c := late(1); c != (Counts{Failed: 1}) {
			t.Errorf("after the result of the first: %+v", c)
		}
		if c := late(2); c != (Counts{Failed: 1, Sent: 1}) {
			t.Errorf("after that of the second: %+v", c)
		}
	})
}

// An adapter that is unplugged ends Run.
func TestAdapterUnplugged(t *testing.T) {
	run(t, nil, func(t *testing.T, g *rig) {
		time.Sleep(time.Second)
		g.bus.unplugAdapter()
		if err := g.stop(); !errors.Is(err, ErrGone) {
			t.Errorf("Run: %v", err)
		}
		g.Close()
		if err := g.Send(Television, 0x04); !errors.Is(err, ErrGone) {
			t.Errorf("Send: %v", err)
		}
	})
}

// several is a machine with some adapters.
type several struct {
	*model
	wired [][2]uint32 // card and connector; connector 0: loose
	at    int
}

func (s *several) adapters() (out []string) {
	for i := range s.wired {
		out = append(out, "/dev/cec"+string(rune('0'+i)))
	}
	return out
}

func (s *several) open(path string) (int, error) {
	w := s.wired[path[len(path)-1]-'0']
	s.flags, s.connector = capLogical|capTransmit, connectorInfo{}
	if w[1] != 0 {
		s.flags |= capConnector
		s.connector = connectorInfo{kind: connectorDRM, raw: [16]uint32{w[0], w[1]}}
	}
	return s.model.open(path)
}

// The adapter of a display is that which names it, or the only one there is.
func TestFind(t *testing.T) {
	for _, c := range []struct {
		wired           [][2]uint32
		card, connector uint32
		want            string
	}{
		{nil, 0, 32, ErrNone.Error()},
		{[][2]uint32{{1, 32}, {1, 42}}, 1, 42, "/dev/cec1"},
		{[][2]uint32{{1, 32}, {1, 42}}, 0, 42, ErrNone.Error()},
		{[][2]uint32{{0, 0}}, 1, 42, "/dev/cec0"},
		{[][2]uint32{{0, 0}, {1, 42}}, 1, 42, "/dev/cec1"},
		{[][2]uint32{{0, 0}, {1, 42}}, 0, 0, "/dev/cec0"},
		{[][2]uint32{{0, 0}, {0, 0}}, 1, 42, ErrNone.Error()},
	} {
		d, err := find(&several{model: newModel(), wired: c.wired}, c.card, c.connector)
		got := d.Path
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%v, display %d on card %d: %s, want %s", c.wired, c.connector, c.card, got, c.want)
		}
	}
	b := newModel()
	b.fail = func(int, string) error { return unix.EACCES }
	if _, err := find(b, 0, 1); err == nil || !strings.Contains(err.Error(), "group video") {
		t.Errorf("without the right: %v", err)
	}
}
