package discovery

import (
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/miekg/dns"
)

var errMalformed = errors.New("discovery: not an mDNS message")

// parse reads a message that may hold anything. Operation and result code must
// be zero (RFC 6762 sections 18.3 and 18.11). The message is read record by
// record, not by the DNS library at once: a record with bad data is left out,
// and not the whole message with it. There are responders that send a broken
// NSEC record beside good ones (python-zeroconf 0.47 does).
func parse(data []byte) (*dns.Msg, error) {
	if len(data) < 12 || len(data) > maxPacket || data[2]&0x78 != 0 || data[3]&0x0f != 0 {
		return nil, errMalformed
	}
	field := func(at int) int { return int(binary.BigEndian.Uint16(data[at:])) }
	m := new(dns.Msg)
	m.Id = uint16(field(0))
	m.Response, m.Truncated = data[2]&0x80 != 0, data[2]&0x02 != 0
	off := 12
	for range field(4) {
		name, end, err := dns.UnpackDomainName(data, off)
		if err != nil || end+4 > len(data) {
			return nil, errMalformed
		}
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: uint16(field(end)), Qclass: uint16(field(end + 2))})
		off = end + 4
	}
	for i, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for range field(6 + 2*i) {
			rr, end, err := parseRecord(data, off)
			if err != nil {
				return nil, err
			}
			if rr != nil {
				*section = append(*section, rr)
			}
			off = end
		}
	}
	return m, nil
}

// parseRecord reads the record at off and returns where the next one is. The
// record is nil if its data is bad. The data of types that mean nothing to us
// is kept as it is.
func parseRecord(data []byte, off int) (dns.RR, int, error) {
	name, at, err := dns.UnpackDomainName(data, off)
	if err != nil || at+10 > len(data) {
		return nil, 0, errMalformed
	}
	h := dns.RR_Header{
		Name:     name,
		Rrtype:   binary.BigEndian.Uint16(data[at:]),
		Class:    binary.BigEndian.Uint16(data[at+2:]),
		Ttl:      binary.BigEndian.Uint32(data[at+4:]),
		Rdlength: binary.BigEndian.Uint16(data[at+8:]),
	}
	at += 10
	end := at + int(h.Rdlength)
	if end > len(data) {
		return nil, 0, errMalformed
	}
	switch h.Rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeSRV, dns.TypeTXT:
		if h.Rdlength == 0 {
			return nil, end, nil
		}
		rr, _, err := dns.UnpackRRWithHeader(h, data[:end], at)
		if err != nil {
			return nil, end, nil
		}
		return rr, end, nil
	}
	return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(data[at:end])}, end, nil
}
