// Package airport holds the key pair of the AirPort Express, by which classic
// senders tell a receiver from an impostor (Apple-Challenge) and hand it the
// key of their sound (rsaaeskey; reference section 14).
//
// The private half was taken out of that device in 2011 and has been part of
// every receiver since: it proves nothing and protects nothing. It is here
// because senders insist on it. Who may play is decided in package pairing.
//
// Proof: airport_test.go (answers verified with the public half, keys wrapped
// with it, hostile lengths).
package airport

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"sync"
)

// The two primes of the key; all else follows from them and the exponent.
const (
	prime1 = "f7e0bf5a1e6718319a8b6209c31714440459f973856613b17ae1508bb3e6316e6b7f462d2f7d64412b84b76bc23f2b0c3562455279b243a9f7316f958007b34c" +
		"61f768e2d44ed5ff2b272817ec32b3e493929228fae78e774ca0f75ebd69d59202798f116e360c6438b32e1bd8b9dc1e3232f0d30918883cc43ef8dda22c3691"
	prime2 = "ef6ffff994f1e56441aa0035fd19a0c8d6f02378c70580d9c48420791df407c591fb6ebfca322c3086dd901fd2fae1aebb64adf6bb79ff8051bebd0cd820ab89" +
		"87400601a7b2fe9390cacc9acab8ed2bf91d186d8f69643d7efe0f5d56df7577a2d035ea5413fc98d8f3f908da059a379da4b1cc38f15d560a83cc317153c84b"
	exponent = 65537
)

// key makes the private key when it is first needed.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	p, _ := new(big.Int).SetString(prime1, 16)
	q, _ := new(big.Int).SetString(prime2, 16)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(big.NewInt(exponent), phi),
		Primes:    []*big.Int{p, q},
	}
	k.Precompute()
	return k
})

// Public returns the public half, as senders have it.
func Public() *rsa.PublicKey { return &key().PublicKey }

// ErrMalformed is the error of a challenge or key of a wrong form.
var ErrMalformed = errors.New("airport: malformed")

const (
	challengeSize = 16
	// What is signed is filled up with zeros to this size.
	signedSize = 32
)

// Respond answers a challenge of up to 16 bytes: it signs the challenge, the
// address at which the sender reached the receiver and the receiver's device
// ID (6 bytes).
func Respond(challenge []byte, local netip.Addr, deviceID []byte) ([]byte, error) {
	if len(challenge) == 0 || len(challenge) > challengeSize {
		return nil, fmt.Errorf("%w: challenge of %d bytes", ErrMalformed, len(challenge))
	}
	signed := append([]byte(nil), challenge...)
	signed = append(signed, local.Unmap().AsSlice()...)
	signed = append(signed, deviceID...)
	for len(signed) < signedSize {
		signed = append(signed, 0)
	}
	// PKCS #1 version 1.5 over the bytes themselves, not over their hash.
	return rsa.SignPKCS1v15(nil, key(), 0, signed)
}

// SessionKey unwraps the key of a session: RSA-OAEP with SHA-1, 16 bytes
// within.
func SessionKey(wrapped []byte) (k [16]byte, err error) {
	b, err := rsa.DecryptOAEP(sha1.New(), nil, key(), wrapped, nil)
	if err != nil {
		return k, fmt.Errorf("%w: session key of %d bytes: %w", ErrMalformed, len(wrapped), err)
	}
	if len(b) != len(k) {
		return k, fmt.Errorf("%w: session key holds %d bytes", ErrMalformed, len(b))
	}
	return [16]byte(b), nil
}

// WrapKey is the inverse of SessionKey, for software senders.
func WrapKey(k [16]byte) ([]byte, error) {
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, Public(), k[:], nil)
}
