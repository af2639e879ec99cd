package discovery

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Times to live, in seconds (RFC 6762 section 10): short for records that
// name a host or its addresses, long for the others.
const (
	hostTTL   = 120
	otherTTL  = 4500
	legacyTTL = 10 // at most, in answers to queriers that know no mDNS (section 6.7)
)

// The top bit of a class says "flush what you had" in an answer and "unicast
// will do" in a question (RFC 6762 sections 5.4 and 10.2).
const topBit = 1 << 15

// setKey names an rrset.
type setKey struct {
	owner string // folded
	typ   uint16
	rdata string // of a shared record, of which others have their own
}

// rrset is what is answered, scheduled and rate limited as one: all our
// records of one name and type on one segment, or one shared record.
type rrset struct {
	key    setKey
	unique bool // only we have records of this name: they are probed for
	meta   bool // a service type: every other receiver announces the same record
	rrs    []dns.RR
}

func newSet(unique bool, rrs ...dns.RR) *rrset {
	h := rrs[0].Header()
	s := &rrset{key: setKey{owner: fold(h.Name), typ: h.Rrtype}, unique: unique, rrs: rrs}
	if ptr, ok := rrs[0].(*dns.PTR); ok && !unique {
		s.key.rdata = fold(ptr.Ptr)
	}
	return s
}

func header(name string, typ uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl}
}

// records returns everything id answers for on a link.
func (id *identity) records(l link) []*rrset {
	host := id.hostName()
	sets := hostRecords(host, l)
	for i, s := range id.services {
		typ, instance := s.Type+localDomain, id.instanceName(i)
		meta := newSet(false, &dns.PTR{Hdr: header(serviceEnumeration, dns.TypePTR, otherTTL), Ptr: typ})
		meta.meta = true
		sets = append(sets,
			meta,
			newSet(false, &dns.PTR{Hdr: header(typ, dns.TypePTR, otherTTL), Ptr: instance}),
			newSet(true, &dns.SRV{Hdr: header(instance, dns.TypeSRV, hostTTL), Port: s.Port, Target: host}),
			newSet(true, &dns.TXT{Hdr: header(instance, dns.TypeTXT, otherTTL), Txt: txtStrings(s.TXT)}),
			denial(instance, otherTTL, dns.TypeTXT, dns.TypeSRV))
	}
	return sets
}

func hostRecords(host string, l link) (sets []*rrset) {
	var v4, v6 []dns.RR
	var types []uint16
	for _, p := range l.prefixes {
		if addr := p.Addr(); addr.Is4() {
			v4 = append(v4, &dns.A{Hdr: header(host, dns.TypeA, hostTTL), A: addr.AsSlice()})
		} else {
			v6 = append(v6, &dns.AAAA{Hdr: header(host, dns.TypeAAAA, hostTTL), AAAA: addr.AsSlice()})
		}
	}
	for _, rrs := range [][]dns.RR{v4, v6} {
		if len(rrs) > 0 {
			sets = append(sets, newSet(true, rrs...))
			types = append(types, rrs[0].Header().Rrtype)
		}
	}
	return append(sets, denial(host, hostTTL, types...))
}

// denial returns the NSEC record that says which types exist at a name of
// ours, and by that which do not (RFC 6762 section 6.1).
func denial(name string, ttl uint32, types ...uint16) *rrset {
	return newSet(true, &dns.NSEC{Hdr: header(name, dns.TypeNSEC, ttl), NextDomain: name, TypeBitMap: types})
}

// txtStrings escapes TXT entries for the DNS library. No entries at all are
// sent as one empty string (RFC 6763 section 6.1).
func txtStrings(entries []string) []string {
	if len(entries) == 0 {
		return []string{""}
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = strings.ReplaceAll(e, `\`, `\\`)
	}
	return out
}

// contains reports whether rr, a record off the network, is one of the set's,
// whatever its TTL and cache-flush bit.
func (s *rrset) contains(rr dns.RR) bool {
	return slices.ContainsFunc(s.rrs, func(own dns.RR) bool { return sameRecord(own, rr) })
}

func sameRecord(own, rr dns.RR) bool {
	a, b := own.Header(), rr.Header()
	return a.Rrtype == b.Rrtype && b.Class&^topBit == dns.ClassINET &&
		strings.EqualFold(a.Name, b.Name) && sameData(own, rr)
}

// sameData compares the data of two records of one type. In a name within it
// case does not matter.
func sameData(own, rr dns.RR) bool {
	switch own := own.(type) {
	case *dns.PTR:
		rr, ok := rr.(*dns.PTR)
		return ok && strings.EqualFold(own.Ptr, rr.Ptr)
	case *dns.SRV:
		rr, ok := rr.(*dns.SRV)
		return ok && own.Priority == rr.Priority && own.Weight == rr.Weight &&
			own.Port == rr.Port && strings.EqualFold(own.Target, rr.Target)
	}
	return bytes.Equal(rdata(own), rdata(rr))
}

// rdata returns the data of a record as it stands in a packet, its names not
// compressed; nil if it cannot be written.
func rdata(rr dns.RR) []byte {
	rr = dns.Copy(rr)
	rr.Header().Name = "." // whose length is known: one byte
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	const fixed = 1 + 2 + 2 + 4 + 2 // name, type, class, TTL, length
	if err != nil || end < fixed {
		return nil
	}
	return buf[fixed:end]
}

// compareRecords decides between two sets of records that claim one name, in
// the order of RFC 6762 section 8.2: record by record by class, type and data;
// if one set is the beginning of the other, the longer one is the later. The
// later one wins.
func compareRecords(ours, theirs []dns.RR) int {
	sortable := func(rrs []dns.RR) []tieBreaker {
		out := make([]tieBreaker, len(rrs))
		for i, rr := range rrs {
			out[i] = tieBreaker{rr.Header().Class &^ topBit, rr.Header().Rrtype, rdata(rr)}
		}
		slices.SortFunc(out, tieBreaker.compare)
		return out
	}
	return slices.CompareFunc(sortable(ours), sortable(theirs), tieBreaker.compare)
}

type tieBreaker struct {
	class, typ uint16
	rdata      []byte
}

func (a tieBreaker) compare(b tieBreaker) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.typ, b.typ), bytes.Compare(a.rdata, b.rdata))
}

// addressOf returns the address an A or AAAA record holds.
func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA.To16())
	}
	return netip.Addr{}, false
}
