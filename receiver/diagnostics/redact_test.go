package diagnostics

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// forms are the ways in which a secret may be written.
func forms(secret string) []string {
	j, _ := json.Marshal(secret) // a string always has a form
	return []string{secret, fmt.Sprintf("%q", secret), fmt.Sprintf("%+q", secret), string(j), url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
		fmt.Sprintf("%X", secret), base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret))}
}

// A known secret is removed in each form, wherever it stands.
func TestKnownSecrets(t *testing.T) {
	for _, secret := range []string{"open sesame", `quo"te\ and <tag> & ümlaut`, strings.Repeat("\x00\xff\x7f", 11), "correct horse battery"} {
		var r Redactor
		r.Add(secret)
		for _, f := range forms(secret) {
			for _, in := range []string{"%s", "x%sx", "level=info msg=%s\n", `{"a":"%s"}`} {
				inner := strings.Trim(f, `"`)
				got := string(r.Apply([]byte(fmt.Sprintf(in, f))))
				if strings.Contains(got, inner) || !strings.Contains(got, removed) {
					t.Errorf("%q in %q: %q", f, in, got)
				}
			}
		}
	}
}

// A short one is removed as a word, and not out of numbers that hold it.
func TestShortSecrets(t *testing.T) {
	var r Redactor
	r.Add("4711")
	r.Add("abc") // too short to be looked for
	r.Add("")
	for in, want := range map[string]string{
		"4711":                    removed,
		"shown 4711, 4711.":       "shown [removed], [removed].",
		"14711 47110 4711a x4711": "14711 47110 4711a x4711",
		"abc":                     "abc",
	} {
		if got := string(r.Apply([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What looks like a secret is removed without being known.
func TestPatterns(t *testing.T) {
	var r *Redactor
	for _, in := range []string{
		"a sender asks for the PIN: S3CRET", "pin=S3CRET", `"password": "S3CRET"`, `password = "S3C\"S3CRET"`, "wifi.password=S3CRET", "psk=S3CRET", "mqtt_password: S3CRET",
		"Authorization: Digest username=x, response=S3CRET", "Active-Remote: S3CRET", "DACP-ID=S3CRET", "SharedAccessKey=S3CRET", "token=S3CRET", `"ed25519_seed":"S3CRET"`,
		"https://user:S3CRET@host/x", "WIFI:T:WPA;S:net;P:S3CRET;;", "SharedAccessSignature sr=x&sig=S3CRET&se=1",
		"-----BEGIN PRIVATE KEY-----\nS3CRET\n-----END PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----\nS3CRET",
	} {
		got := string(r.Apply([]byte("before " + in + " ")))
		if strings.Contains(got, "S3CRET") || !strings.Contains(got, removed) || !strings.HasPrefix(got, "before ") {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{
		"the display is unplugged", "pairing refused: wrong PIN", "level=INFO msg=announced name=\"Living Room\"", "http://192.168.1.20:7080/", "picture codec=H.264 key=no",
		"spinning: 5", "a password is asked for", "12:34:56 PIN once", "mailto:ann@example.org",
	} {
		if got := string(r.Apply([]byte(in))); got != in {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// A secret does not survive, whatever is around it.
func FuzzRedactor(f *testing.F) {
	f.Add("before ", " after", "open sesame")
	f.Add("password=", "\"", "x[removed]y")
	f.Add("[remo", "ved]", "\x00\x01\x02\x03\x04\x05\x06\x07")
	f.Fuzz(func(t *testing.T, before, after, secret string) {
		if len(secret) < leastWithin || strings.Contains(removed, secret) || strings.Contains(secret, "removed") || len(secret) > 200 {
			return
		}
		var r Redactor
		r.Add(secret)
		got := string(r.Apply([]byte(before + secret + after)))
		// The marks may make up a new one with what is around them, of parts
		// that were there without the secret.
		if strings.Contains(got, secret) && !strings.Contains(strings.ReplaceAll(got, removed, ""), secret) {
			return
		}
		if strings.Count(got, secret) > strings.Count(strings.ReplaceAll(before+secret+after, secret, removed), secret) {
			t.Errorf("%q", got)
		}
	})
}
