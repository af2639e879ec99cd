package discovery

import (
	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

// owned returns our unique records of a folded name on this segment, without
// the NSEC record, which claims nothing.
func (s *segment) owned(owner string) (rrs []dns.RR) {
	for _, set := range s.sets {
		if set.unique && set.key.owner == owner && set.key.typ != dns.TypeNSEC {
			rrs = append(rrs, set.rrs...)
		}
	}
	return rrs
}

// owners lists the names that are ours alone, folded, the host first.
func (r *responder) owners() []string {
	names := []string{fold(r.hostName())}
	for i := range r.services {
		names = append(names, fold(r.instanceName(i)))
	}
	return names
}

// probeGroups returns what is probed for: every name that is to be ours alone.
func (s *segment) probeGroups() (groups []probeGroup) {
	for _, owner := range s.r.owners() {
		if rrs := s.owned(owner); len(rrs) > 0 {
			groups = append(groups, probeGroup{rrs[0].Header().Name, rrs})
		}
	}
	return groups
}

// tieBreak compares the records of another's probe with those of our own for
// the same name. The lexicographically later ones win; the loser starts anew
// a second later, by when the winner will answer (RFC 6762 section 8.2).
// Losing on one segment means waiting on all, or a name would be announced on
// one of them and be given up at once.
func (s *segment) tieBreak(now clock.Time, m *dns.Msg) {
	if s.phase != probing {
		return
	}
	theirs := make(map[string][]dns.RR)
	for _, rr := range m.Ns {
		owner := fold(rr.Header().Name)
		theirs[owner] = append(theirs[owner], rr)
	}
	for _, owner := range s.r.owners() {
		if len(theirs[owner]) == 0 || compareRecords(s.owned(owner), theirs[owner]) >= 0 {
			continue
		}
		for _, other := range s.r.segments {
			if other.phase == probing {
				other.restart(now.Add(loserDelay))
			}
		}
		return
	}
}
