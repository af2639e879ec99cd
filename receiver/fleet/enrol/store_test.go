package enrol

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestStore(t *testing.T) {
	a := newAuthority(t, "fleet")
	key, _, err := newKey("tv")
	if err != nil {
		t.Fatal(err)
	}
	i := &Identity{Device: "tv", Pool: "pool", Server: "fleet:8443", Broker: "broker:8883", Code: "c", Key: key, CA: a.cert,
		Certificate: a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "tv"}}, &key.PublicKey)}
	s := Store{filepath.Join(t.TempDir(), "state", "fleet")}
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("at first: %v", err)
	}
	if err := s.Forget(); err != nil {
		t.Errorf("forgetting nothing: %v", err)
	}
	for range 2 {
		if err := s.Save(i); err != nil {
			t.Fatal(err)
		}
	}
	back, err := s.Load()
	if err != nil || back.Device != "tv" || back.Pool != "pool" || back.Server != i.Server || back.Broker != i.Broker || back.Code != "c" || !back.Key.Equal(key) || !back.CA.Equal(a.cert) || !back.Certificate.Equal(i.Certificate) {
		t.Errorf("%+v, %v", back, err)
	}
	// For nobody else's eyes, and nothing left lying about.
	files, err := os.ReadDir(s.Dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	for path, want := range map[string]fs.FileMode{filepath.Join(s.Dir, identityFile): 0o600, s.Dir: 0o700} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	// Every cut and every byte that is wrong is noticed, or harmless.
	whole, err := os.ReadFile(filepath.Join(s.Dir, identityFile))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 7 {
		if _, err := parseIdentity(whole[:n]); err == nil {
			t.Errorf("cut after %d bytes, and read", n)
		}
		damaged := append([]byte(nil), whole...)
		damaged[n] ^= 4
		if i, err := parseIdentity(damaged); err == nil && (!i.Key.PublicKey.Equal(i.Certificate.PublicKey) || i.Certificate.CheckSignatureFrom(i.CA) != nil) {
			t.Errorf("byte %d is wrong, and read", n)
		}
	}
	if err := s.Forget(); err != nil {
		t.Error(err)
	}
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("forgotten: %v", err)
	}
	// A disk that is full or read-only keeps what was there.
	if err := (Store{"/proc/nowhere"}).Save(i); err == nil {
		t.Error("saved where nothing can be")
	}
}

func TestTLSWithoutAClock(t *testing.T) {
	a := newAuthority(t, "fleet")
	key, _, _ := newKey("tv")
	cert := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "tv"}}, &key.PublicKey)
	i := &Identity{Device: "tv", Key: key, CA: a.cert, Certificate: cert}
	c := i.TLS("[::1]:8883")
	if c.ServerName != "::1" || len(c.Certificates) != 1 || c.InsecureSkipVerify {
		t.Errorf("%+v", c)
	}
	if now := c.Time(); now.Before(cert.NotBefore) {
		t.Errorf("it is %v", now)
	}
	future := *cert
	future.NotBefore = cert.NotAfter
	i.Certificate = &future
	if now := i.TLS("a:1").Time(); !now.Equal(future.NotBefore) {
		t.Errorf("with a clock that is wrong it is %v, and the certificate not valid", now)
	}
}
