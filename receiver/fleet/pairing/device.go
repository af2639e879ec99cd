package pairing

import (
	"fmt"

	"aerie/receiver/clock"
)

// Device is the device's side. It belongs to one goroutine.
type Device struct {
	reported Reported
	started  bool
	requests clock.Time // when the request is due again
	lease    clock.Time // when the partner's ends
}

// NewDevice begins a run of a device that needs a partner. The run is a UUID
// that no earlier one had.
func NewDevice(pool, run string) *Device {
	return &Device{reported: Reported{RunID: run, Pool: pool}}
}

// Reported is what the device is to report.
func (d *Device) Reported() Reported { return d.reported }

// Partner is the service's id, "" for none.
func (d *Device) Partner() string { return d.reported.Service }

// Tick tells whether the device is to report now, though nothing arrived: for
// the first time, for a request that is to be repeated, or because its partner
// has gone silent, which is then told in lost.
func (d *Device) Tick(now clock.Time) (report bool, lost string) {
	if p := d.Partner(); p != "" && now >= d.lease {
		d.Release()
		lost = p
	}
	if d.Partner() != "" || d.started && now < d.requests {
		return false, lost
	}
	d.started, d.requests = true, now.Add(RequestEvery)
	return true, lost
}

// Next is when Tick has something to do.
func (d *Device) Next() clock.Time {
	if d.Partner() != "" {
		return d.lease
	}
	return d.requests
}

// Volunteer takes the offer of a service. Without an error the device has
// chosen it, and is to report so. The error says why an offer is ignored.
func (d *Device) Volunteer(now clock.Time, v Volunteer) error {
	switch {
	case !ValidService(v.Service):
		return fmt.Errorf("%w: %s", ErrIncomplete, serviceName)
	case v.RunID != d.reported.RunID:
		return ErrForeignRun
	case d.Partner() != "":
		return ErrPaired
	}
	d.reported.Service, d.lease = v.Service, now.Add(Lease)
	return nil
}

// Heartbeat takes a sign of life. The error says why it is ignored.
func (d *Device) Heartbeat(now clock.Time, v Volunteer) error {
	switch {
	case v.RunID != d.reported.RunID:
		return ErrForeignRun
	case v.Service != d.Partner() || v.Service == "":
		return ErrNotPartner
	}
	d.lease = now.Add(Lease)
	return nil
}

// Release leaves the partner. The next Tick asks for another.
func (d *Device) Release() { d.reported.Service, d.started = "", false }
