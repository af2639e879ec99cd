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

// records are what a connection carries: packets, each behind its length of two
// bytes, which counts itself. Packets are small and many, so the connection is
// read for as many as there are, and the deadline moved only for one that is
// not here as a whole.
type records struct {
	c     net.Conn
	r     *bufio.Reader
	timed bool // the connection has a deadline
}

func newRecords(c net.Conn) *records {
	return &records{c: c, r: bufio.NewReaderSize(c, 1<<16)} // the longest record fits
}

// next returns the next packet, which is valid until skip, and the length of
// its record. The error is io.EOF where the sender ended between packets.
func (s *records) next() (packet []byte, n int, err error) {
	if s.timed && s.r.Buffered() < 2 {
		s.timed = false
		if err := s.c.SetReadDeadline(time.Time{}); err != nil {
			return nil, 0, err
		}
	}
	head, err := s.r.Peek(2)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, err
	}
	if n = int(binary.BigEndian.Uint16(head)); n <= 2 {
		return nil, 0, fmt.Errorf("audio: buffered record of %d bytes", n)
	}
	if s.r.Buffered() < n {
		s.timed = true
		if err := s.c.SetReadDeadline(time.Now().Add(packetStall)); err != nil {
			return nil, 0, err
		}
	}
	record, err := s.r.Peek(n)
	switch {
	case err == nil:
		return record[2:], n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("audio: the sender stopped within a packet")
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return nil, 0, err
}

// skip is done with a record, which is here.
func (s *records) skip(n int) { _, _ = s.r.Discard(n) }

// read takes packets from a connection until it ends.
func (p *BufferedPort) read(c net.Conn) error {
	in := newRecords(c)
	refused := 0
	for {
		packet, n, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Arrived != nil {
			p.Arrived(p.Now())
		}
		before := p.Stream.Counts.Refused.Value()
		if err := p.Stream.Put(packet); err != nil {
			return err
		}
		in.skip(n)
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
