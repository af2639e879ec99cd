package service

import (
	"errors"
	"fmt"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// device is what an instance knows of one.
type device struct {
	id     string
	reader twin.Reader
	report content.Report
	known  bool // it has reported
	online bool // as far as its presence tells
	told   bool // of its presence
	seen   time.Time

	// The half that this instance desires, and what all have desired.
	writer    twin.Writer
	volunteer pairing.Volunteer
	settings  twin.Settings
	others    twin.Settings
	kept      int64 // version that this connection's broker has of it
	past      bool  // the broker has one of this instance's life before
}

// maxDevices bounds how many are known; pairing has the same.
const maxDevices = 100_000

func (s *Service) device(id string) (*device, error) {
	d := s.devices[id]
	if d == nil {
		if len(s.devices) >= maxDevices {
			return nil, pairing.ErrTooMany
		}
		d = &device{id: id, writer: twin.Writer{Run: s.o.Run}}
		s.devices[id] = d
	}
	return d, nil
}

// ofDevice takes a message below a device's name.
func (s *Service) ofDevice(now clock.Time, topic string, payload []byte, kept bool) error {
	t, err := wire.ParseTopic(topic)
	if err != nil {
		return err
	}
	switch t.Kind {
	case wire.TopicReported:
		return s.reported(now, t.Device, payload, kept)
	case wire.TopicPresence:
		return s.presence(now, t.Device, string(payload), kept)
	case wire.TopicDesired:
		return s.desired(t.Device, t.Service, payload)
	case wire.TopicResult:
		s.result(t, payload)
		return nil
	}
	return fmt.Errorf("%w: %s", wire.ErrUnknown, topic)
}

func (s *Service) reported(now clock.Time, id string, payload []byte, kept bool) error {
	if len(payload) == 0 {
		s.forget(id)
		return nil
	}
	doc, err := twin.ParseDocument(payload)
	if err != nil {
		return err
	}
	report, err := content.ParseReport(doc.Properties, s.o.Root)
	if err != nil {
		return err
	}
	if report.Pairing.Pool != s.o.Pool && s.devices[id] == nil {
		return pairing.ErrPool // which is no concern of ours
	}
	d, err := s.device(id)
	if err != nil {
		return err
	}
	if !d.reader.Take(doc) {
		return nil // replayed, or overtaken
	}
	d.report, d.known = report, true
	if !kept {
		d.seen = s.o.Wall()
	}
	actions, err := s.pairing.Reported(now, id, report.Pairing)
	if d.told && !d.online {
		actions = append(actions, s.pairing.Presence(now, id, false)...)
	}
	s.act(actions)
	if errors.Is(err, pairing.ErrPool) {
		delete(s.devices, id) // it has moved to another
		s.changes.note()
		return err
	}
	s.retract(d)
	s.desire(d)
	s.changes.note()
	return err
}

func (s *Service) presence(now clock.Time, id, value string, kept bool) error {
	if value != wire.Online && value != wire.Offline && value != "" {
		return fmt.Errorf("%w: presence %.40q", wire.ErrUnknown, value)
	}
	d := s.devices[id]
	if d == nil && value == wire.Online {
		return nil // its report will come; until then it is none of this pool's
	}
	d, err := s.device(id)
	if err != nil {
		return err
	}
	d.online, d.told = value == wire.Online, true
	if !kept {
		d.seen = s.o.Wall()
	}
	s.act(s.pairing.Presence(now, id, d.online))
	s.changes.note()
	return nil
}

// forget drops a device whose documents were removed.
func (s *Service) forget(id string) {
	s.act(s.pairing.Forget(id))
	delete(s.devices, id)
	s.changes.note()
}

// act does what the pairing process asks for.
func (s *Service) act(actions []pairing.Action) {
	for _, a := range actions {
		d := s.devices[a.Device]
		if d == nil {
			continue
		}
		switch a.Kind {
		case pairing.Offer:
			d.volunteer = a.Volunteer
			s.publish(d, d.writer.Again(s.half(d)))
		case pairing.Heartbeat:
			topic := wire.Topic{Kind: wire.TopicHeartbeat, Device: d.id, Service: s.o.ID}
			s.send(wire.Message{Topic: topic.String(), Payload: wire.EncodeHeartbeat(a.Volunteer)}, nil)
		case pairing.Chosen:
			d.volunteer = a.Volunteer
			s.o.Log.Debug("service: chosen", "device", d.id)
			s.desire(d)
		case pairing.Unpaired, pairing.Lost:
			s.o.Log.Info("service: "+a.Kind.String(), "device", d.id)
		}
	}
	if len(actions) > 0 {
		s.changes.note()
	}
}

// grace is how long devices may take to come back to a broker that was away and
// has forgotten who was there.
const grace = time.Minute

// missing notes those that did not come back.
func (s *Service) missing(now clock.Time) {
	if s.silent || now < s.lease.since.Add(grace) {
		return
	}
	s.silent = true
	for id, d := range s.devices {
		if !d.told {
			d.online, d.told = false, true
			s.act(s.pairing.Presence(now, id, false))
		}
	}
	s.changes.note()
}

// isOnline tells whether a device is there, as far as is known.
func (d *device) isOnline() bool { return d.known && (d.online || !d.told) }

// beforeName is a property of a desired release beside those of the release: what
// the device said of its last update when it was given this one. A device that
// says something else afterwards has gone back.
const beforeName = "before"

// forRollout is what a rollout has to know of the device.
func (d *device) forRollout(r *rollout.Rollout) rollout.Device {
	h := d.report.Health
	out := rollout.Device{ID: d.id, Online: d.isOnline(), Counter: h.Counter, Confirmed: h.State == content.StateConfirmed}
	ack, there := d.report.Settings[content.SettingRelease]
	if !there {
		return out
	}
	value := ack.Value
	if wish := d.settings.Join(d.others)[content.SettingRelease]; value == nil && wish.Version == ack.Version && wish.By == ack.By {
		value = wish.Value // one that was refused is not repeated to us
	}
	release, err := content.ParseRelease(value)
	if err != nil || release.Counter != r.Release.Counter {
		return out
	}
	out.Begun = true
	before, _ := value.(twin.Object)[beforeName].(string)
	switch {
	case ack.Status >= 400:
		out.Failed = orElse(ack.Text, fmt.Sprintf("status %d", ack.Status))
	case h.Counter < release.Counter && h.Rollback != before:
		out.Failed = h.Rollback
	}
	return out
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
