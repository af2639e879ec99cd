package drm

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// commit sends what waits in the mailboxes, unless a commit is in flight.
func (d *Display) commit() {
	for d.lit && !d.inFlight && d.lost == nil && !d.mend && (d.base.waiting || d.over.waiting) {
		base, over := d.base.latest(), d.over.latest()
		if base.FB == nil {
			return // an overlay waits for something to be over
		}
		p, sc, err := d.arrange(base, over)
		if err == nil {
			err = d.send(p, &sc, base, over)
		}
		if err == nil {
			d.sentOff(p)
			return
		}
		if !d.refused(err, &sc) {
			return
		}
	}
}

// send makes the atomic commit: only the frame buffers if nothing else is new.
func (d *Display) send(p *plan, sc *scene, base, over *Picture) error {
	d.req.reset()
	flags := uint32(atomicNonblock | atomicPageFlipEvent)
	if p == d.plan {
		if d.base.waiting {
			d.req.object(&p.base.plane.object)
			d.req.set("FB_ID", uint64(base.FB.id))
		}
		if d.over.waiting && over.FB != nil {
			d.req.object(&p.over.plane.object)
			d.req.set("FB_ID", uint64(over.FB.id))
		}
	} else {
		d.fill(d.req, p, sc, base.FB, over.FB)
		if p.modeset {
			flags |= atomicAllowModeset
		}
	}
	return d.req.commit(flags, d.serial+1)
}

// sentOff records that the kernel has taken the commit.
func (d *Display) sentOff(p *plan) {
	d.serial++
	d.plan, d.inFlight, d.fresh, d.sent = p, true, d.base.waiting, d.sys.now()
	d.retryAt, d.began = 0, 0
	d.out.use(p)
	for _, l := range []*layer{&d.base, &d.over} {
		if !l.waiting {
			continue
		}
		if l.current.FB != nil {
			d.retire = append(d.retire, l.current)
		}
		l.current, l.next, l.waiting = l.next, Picture{}, false
	}
}

// patience is how long the kernel may take for a commit, or refuse one as
// busy, before the display is switched off and on again: far above an interval
// of the slowest mode, and above what a mode setting takes.
const patience = int64(time.Second)

// refused deals with a commit that the kernel did not take, and reports whether
// to try again at once.
func (d *Display) refused(err error, sc *scene) bool {
	switch {
	case errors.Is(err, unix.EBUSY):
		// An earlier commit is not done yet, though its event may have come.
		d.counters.Busy++
		now := d.sys.now()
		if d.began == 0 {
			d.began = now
		}
		if now-d.began > patience {
			d.giveUpOrMend(err)
			return false
		}
		d.retryAt = now + int64(d.out.mode.Interval())/4
		d.signal()
		return false
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		d.lose(fmt.Errorf("%w: %w", ErrBusy, err))
		return false
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		d.lose(err)
		return false
	}
	verdict := final(err)
	if !verdict {
		// ENOSPC above all: the display controller has no bandwidth for this
		// scene though its test passed, or has leaked the memory of its lists
		// (hardware reference section 3.3). Without the overlay it may do.
		delete(d.plans, *sc)
	}
	if d.over.latest().FB != nil {
		d.dropOverlay(err)
		return true
	}
	if verdict {
		d.giveUp(err)
	} else {
		d.giveUpOrMend(err)
	}
	return false
}

// dropOverlay takes the overlay out of the next commit.
func (d *Display) dropOverlay(err error) {
	if d.over.waiting {
		d.release(&d.over.next)
	}
	d.over.next, d.over.waiting = Picture{}, d.over.current.FB != nil
	d.report(Change{Kind: Failed, Err: fmt.Errorf("drm: %s: overlay given up: %w", d.card.path, err)})
}

// giveUpOrMend has the display switched off and on, which cures most of what a
// driver can get into; when that has been tried since the last picture
// appeared, it drops the one that waits.
func (d *Display) giveUpOrMend(err error) {
	if d.mends > 0 {
		d.giveUp(err)
		return
	}
	d.mends++
	d.mend = true
	d.signal()
}

// giveUp drops the pictures that wait.
func (d *Display) giveUp(err error) {
	d.counters.Failed++
	d.retryAt, d.began = 0, 0
	d.report(Change{Kind: Failed, Err: fmt.Errorf("drm: %s: picture given up: %w", d.card.path, err)})
	for _, l := range []*layer{&d.base, &d.over} {
		if l.waiting {
			d.release(&l.next)
			l.next, l.waiting = Picture{}, false
		}
	}
}

// lose records that the display is of no use any more.
func (d *Display) lose(err error) {
	if d.lost != nil {
		return
	}
	d.lost, d.lit, d.attached = err, false, false
	d.releaseAll(true)
	d.report(Change{Kind: Lost, Err: err})
}

// flipped completes the commit in flight.
func (d *Display) flipped(e *eventVBlank) {
	if !d.inFlight || e.userData != d.serial {
		return
	}
	if !d.lit { // the mode is being set: see activate
		d.inFlight = false
		return
	}
	t := int64(e.tvSec)*1e9 + int64(e.tvUsec)*1e3
	d.phase.observe(t, e.sequence)
	d.inFlight = false
	if t == 0 { // drivers give none for the event of a mode setting
		t = d.sys.now()
	}
	for i := range d.retire {
		d.release(&d.retire[i])
	}
	d.retire = d.retire[:0]
	if c := &d.base.current; c.FB != nil && d.fresh {
		d.mends = 0
		f := Flip{ID: c.ID, Time: t, Sequence: e.sequence, Due: c.Due, Submitted: d.sent}
		f.Late = c.Due != 0 && t > c.Due+int64(d.out.mode.Interval())/2
		d.counters.Shown++
		if f.Late {
			d.counters.Late++
		}
		d.notices = append(d.notices, notice{kind: noticeFlip, flip: f})
	}
	d.commit()
}
