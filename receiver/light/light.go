// Package light says with one light how the receiver is.
//
// Each State has a Pattern that can be told from the others by eye, without a
// watch: by the number of flashes in a row, by even or uneven time, slow or
// fast. Several states may hold at once; the most important one is shown.
//
// Whoever knows of a state sets it on a Light; Run plays the patterns on
// whatever can be switched on and off. A light that fails is tried again, and
// nobody has to care.
//
// Proof: light_test.go compares what is played on simulated time with the
// table, has states come and go in all orders against a model, measures that no
// two patterns look alike, and has the light fail.
package light

import (
	"context"
	"sync"
	"time"
)

// State is something that the light can say. Later ones are more important.
type State int

// States.
const (
	Ready     State = iota // senders can come
	Playing                // one is here
	NoNetwork              // nobody can come, for there is no network
	Booting                // the receiver starts
	Updating               // a new version is installed: do not pull the plug
	Failed                 // something does not work
	Identify               // "this one": asked for on the page
	Holding                // the button is held: all will be forgotten if it is held on
	Releasing              // the button was held long enough: let go to have all forgotten
	states
)

var names = [states]string{"ready", "playing", "no network", "booting", "updating", "failed", "identify", "holding", "releasing"}

func (s State) String() string { return names[s] }

// Pattern is how long the light is on, off, on, ... and then from the beginning
// again. One of a single duration is on all the time.
type Pattern []time.Duration

const ms = time.Millisecond

var patterns = [states]Pattern{
	// Most of the time one of these two is shown, so they must not annoy: the
	// first is steady, the second dark for those who watch a film.
	Ready:     {time.Minute},
	Playing:   {60 * ms, 4940 * ms},
	NoNetwork: {150 * ms, 250 * ms, 150 * ms, 1450 * ms},
	Booting:   {300 * ms, 300 * ms},
	Updating:  {1200 * ms, 1200 * ms},
	Failed:    {150 * ms, 250 * ms, 150 * ms, 250 * ms, 150 * ms, 1450 * ms},
	Identify:  {700 * ms, 200 * ms, 150 * ms, 200 * ms},
	Holding:   {120 * ms, 120 * ms},
	Releasing: {40 * ms, 40 * ms},
}

// PatternOf returns the pattern of a state.
func PatternOf(s State) Pattern { return append(Pattern(nil), patterns[s]...) }

// Light is what the light says. The zero value says that the receiver is ready.
// Its methods may be called at any time from any goroutine, and do not wait for
// the light.
type Light struct {
	mu      sync.Mutex
	holds   [states]bool
	until   [states]*time.Timer // that end a state which was set for a time
	turned  chan struct{}       // closed at the next change; nil: nobody waits
	serials [states]uint64      // of the times that it was set
}

// Set says that a state holds, or does no more.
func (l *Light) Set(s State, holds bool) {
	if s < 0 || s >= states {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(s, holds)
}

// SetFor says that a state holds for a time.
func (l *Light) SetFor(s State, d time.Duration) {
	if s < 0 || s >= states {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(s, true)
	serial := l.serials[s]
	l.until[s] = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.serials[s] == serial {
			l.set(s, false)
		}
	})
}

// set is Set; l.mu is held.
func (l *Light) set(s State, holds bool) {
	if t := l.until[s]; t != nil {
		t.Stop()
		l.until[s] = nil
	}
	l.serials[s]++
	before := l.shown()
	l.holds[s] = holds
	if l.shown() != before && l.turned != nil {
		close(l.turned)
		l.turned = nil
	}
}

// Shown is the most important state that holds.
func (l *Light) Shown() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown()
}

func (l *Light) shown() State {
	for s := states - 1; s > 0; s-- {
		if l.holds[s] {
			return s
		}
	}
	return Ready
}

// now is what is shown, and what ends when that changes.
func (l *Light) now() (State, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turned == nil {
		l.turned = make(chan struct{})
	}
	return l.shown(), l.turned
}

// Run plays what is shown until ctx ends, and leaves the light off. failed is
// told when switching begins to fail, and with nil when it works again.
func (l *Light) Run(ctx context.Context, set func(on bool) error, failed func(error)) {
	broken := false
	put := func(on bool) {
		err := set(on)
		if (err != nil) != broken {
			broken = err != nil
			failed(err)
		}
	}
	defer put(false)
	for {
		s, turned := l.now()
		l.play(ctx, patterns[s], put, turned)
		if ctx.Err() != nil {
			return
		}
	}
}

// play plays a pattern until something else is to be shown.
func (l *Light) play(ctx context.Context, p Pattern, put func(on bool), turned <-chan struct{}) {
	t := time.NewTimer(0)
	<-t.C
	defer t.Stop()
	for i := 0; ; i = (i + 1) % len(p) {
		put(i%2 == 0)
		t.Reset(p[i])
		select {
		case <-ctx.Done():
			return
		case <-turned:
			return
		case <-t.C:
		}
	}
}
