package service

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/twin"
)

// Status is how a device is, in a word.
type Status string

// Ways that a device can be in, the ones to look at first.
const (
	Trouble  Status = "trouble"  // it went back, is too hot or had an error
	Offline  Status = "offline"  // it is not connected
	Unpaired Status = "unpaired" // it is connected and has no partner
	Updating Status = "updating" // it runs a release that it has not confirmed
	Good     Status = "good"
)

var order = map[Status]int{Trouble: 0, Offline: 1, Unpaired: 2, Updating: 3, Good: 4}

// hot is the temperature above which a Raspberry Pi slows down, in °C.
const hot = 80

// Row is a device in a table.
type Row struct {
	ID       string           `json:"id"`
	Status   Status           `json:"status"`
	Why      string           `json:"why,omitempty"` // of Trouble
	Partner  string           `json:"partner,omitempty"`
	Mine     bool             `json:"mine"`
	Seen     time.Time        `json:"seen"`
	Progress rollout.Progress `json:"progress,omitempty"`
	Health   content.Health   `json:"health"`
}

// Detail is one device with all that is known of it.
type Detail struct {
	Row
	Run      string                          `json:"run"`
	Settings map[string]twin.Acknowledgement `json:"settings,omitempty"`
	Desired  twin.Settings                   `json:"desired,omitempty"`
}

// Query asks for a part of the fleet.
type Query struct {
	Search string // in id, name, version, board and error
	Status Status // empty is any
	Sort   string // id, name, version, temperature, seen; empty is by status
	Offset int
	Limit  int
}

// maxRows bounds an answer.
const maxRows = 500

// Page is the answer.
type Page struct {
	Total   int            `json:"total"`   // devices of the pool
	Matched int            `json:"matched"` // of them that were asked for
	Counts  map[Status]int `json:"counts"`  // of all, by status
	Rows    []Row          `json:"rows"`
}

// Overview is what there is beside the devices.
type Overview struct {
	ID        string           `json:"id"`
	Pool      string           `json:"pool"`
	Connected bool             `json:"connected"`
	Instances []string         `json:"instances"`
	Drives    bool             `json:"drives"`
	Total     int              `json:"total"`
	Mine      int              `json:"mine"`
	Counts    map[Status]int   `json:"counts"`
	Versions  map[string]int   `json:"versions"`
	Rollout   *rollout.Rollout `json:"rollout,omitempty"`
	Tally     rollout.Tally    `json:"tally,omitempty"`
	Revision  uint64           `json:"revision"`
}

// status tells how a device is.
func (d *device) status() (Status, string) {
	h := d.report.Health
	switch {
	case h.Rollback != "":
		return Trouble, "went back: " + h.Rollback
	case h.LastError != "":
		return Trouble, h.LastError
	case h.Temperature >= hot:
		return Trouble, "too hot"
	case !d.isOnline():
		return Offline, ""
	case d.report.Pairing.Service == "":
		return Unpaired, ""
	case h.State == content.StateTrial:
		return Updating, ""
	}
	return Good, ""
}

func (s *Service) row(d *device) Row {
	status, why := d.status()
	r := Row{ID: d.id, Status: status, Why: why, Partner: d.report.Pairing.Service, Mine: s.pairing.Mine(d.id), Seen: d.seen, Health: d.report.Health}
	if s.rollout.State != "" {
		r.Progress = s.rollout.Progress(d.forRollout(&s.rollout))
	}
	return r
}

// matches tells whether a device is asked for.
func (q *Query) matches(d *device) bool {
	if q.Search == "" {
		return true
	}
	h := &d.report.Health
	for _, text := range []string{d.id, h.Name, h.Version, h.Board, h.LastError} {
		if strings.Contains(strings.ToLower(text), q.Search) {
			return true
		}
	}
	return false
}

// List returns a part of the fleet.
func (s *Service) List(ctx context.Context, q Query) (p Page, err error) {
	q.Search = strings.ToLower(q.Search)
	if q.Limit <= 0 || q.Limit > maxRows {
		q.Limit = maxRows
	}
	type found struct {
		d      *device
		status Status
	}
	err = s.do(ctx, func() {
		p.Counts = map[Status]int{}
		var all []found
		for _, d := range s.devices {
			if !d.known {
				continue
			}
			p.Total++
			status, _ := d.status()
			p.Counts[status]++
			if (q.Status == "" || q.Status == status) && q.matches(d) {
				all = append(all, found{d, status})
			}
		}
		p.Matched = len(all)
		slices.SortFunc(all, func(a, b found) int {
			return cmp.Or(byKey(q.Sort, a.d, b.d), cmp.Compare(order[a.status], order[b.status]), cmp.Compare(a.d.id, b.d.id))
		})
		from := min(max(q.Offset, 0), len(all))
		for _, f := range all[from:min(from+q.Limit, len(all))] {
			p.Rows = append(p.Rows, s.row(f.d))
		}
	})
	return p, err
}

func byKey(key string, a, b *device) int {
	x, y := &a.report.Health, &b.report.Health
	switch key {
	case "id":
		return cmp.Compare(a.id, b.id)
	case "name":
		return cmp.Compare(strings.ToLower(x.Name), strings.ToLower(y.Name))
	case "version":
		return cmp.Or(cmp.Compare(x.Counter, y.Counter), cmp.Compare(x.Version, y.Version))
	case "temperature":
		return cmp.Compare(y.Temperature, x.Temperature)
	case "seen":
		return a.seen.Compare(b.seen)
	}
	return 0
}

// Device returns one device.
func (s *Service) Device(ctx context.Context, id string) (out Detail, err error) {
	fail := s.do(ctx, func() {
		d := s.devices[id]
		if d == nil || !d.known {
			err = ErrNoDevice
			return
		}
		out = Detail{Row: s.row(d), Run: d.report.Pairing.RunID, Settings: d.report.Settings, Desired: d.settings.Join(d.others)}
	})
	return out, orError(fail, err)
}

// Overview returns what there is beside the devices.
func (s *Service) Overview(ctx context.Context) (o Overview, err error) {
	err = s.do(ctx, func() {
		now := s.o.Now()
		o = Overview{ID: s.o.ID, Pool: s.o.Pool, Connected: s.ready, Instances: s.lease.present(now), Drives: s.lease.drives(now),
			Counts: map[Status]int{}, Versions: map[string]int{}, Revision: s.changes.revision()}
		slices.Sort(o.Instances)
		for _, d := range s.devices {
			if !d.known {
				continue
			}
			o.Total++
			status, _ := d.status()
			o.Counts[status]++
			if s.pairing.Mine(d.id) {
				o.Mine++
			}
			if v := d.report.Health.Version; o.Versions[v] > 0 || len(o.Versions) < 50 {
				o.Versions[v]++
			}
		}
		if s.rollout.State != "" {
			r := s.rollout
			o.Rollout, o.Tally = &r, r.Count(s.fleet())
		}
	})
	return o, err
}

// changes tells those that wait that something is different now.
type changes struct {
	mu     sync.Mutex
	number uint64
	next   chan struct{}
}

func newChanges() *changes { return &changes{next: make(chan struct{})} }

func (c *changes) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	close(c.next)
	c.next = make(chan struct{})
}

func (c *changes) revision() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// Changed returns a channel that is closed when something changes.
func (s *Service) Changed() <-chan struct{} {
	s.changes.mu.Lock()
	defer s.changes.mu.Unlock()
	return s.changes.next
}
