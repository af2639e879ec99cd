package clock

import (
	"sync"
	"time"
)

// Sender is the clock of one sender as this machine sees it. It is safe for
// concurrent use: the NTP client and the media streams feed it, the playout
// reads it.
type Sender struct {
	mu      sync.Mutex
	filter  Filter
	est     Estimate
	arrival envelope
	answers uint64
	refused uint64
}

// Exchange takes the four instants of one NTP exchange (see Filter.Add).
func (s *Sender) Exchange(t0 Time, t1, t2 Remote, t3 Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.filter.Add(t0, t1, t2, t3) {
		s.refused++
		return
	}
	s.answers++
	s.est = s.filter.Estimate(t3)
}

// Arrived tells that a packet stamped r arrived at t. It is what the estimate
// rests on as long as the sender answers no NTP request.
func (s *Sender) Arrived(r Remote, t Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset := s.arrival.add(t, t.Sub(Time(r)))
	if s.est.Source != NTP {
		s.est = Estimate{Source: Arrival, Local: t, Remote: Remote(t.Add(-offset))}
	}
}

// Set replaces the estimate by one that was made elsewhere, of another kind of
// clock.
func (s *Sender) Set(e Estimate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.est = e
}

// Estimate returns the present estimate; its Source is None before the first
// answer or packet.
func (s *Sender) Estimate() Estimate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.est
}

// Answers returns how many NTP exchanges were used and how many refused.
func (s *Sender) Answers() (used, refused uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers, s.refused
}

// envelope keeps the smallest of the values of the last ten to twenty
// seconds: the packet that travelled fastest is nearest to the truth, and one
// of long ago says nothing about a clock that drifts.
type envelope struct {
	began          Time
	set            bool
	older, current time.Duration
}

const envelopeSpan = 10 * time.Second

func (e *envelope) add(t Time, v time.Duration) time.Duration {
	switch {
	case !e.set || t.Sub(e.began) > 2*envelopeSpan:
		*e = envelope{began: t, set: true, older: v, current: v}
	case t.Sub(e.began) > envelopeSpan:
		e.began, e.older, e.current = t, e.current, v
	default:
		e.current = min(e.current, v)
	}
	return min(e.older, e.current)
}
