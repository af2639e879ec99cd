package pairing

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Credentials are the sender's half of the password digest (reference section
// 5.3).
type Credentials struct {
	User     string // "AirPlay" or "iTunes"
	Password string
}

// Authorization answers the WWW-Authenticate header field of a reply with
// status 401: it returns the Authorization header field to repeat the request
// with. It fails with ErrMalformed for a challenge that it cannot answer.
func (c Credentials) Authorization(challenge, method, uri string) (string, error) {
	p, err := parseDigest(challenge)
	if err != nil {
		return "", err
	}
	offered := strings.FieldsFunc(p["qop"], func(r rune) bool { return r == ',' || r == ' ' })
	if p["qop"] = ""; slices.Contains(offered, qopAuth) {
		p["qop"] = qopAuth
	} else if len(offered) > 0 {
		return "", fmt.Errorf("pairing: %w: digest qop %.20q", ErrMalformed, offered)
	}
	if err := p.supported(); err != nil {
		return "", err
	}
	if p["nonce"] == "" {
		return "", fmt.Errorf("pairing: %w: challenge without a nonce", ErrMalformed)
	}
	cnonce := make([]byte, 8)
	rand.Read(cnonce) // never fails (crypto/rand)
	p["uri"], p["nc"], p["cnonce"] = uri, "00000001", hex.EncodeToString(cnonce)
	answer := fmt.Sprintf("%s username=%s, realm=%s, nonce=%s, uri=%s, response=%s", digestScheme,
		quote(c.User), quote(p["realm"]), quote(p["nonce"]), quote(uri),
		quote(p.response(c.User, p["realm"], c.Password, method)))
	if p["qop"] != "" {
		answer += fmt.Sprintf(", qop=%s, nc=%s, cnonce=%s", p["qop"], p["nc"], quote(p["cnonce"]))
	}
	if opaque, ok := p["opaque"]; ok {
		answer += ", opaque=" + quote(opaque)
	}
	return answer, nil
}
