// Package ptp follows the clock of a group of AirPlay 2 devices: IEEE 1588-2008
// over UDP, as its senders speak it (reference section 15.4).
//
// A Follower listens to the clocks of its peers, chooses the best of them as
// all others in the group do, and asks that one how long messages take. It is
// never a clock for others. What it learns is given out as the local instant
// of an instant on the time line of a clock; where another clock takes over,
// instants of the old time line go on to be valid on the new one.
//
// The error of a time line is bounded by half the round trip of the fastest
// messages, as package clock has it; a clock that does not answer requests is
// known by its Syncs alone, late by what the fastest of them takes.
//
// The messages are few and small, so they are parsed here: the one kept library
// for them, of facebook/time, refuses a message for anything unknown that
// stands behind it, which Apple's have, and allocates for each.
//
// Proof: message_test.go (the forms on the wire, fuzzing), follower_test.go
// (simulated networks with drift, jitter and loss under a bound of the error,
// mastership changes, liars), ports_test.go (over sockets).
package ptp

import (
	"net/netip"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/metric"
)

// Limits of what peers may make a Follower keep.
const (
	maxMasters = 16
	MaxPeers   = 64 // addresses
)

// Follower follows the best clock of its peers. It is safe for concurrent use.
type Follower struct {
	Messages  metric.Counter // of peers
	Strangers metric.Counter // from other addresses
	Malformed metric.Counter
	Changes   metric.Counter // of the clock that is followed

	self Port

	mu       sync.Mutex
	peers    map[netip.Addr]int // how many sessions have the address
	masters  []*master
	current  *master
	sequence uint16
}

// NewFollower makes a Follower, which calls itself by the given identity in
// its requests.
func NewFollower(identity uint64) *Follower {
	return &Follower{self: Port{identity, 1}, peers: map[netip.Addr]int{}}
}

// Identity is what the follower calls itself.
func (f *Follower) Identity() uint64 { return f.self.Clock }

// Peers adds the addresses of a session, of which the first MaxPeers count, and
// returns what takes them away again.
func (f *Follower) Peers(addrs []netip.Addr) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var added []netip.Addr
	for _, a := range addrs[:min(len(addrs), MaxPeers)] {
		a = plain(a)
		f.peers[a]++
		added = append(added, a)
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, a := range added {
				if f.peers[a]--; f.peers[a] == 0 {
					delete(f.peers, a)
				}
			}
		})
	}
}

// plain is an address as it is compared: without a zone, IPv4 as such.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Handle takes a datagram that arrived at a local instant. Where a request is
// due it returns one, appended to out, which is to be sent to the event port
// of the peer at once, and reported to Sent.
func (f *Follower) Handle(b []byte, from netip.AddrPort, at clock.Time, out []byte) (request []byte, to netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peers[plain(from.Addr())] == 0 {
		f.Strangers.Inc()
		return nil, to
	}
	m, ok := Parse(b)
	if !ok {
		f.Malformed.Inc()
		return nil, to
	}
	f.Messages.Inc()
	switch m.Kind {
	case Announce:
		f.announced(&m, from, at)
	case Sync:
		f.synced(&m, from, at)
	case FollowUp:
		f.followed(&m)
	case DelayResp:
		f.answered(&m)
	}
	f.choose(at)
	if c := f.current; m.Kind == Sync && c != nil && c.source == m.Source && c.due(at) {
		return f.ask(c, at, out), c.peer
	}
	return nil, to
}

// ask makes a Delay_Req.
func (f *Follower) ask(c *master, at clock.Time, out []byte) []byte {
	if c.request.waiting {
		c.request.missed++
	}
	f.sequence++
	c.request.waiting, c.request.sequence, c.request.at = true, f.sequence, at
	m := Message{Kind: DelayReq, Source: f.self, Sequence: f.sequence, Interval: 0x7f}
	return m.AppendTo(out)
}

// Sent tells when the last request to a peer left: the closer to the kernel
// that is found out, the better.
func (f *Follower) Sent(to netip.AddrPort, at clock.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.current; c != nil && c.peer == to && c.request.waiting {
		c.request.at = at
	}
}

// find returns what is known of a clock, from now on something.
func (f *Follower) find(source Port, now clock.Time) *master {
	var oldest int
	for i, m := range f.masters {
		if m.source == source {
			return m
		}
		if f.masters[oldest] == f.current || m != f.current && m.lastHeard() < f.masters[oldest].lastHeard() {
			oldest = i
		}
	}
	m := &master{source: source, announce: now}
	if len(f.masters) < maxMasters {
		f.masters = append(f.masters, m)
	} else {
		f.masters[oldest] = m
	}
	return m
}

func (m *master) lastHeard() clock.Time { return max(m.seen, m.announce) }

func (f *Follower) announced(m *Message, from netip.AddrPort, at clock.Time) {
	c := f.find(m.Source, at)
	if c.general != from || c.alive(at) {
		c.general, c.wake.since = from, at
	}
	if c.known && c.quality.Clock != m.Quality.Clock {
		// What it tells is another time line from now on.
		*c = master{source: c.source, peer: c.peer, general: c.general}
		c.wake.since = at
	}
	c.quality, c.known, c.announce = m.Quality, true, at
}

func (f *Follower) synced(m *Message, from netip.AddrPort, at clock.Time) {
	c := f.find(m.Source, at)
	c.peer = from
	if !m.TwoStep {
		c.synced(m.Stamp.Add(m.Correction), at)
		return
	}
	if c.early.waiting && c.early.sequence == m.Sequence {
		c.early.waiting = false
		c.synced(c.early.stamp.Add(m.Correction), at)
		return
	}
	c.sync.waiting, c.sync.sequence, c.sync.at, c.sync.correction = true, m.Sequence, at, m.Correction
}

func (f *Follower) followed(m *Message) {
	for _, c := range f.masters {
		switch {
		case c.source != m.Source:
		case c.sync.waiting && c.sync.sequence == m.Sequence:
			c.sync.waiting = false
			c.synced(m.Stamp.Add(c.sync.correction+m.Correction), c.sync.at)
		default:
			c.early.waiting, c.early.sequence, c.early.stamp = true, m.Sequence, m.Stamp.Add(m.Correction)
		}
	}
}

func (f *Follower) answered(m *Message) {
	for _, c := range f.masters {
		if c.source == m.Source && m.Requesting == f.self && c.request.waiting && c.request.sequence == m.Sequence {
			c.answered(m.Stamp.Add(-m.Correction))
			if m.Interval >= -7 && m.Interval <= 7 {
				c.request.interval = time.Duration(float64(time.Second) * pow2(int(m.Interval)))
			}
		}
	}
}

func pow2(n int) float64 {
	if n < 0 {
		return 1 / float64(int(1)<<-n)
	}
	return float64(int(1) << n)
}

// choose follows the best of the clocks that are alive (IEEE 1588-2008 section
// 9.3): at once where the one before is silent, else when the better one is
// ready.
func (f *Follower) choose(now clock.Time) {
	best := f.current
	if best != nil && !best.alive(now) {
		best = nil
	}
	for _, m := range f.masters {
		if m != best && m.ready(now) && (best == nil || m.better(best)) {
			best = m
		}
	}
	if best == nil || best == f.current {
		return
	}
	if old := f.current; old != nil {
		f.Changes.Inc()
		f.succeed(old, best, now)
	}
	f.current = best
}

// better compares clocks; one that was not announced is worse than any that
// was.
func (m *master) better(o *master) bool {
	if m.known != o.known {
		return m.known
	}
	return m.quality.Better(o.quality)
}

// succeed notes how instants of the old time line are to be read on the new
// one. Time lines that the old one had succeeded go on to the new one as well.
func (f *Follower) succeed(old, best *master, now clock.Time) {
	before, after := old.time.Estimate(), best.time.Estimate()
	if before.Source == clock.None || after.Source == clock.None || old.grandmaster() == best.grandmaster() {
		return
	}
	old.successor = best.grandmaster()
	old.shift = after.ToRemote(now).Sub(before.ToRemote(now))
	if best.successor != 0 {
		best.successor, best.shift = 0, 0 // it is back
	}
}

// Local returns the local instant at which a clock, named by its grandmaster,
// shows an instant; 0 stands for the clock that is followed. It returns false
// where nothing is known of that clock.
func (f *Follower) Local(timeline uint64, at clock.Remote) (clock.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range maxMasters {
		m := f.timeline(timeline)
		if m == nil {
			return 0, false
		}
		if m.successor != 0 && m != f.current {
			timeline, at = m.successor, at.Add(m.shift)
			continue
		}
		e := m.time.Estimate()
		return e.ToLocal(at), e.Source != clock.None
	}
	return 0, false
}

// timeline returns the clock of a time line, the one that is followed if it is
// that.
func (f *Follower) timeline(id uint64) *master {
	if c := f.current; c != nil && (id == 0 || c.grandmaster() == id) {
		return c
	}
	for _, m := range f.masters {
		if m.grandmaster() == id && m.syncs >= trustAfter {
			return m
		}
	}
	return nil
}

// Estimate returns what is known of the clock that is followed, and its
// grandmaster; its Source is clock.None while there is none.
func (f *Follower) Estimate() (e clock.Estimate, timeline uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == nil {
		return clock.Estimate{}, 0
	}
	return f.current.time.Estimate(), f.current.grandmaster()
}
