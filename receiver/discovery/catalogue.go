package discovery

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/grandcat/zeroconf"
	"github.com/miekg/dns"
)

// Entry is a service found on the network.
type Entry struct {
	Instance string       // "Living Room"
	Host     string       // "aerie-a1b2c3.local."
	Addrs    []netip.Addr // at least one: IPv4 first, link-local IPv6 with its zone last
	Port     uint16
	TXT      []string // "key=value" or "key", in the order received
}

func (e Entry) equal(o Entry) bool {
	return e.Instance == o.Instance && e.Host == o.Host && e.Port == o.Port &&
		slices.Equal(e.Addrs, o.Addrs) && slices.Equal(e.TXT, o.TXT)
}

// Limits against a network full of invented services and hosts.
const (
	maxEntries   = 512
	maxHosts     = 1024
	maxAddresses = 16 // of a host
)

// catalogue joins the services that zeroconf has found with the addresses of
// their hosts, as they were heard on the links themselves: zeroconf does not
// say on which link, and does not care whether it was one.
type catalogue struct {
	services map[string]Entry               // by folded instance, without addresses
	told     map[string]Entry               // likewise, as last returned by news
	hosts    map[string]map[netip.Addr]bool // by folded host name
}

func newCatalogue() *catalogue {
	return &catalogue{
		services: make(map[string]Entry),
		told:     make(map[string]Entry),
		hosts:    make(map[string]map[netip.Addr]bool),
	}
}

// found takes in a service. Names and TXT records come in presentation form.
func (c *catalogue) found(s *zeroconf.ServiceEntry) {
	e := Entry{Instance: unescape(s.Instance), Host: s.HostName, Port: uint16(s.Port)}
	for _, text := range s.Text {
		if text != "" {
			e.TXT = append(e.TXT, unescape(text))
		}
	}
	key := fold(s.Instance)
	if _, known := c.services[key]; e.Instance == "" || e.Port == 0 || !known && len(c.services) >= maxEntries {
		return
	}
	c.services[key] = e
}

// heard takes in the addresses in a packet that came in on a link.
func (c *catalogue) heard(l link, p packet) {
	if p.from.Port() != mdnsPort || !p.multicast && !l.onLink(p.from.Addr()) {
		return
	}
	m, err := parse(p.data)
	if err != nil || !m.Response {
		return
	}
	for _, section := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range section {
			if addr, ok := addressOf(rr); ok && !addr.IsUnspecified() && !addr.IsMulticast() {
				c.address(fold(rr.Header().Name), scoped(addr, l), rr.Header().Ttl)
			}
		}
	}
}

func scoped(addr netip.Addr, l link) netip.Addr {
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return addr.WithZone(l.name)
	}
	return addr
}

func (c *catalogue) address(host string, addr netip.Addr, ttl uint32) {
	addrs := c.hosts[host]
	switch {
	case ttl == 0:
		delete(addrs, addr)
	case addrs == nil && len(c.hosts) < maxHosts:
		c.hosts[host] = map[netip.Addr]bool{addr: true}
	case addrs != nil && len(addrs) < maxAddresses:
		addrs[addr] = true
	}
}

// news returns the services that are new or not what they were.
func (c *catalogue) news() (entries []Entry) {
	for _, key := range slices.Sorted(maps.Keys(c.services)) {
		e := c.services[key]
		e.Addrs = slices.SortedFunc(maps.Keys(c.hosts[fold(e.Host)]), byReach)
		if len(e.Addrs) > 0 && !e.equal(c.told[key]) {
			c.told[key] = e
			entries = append(entries, e)
		}
	}
	return entries
}

// byReach puts first the addresses that most likely lead there.
func byReach(a, b netip.Addr) int {
	rank := func(a netip.Addr) int {
		switch {
		case a.Is4():
			return 0
		case !a.IsLinkLocalUnicast():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Compare(b))
}
