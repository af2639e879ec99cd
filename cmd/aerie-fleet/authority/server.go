package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// renew makes the server's certificate anew when it nears its end or when the
// server has got another name.
func (a *Authority) renew() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, cert, err := readPair(a.path("server"))
	if err != nil || !a.suits(cert) {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return fmt.Errorf("authority: %w", err)
		}
		der, err := a.sign(key.Public(), "aerie-fleet", roleServer, lifeOfServer, x509.ExtKeyUsageServerAuth, a.names)
		if err != nil {
			return fmt.Errorf("authority: sign the server's key: %w", err)
		}
		if err := writePair(a.path("server"), key, der); err != nil {
			return fmt.Errorf("authority: %w", err)
		}
		if cert, err = x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("authority: %w", err)
		}
	}
	a.server = &tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key, Leaf: cert}
	return nil
}

func (a *Authority) suits(c *x509.Certificate) bool {
	if c.CheckSignatureFrom(a.cert) != nil || a.now().Add(renewServer).After(c.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(a.names, func(n string) bool { return c.VerifyHostname(n) != nil })
}

// Server returns the settings of the server's own connections: TLS 1.2 at
// least, which is what the oldest brokers' clients speak, with a certificate
// that is renewed while the server runs. Who must show a certificate is for the
// caller to say; see Clients.
func (a *Authority) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		Time:       a.now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			a.mu.Lock()
			old := a.now().Add(renewServer).After(a.server.Leaf.NotAfter)
			a.mu.Unlock()
			if old {
				if err := a.renew(); err != nil {
					return nil, err
				}
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.server, nil
		},
	}
}

// Reasons why a client is not let in.
var (
	ErrRevoked = errors.New("its certificate was revoked")
	ErrRole    = errors.New("its certificate is not one of a device or a service")
)

// Clients is Server for connections on which the client must show a certificate
// of this authority that was not revoked. The chain and the time are checked by
// crypto/tls before.
func (a *Authority) Clients() *tls.Config {
	c := a.Server()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.ClientCAs = a.Pool()
	c.VerifyConnection = func(s tls.ConnectionState) error {
		_, _, err := a.Identify(s)
		return err
	}
	return c
}

// Identify returns name and role of the client of a connection.
func (a *Authority) Identify(s tls.ConnectionState) (name, role string, err error) {
	if len(s.PeerCertificates) == 0 {
		return "", "", ErrRole
	}
	c := s.PeerCertificates[0]
	name = c.Subject.CommonName
	if a.Revoked(c) {
		return name, "", fmt.Errorf("%s: %w", name, ErrRevoked)
	}
	for _, role := range c.Subject.OrganizationalUnit {
		if role == RoleDevice || role == RoleService {
			return name, role, nil
		}
	}
	return name, "", fmt.Errorf("%s: %w", name, ErrRole)
}

// Client returns the settings of a client that shows a certificate of this
// authority and calls the server by the name.
func (a *Authority) Client(c tls.Certificate, server string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Time: a.now, RootCAs: a.Pool(), Certificates: []tls.Certificate{c}, ServerName: server}
}

// Expires tells when the server's certificate ends.
func (a *Authority) Expires() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server.Leaf.NotAfter
}

// IssueServer makes a key and a certificate for a broker that is another
// program, for its host names and addresses.
func (a *Authority) IssueServer(names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("authority: %w", err)
	}
	der, err := a.sign(key.Public(), names[0], roleServer, lifeOfServer, x509.ExtKeyUsageServerAuth, names)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("authority: issue for %s: %w", names[0], err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, nil
}
