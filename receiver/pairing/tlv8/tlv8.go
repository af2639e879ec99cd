// Package tlv8 is the encoding of HomeKit pairing messages: a list of items,
// each a type and a value of up to 255 bytes; a longer value is cut into items
// of the same type that follow one another (reference section 5.4).
//
// What the items mean is left to package pairing.
//
// Proof: tlv8_test.go goes through lengths on both sides of every cut and
// through what must be refused; FuzzParse reads hostile messages.
package tlv8

import "fmt"

// Types of items.
const (
	Method        = 0x00
	Identifier    = 0x01
	Salt          = 0x02
	PublicKey     = 0x03
	Proof         = 0x04
	EncryptedData = 0x05
	State         = 0x06
	Error         = 0x07
	RetryDelay    = 0x08
	Signature     = 0x0a
	Permissions   = 0x0b
	Flags         = 0x13
	Separator     = 0xff
)

// Limits of a message from the network. The largest that is sent holds a
// public value of 384 bytes and a proof of 64.
const (
	MaxSize  = 4096
	maxItems = 64
)

const fragment = 255 // bytes of a value that fit into one item

// Item is one value with its type. A value may be empty.
type Item struct {
	Type  byte
	Value []byte
}

// Message is a list of items in their order on the wire.
type Message []Item

// Parse parses a message. The values share memory with b unless they came in
// several parts.
func Parse(b []byte) (Message, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("tlv8: message of %d bytes, limit %d", len(b), MaxSize)
	}
	var m Message
	cut := false // the last item was full, and may go on in the next
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(b[1]) {
			return nil, fmt.Errorf("tlv8: item of type %d is cut off", b[0])
		}
		kind, size := b[0], int(b[1])
		value := b[2 : 2+size : 2+size]
		b = b[2+size:]
		if last := len(m) - 1; cut && m[last].Type == kind {
			m[last].Value = append(m[last].Value, value...)
		} else if len(m) == maxItems {
			return nil, fmt.Errorf("tlv8: more than %d items", maxItems)
		} else {
			m = append(m, Item{kind, value})
		}
		cut = size == fragment
	}
	return m, nil
}

// Append appends the message in its form on the wire.
func (m Message) Append(dst []byte) []byte {
	for _, i := range m {
		value := i.Value
		for len(value) > fragment {
			dst = append(append(dst, i.Type, fragment), value[:fragment]...)
			value = value[fragment:]
		}
		dst = append(append(dst, i.Type, byte(len(value))), value...)
	}
	return dst
}

// Bytes returns the value of the first item of a type, nil if there is none.
func (m Message) Bytes(kind byte) []byte {
	for _, i := range m {
		if i.Type == kind {
			return i.Value
		}
	}
	return nil
}

// Uint returns the value of the first item of a type as a little-endian
// integer, 0 if there is none. Lengths of 1 to 4 bytes are allowed.
func (m Message) Uint(kind byte) (v uint32, err error) {
	b := m.Bytes(kind)
	if len(b) > 4 {
		return 0, fmt.Errorf("tlv8: integer of type %d with %d bytes", kind, len(b))
	}
	for i, c := range b {
		v |= uint32(c) << (8 * i)
	}
	return v, nil
}

// Byte makes an item with a value of one byte.
func Byte(kind, value byte) Item { return Item{kind, []byte{value}} }
