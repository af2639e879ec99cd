package authority

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// readPair reads a key and its certificate from two files.
func readPair(base string) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(base+".pem", base+".key")
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s.key is not an ECDSA key", base)
	}
	return key, pair.Leaf, nil
}

// writePair writes the key before the certificate, so that half a pair is one
// that does not exist.
func writePair(base string, key *ecdsa.PrivateKey, cert []byte) error {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := replace(base+".key", keyPEM, 0o600); err != nil {
		return err
	}
	return replace(base+".pem", encodeCertificate(cert), 0o644)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// WriteCertificate writes a certificate with its key to NAME.pem and NAME.key.
func WriteCertificate(base string, c tls.Certificate) error {
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || len(c.Certificate) == 0 {
		return errors.New("authority: the certificate has no key")
	}
	return writePair(base, key, c.Certificate[0])
}

// replace puts a file in the place of another in one step that survives a loss
// of power.
func replace(path string, b []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // when it was not renamed
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
