package playout

import (
	"slices"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// Delay is how long after a sender's stamp its picture is shown and its sound
// is heard. It follows how late pictures become ready: up at once when many
// are late, down slowly. It is safe for concurrent use.
type Delay struct {
	// Min and Max bound the delay. Max zero is 250 ms.
	Min, Max time.Duration

	mu     sync.Mutex
	window [delayWindow]time.Duration
	n      int
	sorted [delayWindow]time.Duration
	value  time.Duration
	set    bool
	moved  clock.Time
}

const (
	delayWindow = 128 // pictures: 2 s at 60 a second
	// Of the pictures of the window, this part is ready in time; waiting for
	// the rest would make all others late.
	delayQuantile = 0.95
	// What scheduling adds after readiness was measured.
	delayMargin = time.Millisecond
	// The delay shrinks by 1/delayDecay of the time that passes: sound
	// follows by resampling, which must not be heard.
	delayDecay    = 500
	delayMaxUsual = 250 * time.Millisecond
	firstLook     = 8 // pictures
)

// Ready tells that the picture stamped at the local instant stamp was ready
// to be shown at the instant ready.
func (d *Delay) Ready(stamp, ready clock.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	late := ready.Sub(stamp)
	d.window[d.n%delayWindow] = late
	d.n++
	if d.n%firstLook != 0 {
		return
	}
	n := min(d.n, delayWindow)
	s := d.sorted[:n]
	copy(s, d.window[:n])
	slices.Sort(s)
	target := d.clamp(s[int(delayQuantile*float64(n-1)+0.5)] + delayMargin)
	switch {
	case !d.set || target > d.value:
		d.value, d.set = target, true
	default:
		fall := min(ready.Sub(d.moved)/delayDecay, d.value-target)
		d.value -= max(fall, 0)
	}
	d.moved = ready
}

func (d *Delay) clamp(v time.Duration) time.Duration {
	high := d.Max
	if high == 0 {
		high = delayMaxUsual
	}
	return min(max(v, d.Min, 0), high)
}

// Value returns the delay; the least there can be before the first pictures.
func (d *Delay) Value() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.set {
		return d.clamp(0)
	}
	return d.value
}

// Reset forgets everything, for a new session.
func (d *Delay) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n, d.set, d.value = 0, false, 0
}
