package alsa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// errOtherRate ends play: the device now open has another rate.
var errOtherRate = errors.New("other rate")

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
	// An underrun is the machine's fault, not the device's: a machine that is
	// busy for a while should not be without sound for much longer.
	underrunPause = 800 * time.Millisecond
	quickFaults   = 8 // in a row that are mended on the spot
	resumeTries   = 40
	resumePause   = 50 * time.Millisecond
)

// recover counts a fault and does what it takes: an underrun or a suspend is
// mended on the spot, anything else closes the device, to be opened again
// after a pause that grows with every fault in a row.
func (o *Output) recover(ctx context.Context, fault error) {
	o.trouble++
	o.complain(fault)
	again := false
	switch {
	case o.pcm == nil:
		o.update(func(s *Stats) { s.Failures++ })
	case errors.Is(fault, unix.EPIPE):
		o.update(func(s *Stats) { s.Xruns++ })
		again = o.trouble <= quickFaults
	case errors.Is(fault, unix.ESTRPIPE):
		o.update(func(s *Stats) { s.Suspends++ })
		again = o.trouble <= quickFaults && o.resume(ctx)
	case errors.Is(fault, unix.ENODEV), errors.Is(fault, errGone):
		o.update(func(s *Stats) { s.Losses++ })
	case errors.Is(fault, errStalled):
		o.update(func(s *Stats) { s.Stalls++ })
	default:
		o.update(func(s *Stats) { s.Failures++ })
	}
	if again {
		o.update(func(s *Stats) { s.Playing = false })
		err := o.pcm.Prepare()
		if err == nil {
			return // play starts it
		}
		o.complain(err)
		o.update(func(s *Stats) { s.Failures++ })
	}
	o.disconnect()
	wait := pause(o.trouble)
	if errors.Is(fault, unix.EPIPE) {
		wait = min(wait, underrunPause)
	}
	o.notBefore = o.sys.now() + int64(wait)
}

// pause is how long to leave a device alone after n faults in a row.
func pause(n int) time.Duration {
	return min(firstPause<<min(max(n-1, 0), 10), longPause)
}

// resume waits for the hardware to wake up. What a driver then still has in
// its ring is stale: the stream is prepared anew in any case.
func (o *Output) resume(ctx context.Context) bool {
	for range resumeTries {
		if !errors.Is(o.pcm.Resume(), unix.EAGAIN) {
			return true
		}
		// Not on the device: one that is suspended is in error all the time.
		if _, err := o.wait(resumePause, nil); err != nil || ctx.Err() != nil || o.shut() {
			return false
		}
	}
	return false
}

// complain records a fault and reports it unless it was the last one reported.
func (o *Output) complain(fault error) {
	o.update(func(s *Stats) { s.Err = fault })
	if text := fault.Error(); text != o.complaint {
		o.complaint = text
		if o.cfg.Report != nil {
			o.cfg.Report(fault)
		}
	}
}

// relieved says that sound plays again.
func (o *Output) relieved() {
	if o.trouble == 0 && o.complaint == "" {
		return
	}
	o.trouble, o.complaint = 0, ""
	o.update(func(s *Stats) { s.Err = nil })
	if o.cfg.Report != nil {
		o.cfg.Report(nil)
	}
}

// errHeld says that the device wanted is behind the closed gate.
var errHeld = errors.New("the video mode is being set")

// idle waits until a device may be opened, and opens it.
func (o *Output) idle() error {
	if d := time.Duration(o.due() - o.sys.now()); d > 0 {
		if _, err := o.wait(d, nil); err != nil {
			o.sys.sleep(firstPause) // or it would be a busy loop
			return err
		}
		if o.stirred() {
			o.notBefore = o.sys.now() + int64(o.cfg.Settle)
		}
		return nil
	}
	err := o.connect()
	if errors.Is(err, errHeld) {
		o.notBefore = o.sys.now() + int64(longPause)
		return nil
	}
	return err
}

// due is when the next attempt to open may be made.
func (o *Output) due() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.opened != 0 && o.device.Kind == HDMI {
		o.notBefore = o.opened + int64(o.cfg.Settle)
	}
	o.opened = 0
	return o.notBefore
}

// connect opens the best device that opens.
func (o *Output) connect() error {
	list, err := o.survey()
	if err != nil {
		return err
	}
	pcm, err := o.openAny(list)
	if err != nil {
		return err
	}
	return o.use(pcm, list[0])
}

// survey lists the devices that may be used, best first, and sees to it that
// what is plugged in is followed from there on.
func (o *Output) survey() ([]Device, error) {
	list, err := candidates(o.sys, o.cfg.Device)
	if err != nil {
		return nil, err
	}
	added, err := o.watch.open(o.sys, list)
	if err != nil {
		o.complain(err)
	}
	if added {
		return candidates(o.sys, o.cfg.Device)
	}
	return list, nil
}

// openAny opens the first device of list that opens. A device that is busy or
// behind the gate ends the search, and so does a lesser one that leads nowhere:
// the reason serves the user better than sound that nobody hears.
func (o *Output) openAny(list []Device) (*PCM, error) {
	var errs []error
	for i, d := range list {
		if i > 0 && d.rank() >= rankUnplugged {
			break
		}
		pcm, err := o.open(d)
		if err == nil {
			return pcm, nil
		}
		errs = append(errs, err)
		if errors.Is(err, ErrBusy) || errors.Is(err, errHeld) {
			break
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, errors.Join(errs...)
}

// open opens one device. HDMI is announced first, so that Hold waits for an
// attempt under way.
func (o *Output) open(d Device) (*PCM, error) {
	if o.pcm == nil {
		o.device = d
	}
	if d.Kind == HDMI && !o.announce(true) {
		return nil, fmt.Errorf("alsa: %s: %w", d, errHeld)
	}
	w := o.cfg.Want
	if rate := o.Rate(); rate != w.Rates[0] { // no change without need
		w.Rates = append([]int{rate}, w.Rates...)
	}
	pcm, err := openPCM(o.sys, d, w)
	if err != nil && d.Kind == HDMI {
		o.announce(false)
	}
	return pcm, err
}

// announce marks HDMI as in use unless the gate is closed, or takes that back.
func (o *Output) announce(on bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if on && o.held {
		return false
	}
	o.hdmi = on || o.pcm != nil && o.device.Kind == HDMI
	o.changed.Broadcast()
	return true
}

func same(a, b Device) bool { return a.Card.ID == b.Card.ID && a.Number == b.Number }

// use makes pcm the device that plays. When it is not the best there is, that
// one is tried again later.
func (o *Output) use(pcm *PCM, best Device) error {
	s := pcm.setup
	if o.cfg.LineLevel && s.Device.Kind == Analog {
		if err := setLineLevel(o.sys, s.Device.Card); err != nil {
			o.complain(err)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disconnectLocked()
	o.pcm, o.device, o.hdmi = pcm, s.Device, s.Device.Kind == HDMI
	o.reconsider = 0
	if !same(s.Device, best) {
		o.reconsider = o.sys.now() + int64(betterTime)
	}
	if n := s.Period * Channels; len(o.buf) != n {
		o.buf, o.zero = make([]float32, n), make([]float32, n)
	}
	o.stats.Opens++
	o.stats.Setup = s
	if s.Rate == o.rate {
		return nil
	}
	o.rate = s.Rate
	if !o.running { // nobody has been told of a rate yet
		return nil
	}
	return errOtherRate
}

// otherRate is how Run ends when the rate has changed.
func (o *Output) otherRate() error {
	return fmt.Errorf("alsa: %s: %w is now %d Hz", o.device, ErrRate, o.Rate())
}

// disconnect closes the device, if one is open.
func (o *Output) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.disconnectLocked()
}

func (o *Output) disconnectLocked() {
	if o.pcm == nil {
		return
	}
	_ = o.pcm.Drop() // closing stops it as well
	o.pcm.Close()
	o.pcm = nil
	o.hdmi, o.stats.Playing = false, false
	o.changed.Broadcast()
}
