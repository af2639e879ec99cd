package fleet

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aerie/receiver/fleet/enrol"
	"aerie/receiver/fleet/wire"
	"aerie/receiver/mqtt"
)

// mosquitto is Debian's broker with TLS, certificates of a fleet and the
// patterns of docs/fleet-protocol.md. It keeps nothing on disk.
type mosquitto struct {
	t       *testing.T
	program string
	conf    string
	address string
	cmd     *exec.Cmd
}

// newMosquitto starts one that knows services by their ids.
func newMosquitto(t *testing.T, ca *member, services ...string) *mosquitto {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program = "/usr/sbin/mosquitto"; exec.Command(program, "-h").Run() != nil {
			t.Skip("mosquitto is not installed (Debian: apt install mosquitto)")
		}
	}
	dir := t.TempDir()
	// Mosquitto, when it is started by root, reads its files as another user.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	m := &mosquitto{t: t, program: program, conf: filepath.Join(dir, "conf"), address: free.Addr().String()}
	_, port, _ := net.SplitHostPort(m.address)
	self := newMember(t, "broker", ca)
	key, err := x509.MarshalPKCS8PrivateKey(self.key)
	if err != nil {
		t.Fatal(err)
	}
	rules := `pattern read aerie/%u/#
pattern write aerie/%u/twin/reported
pattern write aerie/%u/presence
pattern write aerie/%u/result/#
pattern write aerie/+/twin/desired/%u
pattern write aerie/+/heartbeat/%u
pattern write aerie/+/method/%u/#
`
	for _, id := range services {
		rules += "user " + id + "\ntopic read aerie/#\n"
	}
	for name, text := range map[string]string{
		"conf": fmt.Sprintf("listener %s 127.0.0.1\ncafile %[2]s/ca\ncertfile %[2]s/cert\nkeyfile %[2]s/key\nrequire_certificate true\nuse_identity_as_username true\nacl_file %[2]s/acl\npersistence false\n", port, dir),
		"acl":  rules,
		"ca":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})),
		"cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: self.cert.Raw})),
		"key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	free.Close()
	m.start()
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.program, "-c", m.conf)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// kill ends it at once, with all that it knows.
func (m *mosquitto) kill() {
	_ = m.cmd.Process.Kill() // it may have ended
	_ = m.cmd.Wait()
}

// enrolled returns a state folder of a device that is a member.
func enrolled(t *testing.T, ca *member, server, broker string) string {
	t.Helper()
	m := newMember(t, testDevice, ca)
	dir := t.TempDir()
	i := &enrol.Identity{Device: testDevice, Pool: "pool", Server: server, Broker: broker, Key: m.key, Certificate: m.cert, CA: ca.cert}
	if err := (enrol.Store{Dir: dir}).Save(i); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A device and a service at a broker that is killed and forgets everything, and
// over a network that is cut: nothing is lost, nothing is done twice.
func TestMosquitto(t *testing.T) {
	t.Parallel() // it mostly waits
	ca := newMember(t, "fleet", nil)
	broker := newMosquitto(t, ca, service)
	s := newService(t, service, broker.address, newMember(t, service, ca).tls(ca))
	tv := &receiver{}
	var conn atomic.Pointer[net.Conn]
	a, end := start(t, Options{Server: "fleet:1", State: enrolled(t, ca, "fleet:1", broker.address), Device: tv.device(),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				conn.Store(&c)
			}
			return c, err
		}})
	s.eventually(t, "paired", func() bool { return s.pairing.Mine(testDevice) })
	run := s.report.Pairing.RunID
	s.desire("name", "Room 5")
	s.eventually(t, "the name is set", func() bool { return s.report.Settings["name"].Status == 200 })
	s.call("identify", "1", "")
	s.eventually(t, "the call is answered", func() bool { return s.results["1"] == "200 " })
	if st := a.Status(); st.Phase != Paired || st.Partner != service || st.Error != "" {
		t.Errorf("%+v", st)
	}

	broker.kill()
	s.desire("name", "Room 6") // of which the broker never hears
	s.eventually(t, "the service is cut off", func() bool { return s.down > 0 })
	broker.start()
	s.eventually(t, "the name is set", func() bool { a := s.report.Settings["name"]; return a.Status == 200 && a.Value == "Room 6" })
	s.call("identify", "2", "")
	s.eventually(t, "the call is answered", func() bool { return s.results["2"] == "200 " })

	s.mu.Lock()
	s.presence = nil
	s.mu.Unlock()
	(*conn.Load()).Close() // without a farewell
	s.eventually(t, "the will is said, and taken back", func() bool { return slices.Equal(s.presence, []string{wire.Offline, wire.Online}) })
	s.call("identify", "3", "")
	s.eventually(t, "the call is answered", func() bool { return s.results["3"] == "200 " })

	if want := []string{"name Room 5", "identify", "name Room 6", "identify", "identify"}; !slices.Equal(tv.all(), want) {
		t.Errorf("the device did %q, want %q", tv.all(), want)
	}
	if s.report.Pairing.RunID != run || !s.pairing.Mine(testDevice) {
		t.Error("paired anew without need")
	}
	end()
	s.eventually(t, "the farewell", func() bool { return s.presence[len(s.presence)-1] == wire.Offline })
}

// The broker's patterns keep a device to its own, and strangers out.
func TestMosquittoKeepsThemApart(t *testing.T) {
	t.Parallel() // it mostly waits
	ca := newMember(t, "fleet", nil)
	broker := newMosquitto(t, ca, service)
	s := newService(t, service, broker.address, newMember(t, service, ca).tls(ca))
	connect := func(config *tls.Config) (client *mqtt.Client, up chan bool, down chan error) {
		up, down = make(chan bool, 10), make(chan error, 10)
		client = mqtt.NewClient(mqtt.ClientOptions{Address: broker.address, ClientID: "radio", Dial: (&tls.Dialer{Config: config}).DialContext,
			Up: func() { up <- true }, Down: func(err error) { down <- err }, Receive: func(mqtt.Message) {}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { client.Run(ctx, func() []mqtt.Message { return nil }); close(done) }()
		t.Cleanup(func() { cancel(); <-done })
		return client, up, down
	}
	radio, up, _ := connect(newMember(t, "radio", ca).tls(ca))
	<-up
	half := `{"$run":"r","$version":1,"thief":{"pairing":{"runId":"` + run + `","requestedServicePool":"pool","serviceInstanceId":null}}}`
	for _, m := range []mqtt.Message{
		{Topic: "aerie/tv/twin/reported", Payload: []byte(half), QoS: 1, Retain: true},
		{Topic: "aerie/tv/presence", Payload: []byte("poses"), QoS: 1, Retain: true},
		{Topic: "aerie/tv/result/" + service + "/1/200", Payload: []byte("poses"), QoS: 1, Retain: true},
		{Topic: "aerie/radio/presence", Payload: []byte("itself"), QoS: 1, Retain: true},
	} {
		if err := radio.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually(t, "what it may say is heard", func() bool { return slices.Equal(s.presence, []string{"itself"}) })
	if len(s.results) != 0 || s.report.Pairing.RunID != "" {
		t.Errorf("what it may not say is heard: %v, %+v", s.results, s.report)
	}
	// Of another fleet, and without a certificate.
	foreign := newMember(t, "fleet", nil)
	stranger := newMember(t, "radio", foreign).tls(ca)
	nobody := &tls.Config{RootCAs: stranger.RootCAs, ServerName: "127.0.0.1"}
	late := newMember(t, "radio", ca)
	ended := *late.cert
	ended.NotAfter = time.Now().Add(-time.Minute)
	der, err := x509.CreateCertificate(crand.Reader, &ended, ca.cert, &late.key.PublicKey, ca.key)
	if err == nil {
		late.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*tls.Config{"of another fleet": stranger, "without a certificate": nobody, "with one that has ended": late.tls(ca)} {
		_, up, down := connect(config)
		select {
		case <-up:
			t.Errorf("%s it is let in", name)
		case err := <-down:
			if !enrol.Alerted(err) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("%s: no word", name)
		}
	}
}
