package discovery

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUsable(t *testing.T) {
	named := func(name string, flags uint32) link {
		l := lan(1, "10.0.0.1/8")
		l.name, l.flags = name, unix.IFF_UP|unix.IFF_RUNNING|flags
		return l
	}
	lo := named("lo", unix.IFF_LOOPBACK)
	eth, wlan := named("eth0", unix.IFF_MULTICAST), named("wlan0", unix.IFF_MULTICAST)
	down := eth
	down.flags = unix.IFF_MULTICAST
	noCarrier := eth
	noCarrier.flags = unix.IFF_UP | unix.IFF_MULTICAST
	bare := eth
	bare.prefixes = nil
	port := eth
	port.enslaved = true
	tunnel := named("wg0", unix.IFF_POINTOPOINT|unix.IFF_MULTICAST)
	var containers []link
	for _, name := range []string{"docker0", "br-0123456789ab", "veth12ab", "virbr0", "cni0", "podman1", "lxcbr0", "lxdbr0", "vnet3", "vboxnet0"} {
		containers = append(containers, named(name, unix.IFF_MULTICAST))
	}
	for i, c := range []struct {
		links []link
		name  string
		want  []string
	}{
		{[]link{lo, eth, wlan}, "", []string{"eth0", "wlan0"}},
		{[]link{lo, eth, wlan}, "wlan0", []string{"wlan0"}},
		{[]link{lo, eth, wlan}, "lo", []string{"lo"}},
		{[]link{lo, eth}, "wlan0", nil},
		{[]link{lo, down}, "", []string{"lo"}},
		{[]link{lo, noCarrier}, "", []string{"lo"}},
		{[]link{lo, bare}, "", []string{"lo"}},
		{[]link{lo, port, tunnel}, "", []string{"lo"}},
		{[]link{lo, down}, "eth0", nil},
		{[]link{lo, tunnel}, "wg0", []string{"wg0"}},
		{append([]link{eth}, containers...), "", []string{"eth0"}},
		{containers, "docker0", []string{"docker0"}},
		{append([]link{named("br0", unix.IFF_MULTICAST), named("br-lan", unix.IFF_MULTICAST)}, containers...), "", []string{"br0", "br-lan"}},
		{nil, "", nil},
	} {
		var got []string
		for _, l := range usable(c.links, c.name) {
			got = append(got, l.name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("case %d: %q, want %q", i, got, c.want)
		}
	}
}

func TestOnLink(t *testing.T) {
	l := lan(1, "192.168.1.2/24", "2001:db8::2/64")
	for addr, want := range map[string]bool{
		"192.168.1.77": true, "192.168.2.1": false, "0.0.0.0": false, "2001:db8::77": true, "2001:db9::1": false,
		"fe80::1": true, "fe80::1%lan1": true, "::1": false, "169.254.1.1": false,
	} {
		if got := l.onLink(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// The kernel's own list, in a network of one loopback.
func TestListLinks(t *testing.T) {
	if !alone(t) {
		return
	}
	links, err := listLinks()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(links, link.loopback)
	if i < 0 {
		t.Fatalf("no loopback in %+v", links)
	}
	lo := links[i]
	want := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}
	if lo.name != "lo" || lo.mtu != 65536 || !lo.up() || lo.enslaved || !slices.Equal(lo.prefixes, want) {
		t.Errorf("%+v", lo)
	}
	if got := segmentsOf(lo); !slices.Equal(got, []segmentID{{lo.index, false}}) {
		t.Errorf("segments %v", got)
	}
}

// netlinkMessage builds a message as the kernel would.
func netlinkMessage(typ uint16, body []byte, attrs map[uint16][]byte) syscall.NetlinkMessage {
	m := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: typ}, Data: slices.Clone(body)}
	for typ, value := range attrs {
		m.Data = binary.NativeEndian.AppendUint16(m.Data, uint16(4+len(value)))
		m.Data = binary.NativeEndian.AppendUint16(m.Data, typ)
		m.Data = append(m.Data, value...)
		for len(m.Data)%4 != 0 {
			m.Data = append(m.Data, 0)
		}
	}
	return m
}

func TestParseAddress(t *testing.T) {
	flags := func(f uint32) []byte { return binary.NativeEndian.AppendUint32(nil, f) }
	v4, v6 := netip.MustParseAddr("10.0.0.1").AsSlice(), netip.MustParseAddr("fe80::1").AsSlice()
	for _, c := range []struct {
		name  string
		attrs map[uint16][]byte
		want  string
	}{
		{"IPv4", map[uint16][]byte{unix.IFA_LOCAL: v4, unix.IFA_ADDRESS: v4}, "10.0.0.1/24"},
		{"with a peer", map[uint16][]byte{unix.IFA_LOCAL: v4, unix.IFA_ADDRESS: {10, 0, 0, 9}}, "10.0.0.1/24"},
		{"IPv6", map[uint16][]byte{unix.IFA_ADDRESS: v6}, "fe80::1/24"},
		{"permanent", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_PERMANENT)}, "fe80::1/24"},
		{"tentative", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_TENTATIVE)}, ""},
		{"optimistic", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC)}, "fe80::1/24"},
		{"a duplicate", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_DADFAILED)}, ""},
		{"deprecated", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_DEPRECATED)}, ""},
		{"temporary", map[uint16][]byte{unix.IFA_ADDRESS: v6, unix.IFA_FLAGS: flags(unix.IFA_F_TEMPORARY)}, ""},
		{"secondary IPv4", map[uint16][]byte{unix.IFA_LOCAL: v4, unix.IFA_FLAGS: flags(unix.IFA_F_SECONDARY)}, "10.0.0.1/24"},
		{"odd length", map[uint16][]byte{unix.IFA_ADDRESS: {1, 2, 3}}, ""},
		{"nothing", nil, ""},
	} {
		index, prefix, ok := parseAddress(netlinkMessage(unix.RTM_NEWADDR, []byte{2, 24, 0, 0, 7, 0, 0, 0}, c.attrs))
		if ok != (c.want != "") || ok && (prefix.String() != c.want || index != 7) {
			t.Errorf("%s: %v on link %d, %v", c.name, prefix, index, ok)
		}
	}
}

func TestParseChange(t *testing.T) {
	link := func(typ uint16, flags uint32) []byte {
		body := binary.NativeEndian.AppendUint32([]byte{0, 0, 1, 0, 7, 0, 0, 0}, flags)
		m := netlinkMessage(typ, append(body, 0, 0, 0, 0), nil)
		head := binary.NativeEndian.AppendUint32(nil, uint32(16+len(m.Data)))
		head = binary.NativeEndian.AppendUint16(head, typ)
		return append(append(head, make([]byte, 10)...), m.Data...)
	}
	up := uint32(unix.IFF_UP | unix.IFF_RUNNING)
	for _, c := range []struct {
		name string
		raw  []byte
		ok   bool
		lost []int
	}{
		{"up", link(unix.RTM_NEWLINK, up), true, nil},
		{"down", link(unix.RTM_NEWLINK, 0), true, []int{7}},
		{"no carrier", link(unix.RTM_NEWLINK, unix.IFF_UP), true, []int{7}},
		{"removed", link(unix.RTM_DELLINK, up), true, []int{7}},
		{"an address", link(unix.RTM_NEWADDR, 0), true, nil},
		{"a route", link(unix.RTM_NEWROUTE, 0), false, nil},
		{"down and up", append(link(unix.RTM_NEWLINK, 0), link(unix.RTM_NEWLINK, up)...), true, []int{7}},
		{"nothing", nil, false, nil},
	} {
		if got, ok := parseChange(c.raw); ok != c.ok || !slices.Equal(got.lost, c.lost) {
			t.Errorf("%s: %v, %v", c.name, got, ok)
		}
	}
}
