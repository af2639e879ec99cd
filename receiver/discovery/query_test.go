package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// summary lists a section as "NAME TYPE" in order.
func summary(rrs []dns.RR) (out []string) {
	for _, rr := range rrs {
		out = append(out, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
	}
	return out
}

// reply returns the one response heard since forget, which must be the only.
func (h *host) reply(t *testing.T) sighting {
	t.Helper()
	var got []sighting
	for _, s := range h.heard {
		if s.msg.Response {
			got = append(got, s)
		}
	}
	if len(got) != 1 {
		t.Fatalf("%d responses heard, want 1: %v", len(got), got)
	}
	return got[0]
}

func TestAnswers(t *testing.T) {
	host := []string{tvHost + " A", tvHost + " AAAA"}
	for _, c := range []struct {
		name  string
		typ   uint16
		want  []string
		extra []string
	}{
		{"_airplay._tcp.local.", dns.TypePTR, []string{"_airplay._tcp.local. PTR"},
			append([]string{tvAirPlay + " SRV", tvAirPlay + " TXT"}, host...)},
		{"_AirPlay._TCP.Local.", dns.TypePTR, []string{"_airplay._tcp.local. PTR"},
			append([]string{tvAirPlay + " SRV", tvAirPlay + " TXT"}, host...)},
		{"_raop._tcp.local.", dns.TypeANY, []string{"_raop._tcp.local. PTR"},
			append([]string{tvRAOP + " SRV", tvRAOP + " TXT"}, host...)},
		{serviceEnumeration, dns.TypePTR, []string{serviceEnumeration + " PTR", serviceEnumeration + " PTR"}, nil},
		{tvAirPlay, dns.TypeSRV, []string{tvAirPlay + " SRV"}, host},
		{strings.ToUpper(tvAirPlay), dns.TypeTXT, []string{tvAirPlay + " TXT"}, nil},
		{tvRAOP, dns.TypeANY, []string{tvRAOP + " SRV", tvRAOP + " TXT"}, host},
		{tvHost, dns.TypeA, []string{tvHost + " A"}, nil},
		{"AERIE-A1B2C3.local.", dns.TypeAAAA, []string{tvHost + " AAAA"}, nil},
		{tvHost, dns.TypeANY, host, nil},
		{tvHost, dns.TypeTXT, []string{tvHost + " NSEC"}, nil},
		{tvAirPlay, dns.TypeAAAA, []string{tvAirPlay + " NSEC"}, nil},
		{tvAirPlay, dns.TypeNSEC, []string{tvAirPlay + " NSEC"}, nil},
		{"_airplay._tcp.local.", dns.TypeSRV, nil, nil},
		{"_http._tcp.local.", dns.TypePTR, nil, nil},
		{"other.local.", dns.TypeANY, nil, nil},
	} {
		e := newEther(t, 1)
		phone := e.station("phone", "192.168.1.9/24")
		e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24", "fe80::2/64")).start()
		e.run(5 * time.Second)
		phone.forget()
		phone.say(query(c.name, c.typ))
		e.run(5 * time.Second)
		what := c.name + " " + dns.TypeToString[c.typ]
		if c.want == nil {
			if len(phone.heard) > 1 { // the question
				t.Errorf("%s: answered", what)
			}
			continue
		}
		m := phone.reply(t).msg
		if got := summary(m.Answer); !slices.Equal(got, c.want) || m.Id != 0 || len(m.Question) > 0 || !m.Authoritative {
			t.Errorf("%s: answer %v, want %v; header %v", what, got, c.want, m.MsgHdr)
		}
		if got := summary(m.Extra); !slices.Equal(got, c.extra) {
			t.Errorf("%s: additional %v, want %v", what, got, c.extra)
		}
	}
}

// Answers that others give too come after a random 20 to 120 ms, ours alone at
// once.
func TestAnswerDelay(t *testing.T) {
	for _, c := range []struct {
		name     string
		typ      uint16
		min, max int64
	}{
		{"_airplay._tcp.local.", dns.TypePTR, 20, 120},
		{tvHost, dns.TypeA, 0, 0},
	} {
		seen := make(map[int64]bool)
		for seed := range uint64(20) {
			e, tv, phone := announcedTV(t)
			tv.r.rand = rand.New(rand.NewPCG(seed, 9))
			began := e.now
			phone.say(query(c.name, c.typ))
			e.run(time.Second)
			at := phone.answers(began, c.typ, c.name)
			if len(at) != 1 || at[0] < c.min || at[0] > c.max {
				t.Fatalf("%s answered after %v ms", c.name, at)
			}
			seen[at[0]] = true
		}
		if (len(seen) > 5) != (c.max > 0) {
			t.Errorf("%s: %d different delays", c.name, len(seen))
		}
	}
}

// Several questions in a packet are answered in one, each record once.
func TestSeveralQuestions(t *testing.T) {
	e, _, phone := announcedTV(t)
	m := query("_airplay._tcp.local.", dns.TypePTR)
	for _, q := range []dns.Question{
		{Name: "_raop._tcp.local.", Qtype: dns.TypePTR, Qclass: dns.ClassINET},
		{Name: "_AIRPLAY._tcp.local.", Qtype: dns.TypeANY, Qclass: dns.ClassANY},
		{Name: tvHost, Qtype: dns.TypeA, Qclass: dns.ClassINET},
		{Name: tvHost, Qtype: dns.TypeA, Qclass: dns.ClassCHAOS},
		{Name: "nobody.local.", Qtype: dns.TypeA, Qclass: dns.ClassINET},
	} {
		m.Question = append(m.Question, q)
	}
	phone.say(m)
	e.run(time.Second)
	got := summary(phone.reply(t).msg.Answer)
	slices.Sort(got)
	if want := []string{"_airplay._tcp.local. PTR", "_raop._tcp.local. PTR", tvHost + " A"}; !slices.Equal(got, want) {
		t.Errorf("answer %v, want %v", got, want)
	}
}

func TestKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		typ    uint16
		known  string
		answer bool
	}{
		{"_airplay._tcp.local.", dns.TypePTR, "_airplay._tcp.local. 2250 IN PTR tv._airplay._tcp.local.", false},
		{"_airplay._tcp.local.", dns.TypePTR, "_airplay._tcp.local. 2249 IN PTR TV._airplay._tcp.local.", true},
		{"_airplay._tcp.local.", dns.TypePTR, "_airplay._tcp.local. 4500 IN PTR Other._airplay._tcp.local.", true},
		{tvAirPlay, dns.TypeSRV, tvAirPlay + " 60 IN SRV 0 0 7000 AERIE-a1b2c3.local.", false},
		{tvAirPlay, dns.TypeSRV, tvAirPlay + " 60 IN SRV 0 0 7001 aerie-a1b2c3.local.", true},
		{tvHost, dns.TypeA, tvHost + " 60 IN A 192.168.1.2", false},
		{tvHost, dns.TypeA, tvHost + " 59 IN A 192.168.1.2", true},
	} {
		e, _, phone := announcedTV(t)
		m := query(c.name, c.typ)
		m.Answer = []dns.RR{mustRR(t, c.known)}
		began := e.now
		phone.say(m)
		e.run(time.Second)
		if answered := len(phone.answers(began, c.typ, c.name)) > 0; answered != c.answer {
			t.Errorf("%s: answered %v", c.known, answered)
		}
	}
}

// The known answers of a truncated query come in further packets; the answer
// waits for them.
func TestTruncatedQuery(t *testing.T) {
	for _, known := range []bool{false, true} {
		e, _, phone := announcedTV(t)
		m := query("_airplay._tcp.local.", dns.TypePTR)
		m.Truncated = true
		m.Answer = []dns.RR{mustRR(t, "_airplay._tcp.local. 4500 IN PTR Other._airplay._tcp.local.")}
		began := e.now
		phone.say(m)
		e.run(100 * time.Millisecond)
		more := &dns.Msg{Answer: []dns.RR{mustRR(t, "_airplay._tcp.local. 4500 IN PTR Else._airplay._tcp.local.")}}
		if known {
			more.Answer = append(more.Answer, mustRR(t, "_airplay._tcp.local. 4500 IN PTR TV._airplay._tcp.local."))
		}
		phone.say(more)
		e.run(2 * time.Second)
		at := phone.answers(began, dns.TypePTR, "_airplay._tcp.local.")
		if known && len(at) > 0 || !known && (len(at) != 1 || at[0] < 400 || at[0] > 500) {
			t.Errorf("known in the second packet %v: answered after %v ms", known, at)
		}
	}
}

// A question that allows a unicast answer gets one, unless the others have
// not had the record for a quarter of its life.
func TestUnicastAnswer(t *testing.T) {
	e, _, phone := announcedTV(t)
	ask := func() sighting {
		m := query(tvHost, dns.TypeA)
		m.Question[0].Qclass |= topBit
		phone.forget()
		phone.say(m)
		e.run(time.Second)
		return phone.reply(t)
	}
	if s := ask(); s.to != netip.MustParseAddrPort("192.168.1.9:5353") {
		t.Errorf("answered to %v", s.to)
	}
	e.run(30 * time.Second)
	if s := ask(); s.to.IsValid() {
		t.Errorf("after 30 s answered to %v alone", s.to)
	}
	if s := ask(); !s.to.IsValid() {
		t.Error("a second later answered to all")
	}
}

// A querier on another port is no mDNS querier (RFC 6762 section 6.7).
func TestLegacyQuery(t *testing.T) {
	for _, to := range []string{"", "192.168.1.2:5353"} {
		e, _, phone := announcedTV(t)
		m := query(tvAirPlay, dns.TypeSRV)
		m.Id, m.RecursionDesired = 4711, true
		var dst netip.AddrPort
		if to != "" {
			dst = netip.MustParseAddrPort(to)
		}
		phone.sayFrom(40000, dst, m)
		e.run(time.Second)
		s := phone.reply(t)
		if s.to != netip.MustParseAddrPort("192.168.1.9:40000") || s.msg.Id != 4711 || len(s.msg.Question) != 1 {
			t.Errorf("answered to %v with id %d and %v", s.to, s.msg.Id, s.msg.Question)
		}
		if got := summary(s.msg.Answer); !slices.Equal(got, []string{tvAirPlay + " SRV"}) {
			t.Errorf("answer %v", got)
		}
		for _, rr := range append(s.msg.Answer, s.msg.Extra...) {
			if h := rr.Header(); h.Ttl > legacyTTL || h.Class != dns.ClassINET {
				t.Errorf("record for a resolver: %v", rr)
			}
		}
	}
}

// The records that a link's own neighbours are told are those of that link.
func TestAddressesByLink(t *testing.T) {
	e := newEther(t, 1)
	phone := e.station("phone", "192.168.1.9/24")
	tablet := e.station("tablet", "10.1.0.9/16")
	tablet.ports[0].cable = 2
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24"), lan(2, "10.1.0.2/16", "fe80::2/64", "2001:db8::2/64"))
	tv.ports[1].cable = 2
	tv.start()
	e.run(5 * time.Second)
	for _, c := range []struct {
		h    *host
		want []string
	}{{phone, []string{"192.168.1.2"}}, {tablet, []string{"10.1.0.2", "2001:db8::2", "fe80::2"}}} {
		c.h.forget()
		c.h.say(query(tvHost, dns.TypeANY))
		e.run(time.Second)
		var got []string
		for _, rr := range c.h.reply(t).msg.Answer {
			addr, _ := addressOf(rr)
			got = append(got, addr.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s was told %v, want %v", c.h.name, got, c.want)
		}
	}
	if got := tv.last().Links; !slices.Equal(got, []string{"lan1", "lan2"}) {
		t.Errorf("announced on %v", got)
	}
}

// Long TXT records go out in packets that fit the link.
func TestLongRecords(t *testing.T) {
	e, tv, phone := announcedTV(t)
	for _, typ := range []string{TypeAirPlay, TypeRAOP} {
		var txt []string
		for i := range 5 {
			txt = append(txt, fmt.Sprintf("key%d=%s", i, strings.Repeat("x", 254-5)))
		}
		txt = append(txt, "k="+strings.Repeat("x", maxTXT-5*255-3))
		if err := tv.r.setTXT(e.now, typ, txt); err != nil {
			t.Fatal(err)
		}
	}
	e.run(5 * time.Second)
	m := query(tvAirPlay, dns.TypeANY)
	m.Question = append(m.Question, query(tvRAOP, dns.TypeANY).Question...)
	for _, s := range phone.heard {
		if s.size > 1452 {
			t.Errorf("announced in a packet of %d bytes", s.size)
		}
	}
	phone.forget()
	began := e.now
	phone.say(m)
	e.run(time.Second)
	for _, s := range phone.heard {
		if s.size > 1452 {
			t.Errorf("a packet of %d bytes", s.size)
		}
	}
	for _, name := range []string{tvAirPlay, tvRAOP} {
		if at := phone.answers(began, dns.TypeTXT, name); len(at) != 1 {
			t.Errorf("%s: TXT answered at %v", name, at)
		}
	}
	e.run(2 * time.Second)
	phone.forget()
	phone.say(query("_raop._tcp.local.", dns.TypePTR)) // and additional records as they fit
	e.run(time.Second)
	s := phone.reply(t)
	if got := summary(s.msg.Extra); s.size > 1452 || len(got) == 0 || len(got) == 4 {
		t.Errorf("%d bytes, additional %v", s.size, got)
	}
}

// While it probes a responder answers nothing.
func TestSilentWhileProbing(t *testing.T) {
	e, _, phone, began := startedTV(t)
	for range 7 {
		phone.say(query(tvHost, dns.TypeA))
		e.run(100 * time.Millisecond)
	}
	if at := phone.answers(began, dns.TypeA, tvHost); len(at) > 0 {
		t.Errorf("answered after %v ms", at)
	}
}

// A responder hears its own packets, by its other link too, and makes nothing
// of them: it does not answer its own probe.
func TestOwnPacketsIgnored(t *testing.T) {
	e := newEther(t, 1)
	phone := e.station("phone", "192.168.1.9/24")
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24"), lan(2, "192.168.1.3/24"))
	tv.start()
	e.run(5 * time.Second)
	phone.forget()
	tv.r.changed(e.now, change{lost: []int{2}})
	e.run(900 * time.Millisecond)
	for _, s := range phone.heard {
		if s.msg.Response {
			t.Errorf("heard %v while the other link probed", s.msg)
		}
	}
	if len(phone.heard) != 3 {
		t.Errorf("%d probes heard", len(phone.heard))
	}
	e.run(5 * time.Second)
	if st := tv.last(); st.Name != "TV" || !st.Announced || tv.r.counters.Conflicts.Value() != 0 {
		t.Errorf("status %+v", st)
	}
}
