package discovery

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"aerie/receiver/clock"
)

// Intervals of RFC 6762, by section.
const (
	probeCount    = 3
	probeInterval = 250 * time.Millisecond // 8.1, between probes and after the last
	loserDelay    = time.Second            // 8.2, before the loser of a tie-break probes again
	repeatDelay   = time.Second            // 8.3, between the two announcements
	multicastGap  = time.Second            // 6, between two multicasts of a record
	defenceGap    = probeInterval          // 6, likewise in answer to a probe

	// 8.1: after that many conflicts, each within the window after the last, a
	// pause before every further attempt.
	conflictCount  = 15
	conflictWindow = 10 * time.Second
	conflictPause  = 5 * time.Second
)

// A change to links is acted upon when no other has followed for a while:
// a cable or an access point brings a dozen within a moment.
const (
	changeQuiet = 200 * time.Millisecond
	changeLimit = time.Second // after the first one, however many follow
)

const never clock.Time = math.MaxInt64

// wire is what the responder needs of the network.
type wire interface {
	// links returns the links to work on, each ready to send and to receive.
	links() ([]link, error)
	// send puts a packet on a segment, to one neighbour or, if to is the zero
	// value, to all.
	send(id segmentID, to netip.AddrPort, packet []byte) error
}

// packet is one datagram as it came in.
type packet struct {
	data      []byte
	index     int // of the link
	from      netip.AddrPort
	multicast bool // sent to the mDNS group, not to us alone
}

// responder is an announcer without sockets, goroutines or a clock: a state
// machine that is told what comes in and what time it is, and says when it
// wants to be called next.
type responder struct {
	*identity
	wire     wire
	rand     *rand.Rand
	log      *slog.Logger
	notify   func(Status)
	counters *Counters

	segments []*segment
	echoes   *echoes
	past     []pastRecord // the latest last
	losses   int          // names lost lately
	lastLoss clock.Time
	status   Status

	firstChange, changeDue clock.Time   // never if nothing has changed
	lost                   map[int]bool // links that were down since the last scan
	warned                 map[string]clock.Time
}

func newResponder(id *identity, w wire, rnd *rand.Rand, log *slog.Logger, counters *Counters, notify func(Status)) *responder {
	r := &responder{
		identity: id, wire: w, rand: rnd, log: log, notify: notify, counters: counters,
		echoes: newEchoes(), changeDue: never,
		lost: make(map[int]bool), warned: make(map[string]clock.Time),
	}
	r.status = r.currentStatus()
	return r
}

// start begins to probe on all links there are.
func (r *responder) start(now clock.Time) error {
	links, err := r.wire.links()
	if err != nil {
		return err
	}
	r.setLinks(now, links)
	r.step(now)
	return nil
}

// step does everything that is due.
func (r *responder) step(now clock.Time) {
	if now >= r.changeDue {
		r.rescan(now)
	}
	for _, s := range r.segments {
		s.step(now)
	}
	if status := r.currentStatus(); !status.equal(r.status) {
		r.status = status
		r.notify(status)
	}
}

// next returns when step has to be called again; never if only a packet or a
// change can bring something to do.
func (r *responder) next() clock.Time {
	due := r.changeDue
	for _, s := range r.segments {
		due = min(due, s.next())
	}
	return due
}

// handle takes in one packet, which may hold anything.
func (r *responder) handle(now clock.Time, p packet) {
	r.counters.Received.Inc()
	s := r.segment(segmentID{p.index, p.from.Addr().Is6()})
	if s == nil {
		return
	}
	if !p.multicast && !s.link.onLink(p.from.Addr()) {
		r.counters.OffLink.Inc() // a packet to the group cannot have been routed
		return
	}
	if r.echoes.has(p.data) {
		return
	}
	m, err := parse(p.data)
	if err != nil {
		r.counters.Malformed.Inc()
		return
	}
	switch {
	case !m.Response:
		s.query(now, p, m)
	case p.from.Port() == mdnsPort: // RFC 6762 section 6: from no other port
		s.response(now, m)
	}
}

func (r *responder) segment(id segmentID) *segment {
	for _, s := range r.segments {
		if s.id == id {
			return s
		}
	}
	return nil
}

// changed notes a change to links or addresses.
func (r *responder) changed(now clock.Time, c change) {
	for _, index := range c.lost {
		r.lost[index] = true
	}
	if r.changeDue == never {
		r.firstChange = now
	}
	r.changeDue = min(now.Add(changeQuiet), r.firstChange.Add(changeLimit))
}

func (r *responder) rescan(now clock.Time) {
	r.changeDue = never
	links, err := r.wire.links()
	if err != nil {
		r.warn(now, "links", "discovery: cannot list links", "err", err)
		return
	}
	r.setLinks(now, links)
}

// setLinks compares the links with those known so far. A link that came up,
// was down in between or has other IPv4 addresses may lead to other
// neighbours: the names are probed for again there (RFC 6762 section 8). Where
// only an IPv6 address came or went the changed records are announced.
func (r *responder) setLinks(now clock.Time, links []link) {
	var segments []*segment
	for _, l := range links {
		for _, id := range segmentsOf(l) {
			s := r.segment(id)
			fresh := s == nil
			if fresh {
				s = newSegment(r, id)
			}
			moved := !slices.Equal(s.link.of(false), l.of(false))
			s.link = l
			s.rebuild(now)
			if fresh || moved || r.lost[l.index] {
				s.restart(now)
			}
			segments = append(segments, s)
		}
	}
	r.segments = segments
	clear(r.lost)
}

// setTXT replaces the TXT record of a service and announces it.
func (r *responder) setTXT(now clock.Time, typ string, txt []string) error {
	if err := checkTXT(typ, txt); err != nil {
		return err
	}
	i := slices.IndexFunc(r.services, func(s Service) bool { return fold(s.Type) == fold(typ) })
	if i < 0 {
		return fmt.Errorf("discovery: %s is not announced", typ)
	}
	r.services[i].TXT = slices.Clone(txt)
	for _, s := range r.segments {
		s.rebuild(now)
	}
	return nil
}

// farewell takes everything back (RFC 6762 section 10.1).
func (r *responder) farewell(now clock.Time) {
	for _, s := range r.segments {
		if s.phase == announced {
			s.goodbye(now, s.sets)
		}
	}
	r.segments = nil
}

// warn writes at most one line a minute about one subject.
func (r *responder) warn(now clock.Time, subject, msg string, args ...any) {
	if last, ok := r.warned[subject]; ok && now.Sub(last) < time.Minute {
		return
	}
	r.warned[subject] = now
	r.log.Warn(msg, args...)
}

func (r *responder) currentStatus() Status {
	st := Status{Name: r.name(), Host: r.hostName()}
	settled := true
	for _, s := range r.segments {
		switch {
		case s.phase == announced:
			if !slices.Contains(st.Links, s.link.name) {
				st.Links = append(st.Links, s.link.name)
			}
		case !s.failing:
			settled = false
		}
	}
	st.Announced = settled && len(st.Links) > 0
	return st
}
