package release

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"
)

// tlsDialer connects by TLS on machines whose clock may never have been set: a
// Pi starts in 1970, or where its last run ended, until the network tells it
// the time.
//
// A clock before the day this program was built is wrong, and certificates
// would be "not yet valid". In its place stands the earliest time that can be:
// that of the build, or when the certificates of the server begin, whichever
// is later. So a chain must be sound, its names right and no part of it ended
// before the build; that one ended since then cannot be seen without a clock.
// What is downloaded is protected by its signature all the same.
type tlsDialer struct{ WebOptions }

// maxChain is how many certificates may begin one after the other.
const maxChain = 4

func (d *tlsDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	now := d.Now()
	wrong := now.Before(d.Built)
	if wrong {
		now = d.Built
	}
	for i := 0; ; i++ {
		conn, err := d.handshake(ctx, network, address, host, now)
		var invalid x509.CertificateInvalidError
		if wrong && i < maxChain && errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore) {
			now = invalid.Cert.NotBefore
			continue
		}
		return conn, err
	}
}

// handshake connects and verifies as of a time.
func (d *tlsDialer) handshake(ctx context.Context, network, address, host string, now time.Time) (net.Conn, error) {
	conn, err := d.WebOptions.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := tls.Client(conn, &tls.Config{
		ServerName: host,
		RootCAs:    d.Roots,
		MinVersion: tls.VersionTLS12,
		Time:       func() time.Time { return now },
	})
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}
