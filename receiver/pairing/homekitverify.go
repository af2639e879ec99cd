package pairing

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"

	"aerie/receiver/pairing/tlv8"
)

// homekitVerify is a pair-verify under way, seen from either side.
type homekitVerify struct {
	ours, theirs []byte // X25519 public keys
	shared       Secret
	encrypt      [32]byte
}

// newHomekitVerify agrees on a secret with the holder of an X25519 public key.
// It fails for the points of low order (RFC 7748 section 6.1).
func newHomekitVerify(private *ecdh.PrivateKey, theirs []byte) (*homekitVerify, error) {
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	v := &homekitVerify{ours: private.PublicKey().Bytes(), theirs: public.Bytes(), shared: shared}
	v.encrypt = v.shared.derive("Pair-Verify-Encrypt-Salt", "Pair-Verify-Encrypt-Info")
	return v, nil
}

// sign returns who we are, signed and encrypted under a message name.
func (v *homekitVerify) sign(identity ed25519.PrivateKey, id, name string) []byte {
	signature := ed25519.Sign(identity, signed(v.ours, id, v.theirs))
	inner := tlv8.Message{{Type: tlv8.Identifier, Value: []byte(id)}, {Type: tlv8.Signature, Value: signature}}
	return sealed(v.encrypt, name, inner.Append(nil))
}

// HomeKitVerify answers the body of a HomeKit POST /pair-verify, like
// HomeKitSetup. After the second of its two requests Verified tells the
// result, and Channel returns the secret.
//
// A bad signature ends the conversation, which has then Failed.
func (c *Conversation) HomeKitVerify(body []byte) (reply []byte, err error) {
	m, state, err := c.homekitRequest(body)
	if err != nil {
		return nil, err
	}
	v := c.homekitVerify
	c.homekitVerify = nil
	switch state {
	case 1:
		reply, err = c.verifyHello(m)
	case 3:
		reply, err = c.verifyProof(v, m)
	default:
		return nil, fmt.Errorf("pairing: %w: pair-verify in state %d", ErrMalformed, state)
	}
	if err != nil {
		return c.refuse(byte(state)+1, err), err
	}
	return reply, nil
}

func (c *Conversation) verifyHello(m tlv8.Message) ([]byte, error) {
	private, err := c.authority.newX25519()
	if err != nil {
		return nil, fmt.Errorf("pairing: X25519 key: %w", err)
	}
	v, err := newHomekitVerify(private, m.Bytes(tlv8.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: X25519 public key %.32x: %w", ErrMalformed, m.Bytes(tlv8.PublicKey), err)
	}
	c.homekitVerify = v
	config := &c.authority.config
	return tlv8.Message{tlv8.Byte(tlv8.State, 2), {Type: tlv8.PublicKey, Value: v.ours},
		{Type: tlv8.EncryptedData, Value: v.sign(config.Store.Identity(), config.Identifier, "PV-Msg02")}}.Append(nil), nil
}

func (c *Conversation) verifyProof(v *homekitVerify, m tlv8.Message) ([]byte, error) {
	if v == nil {
		return nil, fmt.Errorf("pairing: %w: second pair-verify message without a first", ErrMalformed)
	}
	inner, err := openedItems(v.encrypt, "PV-Msg03", m)
	if err != nil {
		c.failed = true
		return nil, err
	}
	id, err := identifier(inner)
	if err != nil {
		return nil, err
	}
	who, known := c.authority.controller(id)
	if !known {
		return nil, fmt.Errorf("pairing: %w: %w: sender %q has not paired", ErrUnauthorized, HomeKitAuthentication, id)
	}
	if !ed25519.Verify(who.key[:], signed(v.theirs, id, v.ours), inner.Bytes(tlv8.Signature)) {
		c.failed = true
		return nil, fmt.Errorf("pairing: %w: %w: the signature of sender %q does not verify", ErrUnauthorized, HomeKitAuthentication, id)
	}
	if !c.authority.admitsController(who.key) {
		return nil, fmt.Errorf("pairing: %w: %w: sender %q must enter a PIN", ErrUnauthorized, HomeKitAuthentication, id)
	}
	c.verified, c.key, c.identifier, c.channel = true, who.key, id, v.shared
	c.authority.verified(who.key)
	return tlv8.Message{tlv8.Byte(tlv8.State, 4)}.Append(nil), nil
}

// Channel returns the secret of the encrypted control connection, nil before
// HomeKit pairing is done. Everything behind the reply to its last request is
// encrypted, both ways.
func (c *Conversation) Channel() Secret { return c.channel }

// Proved tells whether the sender showed in HomeKit pairing that it knows the
// password, so that it need not be asked in another way.
func (c *Conversation) Proved() bool {
	return c.channel != nil && c.authority.config.PIN == PINOff && (c.entered || c.verified)
}
