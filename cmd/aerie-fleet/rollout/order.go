package rollout

import (
	"fmt"
	"maps"
	"time"
)

// Kind is what an owner wants of a rollout.
type Kind string

// Kinds of orders.
const (
	Start  Kind = "start"
	Pause  Kind = "pause"
	Resume Kind = "resume"
	Cancel Kind = "cancel"
)

// Order is an owner's word, which a service that does not drive hands to the one
// that does. It stays until it was heeded, and is heeded once.
type Order struct {
	Number int64  `json:"number"` // grows with each order of one service
	Kind   Kind   `json:"kind"`
	ID     string `json:"id"`             // of the rollout
	Plan   *Plan  `json:"plan,omitempty"` // of Start
}

// Heed does what a service's owner ordered. It tells whether there is a new
// version: also of an order that was refused, for it must not be tried again.
func (r *Rollout) Heed(now time.Time, driver, service string, o Order, fleet []Device) (changed bool, refusal error) {
	if o.Number <= r.Orders[service] {
		return false, nil
	}
	refusal = r.heed(now, driver, o, fleet)
	orders := maps.Clone(r.Orders)
	if orders == nil {
		orders = map[string]int64{}
	}
	orders[service] = o.Number
	for len(orders) > maxOrders { // of services that are long gone
		oldest := service
		for id, n := range orders {
			if n < orders[oldest] {
				oldest = id
			}
		}
		delete(orders, oldest)
	}
	r.Orders = orders
	r.changed(driver)
	return true, refusal
}

func (r *Rollout) heed(now time.Time, driver string, o Order, fleet []Device) error {
	if o.Kind == Start {
		if o.Plan == nil {
			return fmt.Errorf("%w: none", ErrPlan)
		}
		next, err := New(o.ID, driver, *o.Plan, *r)
		*r = next
		return err
	}
	if o.ID != r.ID {
		return fmt.Errorf("rollout: %q is not the present one", o.ID)
	}
	switch {
	case o.Kind == Pause && r.State == Running:
		r.State, r.Well = Paused, 0
	case o.Kind == Resume && (r.State == Paused || r.State == Halted):
		if r.State == Halted {
			r.Forgiven = r.Count(fleet)[Failed] // those that were late get their time again
		}
		r.State, r.Reason, r.Well, r.Begun = Running, "", 0, now.Unix()
	case o.Kind == Cancel && !r.State.Over():
		r.State, r.Reason, r.Well = Cancelled, "", 0
	default:
		return fmt.Errorf("rollout: %s is not possible, it is %s", o.Kind, r.State)
	}
	return nil
}
