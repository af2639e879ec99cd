package ptp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// EventPort is the UDP port of event messages (IEEE 1588-2008 annex D); that of
// general ones is the next. Both need a privilege (CAP_NET_BIND_SERVICE).
const EventPort = 319

// Ports are the two ports of a Follower.
type Ports struct {
	Follower *Follower
	Now      func() clock.Time

	event, general *net.UDPConn
}

// Listen opens the event port and the one behind it on all addresses.
func Listen(f *Follower, eventPort int, now func() clock.Time) (*Ports, error) {
	p := &Ports{Follower: f, Now: now}
	var err error
	if p.event, err = net.ListenUDP("udp", &net.UDPAddr{Port: eventPort}); err != nil {
		return nil, fmt.Errorf("ptp: %w", err)
	}
	if p.general, err = net.ListenUDP("udp", &net.UDPAddr{Port: eventPort + 1}); err != nil {
		p.event.Close()
		return nil, fmt.Errorf("ptp: %w", err)
	}
	return p, nil
}

// Run takes messages until ctx ends, and closes the ports.
func (p *Ports) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.Close)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { p.read(p.event) })
	wg.Go(func() { p.read(p.general) })
	wg.Go(func() { p.wake(ctx) })
	wg.Wait()
}

// wake wakes clocks that send nothing.
func (p *Ports) wake(ctx context.Context) {
	t := time.NewTicker(wakeSecond)
	defer t.Stop()
	out := make([]byte, 0, announceSize)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if m, to := p.Follower.Wake(p.Now(), out); m != nil {
			// What is lost is sent again.
			_, _ = p.general.WriteToUDPAddrPort(m, to)
		}
	}
}

// Close closes the ports.
func (p *Ports) Close() {
	p.event.Close()
	p.general.Close()
}

func (p *Ports) read(c *net.UDPConn) {
	buf, out := make([]byte, MaxSize+1), make([]byte, 0, syncSize)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		at := p.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // it concerns one message
		}
		request, to := p.Follower.Handle(buf[:n], from, at, out)
		if request != nil {
			p.ask(request, to)
		}
	}
}

// ask sends a request. One that cannot be sent is as good as lost.
func (p *Ports) ask(request []byte, to netip.AddrPort) {
	before := p.Now()
	if _, err := p.event.WriteToUDPAddrPort(request, to); err == nil {
		after := p.Now()
		p.Follower.Sent(to, before.Add(after.Sub(before)/2))
	}
}
