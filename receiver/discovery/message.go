package discovery

import (
	"hash/maphash"
	"slices"

	"github.com/miekg/dns"
)

// maxPacket is the longest packet that is read (RFC 6762 section 17).
const maxPacket = 9000

// packetRoom returns how many bytes of a DNS message fit into one packet of
// this link without fragments, whether in IPv4 or in IPv6.
func packetRoom(mtu int) int {
	const headers = 40 + 8
	return min(max(mtu, 576), 1500) - headers
}

// wireCopy returns a record as it goes into a message: with the cache-flush
// bit if asked for, and its TTL at most ttl.
func wireCopy(rr dns.RR, flush bool, ttl uint32) dns.RR {
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Ttl = min(h.Ttl, ttl)
	if flush {
		h.Class |= topBit
	}
	return rr
}

func newResponse() *dns.Msg {
	return &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true}
}

// responses packs records into as few multicast responses of at most room
// bytes as they need. Additional records are left out of a packet they do not
// fit into, and out of a message that answers with them already.
func responses(answers, additional []*rrset, ttl uint32, room int) [][]byte {
	var packets [][]byte
	m := newResponse()
	emit := func() {
		if packet, err := m.Pack(); err == nil && len(m.Answer) > 0 {
			packets = append(packets, packet)
		}
		m = newResponse()
	}
	for _, set := range answers {
		for _, rr := range set.rrs {
			m.Answer = append(m.Answer, wireCopy(rr, set.unique, ttl))
			if m.Len() > room && len(m.Answer) > 1 {
				last := m.Answer[len(m.Answer)-1]
				m.Answer = m.Answer[:len(m.Answer)-1]
				emit()
				m.Answer = append(m.Answer, last)
			}
		}
	}
	appendAdditional(m, additional, true, ttl, room)
	emit()
	return packets
}

func appendAdditional(m *dns.Msg, additional []*rrset, flush bool, ttl uint32, room int) {
	for _, set := range additional {
		before := len(m.Extra)
		for _, rr := range set.rrs {
			m.Extra = append(m.Extra, wireCopy(rr, flush && set.unique, ttl))
		}
		if m.Len() > room {
			m.Extra = m.Extra[:before]
		}
	}
}

// probeGroup is one name to be probed for and the records proposed for it.
type probeGroup struct {
	name    string
	records []dns.RR
}

// probes packs probe groups into as few queries of at most room bytes as they
// need, each group whole: the tie-break needs all records of a name at once.
//
// The questions do not ask for unicast answers. Port 5353 is shared with any
// other responder on this machine, and the kernel hands a unicast packet to
// one of the sockets only (RFC 6762 section 15.1).
func probes(groups []probeGroup, room int) [][]byte {
	var packets [][]byte
	m := &dns.Msg{Compress: true}
	emit := func() {
		if packet, err := m.Pack(); err == nil && len(m.Question) > 0 {
			packets = append(packets, packet)
		}
		m = &dns.Msg{Compress: true}
	}
	add := func(g probeGroup) {
		m.Question = append(m.Question, dns.Question{Name: g.name, Qtype: dns.TypeANY, Qclass: dns.ClassINET})
		for _, rr := range g.records {
			m.Ns = append(m.Ns, wireCopy(rr, false, otherTTL))
		}
	}
	for _, g := range groups {
		questions, records := len(m.Question), len(m.Ns)
		add(g)
		if m.Len() > room && questions > 0 {
			m.Question, m.Ns = m.Question[:questions], m.Ns[:records]
			emit()
			add(g)
		}
	}
	emit()
	return packets
}

// legacyResponse packs the one unicast packet that answers a querier which is
// no mDNS querier: with its id and questions, short TTLs and no cache-flush
// bits (RFC 6762 section 6.7).
func legacyResponse(query *dns.Msg, answers, additional []*rrset, room int) [][]byte {
	m := newResponse()
	m.Id, m.Question = query.Id, query.Question
	for _, set := range answers {
		for _, rr := range set.rrs {
			m.Answer = append(m.Answer, wireCopy(rr, false, legacyTTL))
		}
	}
	appendAdditional(m, additional, false, legacyTTL, room)
	packet, err := m.Pack()
	if err != nil {
		return nil
	}
	return [][]byte{packet}
}

// echoes remembers the last packets sent, to know them when they come back:
// by multicast loopback, through the machine's other interface on the same
// network, or from a repeater. Source addresses would not do, for another
// responder on this machine has the same.
type echoes struct {
	seed maphash.Seed
	sums []uint64
	next int
}

const rememberedEchoes = 256

func newEchoes() *echoes { return &echoes{seed: maphash.MakeSeed()} }

func (e *echoes) add(packet []byte) {
	sum := maphash.Bytes(e.seed, packet)
	if len(e.sums) < rememberedEchoes {
		e.sums = append(e.sums, sum)
		return
	}
	e.sums[e.next] = sum
	e.next = (e.next + 1) % rememberedEchoes
}

func (e *echoes) has(packet []byte) bool {
	return slices.Contains(e.sums, maphash.Bytes(e.seed, packet))
}
