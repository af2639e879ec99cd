// Package content is what is in the twins of a fleet beside pairing, in words
// that devices and services share: health, settings, methods and their
// arguments.
//
// Everything is below the root of the pairing process:
//
//	reported.<root>.pairing    see package pairing
//	reported.<root>.health     Health
//	reported.<root>.settings   twin.Acknowledgement of each setting, by name
//	desired.<root>.pairing     see package pairing
//	desired.<root>.pool        the pool of the service that volunteers
//	desired.<root>.settings    twin.Settings
//
// What is done about any of it is the business of package fleet, on a device,
// and of the command aerie-fleet.
//
// Proof: content_test.go (everything there and back; what is refused), and a
// fuzz target for each parser.
package content

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

// Names below the root.
const (
	healthName   = "health"
	settingsName = "settings"
	poolName     = "pool"
)

// Settings that a service may desire, by name.
const (
	// SettingName is the name under which senders see the device: a string of
	// 1 to MaxName bytes.
	SettingName = "name"
	// SettingRelease is the release to run: a Release.
	SettingRelease = "release"
)

// Methods that a service may call. Arguments and results are JSON objects; a
// result that is not a success is an Error.
const (
	MethodIdentify      = "identify"       // blink, and show the name; none -> none
	MethodRestart       = "restart"        // none -> none, before it restarts
	MethodDiagnostics   = "diagnostics"    // Part -> Bundle
	MethodForgetSenders = "forget-senders" // none -> none
	MethodSetName       = "set-name"       // Name -> none
	MethodHeartbeat     = "heartbeat"      // Azure's encoding only: a Volunteer -> none
)

// MaxName bounds the name of a device, in bytes: a DNS label less the device
// id of the RAOP instance.
const MaxName = 50

// Name is the argument of MethodSetName.
type Name struct {
	Name string `json:"name"`
}

// Part asks for a piece of a diagnostics bundle. Offset 0 has a new one made.
type Part struct {
	Offset int `json:"offset"`
}

// Bundle is a piece of a diagnostics bundle.
type Bundle struct {
	Name   string `json:"name"`   // of the file
	Size   int    `json:"size"`   // of the whole, in bytes
	SHA256 string `json:"sha256"` // of the whole, in hexadecimal digits
	Offset int    `json:"offset"`
	Data   []byte `json:"data"` // in base64; never empty before the end
}

// Error is the result of a method that failed.
type Error struct {
	Error string `json:"error"`
}

// Release is what a device is to run: where the signed release is, and the
// counter that it must have at least. The device believes neither: a release
// counts if its owner signed it, and is newer than what it runs.
type Release struct {
	URL     string `json:"url"`     // of its directory, https
	Counter int64  `json:"counter"` // from the signed comment
}

// ParseRelease reads the value of SettingRelease.
func ParseRelease(v any) (r Release, err error) {
	o, _ := v.(twin.Object)
	var ok bool
	if r.URL, ok = twin.Text(o, "url", 1024); !ok {
		return r, fmt.Errorf("%w: a release without a url", twin.ErrMalformed)
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return r, fmt.Errorf("%w: the url of a release is not https://HOST/PATH", twin.ErrMalformed)
	}
	if r.Counter, ok = twin.Integer(o, "counter"); !ok || r.Counter == 0 {
		return r, fmt.Errorf("%w: a release without a counter", twin.ErrMalformed)
	}
	return r, nil
}

// Object returns the value of SettingRelease.
func (r Release) Object() twin.Object {
	return twin.Object{"url": r.URL, "counter": float64(r.Counter)}
}

// ParseName reads the value of SettingName.
func ParseName(v any) (string, error) {
	s, ok := v.(string)
	if !ok || strings.TrimSpace(s) == "" || len(s) > MaxName || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%w: a name is a text of 1 to %d bytes without control characters", twin.ErrMalformed, MaxName)
	}
	return s, nil
}

// Wish is a desired half.
type Wish struct {
	Volunteer pairing.Volunteer // none if its Service is ""
	// Pool is that of the service, so that a device of another can tell; "" is
	// not told.
	Pool     string
	Settings twin.Settings
}

// Object returns the half.
func (w Wish) Object(root string) twin.Object {
	below := twin.Object{}
	if w.Volunteer.Service != "" {
		below = twin.At(pairing.Under(root, w.Volunteer.Object()), root)
	}
	if w.Pool != "" {
		below[poolName] = w.Pool
	}
	if len(w.Settings) > 0 {
		below[settingsName] = w.Settings.Object()
	}
	return twin.Object{root: below}
}

// OfPool tells whether a desired half is of a service of that pool, or does not
// say.
func OfPool(half twin.Object, root, pool string) bool {
	said, there := twin.At(half, root)[poolName]
	return !there || said == pool
}

// WishedSettings reads the settings of a desired half; malformed ones are told
// by name.
func WishedSettings(half twin.Object, root string) (s twin.Settings, malformed map[string]error) {
	return twin.ParseSettings(twin.At(half, root, settingsName))
}

// Report is a reported half.
type Report struct {
	Pairing  pairing.Reported
	Health   Health
	Settings map[string]twin.Acknowledgement
}

// Object returns the half.
func (r Report) Object(root string) twin.Object {
	settings := twin.Object{}
	for name, a := range r.Settings {
		settings[name] = a.Object()
	}
	o := pairing.Under(root, r.Pairing.Object())
	below := twin.At(o, root)
	below[healthName], below[settingsName] = r.Health.object(), settings
	return o
}

// ParseReport reads a reported half. It fails where the pairing does
// (pairing.ErrIncomplete); health or settings that make no sense are left out.
func ParseReport(half twin.Object, root string) (r Report, err error) {
	if r.Pairing, err = pairing.ParseReported(half, root); err != nil {
		return r, err
	}
	r.Health = parseHealth(twin.At(half, root, healthName))
	for name, v := range twin.At(half, root, settingsName) {
		if a, err := twin.ParseAcknowledgement(v); err == nil && len(r.Settings) < 64 {
			if r.Settings == nil {
				r.Settings = map[string]twin.Acknowledgement{}
			}
			r.Settings[name] = a
		}
	}
	return r, nil
}

// through makes one kind of JSON value of another.
func through(from, to any) error {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	return err
}
