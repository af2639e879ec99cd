package discovery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"aerie/receiver/clock"
)

// ether is a network in memory on simulated time: cables, to which responders
// and bare stations are plugged.
type ether struct {
	t       *testing.T
	rand    *rand.Rand
	now     clock.Time
	events  []event // in order of time
	hosts   []*host
	latency time.Duration // upper bound of a packet's random delay
	loss    float64       // part of the packets that do not arrive at a host
}

type event struct {
	at  clock.Time
	act func()
}

// host is one machine on the ether: a responder, or a station that only
// records what it hears if r is nil.
type host struct {
	e      *ether
	name   string
	r      *responder
	ports  []*port
	heard  []sighting
	status []Status
	log    bytes.Buffer
	broken error // what sending fails with
}

type port struct {
	link  link
	cable int // 0: unplugged
}

type sighting struct {
	at   clock.Time
	from netip.AddrPort
	to   netip.AddrPort // zero: all
	msg  *dns.Msg
	size int
}

func newEther(t *testing.T, seed uint64) *ether {
	return &ether{t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: clock.Time(time.Hour), latency: time.Millisecond}
}

func lan(index int, prefixes ...string) link {
	l := link{index: index, name: fmt.Sprintf("lan%d", index), mtu: 1500,
		flags: unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_MULTICAST | unix.IFF_BROADCAST}
	for _, p := range prefixes {
		l.prefixes = append(l.prefixes, netip.MustParsePrefix(p))
	}
	slices.SortFunc(l.prefixes, netip.Prefix.Compare)
	return l
}

// station plugs in a machine without a responder.
func (e *ether) station(name, prefix string) *host {
	h := &host{e: e, name: name, ports: []*port{{lan(1, prefix), 1}}}
	e.hosts = append(e.hosts, h)
	return h
}

func testServices(name string) []Service {
	return []Service{
		AirPlay(name, 7000, []string{"deviceid=AA:BB:CC:A1:B2:C3", "features=0x527FFEE6,0x0"}),
		RAOP("AA:BB:CC:A1:B2:C3", name, 7000, []string{"txtvers=1", "ch=2"}),
	}
}

// responder plugs in a machine with a responder that is not yet started.
func (e *ether) responder(name, hostLabel string, links ...link) *host {
	h := &host{e: e, name: hostLabel}
	for _, l := range links {
		h.ports = append(h.ports, &port{l, 1})
	}
	id, err := newIdentity(name, hostLabel, testServices(name))
	if err != nil {
		e.t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(e.rand.Uint64(), 2))
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	h.r = newResponder(id, h, random, log, new(Counters), func(s Status) { h.status = append(h.status, s) })
	e.hosts = append(e.hosts, h)
	return h
}

func (h *host) start() {
	if err := h.r.start(h.e.now); err != nil {
		h.e.t.Fatal(err)
	}
}

func (h *host) links() (ls []link, err error) {
	for _, p := range h.ports {
		if p.cable != 0 {
			ls = append(ls, p.link)
		}
	}
	return usable(ls, ""), nil
}

func (h *host) send(id segmentID, to netip.AddrPort, data []byte) error {
	if h.broken != nil {
		return h.broken
	}
	for _, p := range h.ports {
		if p.link.index == id.index && p.cable != 0 {
			h.e.carry(h, p, id.ip6, mdnsPort, to, data)
			return nil
		}
	}
	return errors.New("network is down")
}

// carry takes a packet to all ports on the cable, the sender's own included.
func (e *ether) carry(from *host, p *port, ip6 bool, srcPort uint16, to netip.AddrPort, data []byte) {
	src := netip.AddrPortFrom(p.link.of(ip6)[0].Addr(), srcPort)
	for _, h := range e.hosts {
		for _, q := range h.ports {
			nets := q.link.of(ip6)
			mine := slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Addr() == to.Addr() })
			if q.cable != p.cable || len(nets) == 0 || to.IsValid() && !mine {
				continue
			}
			if h != from && e.rand.Float64() < e.loss {
				continue
			}
			delay := time.Duration(e.rand.Int64N(int64(e.latency)))
			e.after(delay, func() { h.receive(q, packet{slices.Clone(data), q.link.index, src, !to.IsValid()}, to) })
		}
	}
}

func (h *host) receive(p *port, in packet, to netip.AddrPort) {
	if p.cable == 0 {
		return
	}
	if m := new(dns.Msg); m.Unpack(in.data) == nil {
		h.heard = append(h.heard, sighting{h.e.now, in.from, to, m, len(in.data)})
	}
	if h.r != nil {
		h.r.handle(h.e.now, in)
	}
}

// say sends a message from a station's first port to all.
func (h *host) say(m *dns.Msg) { h.sayFrom(mdnsPort, netip.AddrPort{}, m) }

func (h *host) sayFrom(srcPort uint16, to netip.AddrPort, m *dns.Msg) {
	data, err := m.Pack()
	if err != nil {
		h.e.t.Fatal(err)
	}
	p := h.ports[0]
	h.e.carry(h, p, p.link.prefixes[0].Addr().Is6(), srcPort, to, data)
}

func (e *ether) after(d time.Duration, act func()) {
	at := e.now.Add(d)
	i, _ := slices.BinarySearchFunc(e.events, at, func(ev event, at clock.Time) int {
		return cmp.Or(cmp.Compare(ev.at, at), -1) // behind those of the same time
	})
	e.events = slices.Insert(e.events, i, event{at, act})
}

// run lets time pass.
func (e *ether) run(d time.Duration) {
	end := e.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			e.t.Fatal("the network does not come to rest")
		}
		at := end
		if len(e.events) > 0 {
			at = min(at, e.events[0].at)
		}
		for _, h := range e.hosts {
			if h.r != nil {
				at = min(at, max(h.r.next(), e.now))
			}
		}
		e.now = at
		for len(e.events) > 0 && e.events[0].at <= e.now {
			act := e.events[0].act
			e.events = e.events[1:]
			act()
		}
		for _, h := range e.hosts {
			if h.r == nil {
				continue
			}
			h.r.step(e.now)
			if next := h.r.next(); next <= e.now {
				e.t.Fatalf("%s wants to be called again at once: a busy loop", h.name)
			}
		}
		if e.now >= end {
			return
		}
	}
}

// last returns a host's last status.
func (h *host) last() Status {
	if len(h.status) == 0 {
		return Status{}
	}
	return h.status[len(h.status)-1]
}

// forget drops what a host has heard so far.
func (h *host) forget() { h.heard = nil }

// answers lists the records in the answer section that match, in all messages
// heard, with the time in milliseconds since a given instant.
func (h *host) answers(since clock.Time, typ uint16, name string) (at []int64) {
	for _, s := range h.heard {
		for _, rr := range s.msg.Answer {
			if s.msg.Response && rr.Header().Rrtype == typ && fold(rr.Header().Name) == fold(name) {
				at = append(at, s.at.Sub(since).Milliseconds())
			}
		}
	}
	return at
}

func query(name string, typ uint16) *dns.Msg {
	return &dns.Msg{Question: []dns.Question{{Name: name, Qtype: typ, Qclass: dns.ClassINET}}}
}

func mustRR(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func reply(rrs ...dns.RR) *dns.Msg {
	m := newResponse()
	m.Answer = rrs
	return m
}
