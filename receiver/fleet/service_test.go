package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/enrol"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
	"aerie/receiver/mqtt"
)

var quiet = slog.New(slog.DiscardHandler)

// member is a certificate of a fleet, and its key.
type member struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newMember makes one that is signed by another, or by itself.
func newMember(t *testing.T, name string, by *member) *member {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &member{key, signed(t, name, by, key)}
}

// signed makes a certificate for the public half of key; an authority where
// nobody else signs.
func signed(t *testing.T, name string, by *member, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(rand.Int64()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true,
	}
	if by == nil {
		by = &member{key, template}
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	der, err := x509.CreateCertificate(crand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (m *member) tls(ca *member) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{{Certificate: [][]byte{m.cert.Raw, ca.cert.Raw}, PrivateKey: m.key}}}
}

// testService is a service with one device: as much of one as the device's
// side needs.
type testService struct {
	id     string
	client *mqtt.Client

	mu       sync.Mutex
	pairing  *pairing.Service
	writer   twin.Writer
	reader   twin.Reader
	settings twin.Settings
	offer    pairing.Volunteer
	report   content.Report
	presence []string
	results  map[string]string // status and payload, by id
	down     int               // connections lost
}

const testDevice = "tv"

func newService(t *testing.T, id, broker string, config *tls.Config) *testService {
	run, err := pairing.NewID(crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &testService{id: id, writer: twin.Writer{Run: run}, results: map[string]string{},
		pairing: pairing.NewService(pairing.ServiceOptions{ID: id, Pool: "pool", Random: rand.New(rand.NewPCG(1, 2))})}
	s.client = mqtt.NewClient(mqtt.ClientOptions{
		Address: broker, ClientID: id, Dial: (&tls.Dialer{Config: config}).DialContext, Receive: s.receive,
		Subscriptions: []string{wire.ReportedFilter(), wire.PresenceFilter(), wire.ResultFilter(id)},
		Up: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.publish(false) // the broker may have forgotten
		},
		Down: func(error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.down++
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.client.Run(ctx, func() []mqtt.Message { return nil }) })
	wg.Go(func() {
		for ctx.Err() == nil {
			s.mu.Lock()
			s.act(s.pairing.Tick(clock.Now()))
			s.mu.Unlock()
			time.Sleep(50 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// publish publishes the desired half, under the lock.
func (s *testService) publish(again bool) {
	half := content.Wish{Volunteer: s.offer, Settings: s.settings}.Object("thief")
	d, _ := s.writer.Set(half)
	if again {
		d = s.writer.Again(half)
	}
	text, err := d.Encode()
	if err != nil {
		panic(err)
	}
	_ = s.client.Send(mqtt.Message{Topic: wire.Topic{Kind: wire.TopicDesired, Device: testDevice, Service: s.id}.String(), Payload: text, QoS: 1, Retain: true})
}

func (s *testService) act(all []pairing.Action) {
	for _, a := range all {
		switch a.Kind {
		case pairing.Offer:
			s.offer = a.Volunteer
			s.publish(true)
		case pairing.Heartbeat:
			_ = s.client.Send(mqtt.Message{Topic: wire.Topic{Kind: wire.TopicHeartbeat, Device: a.Device, Service: s.id}.String(), Payload: wire.EncodeHeartbeat(a.Volunteer)})
		}
	}
}

func (s *testService) receive(m mqtt.Message) {
	topic, err := wire.ParseTopic(m.Topic)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch topic.Kind {
	case wire.TopicReported:
		d, err := twin.ParseDocument(m.Payload)
		if err != nil || !s.reader.Take(d) {
			return
		}
		if r, err := content.ParseReport(d.Properties, "thief"); err == nil {
			s.report = r
			news, _ := s.pairing.Reported(clock.Now(), topic.Device, r.Pairing)
			s.act(news)
		}
	case wire.TopicPresence:
		s.presence = append(s.presence, string(m.Payload))
	case wire.TopicResult:
		s.results[topic.ID] = strconv.Itoa(topic.Status) + " " + string(m.Payload)
	}
}

// desire changes a setting.
func (s *testService) desire(name string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = s.settings.Write(name, value, s.id, s.report.Settings[name].Setting)
	s.publish(false)
}

func (s *testService) call(name, id, argument string) {
	_ = s.client.Send(mqtt.Message{Topic: wire.Topic{Kind: wire.TopicMethod, Device: testDevice, Service: s.id, Name: name, ID: id}.String(), Payload: []byte(argument), QoS: 1})
}

// eventually waits until something is so, as the service sees it.
func (s *testService) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 600 {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Fatalf("never: %s; the service has report %+v, presence %q, results %v", what, s.report, s.presence, s.results)
}

// register is the part of a service that enrols: whoever knows a code is let
// in.
type register struct {
	t      *testing.T
	ca     *member
	broker string
	mu     sync.Mutex
	codes  []string // good ones
}

func (g *register) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == enrol.PathRenew {
		g.renew(w, r, body)
		return
	}
	request, csr, err := enrol.ParseRequest(body)
	if err != nil {
		g.t.Error(err)
		w.WriteHeader(400)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, text := range g.codes {
		code, err := enrol.ParseCode(text)
		if err != nil {
			g.t.Fatal(err)
		}
		seal, err := code.Seal(request, g.ca.cert.Raw)
		if err != nil || seal.CheckRequest(request) != nil {
			continue
		}
		key := ecdsa.PrivateKey{PublicKey: *csr.PublicKey.(*ecdsa.PublicKey)}
		reply := enrol.Reply{Certificate: signed(g.t, request.Device, g.ca, &key).Raw, CA: g.ca.cert.Raw, Broker: "mqtts://" + g.broker}
		reply.Proof = seal.Reply(reply)
		_ = json.NewEncoder(w).Encode(reply)
		return
	}
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(202)
}

// renew gives a member another certificate.
func (g *register) renew(w http.ResponseWriter, r *http.Request, body []byte) {
	var renewal enrol.Renewal
	if err := json.Unmarshal(body, &renewal); err != nil || len(r.TLS.PeerCertificates) == 0 {
		w.WriteHeader(403)
		return
	}
	name := r.TLS.PeerCertificates[0].Subject.CommonName
	csr, err := enrol.ParseCSR(renewal.CSR, name)
	if err != nil {
		g.t.Error(err)
		w.WriteHeader(400)
		return
	}
	key := ecdsa.PrivateKey{PublicKey: *csr.PublicKey.(*ecdsa.PublicKey)}
	_ = json.NewEncoder(w).Encode(enrol.Reply{Certificate: signed(g.t, name, g.ca, &key).Raw, CA: g.ca.cert.Raw, Broker: "mqtts://" + g.broker})
}

// serve serves enrolment, and returns its address.
func (g *register) serve(t *testing.T) string {
	config := newMember(t, "register", g.ca).tls(g.ca)
	config.ClientCAs, config.ClientAuth = config.RootCAs, tls.VerifyClientCertIfGiven
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// receiver is a Device that writes down what it is told.
type receiver struct {
	mu     sync.Mutex
	did    []string
	codes  []string
	health content.Health
}

func (r *receiver) note(what string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, what)
	return nil
}

func (r *receiver) device() Device {
	return Device{
		Health:   func() content.Health { r.mu.Lock(); defer r.mu.Unlock(); return r.health },
		Identify: func(context.Context) error { return r.note("identify") },
		SetName:  func(_ context.Context, name string) error { return r.note("name " + name) },
		ShowCode: func(code string) { r.mu.Lock(); defer r.mu.Unlock(); r.codes = append(r.codes, code) },
	}
}

func (r *receiver) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.did)
}

// start runs an agent until the end of the test or until end is called.
func start(t *testing.T, o Options) (a *Agent, end func()) {
	t.Helper()
	return startWith(t, o, nil)
}

// startWith is start with a change to the agent.
func startWith(t *testing.T, o Options, change func(*Agent)) (a *Agent, end func()) {
	t.Helper()
	o.ID, o.Pool, o.Root, o.Now, o.Name = testDevice, "pool", "thief", clock.Now, "TV"
	if o.Log == nil {
		o.Log = quiet
	}
	a = New(o)
	if change != nil {
		change(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	return a, end
}
