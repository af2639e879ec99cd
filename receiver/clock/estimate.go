package clock

import "time"

// Source tells what an Estimate rests on.
type Source uint8

const (
	None    Source = iota // nothing yet
	Arrival               // when packets arrived: true but for their unknown travel time
	NTP                   // the sender answered, with an error bound
	PTP                   // the clock of a group, see package ptp
)

func (s Source) String() string { return [...]string{"none", "arrival", "ntp", "ptp"}[s] }

// Estimate maps a sender's clock to the local one around an instant.
type Estimate struct {
	Source Source
	Local  Time   // the instant the estimate was made
	Remote Remote // the sender's clock at that instant
	// Drift is by how much the sender's clock is fast, as a ratio:
	// 20e-6 if it gains 20 µs a second on ours.
	Drift float64
	// Error bounds the error of Remote at Local for Source NTP: it holds if
	// the path is not slower than the measured round trip and the clocks
	// drift by less than maxDrift. It grows by maxDrift afterwards.
	Error time.Duration
}

// maxDrift is the largest drift between two crystals that is believed; those
// of phones and of a Pi are good for 100 ppm each.
const maxDrift = 200e-6

// ToLocal returns the local instant at which the sender's clock shows r.
func (e *Estimate) ToLocal(r Remote) Time {
	d := r.Sub(e.Remote)
	return e.Local.Add(d - time.Duration(float64(d)*e.Drift))
}

// ToRemote returns what the sender's clock shows at the local instant t.
func (e *Estimate) ToRemote(t Time) Remote {
	d := t.Sub(e.Local)
	return e.Remote.Add(d + time.Duration(float64(d)*e.Drift))
}

// ErrorAt returns the error bound at the local instant t.
func (e *Estimate) ErrorAt(t Time) time.Duration {
	return e.Error + time.Duration(float64(max(t.Sub(e.Local), e.Local.Sub(t)))*maxDrift)
}
