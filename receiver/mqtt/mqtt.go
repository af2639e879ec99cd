// Package mqtt is the receiver's end of MQTT 3.1.1: a Client whose connection
// comes back whenever it breaks, for the fleet, and a Publisher on top of it that
// tells a house what is playing, so that the light can be dimmed when a film
// begins. The publisher subscribes to nothing, so its broker can tell it nothing.
//
// A topic of a publisher has one value at a time, which the broker keeps for
// those who come later (retained, QoS 0). While the broker is away, or slow, the
// newest value of each topic waits and older ones are dropped, which Replaced
// counts; after a reconnection all of them are sent again. A will tells
// everybody when the receiver is gone.
//
// The protocol is that of Eclipse Paho. What is added here is what an appliance
// needs on a bad day: connections that are made anew with patience and a
// little chance, credentials that are renewed in time, packets of bounded size.
//
// Proof: mqtt_test.go (a broker in simulated time that refuses, vanishes, says
// nonsense or nothing; values that replace one another), client_test.go (the
// same of a client; credentials that end), mosquitto_test.go (Mosquitto), and a
// fuzz target for what brokers send.
package mqtt

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"aerie/receiver/metric"
)

// Options say where to publish.
type Options struct {
	Address        string // host:port of the broker
	User, Password string // empty for none
	ClientID       string
	Base           string // what all topics begin with, without the last slash
	// Dial connects to the broker; nil is over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Log  interface {
		Info(msg string, args ...any)
		Warn(msg string, args ...any)
	}
}

// The topic that tells whether the receiver is there, and its values.
const (
	statusTopic = "status"
	online      = "online"
	offline     = "offline"
)

const (
	keepAlive = 30 * time.Second
	patience  = 10 * time.Second // with a broker that does not take or answer
	// Waits between attempts to connect.
	firstWait = time.Second
	lastWait  = time.Minute
	// maxTopics bounds what is kept; a receiver has a dozen.
	maxTopics = 64
)

func (o *Options) topic(name string) string { return o.Base + "/" + name }

// Publisher publishes values. It is safe for concurrent use.
type Publisher struct {
	Replaced metric.Counter // values that were never sent, for newer ones came
	Sent     metric.Counter

	o      Options
	mu     sync.Mutex
	values map[string][]byte // by topic, without its base
	fresh  map[string]bool   // not sent on this connection yet
	up     bool              // there is a connection
	wake   chan struct{}
}

// New makes a publisher; Run makes it publish.
func New(o Options) *Publisher {
	return &Publisher{o: o, values: map[string][]byte{}, fresh: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// Set sets the value of a topic. It never waits. A value that is as before is
// not sent again; an empty one takes the topic away.
func (p *Publisher) Set(name string, value []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.values[name]
	if known && string(old) == string(value) || !known && len(p.values) >= maxTopics {
		return
	}
	if p.fresh[name] {
		p.Replaced.Inc()
	}
	p.values[name], p.fresh[name] = slices.Clone(value), true
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns a value that was not sent yet, the names in their order.
func (p *Publisher) take() (name string, value []byte, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.up || len(p.fresh) == 0 {
		return "", nil, false
	}
	name = slices.Min(slices.Collect(maps.Keys(p.fresh)))
	delete(p.fresh, name)
	return name, p.values[name], true
}

// gone notes that there is no connection.
func (p *Publisher) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = false
}

// connected makes everything unsent, for another connection.
func (p *Publisher) connected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
	for name := range p.values {
		p.fresh[name] = true
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run publishes until the context ends, and says farewell.
func (p *Publisher) Run(ctx context.Context) {
	status := func(value string) Message {
		return Message{Topic: p.o.topic(statusTopic), Payload: []byte(value), Retain: true}
	}
	will := status(offline)
	o := ClientOptions{
		Address: p.o.Address, ClientID: p.o.ClientID, Dial: p.o.Dial, Will: &will,
		SignIn: func() (string, string, time.Time) { return p.o.User, p.o.Password, time.Time{} },
		Down: func(err error) {
			p.gone()
			p.o.Log.Warn("mqtt: not connected", "broker", p.o.Address, "error", err)
		},
		Receive: func(Message) {},
	}
	var client *Client
	o.Up = func() {
		p.o.Log.Info("mqtt: connected", "broker", p.o.Address, "topic", p.o.Base)
		if client.Send(status(online)) == nil {
			p.connected()
		}
	}
	client = NewClient(o)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.feed(ctx, client) })
	// A farewell keeps the will unsaid, so it is said here.
	client.Run(ctx, func() []Message { return []Message{will} })
}

// feed sends values as they come. One that cannot be sent any more is sent on
// the next connection, with all others.
func (p *Publisher) feed(ctx context.Context, client *Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for name, value, ok := p.take(); ok; name, value, ok = p.take() {
			if client.Send(Message{Topic: p.o.topic(name), Payload: value, Retain: true}) != nil {
				break
			}
			p.Sent.Inc()
		}
	}
}
