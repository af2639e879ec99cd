package discovery

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

// phase is how far a segment has come with the names in use.
type phase uint8

const (
	waiting   phase = iota // until wake, then probing
	probing                // asking whether the names are taken
	announced              // the names are ours, questions are answered
)

// Pauses of a segment that nothing can be sent on.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// fullTTL leaves the TTL of every record as it is.
const fullTTL = math.MaxUint32

// segment is the responder's side of one segment.
type segment struct {
	r     *responder
	id    segmentID
	link  link
	sets  []*rrset // all that is answered here
	phase phase
	sent  int        // probes sent in this round
	wake  clock.Time // when the phase goes on

	queue    map[setKey]outgoing
	last     map[setKey]clock.Time // when a set was last multicast
	held     []held
	defences map[string]defence // by folded name
	unicast  allowance

	failing bool // nothing can be sent
	pause   time.Duration
}

// outgoing is a set that waits to be multicast.
type outgoing struct {
	due     clock.Time
	repeats int // how often once more, a second apart
}

func newSegment(r *responder, id segmentID) *segment {
	return &segment{
		r: r, id: id, wake: never, pause: firstPause,
		unicast:  newAllowance(unicastRate, unicastBurst),
		queue:    make(map[setKey]outgoing),
		last:     make(map[setKey]clock.Time),
		defences: make(map[string]defence),
	}
}

// restart begins to probe at the given time. The random delay of up to 250 ms
// before the first probe (RFC 6762 section 8.1) is left out on purpose: it is
// there to part many devices that power up at once, and a television with one
// receiver behind it would pay for it at every start. Simultaneous probes are
// settled by the tie-break all the same.
func (s *segment) restart(at clock.Time) {
	s.phase, s.sent, s.wake = waiting, 0, at
	clear(s.queue)
	clear(s.defences)
	s.held = nil
}

// step does what is due.
func (s *segment) step(now clock.Time) {
	if now >= s.wake {
		s.advance(now)
	}
	if s.phase == announced {
		s.release(now)
		s.flush(now)
	}
}

func (s *segment) next() clock.Time {
	due := s.wake
	if s.phase != announced {
		return due
	}
	for _, o := range s.queue {
		due = min(due, o.due)
	}
	for _, h := range s.held {
		due = min(due, h.due)
	}
	return due
}

// advance sends the next probe, or announces everything after the last.
func (s *segment) advance(now clock.Time) {
	if s.phase == waiting {
		s.phase, s.sent = probing, 0
	}
	if s.sent < probeCount {
		if s.multicast(now, probes(s.probeGroups(), packetRoom(s.link.mtu))) {
			s.sent++
			s.wake = now.Add(probeInterval)
		}
		return
	}
	s.phase, s.wake = announced, never
	for _, set := range s.sets {
		s.enqueue(set, now, multicastGap, 1)
	}
}

// enqueue has a set multicast at the given time, or when gap has passed since
// it last was, whichever is later.
func (s *segment) enqueue(set *rrset, at clock.Time, gap time.Duration, repeats int) {
	if last, ok := s.last[set.key]; ok {
		at = max(at, last.Add(gap))
	}
	if o, ok := s.queue[set.key]; ok {
		at, repeats = min(at, o.due), max(repeats, o.repeats)
	}
	s.queue[set.key] = outgoing{at, repeats}
}

// flush multicasts the sets that are due, in one message if they fit. The
// additional records may be younger than multicastGap: they ride along with
// an answer that is not, and without them a browser that has just started
// would have to ask again.
func (s *segment) flush(now clock.Time) {
	var due []*rrset
	for _, set := range s.sets {
		o, ok := s.queue[set.key]
		if !ok || now < o.due {
			continue
		}
		due = append(due, set)
		if o.repeats > 0 {
			s.queue[set.key] = outgoing{now.Add(repeatDelay), o.repeats - 1}
		} else {
			delete(s.queue, set.key)
		}
	}
	if len(due) == 0 {
		return
	}
	additional := s.additional(due)
	if s.multicast(now, responses(due, additional, fullTTL, packetRoom(s.link.mtu))) {
		for _, set := range append(due, additional...) {
			s.last[set.key] = now
		}
	}
}

// additional returns what a querier will ask for next (RFC 6763 section 12):
// SRV and TXT after a PTR, addresses after an SRV; and for a host without one
// kind of address the record that says so.
func (s *segment) additional(answers []*rrset) (sets []*rrset) {
	add := func(name string, types ...uint16) {
		owner := fold(name)
		for _, set := range s.sets {
			if set.key.owner == owner && slices.Contains(types, set.key.typ) &&
				!slices.Contains(answers, set) && !slices.Contains(sets, set) {
				sets = append(sets, set)
			}
		}
	}
	for _, set := range answers {
		if ptr, ok := set.rrs[0].(*dns.PTR); ok {
			add(ptr.Ptr, dns.TypeSRV, dns.TypeTXT)
		}
	}
	for _, set := range append(answers[:len(answers):len(answers)], sets...) {
		if srv, ok := set.rrs[0].(*dns.SRV); ok {
			add(srv.Target, dns.TypeA, dns.TypeAAAA)
			if len(s.link.of(false)) == 0 || len(s.link.of(true)) == 0 {
				add(srv.Target, dns.TypeNSEC)
			}
		}
	}
	return sets
}

// rebuild makes the records anew after something in them may have changed,
// announces those that did if the names are ours, and takes back those that
// are gone.
func (s *segment) rebuild(now clock.Time) {
	old := s.sets
	s.sets = s.r.records(s.link)
	var gone []*rrset
	for _, was := range old {
		is := s.set(was.key)
		if is == nil {
			gone = append(gone, was)
			delete(s.queue, was.key)
			delete(s.last, was.key)
		}
		if is == nil || !sameRecords(is, was) {
			s.r.remember(was)
		}
	}
	if s.phase != announced {
		return
	}
	for _, set := range s.sets {
		i := slices.IndexFunc(old, func(o *rrset) bool { return o.key == set.key })
		if i < 0 || !sameRecords(old[i], set) {
			s.enqueue(set, now, multicastGap, 1)
		}
	}
	s.goodbye(now, gone)
}

func sameRecords(a, b *rrset) bool {
	return slices.EqualFunc(a.rrs, b.rrs, func(x, y dns.RR) bool { return bytes.Equal(rdata(x), rdata(y)) })
}

func (s *segment) set(key setKey) *rrset {
	for _, set := range s.sets {
		if set.key == key {
			return set
		}
	}
	return nil
}

// goodbye multicasts sets with a TTL of zero. The service types stay: every
// other receiver on the network announces the very same records.
func (s *segment) goodbye(now clock.Time, sets []*rrset) {
	var own []*rrset
	for _, set := range sets {
		if !set.meta {
			own = append(own, set)
		}
	}
	s.multicast(now, responses(own, nil, 0, packetRoom(s.link.mtu)))
}

// multicast sends packets to the group. If that fails the segment is given up
// for a pause, each longer than the last, and then probed again: with no link
// nothing is known about the neighbours.
func (s *segment) multicast(now clock.Time, packets [][]byte) bool {
	for _, p := range packets {
		s.r.echoes.add(p)
		if err := s.r.wire.send(s.id, netip.AddrPort{}, p); err != nil {
			s.r.counters.SendFailed.Inc()
			if !s.failing {
				s.r.warn(now, s.link.name, "discovery: cannot send", "link", s.link.name, "err", err)
			}
			s.restart(now.Add(s.pause))
			s.failing, s.pause = true, min(2*s.pause, lastPause)
			return false
		}
		s.r.counters.Sent.Inc()
	}
	if s.failing {
		s.failing, s.pause = false, firstPause
	}
	return true
}
