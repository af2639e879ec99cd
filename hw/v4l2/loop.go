package v4l2

import (
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// run is the decoder's goroutine, from before the device is opened until after
// it is closed.
func (d *Decoder) run(started chan<- error) {
	defer close(d.done)
	err := d.start()
	if err != nil {
		d.mu.Lock()
		d.closing = true
		d.mu.Unlock()
	}
	if err == nil {
		started <- nil
		if failure := d.loop(); failure != nil {
			d.fail(failure)
		}
	}
	d.tearDown()
	if err != nil {
		started <- err
	}
}

// start opens and sets up the device.
func (d *Decoder) start() error {
	f, err := uapi.OpenFile(d.sys, d.cfg.Device.Path)
	if err != nil {
		return err
	}
	f.Name = d.name()
	d.f = f
	wake, err := d.sys.Event()
	d.mu.Lock()
	d.file = f
	if err == nil {
		d.wake = wake
	}
	d.mu.Unlock()
	if err != nil {
		return &uapi.Error{Device: f.Name, Call: "eventfd", Err: err}
	}
	out, capture := d.cfg.Device.queues()
	d.out, d.capture = queue{f: f, typ: out}, queue{f: f, typ: capture}
	if err := d.subscribe(); err != nil {
		return err
	}
	if err := d.startInput(); err != nil {
		return err
	}
	if !d.quirk.early {
		return d.out.stream(true)
	}
	if err := d.prepareCapture(d.cfg.Width, d.cfg.Height); err != nil {
		return err
	}
	if err := d.out.stream(true); err != nil {
		return err
	}
	return d.startCapture()
}

// subscribe asks for events. The end of the stream also shows otherwise.
func (d *Decoder) subscribe() error {
	change := &uapi.EventSubscription{Type: uapi.EventSourceChange}
	if err := d.f.Call(&uapi.SubscribeEvent, unsafe.Pointer(change)); err != nil {
		return err
	}
	end := &uapi.EventSubscription{Type: uapi.EventEOS}
	err := d.f.Call(&uapi.SubscribeEvent, unsafe.Pointer(end))
	if uapi.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// startInput makes the memory for access units.
func (d *Decoder) startInput() error {
	f := plainFormat{width: d.cfg.Width, height: d.cfg.Height, format: d.cfg.Codec, size: InputSize}
	if err := d.out.format(&uapi.SFmt, &f); err != nil {
		return err
	}
	if f.format != d.cfg.Codec || f.width < d.cfg.Width || f.height < d.cfg.Height || f.planes != 1 {
		return d.f.Fail(uapi.SFmt.Name, d.out.typ, ErrUnsuitable)
	}
	if err := d.out.request(inputs); err != nil {
		return err
	}
	if err := d.out.mapAll(); err != nil {
		return err
	}
	d.inputs = make([]Input, len(d.out.buffers))
	for i := range d.inputs {
		d.inputs[i] = Input{d: d, index: i, mem: d.out.buffers[i].mem}
		d.free <- &d.inputs[i]
	}
	return nil
}

// loop serves the device until Close, or an error.
func (d *Decoder) loop() error {
	for {
		if closing, err := d.serve(); closing || err != nil {
			return err
		}
		events, err := d.wait()
		if err != nil {
			return err
		}
		// An event explains the EPIPE that comes with it.
		if events&unix.POLLPRI != 0 {
			if err := d.takeEvents(); err != nil {
				return err
			}
		}
		if err := d.takePictures(); err != nil {
			return err
		}
		if err := d.takeInputs(); err != nil {
			return err
		}
		if events&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 && events&(unix.POLLIN|unix.POLLOUT|unix.POLLPRI) == 0 {
			return &uapi.Error{Device: d.f.Name, Call: "poll", Err: unix.ENODEV}
		}
		if err := d.overdue(); err != nil {
			return err
		}
	}
}

// serve does what others have asked for.
func (d *Decoder) serve() (closing bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing || d.err != nil {
		return true, nil
	}
	ask := d.ask
	d.ask = nothing
	if ask == flush {
		for _, in := range d.submitted {
			d.free <- in
		}
		d.submitted = d.submitted[:0]
	}
	for len(d.submitted) > 0 {
		in := d.submitted[0]
		d.submitted = append(d.submitted[:0], d.submitted[1:]...)
		// The call may never return: nobody must wait for the lock then.
		d.mu.Unlock()
		err := d.out.put(in.index, in.used, in.token)
		d.watch.sent(d.sys.Now())
		d.mu.Lock()
		if err != nil {
			return false, err
		}
	}
	for len(d.released) > 0 {
		p := d.released[0]
		d.released = append(d.released[:0], d.released[1:]...)
		d.mu.Unlock()
		err := d.giveBack(p)
		d.mu.Lock()
		if err != nil {
			return false, err
		}
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	switch ask {
	case flush:
		err := d.flush()
		d.answer <- err
		return false, err
	case drain:
		return false, d.startDrain()
	}
	return false, nil
}

// wait waits for the device, for those who ask for something, and for what is
// due. It returns what the device has.
func (d *Decoder) wait() (events int16, err error) {
	d.fds = [2]unix.PollFd{{Fd: int32(d.wake), Events: unix.POLLIN}, {Fd: int32(d.f.FD), Events: unix.POLLPRI}}
	// To ask for more than can come is an error on a decoder: POLLERR.
	if d.capture.on && d.capture.queued > 0 && !d.ended {
		d.fds[1].Events |= unix.POLLIN
	}
	if d.out.queued > 0 {
		d.fds[1].Events |= unix.POLLOUT
	}
	_, err = d.sys.Poll(d.fds[:], d.timeout())
	if err == unix.EINTR || err == unix.EAGAIN {
		return 0, nil
	}
	if err != nil {
		return 0, &uapi.Error{Device: d.f.Name, Call: "poll", Err: err}
	}
	if d.fds[0].Revents != 0 {
		d.sys.Clear(d.wake)
	}
	return d.fds[1].Revents, nil
}

// takeInputs takes back the memory of access units that have been read.
func (d *Decoder) takeInputs() error {
	r := &d.taking
	for d.out.queued > 0 {
		switch err := d.out.take(r); err {
		case nil:
			d.free <- &d.inputs[r.index]
		case errNothing, errEnd:
			return nil
		default:
			return err
		}
	}
	return nil
}

// tearDown gives everything back, whatever state it is in. The memory of access
// units stays until nobody writes there any more.
func (d *Decoder) tearDown() {
	// Errors are of no use here: the caller has the one that matters, and the
	// kernel frees what is left with the descriptor.
	_ = d.retire()
	if d.out.on {
		_ = d.out.stream(false)
		d.out.on = false
	}
	for {
		d.mu.Lock()
		finished := d.closing && d.leased == 0
		wake := d.wake
		d.mu.Unlock()
		if finished || wake < 0 {
			break
		}
		fd := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := d.sys.Poll(fd, time.Second); err == nil && fd[0].Revents != 0 {
			d.sys.Clear(wake)
		}
	}
	if d.f == nil {
		return
	}
	_ = d.out.free()
	d.mu.Lock()
	if d.wake >= 0 {
		_ = d.sys.Close(d.wake)
		d.wake = -1
	}
	d.mu.Unlock()
	d.f.Close()
}
