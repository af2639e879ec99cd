package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Message is what is published, or arrives.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool
}

// ClientOptions say how to connect, and whom to tell. The functions are called
// one at a time, not from Run's goroutine; one that does not return keeps what
// follows waiting, in the end the broker.
type ClientOptions struct {
	Address  string // host:port of the broker
	ClientID string
	// SignIn returns the name and password of a connection, and when it is to
	// be renewed; no time is never. Nil is without both.
	SignIn        func() (user, password string, renew time.Time)
	Will          *Message // nil for none
	Subscriptions []string // filters, with QoS 1
	// Up tells that a connection stands and everything is subscribed to.
	Up func()
	// Down tells that it is gone, or did not come about; of one that ended for
	// new credentials there is no word.
	Down func(error)
	// Receive takes what arrives, also before Up.
	Receive func(Message)
	// Dial connects to the broker; nil is over TCP, without TLS.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrRefused is wrapped by what Down is told when the broker does not let the
// client in, or keeps it from what it subscribes to.
var ErrRefused = errors.New("mqtt: refused")

// ErrNotConnected says that a message was not sent.
var ErrNotConnected = errors.New("mqtt: not connected")

const (
	// maxInFlight bounds messages that were sent and not acknowledged, and
	// as many more wait to be sent.
	maxInFlight = 32
	// farewellTime is how long the end of the program may take for it.
	farewellTime = 2 * time.Second
)

// Client is a connection to a broker that is made again whenever it breaks. It
// keeps nothing of one for the next: who uses it says everything again that is
// still true. So nothing arrives twice that the broker does not send twice,
// and nothing late that was overtaken.
type Client struct {
	o       ClientOptions
	mu      sync.Mutex
	current *connection // nil without one
}

// connection is one connection of a Client.
type connection struct {
	paho.Client
	life  context.Context
	drop  context.CancelCauseFunc
	queue chan Message
}

// NewClient makes a client; Run makes it connect.
func NewClient(o ClientOptions) *Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return &Client{o: o}
}

// Send publishes a message on the present connection, in the order of the
// calls. It returns when the message is on its way, and waits where too many
// are: with QoS 1 a connection on which one is not acknowledged in time is
// given up. It fails with ErrNotConnected.
func (c *Client) Send(m Message) error {
	c.mu.Lock()
	n := c.current
	c.mu.Unlock()
	if n == nil {
		return ErrNotConnected
	}
	select {
	case n.queue <- m:
		return nil
	case <-n.life.Done():
		return ErrNotConnected
	}
}

// publish sends what is queued as long as the connection lives. The library
// may keep it waiting beyond that end.
func (n *connection) publish() {
	flying := make(chan struct{}, maxInFlight)
	for {
		select {
		case <-n.life.Done():
			return
		case flying <- struct{}{}:
		}
		select {
		case <-n.life.Done():
			return
		case m := <-n.queue:
			token := n.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
			go func() {
				if err := wait(n.life, token); err != nil {
					n.drop(fmt.Errorf("mqtt: %s: %w", m.Topic, err))
				}
				<-flying
			}()
		}
	}
}

// errSilent says that the broker did not answer in time.
var errSilent = errors.New("the broker does not answer")

// wait waits for what was asked of the broker.
func wait(ctx context.Context, token paho.Token) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-t.C:
		return errSilent
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run keeps a connection until the context ends. Farewell is then sent on it,
// if there is one.
func (c *Client) Run(ctx context.Context, farewell func() []Message) {
	pause := firstWait
	for {
		began := time.Now()
		err := c.converse(ctx, farewell)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRenew) {
			continue
		}
		c.o.Down(err)
		if time.Since(began) > lastWait {
			pause = firstWait
		}
		// Thousands of clients may have lost the same broker.
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, lastWait)
	}
}

// errRenew ends a connection whose credentials are about to end.
var errRenew = errors.New("mqtt: connecting anew, with new credentials")

// converse holds one connection.
func (c *Client) converse(ctx context.Context, farewell func() []Message) error {
	life, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	o, renew := c.options(life, drop)
	client := paho.NewClient(o)
	defer client.Disconnect(0)
	if err := wait(life, client.Connect()); err != nil {
		return classify(err)
	}
	n := &connection{client, life, drop, make(chan Message, maxInFlight)}
	if err := n.subscribe(c.o.Subscriptions); err != nil {
		return err
	}
	go n.publish()
	c.mu.Lock()
	c.current = n
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
	}()
	c.o.Up()
	var expired <-chan time.Time
	if !renew.IsZero() {
		expired = time.After(time.Until(renew))
	}
	select {
	case <-expired:
		return errRenew
	case <-life.Done():
	}
	if ctx.Err() == nil {
		return context.Cause(life)
	}
	n.farewell(farewell())
	return ctx.Err()
}

// subscribe asks for what matches the filters.
func (n *connection) subscribe(filters []string) error {
	if len(filters) == 0 {
		return nil
	}
	asked := map[string]byte{}
	for _, f := range filters {
		asked[f] = 1
	}
	tokens := make(chan paho.Token, 1)
	go func() { tokens <- n.SubscribeMultiple(asked, nil) }()
	select {
	case token := <-tokens:
		if err := wait(n.life, token); err != nil {
			return fmt.Errorf("mqtt: subscribing: %w", err)
		}
		for f, code := range token.(*paho.SubscribeToken).Result() {
			if code > 2 {
				return fmt.Errorf("%w: the broker does not let it subscribe to %s", ErrRefused, f)
			}
		}
		return nil
	case <-n.life.Done():
		return context.Cause(n.life)
	}
}

// farewell sends messages and disconnects, if that is possible soon. Else the
// will says what is to be said.
func (n *connection) farewell(all []Message) {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	go func() {
		defer cancel()
		for _, m := range all {
			_ = wait(ctx, n.Publish(m.Topic, m.QoS, m.Retain, m.Payload))
		}
		n.Disconnect(uint(farewellTime.Milliseconds()))
	}()
	<-ctx.Done()
}

// options are those of the library for one connection.
func (c *Client) options(ctx context.Context, drop context.CancelCauseFunc) (o *paho.ClientOptions, renew time.Time) {
	o = paho.NewClientOptions()
	o.Servers = []*url.URL{{Scheme: "tcp", Host: c.o.Address}}
	o.SetClientID(c.o.ClientID).SetProtocolVersion(4).SetCleanSession(true).SetOrderMatters(true)
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetKeepAlive(keepAlive).SetPingTimeout(patience).SetConnectTimeout(patience).SetWriteTimeout(patience)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		dialing, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn, err := c.o.Dial(dialing, "tcp", c.o.Address)
		if err != nil {
			return nil, err
		}
		return &guard{Conn: conn, filters: len(c.o.Subscriptions), broken: drop}, nil
	})
	if w := c.o.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	if c.o.SignIn != nil {
		user, password, until := c.o.SignIn()
		o.SetUsername(user).SetPassword(password)
		renew = until
	}
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		c.o.Receive(Message{m.Topic(), m.Payload(), m.Qos(), m.Retained()})
	})
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { drop(fmt.Errorf("mqtt: connection lost: %w", err)) })
	return o, renew
}

// classify tells a refusal from a failure.
func classify(err error) error {
	for _, refusal := range []error{packets.ErrorRefusedIDRejected, packets.ErrorRefusedBadUsernameOrPassword, packets.ErrorRefusedNotAuthorised} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return fmt.Errorf("mqtt: connecting: %w", err)
}
