package pairing

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// TestRFC2617 checks the response with the example of RFC 2617 section 3.5,
// and with that of RFC 2069 section 2.4, as its erratum corrects it, for
// digests without qop.
func TestRFC2617(t *testing.T) {
	p, err := parseDigest(`Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
		`uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", ` +
		`opaque="5ccc069c403ebaf9f0171e9517f40e41"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.response("Mufasa", "testrealm@host.com", "Circle Of Life", "GET"); got != p["response"] {
		t.Errorf("response %s, want %s", got, p["response"])
	}
	p = digestParameters{"nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093", "uri": "/dir/index.html"}
	const want = "1949323746fe6a43ef61f9606e7febea"
	if got := p.response("Mufasa", "testrealm@host.com", "CircleOfLife", "GET"); got != want {
		t.Errorf("response %s, want %s", got, want)
	}
}

func TestParseDigest(t *testing.T) {
	for field, want := range map[string]digestParameters{
		`Digest`:                          {},
		`digest a=1`:                      {"a": "1"},
		`DIGEST A="1"`:                    {"a": "1"},
		"Digest a=1,b = \"2\" ,\t c=3,":   {"a": "1", "b": "2", "c": "3"},
		`Digest a="x, y=z", b="q\"\\r"`:   {"a": "x, y=z", "b": `q"\r`},
		`Digest uri=rtsp://fe80::1/2=3,b`: nil,
		`Digest a=1, a=2`:                 nil,
		`Digest a`:                        nil,
		`Digest =1`:                       nil,
		`Digest a="1`:                     nil,
		`Digest a="1\`:                    nil,
		`Digest a="1"2`:                   nil,
		`Digest a=1 b=2`:                  nil,
		`Digest a=1"2`:                    nil,
		`Basic a=1`:                       nil,
		``:                                nil,
		`Digest ` + strings.Repeat("a", 3000) + `=1`:                                 nil,
		`Digest a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1`: nil,
	} {
		got, err := parseDigest(field)
		if want == nil {
			wantError(t, field, err, ErrMalformed)
		} else if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s gives %v, %v, want %v", field, got, err, want)
		}
	}
}

// gate is a receiver with a password on a simulated clock.
type gate struct {
	*Password
	time clock.Time
}

func newGate() *gate {
	g := &gate{time: clock.Time(time.Hour)}
	g.Password = NewPassword("open sesame", func() clock.Time { return g.time })
	return g
}

// present answers the challenge of a connection.
func present(t testing.TB, d *Digest, user, password string) error {
	t.Helper()
	answer, err := Credentials{user, password}.Authorization(d.Challenge(), "SETUP", "rtsp://fe80::1/1234")
	if err != nil {
		t.Fatal(err)
	}
	return d.Check("SETUP", answer)
}

func TestPassword(t *testing.T) {
	for _, user := range []string{"AirPlay", "iTunes", "", `quo"ted\`} {
		d := newGate().Digest()
		wantError(t, "no credentials", d.Check("SETUP", ""), ErrPassword)
		wantError(t, "wrong password", present(t, d, user, "Open Sesame"), ErrPassword)
		if d.Passed() {
			t.Error("passed with a wrong password")
		}
		if err := present(t, d, user, "open sesame"); err != nil || !d.Passed() {
			t.Errorf("right password: %v", err)
		}
	}
}

// TestCheck changes one thing at a time about right credentials.
func TestCheck(t *testing.T) {
	build := func(nonce, extra, response string) string {
		return fmt.Sprintf(`Digest username="iTunes", realm="raop", nonce=%q, uri="*", response=%q%s`, nonce, response, extra)
	}
	right := func(p digestParameters) string { return p.response("iTunes", "raop", "open sesame", "OPTIONS") }
	for _, c := range []struct {
		name string
		make func(nonce string) string
		kind error
	}{
		{"without qop", func(n string) string { return build(n, "", right(digestParameters{"nonce": n, "uri": "*"})) }, nil},
		{"upper case", func(n string) string {
			return build(n, "", strings.ToUpper(right(digestParameters{"nonce": n, "uri": "*"})))
		}, nil},
		{"with qop", func(n string) string {
			p := digestParameters{"nonce": n, "uri": "*", "qop": "auth", "nc": "00000001", "cnonce": "xyz"}
			return build(n, `, qop=auth, nc=00000001, cnonce="xyz", algorithm=MD5`, right(p))
		}, nil},
		{"qop left out of the response", func(n string) string {
			return build(n, `, qop=auth, nc=00000001, cnonce="xyz"`, right(digestParameters{"nonce": n, "uri": "*"}))
		}, ErrPassword},
		{"auth-int", func(n string) string {
			return build(n, `, qop="auth-int"`, right(digestParameters{"nonce": n, "uri": "*"}))
		}, ErrMalformed},
		{"MD5-sess", func(n string) string {
			return build(n, `, algorithm=MD5-sess`, right(digestParameters{"nonce": n, "uri": "*"}))
		}, ErrMalformed},
		{"another nonce", func(string) string { return build("abc", "", right(digestParameters{"nonce": "abc", "uri": "*"})) }, ErrPassword},
		{"nonce in upper case", func(n string) string {
			n = strings.ToUpper(n) + "A"
			return build(n, "", right(digestParameters{"nonce": n, "uri": "*"}))
		}, ErrPassword},
		{"no nonce", func(string) string { return `Digest username="iTunes", response="` + strings.Repeat("0", 32) + `"` }, ErrPassword},
		{"no response", func(n string) string { return build(n, "", "") }, ErrMalformed},
		{"short response", func(n string) string { return build(n, "", strings.Repeat("0", 30)) }, ErrMalformed},
		{"long response", func(n string) string { return build(n, "", strings.Repeat("0", 34)) }, ErrMalformed},
		{"response that is no hex", func(n string) string { return build(n, "", strings.Repeat("g", 32)) }, ErrMalformed},
		{"another scheme", func(string) string { return "Basic aVR1bmVzOm9wZW4gc2VzYW1l" }, ErrPassword},
	} {
		d := newGate().Digest()
		challenge, err := parseDigest(d.Challenge())
		if err != nil || challenge["realm"] != "raop" || len(challenge["nonce"]) != 32 {
			t.Fatalf("challenge %v, %v", challenge, err)
		}
		wantError(t, c.name, d.Check("OPTIONS", c.make(challenge["nonce"])), c.kind)
		if d.Passed() != (c.kind == nil) {
			t.Errorf("%s: passed %v", c.name, d.Passed())
		}
		wantError(t, c.name+", another method", d.Check("SETUP", c.make(challenge["nonce"])), map[bool]error{true: ErrPassword, false: c.kind}[c.kind == nil])
	}
	g := newGate()
	g.time = 0 // the machine has just started: a nonce of the year zero is young
	d := g.Digest()
	wantError(t, "credentials before any challenge", d.Check("OPTIONS",
		build("", "", right(digestParameters{"uri": "*"}))), ErrPassword)
}

// TestNonce shows that a nonce serves one connection, for five minutes.
func TestNonce(t *testing.T) {
	g := newGate()
	one, two := g.Digest(), g.Digest()
	challenge := one.Challenge()
	answer := func() string {
		a, err := Credentials{"AirPlay", "open sesame"}.Authorization(challenge, "SETUP", "x")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	g.time = g.time.Add(nonceLife - 1)
	if one.Challenge() != challenge || two.Challenge() == challenge {
		t.Error("the nonce changes within its life, or is that of two connections")
	}
	wantError(t, "on another connection", two.Check("SETUP", answer()), ErrPassword)
	if err := one.Check("SETUP", answer()); err != nil {
		t.Error(err)
	}

	one = g.Digest()
	challenge = one.Challenge()
	g.time = g.time.Add(nonceLife)
	wantError(t, "too late", one.Check("SETUP", answer()), ErrPassword)
	renewed := one.Challenge()
	if !strings.HasSuffix(renewed, ", stale=true") || strings.HasPrefix(renewed, challenge) {
		t.Errorf("challenge %q after %q", renewed, challenge)
	}
	challenge = renewed
	if err := one.Check("SETUP", answer()); err != nil {
		t.Error(err)
	}
}

// TestPasswordGuesses counts what an intruder can try on connections of his
// choice, and shows that the right password clears the account.
func TestPasswordGuesses(t *testing.T) {
	g := newGate()
	wrong := func() error { return present(t, g.Digest(), "AirPlay", "guess") }
	for range freePasswords {
		wantError(t, "free guess", wrong(), ErrPassword)
	}
	wait := firstPasswordWait
	for range 20 {
		wantError(t, "too early", wrong(), ErrForbidden)
		wantError(t, "the right one too early", present(t, g.Digest(), "AirPlay", "open sesame"), ErrForbidden)
		g.time = g.time.Add(wait - 1)
		wantError(t, "a moment too early", wrong(), ErrForbidden)
		g.time = g.time.Add(1)
		wantError(t, "in time", wrong(), ErrPassword)
		wait = min(2*wait, maxPasswordWait)
	}
	g.time = g.time.Add(maxPasswordWait)
	if err := present(t, g.Digest(), "AirPlay", "open sesame"); err != nil {
		t.Fatal(err)
	}
	for range freePasswords {
		wantError(t, "free again", wrong(), ErrPassword)
	}
	// Credentials that cannot be right say nothing about the password.
	g = newGate()
	for range 100 {
		wantError(t, "foreign nonce", g.Digest().Check("SETUP", `Digest nonce="a", response="`+strings.Repeat("0", 32)+`"`), ErrPassword)
	}
	if err := present(t, g.Digest(), "AirPlay", "open sesame"); err != nil {
		t.Error(err)
	}
}

// TestAuthorization goes through challenges of other receivers.
func TestAuthorization(t *testing.T) {
	for challenge, want := range map[string]string{
		`Digest realm="raop", nonce="abc"`:                                "",
		`Digest realm="raop", nonce="abc", stale=true, algorithm="MD5"`:   "",
		`Digest realm="raop", nonce="abc", qop="auth,auth-int"`:           "qop=auth, nc=00000001, cnonce=",
		`Digest realm="raop", nonce="abc", qop="auth", opaque="o\"paque"`: `opaque="o\"paque"`,
		`Digest realm="raop", nonce="abc", qop="auth-int"`:                "error",
		`Digest realm="raop", nonce="abc", algorithm=SHA-256`:             "error",
		`Digest realm="raop"`:                                             "error",
		`Basic realm="raop"`:                                              "error",
		`Digest realm="`:                                                  "error",
	} {
		got, err := Credentials{"AirPlay", "p"}.Authorization(challenge, "GET", "/")
		if want == "error" {
			wantError(t, challenge, err, ErrMalformed)
		} else if err != nil || !strings.Contains(got, want) || strings.Contains(got, "qop") != strings.Contains(challenge, "qop") {
			t.Errorf("%s answered with %s, %v", challenge, got, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	d := newGate().Digest()
	answer, err := Credentials{"AirPlay", "wrong"}.Authorization(d.Challenge(), "SETUP", "/")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("SETUP", answer)
	f.Add("SETUP", `Digest a="\`)
	g := newGate()
	f.Fuzz(func(t *testing.T, method, authorization string) {
		d := g.Digest()
		d.nonce, d.made = "00112233445566778899aabbccddeeff", g.time
		err := d.Check(method, authorization)
		if err == nil || d.Passed() || Status(err) == 500 {
			t.Errorf("%q passes: %v", authorization, err)
		}
		p, err := parseDigest(authorization)
		if err != nil {
			return
		}
		var again []string
		for name, value := range p {
			again = append(again, name+"="+quote(value))
		}
		back, err := parseDigest("Digest " + strings.Join(again, ", "))
		if field := strings.Join(again, ", "); len(field) < maxDigestSize/2 && (err != nil || !maps.Equal(back, p)) {
			t.Errorf("%v comes back as %v, %v", p, back, err)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Digest realm="raop", nonce="abc", qop="auth,auth-int", opaque="x"`, "SETUP", "/", "AirPlay", "p")
	f.Fuzz(func(t *testing.T, challenge, method, uri, user, password string) {
		answer, err := Credentials{user, password}.Authorization(challenge, method, uri)
		if err != nil {
			return
		}
		p, err := parseDigest(answer)
		if err != nil {
			if len(answer) <= maxDigestSize {
				t.Errorf("answer %q: %v", answer, err)
			}
			return
		}
		if p["response"] != p.response(p["username"], p["realm"], password, method) {
			t.Errorf("answer %q does not hold", answer)
		}
	})
}
