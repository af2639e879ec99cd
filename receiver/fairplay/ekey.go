package fairplay

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

const (
	ekeySize = 72
	keySize  = 16
)

// usualEKeyKind stands in every ekey captured so far; its meaning is unknown.
var usualEKeyKind = [4]byte{1, 2, 1, 0}

// ekey is the wrapped session key of a SETUP request (FairPlay reference
// section 1).
type ekey struct {
	kind      [4]byte
	mask      [keySize]byte
	check     [sha1.Size]byte
	encrypted [keySize]byte
	checked   [36]byte // the part that the check value covers
}

func parseEKey(b []byte) (e ekey, err error) {
	if len(b) != ekeySize {
		return e, fmt.Errorf("fairplay: ekey of %d bytes, want %d", len(b), ekeySize)
	}
	if string(b[:4]) != magic {
		return e, fmt.Errorf("fairplay: ekey begins with %x, not %q", b[:4], magic)
	}
	if n := binary.BigEndian.Uint32(b[8:]); n != ekeySize-headerSize {
		return e, fmt.Errorf("fairplay: ekey announces %d bytes, has %d", n, ekeySize-headerSize)
	}
	if n := binary.BigEndian.Uint32(b[32:]); n != keySize {
		return e, fmt.Errorf("fairplay: ekey holds a key of %d bytes, want %d", n, keySize)
	}
	copy(e.kind[:], b[4:8])
	copy(e.mask[:], b[16:32])
	copy(e.checked[:], b[:36])
	copy(e.check[:], b[36:56])
	copy(e.encrypted[:], b[56:72])
	return e, nil
}

// open decrypts the session key and tells whether its check value agrees
// (FairPlay reference section 7).
func (e *ekey) open(sender, receiver *[sapSize]byte) (key [keySize]byte, verified bool) {
	kek := keyEncryptionKey(sender, receiver)
	block, err := aes.NewCipher(kek[:])
	if err != nil {
		panic(err) // cannot happen: a KEK has the length of an AES-128 key
	}
	block.Decrypt(key[:], e.encrypted[:])
	subtle.XORBytes(key[:], key[:], e.mask[:])

	ck := checkKey(sender, receiver)
	mac := hmac.New(sha1.New, ck[:])
	mac.Write(e.checked[:])
	mac.Write(key[:])
	return key, hmac.Equal(mac.Sum(nil), e.check[:])
}
