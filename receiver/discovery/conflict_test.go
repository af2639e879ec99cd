package discovery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// names returns the display and host names that responders have announced,
// and fails if two have the same.
func (e *ether) distinct(when string) map[string]string {
	e.t.Helper()
	owners := make(map[string]string)
	for _, h := range e.hosts {
		if h.r == nil || !h.last().Announced {
			continue
		}
		for _, name := range []string{h.last().Name, h.last().Host} {
			if other := owners[name]; other != "" {
				e.t.Fatalf("%s: %s and %s are both %q", when, other, h.name, name)
			}
			owners[name] = h.name
		}
	}
	return owners
}

// crowd plugs in n machines that all want to be "TV".
func (e *ether) crowd(n int) (hosts []*host) {
	for i := range n {
		hosts = append(hosts, e.responder("TV", fmt.Sprintf("aerie-%06x", i),
			lan(1, fmt.Sprintf("192.168.1.%d/24", i+10), fmt.Sprintf("fe80::%x/64", i+10))))
	}
	return hosts
}

// The model: whatever n responders do with one name, at no time have two
// announced the same, and in the end each has one of the first n names.
func TestCrowd(t *testing.T) {
	for seed := range uint64(50) {
		e := newEther(t, seed)
		shape := rand.New(rand.NewPCG(seed, 3))
		n := 2 + shape.IntN(7)
		e.latency = time.Duration(1 + shape.Int64N(int64(80*time.Millisecond)))
		spread := []time.Duration{1, 300 * time.Millisecond, 3 * time.Second}[shape.IntN(3)]
		for _, h := range e.crowd(n) {
			e.after(time.Duration(shape.Int64N(int64(spread))), h.start)
		}
		for step := range 120 {
			e.run(200 * time.Millisecond)
			e.distinct(fmt.Sprintf("seed %d, step %d", seed, step))
		}
		owners := e.distinct(fmt.Sprintf("seed %d", seed))
		for i := 1; i <= n; i++ {
			if owners[numbered("TV", i, maxLabel)] == "" {
				t.Fatalf("seed %d: nobody of %d is %q: %v", seed, n, numbered("TV", i, maxLabel), owners)
			}
		}
	}
}

// With every fifth packet lost names may collide for a while; questions bring
// it to light.
func TestCrowdWithLoss(t *testing.T) {
	for seed := range uint64(12) {
		e := newEther(t, seed)
		e.loss = 0.2
		phone := e.station("phone", "192.168.1.9/24")
		hosts := e.crowd(5)
		for _, h := range hosts {
			e.after(time.Duration(e.rand.Int64N(int64(time.Second))), h.start)
		}
		for range 60 {
			e.run(2 * time.Second)
			phone.say(query("_airplay._tcp.local.", dns.TypePTR))
			for i := range hosts {
				phone.say(query(escapeLabel(numbered("TV", i+1, maxLabel))+"._airplay._tcp.local.", dns.TypeANY))
			}
		}
		if owners := e.distinct(fmt.Sprintf("seed %d", seed)); len(owners) != 2*len(hosts) {
			t.Errorf("seed %d: not all are announced: %v", seed, owners)
		}
	}
}

// Two networks with a "TV" each become one, and someone looks for it: one of
// the two keeps the name.
func TestNetworksJoin(t *testing.T) {
	kept := 0
	for seed := range uint64(20) {
		e := newEther(t, seed)
		phone := e.station("phone", "192.168.1.9/24")
		hosts := e.crowd(2)
		hosts[1].ports[0].cable = 2
		for _, h := range hosts {
			h.start()
		}
		e.run(5 * time.Second)
		hosts[1].ports[0].cable = 1
		phone.say(query(tvAirPlay, dns.TypeSRV))
		e.run(10 * time.Second)
		owners := e.distinct(fmt.Sprintf("seed %d", seed))
		if owners["TV (2)"] == "" {
			t.Fatalf("seed %d: %v", seed, owners)
		}
		if owners["TV"] != "" {
			kept++
		}
	}
	if kept != 20 {
		t.Errorf("the name was kept %d times of 20", kept)
	}
}

// The first claim to an announced name is answered with our records, an
// insistent one has the name.
func TestDefendsThenYields(t *testing.T) {
	e, tv, phone := announcedTV(t)
	claim := reply(mustRR(t, tvAirPlay+" 120 IN SRV 9 9 9 other.local.")) // later than ours, by its priority
	for _, name := range []string{"TV", "TV (2)"} {
		phone.forget()
		began := e.now
		phone.say(claim)
		e.run(100 * time.Millisecond)
		at := phone.answers(began, dns.TypeSRV, tvAirPlay)
		if defended := len(at) > 1; defended != (name == "TV") {
			t.Errorf("SRV heard at %v, then the name is to be %q", at, name)
		}
		e.run(10 * time.Second)
		if st := tv.last(); st.Name != name || !st.Announced {
			t.Errorf("status %+v, want %q", st, name)
		}
	}
}

func TestDefendsTwiceWithLaterRecords(t *testing.T) {
	e, tv, phone := announcedTV(t)
	claim := reply(mustRR(t, tvAirPlay+" 120 IN SRV 0 0 1 a.local.")) // earlier than ours, by its port
	for range 2 {
		phone.say(claim)
		e.run(5 * time.Second)
		if tv.last().Name != "TV" {
			t.Fatalf("status %+v", tv.last())
		}
	}
	phone.say(claim)
	e.run(2 * time.Second)
	if tv.last().Name != "TV (2)" || tv.r.counters.Conflicts.Value() != 3 || tv.r.counters.Renames.Value() != 1 {
		t.Errorf("status %+v, counters %+v", tv.last(), tv.r.counters)
	}
}

// Claims far apart are each defended against; those of one moment are one.
func TestDefenceForgets(t *testing.T) {
	e, tv, phone := announcedTV(t)
	claim := reply(mustRR(t, tvAirPlay+" 120 IN SRV 9 9 9 z.local."))
	for range 5 {
		for range 3 {
			phone.say(claim)
			e.run(100 * time.Millisecond)
		}
		e.run(2 * time.Minute)
	}
	if tv.last().Name != "TV" {
		t.Errorf("status %+v", tv.last())
	}
}

// What is given up with a lost name is taken back, the lost name itself is
// not: its records are the winner's by now.
func TestYieldTakesBack(t *testing.T) {
	e, tv, phone := announcedTV(t)
	claim := reply(mustRR(t, tvAirPlay+" 120 IN SRV 9 9 9 z.local."))
	phone.say(claim)
	e.run(5 * time.Second)
	phone.forget()
	phone.say(claim)
	e.run(100 * time.Millisecond)
	gone := make(map[string]bool)
	for _, s := range phone.heard {
		for _, rr := range s.msg.Answer {
			if rr.Header().Ttl == 0 {
				gone[rr.Header().Name+dns.TypeToString[rr.Header().Rrtype]] = true
			}
		}
	}
	for name, want := range map[string]bool{
		tvRAOP + "SRV": true, tvRAOP + "TXT": true, "_raop._tcp.local.PTR": true,
		tvAirPlay + "SRV": false, tvAirPlay + "TXT": false, "_airplay._tcp.local.PTR": false,
		tvHost + "A": false, serviceEnumeration + "PTR": false,
	} {
		if gone[name] != want {
			t.Errorf("%s taken back: %v, want %v", name, gone[name], want)
		}
	}
	e.run(2 * time.Second)
	if tv.last().Name != "TV (2)" {
		t.Errorf("status %+v", tv.last())
	}
}

// A probe for a name of ours is answered at once, to all, and the prober
// gives in.
func TestDefendsAgainstProbe(t *testing.T) {
	e, _, phone := announcedTV(t)
	for i, wait := range []int64{0, 200, 0} { // ms; the second 50 ms after the first: 250 ms apart
		began := e.now
		m := query(tvAirPlay, dns.TypeANY)
		m.Question[0].Qclass |= topBit
		m.Ns = []dns.RR{mustRR(t, tvAirPlay+" 120 IN SRV 9 9 9 z.local.")}
		phone.forget()
		phone.say(m)
		e.run(50 * time.Millisecond)
		if i == 1 {
			e.run(time.Second)
		}
		at := phone.answers(began, dns.TypeSRV, tvAirPlay)
		if len(at) != 1 || at[0] != wait {
			t.Errorf("probe %d answered after %v ms, want %d", i, at, wait)
		}
		for _, s := range phone.heard {
			if s.to.IsValid() {
				t.Errorf("probe %d answered to %v alone", i, s.to)
			}
		}
	}
}

// Another's goodbye for a record of ours, or a copy about to expire, is put
// right.
func TestCorrects(t *testing.T) {
	e, tv, phone := announcedTV(t)
	for _, ttl := range []int{0, 100} {
		began := e.now
		phone.forget()
		phone.say(reply(mustRR(t, fmt.Sprintf("_airplay._tcp.local. %d IN PTR %s", ttl, tvAirPlay))))
		e.run(200 * time.Millisecond)
		if at := phone.answers(began, dns.TypePTR, "_airplay._tcp.local."); len(at) != 2 {
			t.Errorf("TTL %d: heard at %v, want the copy and its correction", ttl, at)
		}
		e.run(2 * time.Second)
	}
	if tv.last().Name != "TV" {
		t.Errorf("status %+v", tv.last())
	}
}

// A proxy that repeats a record we have replaced is no other machine.
func TestOwnPastIsNoConflict(t *testing.T) {
	e, tv, phone := announcedTV(t)
	if err := tv.r.setTXT(e.now, TypeAirPlay, []string{"flags=0x20004"}); err != nil {
		t.Fatal(err)
	}
	e.run(5 * time.Second)
	old := reply(mustRR(t, tvAirPlay+` 4500 IN TXT "deviceid=AA:BB:CC:A1:B2:C3" "features=0x527FFEE6,0x0"`))
	for range 5 {
		began := e.now
		phone.forget()
		phone.say(old)
		e.run(3 * time.Second)
		if at := phone.answers(began, dns.TypeTXT, tvAirPlay); len(at) != 2 {
			t.Errorf("TXT heard at %v, want the stale one and ours", at)
		}
	}
	if tv.last().Name != "TV" || tv.r.counters.Conflicts.Value() != 0 {
		t.Errorf("status %+v", tv.last())
	}
}

// Claims that come from elsewhere, or from no responder, are none.
func TestClaimSources(t *testing.T) {
	claim := reply(mustRR(t, tvAirPlay+" 120 IN SRV 9 9 9 z.local."))
	for _, c := range []struct {
		name   string
		prefix string
		port   uint16
		to     string
		want   uint64
	}{
		{"to all", "192.168.1.9/24", mdnsPort, "", 1},
		{"to us", "192.168.1.9/24", mdnsPort, "192.168.1.2:5353", 1},
		{"from elsewhere to us", "8.8.8.8/24", mdnsPort, "192.168.1.2:5353", 0},
		{"from another port", "192.168.1.9/24", 5000, "", 0},
	} {
		e, tv, phone := announcedTV(t)
		phone.ports[0].link = lan(1, c.prefix)
		to := netip.AddrPort{}
		if c.to != "" {
			to = netip.MustParseAddrPort(c.to)
		}
		phone.sayFrom(c.port, to, claim)
		e.run(time.Second)
		if got := tv.r.counters.Conflicts.Value(); got != c.want {
			t.Errorf("%s: %d conflicts", c.name, got)
		}
	}
}

// Both links of a receiver lead to one network: it hears itself and stays.
func TestTwoLinksOneNetwork(t *testing.T) {
	e := newEther(t, 1)
	tv := e.responder("TV", "aerie-a1b2c3", lan(1, "192.168.1.2/24", "fe80::2/64"), lan(2, "192.168.1.3/24", "fe80::3/64"))
	phone := e.station("phone", "192.168.1.9/24")
	tv.start()
	e.run(5 * time.Second)
	// A repeater changes the packet, so that its sum is another.
	m := reply(mustRR(t, tvHost+" 120 IN A 192.168.1.3"), mustRR(t, "other.local. 120 IN A 192.168.1.77"))
	phone.say(m)
	e.run(5 * time.Second)
	if st := tv.last(); st.Name != "TV" || st.Host != tvHost || tv.r.counters.Conflicts.Value() != 0 {
		t.Errorf("status %+v", st)
	}
}
