package audio

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// Cipher decrypts payloads in place. A nil *Cipher leaves them alone.
//
// In sessions keyed by FairPlay it is AES-128-CBC with the initial vector
// started anew for every packet; what does not fill a block stays in the clear
// (reference section 11). In AirPlay 2 it is ChaCha20-Poly1305, see NewSealed.
type Cipher struct {
	block cipher.Block
	iv    [aes.BlockSize]byte
	seal  *seal
}

// NewCipher makes a cipher from the session's key and initial vector.
func NewCipher(key, iv [16]byte) *Cipher {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("audio: " + err.Error()) // a key of 16 bytes is always one
	}
	return &Cipher{block: block, iv: iv}
}

// Decrypt decrypts the payload of a FairPlay session in place. The block mode of package cipher would
// need an allocation per packet to start anew.
func (c *Cipher) Decrypt(payload []byte) {
	if c == nil || c.seal != nil {
		return
	}
	const n = aes.BlockSize
	// Backwards, so that the cipher text of the block before is still there.
	for end := len(payload) &^ (n - 1); end > 0; end -= n {
		b := payload[end-n : end]
		c.block.Decrypt(b, b)
		before := c.iv[:]
		if end > n {
			before = payload[end-2*n : end-n]
		}
		subtle.XORBytes(b, b, before)
	}
}

// Encrypt is the inverse of Decrypt, for software senders.
func (c *Cipher) Encrypt(payload []byte) {
	if c == nil {
		return
	}
	whole := len(payload) &^ (aes.BlockSize - 1)
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(payload[:whole], payload[:whole])
}
