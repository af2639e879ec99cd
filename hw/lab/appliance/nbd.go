package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// serveDisk serves a disk to one client after another, over the protocol of
// network block devices (github.com/NetworkBlockDevice/nbd, doc/proto.md):
// fixed newstyle negotiation and simple replies, which is what QEMU needs. It
// ends when the listener is closed.
func serveDisk(ln net.Listener, d *disk) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		err = (&nbd{c, d}).serve()
		c.Close()
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
}

type nbd struct {
	io.ReadWriter
	disk *disk
}

// Numbers of the protocol.
const (
	nbdMagic       = 0x4e42444d41474943 // "NBDMAGIC"
	nbdOption      = 0x49484156454f5054 // "IHAVEOPT"
	nbdReply       = 0x0003e889045565a9
	nbdRequest     = 0x25609513
	nbdSimpleReply = 0x67446698

	nbdFixed = 1 // handshake flag

	optExportName = 1
	optAbort      = 2
	optInfo       = 6
	optGo         = 7

	repAck   = 1
	repInfo  = 3
	repUnsup = 1<<31 | 1

	nbdFlags = 1 | 1<<2 | 1<<3 // has flags, flush, force unit access

	cmdRead, cmdWrite, cmdDisconnect, cmdFlush = 0, 1, 2, 3
	flagFUA                                    = 1

	errIO, errInvalid = 5, 22
	mostData          = 32 << 20 // bytes of one request, as clients assume
)

func (n *nbd) serve() error {
	if err := n.negotiate(); err != nil {
		return err
	}
	for {
		done, err := n.request()
		if done || err != nil {
			return err
		}
	}
}

// send writes numbers and bytes in the protocol's order.
func (n *nbd) send(values ...any) error {
	var out []byte
	var err error
	for _, v := range values {
		if out, err = binary.Append(out, binary.BigEndian, v); err != nil {
			return err
		}
	}
	_, err = n.Write(out)
	return err
}

func (n *nbd) negotiate() error {
	if err := n.send(uint64(nbdMagic), uint64(nbdOption), uint16(nbdFixed)); err != nil {
		return err
	}
	var flags uint32
	if err := binary.Read(n, binary.BigEndian, &flags); err != nil {
		return err
	}
	for {
		var o struct {
			Magic          uint64
			Option, Length uint32
		}
		if err := binary.Read(n, binary.BigEndian, &o); err != nil {
			return err
		}
		if o.Magic != nbdOption || o.Length > 64<<10 {
			return fmt.Errorf("nbd: option %d of %d bytes, magic %x", o.Option, o.Length, o.Magic)
		}
		if _, err := io.CopyN(io.Discard, n, int64(o.Length)); err != nil {
			return err
		}
		reply := func(kind uint32, data ...any) error {
			length := uint32(0)
			for _, v := range data {
				length += uint32(binary.Size(v))
			}
			return n.send(append([]any{uint64(nbdReply), o.Option, kind, length}, data...)...)
		}
		var err error
		switch o.Option {
		case optExportName:
			return n.send(uint64(n.disk.size), uint16(nbdFlags), make([]byte, 124))
		case optGo, optInfo:
			if err = reply(repInfo, uint16(0), uint64(n.disk.size), uint16(nbdFlags)); err == nil {
				err = reply(repAck)
			}
			if err == nil && o.Option == optGo {
				return nil
			}
		case optAbort:
			_ = reply(repAck) // the client may not wait for it
			return io.EOF
		default:
			err = reply(repUnsup)
		}
		if err != nil {
			return err
		}
	}
}

// request answers one request.
func (n *nbd) request() (done bool, err error) {
	var q struct {
		Magic       uint32
		Flags, Type uint16
		Cookie      uint64
		Offset      uint64
		Length      uint32
	}
	if err := binary.Read(n, binary.BigEndian, &q); err != nil {
		return false, err
	}
	if q.Magic != nbdRequest || q.Length > mostData {
		return false, fmt.Errorf("nbd: request %d of %d bytes, magic %x", q.Type, q.Length, q.Magic)
	}
	code := uint32(0)
	var data []byte
	switch q.Type {
	case cmdRead:
		data = make([]byte, q.Length)
		if _, err := n.disk.ReadAt(data, int64(q.Offset)); err != nil {
			code, data = errIO, nil
		}
	case cmdWrite:
		b := make([]byte, q.Length)
		if _, err := io.ReadFull(n, b); err != nil {
			return false, err
		}
		if n.disk.write(b, int64(q.Offset), q.Flags&flagFUA != 0) != nil {
			code = errIO
		}
	case cmdFlush:
		n.disk.flush()
	case cmdDisconnect:
		return true, nil
	default:
		code = errInvalid
	}
	return false, n.send(uint32(nbdSimpleReply), code, q.Cookie, data)
}
