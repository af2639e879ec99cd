package authority

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"
)

// maxRevoked bounds the list; those whose time is over anyway leave it.
const maxRevoked = 100_000

// Revoke takes a certificate back, by its serial number in hex. It lasts: the
// list is written before this returns, for this service and, as crl.pem, for a
// broker that is another program.
func (a *Authority) Revoke(serials ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, serial := range serials {
		if _, ok := new(big.Int).SetString(serial, 16); !ok || len(serial) > 40 {
			return fmt.Errorf("authority: %q is no serial number", serial)
		}
		if _, already := a.revoked[serial]; !already {
			a.revoked[serial] = a.now()
		}
	}
	for serial, at := range a.revoked {
		if a.now().Sub(at) > lifeOfDevice || len(a.revoked) > maxRevoked {
			delete(a.revoked, serial)
		}
	}
	b, err := json.MarshalIndent(a.revoked, "", "\t")
	if err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	if err := replace(a.path("revoked.json"), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	return a.writeList()
}

// Revoked tells whether a certificate was taken back.
func (a *Authority) Revoked(c *x509.Certificate) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, yes := a.revoked[Serial(c)]
	return yes
}

// Serial is a certificate's serial number as Revoke takes it.
func Serial(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

func (a *Authority) readRevoked() error {
	b, err := os.ReadFile(a.path("revoked.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return a.writeList()
	}
	if err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	// Without its list the authority would let in whom it refused before.
	if err := json.Unmarshal(b, &a.revoked); err != nil || a.revoked == nil {
		return fmt.Errorf("authority: %s cannot be read: %v", a.path("revoked.json"), err)
	}
	return a.writeList()
}

// writeList writes the revocation list (RFC 5280, 5) that other brokers read.
func (a *Authority) writeList() error {
	list := &x509.RevocationList{
		Number:     big.NewInt(a.now().UnixNano()),
		ThisUpdate: a.now().Add(-backdate),
		NextUpdate: a.now().Add(lifeOfServer),
	}
	for serial, at := range a.revoked {
		n, _ := new(big.Int).SetString(serial, 16)
		if n == nil {
			return fmt.Errorf("authority: revoked.json has %q, which is no serial number", serial)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: at.Truncate(time.Second)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		return fmt.Errorf("authority: revocation list: %w", err)
	}
	if err := replace(a.path("crl.pem"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644); err != nil {
		return fmt.Errorf("authority: %w", err)
	}
	return nil
}
