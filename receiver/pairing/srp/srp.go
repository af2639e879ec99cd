// Package srp is SRP-6a, the password-authenticated key agreement of AirPlay
// pairing, in its two flavours: with the 2048-bit group and SHA-1 for the PIN
// of legacy pairing, and with the 3072-bit group and SHA-512 for HomeKit
// pairing (reference sections 5.2 and 5.4; RFC 5054 for groups and names).
//
// Both sides prove that they know a password without showing it. Who guesses
// wrong learns nothing but that; limits on guesses are the caller's, and so
// is the transport.
//
// Arithmetic is that of math/big, whose running time depends on its operands.
// What an observer could learn is worth little here: private values serve
// once, and the password is a PIN that is shown for minutes. Proofs are
// compared in constant time.
//
// Proof: srp_test.go compares both flavours with recorded exchanges, value by
// value, lets both sides agree and disagree, and refuses public values that
// would give the key away; FuzzVerify and FuzzRespond feed hostile ones.
package srp

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha512"
	"errors"
	"hash"
	"math/big"
	"sync"
)

const (
	saltSize    = 16
	privateSize = 32 // bytes of a private value; RFC 5054 section 3.1 asks for this at least
)

// Suite is a flavour: a group, a hash and a way to make the session key.
type Suite struct {
	n, g       *big.Int
	size       int // bytes of n
	newHash    func() hash.Hash
	sessionKey func(secret []byte) []byte
}

// Legacy is the flavour of legacy pairing: proofs of 20 bytes, a key of 40.
var Legacy = sync.OnceValue(func() *Suite {
	s := &Suite{n: parse(prime2048), g: big.NewInt(2), size: 2048 / 8, newHash: sha1.New}
	s.sessionKey = func(secret []byte) []byte {
		first := s.hash(secret, []byte{0, 0, 0, 0})
		return append(first, s.hash(secret, []byte{0, 0, 0, 1})...)
	}
	return s
})

// HomeKit is the flavour of HomeKit pairing: proofs and key of 64 bytes.
var HomeKit = sync.OnceValue(func() *Suite {
	s := &Suite{n: parse(prime3072), g: big.NewInt(5), size: 3072 / 8, newHash: sha512.New}
	s.sessionKey = func(secret []byte) []byte { return s.hash(secret) }
	return s
})

// Why an exchange fails. Only ErrPassword says something about the password.
var (
	ErrPassword = errors.New("srp: the other side does not know the password")
	ErrPublic   = errors.New("srp: unacceptable public value")
)

// Size returns the number of bytes of a public value, at most.
func (s *Suite) Size() int { return s.size }

// ProofSize returns the number of bytes of a proof.
func (s *Suite) ProofSize() int { return s.newHash().Size() }

func (s *Suite) hash(parts ...[]byte) []byte {
	h := s.newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// pad returns x with the leading zeros that fill the size of the group.
func (s *Suite) pad(x *big.Int) []byte { return x.FillBytes(make([]byte, s.size)) }

// public parses the other side's public value. Zero modulo n would make the
// secret known to everyone; a value that n or more does not come from an
// honest side. Leading zeros are allowed.
func (s *Suite) public(b []byte) (*big.Int, error) {
	if len(b) > s.size {
		return nil, ErrPublic
	}
	x := new(big.Int).SetBytes(b)
	if x.Sign() == 0 || x.Cmp(s.n) >= 0 {
		return nil, ErrPublic
	}
	return x, nil
}

// multiplier is k = H(N, pad(g)).
func (s *Suite) multiplier() *big.Int {
	return new(big.Int).SetBytes(s.hash(s.n.Bytes(), s.pad(s.g)))
}

// passwordExponent is x = H(salt, H(user, ":", password)).
func (s *Suite) passwordExponent(salt []byte, user, password string) *big.Int {
	return new(big.Int).SetBytes(s.hash(salt, s.hash([]byte(user+":"+password))))
}

// scrambler is u = H(pad(A), pad(B)).
func (s *Suite) scrambler(a, b *big.Int) *big.Int {
	return new(big.Int).SetBytes(s.hash(s.pad(a), s.pad(b)))
}

// proofs returns M1, by which the client proves that it has the key, and M2,
// by which the server does. Numbers in it are without leading zeros.
func (s *Suite) proofs(user string, salt []byte, a, b *big.Int, key []byte) (m1, m2 []byte) {
	group, generator := s.hash(s.n.Bytes()), s.hash(s.g.Bytes())
	for i := range group {
		group[i] ^= generator[i]
	}
	m1 = s.hash(group, s.hash([]byte(user)), salt, a.Bytes(), b.Bytes(), key)
	return m1, s.hash(a.Bytes(), m1, key)
}

// randomBytes never fails (crypto/rand).
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func parse(hex string) *big.Int {
	x, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("srp: malformed prime")
	}
	return x
}
