package drm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// lookAround is how often the connectors are looked at when the kernel's
// uevents cannot be had.
const lookAround = int64(5 * time.Second)

// loop waits for page flips, uevents, calls of signal, and the earliest of the
// times by which something must have happened, until the display is closed. It
// is the only goroutine of a display.
func (d *Display) loop() {
	defer close(d.done)
	fds := []unix.PollFd{{Fd: int32(d.wake), Events: unix.POLLIN}, {Fd: int32(d.card.fd), Events: unix.POLLIN}, {Fd: int32(d.uev), Events: unix.POLLIN}}
	buf := make([]byte, maxUevent)
	look := d.sys.now()
	for {
		now := d.sys.now()
		wait := d.deadline(now)
		if d.uev < 0 {
			wait = min(wait, look+lookAround-now)
		}
		// Round up, so that the time has come when poll returns.
		_, err := unix.Poll(fds, int((max(0, wait)+999_999)/1e6))
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			d.fail(fmt.Errorf("drm: %s: poll: %w", d.card.path, err))
			return
		}
		ended, lost := d.ended()
		if ended {
			return
		}
		if lost { // what is gone may be readable for ever
			fds[1] = unix.PollFd{Fd: -1}
		}
		if fds[0].Revents != 0 {
			unix.Read(d.wake, buf[:8])
		}
		if fds[1].Revents&unix.POLLIN != 0 {
			d.readEvents(buf)
		} else if fds[1].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			d.fail(fmt.Errorf("drm: %s: %w", d.card.path, unix.ENODEV))
		}
		if fds[2].Revents&(unix.POLLHUP|unix.POLLNVAL) != 0 {
			fds[2].Fd = -1
		} else if fds[2].Revents != 0 {
			d.readUevents(buf)
		}
		if now = d.sys.now(); d.uev < 0 && now-look >= lookAround {
			look = now
			d.glimpse(now)
		}
		d.attend(now)
		d.deliver()
	}
}

// signal ends the loop's wait.
func (d *Display) signal() {
	one := [8]byte{}
	binary.NativeEndian.PutUint64(one[:], 1)
	// It fails only when the counter is full: the loop is awake then.
	_, _ = unix.Write(d.wake, one[:])
}

func (d *Display) ended() (closed, lost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed, d.lost != nil
}

// fail is lose for the loop.
func (d *Display) fail(err error) {
	d.mu.Lock()
	d.lose(err)
	d.mu.Unlock()
	d.deliver()
}

// deadline is how long the loop may wait, in nanoseconds. It is at most
// patience, because Show does not wake the loop to say that it has sent a
// commit.
func (d *Display) deadline(now int64) int64 {
	at := now + patience
	if t, ok := d.plug.due(); ok {
		at = min(at, t)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost != nil {
		return patience
	}
	if d.inFlight {
		at = min(at, d.sent+patience)
	}
	if d.retryAt != 0 {
		at = min(at, d.retryAt)
	}
	if d.mend {
		at = now
	}
	return at - now
}

// attend does what has become due.
func (d *Display) attend(now int64) {
	d.mu.Lock()
	if d.lost != nil {
		d.mu.Unlock()
		return
	}
	if d.lit && d.inFlight && now-d.sent >= patience {
		d.stalled()
	}
	if d.retryAt != 0 && now >= d.retryAt {
		d.retryAt = 0
		d.commit()
	}
	mend := d.mend
	d.mu.Unlock()
	t, ok := d.plug.due()
	if ok && now >= t || mend {
		d.plug.reset()
		d.replug(mend)
	}
}

// maxMends bounds how often a display that completes nothing is switched off
// and on.
const maxMends = 3

// stalled deals with a commit whose event never came.
func (d *Display) stalled() {
	d.counters.Stalled++
	if d.mends++; d.mends > maxMends {
		d.lose(fmt.Errorf("drm: %s: page flips do not complete", d.card.path))
		return
	}
	d.mend = true
}

// readEvents takes what the card has to tell.
func (d *Display) readEvents(buf []byte) {
	n, err := unix.Read(d.card.fd, buf)
	if err != nil {
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			d.fail(fmt.Errorf("drm: %s: read events: %w", d.card.path, err))
		}
		return
	}
	d.mu.Lock()
	for b := buf[:n]; ; {
		var e eventVBlank
		var ok bool
		if e, b, ok = nextEvent(b); !ok {
			break
		}
		if e.typ == eventFlipComplete {
			d.flipped(&e)
		}
	}
	d.mu.Unlock()
}

// eventSize is the size of drm_event_vblank; other events begin with the same
// type and length.
const eventSize = 32

// nextEvent takes the first event off a buffer that was read from a card. One
// of a kind that is not as long as a flip has only its type and length.
func nextEvent(b []byte) (e eventVBlank, rest []byte, ok bool) {
	if len(b) < 8 {
		return e, nil, false
	}
	ne := binary.NativeEndian
	e.typ, e.length = ne.Uint32(b), ne.Uint32(b[4:])
	if e.length < 8 || uint64(e.length) > uint64(len(b)) {
		return e, nil, false
	}
	rest = b[e.length:]
	if e.length < eventSize {
		if e.typ == eventFlipComplete {
			return e, nil, false
		}
		return e, rest, true
	}
	e.userData = ne.Uint64(b[8:])
	e.tvSec, e.tvUsec, e.sequence, e.crtcID = ne.Uint32(b[16:]), ne.Uint32(b[20:]), ne.Uint32(b[24:]), ne.Uint32(b[28:])
	return e, rest, true
}
