package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// PacketSize is the length of every timing packet (reference section 10).
const PacketSize = 32

// Types of timing packets, the second byte without the marker bit.
const (
	typeRequest = 0x52
	typeReply   = 0x53
)

// Packet is a timing request or reply. The stamps are NTP time stamps of
// whoever set them; a reply repeats the request's Transmit as Origin.
type Packet struct {
	Reply                     bool
	Origin, Receive, Transmit uint64
}

// AppendTo appends the packet in its form on the wire.
func (p *Packet) AppendTo(b []byte) []byte {
	kind := byte(0x80 | typeRequest)
	if p.Reply {
		kind = 0x80 | typeReply
	}
	b = append(b, 0x80, kind, 0, 7, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, p.Origin)
	b = binary.BigEndian.AppendUint64(b, p.Receive)
	return binary.BigEndian.AppendUint64(b, p.Transmit)
}

// ParsePacket parses a timing packet; ok is false for anything else.
func ParsePacket(b []byte) (p Packet, ok bool) {
	if len(b) < PacketSize || b[0]&0xc0 != 0x80 {
		return p, false
	}
	switch b[1] & 0x7f {
	case typeRequest:
	case typeReply:
		p.Reply = true
	default:
		return p, false
	}
	p.Origin = binary.BigEndian.Uint64(b[8:])
	p.Receive = binary.BigEndian.Uint64(b[16:])
	p.Transmit = binary.BigEndian.Uint64(b[24:])
	return p, true
}

// Client asks a sender what time it is: three times quickly, then every one and
// a half seconds, for as long as it runs. Some senders stop answering or never do
// (reference section 10); the Sender then lives on arrival times.
type Client struct {
	Conn   *net.UDPConn   // ours; its port stands in our SETUP reply
	Peer   netip.AddrPort // where the sender answers
	Clock  *Sender
	Now    func() Time
	waited atomic.Uint64 // requests without an answer so far, in a row
}

const (
	quickRequests = 3
	quickInterval = 300 * time.Millisecond
	interval      = 1500 * time.Millisecond
)

// Unanswered returns how many requests in a row have had no answer.
func (c *Client) Unanswered() uint64 { return c.waited.Load() }

// Run asks and listens until ctx ends, and closes the connection.
func (c *Client) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
	defer stop()
	var sent pending
	go c.ask(ctx, &sent)
	buf := make([]byte, 128)
	for {
		n, from, err := c.Conn.ReadFromUDPAddrPort(buf)
		t3 := c.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from.Addr().Unmap() != c.Peer.Addr().Unmap() {
			continue
		}
		p, ok := ParsePacket(buf[:n])
		if !ok || !p.Reply {
			continue
		}
		// The echo of our own stamp names the request; one that we did not
		// send, or that was answered before, names none.
		if t0, ok := sent.take(p.Origin); ok {
			c.waited.Store(0)
			c.Clock.Exchange(t0, FromNTP(p.Receive), FromNTP(p.Transmit), t3)
		}
	}
}

// ask sends requests until ctx ends.
func (c *Client) ask(ctx context.Context, sent *pending) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	buf := make([]byte, 0, PacketSize)
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := c.Now()
		stamp := Remote(now).NTP()
		p := Packet{Transmit: stamp}
		sent.put(stamp, now)
		// A host without route today may have one soon.
		_, _ = c.Conn.WriteToUDPAddrPort(p.AppendTo(buf), c.Peer)
		c.waited.Add(1)
		if i+1 < quickRequests {
			timer.Reset(quickInterval)
		} else {
			timer.Reset(interval)
		}
	}
}

// pending remembers the last requests that await an answer.
type pending struct {
	mu    sync.Mutex
	slots [4]struct {
		stamp uint64
		at    Time
	}
	next int
}

func (p *pending) put(stamp uint64, at Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.slots[p.next%len(p.slots)]
	p.next++
	s.stamp, s.at = stamp, at
}

func (p *pending) take(stamp uint64) (Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.slots {
		if s := &p.slots[i]; stamp != 0 && s.stamp == stamp {
			s.stamp = 0
			return s.at, true
		}
	}
	return 0, false
}

// Respond answers timing requests on conn with the clock now: the sender's
// half. It returns when conn is closed.
func Respond(conn *net.UDPConn, now func() Remote) {
	buf, out := make([]byte, 128), make([]byte, 0, PacketSize)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		received := now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if p, ok := ParsePacket(buf[:n]); ok && !p.Reply {
			r := Packet{Reply: true, Origin: p.Transmit, Receive: received.NTP(), Transmit: now().NTP()}
			_, _ = conn.WriteToUDPAddrPort(r.AppendTo(out), from)
		}
	}
}
