package audio

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes of a sealed payload: the cipher text, a tag, and the part of the nonce
// that is sent (reference section 15.1).
const (
	nonceSize = 8
	// SealOverhead is by how many bytes sealing makes a payload longer.
	SealOverhead = chacha20poly1305.Overhead + nonceSize
)

// seal is ChaCha20-Poly1305 over the payload, with time stamp and source of
// the header as additional data. The sequence number is not among that, so a
// nonce must not come back under another.
type seal struct {
	aead  cipher.AEAD
	nonce [chacha20poly1305.NonceSize]byte
	// additional data of a packet, here because what a cipher is handed is not
	// on the stack.
	additional [8]byte
	sent       uint64 // packets sealed
	seen       [nonces]struct {
		nonce uint64
		seq   uint16
		used  bool
	}
}

// nonces is of how many packets the nonces are remembered: four times as many
// as may wait in a queue. A power of two.
const nonces = 4 * queueSize

// NewSealed makes the cipher of a stream of AirPlay 2 from its key, "shk" of
// SETUP (32 bytes). A Cipher serves one direction of one stream.
func NewSealed(key []byte) (*Cipher, error) {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, fmt.Errorf("audio: stream key of %d bytes, want %d", len(key), chacha20poly1305.KeySize)
	}
	return &Cipher{seal: &seal{aead: aead}}, nil
}

// verify opens a sealed packet in place; d.Payload is the plain text then. It
// returns false for one that does not verify, or whose nonce came with another
// sequence number. Other ciphers take everything.
func (c *Cipher) verify(d *Data) bool {
	if c == nil || c.seal == nil {
		return true
	}
	c.seal.additional = d.sealed
	plain, nonce, ok := c.seal.open(d.Payload)
	if !ok {
		return false
	}
	// Nonces are counters or noise; either spreads over the table.
	s := &c.seal.seen[nonce%nonces]
	if s.used && s.nonce == nonce && s.seq != d.Seq {
		return false
	}
	s.nonce, s.seq, s.used = nonce, d.Seq, true
	d.Payload = plain
	return true
}

// open opens a sealed payload in place.
func (s *seal) open(payload []byte) (plain []byte, nonce uint64, ok bool) {
	n := len(payload) - nonceSize
	if n < chacha20poly1305.Overhead {
		return nil, 0, false
	}
	copy(s.nonce[4:], payload[n:])
	plain, err := s.aead.Open(payload[:0], s.nonce[:], payload[:n], s.additional[:])
	return plain, binary.LittleEndian.Uint64(payload[n:]), err == nil
}

// AppendPacket appends a packet in its form on the wire, encrypted: what
// software senders send. The payload of d is overwritten.
func (c *Cipher) AppendPacket(b []byte, d *Data) []byte {
	if c == nil || c.seal == nil {
		c.Encrypt(d.Payload)
		return d.AppendTo(b)
	}
	payload := d.Payload
	head := *d
	head.Payload = nil
	at := len(b)
	b = head.AppendTo(b)
	return c.seal.append(b, b[at+4:at+headerSize], payload)
}

// append appends a sealed payload.
func (s *seal) append(b, additional, payload []byte) []byte {
	binary.LittleEndian.PutUint64(s.nonce[4:], s.sent)
	s.sent++
	b = s.aead.Seal(b, s.nonce[:], payload, additional)
	return append(b, s.nonce[4:]...)
}
