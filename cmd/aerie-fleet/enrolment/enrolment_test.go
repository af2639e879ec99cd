package enrolment

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/enrol"
)

// bench is a service that enrols, over TLS.
type bench struct {
	*Enrolment
	t       *testing.T
	address string
	mu      sync.Mutex
	revoked []string
}

func start(t *testing.T, dir string) *bench {
	t.Helper()
	a, err := authority.Open(filepath.Join(dir, "authority"), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t}
	b.Enrolment, err = Open(Options{Authority: a, File: filepath.Join(dir, "members"), Pool: "hotel", Broker: "mqtts://127.0.0.1:8883", Log: slog.New(slog.DiscardHandler),
		Revoked: func(d string) { b.mu.Lock(); b.revoked = append(b.revoked, d); b.mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	b.Handle(mux)
	config := a.Server()
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, a.Pool()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close(); b.Close() })
	b.address = ln.Addr().String()
	return b
}

// device enrols as the receiver does.
func (b *bench) device(name, code string, show func(string)) (*enrol.Identity, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	if show == nil {
		show = func(string) {}
	}
	return enrol.Enrol(ctx, enrol.Options{Server: b.address, Device: name, Name: "Room 5", Pool: "hotel", Code: code, Show: show, Log: slog.New(slog.DiscardHandler)})
}

func TestIssuedCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, dir)
	code, err := b.Issue("Lobby")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.device("tv", "0000-0000-0000-0000-0000", nil); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("with a code that was never issued: %v", err)
	}
	wrong := code.Code[:5] + strings.Map(func(r rune) rune {
		if r == '-' {
			return r
		}
		return '7'
	}, code.Code[5:])
	if _, err := b.device("tv", wrong, nil); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("with the name of a code alone: %v", err)
	}
	id, err := b.device("tv", strings.ToLower(code.Code), nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, role, err := b.o.Authority.Identify(tls.ConnectionState{PeerCertificates: append([]*certificate(nil), id.Certificate)}); err != nil || name != "tv" || role != authority.RoleDevice {
		t.Errorf("its certificate is of %s, a %s: %v", name, role, err)
	}
	if _, err := b.device("tv2", code.Code, nil); !errors.Is(err, enrol.ErrRefused) {
		t.Errorf("with a code that was used: %v", err)
	}
	// The name is taken, also after a restart, until it is revoked.
	again, _ := b.Issue("")
	if _, err := b.device("tv", again.Code, nil); !errors.Is(err, enrol.ErrRefused) || !strings.Contains(err.Error(), "member") {
		t.Errorf("under the name of a member: %v", err)
	}
	// Its certificate is renewed with itself.
	next, err := enrol.Renew(t.Context(), id, (&net.Dialer{}).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Revoke("tv"); err != nil {
		t.Fatal(err)
	}
	if len(b.revoked) != 1 || !b.o.Authority.Revoked(id.Certificate) || !b.o.Authority.Revoked(next.Certificate) {
		t.Error("not all certificates of the device are revoked")
	}
	if _, err := enrol.Renew(t.Context(), next, (&net.Dialer{}).DialContext); err == nil {
		t.Error("a revoked certificate was renewed")
	}
	b.Close()
	b = start(t, dir)
	if !b.o.Authority.Revoked(id.Certificate) {
		t.Error("after a restart it is not revoked")
	}
	if _, err := b.device("tv", again.Code, nil); err != nil {
		t.Errorf("enrolled again: %v", err)
	}
}

// Whoever guesses at a code has few attempts.
func TestGuesses(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	code, err := b.Issue("")
	if err != nil {
		t.Fatal(err)
	}
	guess := code.Code[:4] + strings.Repeat("A", 16)
	for range maxGuesses {
		if _, err := b.device("tv", guess, nil); err == nil {
			t.Fatal("a guess succeeded")
		}
	}
	if codes, _ := b.Codes(); len(codes) != 0 {
		t.Errorf("after %d guesses the code is still good", maxGuesses)
	}
}

func TestCodeOnScreen(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	shown := make(chan string, 10)
	type result struct {
		id  *enrol.Identity
		err error
	}
	done := make(chan result, 1)
	go func() {
		id, err := b.device("tv", "", func(code string) { shown <- code })
		done <- result{id, err}
	}()
	code := <-shown
	for len(b.Waiting()) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if w := b.Waiting(); w[0].Device != "tv" || w[0].Name != "Room 5" {
		t.Errorf("%+v waits", w)
	}
	for what, try := range map[string][2]string{"another device": {"tv2", code}, "a wrong code": {"tv", "AAAA-AAAA"}} {
		if err := b.Admit(try[0], try[1]); !errors.Is(err, ErrCode) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := b.Admit("tv", code); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err != nil || r.id.Certificate.Subject.CommonName != "tv" {
		t.Fatalf("%v: %+v", r.err, r.id)
	}
	if len(b.Waiting()) != 0 {
		t.Error("it waits although it is a member")
	}
}

// What strangers send is refused, and does not fill the memory.
func TestFloodOfRequests(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	for i := range 2 * maxPending {
		r, err := request(i)
		if err != nil {
			t.Fatal(err)
		}
		b.Enrol(r)
	}
	if n := len(b.pending); n > maxPending {
		t.Errorf("%d requests wait", n)
	}
	busy := false
	for range perSecond + 20 {
		r := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: false}}
		response, err := r.Post("https://"+b.address+enrol.PathEnrol, "application/json", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		busy = busy || response.StatusCode == http.StatusTooManyRequests
		if response.StatusCode != http.StatusBadRequest && response.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("nonsense is answered with %s", response.Status)
		}
		if busy {
			return
		}
	}
	t.Log("this machine is too slow to be asked too often")
}

func FuzzEnrol(f *testing.F) {
	r, err := request(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r)
	f.Add([]byte(`{"device":"tv","pool":"hotel","code":"ABCD","proof":"AAAA"}`))
	a, err := authority.Open(f.TempDir(), nil, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	e, err := Open(Options{Authority: a, File: filepath.Join(f.TempDir(), "members"), Pool: "hotel", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	f.Fuzz(func(t *testing.T, body []byte) {
		if reply, err := e.Enrol(body); err == nil {
			t.Errorf("admitted without a code: %+v", reply)
		}
		var x any
		if json.Unmarshal(body, &x) == nil {
			if _, err := e.Renew("tv", body); err == nil {
				t.Error("renewed without being a member")
			}
		}
	})
}
