package audio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"aerie/receiver/clock"
)

const (
	// A packet that has begun must go on within this time; between packets a
	// sender may be silent for as long as it likes.
	packetStall = 15 * time.Second
	// So many packets in a row that do not verify are no accident.
	refusedLimit = 32
)

// BufferedPort is the TCP port of a buffered stream.
type BufferedPort struct {
	Stream *Buffered
	Peer   netip.Addr // the only address that may connect
	Now    func() clock.Time
	// Arrived is told when a packet came; nil for nobody.
	Arrived func(clock.Time)
	// Ended is told why a connection ended, nil if the sender closed it.
	Ended func(error)
}

// Run accepts the sender's connection, and another when that has ended, until
// ctx ends. It closes the listener.
func (p *BufferedPort) Run(ctx context.Context, ln *net.TCPListener) {
	stop := context.AfterFunc(ctx, func() {
		p.Stream.End()
		ln.Close()
	})
	defer stop()
	for {
		c, err := ln.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			continue
		case c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("") != p.Peer.Unmap().WithZone(""):
			p.Stream.Counts.Strangers.Inc()
			c.Close()
			continue
		}
		end := context.AfterFunc(ctx, func() { c.Close() })
		err = p.read(c)
		end()
		c.Close()
		if p.Ended != nil && ctx.Err() == nil {
			p.Ended(err)
		}
	}
}

// read takes packets from a connection: each behind its length of two bytes,
// which counts itself.
func (p *BufferedPort) read(c net.Conn) error {
	buf := make([]byte, 2+1<<16)
	refused := 0
	for {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf[:2]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		n := int(binary.BigEndian.Uint16(buf))
		if n <= 2 {
			return fmt.Errorf("audio: buffered record of %d bytes", n)
		}
		if err := c.SetReadDeadline(time.Now().Add(packetStall)); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf[2:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errors.New("audio: the sender stopped within a packet")
			}
			return err
		}
		if p.Arrived != nil {
			p.Arrived(p.Now())
		}
		before := p.Stream.Counts.Refused.Value()
		if err := p.Stream.Put(buf[2:n]); err != nil {
			return err
		}
		if p.Stream.Counts.Refused.Value() == before {
			refused = 0
		} else if refused++; refused == refusedLimit {
			return fmt.Errorf("audio: %d packets in a row do not verify: the key is not the sender's", refused)
		}
	}
}

// AppendBuffered appends a packet of a buffered stream behind its length, as
// software senders send it. Source names the format, or is 0.
func (c *Cipher) AppendBuffered(b []byte, seq, rtp, source uint32, payload []byte) []byte {
	be := binary.BigEndian
	at := len(b)
	b = append(b, 0, 0)
	b = be.AppendUint32(b, 0x80<<24|seq&sequenceMask)
	b = be.AppendUint32(b, rtp)
	b = be.AppendUint32(b, source)
	b = c.seal.append(b, b[at+2+4:at+2+headerSize], payload)
	be.PutUint16(b[at:], uint16(len(b)-at))
	return b
}
