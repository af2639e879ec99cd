package rollout

import (
	"encoding/json"
	"errors"
	"fmt"
)

// MaxSize bounds a document in bytes.
const MaxSize = 32 << 10

// Limits of what a document holds beside its plan.
const (
	maxSteps  = 64
	maxOrders = 64
	maxText   = 512
)

// ErrMalformed is wrapped by errors about documents.
var ErrMalformed = errors.New("rollout: malformed document")

// Parse reads a document.
func Parse(b []byte) (r Rollout, err error) {
	if len(b) > MaxSize {
		return r, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Rollout{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	switch r.State {
	case Running, Paused, Halted, Cancelled, Done, "":
	default:
		return Rollout{}, fmt.Errorf("%w: state %.40q", ErrMalformed, r.State)
	}
	if r.Version <= 0 || len(r.Steps) > maxSteps || len(r.Orders) > maxOrders || len(r.Reason) > maxText || len(r.ID) > 64 || len(r.Driver) > 64 {
		return Rollout{}, fmt.Errorf("%w: version, steps or texts", ErrMalformed)
	}
	if r.State == "" {
		return r, nil // nothing but orders that were refused
	}
	if err := r.Check(); err != nil {
		return Rollout{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if r.Ring < -1 || r.Ring >= len(r.Rings) || r.Ring >= 0 && len(r.Steps) == 0 {
		return Rollout{}, fmt.Errorf("%w: ring %d", ErrMalformed, r.Ring)
	}
	for i, s := range r.Steps {
		if s.Number != i+1 || s.Ring < 0 || s.Ring >= len(r.Rings) || i > 0 && s.Ring <= r.Steps[i-1].Ring {
			return Rollout{}, fmt.Errorf("%w: step %d", ErrMalformed, i+1)
		}
	}
	return r, nil
}

// Encode writes a document.
func (r *Rollout) Encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("rollout: %w", err)
	}
	return b, nil
}

// ParseOrder reads an order.
func ParseOrder(b []byte) (o Order, err error) {
	if len(b) > MaxSize {
		return o, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return Order{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if o.Number <= 0 || o.ID == "" || len(o.ID) > 64 {
		return Order{}, fmt.Errorf("%w: an order without a number or a name", ErrMalformed)
	}
	return o, nil
}

// Newer tells whether a document takes the place of another. Two of one version
// can only come from two services that each believed to drive; then all have to
// agree on one of them.
func (r *Rollout) Newer(than Rollout) bool {
	return r.Version > than.Version || r.Version == than.Version && r.Driver > than.Driver
}
