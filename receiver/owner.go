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

// owner joins what an owner does: the settings page, the network, and what the
// TV says about them.
type owner struct {
	Appliance
	r       *Receiver
	page    *settings.Page
	bus     *networkmanager.Manager // nil: the network is not looked after
	network *setup.Manager          // likewise
	saved   chan []config.Change

	mu  sync.Mutex
	pin string // for the settings, on the TV
}

// openOwner makes the owner's part of an appliance; nil for others.
func (r *Receiver) openOwner(a *Appliance) *owner {
	if a == nil || a.Settings == nil {
		return nil
	}
	o := &owner{Appliance: *a, r: r, saved: make(chan []config.Change, 8)}
	if r.cfg.WiFi.Manage {
		o.bus = networkmanager.New()
		o.network = setup.New(o.bus, credentials(r.cfg), setup.NewAccessPoint(r.identity.deviceID), o.tell, r.log)
	}
	options := settings.Options{Config: o.Settings.Read, Mistake: o.mistake, Save: o.save, ShowPIN: o.showPIN, Log: r.log}
	if o.network != nil {
		options.Network, options.Visit = o.network.Status, o.network.Visit
	}
	o.page = settings.New(options)
	if m := o.mistake(); m != "" {
		r.log.Warn("the settings file has a mistake; the last good settings are in force", "mistake", m)
		r.Notify(TopicSettings, screen.Notice{Level: screen.Warning, Title: "A mistake in the settings", Text: m + ". The last good settings are in force."})
	}
	return o
}

func credentials(c *config.Config) setup.Credentials {
	return setup.Credentials{SSID: c.WiFi.SSID, Password: c.WiFi.Password, Hidden: c.WiFi.Hidden}
}

func (o *owner) mistake() string {
	if o.Mistake == nil {
		return ""
	}
	return o.Mistake.Plain()
}

// run looks after the network and what is saved until ctx ends.
func (o *owner) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if o.network != nil {
		wg.Go(func() {
			o.network.Run(ctx)
			o.bus.Shut()
		})
	}
	defer o.page.HidePIN()
	for {
		select {
		case <-ctx.Done():
			return
		case changes := <-o.saved:
			o.apply(ctx, changes)
		}
	}
}

// save writes changes to the file.
func (o *owner) save(changes []config.Change) error {
	if err := o.Settings.Save(changes); err != nil {
		return err
	}
	select {
	case o.saved <- changes:
	default: // what is waiting has the receiver start anew all the same
	}
	return nil
}

// apply has changes come into force: another network is joined, and for all else
// the receiver starts anew, which takes a second, as soon as nobody is watching.
func (o *owner) apply(ctx context.Context, changes []config.Change) {
	if len(changes) == 0 || !pause(ctx, time.Second) { // the page is told first
		return
	}
	joins := func(ch config.Change) bool {
		return slices.Contains([]string{"wifi.ssid", "wifi.password", "wifi.hidden"}, ch.Key)
	}
	if o.network != nil && slices.ContainsFunc(changes, joins) {
		o.network.Join(credentials(o.Settings.Read()))
		if !slices.ContainsFunc(changes, func(ch config.Change) bool { return !joins(ch) }) {
			return
		}
		// In the access point a start would throw out whoever has to try again.
		for o.network.Status().Phase != setup.Online {
			if !pause(ctx, time.Second) {
				return
			}
		}
	}
	for o.r.Playing() {
		if !pause(ctx, time.Second) {
			return
		}
	}
	o.r.Restart("settings have changed")
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
func (o *owner) showPIN(pin string) {
	o.mu.Lock()
	o.pin = pin
	o.mu.Unlock()
	if _, tv := o.r.video.(*kmsOutput); !tv && pin != "" {
		o.r.log.Info("the settings page asks for the PIN: " + pin)
	}
	o.tell()
}

// tell brings the TV up to date.
func (o *owner) tell() {
	o.mu.Lock()
	pin := o.pin
	o.mu.Unlock()
	st := setup.Status{Phase: setup.Online}
	if o.network != nil {
		st = o.network.Status()
	}
	o.r.ShowSetup(setupScreen(st, pin))
	o.r.Notify(TopicNetwork, networkNotice(st))
}

// setupScreen is what there is to do before the receiver can be used.
func setupScreen(st setup.Status, pin string) (s screen.Setup) {
	ap := st.AccessPoint
	switch {
	case ap.Page() != "":
		s = screen.Setup{Title: "Connect Aerie to your Wi-Fi", QR: ap.QR(), Below: fmt.Sprintf("Wi-Fi %s, password %s", ap.SSID, ap.Password),
			Steps: []string{"Scan the code with your phone", "Follow the page that opens", "No page? Open " + ap.Page()}}
		if pin != "" {
			s.Steps = []string{"Scan the code with your phone", "Enter this PIN on the page", "Choose your network there"}
		}
	case st.Phase == setup.Joining:
		return screen.Setup{Title: fmt.Sprintf("Joining “%s”", st.SSID), Steps: []string{"This takes up to a minute."}}
	case pin != "":
		s = screen.Setup{Title: "Settings", Steps: []string{"Enter this PIN on the page"}}
	}
	s.Code = pin
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
func (o *owner) portal() string {
	if o == nil || o.network == nil {
		return ""
	}
	return o.network.Status().AccessPoint.Page()
}
