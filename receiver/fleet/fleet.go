// Package fleet is the device's side of a fleet: an Agent that enrols the
// receiver, keeps a connection to its broker, finds a service and stays with
// it, reports how the receiver fares, and does what its service desires.
//
// What goes over the network is the business of packages wire and enrol, what
// is in it that of pairing and content, how a connection is kept that of mqtt.
// What a call or a setting does to the receiver is the business of a Device,
// which is a handful of functions. An update is only handed on: whether a
// release is good is decided by its owner's signature, not here.
//
// Proof: core_test.go (pairing, settings, calls and health, word for word on a
// simulated clock), model_test.go (a device and services that start again, at a
// broker that forgets: nothing desired is lost or done twice), methods_test.go
// (limits, repetition, what hangs),
// mosquitto_test.go (an agent and a service at a real broker that is killed and
// cut off), azure_test.go (an emulated IoT Hub), enrolled_test.go (from the code
// on the screen to the partner, revoked and enrolled again), and a fuzz target
// for all that a broker may deliver.
package fleet

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
)

// Device is what an Agent knows of the receiver and can have it do. A function
// that is nil is something that this receiver cannot do. Those with a context
// run in a goroutine of their own, one at a time; they have callTime.
type Device struct {
	// Health is asked every few seconds, and must not wait.
	Health func() content.Health
	// Identify makes the receiver tell itself from others, by a light and on
	// the screen.
	Identify func(context.Context) error
	// Restart restarts the receiver. It is called when the answer is sent.
	Restart func()
	// Diagnostics makes a file for those who look for a fault, without
	// secrets.
	Diagnostics func(context.Context) (name string, file []byte, err error)
	// ForgetSenders forgets all senders that were paired.
	ForgetSenders func(context.Context) error
	// SetName changes the name that senders see.
	SetName func(context.Context, string) error
	// Update has a release installed if it is its owner's and newer than what
	// runs. Done tells that it runs already; else the update has begun, and
	// Health tells how it ends. An error that wraps ErrUnwanted is a refusal.
	Update func(context.Context, content.Release) (done bool, err error)
	// ShowCode shows the code with which the owner lets the receiver into the
	// fleet, or takes it away with "".
	ShowCode func(code string)
	// Refused tells people that the fleet does not want the receiver, and why;
	// "" that it does again.
	Refused func(why string)
}

// ErrUnwanted is wrapped by errors of a Device that refuse what is desired,
// and would again.
var ErrUnwanted = errors.New("refused")

// Options is what an Agent is made of.
type Options struct {
	ID     string // the device's id in the fleet; pairing.ValidDevice
	Name   string // for people, while it enrols
	Server string // host:port of the service that enrols it
	Azure  string // connection string of an IoT Hub instead, "" for none
	Code   string // from the settings; "" shows one on the screen
	Pool   string // of services
	Root   string // property below which the fleet's are
	State  string // directory for the identity
	Device Device
	Now    func() clock.Time
	// Dial connects to services and brokers; nil is over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the authorities of an IoT Hub; nil are those of the system.
	Roots *x509.CertPool
	Log   *slog.Logger
}

// Phase is how far an Agent has come.
type Phase string

// Phases.
const (
	Enrolling  Phase = "enrolling"  // waits for its owner, or its service
	Connecting Phase = "connecting" // to the broker
	Looking    Phase = "looking"    // for a partner
	Paired     Phase = "paired"
	Refused    Phase = "refused" // the fleet does not want it: revoked, or a used code
)

// Status is what people may want to know of an Agent.
type Status struct {
	Phase   Phase
	Partner string // id of the service; "" for none
	Code    string // on the screen; "" for none
	Error   string // the last, "" when all is well
}

// Agent is a device of a fleet.
type Agent struct {
	o      Options
	poke   chan struct{} // report soon
	afresh chan struct{} // enrol again

	renewEvery time.Duration // shorter in tests

	mu     sync.Mutex
	status Status
}

// New makes an agent; Run makes it live.
func New(o Options) *Agent {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return &Agent{o: o, poke: make(chan struct{}, 1), afresh: make(chan struct{}, 1), renewEvery: renewEvery, status: Status{Phase: Connecting}}
}

// Status tells how the agent fares.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// update changes the status, and has people know whether the fleet refuses the
// receiver.
func (a *Agent) update(f func(*Status)) {
	a.mu.Lock()
	before := a.status
	f(&a.status)
	after := a.status
	a.mu.Unlock()
	if tell := a.o.Device.Refused; tell != nil {
		switch was, is := before.Phase == Refused, after.Phase == Refused; {
		case is && before.Error != after.Error, is && !was:
			tell(after.Error)
		case was && !is && after.Phase != Connecting: // which may be refused again
			tell("")
		}
	}
}

// Changed tells that the receiver's health has changed in a way that its
// service will want to know soon. It never waits.
func (a *Agent) Changed() { signal(a.poke) }

// EnrolAgain forgets the membership and begins anew, for an owner whose fleet
// refuses the receiver.
func (a *Agent) EnrolAgain() { signal(a.afresh) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
