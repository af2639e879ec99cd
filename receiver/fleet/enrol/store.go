package enrol

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Identity is what makes a device a member of a fleet.
type Identity struct {
	Device string
	Pool   string
	Server string // where it was enrolled, and renews
	Broker string // host:port
	// Code is a digest of the code in the settings at the time: another code
	// there means to enrol again.
	Code        string
	Key         *ecdsa.PrivateKey
	Certificate *x509.Certificate
	CA          *x509.Certificate
}

// record is an Identity as it is kept.
type record struct {
	Device      string `json:"device"`
	Pool        string `json:"pool"`
	Server      string `json:"server"`
	Broker      string `json:"broker"`
	Code        string `json:"code"`
	Key         []byte `json:"key"` // PKCS #8
	Certificate []byte `json:"certificate"`
	CA          []byte `json:"ca"`
}

// TLS is how the device meets the services of its fleet at an address, which
// have certificates of the same authority. A machine without a clock does not
// know that its certificate is valid yet, so time begins with that.
func (i *Identity) TLS(address string) *tls.Config {
	host, _, _ := net.SplitHostPort(address)
	roots := x509.NewCertPool()
	roots.AddCert(i.CA)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots,
		Certificates: []tls.Certificate{{Certificate: [][]byte{i.Certificate.Raw}, PrivateKey: i.Key, Leaf: i.Certificate}},
		Time: func() time.Time {
			if now := time.Now(); now.After(i.Certificate.NotBefore) {
				return now
			}
			return i.Certificate.NotBefore
		},
	}
}

// RenewAt is when to ask for another certificate: after two thirds of the life
// of this one.
func (i *Identity) RenewAt() time.Time {
	c := i.Certificate
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)
}

// Store keeps an Identity in a directory, for the eyes of its user only.
type Store struct{ Dir string }

const (
	identityFile = "identity.json"
	maxIdentity  = 64 << 10
)

// Load returns what is kept. It fails with fs.ErrNotExist if the device is no
// member of a fleet, and with ErrMalformed if the file makes no sense.
func (s Store) Load() (*Identity, error) {
	f, err := os.Open(filepath.Join(s.Dir, identityFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return nil, err
	}
	return parseIdentity(text)
}

func parseIdentity(text []byte) (*Identity, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(r.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: key: %v", ErrMalformed, err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: the key is of another kind", ErrMalformed)
	}
	reply, err := json.Marshal(Reply{Certificate: r.Certificate, CA: r.CA, Broker: "mqtts://" + r.Broker})
	if err != nil {
		return nil, err
	}
	i := &Identity{Device: r.Device, Pool: r.Pool, Server: r.Server, Broker: r.Broker, Code: r.Code, Key: private}
	_, i.Certificate, i.CA, err = parseReply(reply, r.Device, &private.PublicKey)
	return i, err
}

// Save keeps an identity: after a loss of power at any moment there is either
// the old one or the new one.
func (s Store) Save(i *Identity) (err error) {
	key, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(record{i.Device, i.Pool, i.Server, i.Broker, i.Code, key, i.Certificate.Raw, i.CA.Raw})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(s.Dir, identityFile)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return err
	}
	return s.sync()
}

// Forget ends the membership.
func (s Store) Forget() error {
	if err := os.Remove(filepath.Join(s.Dir, identityFile)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return s.sync()
}

// sync returns when names have reached the disk.
func (s Store) sync() error {
	d, err := os.Open(s.Dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// brokerAddress returns host and port of a broker's URL, which was checked.
func brokerAddress(s string) string {
	u, _ := url.Parse(s)
	return u.Host
}
