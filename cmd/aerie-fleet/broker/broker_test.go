package broker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/simulate"
)

// bench is a broker on the loopback with its authority.
type bench struct {
	t         testing.TB
	b         *Broker
	authority *authority.Authority
	address   string
	log       *text
}

// text is a log that can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func start(t testing.TB, file string, l Limits) *bench {
	t.Helper()
	a, err := authority.Open(t.TempDir(), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	x := &text{}
	b, err := New(Options{Authority: a, File: file, Limits: l, Log: slog.New(slog.NewTextHandler(x, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go b.Listen(ln)
	t.Cleanup(func() {
		b.Close() // it may be closed
		if t.Failed() {
			t.Logf("log of the broker:\n%s", x)
		}
	})
	return &bench{t, b, a, ln.Addr().String(), x}
}

// certificate makes a key and has it signed, by this bench's authority or
// another one.
func certificate(t testing.TB, a *authority.Authority, name, role string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	sign := a.SignDevice
	if role == authority.RoleService {
		sign = a.SignService
	}
	c, err := sign(name, request)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

// inbox is what a client received, newest by topic.
type inbox struct {
	*simulate.Client
	mu   sync.Mutex
	got  map[string]string
	all  int
	done chan struct{}
	hold chan struct{} // while it is open, nothing is read
}

func (b *bench) dial(c tls.Certificate, login simulate.Login) (*inbox, error) {
	config := b.authority.Client(c, "127.0.0.1")
	// It shows its certificate even to who does not ask for one like it.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	conn, err := tls.Dial("tcp", b.address, config)
	if err != nil {
		return nil, err
	}
	client, err := simulate.Connect(conn, login)
	if err != nil {
		return nil, err
	}
	in := &inbox{Client: client, got: map[string]string{}, done: make(chan struct{})}
	go func() {
		defer close(in.done)
		client.Run(func(topic string, payload []byte) {
			in.mu.Lock()
			in.got[topic] = string(payload)
			in.all++
			hold := in.hold
			in.mu.Unlock()
			if hold != nil {
				<-hold
			}
		})
	}()
	b.t.Cleanup(func() { client.Close() })
	return in, nil
}

func (b *bench) client(name, role string) *inbox {
	b.t.Helper()
	in, err := b.dial(certificate(b.t, b.authority, name, role), simulate.Login{Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return in
}

func (in *inbox) value(topic string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.got[topic]
}

// must waits for the broker's answer to a message.
func must(t testing.TB, answer <-chan struct{}, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-answer:
	case <-time.After(20 * time.Second):
		t.Fatal("the broker does not answer")
	}
}

func eventually(t testing.TB, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if happens() {
			return
		}
	}
	t.Fatalf("not: %s", what)
}

func (in *inbox) ends(t testing.TB, what string) {
	t.Helper()
	select {
	case <-in.done:
	case <-time.After(20 * time.Second):
		t.Fatalf("the connection does not end: %s", what)
	}
}

func TestDocuments(t *testing.T) {
	file := t.TempDir() + "/documents"
	b := start(t, file, Limits{})
	device, service := b.client("tv", authority.RoleDevice), b.client("11111111-1111-4111-8111-111111111111", authority.RoleService)
	done, err := service.Subscribe("aerie/+/twin/reported")
	must(t, done, err)
	done, err = device.Subscribe("aerie/tv/#")
	must(t, done, err)
	done, err = device.Publish("aerie/tv/twin/reported", []byte("one"), true)
	must(t, done, err)
	eventually(t, "the service has the document", func() bool { return service.value("aerie/tv/twin/reported") == "one" })
	done, err = service.Publish("aerie/tv/twin/desired/11111111-1111-4111-8111-111111111111", []byte("two"), true)
	must(t, done, err)
	eventually(t, "the device has its document", func() bool {
		return device.value("aerie/tv/twin/desired/11111111-1111-4111-8111-111111111111") == "two"
	})
	late := b.client("22222222-1111-4111-8111-111111111111", authority.RoleService)
	done, err = late.Subscribe("aerie/#")
	must(t, done, err)
	eventually(t, "who comes late is given both", func() bool {
		return late.value("aerie/tv/twin/reported") == "one" && late.value("aerie/tv/twin/desired/11111111-1111-4111-8111-111111111111") == "two"
	})
	// And after a restart.
	if err := b.b.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, file, Limits{})
	if v, ok := again.b.Document("aerie/tv/twin/reported"); !ok || string(v) != "one" {
		t.Errorf("after the restart the document is %q", v)
	}
	if err := again.b.Forget("aerie/tv"); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.b.Document("aerie/tv/twin/desired/11111111-1111-4111-8111-111111111111"); ok {
		t.Error("a document that was forgotten is there")
	}
}

func TestWhoIsLetIn(t *testing.T) {
	b := start(t, "", Limits{})
	foreign, err := authority.Open(t.TempDir(), nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	old := func() time.Time { return time.Now().Add(-3 * 365 * 24 * time.Hour) }
	if _, err := authority.Open(t.TempDir(), nil, old); err != nil {
		t.Fatal(err)
	}
	revoked := certificate(t, b.authority, "gone", authority.RoleDevice)
	if err := b.authority.Revoke(authority.Serial(revoked.Leaf)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		cert  tls.Certificate
		login simulate.Login
		log   string
	}{
		{"no certificate", tls.Certificate{}, simulate.Login{Name: "tv"}, "didn't provide a certificate"},
		{"foreign", certificate(t, foreign, "tv", authority.RoleDevice), simulate.Login{Name: "tv"}, "unknown authority"},
		{"revoked", revoked, simulate.Login{Name: "gone"}, "revoked"},
		{"server", serverPair(t, b.authority), simulate.Login{Name: "aerie-fleet"}, "incompatible key usage"},
		{"another's name", certificate(t, b.authority, "tv", authority.RoleDevice), simulate.Login{Name: "other"}, "not the name in its certificate"},
		{"no name", certificate(t, b.authority, "tv", authority.RoleDevice), simulate.Login{Name: ""}, "not the name in its certificate"},
		{"a name with levels", certificate(t, b.authority, "a/b", authority.RoleDevice), simulate.Login{Name: "a/b"}, "not the name in its certificate"},
		{"another's will", certificate(t, b.authority, "tv", authority.RoleDevice), simulate.Login{Name: "tv", WillTopic: "aerie/other/presence", Will: []byte("gone")}, "will is on a topic"},
	} {
		before := len(b.log.String())
		if in, err := b.dial(c.cert, c.login); err == nil {
			in.ends(t, c.name)
		}
		eventually(t, c.name+": a line in the log with "+c.log, func() bool { return strings.Contains(b.log.String()[before:], c.log) })
	}
	if n := b.b.Refused.Value(); n < 8 {
		t.Errorf("%d refusals counted", n)
	}
}

// serverPair is what a client has that took the server's certificate for its own.
func serverPair(t testing.TB, a *authority.Authority) tls.Certificate {
	c, err := a.Server().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return *c
}

func TestExpiredCertificate(t *testing.T) {
	// The authority believes in another time than the client's certificate.
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	a, err := authority.Open(t.TempDir(), []string{"127.0.0.1"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	x := &text{}
	b, err := New(Options{Authority: a, Log: slog.New(slog.NewTextHandler(x, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go b.Listen(ln)
	bb := &bench{t, b, a, ln.Addr().String(), x}
	c := certificate(t, a, "tv", authority.RoleDevice)
	if _, err := bb.dial(c, simulate.Login{Name: "tv"}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	now = now.Add(3 * 365 * 24 * time.Hour)
	mu.Unlock()
	if in, err := bb.dial(c, simulate.Login{Name: "tv"}); err == nil {
		in.ends(t, "expired certificate")
	}
	eventually(t, "the log says that it has expired", func() bool { return strings.Contains(x.String(), "expired") })
}

func TestRevocationCutsAtOnce(t *testing.T) {
	b := start(t, "", Limits{})
	c := certificate(t, b.authority, "tv", authority.RoleDevice)
	in, err := b.dial(c, simulate.Login{Name: "tv"})
	if err != nil {
		t.Fatal(err)
	}
	other := b.client("other", authority.RoleDevice)
	if err := b.authority.Revoke(authority.Serial(c.Leaf)); err != nil {
		t.Fatal(err)
	}
	b.b.Cut("tv")
	in.ends(t, "revoked")
	done, err := other.Publish("aerie/other/twin/reported", []byte("{}"), true)
	must(t, done, err)
}

func TestForeignTopics(t *testing.T) {
	b := start(t, "", Limits{})
	victim := b.client("victim", authority.RoleDevice)
	done, err := victim.Publish("aerie/victim/twin/reported", []byte("mine"), true)
	must(t, done, err)
	for i, topic := range []string{"aerie/victim/twin/reported", "aerie/tv1/twin/desired/11111111-1111-4111-8111-111111111111", "aerie-pool/p/rollout", "elsewhere", "$SYS/broker"} {
		in := b.client(fmt.Sprint("tv", i), authority.RoleDevice)
		if _, err := in.Publish(topic, []byte("foreign"), true); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(topic, "$") { // where the standard wants silence
			in.ends(t, topic)
		}
		if v, ok := b.b.Document(topic); ok && string(v) == "foreign" {
			t.Errorf("a device wrote %s", topic)
		}
	}
	// Nobody reads what is not his.
	spy := b.client("spy", authority.RoleDevice)
	for _, filter := range []string{"#", "+/+/twin/reported", "aerie/+/twin/reported", "aerie/victim/#", "aerie/#", "$share/x/aerie/victim/twin/reported"} {
		done, err := spy.Subscribe(filter)
		must(t, done, err)
	}
	done, err = victim.Publish("aerie/victim/twin/reported", []byte("secret"), true)
	must(t, done, err)
	done, err = spy.Publish("aerie/spy/twin/reported", []byte("x"), true)
	must(t, done, err)
	spy.mu.Lock()
	defer spy.mu.Unlock()
	if spy.all > 0 {
		t.Errorf("a device read what others wrote: %v", spy.got)
	}
	if !strings.Contains(b.log.String(), "a topic that is not its own") {
		t.Error("the log says nothing")
	}
}

// Of a document that several services write, versions only grow.
func TestLateVersions(t *testing.T) {
	b := start(t, t.TempDir()+"/documents", Limits{})
	one, two := b.client(us, authority.RoleService), b.client(them, authority.RoleService)
	const topic = "aerie-pool/p/rollout"
	for i, c := range []struct {
		from    *inbox
		payload string
		want    string
	}{
		{one, `{"version":5}`, `{"version":5}`},
		{two, `{"version":1000}`, `{"version":1000}`},
		{one, `{"version":6}`, `{"version":1000}`},
		{one, `{"version":1000,"x":1}`, `{"version":1000}`},
		{one, `nonsense`, `{"version":1000}`},
		{one, ``, `{"version":1000}`},
		{two, `{"version":1001}`, `{"version":1001}`},
	} {
		done, err := c.from.Publish(topic, []byte(c.payload), true)
		must(t, done, err)
		if v, _ := b.b.Document(topic); string(v) != c.want {
			t.Errorf("%d: after %s it is %s", i, c.payload, v)
		}
	}
	b.b.Close()
	again := start(t, b.b.o.File, Limits{})
	in := again.client(us, authority.RoleService)
	done, err := in.Publish(topic, []byte(`{"version":1001,"x":1}`), true)
	must(t, done, err)
	if v, _ := again.b.Document(topic); string(v) != `{"version":1001}` {
		t.Errorf("after a restart it is %s", v)
	}
}
