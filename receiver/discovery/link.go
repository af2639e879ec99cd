package discovery

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// link is one network interface and its addresses.
type link struct {
	index    int
	name     string
	mtu      int
	flags    uint32         // IFF_*
	enslaved bool           // a port of a bridge or a bond
	prefixes []netip.Prefix // addresses to be published, each with its network's length, sorted
}

func (l link) loopback() bool { return l.flags&unix.IFF_LOOPBACK != 0 }

// up reports whether the link is switched on and has a carrier.
func (l link) up() bool {
	const want = unix.IFF_UP | unix.IFF_RUNNING
	return l.flags&want == want
}

// onLink reports whether addr is that of a neighbour on the link, or our own.
func (l link) onLink(addr netip.Addr) bool {
	addr = addr.WithZone("")
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// of returns the networks of one address family that the link is on.
func (l link) of(ip6 bool) (nets []netip.Prefix) {
	for _, p := range l.prefixes {
		if p.Addr().Is6() == ip6 {
			nets = append(nets, p)
		}
	}
	return nets
}

// containerLinks begin the default names of the bridges and ports that
// container engines and hypervisors make on their host. No phone is behind
// them, the addresses there are of no use to one, and they come and go with
// every container.
var containerLinks = []string{"docker", "podman", "cni", "flannel", "cali", "veth", "vnet", "virbr", "lxcbr", "lxdbr", "vmnet", "vboxnet"}

// containerLink tells whether a link's name is one of those, or that of one of
// Docker's bridges: "br-" and twelve hexadecimal digits.
func containerLink(name string) bool {
	id, bridge := strings.CutPrefix(name, "br-")
	return slices.ContainsFunc(containerLinks, func(p string) bool { return strings.HasPrefix(name, p) }) ||
		bridge && len(id) == 12 && strings.Trim(id, "0123456789abcdef") == ""
}

// usable chooses the links to work on. With a name it is that link, whatever
// it is, once it is up and has an address. Without, it is every such link that
// takes multicast, except point-to-point ones (tunnels), ports of bridges and
// what containerLink matches; and only if that leaves none, the loopback.
func usable(links []link, name string) (chosen []link) {
	var loopbacks []link
	for _, l := range links {
		switch {
		case !l.up() || len(l.prefixes) == 0:
		case name != "":
			if l.name == name {
				chosen = append(chosen, l)
			}
		case l.loopback():
			loopbacks = append(loopbacks, l)
		case l.flags&unix.IFF_MULTICAST == 0, l.flags&unix.IFF_POINTOPOINT != 0, l.enslaved:
		case containerLink(l.name):
		default:
			chosen = append(chosen, l)
		}
	}
	if name == "" && len(chosen) == 0 {
		return loopbacks
	}
	return chosen
}

// segmentID names a segment: one address family on one link. Each is what RFC
// 6762 calls an interface, with queries, answers and limits of its own
// (section 20).
type segmentID struct {
	index int
	ip6   bool
}

// segmentsOf lists the segments of a link. The loopback has only the IPv4 one:
// the kernel has no route for IPv6 multicast there.
func segmentsOf(l link) (ids []segmentID) {
	if len(l.of(false)) > 0 {
		ids = append(ids, segmentID{l.index, false})
	}
	if len(l.of(true)) > 0 && !l.loopback() {
		ids = append(ids, segmentID{l.index, true})
	}
	return ids
}
