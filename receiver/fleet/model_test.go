package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// house is one device and three services around a broker, in a world where
// connections break, the broker forgets, and both sides start again.
type house struct {
	t   *testing.T
	r   *rand.Rand
	now clock.Time

	retained map[string][]byte
	toDevice []wire.Message
	up       bool // the device's connection

	core     *core
	runs     int
	names    []string // that the device was given in this run
	services []*owner
	wished   string // the last that an owner desired through the partner
	failed   int    // deliveries that did not come about
}

// owner is a service, as far as settings go.
type owner struct {
	id       string
	runs     int
	writer   twin.Writer
	settings twin.Settings
	offer    pairing.Volunteer
	dirty    bool // its half is to be published
}

// begin starts the device anew.
func (h *house) begin() {
	h.runs++
	run := fmt.Sprintf("00000000-0000-4000-8000-%012d", h.runs)
	d := Device{SetName: func(_ context.Context, name string) error { h.names = append(h.names, name); return nil }}
	h.core = newCore(Options{Root: "thief", Pool: "pool", Device: d, Log: slog.New(slog.DiscardHandler)}, wire.NewPortable(testDevice, run), run)
	h.up, h.names = false, nil
}

// deliver has the broker take a message and pass it on.
func (h *house) deliver(m wire.Message) {
	if m.Retain {
		h.retained[m.Topic] = m.Payload
	}
	if topic, err := wire.ParseTopic(m.Topic); err == nil && topic.Kind >= wire.TopicDesired && h.up {
		h.toDevice = append(h.toDevice, m)
	}
}

// device lets the device send what it has to say, if it is connected.
func (h *house) device() {
	for len(h.core.methods.jobs) > 0 {
		h.core.methods.do(h.t.Context(), <-h.core.methods.jobs)
		h.core.finished(h.now, <-h.core.methods.results)
	}
	for _, m := range h.core.take() {
		if h.up {
			h.deliver(m)
		}
	}
}

// connect connects the device: what the broker keeps arrives first.
func (h *house) connect() {
	h.up, h.toDevice = true, nil
	for _, s := range h.services {
		topic := wire.Topic{Kind: wire.TopicDesired, Device: testDevice, Service: s.id}.String()
		if half := h.retained[topic]; half != nil {
			h.toDevice = append(h.toDevice, wire.Message{Topic: topic, Payload: half})
		}
	}
	h.core.connected(h.now)
	h.device()
}

// drain has the device take what waits for it; with a broken connection the
// rest is lost, and may come twice later.
func (h *house) drain(breaks bool) {
	for len(h.toDevice) > 0 {
		if breaks && h.r.IntN(3) == 0 {
			h.up = false
			h.failed++
			return
		}
		m := h.toDevice[0]
		h.toDevice = h.toDevice[1:]
		for range 1 + h.r.IntN(2) { // QoS 1 may double it
			h.core.receive(h.now, m.Topic, m.Payload)
		}
		h.device()
	}
}

// serve has a service read what the broker keeps, and write its half.
func (h *house) serve(s *owner) {
	var reported content.Report
	if half := h.retained[wire.Topic{Kind: wire.TopicReported, Device: testDevice}.String()]; half != nil {
		d, err := twin.ParseDocument(half)
		if err != nil {
			h.t.Fatal(err)
		}
		if reported, err = content.ParseReport(d.Properties, "thief"); err != nil {
			h.t.Fatal(err)
		}
	}
	before := s.settings
	for _, other := range h.services {
		if half := h.retained[wire.Topic{Kind: wire.TopicDesired, Device: testDevice, Service: other.id}.String()]; half != nil {
			if d, err := twin.ParseDocument(half); err == nil {
				joined, _ := content.WishedSettings(d.Properties, "thief")
				s.settings = s.settings.Join(joined)
			}
		}
	}
	switch {
	case reported.Pairing.RunID != "" && reported.Pairing.Service == "" && s.offer.RunID != reported.Pairing.RunID:
		s.offer, s.dirty = pairing.Volunteer{RunID: reported.Pairing.RunID, Service: s.id}, true
	case reported.Pairing.Service == s.id && h.r.IntN(4) == 0:
		h.wished = fmt.Sprintf("Room %d", h.r.IntN(1000))
		s.settings, s.dirty = s.settings.Write("name", h.wished, s.id, reported.Settings["name"].Setting), true
	}
	if s.dirty || len(s.settings) != len(before) || s.settings["name"] != before["name"] {
		s.publish(h, false)
	}
}

func (s *owner) publish(h *house, again bool) {
	s.dirty = false
	half := content.Wish{Volunteer: s.offer, Pool: "pool", Settings: s.settings}.Object("thief")
	d, _ := s.writer.Set(half)
	if again {
		d = s.writer.Again(half)
	}
	text, err := d.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	h.deliver(wire.Message{Topic: wire.Topic{Kind: wire.TopicDesired, Device: testDevice, Service: s.id}.String(), Payload: text, Retain: true})
}

// restart begins another life of a service, which reads its half first.
func (s *owner) restart(h *house) {
	s.runs++
	s.writer, s.settings, s.offer = twin.Writer{Run: fmt.Sprint(s.id, s.runs)}, nil, pairing.Volunteer{}
	if half := h.retained[wire.Topic{Kind: wire.TopicDesired, Device: testDevice, Service: s.id}.String()]; half != nil {
		if d, err := twin.ParseDocument(half); err == nil {
			s.settings, _ = content.WishedSettings(d.Properties, "thief")
		}
	}
}

// The last name that was desired through a partner is the device's in the end,
// whoever is its partner then; and in one run no name is set twice in a row.
func TestNothingDesiredIsLost(t *testing.T) {
	failed, taken := 0, 0
	for seed := range uint64(60) {
		h := &house{t: t, r: rand.New(rand.NewPCG(seed, 1)), now: clock.Time(time.Hour), retained: map[string][]byte{}}
		for i := range 3 {
			s := &owner{id: fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)}
			s.restart(h)
			h.services = append(h.services, s)
		}
		h.begin()
		for range 200 {
			h.now = h.now.Add(time.Duration(h.r.Int64N(int64(10 * time.Second))))
			switch h.r.IntN(12) {
			case 0:
				h.up = false
			case 1:
				if h.r.IntN(4) == 0 {
					h.begin()
				}
			case 2:
				h.services[h.r.IntN(3)].restart(h)
			case 3:
				// The broker starts with nothing; who is connected says it again.
				if h.r.IntN(3) == 0 {
					h.retained, h.up = map[string][]byte{}, false
					for _, s := range h.services {
						s.publish(h, true)
					}
				}
			case 4:
				h.core.pairing.Release() // its partner was silent
			case 5, 6:
				h.connect()
			case 7, 8:
				h.drain(true)
			default:
				h.serve(h.services[h.r.IntN(3)])
			}
			h.core.tick(h.now)
			h.device()
			for i := 1; i < len(h.names); i++ {
				if h.names[i] == h.names[i-1] {
					t.Fatalf("seed %d: set twice: %q", seed, h.names)
				}
			}
		}
		// Then all is well, and nobody desires anything new.
		want := h.wished
		for range 6 {
			h.now = h.now.Add(pairing.RequestEvery)
			h.connect()
			h.drain(false)
			for _, s := range h.services {
				r := h.r
				h.r = rand.New(zero{}) // no more wishes
				h.serve(s)
				h.r = r
			}
			h.drain(false)
			h.core.tick(h.now)
			h.device()
		}
		if want != "" {
			taken++
			if len(h.names) == 0 || h.names[len(h.names)-1] != want {
				t.Fatalf("seed %d: the device has the names %q, desired was %q", seed, h.names, want)
			}
		}
		failed += h.failed
	}
	if failed < 300 || taken < 25 {
		t.Errorf("%d deliveries failed, in %d worlds something was desired", failed, taken)
	}
}

// zero is chance that always says 1 of 4, for which nothing is done.
type zero struct{}

func (zero) Uint64() uint64 { return 1<<63 | 1 }
