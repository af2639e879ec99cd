package pairing

import (
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/srp"
)

const (
	pinMethod   = "pin"
	maxUserSize = 128
	saltSize    = 16
	tagSize     = 16
)

// PINRequest is the property list of a POST /pair-setup-pin (reference
// section 5.2). Of its fields each of the three requests has two: Method and
// User, PK and Proof, EPK and AuthTag.
type PINRequest struct {
	Method string // "pin"
	User   string // the sender's device ID

	PK    []byte // SRP public value A, up to 256 bytes
	Proof []byte // M1, 20 bytes

	EPK     []byte // the sender's Ed25519 public key, encrypted, 32 bytes
	AuthTag []byte // 16 bytes
}

// PINReply is the property list of the reply. Of its fields the three replies
// have: PK and Salt, Proof, EPK and AuthTag.
type PINReply struct {
	PK   []byte // SRP public value B, 256 bytes
	Salt []byte // 16 bytes

	Proof []byte // M2, 20 bytes

	EPK     []byte // the receiver's Ed25519 public key, encrypted, 32 bytes
	AuthTag []byte // 16 bytes
}

// pinExchange is an exchange under way on a connection.
type pinExchange struct {
	user   string
	number uint64      // of the PIN
	server *srp.Server // after the first request; nil after the second
	key    []byte      // SRP session key, after the second request
}

// StartPIN answers a POST /pair-pin-start: it puts a PIN on the screen, or
// leaves the one that is there. It fails with ErrForbidden where the policy
// knows no PIN, and while too many wrong guesses forbid another.
func (c *Conversation) StartPIN() error {
	if err := c.alive(); err != nil {
		return err
	}
	if c.authority.config.PIN == PINOff {
		return fmt.Errorf("pairing: %w: this receiver asks for no PIN", ErrForbidden)
	}
	number, err := c.authority.pins.ask(c.pinNumber)
	if err != nil {
		return err
	}
	c.pinNumber = number
	return nil
}

// SetupPIN answers a POST /pair-setup-pin. A wrong PIN fails with
// ErrUnauthorized. After any error the sender begins again with the first
// request; after the third the sender's key is known to be that of someone who
// sees the screen.
func (c *Conversation) SetupPIN(r PINRequest) (PINReply, error) {
	if err := c.alive(); err != nil {
		return PINReply{}, err
	}
	x := c.exchange
	c.exchange = nil // each step puts back what the next one needs
	hello, proof, seal := r.Method != "" || r.User != "", len(r.PK)+len(r.Proof) > 0, len(r.EPK)+len(r.AuthTag) > 0
	switch {
	case hello && !proof && !seal:
		return c.pinHello(r)
	case proof && !hello && !seal:
		return c.pinProof(x, r)
	case seal && !hello && !proof:
		return c.pinKeys(x, r)
	}
	return PINReply{}, fmt.Errorf("pairing: %w: PIN request with the fields of none or several", ErrMalformed)
}

// pinHello is the first request: who asks.
func (c *Conversation) pinHello(r PINRequest) (PINReply, error) {
	if r.Method != pinMethod {
		return PINReply{}, fmt.Errorf("pairing: %w: method %.20q, want %q", ErrMalformed, r.Method, pinMethod)
	}
	if !plausibleUser(r.User) {
		return PINReply{}, fmt.Errorf("pairing: %w: user %.20q of %d bytes", ErrMalformed, r.User, len(r.User))
	}
	// Only the block list is asked here: the ID may be written in another way
	// than that of the SETUP to come, by which the lists are kept.
	if c.authority.config.Access.blocks(r.User) {
		return PINReply{}, fmt.Errorf("pairing: %w: sender %q is blocked", ErrForbidden, r.User)
	}
	pin, number, ok := c.authority.pins.join(c.pinNumber)
	if !ok {
		return PINReply{}, fmt.Errorf("pairing: %w: no PIN is shown to sender %q", ErrUnauthorized, r.User)
	}
	c.pinNumber = number
	server := srp.Legacy().NewServer(r.User, pin)
	c.exchange = &pinExchange{user: r.User, number: number, server: server}
	return PINReply{PK: server.Public(), Salt: server.Salt()}, nil
}

// pinProof is the second request: what the sender knows.
func (c *Conversation) pinProof(x *pinExchange, r PINRequest) (PINReply, error) {
	if x == nil || x.server == nil {
		return PINReply{}, fmt.Errorf("pairing: %w: proof of a PIN out of turn", ErrMalformed)
	}
	if err := checkSizes("proof of a PIN", size{"pk", r.PK, 1, srp.Legacy().Size()},
		size{"proof", r.Proof, srp.Legacy().ProofSize(), srp.Legacy().ProofSize()}); err != nil {
		return PINReply{}, err
	}
	var m2, key []byte
	var srpErr error
	err := c.authority.pins.guess(x.number, func() bool {
		m2, key, srpErr = x.server.Verify(r.PK, r.Proof)
		return srpErr == nil
	})
	if errors.Is(srpErr, srp.ErrPublic) { // counted as a guess all the same
		return PINReply{}, fmt.Errorf("pairing: %w: %w", ErrMalformed, srpErr)
	}
	if err != nil {
		return PINReply{}, err
	}
	c.exchange = &pinExchange{user: x.user, key: key}
	return PINReply{Proof: m2}, nil
}

// pinKeys is the third request: the long-term keys change hands.
func (c *Conversation) pinKeys(x *pinExchange, r PINRequest) (PINReply, error) {
	if x == nil || x.key == nil {
		return PINReply{}, fmt.Errorf("pairing: %w: keys before the proof of a PIN", ErrMalformed)
	}
	if err := checkSizes("keys", size{"epk", r.EPK, ed25519.PublicKeySize, ed25519.PublicKeySize},
		size{"authTag", r.AuthTag, tagSize, tagSize}); err != nil {
		return PINReply{}, err
	}
	key, err := openKey(x.key, 1, r.EPK, r.AuthTag)
	if err != nil {
		return PINReply{}, fmt.Errorf("pairing: %w: the key of sender %q: %w", ErrUnauthorized, x.user, err)
	}
	c.paired = &key
	c.authority.paired(key, x.user)
	c.log.Info("pairing: a sender entered the right PIN", "sender", x.user)
	epk, tag := sealKey(x.key, 2, publicKey(c.authority.config.Store.Identity()))
	return PINReply{EPK: epk, AuthTag: tag}, nil
}

// plausibleUser tells whether a device ID can be logged and stored as it is.
func plausibleUser(user string) bool {
	if user == "" || len(user) > maxUserSize || !utf8.ValidString(user) {
		return false
	}
	for _, r := range user {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// size is a field with the least and the greatest length it may have.
type size struct {
	name        string
	value       []byte
	least, most int
}

func checkSizes(of string, sizes ...size) error {
	for _, s := range sizes {
		if n := len(s.value); n < s.least || n > s.most {
			return fmt.Errorf("pairing: %w: %s with a %s of %d bytes, want %d", ErrMalformed, of, s.name, n, s.most)
		}
	}
	return nil
}

// sealKey encrypts a long-term key under an SRP session key. The message
// number, 1 from the sender and 2 from the receiver, is added to the last
// byte of the initial vector.
func sealKey(session []byte, message byte, key keystore.Key) (epk, tag []byte) {
	aead, iv := pinCipher(session, message)
	sealed := aead.Seal(nil, iv, key[:], nil)
	return sealed[:len(key)], sealed[len(key):]
}

// openKey is the inverse of sealKey.
func openKey(session []byte, message byte, epk, tag []byte) (key keystore.Key, err error) {
	aead, iv := pinCipher(session, message)
	plain, err := aead.Open(nil, iv, append(append([]byte(nil), epk...), tag...), nil)
	if err != nil {
		return key, err
	}
	copy(key[:], plain)
	return key, nil
}

// pinCipher returns AES-128-GCM with an initial vector of 16 bytes, not the
// usual 12.
func pinCipher(session []byte, message byte) (aead cipher.AEAD, iv []byte) {
	block, iv := deriveAES("Pair-Setup", session)
	aead, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		panic(err) // cannot happen: AES has the block size of GCM
	}
	iv[len(iv)-1] += message
	return aead, iv
}
