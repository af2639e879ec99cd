package v4l2

import (
	"fmt"
	"time"

	"aerie/hw/v4l2/uapi"
)

// watchdog notices that a device takes access units and gives no pictures,
// from the first one on (hardware reference section 1.7).
type watchdog struct {
	pending int           // access units since the last picture
	since   time.Duration // when the last that is counted was sent
	seen    bool          // a picture came once
}

const (
	// Behind that many access units a picture must come. The Raspberry Pi's
	// decoder keeps one back until the next arrives (hardware reference
	// section 1.5), and an access unit may hold none.
	pendingAtFirst = 2
	pendingLater   = 3
)

func (w *watchdog) most() int {
	if w.seen {
		return pendingLater
	}
	return pendingAtFirst
}

// sent notes an access unit.
func (w *watchdog) sent(now time.Duration) {
	if w.pending++; w.pending <= w.most() {
		w.since = now
	}
}

// came notes a picture.
func (w *watchdog) came() { w.pending, w.seen = 0, true }

// reset forgets what is pending.
func (w *watchdog) reset() { w.pending = 0 }

// due is when a picture must have come; ok is false while none must.
func (w *watchdog) due(limit time.Duration) (at time.Duration, ok bool) {
	return w.since + limit, w.pending >= w.most()
}

// timeout is how long the loop may wait, negative for as long as it likes.
func (d *Decoder) timeout() time.Duration {
	at, ok := d.watch.due(d.stall)
	if d.deadline != 0 && (!ok || d.deadline < at) {
		at, ok = d.deadline, true
	}
	if !ok {
		return -1
	}
	return max(at-d.sys.Now(), 0)
}

// overdue looks for what should have happened by now.
func (d *Decoder) overdue() error {
	now := d.sys.Now()
	if d.deadline != 0 && now >= d.deadline {
		switch {
		case d.changing:
			// The last picture of the old size got lost: go on without it.
			return d.rebuild()
		case d.draining && d.watch.pending == 0:
			// A driver that has not begun ignores what it is told.
			return d.endDrain(nil)
		case d.draining:
			return d.endDrain(d.stalled(now))
		}
	}
	if at, ok := d.watch.due(d.stall); ok && now >= at {
		return d.stalled(now)
	}
	return nil
}

func (d *Decoder) stalled(now time.Duration) error {
	what := fmt.Errorf("%w: %d access units and no picture for %v", ErrStalled, d.watch.pending, now-d.watch.since)
	return d.f.Fail(uapi.DQBuf.Name, d.capture.typ, what)
}
