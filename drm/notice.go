package drm

// notice is a call that is due to one of the functions in Options.
type notice struct {
	flip    Flip
	change  *Change
	release uint64
	kind    noticeKind
}

type noticeKind uint8

const (
	noticeFlip noticeKind = iota
	noticeRelease
	noticeChange
)

// release gives a picture's memory back.
func (d *Display) release(p *Picture) {
	fb := p.FB
	if fb == nil {
		return
	}
	if fb.uses--; fb.uses == 0 && fb.closing {
		d.reap = append(d.reap, fb)
	}
	d.notices = append(d.notices, notice{kind: noticeRelease, release: p.ID})
	p.FB = nil
}

// keep moves what is on the screen back into the mailbox, unless something
// newer is there.
func (l *layer) keep(d *Display) {
	if !l.waiting && l.current.FB != nil {
		l.next, l.waiting, l.current = l.current, true, Picture{}
	}
}

// releaseAll gives up what is, or may still be, on the screen, and with
// waiting also what is to come.
func (d *Display) releaseAll(waiting bool) {
	for i := range d.retire {
		d.release(&d.retire[i])
	}
	d.retire, d.inFlight = d.retire[:0], false
	for _, l := range []*layer{&d.base, &d.over} {
		d.release(&l.current)
		l.current = Picture{}
		if waiting {
			d.release(&l.next)
			l.next, l.waiting = Picture{}, false
		}
	}
}

// report queues a change.
func (d *Display) report(c Change) {
	d.notices = append(d.notices, notice{kind: noticeChange, change: &c})
}

// deliver calls the functions in Options for what has been queued, and removes
// frame buffers that have been waiting for their last picture to go. No lock is
// held.
func (d *Display) deliver() {
	for {
		d.mu.Lock()
		var n notice
		var dead *Framebuffer
		switch {
		case len(d.reap) > 0:
			dead = d.reap[len(d.reap)-1]
			d.reap = d.reap[:len(d.reap)-1]
		case len(d.notices) > 0:
			n = d.notices[0]
			d.notices = append(d.notices[:0], d.notices[1:]...)
		default:
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		switch {
		case dead != nil:
			d.buffers.Lock()
			if !d.buffers.closed {
				dead.destroy()
			}
			d.buffers.Unlock()
		case n.kind == noticeFlip && d.opt.Flipped != nil:
			d.opt.Flipped(n.flip)
		case n.kind == noticeRelease && d.opt.Released != nil:
			d.opt.Released(n.release)
		case n.kind == noticeChange && d.opt.Changed != nil:
			d.opt.Changed(*n.change)
		}
	}
}
