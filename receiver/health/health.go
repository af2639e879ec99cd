// Package health tells whether a receiver still does its work, and tells
// systemd so.
//
// Each part that can get stuck is watched under a name: loops by their pulse,
// calls by their return, anything else by a function that says how far it has
// come. Monitor.Check adds up for how long progress has been owed, and names
// what owes it for too long; Supervisor turns that into systemd's READY,
// STATUS and WATCHDOG. A part that has nothing to do owes nothing, and neither
// does one whose hardware or network is missing: those are states, and a
// restart would not bring them back.
//
// Which parts there are and what "owed" means for each is the business of
// package receiver. What happens to a process that is not fed is systemd's,
// what happens after too many restarts that of package ota.
//
// Proof: health_test.go (each kind of part, hours of idling, a machine that was
// stopped, on simulated clocks), supervisor_test.go (what systemd is told, and
// that it is told nothing while something hangs); health_test.go of package
// receiver hangs parts of a real one, and hw/lab/appliance has systemd restart it.
package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/clock"
)

// Progress is how far something has come.
type Progress struct {
	Mark  uint64 // changes whenever it gets further
	Owing bool   // it has to get further by itself, now
}

// Pulse is a loop that goes round for ever.
type Pulse struct{ n atomic.Uint64 }

// Beat says that the loop has gone round.
func (p *Pulse) Beat() { p.n.Add(1) }

// Progress implements what Monitor.Watch takes: the next beat is always owed.
func (p *Pulse) Progress() Progress { return Progress{Mark: p.n.Load(), Owing: true} }

// Work is a place that does one thing at a time and must finish it. It costs
// two atomic additions, so it may be on the way of every picture.
type Work struct{ begun, ended atomic.Uint64 }

// Begin says that something was begun.
func (w *Work) Begin() { w.begun.Add(1) }

// End says that it is done.
func (w *Work) End() { w.ended.Add(1) }

// Progress implements what Monitor.Watch takes: the end is owed once begun.
func (w *Work) Progress() Progress {
	ended := w.ended.Load() // first, so that it is never ahead
	begun := w.begun.Load()
	return Progress{Mark: begun + ended, Owing: begun != ended}
}

// Stuck is the error about a part that makes no progress.
type Stuck struct {
	Name string        // as given to Watch
	For  time.Duration // how long progress has been owed
}

func (s *Stuck) Error() string {
	return fmt.Sprintf("%s: no progress for %v", s.Name, s.For.Round(time.Second))
}

// AllStuck is the error about all of them, in the order of their names.
type AllStuck []*Stuck

func (a AllStuck) Error() string {
	var parts []string
	for _, s := range a {
		parts = append(parts, s.Error())
	}
	return strings.Join(parts, "; ")
}

// Monitor watches the parts of a receiver. The zero value watches nothing. Its
// methods may be called from any goroutine.
type Monitor struct {
	mu      sync.Mutex
	parts   map[*part]struct{}
	verdict error

	checking sync.Mutex
	last     clock.Time // of the last check, 0 before it
}

// part is something that is watched. What is not constant belongs to Check.
type part struct {
	name     string
	limit    time.Duration
	progress func() Progress

	asked bool
	mark  uint64
	owed  time.Duration
}

// Watch watches a part from now until forget is called: it counts as stuck
// when it has owed progress for the limit. The function is called by Check, with
// no lock held; it must not block.
func (m *Monitor) Watch(name string, limit time.Duration, progress func() Progress) (forget func()) {
	p := &part{name: name, limit: limit, progress: progress}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts == nil {
		m.parts = map[*part]struct{}{}
	}
	m.parts[p] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.parts, p)
	}
}

// Begin watches one call that must return within the limit, which end tells.
func (m *Monitor) Begin(name string, limit time.Duration) (end func()) {
	return m.Watch(name, limit, func() Progress { return Progress{Owing: true} })
}

// most is what one check may add to what a part owes. So only time counts
// during which this program ran: after a pause, of the machine or in a
// debugger, the parts are given the time to catch up.
const most = 5 * time.Second

// Check looks at every part. It returns nil, or an AllStuck with those that are
// stuck. It is to be called every second or so, and by one caller: what lies
// between two checks is what counts.
func (m *Monitor) Check(now clock.Time) error {
	m.checking.Lock()
	defer m.checking.Unlock()
	var passed time.Duration
	if m.last != 0 {
		passed = min(max(now.Sub(m.last), 0), most)
	}
	m.last = now
	var stuck AllStuck
	for _, p := range m.all() {
		if p.check(passed) {
			stuck = append(stuck, &Stuck{p.name, p.owed})
		}
	}
	var verdict error
	if stuck != nil {
		slices.SortFunc(stuck, func(a, b *Stuck) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(b.For, a.For)) })
		verdict = stuck
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verdict = verdict
	return verdict
}

// Err is what the last Check found.
func (m *Monitor) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.verdict
}

func (m *Monitor) all() []*part {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*part, 0, len(m.parts))
	for p := range m.parts {
		all = append(all, p)
	}
	return all
}

// check adds what has passed to what the part owes, and tells whether that is
// too much.
func (p *part) check(passed time.Duration) bool {
	got := p.progress()
	if !p.asked || !got.Owing || got.Mark != p.mark {
		p.asked, p.mark, p.owed = true, got.Mark, 0
		return false
	}
	p.owed += passed
	return p.owed >= p.limit
}
