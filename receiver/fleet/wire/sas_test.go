package wire

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const connection = "HostName=house.azure-devices.net;DeviceId=aerie-tv;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg=="

func TestHub(t *testing.T) {
	h, err := ParseHub(connection)
	if err != nil || h.Host != "house.azure-devices.net" || h.Device != "aerie-tv" || string(h.Key) != "0123456789abcdef" {
		t.Fatalf("%+v, %v", h, err)
	}
	expect(t, "user", h.User(), "house.azure-devices.net/aerie-tv/?api-version=2021-04-12")
	expect(t, "address", h.Address(), "house.azure-devices.net:8883")
	now := time.Unix(1_800_000_000, 0)
	token, renew := h.Password(now)
	if life := renew.Sub(now); life <= 0 || life >= tokenLife {
		t.Errorf("renewed after %v", life)
	}
	_, query, _ := strings.Cut(token, "SharedAccessSignature ")
	v, err := url.ParseQuery(query)
	if err != nil || v.Get("sr") != "house.azure-devices.net/devices/aerie-tv" || v.Get("se") != "1800003600" {
		t.Errorf("%s, %v", token, err)
	}
	h, err = ParseHub("HostName=a;DeviceId=b;x509=true")
	if token, renew := h.Password(now); err != nil || token != "" || !renew.IsZero() {
		t.Errorf("with a certificate: %q, %v, %v", token, renew, err)
	}
	for _, s := range []string{
		"", "x", "HostName=a;DeviceId=b", "HostName=a;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==", "DeviceId=b;x509=true", "HostName=a;DeviceId=b;SharedAccessKey=%",
		"HostName=a;DeviceId=b;SharedAccessKey=QQ==", "HostName=a/b;DeviceId=b;x509=true", "HostName=a;DeviceId=b/c;x509=true", "HostName=a;DeviceId=b+;x509=true", "HostName=a;DeviceId=b;x509=no",
		connection + ";x509=true", connection + ";Other=1", strings.Repeat("HostName=a;", 200),
	} {
		h, err := ParseHub(s)
		if err == nil {
			t.Errorf("%q is taken for %+v", s, h)
		} else if strings.Contains(err.Error(), "MDEy") {
			t.Errorf("the key is told: %v", err)
		}
	}
}

// The signature is what another program makes of the same words.
func TestToken(t *testing.T) {
	h, err := ParseHub(connection)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := h.Password(time.Unix(1_800_000_000, 0))
	openssl := exec.Command("openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(h.Key), "-binary")
	openssl.Stdin = strings.NewReader("house.azure-devices.net%2Fdevices%2Faerie-tv\n1800003600")
	sum, err := openssl.Output()
	if err != nil {
		t.Skipf("openssl: %v", err)
	}
	expect(t, "token", token, fmt.Sprintf("SharedAccessSignature sr=house.azure-devices.net%%2Fdevices%%2Faerie-tv&sig=%s&se=1800003600", url.QueryEscape(base64.StdEncoding.EncodeToString(sum))))
}

func FuzzHub(f *testing.F) {
	f.Add(connection)
	f.Add("HostName=a;DeviceId=b;x509=true")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := ParseHub(s); err == nil && (h.Host == "" || h.Device == "" || strings.ContainsAny(h.User(), "#+ ")) {
			t.Fatalf("%+v", h)
		}
	})
}
