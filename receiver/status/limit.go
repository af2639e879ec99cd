package status

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Limits of connections: in all, and of one address. A browser takes at most
// six.
const (
	maxConns        = 128
	maxConnsAddress = 32
)

// A limiter is a listener that closes connections above the limits as soon as
// they are there, so that nobody waits behind them.
type limiter struct {
	net.Listener
	mu     sync.Mutex
	all    int
	byAddr map[netip.Addr]int
}

func limitConns(ln net.Listener) *limiter {
	return &limiter{Listener: ln, byAddr: make(map[netip.Addr]int)}
}

func (l *limiter) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := network(c.RemoteAddr())
		if l.enter(addr) {
			return &limited{Conn: c, leave: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		c.Close()
	}
}

// network returns the address that stands for a user: an IPv6 host has a
// whole network of 64 bits to itself.
func network(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		prefix, _ := ip.Prefix(64) // fails for no IPv6 address
		return prefix.Addr()
	}
	return ip
}

func (l *limiter) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConns || l.byAddr[addr] >= maxConnsAddress {
		return false
	}
	l.all++
	l.byAddr[addr]++
	return true
}

func (l *limiter) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.byAddr[addr]--; l.byAddr[addr] == 0 {
		delete(l.byAddr, addr)
	}
}

type limited struct {
	net.Conn
	leave func()
}

func (c *limited) Close() error {
	c.leave()
	return c.Conn.Close()
}

// SyscallConn gives access to the options of the socket.
func (c *limited) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
