package ptp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"aerie/receiver/clock"
)

// Master is a clock that others follow: the half of a software sender. It sends
// eight Syncs a second and an Announce a second to one follower, and answers
// its requests.
type Master struct {
	Conn     *net.UDPConn
	Identity uint64
	Quality  Quality        // its Clock is set to Identity
	Event    netip.AddrPort // of the follower; its general port is the next
	Now      func() clock.Remote
}

const (
	syncInterval  = 125 * time.Millisecond
	announceEvery = 8 // Syncs
)

// Run serves the follower until ctx ends, and closes the connection.
func (m *Master) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { m.Conn.Close() })
	defer stop()
	answered := make(chan struct{})
	go func() { defer close(answered); m.answer() }()
	t := time.NewTicker(syncInterval)
	defer t.Stop()
	general := netip.AddrPortFrom(m.Event.Addr(), m.Event.Port()+1)
	for n := uint16(0); ; n++ {
		if n%announceEvery == 0 {
			q := m.Quality
			q.Clock = m.Identity
			m.send(Message{Kind: Announce, Sequence: n / announceEvery, Quality: q}, general)
		}
		stamp := m.Now()
		m.send(Message{Kind: Sync, TwoStep: true, Sequence: n, Interval: -3}, m.Event)
		m.send(Message{Kind: FollowUp, Sequence: n, Interval: -3, Stamp: stamp}, general)
		select {
		case <-ctx.Done():
			<-answered
			return
		case <-t.C:
		}
	}
}

// send sends a message; one that is lost is nothing new to a follower.
func (m *Master) send(x Message, to netip.AddrPort) {
	x.Source = Port{m.Identity, 1}
	_, _ = m.Conn.WriteToUDPAddrPort(x.AppendTo(nil), to)
}

func (m *Master) answer() {
	buf := make([]byte, MaxSize+1)
	for {
		n, from, err := m.Conn.ReadFromUDPAddrPort(buf)
		stamp := m.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if q, ok := Parse(buf[:n]); err == nil && ok && q.Kind == DelayReq {
			general := netip.AddrPortFrom(from.Addr(), m.Event.Port()+1)
			m.send(Message{Kind: DelayResp, Sequence: q.Sequence, Interval: -3, Stamp: stamp, Requesting: q.Source}, general)
		}
	}
}
