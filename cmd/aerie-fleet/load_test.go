package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/simulate"
	"aerie/receiver/clock"
)

// TestLoad brings many devices up at once, each with a connection of its own,
// and measures the service: AERIE_FLEET_DEVICES is how many, 500 as it comes;
// AERIE_FLEET_TLS=1 has them use certificates; AERIE_FLEET_STEADY is how long to
// look at the fleet once all are paired.
func TestLoad(t *testing.T) {
	n := 500
	if v := os.Getenv("AERIE_FLEET_DEVICES"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	steady := 2 * time.Second
	if v := os.Getenv("AERIE_FLEET_STEADY"); v != "" {
		var err error
		if steady, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(t.TempDir(), "state")
	broker, plain := freePort(t), freePort(t)
	dial := func(string) (net.Conn, error) { return net.Dial("tcp", plain) }
	if os.Getenv("AERIE_FLEET_TLS") != "" {
		dial = certified(t, state, broker, n)
	}
	began, zero := time.Now(), clock.Now()
	p := startProcess(t, state, "--listen", broker, "--plain", plain, "--https", freePort(t), "--log", "warn", "--debug", os.Getenv("AERIE_FLEET_DEBUG"))
	fleet := simulate.Start(simulate.Options{Devices: n, Prefix: "tv", Pool: "aerie", Dial: dial, Spread: time.Second, LastPause: time.Second})
	defer fleet.Stop()
	const limit = time.Minute // what is promised for 10,000
	eventually(t, 2*limit, "all are paired", func() bool { return fleet.Stats().Paired == n })
	took := time.Since(began)
	o, err := p.overview()
	if err != nil || o.Total != n {
		t.Errorf("%v: the service knows %d devices", err, o.Total)
	}
	if took > limit {
		t.Errorf("%d devices were paired after %v, the limit is %v", n, took, limit)
	}
	memory, cpu := p.memory(), p.cpu()
	messages := p.metric("aerie_fleet_broker_received_total")
	t.Logf("%d devices paired in %.1f s: %.0f packets/s, %.1f s of CPU, %.2f ms a device", n, took.Seconds(),
		messages/took.Seconds(), cpu.Seconds(), float64(cpu.Milliseconds())/float64(n))
	times := fleet.Times()
	t.Logf("half of them after %.1f s, nine of ten after %.1f s; %d attempts to connect failed", times[n/2].Sub(zero).Seconds(), times[n*9/10].Sub(zero).Seconds(), fleet.Stats().Failures)
	t.Logf("memory: %.0f MB, %.1f KB a device", float64(memory)/1e6, float64(memory)/1e3/float64(n))
	time.Sleep(steady)
	stats := fleet.Stats()
	t.Logf("then in %v: %.0f packets/s, %.1f %% of a core, %.0f MB; %d versions conflated", steady,
		(p.metric("aerie_fleet_broker_received_total")-messages)/steady.Seconds(), 100*(p.cpu()-cpu).Seconds()/steady.Seconds(), float64(p.memory())/1e6,
		int(p.metric("aerie_fleet_broker_conflated_total")))
	if stats.Paired != n || stats.Losses > 0 || stats.Errors > 0 {
		t.Errorf("afterwards: %+v", stats)
	}
}

// certified returns how devices connect that have certificates of the authority
// which the service will find. They share a key, which costs the service nothing.
func certified(t *testing.T, state, broker string, n int) func(string) (net.Conn, error) {
	a, err := authority.Open(filepath.Join(state, "authority"), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "tv"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) (net.Conn, error) {
		c, err := a.SignDevice(name, request)
		if err != nil {
			return nil, err
		}
		return tls.Dial("tcp", broker, a.Client(tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}, "127.0.0.1"))
	}
}
