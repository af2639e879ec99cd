package receiver

import (
	"context"
	"image"
	"image/png"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/screen"
	"aerie/receiver/setup"
)

// The TV says what to do next: scan, enter the PIN, wait; and nothing once the
// receiver can be used.
func TestSetupScreen(t *testing.T) {
	ap := setup.AccessPoint{SSID: "Aerie-BEEF", Password: "kx7m2pq9ht"}
	open := ap
	open.Address = netip.MustParseAddr("10.42.0.1")
	offering := setup.Status{Phase: setup.Offering, AccessPoint: open, Failure: "The password of “Home” is wrong."}
	for name, c := range map[string]struct {
		st          setup.Status
		pin         string
		title, says string
		qr          bool
		notice      string
	}{
		"online":       {setup.Status{Phase: setup.Online, AccessPoint: ap}, "", "", "", false, ""},
		"starting":     {setup.Status{Phase: setup.Starting, AccessPoint: ap}, "", "", "", false, ""},
		"settings":     {setup.Status{Phase: setup.Online, AccessPoint: ap}, "493817", "Settings", "Enter this PIN on the page", false, ""},
		"access point": {offering, "", "Connect Aerie to your Wi-Fi", "Open http://10.42.0.1/settings/", true, "The password of “Home” is wrong."},
		"with a PIN":   {offering, "493817", "Connect Aerie to your Wi-Fi", "Choose your network there", true, "The password of “Home” is wrong."},
		"joining":      {setup.Status{Phase: setup.Joining, SSID: "Home", AccessPoint: ap, Failure: "old"}, "", "Joining “Home”", "a minute", false, ""},
		"no radio":     {setup.Status{Phase: setup.Offering, AccessPoint: ap, Failure: "There is no Wi-Fi here. Connect a network cable."}, "", "", "", false, "There is no Wi-Fi here. Connect a network cable."},
	} {
		s, n := setupScreen(c.st, c.pin), networkNotice(c.st)
		if s.Title != c.title || s.Code != c.pin || (s.QR != "") != c.qr || !strings.Contains(strings.Join(s.Steps, "\n"), c.says) || n.Text != c.notice {
			t.Errorf("%s: %+v, %+v", name, s, n)
		}
		if c.qr && (!strings.Contains(s.Below, ap.SSID) || !strings.Contains(s.Below, ap.Password)) {
			t.Errorf("%s: those who cannot scan read %q", name, s.Below)
		}
	}
	if dir := os.Getenv("AERIE_PICTURES"); dir != "" {
		st := screen.State{Name: "Living Room", Setup: setupScreen(offering, "493817"), Notices: []screen.Notice{networkNotice(offering)}, Time: time.Now()}
		canvas, _ := screen.New(nil).Draw(image.Rect(0, 0, 1920, 1080), &st)
		f, err := os.Create(filepath.Join(dir, "tv.png"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, canvas); err != nil {
			t.Fatal(err)
		}
	}
}

// wires is a network that is there, whatever is joined.
type wires struct {
	online bool
	joined []setup.Credentials
}

func (w *wires) State(context.Context) (setup.State, error) {
	return setup.State{Online: w.online}, nil
}
func (w *wires) Changes() <-chan struct{} { return nil }
func (w *wires) Join(_ context.Context, c setup.Credentials) error {
	w.joined = append(w.joined, c)
	return nil
}
func (w *wires) Open(context.Context, setup.AccessPoint) (netip.Addr, error) {
	return netip.Addr{}, setup.ErrNoRadio
}
func (w *wires) Close(context.Context) error                 { return nil }
func (w *wires) Scan(context.Context) ([]setup.Found, error) { return nil, nil }

// What is saved comes into force: a network is joined, and for the rest the
// receiver starts anew, but not before there is a network, nor while somebody is
// watching.
func TestSavedSettingsComeIntoForce(t *testing.T) {
	wifi := []config.Change{{Key: "wifi.ssid", Value: "Cafe"}, {Key: "wifi.password", Value: "battery staple"}}
	name := config.Change{Key: "name", Value: "Den"}
	for what, c := range map[string]struct {
		changes         []config.Change
		online, playing bool
		joins           bool
		restarts        bool
	}{
		"a name":                             {[]config.Change{name}, true, false, false, true},
		"a name while somebody is watching":  {[]config.Change{name}, true, true, false, false},
		"a network":                          {wifi, true, false, true, false},
		"a network and a name":               {append(wifi, name), true, false, true, true},
		"a network that is none, and a name": {append(wifi, name), false, false, true, false},
		"nothing":                            {nil, true, false, false, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := &Receiver{cfg: config.Default(), log: slog.New(slog.DiscardHandler)}
				r.identity.deviceID = "02:00:00:00:BE:EF"
				restarted := false
				r.leave = func() { restarted = true }
				o := r.openOwner(&Appliance{Settings: &config.Store{File: filepath.Join(dir, "aerie.toml"), Dir: dir}})
				w := &wires{online: c.online}
				o.network = setup.New(w, setup.Credentials{}, setup.NewAccessPoint("x"), func() {}, r.log)
				go o.network.Run(ctx)
				time.Sleep(time.Second)
				if c.playing {
					r.current.Store(&streams{})
				}
				if err := o.save(c.changes); err != nil {
					t.Fatal(err)
				}
				go o.apply(ctx, <-o.saved)
				time.Sleep(2 * time.Minute)
				if restarted != c.restarts {
					t.Errorf("starts anew: %v", restarted)
				}
				if joined := len(w.joined) > 0; joined != c.joins || joined && w.joined[0] != (setup.Credentials{SSID: "Cafe", Password: "battery staple"}) {
					t.Errorf("joins %+v", w.joined)
				}
				r.current.Store(nil)
				time.Sleep(5 * time.Second)
				if c.playing && !restarted {
					t.Error("nobody is watching any more, and still it does not start anew")
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}
