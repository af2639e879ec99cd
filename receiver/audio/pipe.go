package audio

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"aerie/receiver/clock"
)

// Pipe receives sound over TCP, as some classic senders like it: each packet
// stands behind "$", a channel and its length (RFC 2326 section 10.12).
//
// There are no sync packets. The receiver sets the pace: what comes first is
// heard a fixed time after it came, and when enough waits to be heard, nothing
// more is read, so that the sender is held up by its connection.
type Pipe struct {
	Stream   *Stream
	Listener *net.TCPListener
	Peer     netip.Addr // who may connect
	Clock    *clock.Sender
	Now      func() clock.Time
	// Delay is how long after the arrival of the first packet it is heard.
	Delay time.Duration
	// Arrived is told of each packet, as in Ports.
	Arrived func(heard clock.Remote, at clock.Time)

	active atomic.Int64
	timer  *time.Timer // of wait
	seq    uint16      // of the next packet without a number of its own, and
	rtp    uint32      // its first frame
}

const (
	// pipeAhead is how much sound waits at most.
	pipeAhead = 2 * time.Second
	// What is to be heard later than this is another place in the sound.
	pipeMost = 10 * time.Second
	// pipeConnect is how long a sender may take to connect.
	pipeConnect = 30 * time.Second

	interleavedSize = 4
	// oldHeader is the type of packets of the first senders, whose header
	// tells nothing.
	oldHeader = 0xff
)

// Active returns when the last packet came, 0 before the first.
func (p *Pipe) Active() clock.Time { return clock.Time(p.active.Load()) }

// Run reads the connection of the sender until it or ctx ends, and closes the
// listener. The error says what is wrong with what came, if anything is.
func (p *Pipe) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.Listener.Close() })
	defer stop()
	defer p.Listener.Close()
	c, err := p.accept()
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer c.Close()
	stop2 := context.AfterFunc(ctx, func() { c.Close() })
	defer stop2()
	err = p.read(ctx, bufio.NewReaderSize(c, 64<<10))
	if err == io.EOF || ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept waits for the sender.
func (p *Pipe) accept() (net.Conn, error) {
	if err := p.Listener.SetDeadline(time.Now().Add(pipeConnect)); err != nil {
		return nil, err
	}
	for {
		c, err := p.Listener.AcceptTCP()
		if err != nil {
			return nil, fmt.Errorf("audio: no connection: %w", err)
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
		if from.Unmap().WithZone("") == p.Peer.Unmap().WithZone("") {
			return c, nil
		}
		p.Stream.Counts.Strangers.Inc()
		c.Close()
	}
}

// read takes packets until there are no more.
func (p *Pipe) read(ctx context.Context, r io.Reader) error {
	buf := make([]byte, headerSize+p.Stream.Format.MaxPayload())
	p.timer = time.NewTimer(0)
	defer p.timer.Stop()
	for {
		b, err := readInterleaved(r, buf)
		if err != nil {
			return err
		}
		d, ok := p.parse(b)
		if !ok {
			p.Stream.Counts.Malformed.Inc()
			continue
		}
		if heard := p.put(d); !p.wait(ctx, heard) {
			return nil
		}
	}
}

// readInterleaved reads one packet into buf.
func readInterleaved(r io.Reader, buf []byte) ([]byte, error) {
	head := buf[:interleavedSize]
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if head[0] != '$' || size > len(buf) {
		return nil, fmt.Errorf("audio: % x is not the beginning of a packet", head)
	}
	if _, err := io.ReadFull(r, buf[:size]); err != nil {
		return nil, err
	}
	return buf[:size], nil
}

// parse parses a packet. Those of the first senders are counted.
func (p *Pipe) parse(b []byte) (d Data, ok bool) {
	if len(b) >= headerSize && b[1] == oldHeader {
		d = Data{Seq: p.seq, RTP: p.rtp, Payload: b[headerSize:]}
	} else if d, ok = ParseData(b); !ok {
		return d, false
	}
	p.seq, p.rtp = d.Seq+1, d.RTP+uint32(p.Stream.Format.Frames)
	return d, true
}

// wait holds the sender up until there is little enough to be heard before a
// packet of that time; false is the end.
func (p *Pipe) wait(ctx context.Context, heard clock.Remote) bool {
	ahead := heard.Sub(clock.Remote(p.Now())) - pipeAhead
	if ahead <= 0 {
		return true
	}
	p.timer.Reset(ahead)
	select {
	case <-ctx.Done():
		return false
	case <-p.timer.C:
		return true
	}
}

// put hands a packet on and returns when it is heard.
func (p *Pipe) put(d Data) (heard clock.Remote) {
	now := p.Now()
	p.active.Store(int64(now))
	// The sender's clock is ours: there is nothing else to go by.
	at := clock.Remote(now)
	p.Clock.Arrived(at, now)
	heard, fresh := p.Stream.Put(d, at, p.Delay)
	if ahead := heard.Sub(at); ahead < 0 || ahead > pipeMost {
		// The sound was interrupted, and goes on with this packet.
		heard = at.Add(p.Delay)
		p.Stream.Postpone(d.RTP, heard)
	}
	if fresh && p.Arrived != nil {
		p.Arrived(heard, now)
	}
	return heard
}
