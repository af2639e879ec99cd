package pairing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/srp"
)

// Initiator is the sender's half of pairing on one control connection. It
// makes the bodies of the requests and takes those of the replies; it is used
// by one goroutine at a time.
//
// A sender calls Setup and SetupReply, or the four PIN methods, unless it
// knows the receiver's key already and calls Trust; then Verify and
// VerifyReply. Errors say that the receiver is not who it should be, or that
// its reply makes no sense.
type Initiator struct {
	identity ed25519.PrivateKey
	deviceID string

	receiver *keystore.Key // long-term key, as soon as it is known

	client     *srp.Client
	sessionKey []byte

	private *ecdh.PrivateKey // of the pair-verify under way
	shared  []byte

	newX25519 func() (*ecdh.PrivateKey, error) // replaced by tests that replay recorded exchanges
}

// NewInitiator returns the half of a sender with the given long-term key pair
// and device ID.
func NewInitiator(identity ed25519.PrivateKey, deviceID string) *Initiator {
	return &Initiator{identity: identity, deviceID: deviceID, newX25519: drawX25519}
}

// Trust sets the receiver's long-term key from an earlier pairing, or from
// what it advertises ("pk", reference section 1.1).
func (i *Initiator) Trust(receiver keystore.Key) { i.receiver = &receiver }

// Receiver returns the receiver's long-term key, if it is known.
func (i *Initiator) Receiver() (key keystore.Key, known bool) {
	if i.receiver == nil {
		return key, false
	}
	return *i.receiver, true
}

// Setup returns the body of POST /pair-setup, 32 bytes.
func (i *Initiator) Setup() []byte {
	key := publicKey(i.identity)
	return key[:]
}

// SetupReply takes the body of its reply, the receiver's key. A receiver that
// is trusted must not have changed it.
func (i *Initiator) SetupReply(body []byte) error {
	if len(body) != ed25519.PublicKeySize {
		return fmt.Errorf("pairing: %w: pair-setup reply of %d bytes, want %d", ErrMalformed, len(body), ed25519.PublicKeySize)
	}
	return i.learn(keystore.Key(body))
}

func (i *Initiator) learn(key keystore.Key) error {
	if i.receiver != nil && *i.receiver != key {
		return fmt.Errorf("pairing: %w: the receiver has key %x instead of %x", ErrUnauthorized, key, *i.receiver)
	}
	i.receiver = &key
	return nil
}

// Verify returns the body of the first POST /pair-verify, 68 bytes.
func (i *Initiator) Verify() ([]byte, error) {
	if i.receiver == nil {
		return nil, errors.New("pairing: pair-verify with a receiver whose key is not known")
	}
	private, err := i.newX25519()
	if err != nil {
		return nil, fmt.Errorf("pairing: X25519 key: %w", err)
	}
	i.private, i.shared = private, nil
	key := publicKey(i.identity)
	return bytes.Join([][]byte{{verifyStart, 0, 0, 0}, private.PublicKey().Bytes(), key[:]}, nil), nil
}

// VerifyReply takes the body of its reply, 96 bytes, checks the receiver's
// signature and returns the body of the second POST /pair-verify, 68 bytes.
// When that is answered with status 200, both sides share the secret.
func (i *Initiator) VerifyReply(body []byte) ([]byte, error) {
	private := i.private
	if i.private = nil; private == nil {
		return nil, errors.New("pairing: reply to a pair-verify that was not begun")
	}
	if len(body) != verifyReplySize {
		return nil, fmt.Errorf("pairing: %w: pair-verify reply of %d bytes, want %d", ErrMalformed, len(body), verifyReplySize)
	}
	v, err := newVerification(private, body[:x25519Size], *i.receiver)
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: X25519 public key %x: %w", ErrMalformed, body[:x25519Size], err)
	}
	if !v.check(body[x25519Size:]) {
		return nil, fmt.Errorf("pairing: %w: the receiver's signature does not verify", ErrUnauthorized)
	}
	i.shared = v.shared
	return append([]byte{verifyFinish, 0, 0, 0}, v.sign(i.identity)...), nil
}

// Shared returns the X25519 secret (32 bytes) of both sides; nil before
// VerifyReply.
func (i *Initiator) Shared() []byte { return i.shared }

// PIN returns the first request of POST /pair-setup-pin, after a POST
// /pair-pin-start without a body has put a PIN on the receiver's screen.
func (i *Initiator) PIN() PINRequest {
	i.client, i.sessionKey = srp.Legacy().NewClient(i.deviceID), nil
	return PINRequest{Method: pinMethod, User: i.deviceID}
}

// PINProof takes the reply to PIN and the PIN that was read off the screen,
// and returns the second request.
func (i *Initiator) PINProof(r PINReply, pin string) (PINRequest, error) {
	if i.client == nil {
		return PINRequest{}, errors.New("pairing: reply to a PIN request that was not made")
	}
	n := srp.Legacy().Size()
	if err := checkSizes("reply to a PIN request", size{"pk", r.PK, 1, n}, size{"salt", r.Salt, saltSize, saltSize}); err != nil {
		return PINRequest{}, err
	}
	proof, err := i.client.Respond(pin, r.Salt, r.PK)
	if err != nil {
		return PINRequest{}, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	return PINRequest{PK: i.client.Public(), Proof: proof}, nil
}

// PINKeys takes the reply to PINProof, which shows that the receiver knows
// the PIN too, and returns the third request. It fails with ErrUnauthorized
// where the receiver does not.
func (i *Initiator) PINKeys(r PINReply) (PINRequest, error) {
	client := i.client
	if i.client = nil; client == nil {
		return PINRequest{}, errors.New("pairing: reply to a proof that was not sent")
	}
	key, err := client.Finish(r.Proof)
	if err != nil {
		return PINRequest{}, fmt.Errorf("pairing: %w: the receiver's proof: %w", ErrUnauthorized, err)
	}
	i.sessionKey = key
	epk, tag := sealKey(key, 1, publicKey(i.identity))
	return PINRequest{EPK: epk, AuthTag: tag}, nil
}

// PINDone takes the reply to PINKeys, the receiver's key.
func (i *Initiator) PINDone(r PINReply) error {
	session := i.sessionKey
	if i.sessionKey = nil; session == nil {
		return errors.New("pairing: reply to keys that were not sent")
	}
	if err := checkSizes("reply with keys", size{"epk", r.EPK, ed25519.PublicKeySize, ed25519.PublicKeySize},
		size{"authTag", r.AuthTag, tagSize, tagSize}); err != nil {
		return err
	}
	key, err := openKey(session, 2, r.EPK, r.AuthTag)
	if err != nil {
		return fmt.Errorf("pairing: %w: the receiver's key: %w", ErrUnauthorized, err)
	}
	return i.learn(key)
}
