package service

import (
	"time"

	"aerie/receiver/clock"
)

// Lease says by which times one instance of a pool drives its rollout. All
// instances of a pool have the same. The zero value means the defaults.
type Lease struct {
	// Beat is how often an instance says that it is there.
	Beat time.Duration
	// Fresh is how long it may count on what it said, once that came back to
	// it from the broker.
	Fresh time.Duration
	// Settle is how long another must have been silent before its place is
	// taken, and how long a new one listens first. It is longer than Fresh by
	// far more than clocks drift: who loses the lease knows it first.
	Settle time.Duration
}

func (l Lease) orDefault() Lease {
	if l.Beat == 0 {
		l.Beat = 5 * time.Second
	}
	if l.Fresh == 0 {
		l.Fresh = 3 * l.Beat
	}
	if l.Settle == 0 {
		l.Settle = 2 * l.Fresh
	}
	return l
}

// lease decides who drives: of the instances that were heard lately, the one
// with the lowest name. An instance hears itself by way of the broker, so one
// whose connection is dead does not hear itself either.
type lease struct {
	o      Lease
	id     string
	heard  map[string]clock.Time
	since  clock.Time // of the connection
	beats  clock.Time // when the last was sent
	linked bool
}

// maxInstances bounds how many of a pool are listened to.
const maxInstances = 256

func (l *lease) connected(now clock.Time) { l.since, l.linked = now, true }
func (l *lease) lost()                    { l.linked = false; clear(l.heard) }
func (l *lease) beaten(now clock.Time)    { l.beats = now }
func (l *lease) beatDue(now clock.Time) bool {
	return now >= l.beats.Add(l.o.Beat)
}

// hear notes that an instance is there.
func (l *lease) hear(now clock.Time, id string) {
	for other, at := range l.heard {
		if now >= at.Add(10*l.o.Settle) {
			delete(l.heard, other)
		}
	}
	if _, known := l.heard[id]; known || len(l.heard) < maxInstances {
		l.heard[id] = now
	}
}

// drives tells whether this instance drives.
func (l *lease) drives(now clock.Time) bool {
	own, heard := l.heard[l.id]
	if !l.linked || !heard || now >= own.Add(l.o.Fresh) || now < l.since.Add(l.o.Settle) {
		return false
	}
	for id, at := range l.heard {
		if id < l.id && now < at.Add(l.o.Settle) {
			return false
		}
	}
	return true
}

// present are the instances that were heard lately.
func (l *lease) present(now clock.Time) (ids []string) {
	for id, at := range l.heard {
		if now < at.Add(l.o.Settle) {
			ids = append(ids, id)
		}
	}
	return ids
}
