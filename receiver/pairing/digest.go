package pairing

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
)

// HTTP digest authentication (RFC 2617 section 3), as far as AirPlay uses it:
// MD5, with qop "auth" or without any.

const (
	digestScheme = "Digest"
	digestRealm  = "raop"
	qopAuth      = "auth"

	maxDigestSize       = 2048 // of a header field
	maxDigestParameters = 16
)

// digestParameters are those of a WWW-Authenticate or Authorization header
// field, by name in lower case.
type digestParameters map[string]string

// cutScheme cuts the authentication scheme off such a field, and tells
// whether it is the digest.
func cutScheme(field string) (parameters string, digest bool) {
	scheme, parameters, _ := strings.Cut(strings.TrimLeft(field, " \t"), " ")
	return parameters, strings.EqualFold(scheme, digestScheme)
}

// parseDigest parses such a field. It fails with ErrMalformed.
func parseDigest(field string) (digestParameters, error) {
	rest, ok := cutScheme(field)
	if !ok || len(field) > maxDigestSize {
		return nil, fmt.Errorf("pairing: %w: no digest, or a long one, in %.20q of %d bytes", ErrMalformed, field, len(field))
	}
	parameters := digestParameters{}
	for rest = skipCommas(rest); rest != ""; rest = skipCommas(rest) {
		name, value, left, ok := cutParameter(rest)
		if _, twice := parameters[name]; !ok || twice || len(parameters) == maxDigestParameters {
			return nil, fmt.Errorf("pairing: %w: digest parameter at %.20q", ErrMalformed, rest)
		}
		parameters[name], rest = value, left
	}
	return parameters, nil
}

// skipCommas drops what may stand between two parameters.
func skipCommas(s string) string { return strings.TrimLeft(s, ", \t") }

// cutParameter cuts the first name=value off s, where the value may be
// quoted.
func cutParameter(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	rest = strings.TrimLeft(rest, " \t")
	if !ok || name == "" || strings.ContainsAny(name, ", \t\"") {
		return "", "", "", false
	}
	if strings.HasPrefix(rest, `"`) {
		value, rest, ok = cutQuoted(rest[1:])
	} else {
		end := strings.IndexAny(rest, ", \t")
		if end < 0 {
			end = len(rest)
		}
		value, rest = rest[:end], rest[end:]
		ok = !strings.Contains(value, `"`)
	}
	// Between one parameter and the next there is a comma.
	if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ',' {
		ok = false
	}
	return name, value, rest, ok
}

// cutQuoted cuts a quoted string off s, which begins after the opening quote.
func cutQuoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// supported fails with ErrMalformed where the parameters ask for something
// other than MD5 with qop "auth" or none.
func (p digestParameters) supported() error {
	if a := p["algorithm"]; a != "" && !strings.EqualFold(a, "MD5") {
		return fmt.Errorf("pairing: %w: digest algorithm %.20q", ErrMalformed, a)
	}
	if q := p["qop"]; q != "" && q != qopAuth {
		return fmt.Errorf("pairing: %w: digest qop %.20q", ErrMalformed, q)
	}
	return nil
}

// response returns the response to the challenge in p (RFC 2617 section
// 3.2.2), in lower case.
func (p digestParameters) response(user, realm, password, method string) string {
	ha1 := md5Hex(user, realm, password)
	ha2 := md5Hex(method, p["uri"])
	if p["qop"] == "" {
		return md5Hex(ha1, p["nonce"], ha2)
	}
	return md5Hex(ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], ha2)
}

func md5Hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

// quote returns s as a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
