package airport

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/netip"
	"testing"
)

// The modulus, as senders have it in their public key.
const modulus = "59dE8qLieItsH1WgjrcFRKj6eUWqi+bGLOX1HL3U3GhC/j0Qg90u3sG/1CUtwC5vOYvfDmFI6oSFXi5ELabWJmT2dKHzBJKa3k9ok+8t9ucRqMd6DZHJ2YCCLlDRKSKv6kDqnw4U" +
	"wPdpOMXziC/AMj3Z/lUVX1G7WSHCAWKf1zNS1eLvqr+boEjXuBOitnZ/bDzPHrTOZz0Dew0uowxf/+sG+NCK3eQJVxqcaJ/vEHKIVd2M+5qL71yJQ+87X6oV3eaYvt3zWZYD6z5vYTcrtij2VZ9Zmni/" +
	"UAaHqn9JdsBWLUEpVviYnhimNVvYFZeCXg/IdTQ+x4IRdiXNv5hEew=="

func TestKey(t *testing.T) {
	if err := key().Validate(); err != nil {
		t.Fatal(err)
	}
	want, err := base64.StdEncoding.DecodeString(modulus)
	if err != nil || !bytes.Equal(key().N.Bytes(), want) {
		t.Errorf("modulus %x, %v", key().N, err)
	}
}

func TestRespond(t *testing.T) {
	challenge, id := bytes.Repeat([]byte{0xa5}, 16), []byte{1, 2, 3, 4, 5, 6}
	for _, c := range []struct{ local, signed string }{
		{"192.168.1.7", "\xc0\xa8\x01\x07\x01\x02\x03\x04\x05\x06\x00\x00\x00\x00\x00\x00"},
		{"::ffff:192.168.1.7", "\xc0\xa8\x01\x07\x01\x02\x03\x04\x05\x06\x00\x00\x00\x00\x00\x00"},
		{"fe80::1", "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02\x03\x04\x05\x06"},
	} {
		answer, err := Respond(challenge, netip.MustParseAddr(c.local), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := rsa.VerifyPKCS1v15(Public(), 0, append(bytes.Clone(challenge), c.signed...), answer); err != nil {
			t.Errorf("%s: %v", c.local, err)
		}
	}
	for _, n := range []int{0, 17, 1 << 16} {
		if _, err := Respond(make([]byte, n), netip.IPv4Unspecified(), id); !errors.Is(err, ErrMalformed) {
			t.Errorf("challenge of %d bytes: %v", n, err)
		}
	}
}

func TestSessionKey(t *testing.T) {
	want := [16]byte{1, 2, 3, 15: 16}
	wrapped, err := WrapKey(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := SessionKey(wrapped); err != nil || got != want {
		t.Errorf("%x, %v", got, err)
	}
	wrapped[7] ^= 1
	for name, b := range map[string][]byte{"changed": wrapped, "empty": nil, "short": wrapped[:255], "long": append(wrapped, 0), "zeros": make([]byte, 256)} {
		if _, err := SessionKey(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key that a PipeWire RAOP sink wrapped.
func TestCapturedKey(t *testing.T) {
	b, err := base64.StdEncoding.DecodeString("2rOPArgYig9+S/8OuAJlhSOuwsm4Q7R3DJNzew5okOM5SD9R/1G4sZKEDuxBsejfLMqF7FAIhTtcldoIAtsGvvTEFBuVVyJIYRVWCRS8W6nN0ixmFBJX1O5mc64XPywt" +
		"NYOI0o6+ndTJgfAU+e9WrCnVjK9hfQgu207Ub/CItWkbUxihtb2wZ2PNjJeT1rmR59NtYhlNlg+k6YRVbWdW/L0B4i8jchaZHdX8O1H8e+euZbyKyQXFDCDEeYc51HyptFLZrtO2DVYSlhDY9sJ4XhZbvqUXy/cgv1a/" +
		"CO4cX0yQTksOTOU2gj8BG3i6T/R2sgrmd1VNXolEX8DEnQJJ7Q==")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SessionKey(b); err != nil {
		t.Error(err)
	}
}
