package playout

import "aerie/receiver/clock"

// queueLength is how many decoded pictures wait at most: at 60 a second,
// 100 ms ahead of time, which is what senders do that stamp pictures with the
// instant they are to be shown.
const queueLength = 6

// Pictures holds decoded pictures until they are due. It is bounded: when it
// is full the oldest goes, for the newest is what the sender shows now.
//
// The zero value is ready for use; it is not safe for concurrent use. P is
// whatever stands for a picture.
type Pictures[P any] struct {
	// Drop is called for each picture that will not be shown.
	Drop func(P)

	ring    [queueLength]due[P]
	first   int
	n       int
	Skipped uint64 // a newer one was due as well
	Overrun uint64 // the queue was full
}

type due[P any] struct {
	picture P
	at      clock.Time
}

func (q *Pictures[P]) at(i int) *due[P] { return &q.ring[(q.first+i)%queueLength] }

// Push adds a picture that is due at the given instant. Pictures come in the
// order in which they are shown; one due before its predecessor replaces it.
func (q *Pictures[P]) Push(p P, at clock.Time) {
	for q.n > 0 && q.at(q.n-1).at >= at {
		q.Drop(q.at(q.n - 1).picture)
		q.n--
		q.Skipped++
	}
	if q.n == queueLength {
		q.Drop(q.pop())
		q.Overrun++
	}
	*q.at(q.n) = due[P]{p, at}
	q.n++
}

func (q *Pictures[P]) pop() P {
	d := q.at(0)
	p := d.picture
	*d = due[P]{}
	q.first = (q.first + 1) % queueLength
	q.n--
	return p
}

// Take returns the newest picture that is due at the instant now, and drops
// those before it; ok is false if none is due.
func (q *Pictures[P]) Take(now clock.Time) (p P, ok bool) {
	for q.n > 0 && q.at(0).at <= now {
		if ok {
			q.Drop(p)
			q.Skipped++
		}
		p, ok = q.pop(), true
	}
	return p, ok
}

// Next returns when the next picture is due; ok is false if there is none.
func (q *Pictures[P]) Next() (at clock.Time, ok bool) {
	if q.n == 0 {
		return 0, false
	}
	return q.at(0).at, true
}

// Clear drops all pictures.
func (q *Pictures[P]) Clear() {
	for q.n > 0 {
		q.Drop(q.pop())
	}
}
