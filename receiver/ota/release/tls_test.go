package release

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// authority signs the certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, from, to time.Time) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.issue(t, template, nil)
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate, by itself if there is no authority.
func (a *authority) issue(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) server(t *testing.T, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	cert, key := a.issue(t, &x509.Certificate{DNSNames: []string{name}, NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature}, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// A machine whose clock was never set can update itself, and one whose clock
// is right is as strict as any.
func TestClockThatIsWrong(t *testing.T) {
	day := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	built := day(2026)
	roots := newAuthority(t, day(2015), day(2040))
	young := newAuthority(t, day(2027), day(2040))
	const name = "updates.test"
	for what, c := range map[string]struct {
		now       time.Time
		authority *authority
		name      string
		from, to  time.Time
		good      bool
	}{
		"a clock that is right":                           {day(2028), roots, name, day(2027), day(2029), true},
		"right, and the certificate has ended":            {day(2028), roots, name, day(2026), day(2027), false},
		"right, and it has not begun":                     {day(2028), roots, name, day(2029), day(2030), false},
		"1970":                                            {day(1970), roots, name, day(2025), day(2027), true},
		"1970, a certificate newer than the program":      {day(1970), roots, name, day(2028), day(2029), true},
		"1970, an authority newer than the program":       {day(1970), young, name, day(2026), day(2029), true},
		"1970, both are newer":                            {day(1970), young, name, day(2028), day(2029), true},
		"1970, a certificate that ended before the build": {day(1970), roots, name, day(2020), day(2021), false},
		"1970, of another name":                           {day(1970), roots, "other.test", day(2028), day(2029), false},
		"1970, of an authority nobody knows":              {day(1970), newAuthority(t, day(2015), day(2040)), name, day(2028), day(2029), false},
		"1970, that begins after the authority's end":     {day(1970), roots, name, day(2041), day(2042), false},
		"1970, that is never valid":                       {day(1970), roots, name, day(2030), day(2029), false},
		"a day before the build":                          {built.AddDate(0, 0, -1), roots, name, day(2028), day(2029), true},
		"a day after the build":                           {built.AddDate(0, 0, 1), roots, name, day(2028), day(2029), false},
	} {
		t.Run(what, func(t *testing.T) {
			certificate := c.authority.server(t, c.name, c.from, c.to)
			pool := roots.pool
			if c.authority == young {
				pool = young.pool
			}
			dial := encrypted(t, certificate, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
			web, err := NewWeb("https://"+name, WebOptions{Roots: pool, Now: func() time.Time { return c.now }, Built: built, dial: dial})
			if err != nil {
				t.Fatal(err)
			}
			text, err := readAll(t.Context(), web, "x")
			if (err == nil) != c.good || err == nil && string(text) != "hello" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// encrypted starts a server on this machine, and connects to it by any name.
func encrypted(t *testing.T, certificate tls.Certificate, h http.HandlerFunc) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
}

// From https nothing leads to http, even where http is allowed.
func TestNoWayDown(t *testing.T) {
	now := time.Now()
	from, to := now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)
	roots := newAuthority(t, from, to)
	dial := encrypted(t, roots.server(t, "updates.test", from, to), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://updates.test/x", http.StatusMovedPermanently)
	})
	web, err := NewWeb("https://updates.test", WebOptions{Insecure: true, Roots: roots.pool, dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.Open(t.Context(), "x", 0, ""); !errors.Is(err, ErrInsecure) {
		t.Errorf("redirected to http: %v", err)
	}
	// A server that speaks plainly on the port is not believed.
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, plain.Listener.Addr().String())
	}
	if web, err = NewWeb("https://updates.test", WebOptions{dial: dial}); err != nil {
		t.Fatal(err)
	}
	if _, err := web.Open(t.Context(), "x", 0, ""); err == nil {
		t.Error("answered without TLS")
	}
}
