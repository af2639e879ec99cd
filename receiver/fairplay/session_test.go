package fairplay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/binary"
	"strings"
	"testing"
)

// TestSessionKeys goes through every exchange from the first message to the
// session key, by way of the exported API alone.
func TestSessionKeys(t *testing.T) {
	for _, v := range loadVectors(t).Exchanges {
		t.Run(v.ID, func(t *testing.T) {
			h, log := newHandshake()
			m1 := []byte{'F', 'P', 'L', 'Y', 3, 1, 1, 0, 0, 0, 0, 4, 2, 0, v.Mode, 0xbb}
			if v.M1 != nil {
				equal(t, "m1", m1, v.M1)
			}
			if _, err := h.Reply(m1); err != nil {
				t.Fatal(err)
			}
			m4, err := h.Reply(v.M3)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "m4", m4, v.M4)

			key, verified, err := h.SessionKey(v.EKey)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "key", key[:], v.Key)
			if want := v.Check == "valid"; verified != want {
				t.Errorf("verified %v, want %v", verified, want)
			}
			if logged := strings.Contains(log.String(), "level=WARN"); logged == verified {
				t.Errorf("verified %v, log %q", verified, log)
			}
		})
	}
}

// TestForeign derives the key of a session that another receiver held, with
// that receiver's SAP; with ours the same exchange fails its check.
func TestForeign(t *testing.T) {
	v := loadVectors(t).Foreign
	receiver := decryptSAP(v.Mode, (*[sapSize]byte)(v.M2[m2Size-sapSize:]))
	equal(t, "receiver SAP", receiver[:], v.ReceiverSAP)
	sender := senderSAP((*[m3Size]byte)(v.M3))
	equal(t, "sender SAP", sender[:], v.SenderSAP)
	kek, ck := keyEncryptionKey(&sender, &receiver), checkKey(&sender, &receiver)
	equal(t, "KEK", kek[:], v.KEK)
	equal(t, "CK", ck[:], v.CK)

	e, err := parseEKey(v.EKey)
	if err != nil {
		t.Fatal(err)
	}
	key, verified := e.open(&sender, &receiver)
	equal(t, "key", key[:], v.Key)
	if !verified {
		t.Error("the check fails with the receiver's own SAP")
	}
	if key, verified = e.open(&sender, &fixed().receiverSAP); verified || string(key[:]) == string(v.Key) {
		t.Error("the check holds with another receiver's SAP")
	}
}

// TestEndToEnd decrypts the beginning of a captured picture.
func TestEndToEnd(t *testing.T) {
	vectors := loadVectors(t)
	v := vectors.EndToEnd
	exchange := vectors.exchange(t, v.Exchange)
	h, _ := newHandshake()
	if _, err := h.Reply(exchange.M3); err != nil {
		t.Fatal(err)
	}
	session, verified, err := h.SessionKey(exchange.EKey)
	if err != nil || !verified {
		t.Fatalf("verified %v, error %v", verified, err)
	}
	equal(t, "session key", session[:], v.SessionKey)

	secret := sha512.Sum512(append(session[:], v.SharedSecret...))
	derive := func(label string) []byte {
		sum := sha512.Sum512(append([]byte(label+v.StreamConnectionID), secret[:16]...))
		return sum[:16]
	}
	block, err := aes.NewCipher(derive("AirPlayStreamKey"))
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, len(v.Payload))
	cipher.NewCTR(block, derive("AirPlayStreamIV")).XORKeyStream(plain, v.Payload)
	if n := binary.BigEndian.Uint32(plain); n != v.PlaintextFirstWord || int(n) != v.PayloadLength-4 {
		t.Errorf("length of the NAL unit %d, want %d", n, v.PlaintextFirstWord)
	}
	if nal := plain[4] & 31; nal != 5 {
		t.Errorf("NAL unit of type %d, want 5 (IDR slice)", nal)
	}
}

func BenchmarkSessionKey(b *testing.B) {
	v := loadVectors(b).Exchanges[0]
	h, _ := newHandshake()
	if _, err := h.Reply(v.M3); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := h.SessionKey(v.EKey); err != nil {
			b.Fatal(err)
		}
	}
}
