package board

import (
	"context"
	"math"
	"time"
)

// Monitor follows a machine's health.
type Monitor struct {
	// Root and Mailbox are as for Check.
	Root    string
	Mailbox func() (uint32, error)
	// Period is the time between two looks; 10 s if 0.
	Period time.Duration
	// Step is the change of temperature in degrees that is reported; 5 if 0.
	Step float64
	// Wait returns after d, or before with false when ctx is done; nil means
	// a timer. It is the monitor's clock.
	Wait func(ctx context.Context, d time.Duration) bool
}

// Run looks at once and then every Period until ctx is done, and calls changed
// with the first look and whenever the flags have changed or the temperature
// has moved by Step since the last call. The clock rate, which changes all the
// time, is told along but is no reason to call. A source of flags that answers
// no longer is a change as well.
func (m *Monitor) Run(ctx context.Context, changed func(Health)) {
	period, step, wait := m.Period, m.Step, m.Wait
	if period <= 0 {
		period = 10 * time.Second
	}
	if step <= 0 {
		step = 5
	}
	if wait == nil {
		wait = timer
	}
	var last Health
	for first := true; ; first = false {
		h := Check(m.Root, m.Mailbox)
		// What happened once has happened, even if a lesser source forgets.
		h.SinceBoot |= last.SinceBoot | h.Now
		if first || h.differs(last, step) {
			changed(h)
			last = h
		}
		if !wait(ctx, period) {
			return
		}
	}
}

// differs reports whether the change from last to h is worth telling.
func (h Health) differs(last Health, step float64) bool {
	return h.Now != last.Now || h.SinceBoot != last.SinceBoot || h.Power != last.Power || h.Warm != last.Warm ||
		h.Warm && math.Abs(h.Temperature-last.Temperature) >= step
}

func timer(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
