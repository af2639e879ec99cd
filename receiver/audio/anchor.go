package audio

import "time"

// anchorFilter makes anchors out of sync packets.
//
// Apple's senders compute a sync packet: each fits the one before to a few
// microseconds, and is obeyed as it is. Others stamp it with the time at which
// they came round to sending it, and the frames of such packets are off by
// what their scheduler and the size of their buffers make of it, 20 ms and
// more. To follow them would be to change speed all the time. So the anchor
// stays where it is for as long as packets say that it is late and others that
// it is early; it moves when all of them agree, and leaps when they say twice
// that it is altogether wrong.
type anchorFilter struct {
	anchor Anchor
	set    bool
	n      int                         // sync packets since the last leap
	off    [anchorWindow]time.Duration // by how much they were later than the anchor
	wrong  int                         // packets in a row that contradict the anchor
}

const (
	// Senders sync once a second. The errors of one whose packets and whose
	// syncs have periods that do not divide each other come round in half a
	// minute.
	anchorWindow = 64
	// Packets of which so many in a row differ by less are computed: the error
	// of a crystal within that time, and the rounding to a frame.
	anchorExact = 500 * time.Microsecond
	anchorRun   = 5
	// What differs by more is another place in the sound.
	anchorLeap = 60 * time.Millisecond
)

// add takes a sync packet as an anchor of its own and returns the one to obey.
// First is that of a packet that begins anew.
func (f *anchorFilter) add(a Anchor, first bool, rate int) Anchor {
	late := a.At.Sub(f.anchor.Heard(a.Frame, rate))
	switch {
	case !f.set || first:
		f.leap(a)
		return a
	case late > anchorLeap || late < -anchorLeap:
		// The first packet of all is no better than the second.
		if f.wrong++; f.wrong > 1 || f.n == 1 {
			f.leap(a)
		}
		return f.anchor
	}
	f.wrong = 0
	f.anchor.Lead = a.Lead
	f.off[f.n%anchorWindow] = late
	f.n++
	if f.exact() {
		f.move(late)
		f.anchor = a
		return a
	}
	if f.n >= anchorWindow {
		f.move(f.agreed())
	}
	return f.anchor
}

func (f *anchorFilter) leap(a Anchor) {
	*f = anchorFilter{anchor: a, set: true, n: 1}
}

// exact tells whether the last packets are computed.
func (f *anchorFilter) exact() bool {
	if f.n < anchorRun {
		return false
	}
	x := f.off[(f.n-1)%anchorWindow]
	for i := 2; i <= anchorRun; i++ {
		if d := f.off[(f.n-i)%anchorWindow] - x; d > anchorExact || d < -anchorExact {
			return false
		}
	}
	return true
}

// agreed returns the least by which all packets of the window are late, or
// early; 0 if they do not agree.
func (f *anchorFilter) agreed() time.Duration {
	low, high := f.off[0], f.off[0]
	for _, d := range f.off {
		low, high = min(low, d), max(high, d)
	}
	switch {
	case low > 0:
		return low
	case high < 0:
		return high
	}
	return 0
}

// move moves the anchor by d.
func (f *anchorFilter) move(d time.Duration) {
	if d == 0 {
		return
	}
	f.anchor.At = f.anchor.At.Add(d)
	for i := range f.off {
		f.off[i] -= d
	}
}
