package discovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// listLinks asks the kernel for all links and their addresses (rtnetlink(7)).
// The addresses left out are those a phone must not be told: not yet checked
// for duplicates, deprecated, and temporary ones, which change every day.
func listLinks() ([]link, error) {
	byIndex := make(map[int]*link)
	err := dump(unix.RTM_GETLINK, func(m syscall.NetlinkMessage) {
		if l, ok := parseLink(m); ok {
			byIndex[l.index] = &l
		}
	})
	if err != nil {
		return nil, fmt.Errorf("discovery: list links: %w", err)
	}
	err = dump(unix.RTM_GETADDR, func(m syscall.NetlinkMessage) {
		if index, prefix, ok := parseAddress(m); ok && byIndex[index] != nil {
			byIndex[index].prefixes = append(byIndex[index].prefixes, prefix)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("discovery: list addresses: %w", err)
	}
	var links []link
	for _, l := range byIndex {
		slices.SortFunc(l.prefixes, netip.Prefix.Compare)
		links = append(links, *l)
	}
	slices.SortFunc(links, func(a, b link) int { return a.index - b.index })
	return links, nil
}

func dump(request int, each func(syscall.NetlinkMessage)) error {
	raw, err := syscall.NetlinkRIB(request, unix.AF_UNSPEC)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return err
	}
	for _, m := range messages {
		each(m)
	}
	return nil
}

func parseLink(m syscall.NetlinkMessage) (l link, ok bool) {
	if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK || len(m.Data) < unix.SizeofIfInfomsg {
		return l, false
	}
	l.index = int(int32(binary.NativeEndian.Uint32(m.Data[4:])))
	l.flags = binary.NativeEndian.Uint32(m.Data[8:])
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return l, false
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(a.Value)
		case unix.IFLA_MTU:
			if len(a.Value) >= 4 {
				l.mtu = int(binary.NativeEndian.Uint32(a.Value))
			}
		case unix.IFLA_MASTER:
			l.enslaved = true
		}
	}
	return l, true
}

func parseAddress(m syscall.NetlinkMessage) (index int, prefix netip.Prefix, ok bool) {
	if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
		return 0, prefix, false
	}
	bits, flags := int(m.Data[1]), uint32(m.Data[2])
	index = int(binary.NativeEndian.Uint32(m.Data[4:]))
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return 0, prefix, false
	}
	var own, peer netip.Addr
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFA_LOCAL:
			own, _ = netip.AddrFromSlice(a.Value)
		case unix.IFA_ADDRESS: // with a peer its address, else our own
			peer, _ = netip.AddrFromSlice(a.Value)
		case unix.IFA_FLAGS: // all 32 bits of the flags
			if len(a.Value) >= 4 {
				flags = binary.NativeEndian.Uint32(a.Value)
			}
		}
	}
	if !own.IsValid() {
		own = peer
	}
	const unfit = unix.IFA_F_DADFAILED | unix.IFA_F_DEPRECATED
	switch {
	case !own.IsValid(), flags&unfit != 0:
		return 0, prefix, false
	case flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0:
		return 0, prefix, false
	case own.Is6() && flags&unix.IFA_F_TEMPORARY != 0:
		return 0, prefix, false
	}
	return index, netip.PrefixFrom(own, bits), true
}

// change is what a watch has seen since it was last asked.
type change struct {
	lost []int // links that were down, if only for a moment
}

// watch tells of changes to links and addresses as they happen. It says when,
// not what: the listener lists the links again.
type watch struct {
	file    *os.File
	changes chan change
	closed  chan struct{}
}

// newWatch subscribes to the kernel's link and address notifications.
func newWatch() (*watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("discovery: watch links: %w", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("discovery: watch links: %w", err)
	}
	w := &watch{
		file:    os.NewFile(uintptr(fd), "netlink"),
		changes: make(chan change),
		closed:  make(chan struct{}),
	}
	go w.read()
	return w, nil
}

func (w *watch) close() {
	close(w.closed)
	w.file.Close()
}

func (w *watch) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.file.Read(buf)
		var c change
		ok := true
		switch {
		case err == nil:
			c, ok = parseChange(buf[:n])
		case errors.Is(err, unix.ENOBUFS): // notifications were lost: the new list will tell
		default:
			return
		}
		if !ok {
			continue
		}
		select {
		case w.changes <- c:
		case <-w.closed:
			return
		}
	}
}

// parseChange reads one datagram of notifications. ok is false if none of
// them is about links or addresses.
func parseChange(raw []byte) (c change, ok bool) {
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return c, true
	}
	for _, m := range messages {
		switch m.Header.Type {
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			ok = true
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			ok = true
			if l, is := parseLink(m); is && (m.Header.Type == unix.RTM_DELLINK || !l.up()) {
				c.lost = append(c.lost, l.index)
			}
		}
	}
	return c, ok
}
