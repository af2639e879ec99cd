// Package link is a service's connection to its broker: Eclipse Paho, connected
// again whenever it is lost, with a queue in front that never makes the service
// wait.
//
// A connection begins with nothing: no session, no message of the one before.
// Who uses the link subscribes to documents, reads what they are, and says again
// what others must know. In the queue a newer version of a document takes the
// place of an older one that was not sent yet.
//
// Proof: link_test.go (a broker that vanishes and refuses, a service that is
// slow, versions that replace one another); aerie/cmd/aerie-fleet tries it at
// Mosquitto with certificates and access lists.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"aerie/receiver/fleet/wire"
)

// Options make a link.
type Options struct {
	Broker string // mqtts://HOST:PORT, or mqtt:// without encryption
	TLS    *tls.Config
	// Dial connects to a broker in this process; Broker is not used then.
	Dial     func() (net.Conn, error)
	ClientID string
	User     string
	// Subscriptions are made on each connection, before Connected.
	Subscriptions []string
	Log           *slog.Logger
}

// Handler is told what happens, by one goroutine at a time for each connection.
type Handler interface {
	// Connected begins a connection.
	Connected(s Sender)
	// Message is a message of it; kept is one that the broker had before. It may
	// take its time: the broker waits.
	Message(topic string, payload []byte, kept bool)
	// Lost ends it.
	Lost(err error)
}

// Sender sends over one connection.
type Sender interface {
	// Send queues a message and returns at once. Done, if it is not nil, is
	// called when the broker has it, or with the error that ended the
	// connection.
	Send(m wire.Message, done func(error))
}

// Waits between attempts to connect; half of each is left to chance, so that
// not all services come back at once.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 30 * time.Second
	// patience is how long a broker may take to answer.
	patience  = 20 * time.Second
	keepAlive = 30 * time.Second
)

// ErrLost is wrapped by the errors of messages that a broker did not take.
var ErrLost = errors.New("link: the connection was lost")

// CheckBroker tells what is wrong with the address of a broker.
func CheckBroker(broker string) error {
	u, err := url.Parse(broker)
	if err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" || u.Path != "" {
		return fmt.Errorf("link: the broker %.200q is not mqtts://HOST:PORT", broker)
	}
	return nil
}

// Run keeps the connection until the context ends.
func Run(ctx context.Context, o Options, h Handler) {
	wait := firstWait
	for {
		lasted, err := converse(ctx, o, h)
		if ctx.Err() != nil {
			return
		}
		if lasted {
			wait = firstWait
		}
		pause := wait/2 + rand.N(wait/2+1)
		o.Log.Warn("link: not connected to the broker", "broker", o.Broker, "error", err, "again in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		wait = min(2*wait, lastWait)
	}
}

// converse holds one conversation. Lasted tells that the broker accepted it.
func converse(ctx context.Context, o Options, h Handler) (lasted bool, err error) {
	lost := make(chan error, 1)
	p := mqtt.NewClientOptions().SetClientID(o.ClientID).SetUsername(o.User).SetCleanSession(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetProtocolVersion(4).SetOrderMatters(true).
		SetKeepAlive(keepAlive).SetPingTimeout(patience).SetConnectTimeout(patience).SetWriteTimeout(patience).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			select {
			case lost <- err:
			default:
			}
		})
	if o.Dial != nil {
		p.AddBroker("tcp://in.process:0").SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return o.Dial() })
	} else {
		p.AddBroker(o.Broker)
	}
	if o.TLS != nil {
		p.SetTLSConfig(o.TLS)
	}
	started := make(chan struct{})
	p.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		<-started
		h.Message(m.Topic(), m.Payload(), m.Retained())
	})
	client := mqtt.NewClient(p)
	defer client.Disconnect(0)
	if err := answer(ctx, client.Connect()); err != nil {
		return false, err
	}
	q := newQueue(client)
	defer q.close()
	h.Connected(q)
	close(started)
	defer func() { h.Lost(err) }()
	filters := map[string]byte{}
	for _, f := range o.Subscriptions {
		filters[f] = 1
	}
	token := client.SubscribeMultiple(filters, nil)
	if err := answer(ctx, token); err != nil {
		return true, err
	}
	for filter, code := range token.(*mqtt.SubscribeToken).Result() {
		if code > 2 {
			return true, fmt.Errorf("link: the broker does not let this service read %s", filter)
		}
	}
	o.Log.Info("link: connected to the broker", "broker", o.Broker)
	go q.run()
	select {
	case <-ctx.Done():
		q.drain(time.Second) // what was said last
		return true, ctx.Err()
	case err = <-lost:
		return true, fmt.Errorf("%w: %w", ErrLost, err)
	}
}

func answer(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return errors.New("link: the broker does not answer")
	}
}
