package pairing

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/twin"
)

// world is many devices and services around a broker that keeps the last
// document of every writer, with a network that loses, doubles and delays.
type world struct {
	t        *testing.T
	r        *rand.Rand
	now      time.Duration // true time, that nobody knows
	devices  []*simDevice
	services []*simService
	retained map[string]twin.Document // by writer and, of services, device
	flying   []flight
	calm     bool
	wrong    int // times that a message was lost, doubled or overtaken
}

// flight is a message on its way.
type flight struct {
	arrives time.Duration
	deliver func()
}

// simClock is a clock that drifts by up to 2 %, from any zero.
type simClock struct {
	zero time.Duration
	rate float64
}

func (c simClock) at(now time.Duration) clock.Time {
	return clock.Time(float64(c.zero) + c.rate*float64(now))
}

func (w *world) clock() simClock {
	return simClock{time.Duration(w.r.Int64N(int64(time.Hour))), 0.98 + 0.04*w.r.Float64()}
}

type simDevice struct {
	id, pool string
	clock    simClock
	*Device
	run     int
	writer  twin.Writer
	readers map[string]*twin.Reader
	log     []arrival // since its last start
}

// arrival is what the reference model knows of a device: what came, and when.
type arrival struct {
	at        clock.Time
	heartbeat bool
	v         Volunteer
}

type simService struct {
	id, pool string
	clock    simClock
	down     time.Duration // until then; 0 for up
	*Service
	run     int
	writers map[string]*twin.Writer
	readers map[string]*twin.Reader
}

func uuid(kind, n, run int) string { return fmt.Sprintf("%08x-%04x-4000-8000-%012x", kind, n, run) }

func newWorld(t *testing.T, seed uint64, devices, services int) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 0)), retained: map[string]twin.Document{}}
	pool := func(i int) string { return [...]string{"red", "blue"}[i%2] }
	for i := range services {
		s := &simService{id: uuid(1, i, 0), pool: pool(i), clock: w.clock()}
		w.services = append(w.services, s)
		s.down = time.Duration(w.r.Int64N(int64(2 * time.Minute))) // some start late
	}
	for i := range devices {
		d := &simDevice{id: fmt.Sprint("device-", i), pool: pool(i), clock: w.clock()}
		w.devices = append(w.devices, d)
		w.start(d)
	}
	return w
}

// send has a message delivered: late, more than once or never.
func (w *world) send(deliver func()) {
	copies := 1
	if !w.calm {
		switch w.r.IntN(10) {
		case 0, 1:
			copies = 0
		case 2:
			copies = 2
		}
	}
	if copies != 1 {
		w.wrong++
	}
	for range copies {
		delay := time.Duration(w.r.Int64N(int64(50 * time.Millisecond)))
		if !w.calm && w.r.IntN(4) == 0 {
			delay = time.Duration(w.r.Int64N(int64(5 * time.Second))) // overtaken by others
			w.wrong++
		}
		w.flying = append(w.flying, flight{w.now + delay, deliver})
	}
}

// start begins a run of a device.
func (w *world) start(d *simDevice) {
	d.run++
	run := uuid(2, d.run, len(d.id))
	d.Device, d.writer, d.log = NewDevice(d.pool, run), twin.Writer{Run: run}, nil
	d.readers = map[string]*twin.Reader{}
	// What the broker keeps comes first, from all services.
	for _, s := range w.services {
		if doc, ok := w.retained[s.id+d.id]; ok {
			w.send(func() { w.desired(d, s.id, doc) })
		}
	}
}

// startService begins the life of a service that remembers nothing.
func (w *world) startService(s *simService) {
	s.down = 0
	s.run++
	s.Service = NewService(ServiceOptions{ID: s.id, Pool: s.pool, Random: w.r})
	s.writers, s.readers = map[string]*twin.Writer{}, map[string]*twin.Reader{}
	for _, d := range w.devices {
		if doc, ok := w.retained[d.id]; ok {
			w.send(func() { w.reported(s, d.id, doc) })
		}
	}
}

// report publishes what a device reports.
func (w *world) report(d *simDevice, again bool) {
	half := Under(DefaultRoot, d.Device.Reported().Object())
	doc, changed := d.writer.Set(half)
	if !changed && again {
		doc = d.writer.Again(half)
	}
	w.send(func() {
		w.retained[d.id] = doc
		for _, s := range w.services {
			w.send(func() { w.reported(s, d.id, doc) })
		}
	})
}

func (w *world) reported(s *simService, device string, doc twin.Document) {
	if s.down != 0 {
		return
	}
	if s.readers[device] == nil {
		s.readers[device] = &twin.Reader{}
	}
	if !s.readers[device].Take(doc) {
		return
	}
	r, err := ParseReported(doc.Properties, DefaultRoot)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = s.Service.Reported(s.clock.at(w.now), device, r)
}

func (w *world) desired(d *simDevice, service string, doc twin.Document) {
	if d.readers[service] == nil {
		d.readers[service] = &twin.Reader{}
	}
	if !d.readers[service].Take(doc) {
		return
	}
	v, err := ParseVolunteer(doc.Properties, DefaultRoot)
	if err != nil {
		w.t.Fatal(err)
	}
	now := d.clock.at(w.now)
	w.tick(d)
	d.log = append(d.log, arrival{now, false, v})
	if d.Volunteer(now, v) == nil {
		w.report(d, false)
	}
}

func (w *world) tick(d *simDevice) {
	if report, _ := d.Tick(d.clock.at(w.now)); report {
		w.report(d, true)
	}
}

func (w *world) act(s *simService) {
	for _, a := range s.Tick(s.clock.at(w.now)) {
		var d *simDevice
		for _, x := range w.devices {
			if x.id == a.Device {
				d = x
			}
		}
		switch a.Kind {
		case Offer:
			if s.writers[d.id] == nil {
				s.writers[d.id] = &twin.Writer{Run: fmt.Sprint(s.id, s.run)}
			}
			doc := s.writers[d.id].Again(Under(DefaultRoot, a.Volunteer.Object()))
			w.send(func() { w.retained[s.id+d.id] = doc; w.send(func() { w.desired(d, s.id, doc) }) })
		case Heartbeat:
			w.send(func() {
				w.tick(d)
				now := d.clock.at(w.now)
				d.log = append(d.log, arrival{now, true, a.Volunteer})
				_ = d.Device.Heartbeat(now, a.Volunteer)
			})
		}
	}
}

// step lets 100 ms go by.
func (w *world) step() {
	w.now += 100 * time.Millisecond
	for {
		var due []flight
		rest := w.flying[:0:0]
		for _, f := range w.flying {
			if f.arrives <= w.now {
				due = append(due, f)
			} else {
				rest = append(rest, f)
			}
		}
		w.flying = rest
		if len(due) == 0 {
			break
		}
		w.r.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
		for _, f := range due {
			f.deliver()
		}
	}
	for _, d := range w.devices {
		if !w.calm && w.r.IntN(3000) == 0 {
			w.start(d) // a crash
		}
		w.tick(d)
		w.compare(d)
	}
	for i, s := range w.services {
		switch {
		case s.down != 0 && w.now >= s.down:
			w.startService(s)
		case s.down == 0 && !w.calm && w.r.IntN(2000) == 0:
			s.down = w.now + time.Duration(w.r.Int64N(int64(3*time.Minute)))
			if i >= 2 && w.r.IntN(3) == 0 {
				s.down = 1000 * time.Hour // for good; each pool keeps one
			}
		case s.down == 0:
			w.act(s)
		}
	}
}

// partner is the reference model: who is a device's partner after all that has
// come to it in this run?
func (d *simDevice) partner(now clock.Time) (service string) {
	var alive clock.Time
	for _, a := range append(d.log, arrival{at: now}) {
		if a.at.Sub(alive) >= Lease {
			service = ""
		}
		mine := a.v.RunID == d.Device.Reported().RunID
		if mine && (a.heartbeat && a.v.Service == service || !a.heartbeat && service == "") {
			service, alive = a.v.Service, a.at
		}
	}
	return service
}

func (w *world) compare(d *simDevice) {
	if got, want := d.Partner(), d.partner(d.clock.at(w.now)); got != want {
		w.t.Fatalf("at %v %s has partner %q, the model says %q", w.now, d.id, got, want)
	}
}

// settled tells what is not as it should be once all is calm.
func (w *world) settled() error {
	for _, d := range w.devices {
		owners := 0
		for _, s := range w.services {
			if s.down == 0 && s.Mine(d.id) {
				owners++
				if s.id != d.Partner() || s.pool != d.pool {
					return fmt.Errorf("%s of pool %s has partner %s, and %s of pool %s works with it", d.id, d.pool, d.Partner(), s.id, s.pool)
				}
			}
		}
		if owners != 1 {
			return fmt.Errorf("%d services work with %s, whose partner is %q", owners, d.id, d.Partner())
		}
	}
	return nil
}

// Whatever goes wrong, soon after it has stopped every device has exactly one
// partner, of its pool, which works with it; and keeps it.
func TestModel(t *testing.T) {
	wrong := 0
	for seed := range uint64(40) {
		w := newWorld(t, seed, 8, 6)
		for w.now < 8*time.Minute {
			w.step()
		}
		w.calm = true
		var err error
		began := w.now
		for w.now < began+4*time.Minute {
			if w.step(); w.now%time.Second == 0 {
				if err = w.settled(); err == nil {
					break
				}
			}
		}
		if err != nil {
			t.Fatalf("seed %d: %v after it was calm: %v", seed, w.now-began, err)
		}
		partners := map[string]string{}
		for _, d := range w.devices {
			partners[d.id] = d.Partner()
		}
		for range 3000 {
			w.step()
		}
		if err := w.settled(); err != nil {
			t.Fatalf("seed %d: later: %v", seed, err)
		}
		for _, d := range w.devices {
			if d.Partner() != partners[d.id] {
				t.Errorf("seed %d: %s went from %s to %s without need", seed, d.id, partners[d.id], d.Partner())
			}
		}
		wrong += w.wrong
	}
	if wrong < 10_000 {
		t.Errorf("only %d messages went wrong", wrong)
	}
}
