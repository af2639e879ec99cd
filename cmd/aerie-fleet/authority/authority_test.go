package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func request(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// at is a clock that the test moves.
type at struct{ time.Time }

func (a *at) now() time.Time { return a.Time }

func open(t testing.TB, dir string, clock *at) *Authority {
	t.Helper()
	a, err := Open(dir, []string{"fleet.example", "192.0.2.7"}, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthority(t *testing.T) {
	dir, clock := t.TempDir(), &at{time.Now()}
	a := open(t, dir, clock)
	c, err := a.SignDevice("tv", request(t))
	if err != nil {
		t.Fatal(err)
	}
	options := x509.VerifyOptions{Roots: a.Pool(), CurrentTime: clock.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := c.Verify(options); err != nil || c.Subject.CommonName != "tv" || c.IsCA {
		t.Errorf("the device's certificate: %v %v", err, c.Subject)
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := c.Verify(options); err == nil {
		t.Error("a device can pose as the server")
	}
	if other := open(t, t.TempDir(), clock); c.CheckSignatureFrom(other.Certificate()) == nil {
		t.Error("two authorities are the same")
	}

	// It is the same after a restart, and its keys are nobody else's business.
	again := open(t, dir, clock)
	if !again.Certificate().Equal(a.Certificate()) {
		t.Error("after a restart it is another authority")
	}
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "server.key": 0o600, ".": 0o700} {
		if i, err := os.Stat(filepath.Join(dir, name)); err != nil || i.Mode().Perm() != mode && name != "." {
			t.Errorf("%s: %v %v", name, err, i.Mode())
		}
	}

	// The server's certificate is renewed while it runs.
	first, err := again.Server().GetCertificate(nil)
	if err != nil || first.Leaf.VerifyHostname("fleet.example") != nil || first.Leaf.VerifyHostname("192.0.2.7") != nil {
		t.Fatalf("the server's certificate: %v", err)
	}
	clock.Time = again.Expires().Add(-renewServer + time.Hour)
	second, err := again.Server().GetCertificate(nil)
	if err != nil || second.Leaf.Equal(first.Leaf) || !again.Expires().After(clock.Time.Add(renewServer)) {
		t.Errorf("it is not renewed: %v", err)
	}
	// And with another name at once.
	named, err := Open(dir, []string{"other.example"}, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := named.Server().GetCertificate(nil); c.Leaf.VerifyHostname("other.example") != nil {
		t.Error("its new name is not in its certificate")
	}
}

// An authority that lost its key says so, instead of becoming another one.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"no key": func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) },
		"another key": func(dir string) error {
			return os.Rename(filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.key"))
		},
		"not a certificate": func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600) },
		"no authority": func(dir string) error {
			return os.Rename(filepath.Join(dir, "server.pem"), filepath.Join(dir, "ca.pem"))
		},
		"revoked unreadable": func(dir string) error { return os.WriteFile(filepath.Join(dir, "revoked.json"), []byte("{"), 0o600) },
	} {
		dir, clock := t.TempDir(), &at{time.Now()}
		a := open(t, dir, clock)
		if err := a.Revoke("ab"); err != nil {
			t.Fatal(err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, nil, clock.now); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
	// Half of the server's pair is made anew.
	dir, clock := t.TempDir(), &at{time.Now()}
	open(t, dir, clock)
	if err := os.Remove(filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	open(t, dir, clock)
}

func TestRevoke(t *testing.T) {
	dir, clock := t.TempDir(), &at{time.Now()}
	a := open(t, dir, clock)
	bad, _ := a.SignDevice("bad", request(t))
	good, _ := a.SignDevice("good", request(t))
	if err := a.Revoke("nonsense"); err == nil {
		t.Error("nonsense is revoked")
	}
	if err := a.Revoke(Serial(bad)); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*Authority{a, open(t, dir, clock)} {
		if !a.Revoked(bad) || a.Revoked(good) {
			t.Error("the wrong ones are revoked")
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || list.CheckSignatureFrom(a.Certificate()) != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(bad.SerialNumber) != 0 {
		t.Errorf("the list for other brokers: %v %+v", err, list)
	}
	// Those whose time is over leave the list.
	clock.Time = clock.Add(lifeOfDevice + time.Hour)
	if err := a.Revoke(Serial(good)); err != nil || a.Revoked(bad) {
		t.Errorf("%v; the list only grows", err)
	}
}

func TestRequests(t *testing.T) {
	a := open(t, t.TempDir(), &at{time.Now()})
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, weak)
	if err != nil {
		t.Fatal(err)
	}
	forged := request(t)
	forged[len(forged)-1] ^= 1
	for name, r := range map[string][]byte{"nothing": nil, "nonsense": []byte("x"), "RSA": foreign, "forged": forged, "long": []byte(strings.Repeat("x", MaxRequest+1))} {
		if _, err := a.SignDevice("tv", r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSignDevice(f *testing.F) {
	a := open(f, f.TempDir(), &at{time.Now()})
	f.Add(request(f))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, r []byte) {
		if c, err := a.SignDevice("tv", r); err == nil && (c.Subject.CommonName != "tv" || c.IsCA) {
			t.Errorf("it signed %+v", c.Subject)
		}
	})
}
