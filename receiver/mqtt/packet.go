package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of packets, in the upper half of the first byte (MQTT 3.1.1 section
// 2.2.1).
const (
	typeConnect    = 1 << 4
	typeAccepted   = 2 << 4 // CONNACK
	typePublish    = 3 << 4
	typePing       = 12 << 4
	typePong       = 13 << 4
	typeDisconnect = 14 << 4
)

const (
	flagRetain = 1

	connectClean      = 1 << 1
	connectWill       = 1 << 2
	connectWillRetain = 1 << 5
	connectPassword   = 1 << 6
	connectUser       = 1 << 7

	// maxReceived is the largest that a publisher can be sent.
	maxReceived = 128
)

// appendPacket appends a packet: its type and flags, the length of its body in
// groups of seven bits, the body.
func appendPacket(dst []byte, kind byte, body []byte) []byte {
	dst = append(dst, kind)
	for n := len(body); ; {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			dst = append(dst, b)
			break
		}
		dst = append(dst, b|0x80)
	}
	return append(dst, body...)
}

// appendString appends a text of up to 65535 bytes behind its length.
func appendString(dst []byte, s string) []byte {
	s = s[:min(len(s), 1<<16-1)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// connect makes the packet that opens a conversation. When it ends without a
// farewell the broker publishes the will, and keeps it.
func connect(o *Options) []byte {
	flags := byte(connectClean | connectWill | connectWillRetain)
	if o.User != "" {
		flags |= connectUser
		if o.Password != "" {
			flags |= connectPassword
		}
	}
	body := appendString(nil, "MQTT")
	body = append(body, 4, flags) // 3.1.1
	body = binary.BigEndian.AppendUint16(body, uint16(keepAlive.Seconds()))
	body = appendString(body, o.ClientID)
	body = appendString(body, o.topic(statusTopic))
	body = appendString(body, offline)
	if flags&connectUser != 0 {
		body = appendString(body, o.User)
	}
	if flags&connectPassword != 0 {
		body = appendString(body, o.Password)
	}
	return appendPacket(nil, typeConnect, body)
}

// publish makes the packet of a retained message that is not acknowledged
// (QoS 0).
func publish(topic string, payload []byte) []byte {
	return appendPacket(nil, typePublish|flagRetain, append(appendString(nil, topic), payload...))
}

var errPacket = errors.New("mqtt: malformed packet")

// readPacket reads a packet of a broker.
func readPacket(r *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	size := 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		size |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return 0, nil, errPacket
		}
	}
	if size > maxReceived {
		return 0, nil, fmt.Errorf("%w: %d bytes", errPacket, size)
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// refusals are what a broker may answer to a connection (section 3.2.2.3).
var refusals = [...]string{1: "speaks another version", 2: "does not accept the client ID", 3: "is not available", 4: "does not accept user and password", 5: "does not allow it"}

// accepted reads the answer to a connect packet.
func accepted(r *bufio.Reader) error {
	kind, body, err := readPacket(r)
	switch {
	case err != nil:
		return err
	case kind != typeAccepted || len(body) != 2:
		return fmt.Errorf("%w: % x in answer to a connection", errPacket, kind)
	case body[1] == 0:
		return nil
	case int(body[1]) < len(refusals):
		return fmt.Errorf("mqtt: the broker %s", refusals[body[1]])
	}
	return fmt.Errorf("mqtt: the broker refuses with code %d", body[1])
}
