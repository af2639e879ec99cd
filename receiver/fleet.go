package receiver

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"time"

	"aerie/hw/board"
	"aerie/receiver/fleet"
	"aerie/receiver/fleet/content"
	"aerie/receiver/screen"
)

// identifyFor is how long the fleet makes the receiver tell itself from others.
const identifyFor = 30 * time.Second

// Fleet makes the agent of a fleet that this receiver belongs to, nil if it
// belongs to none. Device has what others can do to it; the receiver adds what
// it can do itself.
func (r *Receiver) Fleet(d fleet.Device) *fleet.Agent {
	c := &r.cfg.Fleet
	if c.Server == "" && c.Azure == "" {
		return nil
	}
	dir, err := StateDir(r.cfg)
	if err != nil {
		r.log.Error("fleet: there is nowhere to keep a membership", "error", err)
		return nil
	}
	more := d.Health
	d.Health = func() content.Health {
		h := r.fleetHealth()
		if more != nil {
			h = more().Over(h)
		}
		return h
	}
	d.SetName = func(_ context.Context, name string) error { r.rename(name); return nil }
	d.Identify = func(context.Context) error { r.Identify(identifyFor); return nil }
	d.Diagnostics = func(ctx context.Context) (string, []byte, error) {
		var file bytes.Buffer
		err := r.Diagnose(ctx, &file)
		return "aerie-diagnostics.zip", file.Bytes(), err
	}
	d.ForgetSenders = func(context.Context) error { return r.ForgetSenders() }
	d.ShowCode = func(code string) {
		r.fleetCode.Store(&code)
		n := screen.Notice{Title: "Fleet code " + code, Text: "Type it into the page of your fleet, to let this receiver in."}
		if code == "" {
			n = screen.Notice{}
		}
		r.fleetNotice(n)
	}
	d.Refused = func(why string) {
		n := screen.Notice{Level: screen.Warning, Title: "The fleet refuses this receiver", Text: sentence(why)}
		if why == "" {
			n = screen.Notice{}
		}
		r.fleetNotice(n)
	}
	agent := fleet.New(fleet.Options{
		ID: fleetID(r.identity.deviceID), Name: r.Name(), Server: c.Server, Azure: c.Azure, Code: c.Code, Pool: c.Pool, Root: c.Root,
		State: filepath.Join(dir, "fleet"), Device: d, Now: r.now, Log: r.log,
	})
	r.agent.Store(agent)
	return agent
}

// enrolAgain asks a fleet that refused this receiver once more, with a new code.
func (r *Receiver) enrolAgain() {
	if a := r.agent.Load(); a != nil && a.Status().Phase == fleet.Refused {
		a.EnrolAgain()
	}
}

// fleetID names the receiver in a fleet.
func fleetID(deviceID string) string {
	return "aerie-" + strings.ToLower(strings.ReplaceAll(deviceID, ":", ""))
}

// fleetNotice tells people about the fleet, on the TV and the page; one without
// a title takes that away.
func (r *Receiver) fleetNotice(n screen.Notice) {
	text := n.Title
	if text != "" {
		text += ": " + n.Text
	}
	r.fleetText.Store(&text)
	r.Notify(TopicFleet, n)
}

// fleetHealth tells how the receiver fares.
func (r *Receiver) fleetHealth() content.Health {
	m := &r.meters
	machine := r.machine.fares()
	h := content.Health{
		Name: r.Name(), Version: r.version, Board: r.machine.board.String(),
		Uptime: float64(r.now().Sub(r.began) / time.Second), Throttled: flagNames(machine.SinceBoot),
		Playing: r.Playing(), Sessions: r.server.Sessions.Value(), Pictures: m.pictures.Value(), Dropped: m.skipped.Value() + m.undecodable.Value(),
	}
	if machine.Warm {
		h.Temperature = float64(int(machine.Temperature*10)) / 10
	}
	if n := m.total.Count(); n > 0 {
		var below uint64
		for _, bound := range content.LatencyBounds {
			upTo := m.total.CountBelow(time.Duration(bound) * time.Millisecond)
			h.Latency = append(h.Latency, upTo-below)
			below = upTo
		}
		h.Latency = append(h.Latency, n-min(below, n))
	}
	m.mu.Lock()
	h.LastError = m.err
	m.mu.Unlock()
	if err := r.Healthy(); err != nil {
		h.LastError = err.Error()
	}
	return h
}

// flagNames are the names of flags, nil for none.
func flagNames(f board.Flags) []string {
	if f == 0 {
		return nil
	}
	return strings.Split(f.String(), ", ")
}

// rename gives the receiver another name until it ends, and has senders know.
func (r *Receiver) rename(name string) {
	if name == r.Name() {
		return
	}
	r.log.Info("renamed", "from", r.Name(), "to", name)
	r.identity.name.Store(name)
	select {
	case r.renamed <- struct{}{}:
	default:
	}
	r.somethingChanged()
}

// stayAnnounced announces the receiver anew whenever it has another name,
// until ctx ends. Stop ends the present announcement.
func (r *Receiver) stayAnnounced(ctx context.Context, stop func()) {
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.renamed:
			stop()
			stop = r.startDiscovery(ctx)
		}
	}
}
