package pairing

import (
	"errors"
	"fmt"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/tlv8"
)

// HomeKitAdmin answers the body of POST /pair-add, /pair-remove or /pair-list,
// like HomeKitSetup. Only a sender that pair-verify showed to be one with the
// right to do so may ask. A pairing that is removed opens no new session; one
// that is open goes on to its end.
func (c *Conversation) HomeKitAdmin(body []byte) ([]byte, error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	m, state, err := parseState(body)
	if err != nil {
		return nil, err
	}
	method, err := m.Uint(tlv8.Method)
	if err != nil || state != 1 {
		return nil, fmt.Errorf("pairing: %w: pairings in state %d", ErrMalformed, state)
	}
	var reply tlv8.Message
	if err = c.mayManage(); err == nil {
		switch method {
		case methodAdd:
			err = c.addPairing(m)
		case methodRemove:
			err = c.removePairing(m)
		case methodList:
			reply = c.listPairings()
		default:
			return nil, fmt.Errorf("pairing: %w: pairings by method %d", ErrMalformed, method)
		}
	}
	if err != nil {
		return c.refuse(2, err), err
	}
	return append(tlv8.Message{tlv8.Byte(tlv8.State, 2)}, reply...).Append(nil), nil
}

// mayManage looks the right up anew each time: it may have been taken away.
func (c *Conversation) mayManage() error {
	if c.channel != nil && c.verified {
		if who, ok := c.authority.controller(c.identifier); ok && who.key == c.key && who.admin {
			return nil
		}
	}
	return fmt.Errorf("pairing: %w: %w: pairings are managed by those with the right to", ErrUnauthorized, HomeKitAuthentication)
}

func (c *Conversation) addPairing(m tlv8.Message) error {
	id, err := identifier(m)
	if err != nil {
		return err
	}
	key, err := longTermKey(m)
	if err != nil {
		return err
	}
	permissions, err := m.Uint(tlv8.Permissions)
	if err != nil {
		return fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	store := c.authority.config.Store
	s, known := store.Find(id)
	switch {
	case known && s.Key != key:
		return fmt.Errorf("pairing: %w: %w: sender %q is known with another key", ErrForbidden, HomeKitUnknown, id)
	case !known && len(store.Senders()) >= keystore.MaxSenders:
		return fmt.Errorf("pairing: %w: %w: %d are remembered", ErrForbidden, HomeKitMaxPeers, keystore.MaxSenders)
	case !known:
		now := c.authority.config.Wall()
		s = keystore.Sender{Key: key, ID: id, FirstSeen: now, LastSeen: now}
	}
	s.Admin = permissions&permissionAdmin != 0
	return c.kept(store.Add(s))
}

// removePairing forgets a sender. When the last is gone that could manage
// them, all pairings go: nobody could remove those otherwise.
func (c *Conversation) removePairing(m tlv8.Message) error {
	id, err := identifier(m)
	if err != nil {
		return err
	}
	store := c.authority.config.Store
	_, err = store.Forget(id)
	for _, s := range store.Senders() {
		if s.Admin {
			return c.kept(err)
		}
	}
	return c.kept(errors.Join(err, store.ForgetAll()))
}

// kept reports that the disk failed, in the terms of HomeKit.
func (c *Conversation) kept(err error) error {
	if err != nil {
		return fmt.Errorf("pairing: %w: %w", HomeKitUnknown, err)
	}
	return nil
}

func (c *Conversation) listPairings() (m tlv8.Message) {
	for i, s := range c.authority.config.Store.Senders() {
		if i > 0 {
			m = append(m, tlv8.Item{Type: tlv8.Separator})
		}
		m = append(m, pairingItems(s.ID, s.Key, s.Admin)...)
	}
	return m
}

// pairingItems are the items of one pairing.
func pairingItems(id string, key keystore.Key, admin bool) tlv8.Message {
	permissions := byte(0)
	if admin {
		permissions = permissionAdmin
	}
	return tlv8.Message{{Type: tlv8.Identifier, Value: []byte(id)}, {Type: tlv8.PublicKey, Value: key[:]}, tlv8.Byte(tlv8.Permissions, permissions)}
}
