// Package pairing is how a device of a fleet finds a service and stays with
// it: both sides of a handshake through the two halves of a twin.
//
// The device reports that it needs a partner, services of the pool that it
// names volunteer in the desired half, and what the device then reports is the
// truth: the first volunteer that names its run has won, and the others do
// nothing. A partner has to give signs of life; without one for Lease the
// device looks for another.
//
// A Device and a Service are state machines. They are told what arrived and
// what time it is, and say what is to be sent; how it travels is the business
// of package wire.
//
// Proof: seed_test.go (the documents of the process, word for word),
// device_test.go and service_test.go (each rule by itself), model_test.go (many
// devices and services whose messages are lost, doubled and late, which crash
// and whose clocks drift, against a reference model), and fuzz targets for what
// is read from twins.
package pairing

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"aerie/receiver/fleet/twin"
)

const (
	// RequestEvery is how often a device that has no partner says so.
	RequestEvery = 30 * time.Second
	// HeartbeatEvery is the longest between two signs of life of a partner.
	HeartbeatEvery = 30 * time.Second
	// Lease is how long a device stays with a partner without a sign of life.
	Lease = 90 * time.Second
	// Jitter is the longest that a service waits before it volunteers, so that
	// the services of a pool share its devices.
	Jitter = 3 * time.Second
)

// DefaultRoot is the property below which everything is found in both halves.
const DefaultRoot = "thief"

// Names of properties.
const (
	pairingName = "pairing"
	runName     = "runId"
	poolName    = "requestedServicePool"
	serviceName = "serviceInstanceId"
)

// maxPool bounds the name of a pool, in bytes.
const maxPool = 128

// Why something was ignored.
var (
	ErrIncomplete = errors.New("pairing: a field is missing or not what it should be")
	ErrForeignRun = errors.New("pairing: meant for another run of the device")
	ErrPaired     = errors.New("pairing: the device has a partner")
	ErrPool       = errors.New("pairing: another pool")
	ErrNotPartner = errors.New("pairing: not from the partner")
	ErrTooMany    = errors.New("pairing: too many devices")
)

// Reported is what a device reports.
type Reported struct {
	RunID   string // UUID, new with each start of the device
	Pool    string // the pool whose services may volunteer
	Service string // the partner's UUID; "" for none, which asks for one
}

// Object returns the value of the property, as a merge patch.
func (r Reported) Object() twin.Object {
	o := twin.Object{runName: r.RunID, poolName: r.Pool, serviceName: nil}
	if r.Service != "" {
		o[serviceName] = r.Service
	}
	return o
}

// ParseReported reads the reported half of a device, in which an absent
// partner is as good as null. It fails with ErrIncomplete.
func ParseReported(half twin.Object, root string) (r Reported, err error) {
	o := twin.At(half, root, pairingName)
	var ok bool
	if r.RunID, ok = twin.Text(o, runName, idLength); !ok || !ValidService(r.RunID) {
		return r, fmt.Errorf("%w: %s", ErrIncomplete, runName)
	}
	if r.Pool, ok = twin.Text(o, poolName, maxPool); !ok {
		return r, fmt.Errorf("%w: %s", ErrIncomplete, poolName)
	}
	if o[serviceName] != nil {
		if r.Service, ok = twin.Text(o, serviceName, idLength); !ok || !ValidService(r.Service) {
			return r, fmt.Errorf("%w: %s", ErrIncomplete, serviceName)
		}
	}
	return r, nil
}

// Volunteer is what a service desires: to be the partner of that run of a
// device.
type Volunteer struct {
	RunID, Service string // UUIDs
}

// Object returns the value of the property.
func (v Volunteer) Object() twin.Object { return twin.Object{runName: v.RunID, serviceName: v.Service} }

// HasVolunteer tells whether a desired half, or a patch of one, says anything
// of pairing.
func HasVolunteer(half twin.Object, root string) bool {
	return twin.At(half, root)[pairingName] != nil
}

// ParseVolunteer reads the desired half of a device, or a patch of it. It
// fails with ErrIncomplete.
func ParseVolunteer(half twin.Object, root string) (v Volunteer, err error) {
	o := twin.At(half, root, pairingName)
	var ok bool
	if v.RunID, ok = twin.Text(o, runName, idLength); !ok || !ValidService(v.RunID) {
		return v, fmt.Errorf("%w: %s", ErrIncomplete, runName)
	}
	if v.Service, ok = twin.Text(o, serviceName, idLength); !ok || !ValidService(v.Service) {
		return v, fmt.Errorf("%w: %s", ErrIncomplete, serviceName)
	}
	return v, nil
}

// Under puts the value of the property where it belongs in a half.
func Under(root string, value twin.Object) twin.Object {
	return twin.Object{root: twin.Object{pairingName: value}}
}

// idLength is that of a UUID as text (RFC 9562 section 4).
const idLength = 36

// NewID draws a UUID of version 4, for a run of a device or an instance of a
// service.
func NewID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// ValidService tells whether an id may be that of a service: a UUID in lower
// case.
func ValidService(id string) bool {
	if len(id) != idLength {
		return false
	}
	for i, c := range []byte(id) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return false
		}
	}
	return true
}

// ValidDevice tells whether an id may be that of a device: 1 to 64 letters,
// digits, dots, dashes and underscores, a letter or digit first. It is no UUID:
// a broker that lets everyone write what bears their name then keeps devices
// from posing as services.
func ValidDevice(id string) bool {
	if id == "" || len(id) > 64 || ValidService(strings.ToLower(id)) {
		return false
	}
	for i, c := range []byte(id) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}
