package fleet

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// at has an agent take one address for another.
func at(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func TestAzure(t *testing.T) {
	ca, key := newMember(t, "authority", nil), []byte("0123456789abcdef0123456789abcdef")
	h := newHub(t, newMember(t, "hub", ca), ca, key)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	tv := &receiver{}
	connection := "HostName=127.0.0.1;DeviceId=tv;SharedAccessKey=" + base64.StdEncoding.EncodeToString(key)
	a, _ := start(t, Options{Azure: connection, State: t.TempDir(), Device: tv.device(), Roots: roots, Dial: at(h.address)})
	reported := func() content.Report {
		r, _ := content.ParseReport(h.reported, "thief")
		return r
	}
	h.eventually("it asks for a partner", func() bool { return reported().Pairing.Pool == "pool" })
	v := pairing.Volunteer{RunID: reported().Pairing.RunID, Service: service}
	h.desire(pairing.Under("thief", pairing.Volunteer{RunID: service, Service: service}.Object())) // of another run
	h.desire(content.Wish{Volunteer: v, Settings: twin.Settings{"name": setting("Room 5", 1)}}.Object("thief"))
	h.eventually("it has chosen", func() bool { return reported().Pairing.Service == service && reported().Settings["name"].Status == 200 })
	h.call("heartbeat", "a", wire.EncodeHeartbeat(v))
	h.call("identify", "b", []byte("null"))
	h.call("explode", "c", []byte("null"))
	h.eventually("calls are answered", func() bool {
		return h.results["a"] == "200/ null" && h.results["b"] == "200/ null" && h.results["c"] == `404/ {"error":"this device has no such thing"}`
	})
	// What is desired while it is away is seen when it is back, once.
	h.cut()
	h.desire(twin.Object{"thief": twin.Object{"settings": twin.Object{"name": setting("Room 6", 2).Object()}}})
	h.desire(twin.Object{"thief": twin.Object{"settings": twin.Object{"name": setting("Room 7", 3).Object()}}})
	h.eventually("the last name is set", func() bool { a := reported().Settings["name"]; return a.Value == "Room 7" && a.Status == 200 })
	if want := []string{"name Room 5", "identify", "name Room 7"}; !slices.Equal(tv.all(), want) {
		t.Errorf("the device did %q, want %q", tv.all(), want)
	}
	if st := a.Status(); st.Phase != Paired || st.Partner != service {
		t.Errorf("%+v", st)
	}
	if len(h.odd) > 0 || h.signedIn != 2 || h.refused != 0 {
		t.Errorf("signed in %d times, refused %d; odd: %q", h.signedIn, h.refused, h.odd)
	}
}

func TestAzureWithACertificate(t *testing.T) {
	ca := newMember(t, "authority", nil)
	h := newHub(t, newMember(t, "hub", ca), ca, nil)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	dir, tv := t.TempDir(), newMember(t, "tv", ca)
	private, err := x509.MarshalPKCS8PrivateKey(tv.key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"azure.pem": {Type: "CERTIFICATE", Bytes: tv.cert.Raw}, "azure.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, Options{Azure: "HostName=127.0.0.1;DeviceId=tv;x509=true", State: dir, Device: Device{}, Roots: roots, Dial: at(h.address)})
	h.eventually("it asks for a partner", func() bool { _, err := content.ParseReport(h.reported, "thief"); return err == nil })
}

func TestAzureRefuses(t *testing.T) {
	ca := newMember(t, "authority", nil)
	h := newHub(t, newMember(t, "hub", ca), ca, []byte("another key than this one"))
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	a, _ := start(t, Options{Azure: "HostName=127.0.0.1;DeviceId=tv;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==", State: t.TempDir(), Device: Device{}, Roots: roots, Dial: at(h.address)})
	h.eventually("it says that it is refused", func() bool { return a.Status().Phase == Refused })
	if h.signedIn != 0 || h.refused == 0 {
		t.Errorf("signed in %d times, refused %d", h.signedIn, h.refused)
	}
}
