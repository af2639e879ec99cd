package mirror

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/binary"
	"strconv"

	"golang.org/x/crypto/chacha20poly1305"
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

// Sealer is the sender's half of a Cipher: Seal encrypts a packet, header and
// payload, in place, and returns it with what authenticates it behind. The
// header tells the size of all that follows: that of the payload and Overhead.
type Sealer interface {
	Seal(packet []byte) []byte
	Overhead() int
}

// NewCTRSealer is the other side of NewCTR.
func NewCTRSealer(key [16]byte, id uint64) Sealer { return ctr{Keystream(key, id)} }

func (c ctr) Overhead() int { return 0 }

func (c ctr) Seal(packet []byte) []byte {
	c.stream.XORKeyStream(packet[HeaderSize:], packet[HeaderSize:])
	return packet
}

// aead is the cipher of sessions keyed by HomeKit pairing: ChaCha20-Poly1305
// with a counter of pictures for nonce, which authenticates the header as well
// (reference section 9.4).
type aead struct {
	cipher.AEAD
	nonce [chacha20poly1305.NonceSize]byte
	count uint64
}

func newAEAD(key [32]byte) *aead {
	c, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("mirror: " + err.Error()) // a key of 32 bytes is always one
	}
	return &aead{AEAD: c}
}

// NewAEAD makes the cipher of a connection from the key of its stream.
func NewAEAD(key [32]byte) Cipher { return newAEAD(key) }

// NewAEADSealer is the other side of NewAEAD.
func NewAEADSealer(key [32]byte) Sealer { return newAEAD(key) }

func (a *aead) next() []byte {
	binary.LittleEndian.PutUint64(a.nonce[4:], a.count)
	a.count++
	return a.nonce[:]
}

// Open refuses a picture that does not verify: nothing that follows it can, for
// the counters of both sides have parted.
func (a *aead) Open(header *[HeaderSize]byte, payload []byte) ([]byte, error) {
	plain, err := a.AEAD.Open(payload[:0], a.next(), payload, header[:])
	if err != nil {
		return nil, errTag
	}
	return plain, nil
}

var errTag = &StreamError{"a picture does not verify: the key is not the sender's, or it was changed on the way"}

func (a *aead) Seal(packet []byte) []byte {
	sealed := a.AEAD.Seal(packet[HeaderSize:HeaderSize], a.next(), packet[HeaderSize:], packet[:HeaderSize])
	return packet[:HeaderSize+len(sealed)]
}
