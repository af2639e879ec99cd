// Package service is one service instance of a pool: it volunteers to devices,
// keeps what its devices report, gives them settings and releases, and runs
// methods on them. Several instances share the devices of their pool.
//
// Nothing that matters lives here. Devices report, and this instance desires, in
// retained documents at the broker; what is in memory is read from there after
// each connection, and a new instance learns all of it the same way. Every
// instance reads the reports of all devices of the pool, so each can show the
// whole fleet; it writes only what bears its name.
//
// What goes about between the instances of a pool, below aerie-pool/POOL:
//
//	SERVICE/beat      that it is there; not retained
//	SERVICE/order     what an owner ordered of the rollout; retained
//	SERVICE/call/ID   a method to be run by the partner of a device
//	SERVICE/answer/ID its result
//	rollout           the document of package rollout; retained
//
// The connection is that of package link, pages and commands those of package
// page.
//
// Proof: service_test.go (several instances and simulated devices at the real
// broker: pairing, take-over, settings, methods, rollouts), hostile_test.go
// (everything that is malformed, foreign, replayed or too much), lease_test.go
// (who drives, with instances that die), and FuzzMessage.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"aerie/cmd/aerie-fleet/link"
	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/clock"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
	"aerie/receiver/metric"
)

// Options make a Service.
type Options struct {
	ID   string // UUID, the same after each start
	Run  string // UUID, new with each start
	Pool string
	Root string // property of the pairing process; empty is the default
	Link link.Options
	Log  *slog.Logger
	// Now is the local clock, Wall that of documents; nil are the machine's.
	Now    func() clock.Time
	Wall   func() time.Time
	Random *rand.Rand
	Lease  Lease
}

// Service is one instance. Run makes it work.
type Service struct {
	Messages metric.Counter // that arrived
	Sent     metric.Counter
	Ignored  metric.Counter // messages that were refused

	o       Options
	pairing *pairing.Service
	events  chan func()
	changes *changes

	// All below belongs to the loop of Run.
	sender  link.Sender // nil without a connection
	ready   bool        // the documents of this connection were read
	devices map[string]*device
	calls   map[string]*call // of methods, without an answer yet
	lease   lease
	rollout rollout.Rollout
	pending pending // the version of the rollout that was sent and did not come back
	orders  map[string]rollout.Order
	ordered *ordered
	seen    map[string]clock.Time // complaints, so that none fills the log
	barrier int64
	silent  bool // those whose presence is not told count as offline
}

// New makes a service.
func New(o Options) (*Service, error) {
	if !pairing.ValidService(o.ID) || !pairing.ValidService(o.Run) {
		return nil, errors.New("service: its id and run are no UUIDs")
	}
	if o.Pool == "" || len(o.Pool) > 64 || strings.ContainsAny(o.Pool, "/+#\x00") {
		return nil, errors.New("service: a pool is 1 to 64 bytes without / + #")
	}
	if o.Root == "" {
		o.Root = pairing.DefaultRoot
	}
	if o.Now == nil {
		o.Now = clock.Now
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Random == nil {
		o.Random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	o.Lease = o.Lease.orDefault()
	o.Link.ClientID, o.Link.Log = o.ID, o.Log
	o.Link.Subscriptions = []string{wire.ReportedFilter(), wire.PresenceFilter(), wire.DesiredFilter(), wire.ResultFilter(o.ID), poolTopic(o.Pool, "#")}
	return &Service{
		o:       o,
		pairing: pairing.NewService(pairing.ServiceOptions{ID: o.ID, Pool: o.Pool, Random: o.Random}),
		events:  make(chan func(), 256),
		changes: newChanges(),
		devices: map[string]*device{},
		calls:   map[string]*call{},
		lease:   lease{o: o.Lease, id: o.ID, heard: map[string]clock.Time{}},
		orders:  map[string]rollout.Order{},
		seen:    map[string]clock.Time{},
	}, nil
}

// ID names the instance.
func (s *Service) ID() string { return s.o.ID }

// Pool names its pool.
func (s *Service) Pool() string { return s.o.Pool }

func poolTopic(pool, rest string) string { return "aerie-pool/" + pool + "/" + rest }

func (s *Service) topic(rest string) string { return poolTopic(s.o.Pool, s.o.ID+"/"+rest) }

// Run works until the context ends.
func (s *Service) Run(ctx context.Context) {
	linked := make(chan struct{})
	go func() {
		defer close(linked)
		link.Run(ctx, s.o.Link, handler{s, ctx})
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case event := <-s.events:
			event()
		case <-tick.C:
			s.tick(s.o.Now())
		case <-linked:
			return
		}
	}
}

// handler hands to the loop what the link tells.
type handler struct {
	s   *Service
	ctx context.Context
}

func (h handler) post(f func()) {
	select {
	case h.s.events <- f:
	case <-h.ctx.Done():
	}
}

func (h handler) Connected(sender link.Sender) { h.post(func() { h.s.connected(sender) }) }
func (h handler) Lost(error)                   { h.post(h.s.lost) }
func (h handler) Message(topic string, payload []byte, kept bool) {
	h.post(func() { h.s.message(h.s.o.Now(), topic, payload, kept) })
}

// ErrEnded is returned when the service ends meanwhile.
var ErrEnded = errors.New("service: it has ended")

// do runs f in the loop and waits for its end.
func (s *Service) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case s.events <- func() { f(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connected begins a connection: what the broker keeps is read first. What this
// instance publishes to itself comes back after it.
func (s *Service) connected(sender link.Sender) {
	s.sender, s.ready = sender, false
	s.lease.connected(s.o.Now())
	s.pending = pending{}
	for _, d := range s.devices {
		d.kept, d.past = 0, false
		d.told = false // the broker may be another by now
	}
	s.silent = false
	s.barrier++
	s.beat(s.o.Now(), s.barrier)
}

func (s *Service) lost() {
	s.sender, s.ready = nil, false
	s.lease.lost()
	s.changes.note()
}

// read ends the reading: the broker is told what it has forgotten.
func (s *Service) read() {
	s.ready = true
	for id, d := range s.devices {
		if !d.known && len(d.others) == 0 {
			delete(s.devices, id) // of another pool
			continue
		}
		if d.writer.Document().Version > d.kept {
			s.publish(d, d.writer.Document())
		}
		s.desire(d)
	}
	if s.ordered != nil {
		s.sendOrder()
	}
	s.o.Log.Info("service: ready", "pool", s.o.Pool, "devices", s.pairing.Known())
	s.changes.note()
}

func (s *Service) tick(now clock.Time) {
	if !s.ready {
		if s.sender != nil && s.lease.beatDue(now) {
			s.beat(now, s.barrier) // the first may have been overtaken
		}
		return
	}
	if at, ok := s.pairing.Next(); ok && at <= now {
		s.act(s.pairing.Tick(now))
	}
	if s.lease.beatDue(now) {
		s.beat(now, s.barrier)
	}
	s.missing(now)
	s.expire(now)
	s.drive(now)
}

// send sends a message, if there is a connection.
func (s *Service) send(m wire.Message, done func(error)) {
	if s.sender == nil {
		if done != nil {
			done(link.ErrLost)
		}
		return
	}
	s.Sent.Inc()
	s.sender.Send(m, done)
}

// message takes a message of the broker.
func (s *Service) message(now clock.Time, topic string, payload []byte, kept bool) {
	s.Messages.Inc()
	var err error
	if rest, ok := strings.CutPrefix(topic, poolTopic(s.o.Pool, "")); ok {
		err = s.ofPool(now, rest, payload)
	} else {
		err = s.ofDevice(now, topic, payload, kept)
	}
	if err != nil && !pairing.Ignored(err) {
		s.complain(now, topic, err)
	}
}

// complain writes about a message that was refused, once a minute for each topic.
func (s *Service) complain(now clock.Time, topic string, err error) {
	s.Ignored.Inc()
	const pause, most = time.Minute, 1000
	if at, ok := s.seen[topic]; ok && now < at.Add(pause) {
		return
	}
	if len(s.seen) >= most {
		clear(s.seen)
	}
	s.seen[topic] = now
	if len(topic) > 200 {
		topic = topic[:200]
	}
	s.o.Log.Warn("service: refused a message", "topic", topic, "error", err)
}

// beat tells the others of the pool, and this instance itself, that it is there.
func (s *Service) beat(now clock.Time, barrier int64) {
	s.lease.beaten(now)
	mine := 0
	for _, d := range s.devices {
		if s.pairing.Mine(d.id) {
			mine++
		}
	}
	b, err := json.Marshal(beat{Run: s.o.Run, Number: barrier, Devices: mine})
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	s.send(wire.Message{Topic: s.topic("beat"), Payload: b, QoS: 1}, nil)
}

// beat is what an instance says of itself.
type beat struct {
	Run     string `json:"run"`
	Number  int64  `json:"number"`
	Devices int    `json:"devices"`
}

// equal tells whether settings are alike.
func equal(a, b twin.Settings) bool { return twin.Equal(a.Object(), b.Object()) }
