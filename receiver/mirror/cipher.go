package mirror

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"strconv"
)

// Cipher decrypts the payloads of one connection, in the order of arrival.
type Cipher interface {
	// Open decrypts the payload in place and returns the plain text, which
	// begins where the payload does. The header is what a cipher with
	// authentication authenticates beside it.
	Open(header *[HeaderSize]byte, payload []byte) ([]byte, error)
}

// KeystreamID is the form in which a stream connection id enters the key
// derivation: unsigned decimal text.
func keystreamID(id uint64) string { return strconv.FormatUint(id, 10) }

// ctr is the cipher of sessions keyed by FairPlay: one AES-128-CTR keystream
// for all pictures of a connection (reference section 9.1).
type ctr struct{ stream cipher.Stream }

// NewCTR makes the cipher of a connection from the session's AES key and the
// stream connection id.
func NewCTR(key [16]byte, id uint64) Cipher { return ctr{Keystream(key, id)} }

// Keystream returns the keystream itself, which also encrypts.
func Keystream(key [16]byte, id uint64) cipher.Stream {
	streamKey, iv := derive("AirPlayStreamKey", id, key), derive("AirPlayStreamIV", id, key)
	block, err := aes.NewCipher(streamKey[:16])
	if err != nil {
		panic("mirror: " + err.Error()) // a key of 16 bytes is always one
	}
	return cipher.NewCTR(block, iv[:16])
}

func derive(label string, id uint64, key [16]byte) [sha512.Size]byte {
	text := append([]byte(label+keystreamID(id)), key[:]...)
	return sha512.Sum512(text)
}

func (c ctr) Open(_ *[HeaderSize]byte, payload []byte) ([]byte, error) {
	c.stream.XORKeyStream(payload, payload)
	return payload, nil
}
