package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// authorityOf is a certificate authority for tests.
type authorityOf struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authorityOf {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authorityOf{key: key}
	a.cert = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, &key.PublicKey)
	return a
}

func (a *authorityOf) sign(t *testing.T, template *x509.Certificate, key any) *x509.Certificate {
	t.Helper()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(1000*time.Hour)
	}
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// server is a certificate for a server, with its chain.
func (a *authorityOf) server(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "fleet"}, DNSNames: []string{"fleet"}}, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.cert.Raw}, PrivateKey: key}
}

// fleetService is a service that enrols devices as the documents have it, in
// memory. What it does instead can be set.
type fleetService struct {
	*authorityOf
	t     *testing.T
	code  Code // that its owner types, or it issued; none: they wait
	asked []Request
	// spoil changes a reply before its proof is made, after what was proved.
	spoil, after func(*Reply)
	status       int // instead of any other
	revoked      bool
	mu           sync.Mutex
	seals        map[string]Seal // by request, for they take their time
}

// seal is that of a request.
func (s *fleetService) seal(r Request) (Seal, error) {
	seal, known := s.seals[string(r.CSR)]
	if known {
		return seal, nil
	}
	seal, err := s.code.Seal(r, s.cert.Raw)
	s.seals = map[string]Seal{string(r.CSR): seal}
	return seal, err
}

func (s *fleetService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	fail := func(status int, why string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(Error{why})
	}
	if s.status != 0 {
		fail(s.status, "as asked for")
		return
	}
	if r.URL.Path == PathRenew {
		var renewal Renewal
		if s.revoked || len(r.TLS.PeerCertificates) == 0 || json.Unmarshal(body, &renewal) != nil {
			fail(403, "revoked")
			return
		}
		s.grant(w, renewal.CSR, r.TLS.PeerCertificates[0].Subject.CommonName, nil)
		return
	}
	request, _, err := ParseRequest(body)
	if err != nil {
		fail(400, err.Error())
		return
	}
	s.asked = append(s.asked, request)
	if s.code == (Code{}) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(202)
		return
	}
	seal, err := s.seal(request)
	if err == nil {
		err = seal.CheckRequest(request)
	}
	if err != nil || s.code.Name != request.Code {
		fail(403, "wrong code")
		return
	}
	s.grant(w, request.CSR, request.Device, &seal)
}

func (s *fleetService) grant(w http.ResponseWriter, der []byte, device string, seal *Seal) {
	csr, err := ParseCSR(der, device)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	cert := s.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: device}}, csr.PublicKey)
	reply := Reply{Certificate: cert.Raw, CA: s.cert.Raw, Broker: "mqtts://broker:8883"}
	if s.spoil != nil {
		s.spoil(&reply)
	}
	if seal != nil {
		reply.Proof = seal.Reply(reply)
	}
	if s.after != nil {
		s.after(&reply)
	}
	_ = json.NewEncoder(w).Encode(reply)
}

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// serve serves a service with TLS, and returns how to connect to it.
func (s *fleetService) serve(t *testing.T, certificate tls.Certificate) *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s.serveOn(t, p, certificate)
	return p
}

func (s *fleetService) serveOn(t *testing.T, ln net.Listener, certificate tls.Certificate) {
	pool := x509.NewCertPool()
	pool.AddCert(s.cert)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server := &http.Server{Handler: s, ErrorLog: discard}
	go func() { _ = server.Serve(tls.NewListener(ln, config)) }()
	t.Cleanup(func() { server.Close() })
}
