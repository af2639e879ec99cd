// Package enrol is how a device becomes a member of a fleet: it makes a key of
// its own, and a service signs a certificate for it.
//
// Neither side knows the other yet. What they share is a one-time code: one
// that the service issued and the owner wrote into the device's settings, or
// one that the device shows on its screen and the owner types into the
// service's page. Each side proves that it knows the code over everything that
// matters, the device's key and the authority that it saw on its connection
// among it: somebody in the middle would have to know the code as well. The
// code itself never travels.
//
// A Request and a Reply are what goes over HTTPS, a Code makes and checks the
// proofs of both sides; Enrol is the device's side of it all, and Store keeps
// what it gained. Issuing certificates, and refusing them later, is the
// business of the command aerie-fleet.
//
// Proof: code_test.go (proofs, and everything that spoils them), enrol_test.go
// (a service over TLS that makes the owner wait, refuses, lies and vanishes; one
// in the middle), store_test.go (what is kept, and for whose eyes), and fuzz
// targets for what strangers send.
package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"aerie/receiver/fleet/pairing"
)

// Where a service takes requests.
const (
	PathEnrol = "/enrol" // POST a Request; anybody may
	PathRenew = "/renew" // POST a Renewal; with the certificate that is to be renewed
)

// MaxBody bounds what either side reads, in bytes.
const MaxBody = 32 << 10

// ErrMalformed is wrapped by errors about what makes no sense.
var ErrMalformed = errors.New("enrol: malformed")

// Request asks for a certificate. It is sent again until it is decided.
type Request struct {
	Device string `json:"device"`         // pairing.ValidDevice; the name in the certificate
	Name   string `json:"name"`           // for people
	Pool   string `json:"pool"`           // of services
	CSR    []byte `json:"csr"`            // PKCS #10 in DER, of an ECDSA key on P-256
	Code   string `json:"code,omitempty"` // Code.Name of an issued code; "" for one on the screen
	Proof  []byte `json:"proof"`
}

// Reply grants a request, with status 200. Status 202 is a request that waits
// for the owner; 403 one that is refused, with an Error; 429 and 503 that it is
// to be repeated later.
type Reply struct {
	Certificate []byte `json:"certificate"` // DER
	CA          []byte `json:"ca"`          // DER; the authority of services, brokers and devices
	Broker      string `json:"broker"`      // mqtts://HOST:PORT
	Proof       []byte `json:"proof"`
}

// Renewal asks for another certificate in place of the one that the
// connection uses. It is answered with a Reply that needs no proof.
type Renewal struct {
	CSR []byte `json:"csr"`
}

// Error is the body of an answer that is no success.
type Error struct {
	Error string `json:"error"`
}

// ParseRequest reads a request and checks all that can be checked without a
// code: that the key is of the right kind, and in the hands of who asks.
func ParseRequest(body []byte) (r Request, csr *x509.CertificateRequest, err error) {
	if len(body) > MaxBody {
		return r, nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(body))
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	switch {
	case !pairing.ValidDevice(r.Device):
		return r, nil, fmt.Errorf("%w: device id", ErrMalformed)
	case len(r.Name) > 128 || strings.ContainsFunc(r.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return r, nil, fmt.Errorf("%w: name", ErrMalformed)
	case r.Pool == "" || len(r.Pool) > 128:
		return r, nil, fmt.Errorf("%w: pool", ErrMalformed)
	case len(r.Code) > nameLength:
		return r, nil, fmt.Errorf("%w: name of a code", ErrMalformed)
	case len(r.Proof) != proofLength:
		return r, nil, fmt.Errorf("%w: proof", ErrMalformed)
	}
	csr, err = ParseCSR(r.CSR, r.Device)
	return r, csr, err
}

// ParseCSR reads the request for a certificate of a device.
func ParseCSR(der []byte, device string) (*x509.CertificateRequest, error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || key.Curve != elliptic.P256():
		return nil, fmt.Errorf("%w: the key is not of P-256", ErrMalformed)
	case csr.Subject.CommonName != device:
		return nil, fmt.Errorf("%w: the certificate would be of another device", ErrMalformed)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return csr, nil
}

// parseReply reads a reply and checks that its certificate is what was asked
// for: of that device and key, by that authority.
func parseReply(body []byte, device string, key *ecdsa.PublicKey) (r Reply, cert, ca *x509.Certificate, err error) {
	fail := func(format string, args ...any) (Reply, *x509.Certificate, *x509.Certificate, error) {
		return Reply{}, nil, nil, fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return fail("%v", err)
	}
	if u, err := url.Parse(r.Broker); err != nil || u.Scheme != "mqtts" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" {
		return fail("the broker %.100q is not mqtts://HOST:PORT", r.Broker)
	}
	if ca, err = x509.ParseCertificate(r.CA); err != nil {
		return fail("authority: %v", err)
	}
	if cert, err = x509.ParseCertificate(r.Certificate); err != nil {
		return fail("certificate: %v", err)
	}
	switch mine, ok := cert.PublicKey.(*ecdsa.PublicKey); {
	case !ok || !mine.Equal(key):
		return fail("the certificate is of another key")
	case cert.Subject.CommonName != device:
		return fail("the certificate is of another device")
	case !ca.IsCA:
		return fail("the authority is none")
	}
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return fail("certificate: %v", err)
	}
	return r, cert, ca, nil
}
