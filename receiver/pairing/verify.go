package pairing

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"

	"aerie/receiver/pairing/keystore"
)

const (
	x25519Size = 32

	verifySize      = 4 + x25519Size + ed25519.PublicKeySize // both messages of a sender
	verifyReplySize = x25519Size + ed25519.SignatureSize     // to the first
)

// The first byte of a pair-verify message; the three after it are zero.
const (
	verifyFinish = 0
	verifyStart  = 1
)

// verification is a pair-verify under way, seen from either side.
type verification struct {
	key             keystore.Key // Ed25519, of the other side
	ours, theirs    []byte       // X25519 public keys
	shared          []byte       // X25519 secret
	signatureStream cipher.Stream
}

// newVerification agrees on a secret with the holder of an X25519 public key.
// It fails for the points of low order, zero among them, for which the secret
// would be zero whatever our private key is (RFC 7748 section 6.1).
func newVerification(private *ecdh.PrivateKey, theirs []byte, key keystore.Key) (*verification, error) {
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	block, iv := deriveAES("Pair-Verify", shared)
	return &verification{
		key:             key,
		ours:            private.PublicKey().Bytes(),
		theirs:          public.Bytes(),
		shared:          shared,
		signatureStream: cipher.NewCTR(block, iv),
	}, nil
}

// sign returns our encrypted signature: over our X25519 key and theirs.
func (v *verification) sign(identity ed25519.PrivateKey) []byte {
	signature := ed25519.Sign(identity, append(append([]byte(nil), v.ours...), v.theirs...))
	v.signatureStream.XORKeyStream(signature, signature)
	return signature
}

// check tells whether an encrypted signature is that of the other side: over
// its X25519 key and ours. The stream runs on from one signature to the next.
func (v *verification) check(encrypted []byte) bool {
	signature := make([]byte, len(encrypted))
	v.signatureStream.XORKeyStream(signature, encrypted)
	signed := append(append([]byte(nil), v.theirs...), v.ours...)
	return ed25519.Verify(v.key[:], signed, signature)
}

// Verify answers the body of a legacy POST /pair-verify (68 bytes). The first
// message is answered with 96 bytes, the second with none: after it Verified
// and Shared tell the result (reference section 5.1).
//
// A sender that must enter a PIN first is refused with ErrUnauthorized. So is
// a bad signature, after which the conversation has Failed.
func (c *Conversation) Verify(body []byte) ([]byte, error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	if len(body) != verifySize {
		return nil, fmt.Errorf("pairing: %w: pair-verify of %d bytes, want %d", ErrMalformed, len(body), verifySize)
	}
	switch body[0] {
	case verifyStart:
		return c.startVerify(body[4:4+x25519Size], keystore.Key(body[4+x25519Size:]))
	case verifyFinish:
		return nil, c.finishVerify(body[4:])
	}
	return nil, fmt.Errorf("pairing: %w: pair-verify message %d", ErrMalformed, body[0])
}

func (c *Conversation) startVerify(theirs []byte, key keystore.Key) ([]byte, error) {
	c.verification, c.verified, c.shared, c.key = nil, false, nil, keystore.Key{}
	if here := c.paired != nil && *c.paired == key; !here && !c.authority.admits(key) {
		return nil, fmt.Errorf("pairing: %w: a sender that has not entered a PIN", ErrUnauthorized)
	}
	private, err := c.authority.newX25519()
	if err != nil {
		return nil, fmt.Errorf("pairing: X25519 key: %w", err)
	}
	v, err := newVerification(private, theirs, key)
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: X25519 public key %x: %w", ErrMalformed, theirs, err)
	}
	c.verification = v
	reply := make([]byte, 0, verifyReplySize)
	reply = append(reply, v.ours...)
	return append(reply, v.sign(c.authority.config.Store.Identity())...), nil
}

func (c *Conversation) finishVerify(signature []byte) error {
	v := c.verification
	if v == nil {
		return fmt.Errorf("pairing: %w: second pair-verify message without a first", ErrMalformed)
	}
	c.verification = nil
	if !v.check(signature) {
		c.failed = true
		return fmt.Errorf("pairing: %w: the sender's signature does not verify", ErrUnauthorized)
	}
	c.verified, c.key, c.shared = true, v.key, v.shared
	c.authority.verified(v.key)
	return nil
}
