package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// Config says what to announce.
type Config struct {
	Name      string    // display name; what does not fit into an instance is cut off
	Host      string    // host label, such as HostLabel returns
	Services  []Service // at least one, none of the same type
	Interface string    // announce on this link only; empty means on all that fit

	// Notify, if not nil, is told of every change of status. It is called from
	// the announcer's goroutine: it must not block, nor call SetTXT or Close.
	// The name is final when it is announced, until another machine insists on
	// it or a link brings one that has it.
	Notify func(Status)

	Log   *slog.Logger      // nil for none
	Clock func() clock.Time // nil for clock.Now
}

// Status is how an announcer is known on the network.
type Status struct {
	Name      string   // display name in use: Config.Name, or "Name (2)" and so on
	Host      string   // host name in use, "aerie-a1b2c3.local."
	Links     []string // where both are announced
	Announced bool     // probing is over and they are announced on at least one link
}

func (s Status) equal(o Status) bool {
	return s.Name == o.Name && s.Host == o.Host && s.Announced == o.Announced && slices.Equal(s.Links, o.Links)
}

// Announcer keeps services announced until it is closed. Its methods may be
// called from any goroutine.
type Announcer struct {
	clock    func() clock.Time
	sockets  *sockets
	watch    *watch // nil if the kernel would not tell of changes
	counters Counters
	commands chan func(*responder, clock.Time)
	quit     chan struct{}
	once     sync.Once
	done     chan struct{}

	mu     sync.Mutex
	status Status
}

// Announce opens the mDNS port, sends the first probe and returns; the rest
// goes on in the background. The error wraps ErrPort if the port cannot be
// opened. Links may come later: there need be none now.
func Announce(cfg Config) (*Announcer, error) {
	id, err := newIdentity(cfg.Name, cfg.Host, cfg.Services)
	if err != nil {
		return nil, err
	}
	a := &Announcer{
		clock:    cfg.Clock,
		commands: make(chan func(*responder, clock.Time)),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	if a.clock == nil {
		a.clock = clock.Now
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if a.sockets, err = openSockets(cfg.Interface, log, &a.counters); err != nil {
		return nil, err
	}
	if a.watch, err = newWatch(); err != nil { // before the first list, to miss nothing
		log.Warn("discovery: changes to links will not be noticed", "err", err)
	}
	notify := func(s Status) {
		a.setStatus(s)
		if cfg.Notify != nil {
			cfg.Notify(s)
		}
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	r := newResponder(id, a.sockets, random, log, &a.counters, notify)
	a.status = r.status
	if err := r.start(a.clock()); err != nil {
		a.release()
		return nil, err
	}
	if len(r.segments) == 0 {
		log.Warn("discovery: there is no link to announce on yet", "interface", cfg.Interface)
	}
	go a.run(r)
	return a, nil
}

func (a *Announcer) release() {
	if a.watch != nil {
		a.watch.close()
	}
	a.sockets.close()
}

// run is the announcer's goroutine, the only one that touches the responder.
func (a *Announcer) run(r *responder) {
	defer close(a.done)
	defer a.release()
	var changes chan change
	if a.watch != nil {
		changes = a.watch.changes
	}
	in := newIntake(a.sockets.packets)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := a.clock()
		r.step(now)
		packets, reopen := in.open(now)
		if packets == nil {
			a.counters.Limited.Inc()
		}
		timer.Reset(min(r.next(), reopen, now.Add(time.Hour)).Sub(now))
		select {
		case p := <-packets:
			in.charge(p)
			r.handle(a.clock(), p)
		case c := <-changes:
			r.changed(a.clock(), c)
		case command := <-a.commands:
			command(r, a.clock())
		case <-timer.C:
		case <-a.quit:
			r.farewell(a.clock())
			return
		}
	}
}

// Status returns how the announcer is known now.
func (a *Announcer) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

func (a *Announcer) setStatus(s Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = s
}

// Counters returns the announcer's counters.
func (a *Announcer) Counters() *Counters { return &a.counters }

// SetTXT replaces the TXT record of the service of a type and announces it. It
// fails if there is no such service, if the record is too long (255 bytes an
// entry, 1300 in all) and, with net.ErrClosed, after Close.
func (a *Announcer) SetTXT(typ string, txt []string) error {
	result := make(chan error, 1)
	select {
	case a.commands <- func(r *responder, now clock.Time) { result <- r.setTXT(now, typ, txt) }:
		return <-result
	case <-a.done:
		return fmt.Errorf("discovery: set TXT of %s: %w", typ, net.ErrClosed)
	}
}

// Answers tells whether the announcer does its work: it waits, until ctx ends,
// for its goroutine to come round. After Close there is nothing to wait for.
func (a *Announcer) Answers(ctx context.Context) bool {
	came := make(chan struct{})
	select {
	case a.commands <- func(*responder, clock.Time) { close(came) }:
	case <-a.done:
		return true
	case <-ctx.Done():
		return false
	}
	<-came
	return true
}

// Close takes the announcement back and closes the port. It is safe to call
// more than once.
func (a *Announcer) Close() {
	a.once.Do(func() { close(a.quit) })
	<-a.done
}
