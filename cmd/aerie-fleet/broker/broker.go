// Package broker is the MQTT broker inside aerie-fleet: mochi-mqtt, with what a
// fleet needs around it.
//
//   - Who: a certificate of the fleet's authority, which also is the name. Who
//     has none, a foreign one, an old one or a revoked one is not let in.
//   - What: a device writes below its own name and nowhere else, a service only
//     documents of its own (rules.go).
//   - How much: packets of 64 KB, a rate, few topics; who sends more is slowed
//     down, and in the end cut off (gate.go).
//   - Kept: a document that was acknowledged is on the disk (store.go).
//   - Delivered: a client that reads slowly misses intermediate versions of a
//     document, but never the last one (flow.go).
//
// There are no sessions: a client that comes back subscribes again and is given
// the documents as they are now. So nothing waits here for those that are away.
// What documents mean is not known here, but that the versions of one which several
// services write have to grow.
//
// Proof: broker_test.go (connections, rules, floods, slow readers, revocation),
// store_test.go (killed while it writes), and FuzzConnect, FuzzAllowed.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/metric"
)

// Limits of what clients may do. The zero value means the defaults.
type Limits struct {
	Connections int     // at a time
	Rate        float64 // packets a second that a device may send on average
	Burst       int     // packets that it may send at once
	Topics      int     // documents that a device may keep here
	Patience    time.Duration
}

// maxPacket bounds a packet in bytes; a twin document has 32 KB at most.
const maxPacket = 64 << 10

func (l Limits) orDefault() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Connections, 20_000)
	set(&l.Burst, 100)
	set(&l.Topics, 32)
	if l.Rate == 0 {
		l.Rate = 20
	}
	if l.Patience == 0 {
		l.Patience = 30 * time.Second
	}
	return l
}

// Options make a broker.
type Options struct {
	Authority *authority.Authority
	// File keeps the documents; empty keeps them in memory only.
	File   string
	Limits Limits
	Log    *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	Received  metric.Counter // packets from clients
	Refused   metric.Counter // clients and packets that were not let in
	Slowed    metric.Counter // packets that had to wait for their turn
	Conflated metric.Counter // versions that a slow client did not see

	o      Options
	server *mqtt.Server
	store  *store
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]bool
	names map[string]*conn // the one of each name that is served
}

// New makes a broker and reads the documents that it kept.
func New(o Options) (*Broker, error) {
	o.Limits = o.Limits.orDefault()
	b := &Broker{o: o, conns: map[*conn]bool{}, names: map[string]*conn{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if o.File != "" {
		s, err := openStore(o.File)
		if err != nil {
			return nil, err
		}
		b.store = s
	}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumMessageExpiryInterval = 0 // documents stay
	capabilities.MaximumSessionExpiryInterval = 0
	capabilities.MaximumPacketSize = maxPacket
	capabilities.MaximumClientWritesPending = queueLength
	capabilities.ReceiveMaximum = 1024
	capabilities.TopicAliasMaximum = 0
	capabilities.SharedSubAvailable = 0
	capabilities.MaximumQos = 1
	b.server = mqtt.New(&mqtt.Options{
		Capabilities:            capabilities,
		ClientNetReadBufferSize: 1 << 10,
		// It would log whole packets at the wish of whoever sends them.
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: 24 * 3600,
		InlineClient:           true,
	})
	if err := b.server.AddHook(&hook{b: b, clients: map[*mqtt.Client]*client{}, decided: map[string]int64{}}, nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := b.server.Serve(); err != nil {
		return nil, fmt.Errorf("broker: %w", errors.Join(err, b.store.close()))
	}
	return b, nil
}

// Close ends all connections and writes what is left to write.
func (b *Broker) Close() error {
	b.mu.Lock()
	closed := b.ctx.Err() != nil
	b.cancel()
	if closed {
		b.mu.Unlock()
		return nil
	}
	for c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
	b.server.Close() // always nil
	return b.store.close()
}

// Clients is how many are connected.
func (b *Broker) Clients() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// Cut ends the connection of a client, as after its revocation.
func (b *Broker) Cut(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		if c.name == name {
			c.Close()
		}
	}
}

// Forget removes all documents below a topic, as those of a device that left.
func (b *Broker) Forget(topic string) error {
	for _, pk := range b.server.Topics.Messages(topic + "/#") {
		if err := b.server.Publish(pk.TopicName, nil, true, 0); err != nil {
			return fmt.Errorf("broker: forget %s: %w", pk.TopicName, err)
		}
	}
	return nil
}

// Document returns what is kept of a topic.
func (b *Broker) Document(topic string) ([]byte, bool) {
	pk, ok := b.server.Topics.Retained.Get(topic)
	return pk.Payload, ok
}

// converse reads from a client until it ends. A fault that a client's packets
// find ends that client and nothing else.
func (b *Broker) converse(c *conn) (err error) {
	defer func() {
		if p := recover(); p != nil {
			b.o.Log.Error("broker: fault", "client", c.name, "from", c.from(), "fault", p, "stack", string(debug.Stack()))
			err = errNo
		}
	}()
	return b.server.EstablishConnection("fleet", c)
}

// takeOver ends another connection of the same name and waits until nothing of
// it goes on: what it sent last must not arrive after what comes now.
func (b *Broker) takeOver(c *conn) {
	b.mu.Lock()
	before := b.names[c.name]
	b.names[c.name] = c
	b.mu.Unlock()
	if before == nil {
		return
	}
	before.Close()
	select {
	case <-before.ended:
	case <-b.ctx.Done():
	}
}

// refuse counts and tells who is not let in, and why.
func (b *Broker) refuse(c *conn, why string, args ...any) {
	b.Refused.Inc()
	b.o.Log.Warn("broker: refused: "+why, append([]any{"client", c.name, "from", c.from()}, args...)...)
}

// errNo is what mochi-mqtt is told when a hook has said no.
var errNo = packets.ErrRejectPacket

// serve gives a connection whose client is known to the broker.
func (b *Broker) serve(c *conn) {
	b.mu.Lock()
	if b.ctx.Err() != nil || len(b.conns) >= b.o.Limits.Connections {
		b.mu.Unlock()
		b.refuse(c, "too many connections")
		c.Close()
		return
	}
	b.conns[c] = true
	c.ended = make(chan struct{})
	b.mu.Unlock()
	// A connection that does not say who it is soon is none.
	_ = c.SetDeadline(time.Now().Add(patience)) // the same error comes when reading
	err := b.converse(c)
	c.Close()
	b.mu.Lock()
	delete(b.conns, c)
	if b.names[c.name] == c {
		delete(b.names, c.name)
	}
	b.mu.Unlock()
	close(c.ended)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		b.o.Log.Debug("broker: connection ended", "client", c.name, "error", err)
	}
}
