package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"aerie/receiver/clock"
)

// Server is the data port of one mirror stream: it accepts the sender's
// connection, and another if that one breaks, until the session ends.
type Server struct {
	Peer   netip.Addr // the only address that may connect
	Cipher func() Cipher
	Sink   Sink
	Stats  *Stats
	Now    func() clock.Time
	Allow  func(*Parameters) error
	Log    *slog.Logger
	// Ended is told why each connection ended; nil for an orderly end.
	Ended func(error)
}

// receiveBuffer is how much of the stream the kernel holds when the decoder
// is behind: a quarter of a second at 30 Mbit/s, since what waits here is
// latency that nobody sees.
const receiveBuffer = 1 << 20

// Run serves ln until ctx ends or the listener fails, and closes it.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("mirror: accept: %w", err)
		}
		if !s.fromPeer(c) {
			s.Log.Warn("mirror: connection from a stranger refused", "from", c.RemoteAddr())
			c.Close()
			continue
		}
		err = s.serve(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.Ended != nil {
			s.Ended(err)
		}
	}
}

func (s *Server) fromPeer(c net.Conn) bool {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	return err == nil && a.Addr().Unmap().WithZone("") == s.Peer.Unmap().WithZone("")
}

func (s *Server) serve(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if t, ok := c.(*net.TCPConn); ok {
		// Best effort: a connection without them is as good.
		_ = t.SetReadBuffer(receiveBuffer)
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 60 * time.Second, Interval: 10 * time.Second, Count: 6})
	}
	st := Stream{Conn: c, Cipher: s.Cipher(), Sink: s.Sink, Stats: s.Stats, Now: s.Now, Allow: s.Allow}
	if err := st.Run(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}
