// Package mqtt publishes what the receiver does to an MQTT broker, so that a
// house can dim the light when a film begins. It is a publisher of MQTT 3.1.1
// and nothing more: it subscribes to nothing, so a broker can tell it nothing.
//
// A topic has one value at a time, which the broker keeps for those who come
// later (retained, QoS 0). While the broker is away, or slow, the newest value
// of each topic waits and older ones are dropped, which Replaced counts; after
// a reconnection all of them are sent again. A will tells everybody when the
// receiver is gone.
//
// The protocol costs 30 KB of program here; the usual library, with its web
// sockets and its store for messages that must not be lost, 450.
//
// Proof: mqtt_test.go (a broker in simulated time that refuses, vanishes, says
// nonsense or nothing; values that replace one another), mosquitto_test.go
// (Mosquitto), and a fuzz target for what brokers send.
package mqtt

import (
	"bufio"
	"context"
	"errors"
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
	wake   chan struct{}
}

// New makes a publisher; Run makes it publish.
func New(o Options) *Publisher {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
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
	if len(p.fresh) == 0 {
		return "", nil, false
	}
	name = slices.Min(slices.Collect(maps.Keys(p.fresh)))
	delete(p.fresh, name)
	return name, p.values[name], true
}

// again makes everything unsent, for another connection.
func (p *Publisher) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.values {
		p.fresh[name] = true
	}
}

// Run publishes until the context ends, and says farewell.
func (p *Publisher) Run(ctx context.Context) {
	wait := firstWait
	for {
		served, err := p.converse(ctx)
		if ctx.Err() != nil {
			return
		}
		if served {
			wait = firstWait
		}
		p.o.Log.Warn("mqtt: not connected", "broker", p.o.Address, "error", err, "again in", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
	}
}

// converse holds one conversation. Served tells that the broker accepted it.
func (p *Publisher) converse(ctx context.Context) (served bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := p.o.Dial(dialing, "tcp", p.o.Address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	r := bufio.NewReaderSize(c, maxReceived)
	if _, err := c.Write(connect(&p.o)); err != nil {
		return false, err
	}
	if err := accepted(r); err != nil {
		return false, err
	}
	p.o.Log.Info("mqtt: connected", "broker", p.o.Address, "topic", p.o.Base)
	p.again()
	broken := make(chan error, 1)
	go func() { broken <- p.listen(c, r) }()
	err = p.send(ctx, c, broken)
	return true, err
}

// listen reads what the broker says, which is that it is there.
func (p *Publisher) listen(c net.Conn, r *bufio.Reader) error {
	for {
		if err := c.SetReadDeadline(time.Now().Add(keepAlive + patience)); err != nil {
			return err
		}
		kind, _, err := readPacket(r)
		if err != nil {
			return err
		}
		if kind != typePong {
			return errPacket
		}
	}
}

// send sends values as they come, and signs of life.
func (p *Publisher) send(ctx context.Context, c net.Conn, broken <-chan error) error {
	write := func(b []byte) error {
		if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		_, err := c.Write(b)
		return err
	}
	if err := write(publish(p.o.topic(statusTopic), []byte(online))); err != nil {
		return err
	}
	ping := time.NewTicker(keepAlive)
	defer ping.Stop()
	for {
		for name, value, ok := p.take(); ok; name, value, ok = p.take() {
			if err := write(publish(p.o.topic(name), value)); err != nil {
				return err
			}
			p.Sent.Inc()
		}
		select {
		case <-p.wake:
		case <-ping.C:
			if err := write(appendPacket(nil, typePing, nil)); err != nil {
				return err
			}
		case err := <-broken:
			return err
		case <-ctx.Done():
			// A farewell keeps the will unsaid, so it is said here.
			_ = write(publish(p.o.topic(statusTopic), []byte(offline)))
			_ = write(appendPacket(nil, typeDisconnect, nil))
			return errors.New("mqtt: the end")
		}
	}
}
