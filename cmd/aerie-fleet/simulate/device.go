package simulate

import (
	"net"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// Fate is what becomes of an update on a device.
type Fate int

// Fates of updates.
const (
	Works Fate = iota
	GoesBack
	NeverComesBack
)

// Device is a receiver. Its disk, which is what it installed and acknowledged,
// outlives its starts; its run does not.
type Device struct {
	f  *Fleet
	ID string

	mu       sync.Mutex
	run      string
	pairing  *pairing.Device
	wire     *wire.Portable
	client   *Client
	health   content.Health
	acks     map[string]twin.Acknowledgement
	desired  twin.Settings
	partner  string // whose half desired is
	ready    clock.Time
	due      content.Release
	reported clock.Time
	paired   clock.Time // when it was chosen first in this run
	changed  bool
	pinged   clock.Time

	installs map[int64]int
	partners int // times that it has got a partner
	calls    map[string]int
}

// start begins a run.
func (d *Device) start() {
	run, err := pairing.NewID(d.f.random())
	if err != nil {
		panic(err) // the source of randomness is our own
	}
	d.run = run
	d.pairing, d.wire = pairing.NewDevice(d.f.o.Pool, run), wire.NewPortable(d.ID, run)
	d.partner, d.desired, d.paired, d.changed = "", nil, 0, true
}

// Restart ends the run of the device as a power cut does, and begins another.
func (d *Device) Restart() {
	d.mu.Lock()
	c := d.client
	d.start()
	d.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// Cut ends its connection; it comes back.
func (d *Device) Cut() {
	d.mu.Lock()
	c := d.client
	d.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// Partner is the service that it has chosen, "" for none.
func (d *Device) Partner() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pairing.Partner()
}

// Installs is how often it has installed a release.
func (d *Device) Installs(counter int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.installs[counter]
}

// Setting is the value that it acts upon, as its partner desires.
func (d *Device) Setting(name string) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acks[name].Value
}

// Calls is how often a method was run.
func (d *Device) Calls(method string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[method]
}

// Change changes its health and reports it.
func (d *Device) Change(f func(*content.Health)) {
	d.mu.Lock()
	f(&d.health)
	d.changed = true
	d.mu.Unlock()
}

// live connects and listens until the fleet ends.
func (d *Device) live() {
	pause := 100 * time.Millisecond
	for d.f.ctx.Err() == nil {
		if d.connect() == nil {
			pause = 100 * time.Millisecond
		} else {
			d.f.failures.Add(1)
		}
		select {
		case <-d.f.ctx.Done():
			return
		case <-time.After(pause/2 + time.Duration(d.f.number(int64(pause)))):
		}
		pause = min(2*pause, d.f.o.LastPause)
	}
}

// connect holds one connection.
func (d *Device) connect() error {
	conn, err := d.f.o.Dial(d.ID)
	if err != nil {
		return err
	}
	d.mu.Lock()
	w := d.wire
	will, _ := w.Will()
	d.mu.Unlock()
	c, err := Connect(conn, Login{Name: d.ID, User: d.f.o.User, WillTopic: will.Topic, Will: will.Payload, KeepAlive: d.f.o.KeepAlive})
	if err != nil {
		return err
	}
	d.mu.Lock()
	if d.wire != w { // it was started again meanwhile
		d.mu.Unlock()
		return c.Close()
	}
	d.client = c
	_, err = c.Subscribe(w.Subscriptions()...)
	for _, m := range w.Connected(d.f.now()) {
		d.send(m)
	}
	d.mu.Unlock()
	if err != nil {
		return c.Close()
	}
	defer func() {
		d.mu.Lock()
		if d.client == c {
			d.client = nil
		}
		d.mu.Unlock()
	}()
	if err := c.Run(func(topic string, payload []byte) { d.receive(w, topic, payload) }); d.f.ctx.Err() != nil {
		return net.ErrClosed
	} else if err != nil {
		return nil // it was connected
	}
	return nil
}

func (d *Device) send(m wire.Message) {
	if d.client != nil {
		d.f.sent.Add(1)
		d.client.Publish(m.Topic, m.Payload, m.Retain) // a connection that is dead ends by itself
	}
}

// receive does what a service says.
func (d *Device) receive(w *wire.Portable, topic string, payload []byte) {
	d.f.received.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wire != w {
		return
	}
	now := d.f.now()
	events, out, err := w.Receive(now, topic, payload)
	if err != nil {
		d.f.errors.Add(1)
	}
	for _, m := range out {
		d.send(m)
	}
	for _, e := range events {
		switch e := e.(type) {
		case wire.Desired:
			d.desire(now, e)
		case wire.Heartbeat:
			if d.pairing.Heartbeat(now, e.Volunteer) == nil {
				d.f.heartbeats.Add(1)
			}
		case wire.Call:
			if e.Service != d.pairing.Partner() {
				d.send(w.Answer(e, 403, []byte(`{"error":"not the partner"}`)))
				continue
			}
			d.calls[e.Name]++
			d.send(w.Answer(e, 200, []byte(`{}`)))
		}
	}
}

func (d *Device) desire(now clock.Time, e wire.Desired) {
	if v, err := pairing.ParseVolunteer(e.Properties, d.f.o.Root); err == nil && v.Service == e.Service {
		if d.pairing.Volunteer(now, v) == nil {
			d.partners++
			if d.paired == 0 {
				d.paired = now
			}
			d.report(now, true)
		}
	}
	if e.Service == d.pairing.Partner() {
		settings, _ := content.WishedSettings(e.Properties, d.f.o.Root)
		d.desired = settings
		d.obey(now)
	}
}

// obey acts on what the partner desires, once for each version.
func (d *Device) obey(now clock.Time) {
	for name, s := range d.desired {
		ack := d.acks[name]
		if !s.Later(ack.Setting) {
			continue
		}
		ack = twin.Acknowledgement{Setting: s, Status: 200}
		release, err := content.ParseRelease(s.Value)
		switch {
		case name != content.SettingRelease || s.Value == nil:
		case err != nil:
			ack.Status, ack.Text = 400, err.Error()
		case release.Counter <= d.health.Counter || d.installs[release.Counter] > 0:
			ack.Status = 200
			if release.Counter > d.health.Counter {
				ack.Status, ack.Text = 409, "it went back before"
			}
		default:
			ack.Status = 202
			d.installs[release.Counter]++
			d.due, d.ready = release, now.Add(d.f.o.Install)
		}
		d.acks[name] = ack
		d.changed = true
	}
}

// tick does what is due. It is called a few times a second.
func (d *Device) tick(now clock.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ready != 0 && now >= d.ready {
		d.finish()
	}
	if d.client != nil && now >= d.pinged.Add(d.f.o.KeepAlive/2) {
		d.pinged = now
		d.client.Ping() // a connection that is dead ends by itself
	}
	report, lost := d.pairing.Tick(now)
	if lost != "" {
		d.partner = ""
		d.f.losses.Add(1)
	}
	if report || d.changed || lost != "" || now >= d.reported.Add(d.f.o.Every) {
		d.report(now, report)
	}
}

// finish ends an update, one way or another.
func (d *Device) finish() {
	release := d.due
	d.ready, d.changed = 0, true
	ack := d.acks[content.SettingRelease]
	switch d.f.o.Fate(d.ID) {
	case Works:
		d.health.Counter, d.health.State, d.health.Slot = release.Counter, content.StateConfirmed, "b"
		d.health.Version = d.f.version(release.Counter)
		ack.Status = 200
	case GoesBack:
		d.health.Rollback = d.f.version(release.Counter) + " did not stay up" // the order stays as it was, as on a real one
	case NeverComesBack:
		if d.client != nil {
			d.client.Close()
		}
		d.dead()
		return
	}
	d.acks[content.SettingRelease] = ack
}

func (d *Device) dead() { d.wire = wire.NewPortable(d.ID, d.run) }

func (d *Device) report(now clock.Time, again bool) {
	if d.client == nil {
		return
	}
	d.changed, d.reported = false, now.Add(-time.Duration(d.f.number(int64(d.f.o.Every)/10+1)))
	r := content.Report{Pairing: d.pairing.Reported(), Health: d.health, Settings: d.acks}
	out, err := d.wire.Report(now, r.Object(d.f.o.Root), again)
	if err != nil {
		d.f.errors.Add(1)
	}
	for _, m := range out {
		d.send(m)
	}
}
