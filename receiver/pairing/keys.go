package pairing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha512"

	"aerie/receiver/pairing/keystore"
)

// deriveAES derives an AES-128 key and an initial vector from a secret. Label
// tells the exchanges apart: "Pair-Verify" or "Pair-Setup" (reference
// sections 5.1 and 5.2).
func deriveAES(label string, secret []byte) (block cipher.Block, iv []byte) {
	derive := func(what string) []byte {
		sum := sha512.Sum512(append([]byte(label+what), secret...))
		return sum[:aes.BlockSize]
	}
	block, err := aes.NewCipher(derive("-AES-Key"))
	if err != nil {
		panic(err) // cannot happen: the key has the length of one
	}
	return block, derive("-AES-IV")
}

// publicKey returns the public half of a key pair.
func publicKey(identity ed25519.PrivateKey) keystore.Key {
	return keystore.Key(identity.Public().(ed25519.PublicKey))
}
