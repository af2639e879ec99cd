package enrol

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	askTime   = 20 * time.Second // for a question and its answer
	firstWait = 5 * time.Second  // between two questions
	lastWait  = 5 * time.Minute
)

// ErrRefused says that the service does not want the device: the code is used
// up or has ended, or the owner said no.
var ErrRefused = errors.New("enrol: refused")

// Options are what a device enrols with.
type Options struct {
	Server string // host:port of the service
	Device string
	Name   string // for people
	Pool   string
	// Code is that of the settings; "" draws one for the screen.
	Code string
	// Show puts a code on the screen, or takes it away with "".
	Show func(code string)
	// Dial connects to the service; nil is over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  *slog.Logger
}

// Digest is what is kept of a code in the settings, to notice another one.
func Digest(code string) string {
	if c, err := ParseCode(code); err == nil {
		code = c.String()
	}
	h := sha256.Sum256([]byte("aerie enrol code " + code))
	return hex.EncodeToString(h[:8])
}

// candidate is a device that enrols.
type candidate struct {
	Options
	key  *ecdsa.PrivateKey
	csr  []byte
	code Code
	ends time.Time // of a code on the screen
	seal Seal
	of   string // what the seal binds: the code and an authority
}

// Enrol makes a key and asks for a certificate until there is one, the service
// refuses, or the context ends. It fails with ErrRefused, ErrMalformed for a
// code that is none, or the context's error.
func Enrol(ctx context.Context, o Options) (*Identity, error) {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	c := &candidate{Options: o}
	var err error
	if c.key, c.csr, err = newKey(o.Device); err != nil {
		return nil, err
	}
	if o.Code != "" {
		if c.code, err = ParseCode(o.Code); err == nil && c.code.Name == "" {
			err = fmt.Errorf("%w: a code for the settings has %d characters", ErrMalformed, nameLength+secretLength)
		}
		if err != nil {
			return nil, err
		}
	} else {
		defer o.Show("")
	}
	wait, said := firstWait, ""
	for {
		if err := c.show(); err != nil {
			return nil, err
		}
		i, later, err := c.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && i != nil:
			return i, nil
		case err == nil:
			wait = later
		case errors.Is(err, ErrRefused):
			return nil, err
		default:
			if err.Error() != said {
				o.Log.Warn("fleet: not enrolled yet", "server", o.Server, "error", err)
			}
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		if err != nil {
			wait = min(2*wait, lastWait)
		}
	}
}

// newKey makes a key and the request for its certificate.
func newKey(device string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: device}}, key)
	return key, csr, err
}

// show keeps a code on the screen that is not too old.
func (c *candidate) show() (err error) {
	if c.Code != "" || time.Now().Before(c.ends) {
		return nil
	}
	if c.code, err = Show(rand.Reader); err != nil {
		return err
	}
	c.ends = time.Now().Add(ShownLife)
	c.Show(c.code.String())
	return nil
}

// ask asks once. Without an identity and an error the device is to ask again
// later.
func (c *candidate) ask(ctx context.Context) (i *Identity, later time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, ca, err := c.connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	r := Request{Device: c.Device, Name: c.Name, Pool: c.Pool, CSR: c.csr, Code: c.code.Name}
	if of := c.code.String() + string(ca.Raw); c.of != of {
		if c.seal, err = c.code.Seal(r, ca.Raw); err != nil {
			return nil, 0, err
		}
		c.of = of
	}
	r.Proof = c.seal.Request()
	response, body, err := post(ctx, conn, c.Server, PathEnrol, r)
	if err != nil {
		return nil, 0, err
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusAccepted:
		return nil, retryAfter(response), nil
	case http.StatusForbidden:
		return nil, 0, fmt.Errorf("%w: %s", ErrRefused, complaint(body))
	default:
		return nil, 0, fmt.Errorf("enrol: the service answers %d: %s", response.StatusCode, complaint(body))
	}
	reply, cert, authority, err := parseReply(body, c.Device, &c.key.PublicKey)
	if err != nil {
		return nil, 0, err
	}
	if err := c.seal.CheckReply(reply); err != nil {
		return nil, 0, err
	}
	if !authority.Equal(ca) {
		return nil, 0, fmt.Errorf("%w: the authority is not that of the connection", ErrMalformed)
	}
	i = &Identity{Device: c.Device, Pool: c.Pool, Server: c.Server, Broker: brokerAddress(reply.Broker), Key: c.key, Certificate: cert, CA: authority}
	if c.Code != "" {
		i.Code = Digest(c.Code)
	}
	return i, 0, nil
}

// connect connects to a server that nobody vouches for yet, and returns the
// authority that its chain ends with. Its dates are not looked at: the device
// may not know the time.
func (c *candidate) connect(ctx context.Context) (net.Conn, *x509.Certificate, error) {
	plain, err := c.Dial(ctx, "tcp", c.Server)
	if err != nil {
		return nil, nil, err
	}
	host, _, _ := net.SplitHostPort(c.Server)
	var ca *x509.Certificate
	conn := tls.Client(plain, &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host,
		InsecureSkipVerify: true, // the proofs of the code take its place
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			ca, err = authority(s.PeerCertificates)
			return err
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, nil, fmt.Errorf("enrol: %w", err)
	}
	return conn, ca, nil
}

// authority returns the end of a chain, each certificate of which is signed by
// the next.
func authority(chain []*x509.Certificate) (*x509.Certificate, error) {
	const longest = 4
	if len(chain) == 0 || len(chain) > longest {
		return nil, fmt.Errorf("%w: a chain of %d certificates", ErrMalformed, len(chain))
	}
	ca := chain[len(chain)-1]
	if !ca.IsCA {
		return nil, fmt.Errorf("%w: the server's chain does not end with an authority", ErrMalformed)
	}
	for i, c := range chain {
		if err := c.CheckSignatureFrom(chain[min(i+1, len(chain)-1)]); err != nil {
			return nil, fmt.Errorf("%w: the server's chain: %v", ErrMalformed, err)
		}
	}
	return ca, nil
}

// Renew asks for another certificate in place of one that ends. It fails with
// ErrRefused if that was revoked.
func Renew(ctx context.Context, i *Identity, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*Identity, error) {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	key, csr, err := newKey(i.Device)
	if err != nil {
		return nil, err
	}
	plain, err := dial(ctx, "tcp", i.Server)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, i.TLS(i.Server))
	defer conn.Close()
	response, body, err := post(ctx, conn, i.Server, PathRenew, Renewal{csr})
	switch {
	case Alerted(err):
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: %s", ErrRefused, complaint(body))
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("enrol: the service answers %d: %s", response.StatusCode, complaint(body))
	}
	reply, cert, ca, err := parseReply(body, i.Device, &key.PublicKey)
	if err == nil && !ca.Equal(i.CA) {
		err = fmt.Errorf("%w: another authority", ErrMalformed)
	}
	if err != nil {
		return nil, err
	}
	next := *i
	next.Broker, next.Key, next.Certificate = brokerAddress(reply.Broker), key, cert
	return &next, nil
}

// Alerted tells whether a connection failed because the other side ended its
// handshake: it does not take the certificate.
func Alerted(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// post asks on a connection, which is used once.
func post(ctx context.Context, conn net.Conn, server, path string, what any) (*http.Response, []byte, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+server+path, bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{
		DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, nil, fmt.Errorf("enrol: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxBody+1))
	if err == nil && len(body) > MaxBody {
		err = fmt.Errorf("%w: an answer of more than %d bytes", ErrMalformed, MaxBody)
	}
	return response, body, err
}

// retryAfter is when the service wants to be asked again, within reason.
func retryAfter(r *http.Response) time.Duration {
	s, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil {
		return firstWait
	}
	return max(time.Second, min(time.Duration(s)*time.Second, time.Minute))
}

// complaint is why a service refuses, for the log.
func complaint(body []byte) string {
	var e Error
	if json.Unmarshal(body, &e) != nil || e.Error == "" {
		return "without a reason"
	}
	return fmt.Sprintf("%.200q", e.Error)
}
