package message

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// PairingIdentity derives the UUID a receiver is known by ("pi") from its
// device id, so that it survives the loss of all state: the first 16 bytes of
// SHA-256(deviceID ‖ "AirPlay2-PI"), with the version in the high half of
// byte 6 and the variant in the top bits of byte 8.
func PairingIdentity(deviceID string) string { return uuid(deviceID + "AirPlay2-PI") }

// DisplayIdentity derives the UUID of the display in /info likewise.
func DisplayIdentity(deviceID string) string { return uuid(deviceID + "display") }

// SystemIdentity derives the UUID of the system that the receiver is a part of
// ("psi") likewise.
func SystemIdentity(deviceID string) string { return uuid(deviceID + "system") }

func uuid(text string) string {
	h := sha256.Sum256([]byte(text))
	h[6] = h[6]&0x0f | 0x40
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// hexID returns a device id without its colons, as the RAOP instance has it.
func hexID(deviceID string) string { return strings.ReplaceAll(deviceID, ":", "") }
