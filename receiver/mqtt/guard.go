package mqtt

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// maxPacket is the largest packet that a broker may send, in bytes: both
// halves of a twin, with room to spare.
const maxPacket = 128 << 10

// Types of the packets that a broker may send a client without QoS 2, in the
// upper half of the first byte (MQTT 3.1.1 section 2.2.1).
const (
	typeConnAck  = 2 << 4
	typePublish  = 3 << 4
	typePubAck   = 4 << 4
	typeSubAck   = 9 << 4
	typePingResp = 13 << 4

	flagQoS2 = 4
)

// errPacket is wrapped by errors about what is no packet for this client.
var errPacket = errors.New("mqtt: malformed packet")

// guard reads a broker's packets before the library does, which would believe
// any length and fall over an answer to more filters than it asked for. It
// notices the end at once, which the library may not while it waits for an
// answer.
type guard struct {
	net.Conn
	filters int // that are subscribed to
	broken  func(error)

	state  guardState
	kind   byte // the first byte
	length int  // of the rest
	shift  int
}

type guardState int

const (
	atType guardState = iota
	atLength
	inBody
)

// Read passes on what is the beginning of good packets.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if bad := g.follow(b[:n]); bad != nil {
		n, err = 0, bad
	}
	if err != nil {
		g.broken(fmt.Errorf("mqtt: connection lost: %w", err))
	}
	return n, err
}

// Write tells why it fails, where the other side has said so: one that ends
// the handshake of TLS 1.3 does so when the client thinks that it is over.
func (g *guard) Write(b []byte) (int, error) {
	n, err := g.Conn.Write(b)
	if err == nil || g.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return n, err
	}
	if _, why := g.Conn.Read(make([]byte, 1)); why != nil {
		err = fmt.Errorf("%w (%w)", why, err)
	}
	return n, err
}

// follow notes where packets begin and end.
func (g *guard) follow(b []byte) error {
	for len(b) > 0 {
		switch g.state {
		case atType:
			g.kind, g.state, g.length, g.shift = b[0], atLength, 0, 0
			b = b[1:]
		case atLength:
			g.length |= int(b[0]&0x7f) << g.shift
			more := b[0]&0x80 != 0
			b = b[1:]
			if more && g.shift < 21 {
				g.shift += 7
				continue
			}
			if more || !g.fits() {
				return fmt.Errorf("%w: %d bytes of type %x", errPacket, g.length, g.kind)
			}
			if g.state = inBody; g.length == 0 {
				g.state = atType
			}
		case inBody:
			n := min(len(b), g.length)
			b = b[n:]
			if g.length -= n; g.length == 0 {
				g.state = atType
			}
		}
	}
	return nil
}

// fits tells whether a packet of that kind may have that length.
func (g *guard) fits() bool {
	switch g.kind {
	case typeConnAck, typePubAck:
		return g.length == 2
	case typeSubAck:
		return g.length == 2+g.filters
	case typePingResp:
		return g.length == 0
	}
	return g.kind&0xf0 == typePublish && g.kind&flagQoS2 == 0 && g.length <= maxPacket
}
