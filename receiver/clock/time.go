package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Time is an instant on this machine's CLOCK_MONOTONIC, in nanoseconds since
// boot: the clock of DRM flip events and of ALSA time stamps, so that the
// three can be subtracted from one another.
type Time int64

// Remote is an instant on a sender's clock, in nanoseconds since that clock's
// own zero (an Apple sender's boot). Remote and Time never mix without an
// Estimate.
type Remote int64

// Now reads CLOCK_MONOTONIC. Logic does not call it: it is handed to the
// outermost layer, which passes instants (or a func() Time) down.
//
// Package time reads the same clock without a system call but hides its
// zero, so that is found out once.
func Now() Time { return zero.Add(time.Since(reading)) }

var zero, reading = calibrate()

// calibrate reads both clocks together, as closely as a few tries allow.
func calibrate() (Time, time.Time) {
	var best time.Duration
	var zero Time
	reading := time.Now()
	for i := range 10 {
		var ts unix.Timespec
		before := time.Since(reading)
		// The call cannot fail: the clock exists on every kernel, ts is ours.
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
		after := time.Since(reading)
		if gap := after - before; i == 0 || gap < best {
			best, zero = gap, Time(ts.Nano()).Add(-(before+after)/2)
		}
	}
	return zero, reading
}

// Add returns t+d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Add returns r+d.
func (r Remote) Add(d time.Duration) Remote { return r + Remote(d) }

// Sub returns r-q.
func (r Remote) Sub(q Remote) time.Duration { return time.Duration(r - q) }

// epochOffset is the number of seconds from 1900-01-01 to 1970-01-01, which
// senders add to their time since boot in NTP packets (RFC 868; reference
// section 10), though not in mirror packet headers.
const epochOffset = 2208988800

// FromFixed converts 32.32 fixed-point seconds, as in the header of a mirror
// packet, to a Remote, rounded to the nanosecond.
func FromFixed(v uint64) Remote {
	return Remote(v>>32)*1e9 + Remote(((v&0xffffffff)*1e9+1<<31)>>32)
}

// Fixed is the inverse of FromFixed. Negative instants give 0.
func (r Remote) Fixed() uint64 {
	if r < 0 {
		return 0
	}
	sec, ns := uint64(r)/1e9, uint64(r)%1e9
	return sec<<32 + (ns<<32+5e8)/1e9
}

// FromNTP converts an NTP time stamp (RFC 5905 section 6: 32 bits of seconds
// since 1900, 32 bits of fraction) to a Remote. A sender whose stamps lack
// the 1900 offset is recognised by a number of seconds below it: no phone has
// been running for 70 years.
func FromNTP(v uint64) Remote {
	if v>>32 >= epochOffset {
		v -= epochOffset << 32
	}
	return FromFixed(v)
}

// NTP is the inverse of FromNTP, with the 1900 offset.
func (r Remote) NTP() uint64 { return r.Fixed() + epochOffset<<32 }
