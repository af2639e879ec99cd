package session

import "crypto/sha512"

// mix makes the key of the streams out of FairPlay's: after pair-verify the
// secret of that is mixed in (reference section 9.1). One sender is known that
// pairs and yet does not.
func mix(key [16]byte, shared []byte, agent string) [16]byte {
	if shared == nil || agent == "AirMyPC/2.0" {
		return key
	}
	sum := sha512.Sum512(append(key[:], shared...))
	return [16]byte(sum[:16])
}
