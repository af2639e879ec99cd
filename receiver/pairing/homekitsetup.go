package pairing

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"aerie/receiver/pairing/srp"
	"aerie/receiver/pairing/tlv8"
)

// homekitSetup is a pair-setup under way.
type homekitSetup struct {
	transient bool
	pin       uint64      // number of the PIN on the screen, 0 where none is asked for
	server    *srp.Server // after the first request; nil after the second
	key       Secret      // after the second
}

// HomeKitSetup answers the body of a HomeKit POST /pair-setup, the three
// requests of which are told apart by their state (reference section 5.4).
//
// Where a PIN is asked for, the first request puts one on the screen; where a
// password is, that is the PIN; else it is 3939. After a transient pair-setup,
// which ends with the second request, Channel returns the secret; otherwise
// pair-verify follows.
//
// The reply says what is wrong in the terms of HomeKit, beside the error that
// is for the log. It is nil for a request that makes no sense.
func (c *Conversation) HomeKitSetup(body []byte) (reply []byte, err error) {
	m, state, err := c.homekitRequest(body)
	if err != nil {
		return nil, err
	}
	x := c.homekitSetup
	c.homekitSetup = nil // each step puts back what the next one needs
	switch state {
	case 1:
		reply, err = c.setupHello(m)
	case 3:
		reply, err = c.setupProof(x, m)
	case 5:
		reply, err = c.setupKeys(x, m)
	default:
		return nil, fmt.Errorf("pairing: %w: pair-setup in state %d", ErrMalformed, state)
	}
	if err != nil {
		return c.refuse(byte(state)+1, err), err
	}
	return reply, nil
}

// homekitRequest parses a request of a conversation that may go on.
func (c *Conversation) homekitRequest(body []byte) (tlv8.Message, uint32, error) {
	if err := c.alive(); err != nil {
		return nil, 0, err
	}
	if c.channel != nil {
		return nil, 0, fmt.Errorf("pairing: %w: a second pairing on one connection", ErrMalformed)
	}
	return parseState(body)
}

// setupHello is the first request: who asks, and for what.
func (c *Conversation) setupHello(m tlv8.Message) ([]byte, error) {
	if method, err := m.Uint(tlv8.Method); err != nil || method != methodSetup {
		return nil, fmt.Errorf("pairing: %w: pair-setup by method %d", ErrMalformed, method)
	}
	flags, err := m.Uint(tlv8.Flags)
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	if c.setups++; c.setups > maxSetups {
		c.failed = true
		return nil, fmt.Errorf("pairing: %w: %w: %d times on one connection", ErrForbidden, HomeKitMaxTries, c.setups)
	}
	x := &homekitSetup{transient: flags&flagTransient != 0}
	password := publicPIN
	a := c.authority
	switch {
	case a.config.PIN != PINOff:
		if c.pinNumber, err = a.pins.ask(c.pinNumber); err != nil {
			return nil, err
		}
		var shown bool
		if password, x.pin, shown = a.pins.join(c.pinNumber); !shown {
			return nil, fmt.Errorf("pairing: %w: the PIN has just expired", ErrUnauthorized)
		}
		c.pinNumber = x.pin
	case a.config.Password != nil:
		password = a.config.Password.password
	}
	a.arithmetic.Lock()
	x.server = srp.HomeKit().NewServer(homekitUser, password)
	a.arithmetic.Unlock()
	c.homekitSetup = x
	return tlv8.Message{tlv8.Byte(tlv8.State, 2), {Type: tlv8.PublicKey, Value: x.server.Public()},
		{Type: tlv8.Salt, Value: x.server.Salt()}}.Append(nil), nil
}

// setupProof is the second request: what the sender knows.
func (c *Conversation) setupProof(x *homekitSetup, m tlv8.Message) ([]byte, error) {
	if x == nil || x.server == nil {
		return nil, fmt.Errorf("pairing: %w: proof of a PIN out of turn", ErrMalformed)
	}
	public, proof := m.Bytes(tlv8.PublicKey), m.Bytes(tlv8.Proof)
	if err := checkSizes("proof of a PIN", size{"public key", public, 1, srp.HomeKit().Size()},
		size{"proof", proof, srp.HomeKit().ProofSize(), srp.HomeKit().ProofSize()}); err != nil {
		return nil, err
	}
	var m2, key []byte
	var srpErr error
	err := c.guess(x, func() bool {
		c.authority.arithmetic.Lock()
		defer c.authority.arithmetic.Unlock()
		m2, key, srpErr = x.server.Verify(public, proof)
		return srpErr == nil
	})
	if errors.Is(srpErr, srp.ErrPublic) { // counted as a guess all the same
		return nil, fmt.Errorf("pairing: %w: %w: %w", ErrUnauthorized, HomeKitAuthentication, srpErr)
	}
	if err != nil {
		return nil, err
	}
	if x.transient {
		c.channel, c.entered = key, true
		c.log.Info("pairing: a sender paired for this connection")
	} else {
		c.homekitSetup = &homekitSetup{pin: x.pin, key: key}
	}
	return tlv8.Message{tlv8.Byte(tlv8.State, 4), {Type: tlv8.Proof, Value: m2}}.Append(nil), nil
}

// guess accounts for a proof where there is something to guess.
func (c *Conversation) guess(x *homekitSetup, proves func() bool) error {
	a := c.authority
	switch {
	case x.pin != 0:
		return a.pins.guess(x.pin, proves)
	case a.config.Password != nil:
		return a.config.Password.guess(proves)
	case !proves():
		return fmt.Errorf("pairing: %w: a PIN other than %s", ErrUnauthorized, publicPIN)
	}
	return nil
}

// setupKeys is the third request: the long-term keys change hands.
func (c *Conversation) setupKeys(x *homekitSetup, m tlv8.Message) ([]byte, error) {
	if x == nil || x.key == nil {
		return nil, fmt.Errorf("pairing: %w: keys before the proof of a PIN", ErrMalformed)
	}
	encrypt := x.key.derive("Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info")
	inner, err := openedItems(encrypt, "PS-Msg05", m)
	if err != nil {
		return nil, err
	}
	id, err := identifier(inner)
	if err != nil {
		return nil, err
	}
	key, err := longTermKey(inner)
	if err != nil {
		return nil, err
	}
	proof := x.key.derive("Pair-Setup-Controller-Sign-Salt", "Pair-Setup-Controller-Sign-Info")
	if !ed25519.Verify(key[:], signed(proof[:], id, key[:]), inner.Bytes(tlv8.Signature)) {
		return nil, fmt.Errorf("pairing: %w: %w: the signature of sender %q does not verify", ErrUnauthorized, HomeKitAuthentication, id)
	}
	a := c.authority
	if a.config.Access.blocks(id) {
		return nil, fmt.Errorf("pairing: %w: %w: sender %q is blocked", ErrForbidden, HomeKitAuthentication, id)
	}
	if err := a.enrol(key, id); err != nil {
		return nil, err
	}
	c.log.Info("pairing: a sender paired", "sender", id)
	own := publicKey(a.config.Store.Identity())
	proof = x.key.derive("Pair-Setup-Accessory-Sign-Salt", "Pair-Setup-Accessory-Sign-Info")
	answer := tlv8.Message{{Type: tlv8.Identifier, Value: []byte(a.config.Identifier)}, {Type: tlv8.PublicKey, Value: own[:]},
		{Type: tlv8.Signature, Value: ed25519.Sign(a.config.Store.Identity(), signed(proof[:], a.config.Identifier, own[:]))}}
	return tlv8.Message{tlv8.Byte(tlv8.State, 6),
		{Type: tlv8.EncryptedData, Value: sealed(encrypt, "PS-Msg06", answer.Append(nil))}}.Append(nil), nil
}
