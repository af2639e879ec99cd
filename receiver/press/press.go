// Package press says what the one button of an appliance means: a short press is
// Short, a long one Reset.
//
// Long is ten seconds. Half of that way the light begins to warn; when it is
// over the light asks to let go, and only who does so has everything forgotten.
// So a button that is stuck, or that something leans on, forgets nothing: it is
// ignored until it comes up, and reported once. In between nothing happens, so
// that who thinks better of it just lets go.
//
// It leaves the button to others, and what is done. It has no clock of its own.
//
// Proof: press_test.go (every length of a press, a stuck button, noise without
// end, and random presses against a model).
package press

import (
	"time"

	"aerie/receiver/clock"
)

// Times of a press.
const (
	// ShortTime is how long a short press lasts at most.
	ShortTime = 2 * time.Second
	// WarnTime is when the light begins to warn.
	WarnTime = 5 * time.Second
	// LongTime is when letting go has everything forgotten.
	LongTime = 10 * time.Second
	// StuckTime is when nobody holds a button any longer.
	StuckTime = 30 * time.Second
	// gap is how long a button has to be up between two short presses that
	// count.
	gap = 300 * time.Millisecond
)

// Stage is how far a press is.
type Stage int

// Stages.
const (
	Idle    Stage = iota // the button is up, or its press means nothing
	Pressed              // letting go is a short press, if it is soon
	Warned               // held on, it will be a long one
	Armed                // letting go now is a long one
	Stuck                // it has been down for too long
)

func (s Stage) String() string { return [...]string{"idle", "pressed", "warned", "armed", "stuck"}[s] }

// Event is what a press means.
type Event int

// Events.
const (
	None Event = iota
	Short
	Reset
)

// Button is the meaning of one button. Its methods belong to one goroutine, with
// instants that do not go back.
type Button struct {
	stage Stage
	down  clock.Time // since when; only while it is not Idle
	last  clock.Time // when a short press was over that counted; 0: never
}

// Stage is how far the press is.
func (b *Button) Stage() Stage { return b.stage }

// Change takes note that the button is down, or up.
func (b *Button) Change(now clock.Time, down bool) Event {
	if down {
		if b.stage == Idle {
			b.stage, b.down = Pressed, now
		}
		return None
	}
	b.Tick(now)
	was, held := b.stage, now.Sub(b.down)
	b.stage = Idle
	switch {
	case was == Armed:
		return Reset
	case was == Pressed && held <= ShortTime && (b.last == 0 || b.down.Sub(b.last) >= gap):
		b.last = now
		return Short
	}
	return None
}

// steps are the stages that holding on leads to.
var steps = map[Stage]struct {
	after time.Duration
	next  Stage
}{Pressed: {WarnTime, Warned}, Warned: {LongTime, Armed}, Armed: {StuckTime, Stuck}}

// Tick takes note of the time.
func (b *Button) Tick(now clock.Time) {
	for s, ok := steps[b.stage]; ok && now.Sub(b.down) >= s.after; s, ok = steps[b.stage] {
		b.stage = s.next
	}
}

// Due is when Tick is to be called; ok is false if there is nothing to wait for.
func (b *Button) Due() (at clock.Time, ok bool) {
	s, ok := steps[b.stage]
	return b.down.Add(s.after), ok
}
