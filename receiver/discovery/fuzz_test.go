package discovery

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"aerie/receiver/clock"
)

// sink is a wire to nowhere that checks what is sent.
type sink struct {
	t    testing.TB
	sent int
}

func (*sink) links() ([]link, error) {
	return []link{lan(1, "192.168.1.2/24", "fe80::2/64")}, nil
}

func (s *sink) send(_ segmentID, _ netip.AddrPort, data []byte) error {
	s.sent++
	if m, err := parse(data); err != nil || len(m.Question)+len(m.Answer) == 0 {
		s.t.Fatalf("sent a bad packet: %v: %x", err, data)
	}
	return nil
}

// sunk returns a responder on a sink, announced or about to send its third
// probe, and the time there.
func sunk(t testing.TB, isAnnounced bool) (*responder, *sink, clock.Time) {
	id, err := newIdentity("TV", "aerie-a1b2c3", testServices("TV"))
	if err != nil {
		t.Fatal(err)
	}
	w, now := &sink{t: t}, clock.Time(time.Hour)
	r := newResponder(id, w, rand.New(rand.NewPCG(1, 2)), slog.New(slog.DiscardHandler), new(Counters), func(Status) {})
	if err := r.start(now); err != nil {
		t.Fatal(err)
	}
	steps := 2
	if isAnnounced {
		steps = 20
	}
	for range steps {
		now = now.Add(probeInterval)
		r.step(now)
	}
	return r, w, now
}

func seedPackets(f *testing.F) {
	add := func(m *dns.Msg) {
		data, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		for mode := range byte(16) {
			f.Add(mode, data)
		}
	}
	rr := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		return rr
	}
	add(query("_airplay._tcp.local.", dns.TypePTR))
	add(query(serviceEnumeration, dns.TypePTR))
	probe := query(tvAirPlay, dns.TypeANY)
	probe.Ns = []dns.RR{rr(tvAirPlay + ` 120 TXT "z=1"`), rr(tvAirPlay + " 120 SRV 9 9 9 z.local.")}
	add(probe)
	known := query(tvHost, dns.TypeA)
	known.Truncated, known.Question[0].Qclass = true, dns.ClassINET|topBit
	known.Answer = []dns.RR{rr(tvHost + " 120 A 192.168.1.2")}
	add(known)
	add(&dns.Msg{Answer: known.Answer})
	add(reply(rr(tvAirPlay+" 120 SRV 9 9 9 z.local."), rr(tvHost+" 120 A 192.168.1.3"), rr(tvRAOP+" 0 TXT a")))
	add(reply(rr("_airplay._tcp.local. 0 PTR "+tvAirPlay), rr(tvHost+" 120 NSEC a. A")))
	f.Add(byte(1), []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\xff\x00\x01")) // a name that is its own end
	f.Add(byte(1), []byte("\x00\x00\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00"))
}

// FuzzHandle feeds a responder one packet, three times within a second. Nothing
// may panic, loop, grow, or call for more than a few packets.
func FuzzHandle(f *testing.F) {
	seedPackets(f)
	f.Fuzz(func(t *testing.T, mode byte, data []byte) {
		r, w, now := sunk(t, mode&1 != 0)
		p := packet{data: data, index: 1, from: netip.MustParseAddrPort("192.168.1.9:5353"), multicast: mode&2 == 0}
		if mode&4 != 0 {
			p.from = netip.MustParseAddrPort("[fe80::9%lan1]:5353")
		}
		if mode&8 != 0 {
			p.from = netip.AddrPortFrom(p.from.Addr(), 40000)
		}
		w.sent = 0
		for range 3 {
			r.handle(now, p)
			r.step(now)
			now = now.Add(300 * time.Millisecond)
		}
		for end := now.Add(10 * time.Second); now < end; {
			r.step(now)
			next := r.next()
			if next <= now {
				t.Fatal("wants to be called again at once")
			}
			now = min(next, end)
		}
		if w.sent > 60 {
			t.Errorf("%d packets sent", w.sent)
		}
		for _, s := range r.segments {
			if len(s.held) > maxHeld || len(s.queue) > len(s.sets) || len(s.last) > len(s.sets) || len(r.past) > maxPast {
				t.Errorf("grown: %d held, %d in the queue, %d past", len(s.held), len(s.queue), len(r.past))
			}
		}
	})
}

// FuzzParse compares with the DNS library: what it reads parse reads as well,
// but for a header that counts more records than there are.
func FuzzParse(f *testing.F) {
	seedPackets(f)
	f.Fuzz(func(t *testing.T, _ byte, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		whole := new(dns.Msg)
		if whole.Unpack(data) == nil && len(whole.Question) != len(m.Question) {
			t.Errorf("%d questions, want %d", len(m.Question), len(whole.Question))
		}
		for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
			for _, rr := range section {
				rdata(rr)
				addressOf(rr)
				if name := rr.Header().Name; !strings.HasSuffix(fold(name), ".") {
					t.Errorf("name %q", name)
				}
			}
		}
	})
}

// FuzzCatalogue feeds a browser's catalogue from the network and the library.
func FuzzCatalogue(f *testing.F) {
	f.Add(`K\195\188che\.`, "tv.local.", `a=\\1`, []byte{})
	data, _ := reply(&dns.A{Hdr: header("tv.local.", dns.TypeA, 120), A: []byte{10, 0, 0, 1}}).Pack()
	f.Add("TV", "tv.local.", "", data)
	f.Fuzz(func(t *testing.T, instance, host, txt string, data []byte) {
		c := newCatalogue()
		c.found(found(instance, host, 7000, txt))
		c.heard(lan(1, "10.0.0.2/8"), packet{data: data, index: 1, from: netip.MustParseAddrPort("10.0.0.9:5353"), multicast: true})
		for _, e := range c.news() {
			if len(e.Addrs) == 0 || e.Instance == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// FuzzName takes any label through a packet and back.
func FuzzName(f *testing.F) {
	f.Add("Living Room")
	f.Add(`a\b.c (2)`)
	f.Fuzz(func(t *testing.T, raw string) {
		if back := unescape(escapeLabel(raw)); back != raw {
			t.Fatalf("%q came back as %q", raw, back)
		}
		base, n := splitNumber(raw)
		if numbered(base, n, len(raw)) != raw {
			t.Errorf("%q is split into %q and %d", raw, base, n)
		}
		if raw == "" || len(raw) > maxLabel {
			return
		}
		name := escapeLabel(raw) + localDomain
		data, err := query(name, dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		if m, err := parse(data); err != nil || m.Question[0].Name != name {
			t.Errorf("%q: %v, %v", name, m, err)
		}
	})
}

// FuzzNetlink reads notifications; the kernel writes them, but a length in
// them must not be able to end the process.
func FuzzNetlink(f *testing.F) {
	f.Add([]byte("\x20\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) { parseChange(raw) })
}

// BenchmarkHandle measures what a packet costs, next to the rate at which they
// are let in.
func BenchmarkHandle(b *testing.B) {
	ask, _ := query("_airplay._tcp.local.", dns.TypePTR).Pack()
	large := query("_airplay._tcp.local.", dns.TypePTR)
	large.Compress = true
	for len(large.Answer) < 400 {
		large.Answer = append(large.Answer, &dns.PTR{Hdr: header("_airplay._tcp.local.", dns.TypePTR, 4500), Ptr: "x._airplay._tcp.local."})
	}
	most, _ := large.Pack()
	hostile := newResponse()
	for len(hostile.Answer) < 250 {
		hostile.Answer = append(hostile.Answer, &dns.TXT{Hdr: header(tvAirPlay, dns.TypeTXT, 4500), Txt: []string{"x"}})
	}
	claims, _ := hostile.Pack()
	for _, c := range []struct {
		name string
		data []byte
	}{{"question", ask}, {"known answers", most}, {"claims", claims}} {
		b.Run(c.name, func(b *testing.B) {
			r, _, now := sunk(b, true)
			for i := range maxPast {
				_ = r.setTXT(now, TypeAirPlay, []string{fmt.Sprint("n=", i)})
			}
			p := packet{data: c.data, index: 1, from: netip.MustParseAddrPort("192.168.1.9:5353"), multicast: true}
			b.SetBytes(int64(len(c.data) + packetCost))
			b.ReportAllocs()
			for b.Loop() {
				r.handle(now, p)
				r.step(now)
				now = now.Add(time.Millisecond)
			}
		})
	}
}
