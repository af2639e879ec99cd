package discovery

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/grandcat/zeroconf"
)

func found(instance, host string, port int, txt ...string) *zeroconf.ServiceEntry {
	s := zeroconf.NewServiceEntry(instance, TypeAirPlay, "local.")
	s.HostName, s.Port, s.Text = host, port, txt
	return s
}

func heardFrom(t *testing.T, from string, rrs ...string) packet {
	m := newResponse()
	for _, text := range rrs {
		m.Extra = append(m.Extra, mustRR(t, text))
	}
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet{data: data, from: netip.MustParseAddrPort(from), multicast: true}
}

func TestCatalogue(t *testing.T) {
	c := newCatalogue()
	lan1, lan2 := lan(1, "192.168.1.2/24"), lan(2, "10.0.0.2/8")
	c.found(found(`K\195\188che\.`, "TV.local.", 7000, "a=1", "", `b=\\x\"\001`))
	if got := c.news(); len(got) > 0 {
		t.Errorf("without an address: %+v", got)
	}
	c.heard(lan1, heardFrom(t, "192.168.1.9:5353", "tv.local. 120 A 192.168.1.9", "tv.local. 120 AAAA fe80::9", "tv.local. 120 AAAA 2001:db8::9",
		"other.local. 120 A 192.168.1.10", "tv.local. 120 AAAA ff02::1", "tv.local. 120 A 0.0.0.0"))
	want := Entry{"Küche.", "TV.local.", []netip.Addr{netip.MustParseAddr("192.168.1.9"), netip.MustParseAddr("2001:db8::9"),
		netip.MustParseAddr("fe80::9%lan1")}, 7000, []string{"a=1", "b=\\x\"\x01"}}
	if got := c.news(); len(got) != 1 || !got[0].equal(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if got := c.news(); len(got) > 0 {
		t.Errorf("told again: %+v", got)
	}
	// The same host on another link, and an address taken back.
	c.heard(lan2, heardFrom(t, "10.0.0.9:5353", "TV.local. 120 AAAA fe80::9", "TV.local. 0 A 192.168.1.9"))
	want.Addrs = []netip.Addr{netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("fe80::9%lan1"), netip.MustParseAddr("fe80::9%lan2")}
	if got := c.news(); len(got) != 1 || !got[0].equal(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	c.found(found(`K\195\188CHE\.`, "TV.local.", 7001))
	if got := c.news(); len(got) != 1 || got[0].Port != 7001 || len(got[0].TXT) > 0 {
		t.Errorf("%+v", got)
	}
}

// Addresses are believed only where they come from the link itself.
func TestCatalogueSources(t *testing.T) {
	l := lan(1, "192.168.1.2/24")
	for _, c := range []struct {
		name   string
		change func(*packet)
		want   bool
	}{
		{"to the group", func(*packet) {}, true},
		{"to us alone", func(p *packet) { p.multicast = false }, true},
		{"from elsewhere to us", func(p *packet) { p.multicast, p.from = false, netip.MustParseAddrPort("8.8.8.8:5353") }, false},
		{"from another port", func(p *packet) { p.from = netip.MustParseAddrPort("192.168.1.9:5000") }, false},
		{"a question", func(p *packet) { p.data[2] &^= 0x80 }, false},
		{"cut off", func(p *packet) { p.data = p.data[:20] }, false},
	} {
		cat := newCatalogue()
		p := heardFrom(t, "192.168.1.9:5353", "tv.local. 120 A 192.168.1.9")
		c.change(&p)
		cat.found(found("TV", "tv.local.", 7000))
		cat.heard(l, p)
		if got := len(cat.news()) > 0; got != c.want {
			t.Errorf("%s: believed %v", c.name, got)
		}
	}
}

// A network full of invented machines fills the catalogue up to its limits.
func TestCatalogueLimits(t *testing.T) {
	c := newCatalogue()
	l := lan(1, "10.0.0.2/8")
	for i := range 3000 {
		c.found(found(fmt.Sprint("n", i), "tv.local.", 7000))
		c.heard(l, heardFrom(t, "10.0.0.9:5353", fmt.Sprintf("h%d.local. 120 A 10.0.0.9", i), fmt.Sprintf("h1.local. 120 A 10.0.%d.%d", i>>8, i&255)))
	}
	if len(c.services) != maxEntries || len(c.hosts) != maxHosts || len(c.hosts["h1.local."]) != maxAddresses {
		t.Errorf("%d services, %d hosts, %d addresses", len(c.services), len(c.hosts), len(c.hosts["h1.local."]))
	}
}
