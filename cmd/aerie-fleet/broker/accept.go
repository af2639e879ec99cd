package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"aerie/cmd/aerie-fleet/authority"
)

const (
	// patience is how long a client may take to show its certificate, and then
	// to say CONNECT.
	patience = 15 * time.Second
	// maxHandshakes bounds those that are being checked at a time, of which some
	// may be slow on purpose.
	maxHandshakes = 1024
)

// conn is a connection whose client is known.
type conn struct {
	net.Conn
	name, role string
	// trusted connections come without certificates: from this process, or
	// for measurements over the loopback.
	trusted bool
	ended   chan struct{}
}

func (c *conn) from() string { return c.RemoteAddr().String() }

// Listen lets in clients that show a certificate, until the broker is closed or
// the listener fails.
func (b *Broker) Listen(ln net.Listener) error {
	config := b.o.Authority.Clients()
	turn := make(chan struct{}, maxHandshakes)
	return b.accept(ln, func(raw net.Conn) *conn {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-b.ctx.Done():
			return nil
		}
		c := tls.Server(raw, config)
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		known := &conn{Conn: c}
		err := c.HandshakeContext(ctx)
		if err == nil {
			known.name, known.role, err = b.o.Authority.Identify(c.ConnectionState())
		}
		if err != nil {
			if b.ctx.Err() == nil {
				b.refuse(known, "certificate", "error", err)
			}
			return nil
		}
		return known
	})
}

// ListenPlain lets in everybody who reaches a listener on the loopback, under
// the name that he says. It is for measurements; other addresses are refused.
func (b *Broker) ListenPlain(ln net.Listener) error {
	if a, ok := ln.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("broker: %s is not on the loopback; without certificates nothing else is served", ln.Addr()), ln.Close())
	}
	return b.accept(ln, func(raw net.Conn) *conn { return &conn{Conn: raw, trusted: true} })
}

func (b *Broker) accept(ln net.Listener, identify func(net.Conn) *conn) error {
	stop := context.AfterFunc(b.ctx, func() { ln.Close() })
	defer stop()
	ln = netutil.LimitListener(ln, b.o.Limits.Connections+maxHandshakes)
	for {
		raw, err := ln.Accept()
		switch {
		case b.ctx.Err() != nil:
			if err == nil {
				raw.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED):
			b.o.Log.Error("broker: a connection could not be taken", "error", err)
			time.Sleep(100 * time.Millisecond) // others have to end first
			continue
		case err != nil:
			return fmt.Errorf("broker: %w", err)
		}
		b.wg.Go(func() {
			if c := identify(raw); c != nil {
				b.serve(c)
			}
			raw.Close()
		})
	}
}

// Dial connects a service of this process.
func (b *Broker) Dial(name string) (net.Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("broker: socket pair: %w", err)
	}
	ends := make([]net.Conn, len(fds))
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "broker")
		ends[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("broker: socket pair: %w", err)
		}
	}
	b.wg.Go(func() { b.serve(&conn{Conn: ends[1], name: name, role: authority.RoleService}) })
	return ends[0], nil
}
