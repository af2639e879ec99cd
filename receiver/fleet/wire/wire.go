// Package wire is how the twins of a fleet travel over MQTT, in two encodings
// of the same conversation.
//
// The portable one takes any broker: every half is a retained document with a
// single writer, so nothing that was written is lost by writing at once, and a
// broker can enforce with a pattern who may write what. The other is that of
// Azure IoT Hub, which keeps the twin itself and speaks of it in patches.
//
// A Device is one encoding, seen from the device: it makes messages of what is
// to be said and events of what arrives. It opens no connection and keeps no
// time. What is in the halves is the business of packages pairing and content.
// A service of the portable encoding needs no more than Topic and the documents
// of package twin.
//
// Proof: topic_test.go (every topic there and back; what is none),
// portable_test.go and azure_test.go (conversations word for word, connections
// lost in their middle, hostile brokers), sas_test.go (tokens against openssl's),
// and fuzz targets for topics, messages and connection strings.
package wire

import (
	"errors"
	"fmt"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

// Limits of payloads that are no halves, in bytes.
const (
	MaxCall   = 8 << 10
	MaxResult = 48 << 10
	maxBeat   = 1 << 10
)

// Message is what MQTT carries.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool
}

// Event is something that arrived: a Desired, a Heartbeat or a Call.
type Event interface{ event() }

// Desired is news of a desired half.
type Desired struct {
	Service    string      // whose half it is; "" where a server keeps one of all
	Properties twin.Object // the whole half
	Changed    twin.Object // what is new, as a patch: also where it repeats what was there
}

// Heartbeat is a sign of life of a service.
type Heartbeat struct{ pairing.Volunteer }

// Call asks for a method to be run, once for each ID of a service.
type Call struct {
	Service string // who asks; "" where a server does not tell
	Name    string
	ID      string
	Payload []byte // JSON, or nothing
}

func (Desired) event()   {}
func (Heartbeat) event() {}
func (Call) event()      {}

// Device is the device's end of an encoding. It belongs to one goroutine.
type Device interface {
	// Subscriptions are the filters to subscribe to on every connection,
	// with QoS 1.
	Subscriptions() []string
	// Will is what the broker is to publish when the device vanishes; ok is
	// false if nothing.
	Will() (m Message, ok bool)
	// Connected begins a connection, after its subscriptions: it returns what
	// is to be sent first.
	Connected(now clock.Time) []Message
	// Report changes the reported half. Again has it sent even if it is as
	// before.
	Report(now clock.Time, half twin.Object, again bool) ([]Message, error)
	// Receive takes a message. Its events come in order; the messages are to
	// be sent.
	Receive(now clock.Time, topic string, payload []byte) ([]Event, []Message, error)
	// Answer answers a call.
	Answer(c Call, status int, payload []byte) Message
	// Tick sends again what was refused or never answered. It is to be called
	// every few seconds while there is a connection.
	Tick(now clock.Time) []Message
	// Farewell is what to send before disconnecting.
	Farewell() []Message
}

// ErrUnknown is wrapped by errors about messages that are none of this
// protocol.
var ErrUnknown = errors.New("wire: not a message of a fleet")

// parseHeartbeat reads the sign of life of a service: its offer once more.
func parseHeartbeat(payload []byte) (Heartbeat, error) {
	if len(payload) > maxBeat {
		return Heartbeat{}, fmt.Errorf("%w: heartbeat of %d bytes", twin.ErrTooLarge, len(payload))
	}
	o, err := twin.Parse(payload)
	if err != nil {
		return Heartbeat{}, err
	}
	v, err := pairing.ParseVolunteer(pairing.Under("-", o), "-")
	return Heartbeat{v}, err
}

// EncodeHeartbeat makes the payload of a sign of life.
func EncodeHeartbeat(v pairing.Volunteer) []byte {
	return fmt.Appendf(nil, `{"runId":%q,"serviceInstanceId":%q}`, v.RunID, v.Service)
}

// pause is the time between attempts: twice as long after each failure.
func pause(failures int) time.Duration {
	const first, last = 10 * time.Second, 5 * time.Minute
	return min(first<<min(failures, 8), last)
}
