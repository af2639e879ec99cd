package pairing

import (
	"fmt"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/tlv8"
)

// Pairing is one pairing of a receiver, as senders see it.
type Pairing struct {
	ID    string
	Key   keystore.Key
	Admin bool // may add, remove and list pairings
}

// AddRequest returns the body of a POST /pair-add.
func AddRequest(p Pairing) []byte {
	return append(tlv8.Message{tlv8.Byte(tlv8.State, 1), tlv8.Byte(tlv8.Method, methodAdd)}, pairingItems(p.ID, p.Key, p.Admin)...).Append(nil)
}

// RemoveRequest returns the body of a POST /pair-remove.
func RemoveRequest(id string) []byte {
	return tlv8.Message{tlv8.Byte(tlv8.State, 1), tlv8.Byte(tlv8.Method, methodRemove), {Type: tlv8.Identifier, Value: []byte(id)}}.Append(nil)
}

// ListRequest returns the body of a POST /pair-list.
func ListRequest() []byte {
	return tlv8.Message{tlv8.Byte(tlv8.State, 1), tlv8.Byte(tlv8.Method, methodList)}.Append(nil)
}

// ParsePairings parses the reply to any of the three requests, of which that
// to a list has pairings. An error of type HomeKitError is the receiver's.
func ParsePairings(body []byte) (all []Pairing, err error) {
	m, err := parseReply(body, 2)
	if err != nil {
		return nil, err
	}
	for len(m) > 0 {
		end := 0
		for end < len(m) && m[end].Type != tlv8.Separator {
			end++
		}
		one := m[:end]
		m = m[min(end+1, len(m)):]
		if one.Bytes(tlv8.Identifier) == nil {
			continue // the state alone
		}
		p := Pairing{}
		if p.ID, err = identifier(one); err == nil {
			p.Key, err = longTermKey(one)
		}
		if err != nil {
			return nil, err
		}
		permissions, err := one.Uint(tlv8.Permissions)
		if err != nil {
			return nil, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
		}
		p.Admin = permissions&permissionAdmin != 0
		all = append(all, p)
	}
	return all, nil
}
