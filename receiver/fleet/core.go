package fleet

import (
	"errors"
	"log/slog"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

const (
	// tickEvery is how often the core looks at what is due.
	tickEvery = 5 * time.Second
	// newsEvery is the shortest between two reports of health, refreshEvery the
	// longest where numbers have moved.
	newsEvery    = 10 * time.Second
	refreshEvery = 5 * time.Minute
	// maxForeign bounds the settings that the device does not know and says so.
	maxForeign = 16
)

// core is what an Agent does about what it hears, without a connection. It
// belongs to one goroutine.
type core struct {
	root     string
	pool     string
	encoding wire.Device
	pairing  *pairing.Device
	device   Device
	methods  *methods
	log      *slog.Logger

	wished   twin.Settings // of the partner
	acks     map[string]twin.Acknowledgement
	foreign  int // acks of settings that are not known
	health   content.Health
	healthAt clock.Time
	asked    bool // health is known
	out      []wire.Message

	complained clock.Time // when a stranger was last complained of
	silent     int        // complaints since then that were not made
}

// errPool says that a service ignores who it is there for.
var errPool = errors.New("fleet: the service is of another pool")

func newCore(o Options, encoding wire.Device, run string) *core {
	return &core{root: o.Root, pool: o.Pool, encoding: encoding, pairing: pairing.NewDevice(o.Pool, run), device: o.Device,
		methods: newMethods(o.Device, o.Log), log: o.Log, acks: map[string]twin.Acknowledgement{}}
}

// take returns what is to be sent.
func (c *core) take() []wire.Message {
	out := c.out
	c.out = nil
	return out
}

// connected begins a connection.
func (c *core) connected(now clock.Time) {
	c.out = append(c.out, c.encoding.Connected(now)...)
	c.tick(now)
}

// tick does what is due.
func (c *core) tick(now clock.Time) {
	again, lost := c.pairing.Tick(now)
	if lost != "" {
		c.log.Warn("fleet: the partner gives no sign of life, looking for another", "service", lost)
		c.wished = nil
	}
	c.look(now)
	c.settings()
	c.report(now, again)
	c.out = append(c.out, c.encoding.Tick(now)...)
}

// look asks for the health of the receiver, and keeps what is worth reporting.
func (c *core) look(now clock.Time) {
	if c.device.Health == nil {
		return
	}
	h := c.device.Health()
	since := now.Sub(c.healthAt)
	if !c.asked || since >= newsEvery && news(c.health, h) || since >= refreshEvery {
		c.health, c.healthAt, c.asked = h, now, true
	}
}

// news tells whether a service should know of a change soon. The others are
// reported along with it, or after a while.
func news(before, after content.Health) bool {
	const warmer = 5 // °C
	if d := after.Temperature - before.Temperature; d >= warmer || d <= -warmer {
		return true
	}
	for _, h := range []*content.Health{&before, &after} {
		h.Uptime, h.Temperature, h.Pictures, h.Dropped, h.Latency = 0, 0, 0, 0, nil
	}
	return !twin.Equal(content.Report{Health: before}.Object("x"), content.Report{Health: after}.Object("x"))
}

// report brings the reported half up to date.
func (c *core) report(now clock.Time, again bool) {
	r := content.Report{Pairing: c.pairing.Reported(), Health: c.health, Settings: c.acks}
	out, err := c.encoding.Report(now, r.Object(c.root), again)
	if err != nil {
		c.log.Error("fleet: nothing can be reported", "error", err)
	}
	c.out = append(c.out, out...)
}

// receive takes a message.
func (c *core) receive(now clock.Time, topic string, payload []byte) {
	events, out, err := c.encoding.Receive(now, topic, payload)
	c.out = append(c.out, out...)
	if err != nil {
		c.complain(now, "fleet: ignored", "topic", clip(topic), "reason", err)
	}
	for _, e := range events {
		switch e := e.(type) {
		case wire.Desired:
			c.desired(now, e)
		case wire.Heartbeat:
			if err := c.pairing.Heartbeat(now, e.Volunteer); err != nil {
				c.log.Debug("fleet: a sign of life is ignored", "service", e.Service, "reason", err)
			}
		case wire.Call:
			c.called(now, e)
		}
	}
}

// complain logs what a stranger did wrong, once a second at most.
func (c *core) complain(now clock.Time, text string, args ...any) {
	if c.complained != 0 && now.Sub(c.complained) < time.Second {
		c.silent++
		return
	}
	if c.silent > 0 {
		args = append(args, "more", c.silent)
	}
	c.complained, c.silent = now, 0
	c.log.Warn(text, args...)
}

// clip holds a text of a stranger to what a log line can bear.
func clip(s string) string { return s[:min(len(s), 200)] }

// desired takes news of a desired half.
func (c *core) desired(now clock.Time, e wire.Desired) {
	if pairing.HasVolunteer(e.Changed, c.root) {
		v, err := pairing.ParseVolunteer(e.Properties, c.root)
		switch {
		case err != nil:
		case e.Service != "" && e.Service != v.Service:
			err = pairing.ErrIncomplete // in the half of another
		case !content.OfPool(e.Properties, c.root, c.pool):
			err = errPool
		default:
			err = c.pairing.Volunteer(now, v)
		}
		switch {
		case err == nil:
			c.log.Info("fleet: paired", "service", v.Service)
		case pairing.Ignored(err):
			c.log.Debug("fleet: an offer is ignored", "service", clip(v.Service), "reason", err)
		default:
			c.complain(now, "fleet: an offer is ignored", "service", clip(e.Service), "reason", err)
		}
	}
	partner := c.pairing.Partner()
	if partner != "" && (e.Service == "" || e.Service == partner) {
		settings, malformed := content.WishedSettings(e.Properties, c.root)
		for name, err := range malformed {
			c.complain(now, "fleet: a setting is ignored", "setting", clip(name), "service", partner, "reason", err)
		}
		c.wished = settings
		c.settings()
	}
	c.report(now, false)
}

// settings begins what the partner desires and the device has not acted upon.
func (c *core) settings() {
	for name, s := range c.wished {
		if ack, known := c.acks[name]; !known || s.Later(ack.Setting) {
			c.set(name, s, known)
		}
	}
}

// set acts on one setting.
func (c *core) set(name string, s twin.Setting, known bool) {
	do, err := c.action(name, s.Value)
	switch {
	case errors.Is(err, errNoSuch):
		if !known {
			if c.foreign >= maxForeign {
				return
			}
			c.foreign++
		}
		s.Value = nil // it may be large
		c.acks[name] = twin.Acknowledgement{Setting: s, Status: 404, Text: err.Error()}
	case err != nil:
		s.Value = nil
		c.acks[name] = twin.Acknowledgement{Setting: s, Status: 400, Text: err.Error()}
	case do == nil:
		c.acks[name] = twin.Acknowledgement{Setting: s, Status: 200}
	default:
		if !c.methods.begin(job{setting: name, version: s, do: do}) {
			return // too much to do: it is desired still at the next tick
		}
		c.acks[name] = twin.Acknowledgement{Setting: s, Status: 202}
	}
	if a := c.acks[name]; a.Status >= 400 {
		c.log.Warn("fleet: a setting is refused", "setting", clip(name), "reason", a.Text)
	}
}

// finished takes what came of a job.
func (c *core) finished(now clock.Time, r result) {
	if r.setting == "" {
		c.out = append(c.out, c.encoding.Answer(r.call, r.status, r.payload))
		c.methods.remember(r.call, r)
		return
	}
	if a := c.acks[r.setting]; a.Setting.Version == r.version.Version && a.By == r.version.By { // not overtaken
		a.Status, a.Text = r.status, r.text
		c.acks[r.setting] = a
		c.report(now, false)
	}
}

// called begins a call.
func (c *core) called(now clock.Time, call wire.Call) {
	answer := func(status int, why string) {
		r := failure(call, status, why)
		c.complain(now, "fleet: a call is refused", "method", clip(call.Name), "service", call.Service, "reason", why)
		c.out = append(c.out, c.encoding.Answer(call, r.status, r.payload))
	}
	if call.Service != "" && call.Service != c.pairing.Partner() {
		answer(403, "not the partner of this device")
		return
	}
	if r, known := c.methods.recall(call); known {
		if r != nil {
			c.out = append(c.out, c.encoding.Answer(call, r.status, r.payload))
		}
		return
	}
	if !c.methods.allow(now) {
		answer(429, "too many calls")
		return
	}
	do, err := c.method(call)
	switch {
	case errors.Is(err, errNoSuch):
		answer(404, err.Error())
	case err != nil:
		answer(400, err.Error())
	case !c.methods.begin(job{call: call, do: do}):
		answer(429, "too much to do")
	default:
		c.log.Info("fleet: called", "method", call.Name, "service", call.Service)
		c.methods.remember(call, result{})
	}
}
