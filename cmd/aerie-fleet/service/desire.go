package service

import (
	"context"
	"fmt"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// desired takes a half that some service desires, this instance's own from its
// life before among them.
func (s *Service) desired(id, service string, payload []byte) error {
	d := s.devices[id]
	if len(payload) == 0 {
		return nil
	}
	doc, err := twin.ParseDocument(payload)
	if err != nil {
		return err
	}
	if d == nil {
		// The device's report comes later, or it is of another pool.
		if d, err = s.device(id); err != nil {
			return err
		}
	}
	if service == s.o.ID && doc.Run == s.o.Run {
		d.kept = max(d.kept, doc.Version)
		return nil
	}
	settings, malformed := content.WishedSettings(doc.Properties, s.o.Root)
	d.others = d.others.Join(settings)
	if service == s.o.ID {
		d.settings, d.past = d.settings.Join(settings), true
	}
	s.desire(d)
	for name, err := range malformed {
		return fmt.Errorf("setting %.40q: %w", name, err)
	}
	return nil
}

// half is what this instance desires of a device.
func (s *Service) half(d *device) twin.Object {
	return content.Wish{Volunteer: d.volunteer, Pool: s.o.Pool, Settings: d.settings}.Object(s.o.Root)
}

// desire brings the half of a device up to date: if it is this instance's, with
// what others have desired and the release of the rollout.
func (s *Service) desire(d *device) {
	if !s.ready || !s.pairing.Mine(d.id) {
		return
	}
	settings := s.release(d, d.settings.Join(d.others))
	if (d.writer.Document().Version > 0 || d.past) && equal(settings, d.settings) {
		return
	}
	d.settings = settings
	if doc, changed := d.writer.Set(s.half(d)); changed {
		s.publish(d, doc)
	}
}

// release gives a device the release that the rollout wants it to have, or takes
// it back from one that has not begun.
func (s *Service) release(d *device, settings twin.Settings) twin.Settings {
	r := &s.rollout
	if r.State == "" {
		return settings
	}
	ack := d.report.Settings[content.SettingRelease]
	present, err := content.ParseRelease(settings[content.SettingRelease].Value)
	given := err == nil && present == r.Release
	switch as := d.forRollout(r); {
	case r.Wants(d.id) && !given && r.Progress(as) != rollout.Well:
		value := r.Release.Object()
		if before := d.report.Health.Rollback; before != "" {
			value[beforeName] = before
		}
		return s.write(settings, content.SettingRelease, value, ack.Setting)
	case !r.Wants(d.id) && given && !as.Begun && r.State != rollout.Done:
		return s.write(settings, content.SettingRelease, nil, ack.Setting)
	}
	return settings
}

// write writes a setting. Its version is the time, in milliseconds since 1970,
// unless there is a later one already: of two instances that write without
// knowing of one another, the one that wrote later wins.
func (s *Service) write(settings twin.Settings, name string, value any, known twin.Setting) twin.Settings {
	out := settings.Write(name, value, s.o.ID, known)
	if w := out[name]; w.Version != settings[name].Version || w.By != settings[name].By {
		w.Version = max(w.Version, s.o.Wall().UnixMilli())
		out[name] = w
	}
	return out
}

// publish sends the half of a device.
func (s *Service) publish(d *device, doc twin.Document) {
	text, err := doc.Encode()
	if err != nil {
		s.complain(s.o.Now(), d.id, err)
		return
	}
	topic := wire.Topic{Kind: wire.TopicDesired, Device: d.id, Service: s.o.ID}
	s.send(wire.Message{Topic: topic.String(), Payload: text, QoS: 1, Retain: true}, nil)
}

// retract removes an offer that came to nothing, so that the documents of a
// device do not become more with each service that ever volunteered.
func (s *Service) retract(d *device) {
	if p := d.report.Pairing; p.Service == "" || p.Service == s.o.ID || len(d.settings) > 0 || d.kept == 0 {
		return
	}
	d.kept = 0
	topic := wire.Topic{Kind: wire.TopicDesired, Device: d.id, Service: s.o.ID}
	s.send(wire.Message{Topic: topic.String(), QoS: 1, Retain: true}, nil)
}

// Set desires a setting of a device, whoever its partner is, and returns when
// the broker has it. Value is JSON as twin.Object has it; nil takes the setting
// away.
func (s *Service) Set(ctx context.Context, id, name string, value any) error {
	done := make(chan error, 1)
	err := s.do(ctx, func() {
		d := s.devices[id]
		if d == nil || !d.known {
			done <- ErrNoDevice
			return
		}
		settings := d.settings.Join(d.others)
		d.settings = s.write(settings, name, value, d.report.Settings[name].Setting)
		doc, _ := d.writer.Set(s.half(d))
		text, err := doc.Encode()
		if err != nil || !s.ready {
			done <- orError(err, ErrNotReady)
			return
		}
		topic := wire.Topic{Kind: wire.TopicDesired, Device: d.id, Service: s.o.ID}
		s.send(wire.Message{Topic: topic.String(), Payload: text, QoS: 1, Retain: true}, func(err error) { done <- err })
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func orError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
