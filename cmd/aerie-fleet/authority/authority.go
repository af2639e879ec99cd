// Package authority is the fleet's own certificate authority: it signs the keys
// that devices make for themselves, the services of the pool and the server's
// own certificate, and it remembers whom it took that back from.
//
// A certificate's common name is the client's name at the broker, its
// organizational unit says whether it is a device or a service. The authority's
// key never leaves its folder, which only the service's user can read. Who may
// have a certificate is decided by package enrolment.
//
// Proof: authority_test.go (chains as crypto/tls checks them, restarts, renewal,
// revocation, file modes, requests that mean no good) and FuzzSignDevice.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Roles of clients, in the organizational unit of their certificates.
const (
	RoleDevice  = "device"
	RoleService = "service"
	roleServer  = "server"
)

// Lives of certificates. A device asks for a new one long before the end.
const (
	lifeOfAuthority = 20 * 365 * 24 * time.Hour
	lifeOfDevice    = 2 * 365 * 24 * time.Hour
	lifeOfServer    = 365 * 24 * time.Hour
	// renewServer is how long before its end the server's is made anew.
	renewServer = 60 * 24 * time.Hour
	// backdate allows for clocks of devices that are behind.
	backdate = 24 * time.Hour
)

// ErrRequest is wrapped by errors about a signing request.
var ErrRequest = errors.New("authority: bad signing request")

// Authority signs. It is safe for concurrent use.
type Authority struct {
	dir  string
	now  func() time.Time
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu      sync.Mutex
	server  *tls.Certificate
	names   []string
	revoked map[string]time.Time // serial numbers in hex, and when
}

// Open reads the authority in a folder, and makes one where there is none. Names
// are the host names and addresses by which clients call the server.
func Open(dir string, names []string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	a := &Authority{dir: dir, now: now, names: slices.Clone(names), revoked: map[string]time.Time{}}
	key, cert, err := readPair(a.path("ca"))
	if errors.Is(err, fs.ErrNotExist) {
		// Half of a pair is an authority that was lost, not one to replace: every
		// device would have to be enrolled again.
		if _, there := os.Stat(a.path("ca.pem")); there == nil {
			return nil, fmt.Errorf("authority: %s.key is missing; put it back, or remove ca.pem too to begin anew", a.path("ca"))
		}
		key, cert, err = a.found()
	}
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if !cert.IsCA || now().After(cert.NotAfter) {
		return nil, fmt.Errorf("authority: %s.pem is not the certificate of an authority, or its time is over", a.path("ca"))
	}
	a.key, a.cert = key, cert
	if err := a.readRevoked(); err != nil {
		return nil, err
	}
	return a, a.renew()
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// found makes a new authority.
func (a *Authority) found() (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Aerie fleet " + serial.Text(36)[:6]},
		NotBefore:             a.now().Add(-backdate),
		NotAfter:              a.now().Add(lifeOfAuthority),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	if err := writePair(a.path("ca"), key, der); err != nil {
		return nil, nil, err
	}
	return readPair(a.path("ca"))
}

// newSerial returns a random serial number (RFC 5280, 4.1.2.2: positive, at
// most 20 octets).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.Add(n, new(big.Int).Lsh(big.NewInt(1), 126)), nil
}

// sign makes a leaf certificate.
func (a *Authority) sign(public any, name, role string, life time.Duration, usage x509.ExtKeyUsage, hosts []string) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	end := a.now().Add(life)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, OrganizationalUnit: []string{role}},
		NotBefore:    a.now().Add(-backdate),
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
}

// SignDevice signs the key of a device: request is a PKCS #10 request in DER, of
// which only the key is taken, and which must be signed with it.
func (a *Authority) SignDevice(name string, request []byte) (*x509.Certificate, error) {
	return a.signRequest(name, RoleDevice, request)
}

// SignService signs the key of a service instance in the same way.
func (a *Authority) SignService(name string, request []byte) (*x509.Certificate, error) {
	return a.signRequest(name, RoleService, request)
}

func (a *Authority) signRequest(name, role string, request []byte) (*x509.Certificate, error) {
	key, err := RequestKey(request)
	if err != nil {
		return nil, err
	}
	der, err := a.sign(key, name, role, lifeOfDevice, x509.ExtKeyUsageClientAuth, nil)
	if err != nil {
		return nil, fmt.Errorf("authority: sign %s: %w", name, err)
	}
	return x509.ParseCertificate(der)
}

// MaxRequest bounds a signing request in bytes; one of a P-256 key has 300.
const MaxRequest = 4 << 10

// RequestKey returns the key of a signing request: ECDSA on P-256, and whoever
// made the request has it.
func RequestKey(request []byte) (*ecdsa.PublicKey, error) {
	if len(request) > MaxRequest {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrRequest, len(request))
	}
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRequest, err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: the key is not ECDSA on P-256", ErrRequest)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRequest, err)
	}
	return key, nil
}

// Issue makes a key and a certificate for a service instance that lives in this
// process or is to be moved to another machine.
func (a *Authority) Issue(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := a.sign(key.Public(), name, RoleService, lifeOfServer, x509.ExtKeyUsageClientAuth, nil)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("authority: issue %s: %w", name, err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, nil
}

// Certificate is the authority's own.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PEM is the authority's certificate as others keep it.
func (a *Authority) PEM() []byte { return encodeCertificate(a.cert.Raw) }

// Pool holds the authority alone: nobody else's word counts.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// encodeCertificate writes a certificate as PEM.
func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// EncodeCertificate writes a certificate as PEM.
func EncodeCertificate(c *x509.Certificate) []byte { return encodeCertificate(c.Raw) }
