package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/clock"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/wire"
)

// pending is a version of the rollout that was sent and did not come back.
type pending struct {
	version int64
	sent    clock.Time
}

// stepPause is how often the driver looks at the fleet, and patience how long a
// version may take to come back before it is made anew.
const (
	stepPause = time.Second
	patience  = 20 * time.Second
)

// ofPool takes a message of the instances.
func (s *Service) ofPool(now clock.Time, rest string, payload []byte) error {
	if rest == "rollout" {
		return s.followed(payload)
	}
	id, kind, _ := strings.Cut(rest, "/")
	if !pairing.ValidService(id) {
		return fmt.Errorf("%w: of no service", wire.ErrUnknown)
	}
	kind, call, _ := strings.Cut(kind, "/")
	switch kind {
	case "beat":
		var b beat
		if err := json.Unmarshal(payload, &b); err != nil {
			return fmt.Errorf("%w: %v", wire.ErrUnknown, err)
		}
		if id == s.o.ID && b.Run != s.o.Run {
			return errors.New("service: another instance has the same id; give each a folder of its own")
		}
		s.lease.hear(now, id)
		if id == s.o.ID && b.Number == s.barrier && !s.ready && s.sender != nil {
			s.read()
		}
	case "order":
		if len(payload) == 0 {
			delete(s.orders, id)
			return nil
		}
		o, err := rollout.ParseOrder(payload)
		if err != nil {
			return err
		}
		if len(s.orders) < maxInstances || s.orders[id].Number > 0 {
			s.orders[id] = o
		}
	case "call":
		return s.called(id, call, payload)
	case "answer":
		return s.answered(call, payload)
	default:
		return fmt.Errorf("%w: %.40q", wire.ErrUnknown, kind)
	}
	return nil
}

// followed takes a version of the rollout. All instances do what it says from
// here on, the one that made it too.
func (s *Service) followed(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	r, err := rollout.Parse(payload)
	if err != nil {
		return err
	}
	if r.Version >= s.pending.version {
		s.pending = pending{}
	}
	if !r.Newer(s.rollout) {
		// An older one that comes late must not stay at the broker.
		if r.Version < s.rollout.Version && s.ready && s.lease.drives(s.o.Now()) {
			s.propose(s.rollout)
		}
		return nil
	}
	if r.State != s.rollout.State || len(r.Steps) != len(s.rollout.Steps) {
		s.o.Log.Info("service: rollout", "id", r.ID, "state", r.State, "ring", r.Ring, "driver", r.Driver, "reason", r.Reason)
	}
	s.rollout = r
	for _, d := range s.devices {
		s.desire(d)
	}
	if s.ordered != nil && r.Orders[s.o.ID] >= s.ordered.Number {
		s.ordered.heeded()
		s.ordered = nil
	}
	s.changes.note()
	return nil
}

// drive does the next step of the rollout, if it is for this instance to do.
func (s *Service) drive(now clock.Time) {
	if !s.lease.drives(now) || now < s.pending.sent.Add(stepPause) || s.pending.version > 0 && now < s.pending.sent.Add(patience) {
		return
	}
	s.pending.sent = now
	next, changed := s.rollout, false
	if next.Version > 0 && next.Driver != s.o.ID {
		next.TakeOver(s.o.ID)
		s.propose(next)
		return
	}
	var fleet []rollout.Device
	if len(s.orders) > 0 || next.State == rollout.Running {
		fleet = s.fleet()
	}
	for id, o := range s.orders {
		heeded, refusal := next.Heed(s.o.Wall(), s.o.ID, id, o, fleet)
		if refusal != nil {
			s.o.Log.Warn("service: refused an order", "from", id, "order", o.Kind, "error", refusal)
		}
		changed = changed || heeded
	}
	if !changed {
		changed = next.Tick(s.o.Wall(), s.o.ID, fleet)
	}
	if changed {
		s.propose(next)
	}
}

// propose sends a version to the broker. It holds when it comes back.
func (s *Service) propose(next rollout.Rollout) {
	b, err := next.Encode()
	if err != nil {
		s.complain(s.o.Now(), "rollout", err)
		return
	}
	s.pending = pending{next.Version, s.o.Now()}
	s.send(wire.Message{Topic: poolTopic(s.o.Pool, "rollout"), Payload: b, QoS: 1, Retain: true}, nil)
}

// fleet is what a rollout has to know of all devices of the pool.
func (s *Service) fleet() []rollout.Device {
	all := make([]rollout.Device, 0, len(s.devices))
	for _, d := range s.devices {
		if d.known {
			all = append(all, d.forRollout(&s.rollout))
		}
	}
	return all
}

// ordered is an order that waits to be heeded.
type ordered struct {
	rollout.Order
	done chan struct{}
}

func (o *ordered) heeded() { close(o.done) }

// ErrBusy is returned while another order waits.
var ErrBusy = errors.New("service: another order is on its way")

// Order hands an owner's order to the instance that drives, and returns when it
// was heeded. The error tells if it was refused.
func (s *Service) Order(ctx context.Context, kind rollout.Kind, id string, plan *rollout.Plan) error {
	if plan != nil {
		if err := plan.Check(); err != nil {
			return err
		}
	}
	var err error
	var waiting *ordered
	fail := s.do(ctx, func() {
		switch {
		case !s.ready:
			err = ErrNotReady
		case s.ordered != nil:
			err = ErrBusy
		default:
			err = s.possible(kind, id)
		}
		if err != nil {
			return
		}
		number := max(s.rollout.Orders[s.o.ID], s.orders[s.o.ID].Number) + 1
		waiting = &ordered{rollout.Order{Number: number, Kind: kind, ID: id, Plan: plan}, make(chan struct{})}
		s.ordered = waiting
		s.sendOrder()
	})
	if fail != nil || err != nil {
		return orError(fail, err)
	}
	select {
	case <-waiting.done:
	case <-ctx.Done():
		// It stays at the broker and will be heeded when somebody drives.
		return fmt.Errorf("service: nobody has heeded the order yet: %w", ctx.Err())
	}
	return s.do(ctx, func() { err = nil })
}

// possible refuses at once what would be refused later.
func (s *Service) possible(kind rollout.Kind, id string) error {
	r := s.rollout
	if kind == rollout.Start {
		if !r.State.Over() {
			return fmt.Errorf("service: the rollout %s is %s; resume or cancel it first", r.ID, r.State)
		}
		return nil
	}
	_, refusal := r.Heed(s.o.Wall(), s.o.ID, "", rollout.Order{Number: r.Orders[""] + 1, Kind: kind, ID: id}, nil)
	return refusal
}

func (s *Service) sendOrder() {
	b, err := json.Marshal(s.ordered.Order)
	if err != nil {
		s.complain(s.o.Now(), "order", err)
		return
	}
	s.send(wire.Message{Topic: s.topic("order"), Payload: b, QoS: 1, Retain: true}, nil)
}
