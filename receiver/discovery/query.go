package discovery

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

// Delays of answers that others may send as well (RFC 6762 section 6), and of
// answers to a query whose known answers come in further packets (7.2).
const (
	sharedDelay   = 20 * time.Millisecond
	sharedSpread  = 100 * time.Millisecond
	partialDelay  = 400 * time.Millisecond
	partialSpread = 100 * time.Millisecond
	maxHeld       = 16
)

// held is a query that waits for the rest of its known answers.
type held struct {
	from netip.AddrPort
	due  clock.Time
	sets []*rrset
}

// query answers what is ours in a query, or holds our own probe against it.
func (s *segment) query(now clock.Time, p packet, m *dns.Msg) {
	probe := len(m.Ns) > 0
	switch {
	case s.phase != announced:
		if probe {
			s.tieBreak(now, m)
		}
		return
	case len(m.Question) == 0:
		s.moreKnown(now, p.from, m)
		return
	}
	legacy := p.from.Port() != mdnsPort
	var single, all []*rrset
	for _, q := range m.Question {
		for _, set := range s.answers(q) {
			switch {
			case known(m, set):
			case legacy, s.unicastWillDo(now, p, q, probe, set):
				single = appendNew(single, set)
			default:
				all = appendNew(all, set)
			}
		}
	}
	if legacy {
		s.reply(now, p.from, single, func(additional []*rrset, room int) [][]byte {
			return legacyResponse(m, single, additional, room)
		})
		return
	}
	s.reply(now, p.from, single, func(additional []*rrset, room int) [][]byte {
		return responses(single, additional, fullTTL, room)
	})
	s.answerAll(now, p.from, m, all, probe)
}

// answerAll schedules multicast answers: at once if they are ours alone, with
// a random delay if others answer too, later if known answers are to follow.
func (s *segment) answerAll(now clock.Time, from netip.AddrPort, m *dns.Msg, sets []*rrset, probe bool) {
	if len(sets) == 0 {
		return
	}
	gap, at := multicastGap, now
	switch {
	case probe:
		gap = defenceGap
	case m.Truncated && len(s.held) < maxHeld:
		due := now.Add(partialDelay + s.random(partialSpread))
		s.held = append(s.held, held{from, due, sets})
		return
	case slices.ContainsFunc(sets, func(set *rrset) bool { return !set.unique }):
		at = now.Add(sharedDelay + s.random(sharedSpread))
	}
	for _, set := range sets {
		s.enqueue(set, at, gap, 0)
	}
}

func (s *segment) random(below time.Duration) time.Duration {
	return time.Duration(s.r.rand.Int64N(int64(below)))
}

func appendNew(sets []*rrset, set *rrset) []*rrset {
	if slices.Contains(sets, set) {
		return sets
	}
	return append(sets, set)
}

// answers returns the sets that answer a question. For a name of ours without
// records of that type it is the NSEC record, which says so.
func (s *segment) answers(q dns.Question) (sets []*rrset) {
	if class := q.Qclass &^ topBit; class != dns.ClassINET && class != dns.ClassANY {
		return nil
	}
	owner := fold(q.Name)
	var denial *rrset
	for _, set := range s.sets {
		switch {
		case set.key.owner != owner:
		case set.key.typ == q.Qtype:
			sets = append(sets, set)
		case set.key.typ == dns.TypeNSEC:
			denial = set
		case q.Qtype == dns.TypeANY:
			sets = append(sets, set)
		}
	}
	if len(sets) == 0 && denial != nil {
		sets = append(sets, denial)
	}
	return sets
}

// known reports whether the querier has all of a set, for at least half of its
// life to come (RFC 6762 section 7.1).
func known(m *dns.Msg, set *rrset) bool {
	for _, own := range set.rrs {
		if !slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
			return rr.Header().Ttl >= own.Header().Ttl/2 && sameRecord(own, rr)
		}) {
			return false
		}
	}
	return true
}

// unicastWillDo reports whether an answer may go to the querier alone: it was
// asked for so, and all others have had the record not long ago (RFC 6762
// sections 5.4 and 5.5). A probe is answered to all: the prober may share its
// port with another program, which a unicast answer would go to as well as
// not.
func (s *segment) unicastWillDo(now clock.Time, p packet, q dns.Question, probe bool, set *rrset) bool {
	if probe || p.multicast && q.Qclass&topBit == 0 || !s.reachable(p.from.Addr()) {
		return false
	}
	last, ok := s.last[set.key]
	quarter := time.Duration(set.rrs[0].Header().Ttl) * time.Second / 4
	return ok && now.Sub(last) < quarter
}

func (s *segment) reachable(addr netip.Addr) bool {
	return !addr.IsUnspecified() && s.link.onLink(addr)
}

// reply sends an answer to one querier, if it is a neighbour: an answer to
// anyone else would help to flood them.
func (s *segment) reply(now clock.Time, to netip.AddrPort, answers []*rrset, pack func([]*rrset, int) [][]byte) {
	if len(answers) == 0 {
		return
	}
	if !s.reachable(to.Addr()) || to.Port() == 0 {
		s.r.counters.OffLink.Inc()
		return
	}
	if !s.unicast.take(now, 1) {
		s.r.counters.Limited.Inc()
		return
	}
	for _, packet := range pack(s.additional(answers), packetRoom(s.link.mtu)) {
		if err := s.r.wire.send(s.id, to, packet); err != nil {
			s.r.counters.SendFailed.Inc()
			return
		}
		s.r.counters.Sent.Inc()
	}
}

// moreKnown takes in the known answers that continue a truncated query.
func (s *segment) moreKnown(now clock.Time, from netip.AddrPort, m *dns.Msg) {
	for i := range s.held {
		h := &s.held[i]
		if h.from != from {
			continue
		}
		h.sets = slices.DeleteFunc(h.sets, func(set *rrset) bool { return known(m, set) })
		if m.Truncated {
			h.due = now.Add(partialDelay + s.random(partialSpread))
		}
	}
}

// release schedules the answers to truncated queries whose time has come.
func (s *segment) release(now clock.Time) {
	s.held = slices.DeleteFunc(s.held, func(h held) bool {
		if now < h.due {
			return false
		}
		for _, set := range h.sets {
			if s.set(set.key) != nil {
				s.enqueue(set, now, multicastGap, 0)
			}
		}
		return true
	})
}
