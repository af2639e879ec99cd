package discovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

const (
	tvAirPlay = `TV._airplay._tcp.local.`
	tvRAOP    = `AABBCCA1B2C3\@TV._raop._tcp.local.`
	tvHost    = `aerie-a1b2c3.local.`
)

func startedTV(t *testing.T) (e *ether, tv, phone *host, began clock.Time) {
	e = newEther(t, 1)
	e.latency = 1
	phone = e.station("phone", "192.168.1.9/24")
	tv = e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24"))
	began = e.now
	tv.start()
	return e, tv, phone, began
}

// announcedTV is startedTV some seconds later, when every limit has passed.
func announcedTV(t *testing.T) (e *ether, tv, phone *host) {
	e, tv, phone, _ = startedTV(t)
	e.run(5 * time.Second)
	phone.forget()
	return e, tv, phone
}

func TestProbesThenAnnounces(t *testing.T) {
	e, tv, phone, began := startedTV(t)
	e.run(10 * time.Second)
	var got []string
	for _, s := range phone.heard {
		kind := "announcement"
		if !s.msg.Response {
			kind = "probe"
		}
		got = append(got, fmt.Sprintf("%d %s", s.at.Sub(began).Milliseconds(), kind))
	}
	want := []string{"0 probe", "250 probe", "500 probe", "750 announcement", "1750 announcement"}
	if !slices.Equal(got, want) {
		t.Fatalf("heard %q, want %q", got, want)
	}
	checkProbe(t, phone.heard[0].msg)
	checkAnnouncement(t, phone.heard[3].msg)
	if st := tv.last(); !st.Announced || st.Name != "TV" || st.Host != tvHost || !slices.Equal(st.Links, []string{"lan1"}) {
		t.Errorf("status %+v", st)
	}
}

func checkProbe(t *testing.T, m *dns.Msg) {
	var names []string
	for _, q := range m.Question {
		if q.Qtype != dns.TypeANY || q.Qclass != dns.ClassINET {
			t.Errorf("question %v, want ANY and a multicast answer", q)
		}
		names = append(names, q.Name)
	}
	if want := []string{tvHost, tvAirPlay, tvRAOP}; !slices.Equal(names, want) {
		t.Errorf("probes for %q, want %q", names, want)
	}
	proposed := make(map[string]int)
	for _, rr := range m.Ns {
		if rr.Header().Class&topBit != 0 {
			t.Errorf("cache-flush bit in a probe: %v", rr)
		}
		proposed[rr.Header().Name+dns.TypeToString[rr.Header().Rrtype]]++
	}
	for _, want := range []string{tvHost + "A", tvAirPlay + "SRV", tvAirPlay + "TXT", tvRAOP + "SRV", tvRAOP + "TXT"} {
		if proposed[want] != 1 {
			t.Errorf("%s is proposed %d times: %v", want, proposed[want], m.Ns)
		}
	}
}

func checkAnnouncement(t *testing.T, m *dns.Msg) {
	if m.Id != 0 || !m.Authoritative || len(m.Question) > 0 {
		t.Errorf("header %+v, questions %v", m.MsgHdr, m.Question)
	}
	type fact struct {
		ttl   uint32
		flush bool
	}
	want := map[string]fact{
		tvHost + " A":                       {120, true},
		"_airplay._tcp.local. PTR":          {4500, false},
		"_raop._tcp.local. PTR":             {4500, false},
		"_services._dns-sd._udp.local. PTR": {4500, false},
		tvAirPlay + " SRV":                  {120, true},
		tvRAOP + " SRV":                     {120, true},
		tvAirPlay + " TXT":                  {4500, true},
		tvRAOP + " TXT":                     {4500, true},
		tvHost + " NSEC":                    {120, true},
		tvAirPlay + " NSEC":                 {4500, true},
		tvRAOP + " NSEC":                    {4500, true},
	}
	got := make(map[string]fact)
	for _, rr := range m.Answer {
		h := rr.Header()
		got[h.Name+" "+dns.TypeToString[h.Rrtype]] = fact{h.Ttl, h.Class&topBit != 0}
	}
	for key, f := range want {
		if got[key] != f {
			t.Errorf("%s announced with %v, want %v", key, got[key], f)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("announced also: %v", got)
	}
	for _, rr := range m.Answer {
		if srv, ok := rr.(*dns.SRV); ok && (srv.Target != tvHost || srv.Port != 7000) {
			t.Errorf("SRV %v", srv)
		}
	}
}

// A name in use leads to the next one for all services; the host name stays.
func TestConflictWhileProbing(t *testing.T) {
	for _, delay := range []time.Duration{0, 240 * time.Millisecond, 600 * time.Millisecond, 745 * time.Millisecond} {
		e, tv, phone, began := startedTV(t)
		claim := mustRR(t, `tv._AIRPLAY._tcp.local. 120 IN SRV 0 0 7000 other.local.`)
		e.after(delay, func() { phone.say(reply(claim)) })
		e.run(delay + 700*time.Millisecond)
		if tv.last().Announced {
			t.Errorf("conflict after %v: announced %v after the start, before new probes", delay, e.now.Sub(began))
		}
		e.run(time.Second)
		if st := tv.last(); !st.Announced || st.Name != "TV (2)" || st.Host != tvHost {
			t.Errorf("conflict after %v: status %+v", delay, st)
		}
		if at := phone.answers(began, dns.TypeSRV, tvAirPlay); len(at) != 1 { // the claim alone
			t.Errorf("conflict after %v: the lost name was announced at %v", delay, at)
		}
		for _, name := range []string{`TV\ \(2\)._airplay._tcp.local.`, `AABBCCA1B2C3\@TV\ \(2\)._raop._tcp.local.`} {
			if len(phone.answers(began, dns.TypeTXT, name)) == 0 {
				t.Errorf("conflict after %v: %s was not announced", delay, name)
			}
		}
	}
}

func TestHostConflictWhileProbing(t *testing.T) {
	e, tv, phone, began := startedTV(t)
	phone.say(reply(mustRR(t, "Aerie-A1B2C3.local. 120 IN AAAA fe80::1")))
	e.run(3 * time.Second)
	if st := tv.last(); !st.Announced || st.Name != "TV" || st.Host != "aerie-a1b2c3-2.local." {
		t.Fatalf("status %+v", st)
	}
	for _, s := range phone.heard {
		for _, rr := range s.msg.Answer {
			if srv, ok := rr.(*dns.SRV); ok && srv.Target != "aerie-a1b2c3-2.local." {
				t.Errorf("%v: SRV points to %s", s.at.Sub(began), srv.Target)
			}
		}
	}
}

// A record like ours, a denial and a record taken back claim nothing.
func TestNoConflictWhileProbing(t *testing.T) {
	for _, text := range []string{
		`tv._airplay._tcp.local. 120 IN SRV 0 0 7000 AERIE-a1b2c3.local.`,
		`TV._airplay._tcp.local. 0 IN SRV 0 0 80 other.local.`,
		`TV._airplay._tcp.local. 120 IN NSEC TV._airplay._tcp.local. TXT`,
		`TV2._airplay._tcp.local. 120 IN SRV 0 0 80 other.local.`,
		`aerie-a1b2c3.local. 120 IN A 192.168.1.2`,
	} {
		e, tv, phone, _ := startedTV(t)
		phone.say(reply(mustRR(t, text)))
		e.run(time.Second)
		if st := tv.last(); !st.Announced || st.Name != "TV" || st.Host != tvHost {
			t.Errorf("%s: status %+v", text, st)
		}
	}
}

// The lexicographically later records win (RFC 6762 section 8.2). The winner
// goes on, the loser waits a second.
func TestTieBreak(t *testing.T) {
	for _, c := range []struct {
		theirs string
		lose   bool
	}{
		{`TV._airplay._tcp.local. 120 IN SRV 0 0 6999 aerie-a1b2c3.local.`, true}, // type SRV is later than our first, TXT
		{`TV._airplay._tcp.local. 120 IN TXT "a"`, false},
		{`TV._airplay._tcp.local. 120 IN TXT "deviceid=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"`, true},
		{`aerie-a1b2c3.local. 120 IN A 192.168.1.1`, false},
		{`aerie-a1b2c3.local. 120 IN A 192.168.1.2`, false},
		{`aerie-a1b2c3.local. 120 IN A 192.168.1.3`, true},
		{`aerie-a1b2c3.local. 120 IN AAAA ::`, true},
		{`someone-else.local. 120 IN AAAA ff::`, false},
	} {
		e, tv, phone, _ := startedTV(t)
		rr := mustRR(t, c.theirs)
		m := query(rr.Header().Name, dns.TypeANY)
		m.Ns = []dns.RR{rr}
		e.after(300*time.Millisecond, func() { phone.say(m) })
		e.run(800 * time.Millisecond)
		if lost := !tv.last().Announced; lost != c.lose {
			t.Errorf("%s: lost %v, want %v", c.theirs, lost, c.lose)
		}
		e.run(1300 * time.Millisecond) // 1 s of waiting, 750 ms of probing
		if st := tv.last(); !st.Announced || st.Name != "TV" || st.Host != tvHost {
			t.Errorf("%s: status %+v", c.theirs, st)
		}
	}
}

// A tie lost on one segment is lost on all: the names must not be announced on
// the one while they are waited for on the other.
func TestTieBreakOnOneSegment(t *testing.T) {
	e := newEther(t, 1)
	phone := e.station("phone", "192.168.1.9/24")
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24", "fe80::2/64"))
	tv.start()
	m := query(tvHost, dns.TypeANY)
	m.Ns = []dns.RR{mustRR(t, "aerie-a1b2c3.local. 120 IN AAAA ff::")}
	phone.say(m) // over IPv4
	e.run(900 * time.Millisecond)
	for _, s := range tv.heard {
		if s.msg.Response {
			t.Errorf("announced to %v: %v", s.from, s.msg)
		}
	}
	e.run(time.Second)
	if !tv.last().Announced {
		t.Errorf("status %+v", tv.last())
	}
}

// Someone who claims every name slows the renaming down, and no more.
func TestEndlessConflicts(t *testing.T) {
	e, tv, phone, began := startedTV(t)
	mean := func() {
		seen := len(phone.heard)
		var watch func()
		watch = func() {
			for _, s := range phone.heard[seen:] {
				for _, q := range s.msg.Question {
					if strings.Contains(q.Name, "_airplay") && len(s.msg.Ns) > 0 {
						phone.say(reply(mustRR(t, q.Name+" 120 IN SRV 0 0 80 mean.local.")))
					}
				}
			}
			seen = len(phone.heard)
			e.after(10*time.Millisecond, watch)
		}
		watch()
	}
	mean()
	e.run(10 * time.Minute)
	renames := tv.r.counters.Renames.Value()
	if renames < 50 || renames > 15+10*60/5+5 {
		t.Errorf("%d renames in %v", renames, e.now.Sub(began))
	}
}
