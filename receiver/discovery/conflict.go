package discovery

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

// How long a name is fought for. The first record of another machine under
// our name is answered with our own. If the other insists the name is given
// up, by the machine whose records are the earlier ones at once and by the
// other one conflict later, so that of two equals one keeps it.
const (
	quarrel       = 500 * time.Millisecond // conflicts so soon after a defence belong to it
	truce         = time.Minute            // a conflict so long after is a new one
	loserChances  = 1                      // defences with the earlier records
	winnerChances = 2                      // defences with the later records
	maxPast       = 32
)

// defence is how a name was fought for.
type defence struct {
	count int
	at    clock.Time
}

// response looks through what others say for our own names and records.
func (s *segment) response(now clock.Time, m *dns.Msg) {
	owners := s.r.owners()
	claims := make(map[string][]dns.RR)
	for _, section := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range section {
			owner := fold(rr.Header().Name)
			if set := s.same(owner, rr); set != nil {
				s.heard(now, set, rr.Header().Ttl)
			} else if slices.Contains(owners, owner) && s.claims(now, owner, rr) {
				claims[owner] = append(claims[owner], rr)
			}
		}
	}
	for _, owner := range owners {
		if len(claims[owner]) > 0 && s.contest(now, owner, claims[owner]) {
			return
		}
	}
}

// same returns the set that a record off the network is one of, if any.
func (s *segment) same(owner string, rr dns.RR) *rrset {
	for _, set := range s.sets {
		if set.key.owner == owner && set.contains(rr) {
			return set
		}
	}
	return nil
}

// heard reacts to one of our own records from another: it saves us the same
// answer, or, if it is about to expire there or was taken back, calls for a
// correction (RFC 6762 sections 6.6 and 7.4).
func (s *segment) heard(now clock.Time, set *rrset, ttl uint32) {
	own := set.rrs[0].Header().Ttl
	switch {
	case s.phase != announced:
	case ttl < own/2:
		s.enqueue(set, now.Add(sharedDelay+s.random(sharedSpread)), multicastGap, 0)
	case !set.unique && ttl >= own && s.queue[set.key].repeats == 0:
		delete(s.queue, set.key)
	}
}

// claims reports whether a record with a name of ours, but not our data, is
// another's claim to the name. It is not one if it is taken back, if it is our
// own from another link, or one of ours from a while ago that a repeater or a
// proxy still holds; that is put right instead.
func (s *segment) claims(now clock.Time, owner string, rr dns.RR) bool {
	h := rr.Header()
	if h.Ttl == 0 || h.Rrtype == dns.TypeNSEC || h.Class&^topBit != dns.ClassINET {
		return false
	}
	if addr, ok := addressOf(rr); ok && s.r.ownAddress(addr) {
		return false
	}
	set := s.set(setKey{owner: owner, typ: h.Rrtype})
	if slices.Contains(s.r.past, pastOf(owner, rr)) {
		if set != nil && s.phase == announced {
			s.enqueue(set, now, multicastGap, 0)
		}
		return false
	}
	if s.phase != announced {
		return true // whatever the type: the name is in use
	}
	return set != nil || h.Rrtype == dns.TypeA || h.Rrtype == dns.TypeAAAA
}

// contest settles another's claim to a name of ours. It reports whether the
// name was given up.
func (s *segment) contest(now clock.Time, owner string, theirs []dns.RR) bool {
	s.r.counters.Conflicts.Inc()
	if s.phase != announced {
		s.r.yield(now, owner)
		return true
	}
	d := s.defences[owner]
	if now.Sub(d.at) > truce {
		d = defence{}
	}
	if d.count > 0 && now.Sub(d.at) < quarrel {
		return false
	}
	allowed := loserChances
	if compareRecords(s.ownedLike(owner, theirs), theirs) > 0 {
		allowed = winnerChances
	}
	if d.count >= allowed {
		s.r.yield(now, owner)
		return true
	}
	s.defences[owner] = defence{d.count + 1, now}
	for _, set := range s.sets {
		if set.key.owner == owner {
			s.enqueue(set, now, defenceGap, 1)
		}
	}
	return false
}

// ownedLike returns our records of a name of those types that theirs have, so
// that both sides compare the same even if a packet holds only some.
func (s *segment) ownedLike(owner string, theirs []dns.RR) []dns.RR {
	return slices.DeleteFunc(s.owned(owner), func(own dns.RR) bool {
		return !slices.ContainsFunc(theirs, func(rr dns.RR) bool {
			return rr.Header().Rrtype == own.Header().Rrtype
		})
	})
}

// yield gives a name up and starts to probe for the next one, everywhere.
func (r *responder) yield(now clock.Time, owner string) {
	r.counters.Renames.Inc()
	for _, s := range r.segments {
		if s.phase == announced {
			s.goodbye(now, s.leaving(owner))
		}
	}
	r.rename(owner)
	r.warn(now, "rename", "discovery: a name is taken", "taken", unescape(owner), "next", r.name(), "host", r.hostName())
	at := r.retryTime(now)
	for _, s := range r.segments {
		s.phase = waiting
		s.rebuild(now)
		if !s.failing {
			s.restart(at)
		}
	}
}

// leaving returns the records that go together with a name that is given up:
// those of our other instances. The records of the name itself belong to its
// new owner, whom a goodbye would hurt.
func (s *segment) leaving(owner string) (sets []*rrset) {
	if owner == fold(s.r.hostName()) {
		return nil // the instances stay, and soon point to the new host name
	}
	for i := range s.r.services {
		instance := fold(s.r.instanceName(i))
		if instance == owner {
			continue
		}
		for _, set := range s.sets {
			if set.key.owner == instance || set.key.rdata == instance {
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// retryTime notes a lost name and returns when to probe for the next.
func (r *responder) retryTime(now clock.Time) clock.Time {
	if now.Sub(r.lastLoss) > conflictWindow {
		r.losses = 0
	}
	r.losses++
	r.lastLoss = now
	if r.losses < conflictCount {
		return now
	}
	return now.Add(conflictPause)
}

// pastRecord is a record of ours that was replaced.
type pastRecord struct {
	owner string // folded
	typ   uint16
	data  string
}

func pastOf(owner string, rr dns.RR) pastRecord {
	return pastRecord{owner, rr.Header().Rrtype, string(rdata(rr))}
}

// remember keeps the replaced records of a name that is still ours.
func (r *responder) remember(set *rrset) {
	if !slices.Contains(r.owners(), set.key.owner) {
		return
	}
	for _, rr := range set.rrs {
		if p := pastOf(set.key.owner, rr); !slices.Contains(r.past, p) {
			r.past = append(r.past, p)
		}
	}
	r.past = r.past[max(0, len(r.past)-maxPast):]
}

// ownAddress reports whether addr is one of ours on any link.
func (r *responder) ownAddress(addr netip.Addr) bool {
	return slices.ContainsFunc(r.segments, func(s *segment) bool {
		return slices.ContainsFunc(s.link.prefixes, func(p netip.Prefix) bool { return p.Addr() == addr })
	})
}
