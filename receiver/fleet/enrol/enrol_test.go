package enrol

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	quiet   = slog.New(slog.DiscardHandler)
	discard = log.New(io.Discard, "", 0)
)

// scene is a service and a device in simulated time.
func scene(t *testing.T, f func(t *testing.T, s *fleetService, o Options)) {
	synctest.Test(t, func(t *testing.T) {
		s := &fleetService{authorityOf: newAuthority(t, "fleet"), t: t}
		p := s.serve(t, s.server(t))
		f(t, s, Options{Server: "fleet:8443", Device: "tv", Name: "TV", Pool: "pool", Dial: p.dial, Show: func(string) {}, Log: quiet})
		p.Close()
		time.Sleep(time.Minute) // for connections to say farewell
	})
}

func issued(t *testing.T) Code {
	t.Helper()
	c, err := Issue(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIssuedCode(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		s.code = issued(t)
		o.Code = strings.ToLower(s.code.String())
		i, err := Enrol(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if i.Broker != "broker:8883" || i.Device != "tv" || i.Pool != "pool" || !i.CA.Equal(s.cert) || i.Certificate.Subject.CommonName != "tv" || i.Code != Digest(o.Code) || !i.Key.PublicKey.Equal(i.Certificate.PublicKey) {
			t.Errorf("%+v", i)
		}
		if r := s.asked[0]; r.Name != "TV" || r.Code != s.code.Name || len(s.asked) != 1 || bytes.Contains(r.CSR, []byte(s.code.secret)) {
			t.Errorf("asked %+v", s.asked)
		}
	})
}

// The owner takes a quarter of an hour to type the code, which is another one
// by then.
func TestShownCode(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		var codes []string
		o.Show = func(code string) { codes = append(codes, code) }
		began := time.Now()
		go func() {
			time.Sleep(15 * time.Minute)
			s.mu.Lock()
			s.code, _ = ParseCode(codes[len(codes)-1])
			s.mu.Unlock()
		}()
		i, err := Enrol(t.Context(), o)
		if err != nil || i.Code != "" {
			t.Fatalf("%+v, %v", i, err)
		}
		if len(codes) != 3 || codes[0] == codes[1] || codes[2] != "" || len(codes[0]) != 9 {
			t.Errorf("shown: %q", codes)
		}
		// It asked as often as it was told to, or less where connections end slowly.
		if d := time.Since(began); d > 16*time.Minute || len(s.asked) < 70 || len(s.asked) > 135 {
			t.Errorf("asked %d times in %v", len(s.asked), d)
		}
		for _, r := range s.asked {
			if !bytes.Equal(r.CSR, s.asked[0].CSR) {
				t.Fatal("another key for each question")
			}
		}
	})
}

func TestRefused(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		s.code = issued(t)
		o.Code = issued(t).String()
		if _, err := Enrol(t.Context(), o); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "wrong code") {
			t.Errorf("with another code: %v", err)
		}
		for _, code := range []string{"1234-5678", "x", "1234-5678-9abc-defg-hjku"} {
			o.Code = code
			if _, err := Enrol(t.Context(), o); !errors.Is(err, ErrMalformed) {
				t.Errorf("with the code %q: %v", code, err)
			}
		}
	})
}

// Whoever does not know the code cannot let the device into a fleet of theirs,
// whatever they say.
func TestInBetween(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *fleetService)
		want  error
	}{
		"does not know the code":    {func(s *fleetService) { s.after = func(r *Reply) { r.Proof = make([]byte, 32) } }, ErrProof},
		"another broker":            {func(s *fleetService) { s.after = func(r *Reply) { r.Broker = "mqtts://evil:8883" } }, ErrProof},
		"a broker without security": {func(s *fleetService) { s.spoil = func(r *Reply) { r.Broker = "mqtt://broker:1883" } }, ErrMalformed},
		"a broker with a password":  {func(s *fleetService) { s.spoil = func(r *Reply) { r.Broker = "mqtts://a:b@broker:1883" } }, ErrMalformed},
		"another key": {func(s *fleetService) {
			key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			cert := s.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: "tv"}}, &key.PublicKey).Raw
			s.spoil = func(r *Reply) { r.Certificate = cert }
		}, ErrMalformed},
		"another device": {func(s *fleetService) {
			s.spoil = func(r *Reply) {
				c, _ := x509.ParseCertificate(r.Certificate)
				r.Certificate = s.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: "radio"}}, c.PublicKey).Raw
			}
		}, ErrMalformed},
		"another authority": {func(s *fleetService) {
			a := newAuthority(s.t, "other")
			s.spoil = func(r *Reply) {
				c, _ := x509.ParseCertificate(r.Certificate)
				r.Certificate, r.CA = a.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: "tv"}}, c.PublicKey).Raw, a.cert.Raw
			}
		}, ErrMalformed},
		"a certificate that it did not sign": {func(s *fleetService) {
			a := newAuthority(s.t, "fleet")
			s.spoil = func(r *Reply) {
				c, _ := x509.ParseCertificate(r.Certificate)
				r.Certificate = a.sign(s.t, &x509.Certificate{Subject: pkix.Name{CommonName: "tv"}}, c.PublicKey).Raw
			}
		}, ErrMalformed},
		"an authority that is none": {func(s *fleetService) { s.spoil = func(r *Reply) { r.CA = r.Certificate } }, ErrMalformed},
		"nothing":                   {func(s *fleetService) { s.spoil = func(r *Reply) { *r = Reply{} } }, ErrMalformed},
		"an endless answer":         {func(s *fleetService) { s.after = func(r *Reply) { r.Proof = make([]byte, MaxBody) } }, ErrMalformed},
		"server trouble":            {func(s *fleetService) { s.status = 503 }, nil},
		"a redirection":             {func(s *fleetService) { s.status = 302 }, nil},
	} {
		scene(t, func(t *testing.T, s *fleetService, o Options) {
			s.code = issued(s.t)
			o.Code = s.code.String()
			c.spoil(s)
			var said bytes.Buffer
			o.Log = slog.New(slog.NewTextHandler(&said, nil))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			i, err := Enrol(ctx, o)
			if i != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %+v, %v", name, i, err)
			}
			// It goes on asking, with patience, and has said why once.
			if n := len(s.asked); s.status == 0 && (n < 5 || n > 8) {
				t.Errorf("%s: asked %d times in ten minutes", name, n)
			}
			if n := strings.Count(said.String(), "not enrolled yet"); n != 1 || c.want != nil && !strings.Contains(said.String(), c.want.Error()) {
				t.Errorf("%s: said %s", name, said.String())
			}
		})
	}
}

// One in between who relays to the real service, with an authority of its own:
// the service notices, because the device swears to the authority it saw.
func TestRelay(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		s.code = issued(t)
		o.Code = s.code.String()
		evil := newAuthority(t, "fleet") // the same name
		p := s.serve(t, evil.server(t))
		defer p.Close()
		o.Dial = p.dial
		if _, err := Enrol(t.Context(), o); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "wrong code") {
			t.Errorf("%v", err)
		}
	})
}

func TestServersThatAreNone(t *testing.T) {
	s := &fleetService{authorityOf: newAuthority(t, "fleet"), t: t}
	single := s.server(t)
	single.Certificate = single.Certificate[:1]
	foreign := s.server(t)
	foreign.Certificate[1] = newAuthority(t, "fleet").cert.Raw
	long := s.server(t)
	for range 4 {
		long.Certificate = append(long.Certificate, s.cert.Raw)
	}
	for name, certificate := range map[string]tls.Certificate{"no authority": single, "an authority that did not sign": foreign, "a long chain": long} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.serveOn(t, ln, certificate)
		c := &candidate{Options: Options{Server: ln.Addr().String(), Dial: (&net.Dialer{}).DialContext}}
		if _, _, err := c.connect(t.Context()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSilentServer(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		c := &candidate{Options: o}
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			return here, nil
		}
		began := time.Now()
		if _, _, err := c.ask(t.Context()); err == nil || time.Since(began) != askTime {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestRenew(t *testing.T) {
	scene(t, func(t *testing.T, s *fleetService, o Options) {
		s.code = issued(t)
		o.Code = s.code.String()
		i, err := Enrol(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if at := i.RenewAt(); at.Before(time.Now().Add(600*time.Hour)) || at.After(i.Certificate.NotAfter) {
			t.Errorf("renewed at %v", at)
		}
		next, err := Renew(t.Context(), i, o.Dial)
		if err != nil || next.Certificate.Equal(i.Certificate) || next.Key.Equal(i.Key) || next.Code != i.Code || next.Device != "tv" {
			t.Fatalf("%+v, %v", next, err)
		}
		s.revoked = true
		if _, err := Renew(t.Context(), next, o.Dial); !errors.Is(err, ErrRefused) {
			t.Errorf("revoked: %v", err)
		}
		s.revoked, s.after = false, func(r *Reply) { r.CA = newAuthority(t, "x").cert.Raw }
		if _, err := Renew(t.Context(), next, o.Dial); !errors.Is(err, ErrMalformed) {
			t.Errorf("another authority: %v", err)
		}
		// A service of another fleet is not even asked.
		p := s.serve(t, newAuthority(t, "fleet").server(t))
		defer p.Close()
		if _, err := Renew(t.Context(), next, p.dial); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("another fleet: %v", err)
		}
	})
}

func TestParseRequest(t *testing.T) {
	_, csr, err := newKey("tv")
	if err != nil {
		t.Fatal(err)
	}
	good := Request{Device: "tv", Name: "TV", Pool: "pool", CSR: csr, Proof: make([]byte, proofLength)}
	text := func(r Request) []byte { b, _ := json.Marshal(r); return b }
	if r, c, err := ParseRequest(text(good)); err != nil || r.Device != "tv" || c == nil {
		t.Errorf("%+v, %v", r, err)
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	long, _ := rsa.GenerateKey(rand.Reader, 1024)
	subject := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "tv"}}
	wrongCurve, _ := x509.CreateCertificateRequest(rand.Reader, subject, p384)
	wrongKind, _ := x509.CreateCertificateRequest(rand.Reader, subject, long)
	tampered := bytes.Clone(csr)
	tampered[len(tampered)-1] ^= 1
	for name, change := range map[string]func(*Request){
		"no device": func(r *Request) { r.Device = "" }, "a service's id": func(r *Request) { r.Device = "23ebf618-41e2-40d7-9964-a16ae9762a1c" }, "a topic": func(r *Request) { r.Device = "a/b" },
		"another's key": func(r *Request) { r.Device = "radio" }, "a long name": func(r *Request) { r.Name = strings.Repeat("x", 129) }, "a name with a line": func(r *Request) { r.Name = "a\nb" },
		"no pool": func(r *Request) { r.Pool = "" }, "a long code": func(r *Request) { r.Code = "12345" }, "no proof": func(r *Request) { r.Proof = nil },
		"no request": func(r *Request) { r.CSR = nil }, "another curve": func(r *Request) { r.CSR = wrongCurve }, "another kind": func(r *Request) { r.CSR = wrongKind }, "tampered with": func(r *Request) { r.CSR = tampered },
	} {
		r := good
		change(&r)
		if _, _, err := ParseRequest(text(r)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ParseRequest(make([]byte, MaxBody+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too large: %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	key, csr, err := newKey("tv")
	if err != nil {
		f.Fatal(err)
	}
	request, _ := json.Marshal(Request{Device: "tv", Pool: "pool", CSR: csr, Proof: make([]byte, proofLength)})
	f.Add(request)
	f.Add([]byte(`{"certificate":"","ca":"","broker":"mqtts://a:1","proof":""}`))
	f.Add([]byte(`{"device":"tv","server":"a:1","broker":"b:1","key":"","certificate":"","ca":""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, c, err := ParseRequest(body); err == nil && (c == nil || r.Device != c.Subject.CommonName) {
			t.Fatal("a request of somebody else")
		}
		if _, cert, ca, err := parseReply(body, "tv", &key.PublicKey); err == nil && (cert == nil || ca == nil) {
			t.Fatal("a reply of nothing")
		}
		_, _ = parseIdentity(body)
	})
}

func FuzzCode(f *testing.F) {
	f.Add("1234-5678")
	f.Add("1234-5678-9abc-defg-hjkm")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCode(s)
		if err != nil {
			return
		}
		if again, err := ParseCode(c.String()); err != nil || again != c {
			t.Fatalf("%q became %q, %v", s, again, err)
		}
	})
}
