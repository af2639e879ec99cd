package alsa

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// player is the state of the goroutine that plays.
type player struct {
	pcm    *PCM
	device Device // the one open, or the one wanted last
	watch  watch
	line   timeline
	buf    []float32 // one period
	zero   []float32 // one period of silence
	fds    [2 + maxWatched]unix.PollFd

	awake    bool  // a snapshot was taken since the start: play times are known
	position int64 // frames heard at the last snapshot
	moved    int64 // when the position last changed
	healthy  int64 // when sound began to play without trouble

	trouble    int    // faults in a row
	complaint  string // the last one reported
	notBefore  int64  // no attempt to open before this time
	reconsider int64  // when to look for a better device; 0: never
}

const (
	// A device that has not moved for this long is dead; or for a few
	// periods, if that is longer.
	stallTime    = 500 * time.Millisecond
	stallPeriods = 4
	// After this long without trouble the past is forgotten.
	healthyTime = 2 * time.Second
	// How often a better device that refused is tried again.
	betterTime = 5 * time.Second
)

// play is the life of Run's goroutine.
func (o *Output) play(ctx context.Context, fill func([]float32, int64)) error {
	for ctx.Err() == nil && !o.isClosed() {
		var err error
		switch {
		case o.pcm == nil:
			err = o.idle()
		case !o.stats.Playing:
			err = o.start()
		default:
			err = o.turn(fill)
		}
		if errors.Is(err, errOtherRate) {
			return o.otherRate()
		}
		if err != nil {
			o.recover(ctx, err)
		}
	}
	o.finish()
	return nil
}

// start fills the prepared ring with silence and sets the device going. The
// caller's samples follow as soon as it is known when they will be heard.
func (o *Output) start() error {
	s := o.pcm.setup
	for range s.Buffer / s.Period {
		if err := o.pcm.Write(o.zero); err != nil {
			return err
		}
	}
	if err := o.pcm.Start(); err != nil {
		return err
	}
	o.line.reset(s.Rate, s.Period)
	now := o.sys.now()
	o.awake, o.position, o.moved, o.healthy = false, 0, now, now
	o.update(func(st *Stats) { st.Playing = true })
	return nil
}

// turn waits for a wake-up and does what is due.
func (o *Output) turn(fill func([]float32, int64)) error {
	timeout, err := o.wait(o.patience(), o.pcm)
	if err != nil || o.shut() {
		return err
	}
	if moved, err := o.plugged(); moved || err != nil {
		return err
	}
	st, err := o.pcm.Status()
	if err != nil {
		return err
	}
	if err := o.check(st); err != nil {
		return err
	}
	if o.pcm.room < o.pcm.setup.Period {
		if o.fds[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			// Going on would be a busy loop.
			return &Error{o.pcm.name, "poll", errors.New("the device is in error")}
		}
		return nil // woken early
	}
	return o.feed(fill, timeout)
}

// patience is how long to wait for a wake-up: two periods, so that a lost one
// does no harm, but not beyond the next thing to do.
func (o *Output) patience() time.Duration {
	d := 2 * o.period()
	if o.reconsider != 0 {
		d = min(d, time.Duration(o.reconsider-o.sys.now()))
	}
	return max(d, 0)
}

func (o *Output) period() time.Duration {
	s := &o.pcm.setup
	return time.Duration(s.Period) * time.Second / time.Duration(s.Rate)
}

func (o *Output) stallTime() time.Duration { return max(stallTime, stallPeriods*o.period()) }

// errStalled and errGone are states of the device that no call reports.
var (
	errStalled = errors.New("the device stopped moving")
	errGone    = errors.New("the device is gone")
)

// check judges a snapshot.
func (o *Output) check(st Status) error {
	switch st.State {
	case StateRunning:
	case StateXrun:
		return &Error{o.pcm.name, "playing", unix.EPIPE}
	case StateSuspended:
		return &Error{o.pcm.name, "playing", unix.ESTRPIPE}
	case StateDisconnected:
		return &Error{o.pcm.name, "playing", errGone}
	default:
		return &Error{o.pcm.name, "playing", errors.New("the device is " + st.State.String())}
	}
	now, position := o.sys.now(), st.Written-int64(st.Delay)
	if position != o.position {
		o.position, o.moved = position, now
	} else if time.Duration(now-o.moved) >= o.stallTime() {
		return &Error{o.pcm.name, "playing", errStalled}
	}
	if time.Duration(now-o.healthy) >= healthyTime {
		o.relieved()
	}
	if !o.line.observe(position, st.Time) {
		o.update(func(s *Stats) { s.Jumps++ })
	}
	o.awake = true
	return nil
}

// feed fills the ring by whole periods and keeps the books.
func (o *Output) feed(fill func([]float32, int64), timeout bool) error {
	s := &o.pcm.setup
	n := uint64(0)
	for ; o.pcm.room >= s.Period; n++ {
		clear(o.buf)
		if fill != nil {
			fill(o.buf, o.line.at(o.pcm.written))
		}
		if err := o.pcm.Write(o.buf); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if fill != nil {
		o.stats.Periods += n
	}
	if timeout {
		o.stats.Timeouts++
	}
	o.stats.Latency = time.Duration(o.pcm.written-o.position) * time.Second / time.Duration(s.Rate)
	o.stats.Bound, o.stats.Drift = o.line.bound(), o.line.drift()
	return nil
}

// finish plays silence until what the caller filled has been heard, then
// stops and closes the device. (DRAIN would play stale sound of the ring up to
// the next interrupt, and may hang.)
func (o *Output) finish() {
	if o.pcm == nil {
		return
	}
	if o.stats.Playing && o.awake {
		last := o.pcm.written
		for limit := o.sys.now() + int64(4*o.stats.Latency+o.stallTime()); o.position < last && o.sys.now() < limit; {
			if err := o.turn(nil); err != nil || o.pcm == nil {
				break
			}
		}
	}
	o.disconnect()
}

// wait polls the wake-up calls, the device if there is one, and then the
// jacks as well. The descriptors' state is in fds afterwards. timeout says
// that nothing happened.
func (o *Output) wait(d time.Duration, pcm *PCM) (timeout bool, err error) {
	o.fds[0] = unix.PollFd{Fd: int32(o.waking), Events: unix.POLLIN}
	o.fds[1] = unix.PollFd{Fd: -1}
	if pcm != nil {
		o.fds[1] = unix.PollFd{Fd: int32(pcm.fd), Events: unix.POLLOUT}
	}
	fds := o.fds[:2]
	for _, c := range o.watch.controls {
		fds = append(fds, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
	}
	n, err := o.sys.poll(fds, d)
	if err != nil {
		clear(o.fds[:])
		if err == unix.EINTR {
			return false, nil
		}
		return false, &Error{o.name(), "poll", err}
	}
	if o.fds[0].Revents != 0 {
		var b [8]byte
		_, _ = o.sys.read(o.waking, b[:]) // it only resets the event
	}
	return n == 0, nil
}

// name is the device's name for messages.
func (o *Output) name() string {
	if o.device.Card.ID == "" {
		return o.cfg.Device
	}
	return o.device.String()
}

// shut closes an HDMI device when the gate has been closed.
func (o *Output) shut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.held || !o.hdmi {
		return false
	}
	o.disconnectLocked()
	return true
}
