package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// The port and the groups of mDNS (RFC 6762 section 3).
const mdnsPort = 5353

var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 251})
	group6 = netip.MustParseAddr("ff02::fb")
)

// ErrPort is wrapped by the error of Announce when the mDNS port cannot be
// opened. The receiver works without, but no phone will list it.
var ErrPort = errors.New("UDP port 5353 (mDNS) cannot be opened")

// sockets are the two sockets of the mDNS port, one for each address family.
// They are open to other responders on the same port: multicast packets reach
// every socket, unicast ones only one of them.
type sockets struct {
	iface    string // work on this link only, if not empty
	v4       *ipv4.PacketConn
	v6       *ipv6.PacketConn
	log      *slog.Logger
	counters *Counters

	packets chan packet
	closing chan struct{}
	readers sync.WaitGroup

	mu     sync.Mutex
	joined []segmentID
	source map[int]net.IP // of a loopback, which the kernel would not choose
}

// openSockets opens the port. One family is enough.
func openSockets(iface string, log *slog.Logger, counters *Counters) (*sockets, error) {
	s := &sockets{
		iface: iface, log: log, counters: counters,
		packets: make(chan packet), closing: make(chan struct{}),
		source: make(map[int]net.IP),
	}
	err4 := s.open4()
	err6 := s.open6()
	if err4 != nil && err6 != nil {
		err := fmt.Errorf("discovery: %w: %w", ErrPort, err4)
		if errors.Is(err4, unix.EADDRINUSE) {
			err = fmt.Errorf("%w: another program does not share it", err)
		}
		return nil, err
	}
	if err := errors.Join(err4, err6); err != nil {
		log.Info("discovery: mDNS works on one address family only", "err", err)
	}
	if s.v4 != nil {
		s.readers.Go(func() { s.read(s.read4) })
	}
	if s.v6 != nil {
		s.readers.Go(func() { s.read(s.read6) })
	}
	return s, nil
}

func (s *sockets) open4() error {
	c, err := listen("udp4", "0.0.0.0:5353", func(fd int) error {
		// Without, packets arrive from every link that any program has joined.
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
	})
	if err != nil {
		return err
	}
	pc := ipv4.NewPacketConn(c)
	err = errors.Join(
		pc.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true),
		pc.SetMulticastLoopback(true), // for other programs on this machine
		pc.SetMulticastTTL(255),
		pc.SetTTL(255))
	if err != nil {
		pc.Close()
		return err
	}
	s.v4 = pc
	return nil
}

func (s *sockets) open6() error {
	c, err := listen("udp6", "[::]:5353", func(fd int) error {
		// Kernels before 4.20 do not know it. There packets from other links
		// arrive, and are dropped by the number of the link.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	})
	if err != nil {
		return err
	}
	pc := ipv6.NewPacketConn(c)
	err = errors.Join(
		pc.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true),
		pc.SetMulticastLoopback(true),
		pc.SetMulticastHopLimit(255),
		pc.SetHopLimit(255))
	if err != nil {
		pc.Close()
		return err
	}
	s.v6 = pc
	return nil
}

// listen opens a port that others may have open too.
func listen(network, address string, set func(fd int) error) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
				set(int(fd)))
		})
		return errors.Join(control, err)
	}}
	return lc.ListenPacket(context.Background(), network, address)
}

// links lists the links to work on and joins the mDNS groups on them.
func (s *sockets) links() ([]link, error) {
	all, err := listLinks()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen := usable(all, s.iface)
	var wanted []segmentID
	for _, l := range chosen {
		wanted = append(wanted, segmentsOf(l)...)
		if nets := l.of(false); l.loopback() && len(nets) > 0 {
			s.source[l.index] = nets[0].Addr().AsSlice()
		}
	}
	for _, id := range s.joined {
		if !slices.Contains(wanted, id) {
			s.leave(id)
		}
	}
	for _, id := range wanted {
		// Again for those joined: a link may have gone and come back. One that
		// did not go says that the address is in use.
		if err := s.join(id); err != nil && !errors.Is(err, unix.EADDRINUSE) {
			s.log.Debug("discovery: cannot join the mDNS group", "link", id.index, "ipv6", id.ip6, "err", err)
		}
	}
	s.joined = wanted
	return chosen, nil
}

func (s *sockets) join(id segmentID) error {
	ifi := &net.Interface{Index: id.index}
	switch {
	case id.ip6 && s.v6 != nil:
		return s.v6.JoinGroup(ifi, &net.UDPAddr{IP: group6.AsSlice()})
	case !id.ip6 && s.v4 != nil:
		return s.v4.JoinGroup(ifi, &net.UDPAddr{IP: group4.AsSlice()})
	}
	return nil
}

// leave undoes join. It fails if the link is gone, and with it the membership.
func (s *sockets) leave(id segmentID) {
	ifi := &net.Interface{Index: id.index}
	if id.ip6 && s.v6 != nil {
		_ = s.v6.LeaveGroup(ifi, &net.UDPAddr{IP: group6.AsSlice()})
	} else if !id.ip6 && s.v4 != nil {
		_ = s.v4.LeaveGroup(ifi, &net.UDPAddr{IP: group4.AsSlice()})
	}
}

// errNoFamily is the reason why nothing is sent on a segment whose address
// family has no socket.
var errNoFamily = errors.New("address family not available")

func (s *sockets) send(id segmentID, to netip.AddrPort, data []byte) error {
	if !to.IsValid() {
		group := group4
		if id.ip6 {
			group = group6
		}
		to = netip.AddrPortFrom(group, mdnsPort)
	}
	dst := net.UDPAddrFromAddrPort(to)
	var err error
	switch {
	case id.ip6 && s.v6 != nil:
		_, err = s.v6.WriteTo(data, &ipv6.ControlMessage{IfIndex: id.index}, dst)
	case !id.ip6 && s.v4 != nil:
		s.mu.Lock()
		cm := &ipv4.ControlMessage{IfIndex: id.index, Src: s.source[id.index]}
		s.mu.Unlock()
		_, err = s.v4.WriteTo(data, cm, dst)
	default:
		err = errNoFamily
	}
	return err
}

// arrival says where a datagram came from and on which link.
type arrival struct {
	from  net.Addr
	index int
	dst   net.IP
}

func (s *sockets) read4(buf []byte) (n int, a arrival, err error) {
	n, cm, from, err := s.v4.ReadFrom(buf)
	if cm != nil {
		a.index, a.dst = cm.IfIndex, cm.Dst
	}
	a.from = from
	return n, a, err
}

func (s *sockets) read6(buf []byte) (n int, a arrival, err error) {
	n, cm, from, err := s.v6.ReadFrom(buf)
	if cm != nil {
		a.index, a.dst = cm.IfIndex, cm.Dst
	}
	a.from = from
	return n, a, err
}

// read hands packets on, one at a time: while nobody takes them they wait in
// the socket, and the kernel drops what does not fit there. A socket that
// fails again and again is read ever more rarely.
func (s *sockets) read(from func([]byte) (int, arrival, error)) {
	buf := make([]byte, maxPacket+1)
	var pause time.Duration
	for {
		n, a, err := from(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.counters.ReceiveFailed.Inc()
			pause = min(2*pause+10*time.Millisecond, time.Second)
			select {
			case <-time.After(pause):
			case <-s.closing:
				return
			}
			continue
		}
		pause = 0
		udp, ok := a.from.(*net.UDPAddr)
		if !ok {
			continue
		}
		sender := udp.AddrPort()
		p := packet{
			data:      slices.Clone(buf[:n]),
			index:     a.index,
			from:      netip.AddrPortFrom(sender.Addr().Unmap(), sender.Port()),
			multicast: a.dst.IsMulticast(),
		}
		select {
		case s.packets <- p:
		case <-s.closing:
			return
		}
	}
}

// close closes the port and waits for the readers.
func (s *sockets) close() {
	close(s.closing)
	if s.v4 != nil {
		s.v4.Close()
	}
	if s.v6 != nil {
		s.v6.Close()
	}
	s.readers.Wait()
}
