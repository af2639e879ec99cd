package message

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

var update = flag.Bool("update", false, "write the golden files")

func testCapabilities(pairing, hevc bool) *Capabilities {
	c := &Capabilities{
		DeviceID: "AA:BB:CC:DD:EE:FF", Name: "Living Room", Model: MirrorModel, Version: MirrorVersion,
		PairingID: PairingIdentity("AA:BB:CC:DD:EE:FF"), Features: MirrorFeatures(pairing, hevc), Status: StatusAudioCable,
		Display: Display{Width: 1920, Height: 1080, MaxFPS: 60, UUID: DisplayIdentity("AA:BB:CC:DD:EE:FF")}, Volume: -15,
	}
	for i := range c.PublicKey {
		c.PublicKey[i] = byte(i)
	}
	if pairing {
		c.Status |= StatusPINRequired | StatusPasswordRequired
		c.Password = true
	}
	return c
}

// The three identities as senders see them: TXT records and /info.
func TestGoldenIdentities(t *testing.T) {
	for name, c := range map[string]*Capabilities{
		"mirror": testCapabilities(false, false), "mirror-pin": testCapabilities(true, false), "mirror-hevc": testCapabilities(false, true),
	} {
		var b bytes.Buffer
		for _, r := range slices.Concat([]string{"_airplay._tcp " + c.AirPlayInstance()}, c.AirPlayTXT(), []string{"", "_raop._tcp " + c.RAOPInstance()}, c.RAOPTXT()) {
			b.WriteString(r + "\n")
		}
		var info any
		if _, err := plist.Unmarshal(c.Info(nil), &info); err != nil {
			t.Fatal(err)
		}
		xml, err := plist.MarshalIndent(info, plist.XMLFormat, " ")
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("\nGET /info\n")
		b.Write(xml)
		golden(t, name+".txt", b.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s", file, got)
	}
}

func TestInfoAgreesWithTXT(t *testing.T) {
	c := testCapabilities(false, true)
	in, err := ParseInfo(c.Info(nil))
	if err != nil {
		t.Fatal(err)
	}
	txt := strings.Join(c.AirPlayTXT(), "\n") + "\n" + strings.Join(c.RAOPTXT(), "\n")
	for _, want := range []string{"features=" + in.Features.String(), "ft=" + in.Features.String(), "deviceid=" + in.DeviceID,
		"pi=" + in.PairingID, "srcvers=" + in.Version, "vs=" + in.Version, "model=" + in.Model} {
		if !strings.Contains(txt, want) {
			t.Errorf("TXT records lack %q", want)
		}
	}
	if !bytes.Equal(in.PublicKey, c.PublicKey[:]) || in.Width != 1920 || in.Height != 1080 || in.MaxFPS != 60 || in.Volume != -15 {
		t.Errorf("info %+v", in)
	}
}

func TestQualifiedInfo(t *testing.T) {
	c := testCapabilities(false, false)
	q, err := ParseQualifiers(EncodeQualifiers("txtAirPlay"))
	if err != nil || !slices.Equal(q, []string{"txtAirPlay"}) {
		t.Fatalf("qualifiers %q, %v", q, err)
	}
	in, err := ParseInfo(c.Info(q))
	if err != nil {
		t.Fatal(err)
	}
	if in.DeviceID == "" {
		t.Error("a qualified answer lacks the rest")
	}
	var records []string
	for b := in.TXTAirPlay; len(b) > 0; b = b[1+int(b[0]):] {
		records = append(records, string(b[1:1+int(b[0])]))
	}
	if !slices.Equal(records, c.AirPlayTXT()) {
		t.Errorf("txtAirPlay holds %q", records)
	}
	// A qualifier of another year changes nothing.
	if in, err = ParseInfo(c.Info([]string{"txtFuture"})); err != nil || in.DeviceID == "" || in.TXTAirPlay != nil {
		t.Errorf("unknown qualifier: %+v, %v", in, err)
	}
}

func TestIdentityIsDeterministic(t *testing.T) {
	const id = "AA:BB:CC:DD:EE:FF"
	// sha256("AA:BB:CC:DD:EE:FFAirPlay2-PI"), version and variant set.
	const want = "3bda894e-d092-4304-a961-0c55cdef4be5"
	if got := PairingIdentity(id); got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
	if PairingIdentity(id) == PairingIdentity("AA:BB:CC:DD:EE:FE") || PairingIdentity(id) == DisplayIdentity(id) {
		t.Error("identities collide")
	}
}

func TestFeatureText(t *testing.T) {
	if got := MirrorFeatures(false, false).String(); got != "0x527FFEE6,0x0" {
		t.Errorf("default features %s", got)
	}
	if got := MirrorFeatures(true, true).String(); got != "0x5A7FFEE6,0x400" {
		t.Errorf("features with pairing and HEVC %s", got)
	}
}
