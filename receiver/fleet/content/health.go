package content

import (
	"aerie/receiver/fleet/twin"
)

// Health is how a device fares.
type Health struct {
	Name     string `json:"name,omitempty"`    // under which senders see it
	Version  string `json:"version,omitempty"` // of the running binary
	Counter  int64  `json:"counter,omitempty"` // of its release; 0 for one that was never signed
	Slot     string `json:"slot,omitempty"`    // a, b or factory
	Board    string `json:"board,omitempty"`
	Boot     string `json:"boot,omitempty"` // names this start of the machine; a new one is a restart
	State    State  `json:"state,omitempty"`
	Rollback string `json:"rollback,omitempty"` // why the last update went back; "" if it did not

	Uptime      float64  `json:"uptime"`                // of the program, in seconds
	Temperature float64  `json:"temperature,omitempty"` // of the processor, in °C
	Throttled   []string `json:"throttled,omitempty"`   // since the machine started
	Playing     bool     `json:"playing"`
	Sessions    uint64   `json:"sessions"` // begun since the program started
	Pictures    uint64   `json:"pictures"` // received since then
	Dropped     uint64   `json:"dropped"`  // not shown, or not decodable
	Latency     []uint64 `json:"latency,omitempty"`
	LastError   string   `json:"error,omitempty"`
}

// State is how far the running release has come.
type State string

// States of a release.
const (
	StateTrial     State = "trial"     // started, not confirmed yet
	StateConfirmed State = "confirmed" // has proved itself
)

// LatencyBounds are the upper ends of the buckets of Health.Latency, in
// milliseconds, from the sender's stamp to shown; a last bucket holds what took
// longer.
var LatencyBounds = []int{20, 40, 60, 80, 100, 150, 200, 300, 500, 1000}

// maxErrorText bounds texts of Health, in bytes.
const maxErrorText = 512

// Over returns below with what h knows of the program and its updates.
func (h Health) Over(below Health) Health {
	if h.Version != "" {
		below.Version = h.Version
	}
	if h.LastError != "" {
		below.LastError = h.LastError
	}
	below.Counter, below.Slot, below.Boot, below.State, below.Rollback = h.Counter, h.Slot, h.Boot, h.State, h.Rollback
	return below
}

func (h Health) object() twin.Object {
	h.LastError, h.Rollback = shorten(h.LastError), shorten(h.Rollback)
	var o twin.Object
	if err := through(h, &o); err != nil {
		return twin.Object{} // NaN is no JSON
	}
	return o
}

// parseHealth reads what a device says of its health; nonsense is nothing.
func parseHealth(o twin.Object) (h Health) {
	if through(o, &h) != nil {
		return Health{}
	}
	if len(h.Latency) > len(LatencyBounds)+1 {
		h.Latency = nil
	}
	if len(h.Throttled) > 16 {
		h.Throttled = h.Throttled[:16]
	}
	return h
}

// shorten cuts a text to what is reported of it, between two characters.
func shorten(s string) string {
	if len(s) <= maxErrorText {
		return s
	}
	cut := 0
	for i := range s {
		if i > maxErrorText {
			break
		}
		cut = i
	}
	return s[:cut]
}
