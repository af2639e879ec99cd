package v4l2

import (
	"context"
	"fmt"
	"sync"
	"time"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// Decoder is one stream on a device. Lease and the methods of Input belong to
// one goroutine at a time, the others may be called from any.
type Decoder struct {
	cfg   Config
	sys   uapi.System
	quirk quirks
	stall time.Duration

	free   chan *Input
	failed chan struct{} // closed when no more pictures will come
	done   chan struct{} // closed when everything has been given back
	timer  *time.Timer   // of Lease
	answer chan error    // to what was asked for

	// The loop's own.
	f            *uapi.File // nil until the device is open
	fds          [2]unix.PollFd
	out, capture queue
	inputs       []Input
	format       plainFormat // of the pictures
	layout       *Layout     // nil until there is memory for pictures
	generation   uint32
	held         uint32 // bit set of pictures that are with the caller
	watch        watchdog
	ended        bool          // DQBUF will answer EPIPE
	changing     bool          // to another size, when the last picture has come
	draining     bool          // for Drain
	deadline     time.Duration // when to go on without the last picture, 0: never
	taking       result        // of DQBUF

	mu        sync.Mutex
	file      *uapi.File // f, for who waits for a call
	wake      int        // eventfd that ends the loop's wait, -1 for none
	submitted []*Input   // for the loop to queue, at most inputs
	released  []Picture  // for the loop to queue again, at most MaxFrames
	ask       request
	leased    int
	closing   bool
	err       error
}

// request is what the loop is asked for.
type request uint8

const (
	nothing request = iota
	flush
	drain
)

// Input is memory for one access unit.
type Input struct {
	d     *Decoder
	index int
	mem   []byte
	used  int
	token uint64
}

// Open opens a decoder and makes it ready for the first access unit. The
// functions of the Config are called until Close has returned. An error names
// device and call; nothing is then held.
func Open(cfg Config) (*Decoder, error) {
	if cfg.system == nil {
		cfg.system = uapi.Linux{}
	}
	d := &Decoder{cfg: cfg, sys: cfg.system, quirk: quirksOf(cfg.Device.Driver), stall: cfg.Stall, wake: -1,
		free: make(chan *Input, uapi.MaxFrames), failed: make(chan struct{}), done: make(chan struct{}), answer: make(chan error, 1),
		submitted: make([]*Input, 0, uapi.MaxFrames), released: make([]Picture, 0, uapi.MaxFrames)}
	if d.stall == 0 {
		d.stall = defaultStall
	}
	if err := cfg.Device.Fits(cfg.Codec, cfg.Width, cfg.Height); err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go d.run(started)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-started:
		if err != nil {
			return nil, err
		}
		d.timer = time.NewTimer(time.Hour)
		d.timer.Stop()
		return d, nil
	case <-timer.C:
		d.mu.Lock()
		d.closing = true // when the call returns, all is given back
		d.mu.Unlock()
		return nil, d.hangs()
	}
}

// hangs is the error of a call that does not return.
func (d *Decoder) hangs() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	call := "open"
	if d.file != nil {
		if call = d.file.Pending(); call == "" {
			call = "poll"
		}
	}
	return &uapi.Error{Device: d.name(), Call: call, Err: ErrStalled}
}

func (d *Decoder) name() string {
	return fmt.Sprintf("%s (%s)", d.cfg.Device.Path, d.cfg.Device.Driver)
}

// Err is why the decoder failed, nil as long as it works.
func (d *Decoder) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Lease lends memory for an access unit, as soon as there is some. It ends with
// ctx, and with ErrStalled when the device gives none back: then the decoder
// has failed.
func (d *Decoder) Lease(ctx context.Context) (*Input, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	select {
	case in := <-d.free:
		return d.lend(in)
	default:
	}
	d.timer.Reset(d.stall)
	defer d.timer.Stop()
	select {
	case in := <-d.free:
		return d.lend(in)
	case <-d.failed:
		return nil, d.usable()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.timer.C:
		err := d.hangs()
		d.fail(err)
		return nil, err
	}
}

func (d *Decoder) usable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.err != nil:
		return d.err
	case d.closing:
		return ErrClosed
	}
	return nil
}

func (d *Decoder) lend(in *Input) (*Input, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing || d.err != nil {
		d.free <- in // as many places as buffers
		if d.err != nil {
			return nil, d.err
		}
		return nil, ErrClosed
	}
	d.leased++
	return in, nil
}

// Bytes is the memory. It is slow to read where the device is not coherent
// with the caches.
func (in *Input) Bytes() []byte { return in.mem }

// Submit gives the first n bytes to the device: one access unit in Annex B,
// with parameter sets before an IDR picture; zero bytes before the first start
// code do no harm. The token, below 1<<50, comes back with the picture and
// should be one of its own.
func (in *Input) Submit(n int, token uint64) {
	d := in.d
	in.used, in.token = min(n, len(in.mem)), token%tokenLimit
	d.mu.Lock()
	d.leased--
	d.submitted = append(d.submitted, in)
	d.signal()
	d.mu.Unlock()
}

// Release gives the memory back unused.
func (in *Input) Release() {
	d := in.d
	d.mu.Lock()
	d.leased--
	d.free <- in
	if d.closing {
		d.signal()
	}
	d.mu.Unlock()
}

// Release gives a picture's memory back to the device. One of memory that was
// retired is ignored, and so is one that is not with the caller.
func (d *Decoder) Release(p Picture) {
	d.mu.Lock()
	if len(d.released) < cap(d.released) && !d.closing {
		d.released = append(d.released, p)
		d.signal()
	}
	d.mu.Unlock()
}

// Flush forgets what was submitted and not decoded. The next access unit must
// be an IDR picture with its parameter sets.
func (d *Decoder) Flush() error { return d.request(flush) }

// Drain returns when every access unit that was submitted has been decoded and
// its picture given to the caller.
func (d *Decoder) Drain() error { return d.request(drain) }

func (d *Decoder) request(r request) error {
	if err := d.usable(); err != nil {
		return err
	}
	select {
	case <-d.answer: // of a request that was given up
	default:
	}
	d.mu.Lock()
	d.ask = r
	d.signal()
	d.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-d.answer:
		return err
	case <-d.failed:
		return d.usable()
	case <-timer.C:
		return d.hangs()
	}
}

// signal wakes the loop. d.mu is held, so that the descriptor is open.
func (d *Decoder) signal() {
	if d.wake >= 0 {
		d.sys.Signal(d.wake)
	}
}

// fail notes the first error, and tells it.
func (d *Decoder) fail(err error) {
	d.mu.Lock()
	first := d.err == nil && !d.closing
	if first {
		d.err = err
		close(d.failed)
	}
	d.mu.Unlock()
	if first && d.cfg.Failed != nil {
		d.cfg.Failed(err)
	}
}

// Close stops the device in good order and gives everything back, when the
// last leased Input is back. The error is ErrStalled if the device does not let
// go; then what is left is given back when it does.
func (d *Decoder) Close() error {
	d.mu.Lock()
	if !d.closing {
		d.closing = true
		if d.err == nil {
			close(d.failed)
		}
		d.signal()
	}
	d.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-d.done:
		return nil
	case <-timer.C:
		return d.hangs()
	}
}
