package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/wire"
)

// Why a device cannot be asked.
var (
	ErrNoDevice  = errors.New("service: there is no such device")
	ErrNotReady  = errors.New("service: not connected to the broker")
	ErrNoPartner = errors.New("service: the device has no partner now")
	ErrNoAnswer  = errors.New("service: the device does not answer")
	ErrTooMany   = errors.New("service: too many calls at once")
)

const (
	maxCalls = 1000
	// callPatience is how long a method may take; devices stop at half of it.
	callPatience = 30 * time.Second
)

// call is a method without an answer yet.
type call struct {
	ends   clock.Time
	result func(status int, payload []byte, err error)
}

// Result is what a method came to.
type Result struct {
	Status  int             `json:"status"` // as in HTTP
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Call runs a method on a device, by way of the instance that is its partner.
func (s *Service) Call(ctx context.Context, id, method string, argument []byte) (Result, error) {
	type answer struct {
		Result
		err error
	}
	answers := make(chan answer, 1)
	result := func(status int, payload []byte, err error) {
		if !json.Valid(payload) {
			payload = nil
		}
		answers <- answer{Result{status, payload}, err}
	}
	if len(argument) > wire.MaxCall {
		return Result{}, fmt.Errorf("service: an argument of %d bytes", len(argument))
	}
	err := s.do(ctx, func() { s.call(id, method, argument, result) })
	if err != nil {
		return Result{}, err
	}
	select {
	case a := <-answers:
		return a.Result, a.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// call asks the device if it is this instance's, or else its partner.
func (s *Service) call(id, method string, argument []byte, result func(int, []byte, error)) {
	d := s.devices[id]
	rid, err := pairing.NewID(randomBytes{s.o.Random})
	switch {
	case err != nil:
	case d == nil || !d.known:
		err = ErrNoDevice
	case !s.ready:
		err = ErrNotReady
	case len(s.calls) >= maxCalls:
		err = ErrTooMany
	case d.report.Pairing.Service == "":
		err = ErrNoPartner
	}
	if err != nil {
		result(0, nil, err)
		return
	}
	s.calls[rid] = &call{s.o.Now().Add(callPatience), result}
	if s.pairing.Mine(id) {
		topic := wire.Topic{Kind: wire.TopicMethod, Device: id, Service: s.o.ID, Name: method, ID: rid}
		s.send(wire.Message{Topic: topic.String(), Payload: argument, QoS: 1}, nil)
		return
	}
	b, err := json.Marshal(relayed{To: d.report.Pairing.Service, Device: id, Method: method, Argument: argument})
	if err != nil {
		result(0, nil, fmt.Errorf("service: the argument is not JSON: %w", err))
		return
	}
	s.send(wire.Message{Topic: s.topic("call/" + rid), Payload: b, QoS: 1}, nil)
}

// relayed is a call for the device of another instance.
type relayed struct {
	To       string          `json:"to"`
	Device   string          `json:"device"`
	Method   string          `json:"method"`
	Argument json.RawMessage `json:"argument,omitempty"`
}

// returned is the answer to it.
type returned struct {
	To      string          `json:"to"`
	Status  int             `json:"status"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// called runs a method for another instance.
func (s *Service) called(from, rid string, payload []byte) error {
	var r relayed
	if err := json.Unmarshal(payload, &r); err != nil || len(payload) > wire.MaxCall+1024 || len(rid) > 64 {
		return fmt.Errorf("%w: a call", wire.ErrUnknown)
	}
	if r.To != s.o.ID || from == s.o.ID || !s.pairing.Mine(r.Device) {
		return nil
	}
	s.call(r.Device, r.Method, r.Argument, func(status int, payload []byte, err error) {
		out := returned{To: from, Status: status}
		if json.Valid(payload) {
			out.Payload = payload
		}
		if err != nil {
			out.Error = err.Error()
		}
		b, err := json.Marshal(out)
		if err == nil {
			s.send(wire.Message{Topic: s.topic("answer/" + rid), Payload: b, QoS: 1}, nil)
		}
	})
	return nil
}

// answered takes the answer of another instance.
func (s *Service) answered(rid string, payload []byte) error {
	var r returned
	if err := json.Unmarshal(payload, &r); err != nil || len(payload) > wire.MaxResult+1024 {
		return fmt.Errorf("%w: an answer", wire.ErrUnknown)
	}
	if c := s.calls[rid]; c != nil && r.To == s.o.ID {
		delete(s.calls, rid)
		var err error
		if r.Error != "" {
			err = errors.New(r.Error)
		}
		c.result(r.Status, r.Payload, err)
	}
	return nil
}

// result takes the answer of a device. One that nobody waits for is late.
func (s *Service) result(t wire.Topic, payload []byte) {
	if c := s.calls[t.ID]; c != nil && t.Service == s.o.ID && len(payload) <= wire.MaxResult {
		delete(s.calls, t.ID)
		c.result(t.Status, payload, nil)
	}
}

// expire ends the calls that take too long.
func (s *Service) expire(now clock.Time) {
	for rid, c := range s.calls {
		if now >= c.ends {
			delete(s.calls, rid)
			c.result(0, nil, ErrNoAnswer)
		}
	}
}
