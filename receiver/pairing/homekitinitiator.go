package pairing

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/srp"
	"aerie/receiver/pairing/tlv8"
)

// HomeKitInitiator is the sender's half of HomeKit pairing on one control
// connection, like Initiator. An error of type HomeKitError is the receiver's.
//
// A sender calls Setup, SetupProof and SetupKeys, and SetupDone unless the
// setup was transient, in which case it has a Secret by then. One that has
// paired before, or has just, calls Verify, VerifyProof and VerifyDone.
type HomeKitInitiator struct {
	identity ed25519.PrivateKey
	id       string

	receiver   *keystore.Key // long-term key and name, as soon as they are known
	receiverID string

	transient bool
	client    *srp.Client
	session   Secret // SRP session key
	verify    *homekitVerify
	private   *ecdh.PrivateKey
	secret    Secret
}

// NewHomeKitInitiator returns the half of a sender with the given long-term
// key pair and identifier, a UUID.
func NewHomeKitInitiator(identity ed25519.PrivateKey, id string) *HomeKitInitiator {
	return &HomeKitInitiator{identity: identity, id: id}
}

// Trust sets the receiver's long-term key from an earlier pairing.
func (i *HomeKitInitiator) Trust(receiver keystore.Key) { i.receiver = &receiver }

// Receiver returns the receiver's long-term key, if it is known.
func (i *HomeKitInitiator) Receiver() (key keystore.Key, known bool) {
	if i.receiver == nil {
		return key, false
	}
	return *i.receiver, true
}

// Secret returns what both sides share; nil before that.
func (i *HomeKitInitiator) Secret() Secret { return i.secret }

// parseReply parses a reply in the state it must have.
func parseReply(body []byte, want uint32) (tlv8.Message, error) {
	m, state, err := parseState(body)
	if err != nil {
		return nil, err
	}
	if code, err := m.Uint(tlv8.Error); err != nil || code != 0 {
		return nil, HomeKitError(code)
	}
	if state != want {
		return nil, fmt.Errorf("pairing: %w: reply in state %d, want %d", ErrMalformed, state, want)
	}
	return m, nil
}

// Setup returns the body of the first POST /pair-setup.
func (i *HomeKitInitiator) Setup(transient bool) []byte {
	i.client, i.session, i.transient = srp.HomeKit().NewClient(homekitUser), nil, transient
	m := tlv8.Message{tlv8.Byte(tlv8.State, 1), tlv8.Byte(tlv8.Method, methodSetup)}
	if transient {
		m = append(m, tlv8.Byte(tlv8.Flags, flagTransient))
	}
	return m.Append(nil)
}

// SetupProof takes the reply and the PIN, "" for the one that everybody knows,
// and returns the body of the second POST.
func (i *HomeKitInitiator) SetupProof(body []byte, pin string) ([]byte, error) {
	if i.client == nil {
		return nil, errors.New("pairing: reply to a pair-setup that was not begun")
	}
	m, err := parseReply(body, 2)
	if err != nil {
		return nil, err
	}
	if pin == "" {
		pin = publicPIN
	}
	proof, err := i.client.Respond(pin, m.Bytes(tlv8.Salt), m.Bytes(tlv8.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	return tlv8.Message{tlv8.Byte(tlv8.State, 3), {Type: tlv8.PublicKey, Value: i.client.Public()},
		{Type: tlv8.Proof, Value: proof}}.Append(nil), nil
}

// SetupKeys takes the reply, which shows that the receiver knows the PIN too,
// and returns the body of the third POST; nil after a transient setup, which
// is done.
func (i *HomeKitInitiator) SetupKeys(body []byte) ([]byte, error) {
	client := i.client
	if i.client = nil; client == nil {
		return nil, errors.New("pairing: reply to a proof that was not sent")
	}
	m, err := parseReply(body, 4)
	if err != nil {
		return nil, err
	}
	key, err := client.Finish(m.Bytes(tlv8.Proof))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: the receiver's proof: %w", ErrUnauthorized, err)
	}
	if i.transient {
		i.secret = key
		return nil, nil
	}
	i.session = key
	own := publicKey(i.identity)
	proof := i.session.derive("Pair-Setup-Controller-Sign-Salt", "Pair-Setup-Controller-Sign-Info")
	inner := tlv8.Message{{Type: tlv8.Identifier, Value: []byte(i.id)}, {Type: tlv8.PublicKey, Value: own[:]},
		{Type: tlv8.Signature, Value: ed25519.Sign(i.identity, signed(proof[:], i.id, own[:]))}}
	encrypt := i.session.derive("Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info")
	return tlv8.Message{tlv8.Byte(tlv8.State, 5),
		{Type: tlv8.EncryptedData, Value: sealed(encrypt, "PS-Msg05", inner.Append(nil))}}.Append(nil), nil
}

// SetupDone takes the last reply, the receiver's key.
func (i *HomeKitInitiator) SetupDone(body []byte) error {
	if i.session == nil {
		return errors.New("pairing: reply to keys that were not sent")
	}
	m, err := parseReply(body, 6)
	if err != nil {
		return err
	}
	inner, err := openedItems(i.session.derive("Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info"), "PS-Msg06", m)
	if err != nil {
		return err
	}
	id, err := identifier(inner)
	if err != nil {
		return err
	}
	key, err := longTermKey(inner)
	if err != nil {
		return err
	}
	proof := i.session.derive("Pair-Setup-Accessory-Sign-Salt", "Pair-Setup-Accessory-Sign-Info")
	if !ed25519.Verify(key[:], signed(proof[:], id, key[:]), inner.Bytes(tlv8.Signature)) {
		return fmt.Errorf("pairing: %w: the receiver's signature does not verify", ErrUnauthorized)
	}
	if i.receiver != nil && *i.receiver != key {
		return fmt.Errorf("pairing: %w: the receiver has key %x instead of %x", ErrUnauthorized, key, *i.receiver)
	}
	i.session, i.receiver, i.receiverID = nil, &key, id
	return nil
}

// Verify returns the body of the first POST /pair-verify.
func (i *HomeKitInitiator) Verify() ([]byte, error) {
	if i.receiver == nil {
		return nil, errors.New("pairing: pair-verify with a receiver whose key is not known")
	}
	private, err := drawX25519()
	if err != nil {
		return nil, fmt.Errorf("pairing: X25519 key: %w", err)
	}
	i.private, i.verify, i.secret = private, nil, nil
	return tlv8.Message{tlv8.Byte(tlv8.State, 1), {Type: tlv8.PublicKey, Value: private.PublicKey().Bytes()}}.Append(nil), nil
}

// VerifyProof takes the reply, checks the receiver's signature and returns the
// body of the second POST /pair-verify.
func (i *HomeKitInitiator) VerifyProof(body []byte) ([]byte, error) {
	private := i.private
	if i.private = nil; private == nil {
		return nil, errors.New("pairing: reply to a pair-verify that was not begun")
	}
	m, err := parseReply(body, 2)
	if err != nil {
		return nil, err
	}
	v, err := newHomekitVerify(private, m.Bytes(tlv8.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: X25519 public key: %w", ErrMalformed, err)
	}
	inner, err := openedItems(v.encrypt, "PV-Msg02", m)
	if err != nil {
		return nil, err
	}
	id := string(inner.Bytes(tlv8.Identifier))
	if !ed25519.Verify(i.receiver[:], signed(v.theirs, id, v.ours), inner.Bytes(tlv8.Signature)) {
		return nil, fmt.Errorf("pairing: %w: the receiver's signature does not verify", ErrUnauthorized)
	}
	i.verify, i.receiverID = v, id
	return tlv8.Message{tlv8.Byte(tlv8.State, 3),
		{Type: tlv8.EncryptedData, Value: v.sign(i.identity, i.id, "PV-Msg03")}}.Append(nil), nil
}

// VerifyDone takes the last reply; Secret returns what both sides share.
func (i *HomeKitInitiator) VerifyDone(body []byte) error {
	v := i.verify
	if i.verify = nil; v == nil {
		return errors.New("pairing: reply to a pair-verify that was not finished")
	}
	if _, err := parseReply(body, 4); err != nil {
		return err
	}
	i.secret = v.shared
	return nil
}
