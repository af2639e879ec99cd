package phone

import (
	"bytes"
	"net/netip"
	"testing"

	"aerie/receiver/airport"
)

// A classic sender believes the receiver that signs its challenge and address,
// and no other.
func TestChallenge(t *testing.T) {
	challenge, id := bytes.Repeat([]byte{7}, 16), []byte{1, 2, 3, 4, 5, 6}
	for _, addr := range []string{"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"} {
		a := netip.MustParseAddr(addr)
		answer, err := airport.Respond(challenge, a, id)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(challenge, a, answer); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		for name, err := range map[string]error{
			"another address":   check(challenge, netip.MustParseAddr("192.0.2.8"), answer),
			"another challenge": check(bytes.Repeat([]byte{8}, 16), a, answer),
			"a changed answer":  check(challenge, a, append([]byte{answer[0] ^ 1}, answer[1:]...)),
			"a short answer":    check(challenge, a, answer[1:]),
			"no answer":         check(challenge, a, nil),
		} {
			if err == nil {
				t.Errorf("%s: %s is believed", addr, name)
			}
		}
	}
}
