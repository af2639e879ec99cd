package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// announcedTXT lists when a TXT record with the entry was announced.
func (h *host) announcedTXT(e *ether, entry string) (at []string) {
	for _, s := range h.heard {
		for _, rr := range s.msg.Answer {
			if txt, ok := rr.(*dns.TXT); ok && slices.Contains(txt.Txt, entry) {
				if rr.Header().Class&topBit == 0 {
					at = append(at, "without cache flush")
				}
				at = append(at, s.at.Sub(e.now).String())
			}
		}
	}
	return at
}

// A new TXT record is announced at once and again a second later, and nothing
// else with it; a burst of changes costs one announcement a second.
func TestSetTXT(t *testing.T) {
	e, tv, phone := announcedTV(t)
	set := func(entry string) {
		if err := tv.r.setTXT(e.now, TypeAirPlay, []string{entry}); err != nil {
			t.Fatal(err)
		}
	}
	set("flags=0x4")
	e.run(10 * time.Second)
	if at := phone.announcedTXT(e, "flags=0x4"); !slices.Equal(at, []string{"-10s", "-9s"}) {
		t.Errorf("announced at %v", at)
	}
	for _, s := range phone.heard {
		if len(s.msg.Answer) != 1 {
			t.Errorf("announced %v", s.msg.Answer)
		}
	}
	set("flags=0x4") // the same
	e.run(5 * time.Second)
	phone.forget()
	for i := range 2000 {
		set(fmt.Sprintf("n=%d", i))
		e.run(time.Millisecond)
	}
	e.run(8 * time.Second)
	if n := len(phone.heard); n < 3 || n > 5 {
		t.Errorf("%d announcements for 2000 changes in 2 s", n)
	}
	if at := phone.announcedTXT(e, "n=1999"); len(at) < 1 {
		t.Error("the last change was not announced")
	}
}

func TestSetTXTWhileProbing(t *testing.T) {
	e, tv, phone, _ := startedTV(t)
	e.run(600 * time.Millisecond)
	if err := tv.r.setTXT(e.now, TypeRAOP, []string{"x=1"}); err != nil {
		t.Fatal(err)
	}
	e.run(3 * time.Second)
	if at := phone.announcedTXT(e, "x=1"); len(at) != 2 {
		t.Errorf("announced at %v", at)
	}
}

func TestSetTXTErrors(t *testing.T) {
	_, tv, _ := announcedTV(t)
	long := strings.Repeat("x", 250)
	for _, c := range []struct {
		typ  string
		txt  []string
		want string
	}{
		{TypeDACP, nil, "not announced"},
		{TypeAirPlay, []string{"=1"}, "no key"},
		{TypeAirPlay, []string{""}, "no key"},
		{TypeAirPlay, []string{"ä=1"}, "printable"},
		{TypeAirPlay, []string{"a=1", "A=2"}, "twice"},
		{TypeAirPlay, []string{"key12=" + long}, "256 bytes"},
		{TypeAirPlay, []string{"a=" + long, "b=" + long, "c=" + long, "d=" + long, "e=" + long, "f=" + strings.Repeat("y", 33)}, "1301 bytes"},
	} {
		if err := tv.r.setTXT(0, c.typ, c.txt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.txt, err, c.want)
		}
	}
	if err := tv.r.setTXT(0, TypeAirPlay, []string{"a=" + long, "b=" + long, "c=" + long, "d=" + long, "e=" + long, "f=" + strings.Repeat("y", 32)}); err != nil {
		t.Errorf("1300 bytes: %v", err)
	}
}

// Everything is taken back at the end, but for what others announce as well.
func TestGoodbye(t *testing.T) {
	e, tv, phone := announcedTV(t)
	tv.r.farewell(e.now)
	e.run(5 * time.Second)
	var got []string
	for _, rr := range phone.reply(t).msg.Answer {
		if rr.Header().Ttl != 0 {
			t.Errorf("%v is not taken back", rr)
		}
		if rr.Header().Rrtype != dns.TypeNSEC {
			got = append(got, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
		}
	}
	want := []string{tvHost + " A", "_airplay._tcp.local. PTR", tvAirPlay + " SRV", tvAirPlay + " TXT",
		"_raop._tcp.local. PTR", tvRAOP + " SRV", tvRAOP + " TXT"}
	if !slices.Equal(got, want) {
		t.Errorf("took back %v, want %v", got, want)
	}
}

// A name that nobody was told of needs no goodbye.
func TestGoodbyeWhileProbing(t *testing.T) {
	e, tv, phone, _ := startedTV(t)
	e.run(600 * time.Millisecond)
	phone.forget()
	tv.r.farewell(e.now)
	e.run(time.Second)
	if len(phone.heard) > 0 {
		t.Errorf("heard %v", phone.heard)
	}
}

// kinds tells probes from announcements, with the milliseconds since
// an instant some time ago.
func (h *host) kinds(e *ether, ago time.Duration) (out []string) {
	for _, s := range h.heard {
		kind := "announcement"
		if !s.msg.Response {
			kind = "probe"
		}
		out = append(out, fmt.Sprintf("%d %s", (s.at.Sub(e.now)+ago).Milliseconds(), kind))
	}
	return out
}

// A link that comes up is probed and announced on 200 ms after the last of the
// notifications about it, a second after the first at the latest.
func TestLinkComesUp(t *testing.T) {
	e := newEther(t, 1)
	e.latency = 1
	phone := e.station("phone", "192.168.1.9/24")
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24"))
	tv.ports[0].cable = 0
	tv.start()
	e.run(10 * time.Second)
	if st := tv.r.currentStatus(); st.Announced || tv.r.next() != never {
		t.Fatalf("without a link: %+v, next %v", st, tv.r.next())
	}
	tv.ports[0].cable = 1
	for range 4 {
		tv.r.changed(e.now, change{})
		e.run(100 * time.Millisecond)
	}
	e.run(4600 * time.Millisecond)
	want := []string{"500 probe", "750 probe", "1000 probe", "1250 announcement", "2250 announcement"}
	if got := phone.kinds(e, 5*time.Second); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}

	phone.forget() // unplugged for a moment, with endless notifications
	for range 20 {
		tv.r.changed(e.now, change{lost: []int{1}})
		e.run(100 * time.Millisecond)
	}
	if got := phone.kinds(e, 2*time.Second); len(got) == 0 || got[0] != "1000 probe" {
		t.Errorf("heard %q", got)
	}
}

// Notifications that change nothing cause nothing.
func TestLinkUnchanged(t *testing.T) {
	e, tv, phone := announcedTV(t)
	tv.r.changed(e.now, change{})
	e.run(5 * time.Second)
	if len(phone.heard) > 0 || !tv.last().Announced {
		t.Errorf("heard %v", phone.heard)
	}
}

// A new IPv6 address is announced, a lost one taken back by the cache-flush
// bit of those that stay, or by a goodbye if it was the last.
func TestAddressChanges(t *testing.T) {
	e, tv, phone := announcedTV(t)
	change6 := func(prefixes ...string) []string {
		tv.ports[0].link = lan(1, append(prefixes, "192.168.1.2/24")...)
		tv.r.changed(e.now, change{})
		phone.forget()
		e.run(5 * time.Second)
		var got []string
		for _, s := range phone.heard {
			if !s.msg.Response {
				got = append(got, "probe")
			}
			for _, rr := range s.msg.Answer {
				if h := rr.Header(); h.Rrtype == dns.TypeAAAA {
					got = append(got, fmt.Sprintf("%v TTL %d flush %v", rr.(*dns.AAAA).AAAA, h.Ttl, h.Class&topBit != 0))
				}
			}
		}
		return got
	}
	two := []string{"2001:db8::2 TTL 120 flush true", "fe80::2 TTL 120 flush true"}
	for _, c := range []struct{ have, want []string }{
		{[]string{"fe80::2/64"}, []string{two[1], two[1]}},
		{[]string{"fe80::2/64", "2001:db8::2/64"}, slices.Concat(two, two)},
		{[]string{"fe80::2/64"}, []string{two[1], two[1]}},
		{nil, []string{"fe80::2 TTL 0 flush true"}},
	} {
		got := change6(c.have...)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("now %v: heard %q, want %q", c.have, got, c.want)
		}
	}
}

// Another IPv4 network may have other neighbours: the names are probed again.
func TestNetworkChanges(t *testing.T) {
	e, tv, phone := announcedTV(t)
	phone.ports[0].link = lan(1, "10.0.0.9/8")
	tv.ports[0].link = lan(1, "10.0.0.2/8")
	tv.r.changed(e.now, change{})
	e.run(5 * time.Second)
	want := []string{"200 probe", "450 probe", "700 probe", "950 announcement", "1950 announcement"}
	if got := phone.kinds(e, 5*time.Second); !slices.Equal(got, want) {
		t.Fatalf("heard %q", got)
	}
	if addr, _ := addressOf(phone.heard[len(phone.heard)-1].msg.Answer[0]); addr != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("announced %v", addr)
	}
}

// A cable that takes nothing costs a packet a minute and one line in the log;
// when it is back the names are probed for again.
func TestSendFails(t *testing.T) {
	e, tv, phone := announcedTV(t)
	tv.broken = errors.New("no buffer space available")
	phone.say(query(tvHost, dns.TypeA))
	e.run(time.Hour)
	failed := tv.r.counters.SendFailed.Value()
	if failed < 30 || failed > 80 {
		t.Errorf("%d attempts in an hour", failed)
	}
	if n := strings.Count(tv.log.String(), "cannot send"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, tv.log.String())
	}
	if tv.last().Announced {
		t.Error("still announced")
	}
	tv.broken = nil
	phone.forget()
	e.run(2 * time.Minute)
	if st := tv.last(); !st.Announced || st.Name != "TV" {
		t.Errorf("status %+v", st)
	}
	if len(phone.heard) < 5 || phone.heard[0].msg.Response {
		t.Errorf("heard %v", phone.heard)
	}
	for range 20 { // a loose contact
		tv.broken = errors.New("link is down")
		phone.say(query(tvHost, dns.TypeA))
		e.run(1500 * time.Millisecond)
		tv.broken = nil
		e.run(3500 * time.Millisecond)
	}
	if n := strings.Count(tv.log.String(), "cannot send"); n > 4 {
		t.Errorf("%d lines in the log:\n%s", n, tv.log.String())
	}
}

// One dead link does not hold up the others.
func TestOneLinkFails(t *testing.T) {
	e := newEther(t, 1)
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24"), lan(2, "10.0.0.2/8"))
	tv.r.wire = deaf{tv, 2}
	if err := tv.r.start(e.now); err != nil {
		t.Fatal(err)
	}
	e.run(time.Second)
	if st := tv.last(); !st.Announced || !slices.Equal(st.Links, []string{"lan1"}) {
		t.Errorf("status %+v", st)
	}
}

// deaf is a host one of whose links takes nothing.
type deaf struct {
	*host
	index int
}

func (d deaf) send(id segmentID, to netip.AddrPort, data []byte) error {
	if id.index == d.index {
		return errors.New("network is unreachable")
	}
	return d.host.send(id, to, data)
}
