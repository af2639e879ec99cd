package message

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

var update = flag.Bool("update", false, "write the golden files")

func testCapabilities(pairing, hevc bool) *Capabilities {
	return testIdentity(Mirror, Abilities{Secured: pairing, HEVC: hevc})
}

func testIdentity(i Identity, a Abilities) *Capabilities {
	pairing := a.Secured
	c := &Capabilities{
		Identity: i, DeviceID: "AA:BB:CC:DD:EE:FF", Name: "Living Room", Model: i.Model(), Version: i.Version(), Firmware: "1.0", Latency: 100_000,
		PairingID: PairingIdentity("AA:BB:CC:DD:EE:FF"), Features: i.Features(a), Status: StatusAudioCable,
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

// The identities as senders see them: TXT records and /info.
func TestGoldenIdentities(t *testing.T) {
	grouped := testIdentity(AirPlay2, Abilities{Buffered: true, PTP: true})
	grouped.Group = Group{ID: "11111111-2222-4333-8444-555555555555", ContainsLeader: true}
	grouped.ClockID = 0x0102030405060708
	for name, c := range map[string]*Capabilities{
		"mirror": testCapabilities(false, false), "mirror-pin": testCapabilities(true, false), "mirror-hevc": testCapabilities(false, true),
		"airplay2": testIdentity(AirPlay2, Abilities{}), "airplay2-ptp": grouped,
		"both": testIdentity(Both, Abilities{}), "both-all": testIdentity(Both, Abilities{Secured: true, HEVC: true, Buffered: true, PTP: true}),
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
	for _, c := range []struct {
		identity  Identity
		abilities Abilities
		want      string
	}{
		{Mirror, Abilities{}, "0x527FFEE6,0x0"},
		{Mirror, Abilities{Secured: true, HEVC: true}, "0x5A7FFEE6,0x400"},
		{Mirror, Abilities{PTP: true, Buffered: true}, "0x527FFEE6,0x0"},
		{AirPlay2, Abilities{Secured: true, HEVC: true}, "0x405FCA00,0x16040"},
		// The default set of the most used receiver of AirPlay 2 sound.
		{AirPlay2, Abilities{PTP: true, Buffered: true}, "0x405FCA00,0x1C340"},
		{Both, Abilities{PTP: true, Buffered: true, HEVC: true, Secured: true}, "0x487FCB80,0x1E740"},
	} {
		if got := c.identity.Features(c.abilities).String(); got != c.want {
			t.Errorf("%s with %+v: %s, want %s", c.identity, c.abilities, got, c.want)
		}
	}
}

// The event that tells senders of a change says what a GET /info would.
func TestUpdateInfo(t *testing.T) {
	c := testIdentity(Both, Abilities{})
	in, ok, err := ParseUpdateInfo(c.UpdateInfo())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	want, err := ParseInfo(c.Info([]string{"txtAirPlay"}))
	if err != nil || !reflect.DeepEqual(in, want) {
		t.Errorf("%+v, want %+v, %v", in, want, err)
	}
	if _, ok, err := ParseUpdateInfo(Encode(map[string]any{"type": "other"})); ok || err != nil {
		t.Errorf("another event: %v, %v", ok, err)
	}
	if _, _, err := ParseUpdateInfo(Encode(map[string]any{"type": "updateInfo", "value": 1})); err == nil {
		t.Error("an event without a value")
	}
}

// The TXT records fit into what multicast DNS carries.
func TestTXTSize(t *testing.T) {
	for _, i := range []Identity{Mirror, AirPlay2, Both} {
		c := testIdentity(i, Abilities{Secured: true, HEVC: true, Buffered: true, PTP: true})
		for _, txt := range [][]string{c.AirPlayTXT(), c.RAOPTXT()} {
			if n := len(rawTXT(txt)); n > 1300 || slices.ContainsFunc(txt, func(r string) bool { return len(r) > 255 }) {
				t.Errorf("%s: %d bytes", i, n)
			}
		}
	}
}

func TestDisplayWithin(t *testing.T) {
	limit := Display{Width: 1920, Height: 1080, MaxFPS: 60, UUID: "u"}
	for _, c := range []struct{ width, height, fps, wantWidth, wantHeight, wantFPS int }{
		{1920, 1080, 60, 1920, 1080, 60},
		{3840, 2160, 60, 1920, 1080, 60},
		{3840, 2160, 30, 1920, 1080, 30},
		{1280, 720, 50, 1280, 720, 50},
		{1280, 1024, 75, 1280, 1024, 60},
		{1600, 1200, 60, 1440, 1080, 60},
		{2560, 1080, 144, 1920, 810, 60},
		{1080, 1920, 60, 606, 1080, 60},
		{1366, 768, 0, 1366, 768, 60},
		{0, 0, 0, 1920, 1080, 60},
	} {
		got := limit.Within(c.width, c.height, c.fps)
		if got.Width != c.wantWidth || got.Height != c.wantHeight || got.MaxFPS != c.wantFPS || got.UUID != "u" {
			t.Errorf("%dx%d at %d: %+v", c.width, c.height, c.fps, got)
		}
	}
}
