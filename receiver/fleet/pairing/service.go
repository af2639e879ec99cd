package pairing

import (
	"container/heap"
	"errors"
	"math/rand/v2"
	"time"

	"aerie/receiver/clock"
)

// volunteerPause is the shortest between two offers to one device: a device
// that floods is offered no more.
const volunteerPause = 10 * time.Second

// maxDevices bounds how many devices a service knows when its options do not.
const maxDevices = 100_000

// ServiceOptions is what a Service is made of.
type ServiceOptions struct {
	ID   string // UUID of this instance
	Pool string // only devices that ask for it are its business
	// Random spreads what is sent over time.
	Random *rand.Rand
	// MaxDevices is how many devices it will know; 0 is 100,000.
	MaxDevices int
}

// Kind is what an Action is.
type Kind int

// Kinds of actions: the first two are to be sent, the others are news.
const (
	Offer     Kind = iota // write Volunteer into the desired half
	Heartbeat             // send a sign of life
	Chosen                // the device is this service's now
	Unpaired              // it has left: stop working with it
	Lost                  // it has been offline for Lease: stop, until it is Chosen again
)

func (k Kind) String() string {
	return [...]string{"offer", "heartbeat", "chosen", "unpaired", "lost"}[k]
}

// Action is what a Service has to do, or to know.
type Action struct {
	Kind   Kind
	Device string
	Volunteer
}

// Service is the service's side. It belongs to one goroutine.
type Service struct {
	o       ServiceOptions
	devices map[string]*acquaintance
	due     dues
}

// acquaintance is a device as a Service knows it.
type acquaintance struct {
	id       string
	reported Reported
	mine     bool // this service works with it
	offline  bool
	since    clock.Time // when it went offline
	offered  clock.Time // when it was offered the last time
	at       clock.Time // when something is due
	index    int        // in the queue; -1 when nothing is
}

// NewService makes a Service that knows no device yet.
func NewService(o ServiceOptions) *Service {
	if o.MaxDevices == 0 {
		o.MaxDevices = maxDevices
	}
	return &Service{o: o, devices: map[string]*acquaintance{}}
}

// Reported takes what a device reports. Actions are news; the error says why
// it is none of this service's business.
func (s *Service) Reported(now clock.Time, device string, r Reported) ([]Action, error) {
	a := s.devices[device]
	if r.Pool != s.o.Pool {
		if a == nil {
			return nil, ErrPool
		}
		return s.drop(a), ErrPool // it has moved
	}
	if a == nil {
		if len(s.devices) >= s.o.MaxDevices {
			return nil, ErrTooMany
		}
		a = &acquaintance{id: device, index: -1, offered: now.Add(-volunteerPause)}
		s.devices[device] = a
	}
	before := a.reported
	a.reported = r
	return s.look(now, a, before), nil
}

// look decides what follows from what a device reports.
func (s *Service) look(now clock.Time, a *acquaintance, before Reported) (news []Action) {
	switch {
	case a.reported.Service == s.o.ID:
		if a.mine && before.RunID == a.reported.RunID {
			return nil
		}
		a.mine = true
		s.schedule(a, now.Add(s.within(HeartbeatEvery/3)))
		return s.act(Chosen, a)
	case a.mine:
		a.mine = false
		news = s.act(Unpaired, a)
		s.unschedule(a)
	}
	switch {
	case a.reported.Service != "" || a.offline:
		s.unschedule(a) // somebody else's, or not there
	case a.index < 0:
		if before.RunID != a.reported.RunID {
			a.offered = now.Add(-volunteerPause) // nobody has offered to this run
		}
		s.schedule(a, max(now, a.offered.Add(volunteerPause)).Add(s.within(Jitter)))
	}
	return news
}

// Presence notes whether a device is connected, where that is known.
func (s *Service) Presence(now clock.Time, device string, online bool) []Action {
	a := s.devices[device]
	if a == nil || a.offline == !online {
		return nil
	}
	a.offline, a.since = !online, now
	switch {
	case online && a.reported.Service == s.o.ID && a.mine:
		return nil // it was not missed
	case online:
		return s.look(now, a, a.reported)
	case !a.mine:
		s.unschedule(a)
	}
	return nil
}

// Forget drops a device that exists no more. It tells if the service worked
// with it.
func (s *Service) Forget(device string) []Action {
	if a := s.devices[device]; a != nil {
		return s.drop(a)
	}
	return nil
}

func (s *Service) drop(a *acquaintance) (news []Action) {
	if a.mine {
		news = s.act(Unpaired, a)
	}
	s.unschedule(a)
	delete(s.devices, a.id)
	return news
}

// Tick returns what is due.
func (s *Service) Tick(now clock.Time) (all []Action) {
	for len(s.due) > 0 && s.due[0].at <= now {
		a := s.due[0]
		switch {
		case a.mine && a.offline && now >= a.since.Add(Lease):
			a.mine = false
			s.unschedule(a)
			all = append(all, s.act(Lost, a)...)
		case a.mine:
			// Two in a row may be lost before the lease is.
			s.schedule(a, now.Add(HeartbeatEvery*5/6+s.within(HeartbeatEvery/6)))
			all = append(all, s.act(Heartbeat, a)...)
		default:
			a.offered = now
			s.unschedule(a)
			all = append(all, s.act(Offer, a)...)
		}
	}
	return all
}

// Next is when Tick has something to do, if ever.
func (s *Service) Next() (at clock.Time, ok bool) {
	if len(s.due) == 0 {
		return 0, false
	}
	return s.due[0].at, true
}

// Mine tells whether the service works with a device.
func (s *Service) Mine(device string) bool {
	a := s.devices[device]
	return a != nil && a.mine
}

// Known is how many devices of the pool it knows.
func (s *Service) Known() int { return len(s.devices) }

func (s *Service) act(k Kind, a *acquaintance) []Action {
	return []Action{{k, a.id, Volunteer{a.reported.RunID, s.o.ID}}}
}

func (s *Service) within(d time.Duration) time.Duration {
	return time.Duration(s.o.Random.Int64N(int64(d) + 1))
}

func (s *Service) schedule(a *acquaintance, at clock.Time) {
	a.at = at
	if a.index < 0 {
		heap.Push(&s.due, a)
	} else {
		heap.Fix(&s.due, a.index)
	}
}

func (s *Service) unschedule(a *acquaintance) {
	if a.index >= 0 {
		heap.Remove(&s.due, a.index)
	}
}

// dues is a heap of the devices for which something is due.
type dues []*acquaintance

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at < d[j].at }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push and Pop are for package heap.
func (d *dues) Push(x any) {
	a := x.(*acquaintance)
	a.index = len(*d)
	*d = append(*d, a)
}

func (d *dues) Pop() any {
	last := len(*d) - 1
	a := (*d)[last]
	(*d)[last] = nil
	a.index = -1
	*d = (*d)[:last]
	return a
}

// Ignored tells whether an error of this package is only a reason to ignore
// something, as happens where several services share a pool.
func Ignored(err error) bool {
	return errors.Is(err, ErrForeignRun) || errors.Is(err, ErrPaired) || errors.Is(err, ErrPool) || errors.Is(err, ErrNotPartner)
}
