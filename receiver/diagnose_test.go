package receiver

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/diagnostics"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/remote"
	"aerie/receiver/screen"
	"aerie/receiver/session"
)

// Secrets that are planted everywhere a receiver has any.
const (
	password     = "open sesame & close"
	wifiPassword = `correct "horse" \battery\`
	mqttPassword = "mqtt-pässword-42"
	setupCode    = "271828"
	setupQR      = `WIFI:T:WPA;S:Aerie;P:access-point\;secret;;`
	dacpID       = "DACB1D5EC2E7C0DE"
	activeRemote = "3141592653"
	fleetCode    = "7KQ2-9XMV"
	enrolCode    = "AB12CD34EF56GH78JK90"
	hubKey       = "aHViLWtleS1vZi10aGUtcmVjZWl2ZXI="
	fleetToken   = "SharedAccessKey-0123456789abcdef"
)

// planted is a receiver with a secret in every store, some of which were
// logged in every way that a careless line may do it.
func planted(t *testing.T) (r *Receiver, secrets map[string]string) {
	t.Helper()
	cfg := config.Default()
	cfg.Network.Port, cfg.Network.HTTP, cfg.Network.Discovery, cfg.Network.PTPPort = 0, "127.0.0.1:0", false, 0
	cfg.Video.Output, cfg.Audio.Output, cfg.State, cfg.Log.Level = "none", "none", t.TempDir(), "debug"
	cfg.Access.PIN, cfg.Access.Password = "once", password
	cfg.WiFi.SSID, cfg.WiFi.Password = "Home", wifiPassword
	cfg.MQTT.User, cfg.MQTT.Password = "aerie", mqttPassword
	cfg.Fleet.Code, cfg.Fleet.Azure = enrolCode, "HostName=hub.example.org;DeviceId=tv;SharedAccessKey="+hubKey
	kept := &diagnostics.Log{}
	log := slog.New(kept.Handler(slog.DiscardHandler))
	r, err := New(Options{Config: cfg, Version: "1.2.3-test", Log: log, Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	if err := r.identity.store.Remember(keystore.Key{1, 2, 3}, "sender-id", "Bob's iPad, long remembered", time.Now()); err != nil {
		t.Fatal(err)
	}
	r.pin.ShowPIN("4711")
	r.ShowSetup(screen.Setup{Title: "Set up", Code: setupCode, QR: setupQR, Below: "password: access-point;secret"})
	s := &streams{r: r, began: r.now(), remote: &remote.Sender{ID: dacpID, Active: activeRemote}}
	s.opening.Sender = session.Sender{Name: "Ann's iPhone", DACPID: dacpID, ActiveRemote: activeRemote}
	r.Diagnostics(func() []string { return []string{fleetToken} }, diagnostics.Text("fleet.txt", "token "+fleetToken+"\n"))
	code := fleetCode
	r.fleetCode.Store(&code)
	key := r.identity.store.Identity()
	secrets = map[string]string{
		"the password": password, "the password of Wi-Fi": wifiPassword, "the password of the broker": mqttPassword, "the PIN": "4711", "the code of the set-up": setupCode,
		"the QR code": setupQR, "the password of the access point": "access-point;secret", "DACP-ID": dacpID, "Active-Remote": activeRemote, "the token": fleetToken,
		"the code for the fleet": fleetCode, "the code in the settings": enrolCode, "the key of the hub": hubKey,
		"the identity": string(key), "its seed": string(key.Seed()),
	}
	r.current.Store(s)
	t.Cleanup(func() { r.current.Store(nil) })
	for what, secret := range secrets {
		for _, f := range written(secret) {
			log.Warn("careless", "about", what, "value", f)
			log.Warn("careless: " + f)
		}
	}
	return r, secrets
}

// written are the ways in which a secret may be written.
func written(secret string) []string {
	j, _ := json.Marshal(secret) // a string always has a form
	forms := []string{secret, strings.Trim(fmt.Sprintf("%q", secret), `"`), strings.Trim(string(j), `"`)}
	if len(secret) > 6 {
		forms = append(forms, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)))
	}
	return forms
}

// bundle is what Diagnose writes, and its files.
func bundle(t *testing.T, write func(context.Context, io.Writer) error) (raw []byte, files map[string][]byte) {
	t.Helper()
	var b bytes.Buffer
	if err := write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes(), files
}

// No secret is in a bundle, neither in its bytes nor in its files, in no form
// in which it may be written; nor is any line of a file that keeps keys.
func TestNoSecretsInDiagnostics(t *testing.T) {
	r, secrets := planted(t)
	raw, files := bundle(t, r.Diagnose)
	files["the bundle itself"] = raw
	for what, secret := range secrets {
		for _, f := range written(secret) {
			for name, text := range files {
				if bytes.Contains(text, []byte(f)) {
					t.Errorf("%s holds %s, as %q", name, what, f)
				}
			}
		}
	}
	states, err := filepath.Glob(filepath.Join(r.cfg.State, "*"))
	if err != nil || len(states) == 0 {
		t.Fatalf("%q, %v", states, err)
	}
	for _, state := range states {
		text, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			for name, in := range files {
				if line = bytes.TrimSpace(line); len(line) > 20 && bytes.Contains(in, line) {
					t.Errorf("%s holds a line of %s: %q", name, state, line)
				}
			}
		}
	}
	if n := bytes.Count(files["log.txt"], []byte("[removed]")); n < 50 {
		t.Errorf("the log has %d marks of what was removed:\n%s", n, files["log.txt"])
	}
}

// A bundle tells what helps.
func TestDiagnosticsTellWhatHelps(t *testing.T) {
	r, _ := planted(t)
	raw, files := bundle(t, r.Diagnose)
	for name, wants := range map[string][]string{
		"README.txt":        {"  about.txt\n", "look through the files"},
		"about.txt":         {"Aerie 1.2.3-test", "health: nothing is stuck", "go1."},
		"settings.toml":     {`ssid = "Home"`, "# It is set, and is not shown."},
		"status.json":       {`"name": `, `"board": {`},
		"metrics.txt":       {"aerie_uptime_seconds", "aerie_board_temperature_celsius"},
		"display.txt":       {"none is driven directly"},
		"log.txt":           {"msg=careless"},
		"fleet.txt":         {"token [removed]"},
		"board.txt":         {"CPUs", "flags"},
		"machine-files.txt": {"== /proc/version", "== /proc/meminfo"},
		"network-files.txt": {"== /proc/net/dev"},
		"goroutines.txt":    {"goroutine profile"},
	} {
		for _, want := range wants {
			if !bytes.Contains(files[name], []byte(want)) {
				t.Errorf("%s does not tell %q:\n%.600s", name, want, files[name])
			}
		}
	}
	if len(raw) > 1<<20 {
		t.Errorf("%d bytes", len(raw))
	}
	r.current.Store(nil)
	if _, files := bundle(t, r.Diagnose); files["cards.txt"] == nil {
		t.Error("cards are not described while nobody is disturbed")
	}
}

// Without a receiver there is still the machine, and the settings without
// secrets.
func TestDiagnoseMachine(t *testing.T) {
	cfg := config.Default()
	cfg.Access.Password = password
	_, files := bundle(t, func(ctx context.Context, w io.Writer) error {
		return DiagnoseMachine(ctx, w, cfg, "1.2.3-test", diagnostics.Text("probe.txt", "the password is "+password))
	})
	for _, name := range []string{"about.txt", "settings.toml", "board.txt", "cards.txt", "probe.txt"} {
		if len(files[name]) == 0 || bytes.Contains(files[name], []byte(password)) {
			t.Errorf("%s: %q", name, files[name])
		}
	}
}
