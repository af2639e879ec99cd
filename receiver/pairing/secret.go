package pairing

import (
	"crypto/hkdf"
	"crypto/sha512"
	"strconv"
)

// Secret is what both sides share after HomeKit pairing: the SRP session key
// (64 bytes) after a transient pair-setup, the X25519 secret (32 bytes) after
// pair-verify. All that is encrypted afterwards is so with keys derived from
// it (reference sections 5.5 and 9.4).
type Secret []byte

// ChannelKeys are the two keys of an encrypted channel, by who writes with
// them.
type ChannelKeys struct{ Sender, Receiver [32]byte }

// Control returns the keys of the control connection. Their names on the wire
// are those of the sender: what it writes is "Write".
func (s Secret) Control() ChannelKeys {
	return s.channel("Control-Salt", "Control-Write-Encryption-Key", "Control-Read-Encryption-Key")
}

// Events returns the keys of the event channel, whose names are those of the
// receiver.
func (s Secret) Events() ChannelKeys {
	return s.channel("Events-Salt", "Events-Read-Encryption-Key", "Events-Write-Encryption-Key")
}

// Stream returns the key with which the sender encrypts the stream of that
// connection ID.
func (s Secret) Stream(connectionID uint64) [32]byte {
	return s.derive("DataStream-Salt"+strconv.FormatUint(connectionID, 10), "DataStream-Output-Encryption-Key")
}

func (s Secret) channel(salt, sender, receiver string) ChannelKeys {
	return ChannelKeys{Sender: s.derive(salt, sender), Receiver: s.derive(salt, receiver)}
}

func (s Secret) derive(salt, info string) [32]byte {
	key, err := hkdf.Key(sha512.New, s, []byte(salt), info, 32)
	if err != nil {
		panic(err) // cannot happen: the hash gives 255 times its 64 bytes
	}
	return [32]byte(key)
}
