package diagnostics

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// removed stands where a secret was.
const removed = "[removed]"

// Secrets of fewer bytes than leastSecret are not looked for: they would be
// found everywhere. Those of fewer than leastWithin are found as words only.
const (
	leastSecret = 4
	leastWithin = 7
)

// pemKey is a private key in the form of RFC 7468.
var pemKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)

// patterns are what secrets on one line look like where their values are not
// known.
var patterns = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(authorization|cookie)\b["']?\s*[:=][^\n]*`),
	regexp.MustCompile(`(?i)\b[a-z0-9_.-]*(pin|password|passphrase|passwd|psk|secret|token|private_?key|sharedaccesskey|shared_?key|session_?key|active-remote|dacp-id|seed|sig)\b["']?\s*[:=]\s*("(\\.|[^"\\\n])*"?|[^\s,;&"]+)`),
	regexp.MustCompile(`://[^\s/@:]+:[^\s/@]+@`),
	regexp.MustCompile(`WIFI:[^\s"]*`),
}

// triggers are words of which a line holds one if a pattern fits. Looking for
// them is many times cheaper than trying the patterns.
var triggers = [][]byte{
	[]byte("pin"), []byte("pass"), []byte("psk"), []byte("secret"), []byte("token"), []byte("key"), []byte("authorization"), []byte("cookie"),
	[]byte("active-remote"), []byte("dacp-id"), []byte("seed"), []byte("sig"), []byte("://"), []byte("wifi:"),
}

// names are the parts of what patterns find that stay, so that one can see what
// was removed.
var names = regexp.MustCompile(`^[A-Za-z0-9_.-]+["']?\s*[:=]`)

// Redactor removes secrets from texts. The zero value removes what looks like
// one.
type Redactor struct{ known, words [][]byte }

// Add makes known a secret, as it is in memory: a password or a key. It is
// removed in each form in which it may be written: as it is, quoted, escaped,
// as hexadecimal digits and in base 64.
func (r *Redactor) Add(secret string) {
	if len(secret) < leastSecret {
		return
	}
	if len(secret) < leastWithin {
		r.words = append(r.words, []byte(secret))
		return
	}
	forms := []string{secret, strings.Trim(strconv.Quote(secret), `"`), strings.Trim(strconv.QuoteToASCII(secret), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	if j, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(j), `"`))
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, e.EncodeToString([]byte(secret)))
	}
	for _, f := range forms {
		if !slices.ContainsFunc(r.known, func(k []byte) bool { return string(k) == f }) {
			r.known = append(r.known, []byte(f))
		}
	}
	// The longest first, for one may be a part of another.
	slices.SortStableFunc(r.known, func(a, b []byte) int { return len(b) - len(a) })
}

// Apply returns a text without the secrets.
func (r *Redactor) Apply(text []byte) []byte {
	if r != nil {
		for _, k := range r.known {
			text = bytes.ReplaceAll(text, k, []byte(removed))
		}
		for _, w := range r.words {
			text = replaceWord(text, w)
		}
	}
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		text = pemKey.ReplaceAll(text, []byte(removed))
	}
	out := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		out = append(out, withoutPatterns(line)...)
	}
	return out
}

// withoutPatterns removes from a line what looks like a secret.
func withoutPatterns(line []byte) []byte {
	lower := bytes.ToLower(line)
	if !slices.ContainsFunc(triggers, func(t []byte) bool { return bytes.Contains(lower, t) }) {
		return line
	}
	for _, p := range patterns {
		line = p.ReplaceAllFunc(line, func(found []byte) []byte {
			switch name := names.Find(found); {
			case bytes.HasPrefix(found, []byte("://")):
				return []byte("://" + removed + "@")
			case name != nil:
				return append(bytes.Clone(name), " "+removed...)
			}
			return []byte(removed)
		})
	}
	return line
}

// replaceWord removes a word that has neither letters nor digits beside it.
func replaceWord(text, word []byte) []byte {
	if !bytes.Contains(text, word) {
		return text
	}
	var out []byte
	for from := 0; ; {
		at := bytes.Index(text[from:], word)
		if at < 0 {
			return append(out, text[from:]...)
		}
		at += from
		end := at + len(word)
		if (at == 0 || !isWord(text[at-1])) && (end == len(text) || !isWord(text[end])) {
			out = append(append(out, text[from:at]...), removed...)
		} else {
			out = append(out, text[from:end]...)
		}
		from = end
	}
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}
