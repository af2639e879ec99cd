package receiver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/screen"
	"aerie/receiver/settings"
	"aerie/receiver/setup"
	"aerie/receiver/setup/networkmanager"
)

// Appliance is what a receiver needs that its owner sets up without a terminal.
type Appliance struct {
	// Settings is where the settings are kept, for the page that changes them.
	Settings *config.Store
	// Mistake is what was wrong with them at the start; nil for nothing.
	Mistake *config.FileError
}

// appliance joins what its owner sets up: the settings page, the network, and
// what the TV says about them.
type appliance struct {
	Appliance
	r       *Receiver
	page    *settings.Page
	bus     *networkmanager.Manager // nil: the network is not looked after
	network *setup.Manager          // likewise
	saved   chan []config.Change

	mu  sync.Mutex
	pin string // for the settings, on the TV
}

// openAppliance makes an appliance of the receiver; nil of others.
func (r *Receiver) openAppliance(o *Appliance) *appliance {
	if o == nil || o.Settings == nil {
		return nil
	}
	a := &appliance{Appliance: *o, r: r, saved: make(chan []config.Change, 8)}
	if r.cfg.WiFi.Manage {
		a.bus = networkmanager.New()
		a.network = setup.New(a.bus, credentials(r.cfg), setup.NewAccessPoint(r.identity.deviceID), a.tell, r.log)
	}
	options := settings.Options{Config: a.Settings.Read, Mistake: a.mistake, Save: a.save, ShowPIN: a.showPIN, Log: r.log}
	if a.network != nil {
		options.Network, options.Visit = a.network.Status, a.network.Visit
	}
	a.page = settings.New(options)
	if m := a.mistake(); m != "" {
		r.log.Warn("the settings file has a mistake; the last good settings are in force", "mistake", m)
		r.Notify(TopicSettings, screen.Notice{Level: screen.Warning, Title: "A mistake in the settings", Text: m + ". The last good settings are in force."})
	}
	return a
}

func credentials(c *config.Config) setup.Credentials {
	return setup.Credentials{SSID: c.WiFi.SSID, Password: c.WiFi.Password, Hidden: c.WiFi.Hidden}
}

func (a *appliance) mistake() string {
	if a.Mistake == nil {
		return ""
	}
	return a.Mistake.Plain()
}

// run looks after the network and what is saved until ctx ends.
func (a *appliance) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if a.network != nil {
		wg.Go(func() {
			a.network.Run(ctx)
			a.bus.Shut()
		})
	}
	defer a.page.HidePIN()
	for {
		select {
		case <-ctx.Done():
			return
		case changes := <-a.saved:
			a.apply(ctx, changes)
		}
	}
}

// save writes changes to the file.
func (a *appliance) save(changes []config.Change) error {
	if err := a.Settings.Save(changes); err != nil {
		return err
	}
	select {
	case a.saved <- changes:
	default: // what is waiting has the receiver start anew all the same
	}
	return nil
}

// apply has changes come into force: another network is joined, and for all else
// the receiver starts anew, which takes a second, as soon as nobody is watching.
func (a *appliance) apply(ctx context.Context, changes []config.Change) {
	if len(changes) == 0 || !pause(ctx, time.Second) { // the page is told first
		return
	}
	joins := func(ch config.Change) bool {
		return slices.Contains([]string{"wifi.ssid", "wifi.password", "wifi.hidden"}, ch.Key)
	}
	if a.network != nil && slices.ContainsFunc(changes, joins) {
		a.network.Join(credentials(a.Settings.Read()))
		if !slices.ContainsFunc(changes, func(ch config.Change) bool { return !joins(ch) }) {
			return
		}
		// In the access point a start would throw out whoever has to try again.
		for a.network.Status().Phase != setup.Online {
			if !pause(ctx, time.Second) {
				return
			}
		}
	}
	for a.r.Playing() {
		if !pause(ctx, time.Second) {
			return
		}
	}
	a.r.Restart("settings have changed")
}

// pause returns false if ctx ends before the time is over.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// showPIN puts the PIN for the settings on the TV. Without one it goes into the
// log, which only the owner can read.
func (a *appliance) showPIN(pin string) {
	a.mu.Lock()
	a.pin = pin
	a.mu.Unlock()
	if _, tv := a.r.video.(*kmsOutput); !tv && pin != "" {
		a.r.log.Info("the settings page asks for the PIN: " + pin)
	}
	a.tell()
}

// tell brings the TV up to date.
func (a *appliance) tell() {
	a.mu.Lock()
	pin := a.pin
	a.mu.Unlock()
	st := setup.Status{Phase: setup.Online}
	if a.network != nil {
		st = a.network.Status()
	}
	a.r.ShowSetup(setupScreen(st, pin))
	a.r.Notify(TopicNetwork, networkNotice(st))
}

// setupScreen is what there is to do before the receiver can be used.
func setupScreen(st setup.Status, pin string) (s screen.Setup) {
	ap := st.AccessPoint
	switch {
	case ap.Page() != "":
		s = screen.Setup{Title: "Connect Aerie to your Wi-Fi", QR: ap.QR(), Below: fmt.Sprintf("Wi-Fi %s, password %s", ap.SSID, ap.Password),
			Steps: []string{"Scan the code with your phone", "Choose your network on the page", "No page? Open " + ap.Page()}}
	case st.Phase == setup.Joining:
		return screen.Setup{Title: fmt.Sprintf("Joining “%s”", st.SSID), Steps: []string{"This takes up to a minute."}}
	case pin != "":
		s = screen.Setup{Title: "Settings", Steps: []string{"Enter this PIN on the page"}}
	}
	s.Code = pin
	if pin != "" && ap.Page() != "" {
		s.Steps[2] = "Enter this PIN there"
	}
	return s
}

// networkNotice says what went wrong with the network.
func networkNotice(st setup.Status) screen.Notice {
	if st.Failure == "" || st.Phase == setup.Joining {
		return screen.Notice{}
	}
	return screen.Notice{Level: screen.Warning, Title: "No network", Text: st.Failure}
}

// portal is where people in the access point should be, "" if it is closed.
func (a *appliance) portal() string {
	if a == nil || a.network == nil {
		return ""
	}
	return a.network.Status().AccessPoint.Page()
}
