package fleet

import (
	"bytes"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/fleet/enrol"
)

// logged is a log for a test to look into.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

// From a code on the screen to a partner; revoked, and let in again.
func TestEnrolled(t *testing.T) {
	t.Parallel() // it mostly waits
	ca := newMember(t, "fleet", nil)
	broker := newMosquitto(t, ca, service)
	g := &register{t: t, ca: ca, broker: broker.address}
	s := newService(t, service, broker.address, newMember(t, service, ca).tls(ca))
	tv, dir := &receiver{}, t.TempDir()
	var log logged
	a, _ := start(t, Options{Server: g.serve(t), State: dir, Device: tv.device(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	// owner types the code that the screen shows.
	owner := func() {
		t.Helper()
		s.eventually(t, "a code is shown", func() bool { return a.Status().Code != "" })
		if st := a.Status(); st.Phase != Enrolling {
			t.Errorf("%+v", st)
		}
		g.mu.Lock()
		g.codes = []string{a.Status().Code}
		g.mu.Unlock()
		s.eventually(t, "paired", func() bool { return a.Status().Phase == Paired && s.pairing.Mine(testDevice) })
		if st := a.Status(); st.Code != "" || st.Partner != service {
			t.Errorf("%+v", st)
		}
	}
	owner()
	first, err := (enrol.Store{Dir: dir}).Load()
	if err != nil || first.Device != testDevice {
		t.Fatalf("%+v, %v", first, err)
	}
	tv.mu.Lock()
	if n := len(tv.codes); n != 2 || tv.codes[0] == "" || tv.codes[1] != "" {
		t.Errorf("the screen showed %q", tv.codes)
	}
	tv.mu.Unlock()

	revoked, err := x509.CreateRevocationList(crand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: first.Certificate.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)}},
	}, ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(broker.conf), "crl")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: revoked}), 0o644); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(broker.conf)
	if err == nil {
		err = os.WriteFile(broker.conf, append(conf, "crlfile "+file+"\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	broker.kill()
	broker.start()
	s.eventually(t, "it says that it is not wanted", func() bool { return a.Status().Phase == Refused && log.has("does not want this device") })
	a.EnrolAgain()
	owner()
	if second, err := (enrol.Store{Dir: dir}).Load(); err != nil || second.Certificate.Equal(first.Certificate) || second.Key.Equal(first.Key) {
		t.Errorf("%+v, %v", second, err)
	}
}

// A code in the settings lets it in without anybody; another one does so again.
func TestEnrolledBySettings(t *testing.T) {
	t.Parallel() // it mostly waits
	ca := newMember(t, "fleet", nil)
	g := &register{t: t, ca: ca, broker: "127.0.0.1:9"} // where nobody listens
	dir := t.TempDir()
	server := g.serve(t)
	var before *enrol.Identity
	for _, again := range []bool{false, true} {
		code, err := enrol.Issue(crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		g.mu.Lock()
		g.codes = []string{code.String()}
		g.mu.Unlock()
		for range 2 { // the second time it is a member
			tv := &receiver{}
			a, end := start(t, Options{Server: server, Code: code.String(), State: dir, Device: tv.device()})
			for range 200 {
				if a.Status().Error != "" {
					break // of the broker
				}
				time.Sleep(50 * time.Millisecond)
			}
			if st := a.Status(); st.Phase != Connecting || len(tv.codes) != 0 {
				t.Errorf("%+v, showed %q", st, tv.codes)
			}
			end()
		}
		i, err := (enrol.Store{Dir: dir}).Load()
		if err != nil {
			t.Fatal(err)
		}
		if again && before.Certificate.Equal(i.Certificate) {
			t.Error("another code in the settings is not used")
		}
		before = i
	}
}

// A certificate is renewed before it ends, and the device stays with its
// partner.
func TestRenewed(t *testing.T) {
	t.Parallel() // it mostly waits
	ca := newMember(t, "fleet", nil)
	broker := newMosquitto(t, ca, service)
	g := &register{t: t, ca: ca, broker: broker.address}
	s := newService(t, service, broker.address, newMember(t, service, ca).tls(ca))
	server := g.serve(t)
	dir := enrolled(t, ca, server, broker.address)
	store := enrol.Store{Dir: dir}
	first, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	// Half of the life of these certificates is over; of this one three quarters.
	ending := *first.Certificate
	ending.NotBefore = time.Now().Add(-3 * time.Hour)
	der, err := x509.CreateCertificate(crand.Reader, &ending, ca.cert, &first.Key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if first.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := store.Save(first); err != nil || time.Now().Before(first.RenewAt()) {
		t.Fatalf("renewed at %v, %v", first.RenewAt(), err)
	}
	tv := &receiver{}
	a, _ := startWith(t, Options{Server: server, State: dir, Device: tv.device()}, func(a *Agent) { a.renewEvery = 5 * time.Second })
	s.eventually(t, "paired", func() bool { return s.pairing.Mine(testDevice) })
	run := s.report.Pairing.RunID
	s.eventually(t, "renewed", func() bool { i, err := store.Load(); return err == nil && !i.Certificate.Equal(first.Certificate) })
	s.eventually(t, "connected anew", func() bool {
		n := len(s.presence)
		return n >= 3 && s.presence[n-1] == "online" && a.Status().Phase == Paired
	})
	s.call("identify", "1", "")
	s.eventually(t, "the call is answered", func() bool { return s.results["1"] == "200 " })
	if s.report.Pairing.RunID != run {
		t.Error("paired anew without need")
	}
}
