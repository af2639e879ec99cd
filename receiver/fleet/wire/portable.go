package wire

import (
	"fmt"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/twin"
)

// maxServices bounds how many services' halves a device keeps track of; of
// more, it forgets the one that was silent longest.
const maxServices = 64

// Portable is the encoding for any broker.
type Portable struct {
	device   string
	writer   twin.Writer
	services map[string]*follower
	heard    int // messages of services so far
}

type follower struct {
	twin.Reader
	heard int
}

// NewPortable makes the end of a device. The run is that of its pairing.
func NewPortable(device, run string) *Portable {
	return &Portable{device: device, writer: twin.Writer{Run: run}, services: map[string]*follower{}}
}

// Subscriptions are of all that services say to the device.
func (p *Portable) Subscriptions() []string {
	base := Base + "/" + p.device
	return []string{base + "/twin/desired/+", base + "/heartbeat/+", base + "/method/#"}
}

// Will tells that the device is offline.
func (p *Portable) Will() (Message, bool) { return p.presence(Offline), true }

func (p *Portable) presence(value string) Message {
	return Message{Topic: Topic{Kind: TopicPresence, Device: p.device}.String(), Payload: []byte(value), QoS: 1, Retain: true}
}

// Connected reports once more, for a broker that has forgotten.
func (p *Portable) Connected(clock.Time) (out []Message) {
	if d := p.writer.Document(); d.Version > 0 {
		if m, err := p.reported(d); err == nil {
			out = append(out, m)
		}
	}
	return append(out, p.presence(Online))
}

// Farewell tells that the device is offline, which its will would not.
func (p *Portable) Farewell() []Message { return []Message{p.presence(Offline)} }

// Report publishes the whole half.
func (p *Portable) Report(_ clock.Time, half twin.Object, again bool) ([]Message, error) {
	before := p.writer
	d, changed := p.writer.Set(half)
	if !changed && again {
		d, changed = p.writer.Again(half), true
	}
	if !changed {
		return nil, nil
	}
	m, err := p.reported(d)
	if err != nil {
		p.writer = before
		return nil, err
	}
	return []Message{m}, nil
}

func (p *Portable) reported(d twin.Document) (Message, error) {
	text, err := d.Encode()
	return Message{Topic: Topic{Kind: TopicReported, Device: p.device}.String(), Payload: text, QoS: 1, Retain: true}, err
}

// Receive takes a message of a service.
func (p *Portable) Receive(_ clock.Time, topic string, payload []byte) ([]Event, []Message, error) {
	t, err := ParseTopic(topic)
	if err == nil && t.Device != p.device {
		err = fmt.Errorf("%w: topic %q is another device's", ErrUnknown, topic)
	}
	if err != nil {
		return nil, nil, err
	}
	var e Event
	switch t.Kind {
	case TopicDesired:
		if len(payload) == 0 {
			return nil, nil, nil // the half was taken away
		}
		d, err := twin.ParseDocument(payload)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", topic, err)
		}
		if !p.follow(t.Service).Take(d) {
			return nil, nil, nil
		}
		e = Desired{t.Service, d.Properties, d.Properties}
	case TopicHeartbeat:
		h, err := parseHeartbeat(payload)
		if err == nil && h.Service != t.Service {
			err = fmt.Errorf("%w: it bears another's name", ErrUnknown)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", topic, err)
		}
		e = h
	case TopicMethod:
		c := Call{t.Service, t.Name, t.ID, payload}
		if len(payload) > MaxCall {
			return nil, []Message{p.Answer(c, 413, nil)}, fmt.Errorf("%s: %w: %d bytes", topic, twin.ErrTooLarge, len(payload))
		}
		e = c
	default:
		return nil, nil, fmt.Errorf("%w: %s is what a device says", ErrUnknown, topic)
	}
	return []Event{e}, nil, nil
}

// follow returns what reads the half of a service.
func (p *Portable) follow(service string) *follower {
	p.heard++
	f := p.services[service]
	if f == nil {
		if len(p.services) >= maxServices {
			oldest := ""
			for id, f := range p.services {
				if oldest == "" || f.heard < p.services[oldest].heard {
					oldest = id
				}
			}
			delete(p.services, oldest)
		}
		f = &follower{}
		p.services[service] = f
	}
	f.heard = p.heard
	return f
}

// Answer answers a call.
func (p *Portable) Answer(c Call, status int, payload []byte) Message {
	return Message{Topic: Topic{Kind: TopicResult, Device: p.device, Service: c.Service, ID: c.ID, Status: status}.String(), Payload: payload, QoS: 1}
}

// Tick has nothing to do: what a broker takes with QoS 1 it has taken.
func (p *Portable) Tick(clock.Time) []Message { return nil }
