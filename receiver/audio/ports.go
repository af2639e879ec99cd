package audio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"aerie/receiver/clock"
)

// Ports is the pair of UDP sockets of a stream. Both carry what only the
// sender may send, so packets from other addresses are dropped.
type Ports struct {
	Stream  *Stream
	Data    *net.UDPConn
	Control *net.UDPConn
	Peer    netip.AddrPort // the sender's control port; port 0 if it has none
	Clock   *clock.Sender
	Now     func() clock.Time
	// Delay stands for the first sync packet until it comes: how long after
	// its arrival the sound of the first packet is heard.
	Delay time.Duration
	// Arrived is told of each new packet: when its sound is to be heard, and
	// when it came. Nil for nobody.
	Arrived func(heard clock.Remote, at clock.Time)

	active atomic.Int64 // clock.Time of the last packet
}

// Active returns when the last packet came, 0 before the first.
func (p *Ports) Active() clock.Time { return clock.Time(p.active.Load()) }

// resendPoll is how often gaps are looked at while there are any.
const resendPoll = 20 * time.Millisecond

// Run reads both ports until ctx ends, and closes them.
func (p *Ports) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { p.Data.Close(); p.Control.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.read(p.Control, p.control)
	}()
	p.read(p.Data, p.data)
	<-done
}

// read hands every packet from the sender to take. While packets are missing
// it wakes up to ask for them.
func (p *Ports) read(c *net.UDPConn, take func([]byte)) {
	buf := make([]byte, headerSize+p.Stream.Format.MaxPayload())
	peer := p.Peer.Addr().Unmap().WithZone("")
	for waiting := false; ; {
		if err := c.SetReadDeadline(wake(waiting)); err != nil {
			return
		}
		n, from, err := c.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// A time-out; anything else concerns one packet.
		case from.Addr().Unmap().WithZone("") != peer:
			p.Stream.Counts.Strangers.Inc()
		default:
			take(buf[:n])
		}
		waiting = c == p.Data && p.ask()
	}
}

func wake(waiting bool) time.Time {
	if !waiting {
		return time.Time{}
	}
	return time.Now().Add(resendPoll)
}

func (p *Ports) data(b []byte) {
	d, ok := ParseData(b)
	if !ok {
		p.Stream.Counts.Malformed.Inc()
		return
	}
	p.put(d)
}

func (p *Ports) put(d Data) {
	now, est := p.Now(), p.Clock.Estimate()
	p.active.Store(int64(now))
	heard, fresh := p.Stream.Put(d, est.ToRemote(now), p.Delay)
	if fresh && p.Arrived != nil {
		p.Arrived(heard, now)
	}
}

func (p *Ports) control(b []byte) {
	if s, ok := ParseSync(b); ok {
		if !s.PTP {
			// It is sent at the instant it tells.
			p.Clock.Arrived(s.At, p.Now())
		}
		p.Stream.Sync(s)
		return
	}
	if d, ok := parseResendReply(b); ok {
		p.put(d)
		return
	}
	if len(b) < 2 || b[1]&0x7f != typeResendReply {
		p.Stream.Counts.Malformed.Inc()
	}
}

// ask sends the resend requests that are due.
func (p *Ports) ask() bool {
	if p.Peer.Port() == 0 {
		return false
	}
	return p.Stream.Requests(p.Now(), func(r Resend) {
		var b [8]byte
		// A request that cannot be sent is as good as lost.
		_, _ = p.Control.WriteToUDPAddrPort(r.AppendTo(b[:0]), p.Peer)
	})
}

// ListenPair opens two UDP sockets on the given host, on the ports base and
// base+1, or on any free ones for base 0.
func ListenPair(host netip.Addr, base int) (data, control *net.UDPConn, err error) {
	listen := func(port int) (*net.UDPConn, error) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, uint16(port))))
		if err != nil {
			return nil, fmt.Errorf("audio: %w", err)
		}
		// A burst of a second fits; the default of most systems holds it too.
		_ = c.SetReadBuffer(256 << 10)
		return c, nil
	}
	second := 0
	if base != 0 {
		second = base + 1
	}
	if data, err = listen(base); err != nil {
		return nil, nil, err
	}
	if control, err = listen(second); err != nil {
		data.Close()
		return nil, nil, err
	}
	return data, control, nil
}
