package stateless

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

const einval = unix.EINVAL

// Decoder is one stream on a device. Retain, Release, Available, Err and the
// methods of Input may be called from any goroutine; Lease belongs to one at a
// time, and so do all others together.
type Decoder struct {
	cfg    Config
	sys    uapi.System
	video  *uapi.File
	media  *uapi.File
	set    *controlSet
	layout *Layout
	free   chan *Input
	inputs []Input
	flying []*Input // given to the device, the oldest first
	pins   runtime.Pinner
	peek   func(*Input) // of tests: before a completed request is used again

	buffer uapi.Buffer
	planes [uapi.MaxPlanes]uapi.Plane
	wait   [1]unix.PollFd

	closed bool
	failed chan struct{} // closed when it has ended
	timer  *time.Timer   // of Lease

	mu    sync.Mutex
	err   error               // why it ended
	holds [uapi.MaxFrames]int // of each picture
}

// Input is memory for one access unit and the request that carries it.
type Input struct {
	d       *Decoder
	index   uint32
	mem     []byte
	request *uapi.File
	token   uint64
	picture int // decoded into
}

// Index numbers the inputs of a decoder, from 0 on.
func (in *Input) Index() int { return int(in.index) }

// Bytes is the memory of an access unit.
func (in *Input) Bytes() []byte { return in.mem }

// Release gives back memory that was not decoded.
func (in *Input) Release() { in.d.free <- in }

// Open opens a decoder and makes it ready for the first picture. An error names
// device and call; nothing is then held.
func Open(cfg Config) (*Decoder, error) {
	if cfg.System == nil {
		cfg.System = uapi.Linux{}
	}
	if cfg.Inputs == 0 {
		cfg.Inputs = defaultInputs
	}
	if cfg.InputSize == 0 {
		cfg.InputSize = defaultInputSize
	}
	if cfg.Pictures < 2 || cfg.Pictures > uapi.MaxFrames || cfg.Inputs < 1 || cfg.Inputs > maxInputs || cfg.InputSize < 1 || cfg.InputSize > 1<<25 {
		return nil, fmt.Errorf("v4l2: %v: %d pictures, %d inputs of %d bytes: %w", &cfg.Device, cfg.Pictures, cfg.Inputs, cfg.InputSize, ErrUnsuitable)
	}
	d := &Decoder{cfg: cfg, sys: cfg.System, free: make(chan *Input, cfg.Inputs), flying: make([]*Input, 0, cfg.Inputs), failed: make(chan struct{}), timer: time.NewTimer(time.Hour)}
	d.timer.Stop()
	d.pins.Pin(&d.planes)
	err := d.open()
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Decoder) open() (err error) {
	if d.video, err = uapi.OpenFile(d.sys, d.cfg.Device.Path); err != nil {
		return err
	}
	d.video.Name = d.cfg.Device.String()
	if err := d.setCodedFormat(); err != nil {
		return err
	}
	if d.set, err = newControlSet(d.video); err != nil {
		return err
	}
	if err := d.set.setSPS(d.video, &d.cfg.SPS); err != nil {
		return err
	}
	if err := d.choosePictures(); err != nil {
		return err
	}
	if err := d.makeInputs(); err != nil {
		return err
	}
	if err := d.makePictures(); err != nil {
		return err
	}
	if err := d.openMedia(); err != nil {
		return err
	}
	for _, t := range queues {
		if err := d.stream(&uapi.StreamOn, t); err != nil {
			return err
		}
	}
	for i := range d.inputs {
		d.free <- &d.inputs[i]
	}
	return nil
}

// Layout is the memory of the pictures.
func (d *Decoder) Layout() *Layout { return d.layout }

// Controls are the parameters of the next picture, to be filled in before
// Decode.
func (d *Decoder) Controls() *Controls { return &d.set.Controls }

// Err is why the decoder has ended, nil as long as it works.
func (d *Decoder) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Lease lends memory for an access unit, as soon as there is some. It ends with
// ctx, when the decoder fails, and when there is none for as long as the
// patience: then the driver does not return from a call, and the decoder has
// failed.
func (d *Decoder) Lease(ctx context.Context, patience time.Duration) (*Input, error) {
	if err := d.Err(); err != nil {
		return nil, err
	}
	d.timer.Reset(patience)
	defer d.timer.Stop()
	select {
	case in := <-d.free:
		return in, nil
	case <-d.failed:
		return nil, d.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.timer.C:
		call := d.video.Pending()
		if call == "" {
			call = "poll"
		}
		return nil, d.fail(&uapi.Error{Device: d.cfg.Device.String(), Call: call, Err: ErrStalled})
	}
}

// Retain takes one more hold of a picture that is held.
func (d *Decoder) Retain(index int) { d.hold(index, 1) }

// Release gives back one hold of a picture. With the last one it may be
// overwritten.
func (d *Decoder) Release(index int) { d.hold(index, -1) }

func (d *Decoder) hold(index, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if index >= 0 && index < len(d.holds) && d.holds[index] > 0 {
		d.holds[index] += n
	}
}

// Available tells whether there is a picture that nobody holds, so that Decode
// does not fail with ErrNoPicture.
func (d *Decoder) Available() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unheld() >= 0
}

// unheld returns a picture that nobody holds, -1 if there is none.
func (d *Decoder) unheld() int {
	for i := range d.cfg.Pictures {
		if d.holds[i] == 0 {
			return i
		}
	}
	return -1
}

// take holds a picture that nobody holds.
func (d *Decoder) take() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.unheld()
	if i < 0 {
		return 0, ErrNoPicture
	}
	d.holds[i] = 1
	return i, nil
}

// Decode gives the device an access unit, the first size bytes of in, with the
// Controls as they are. It takes in over, whatever it returns.
func (d *Decoder) Decode(in *Input, size int, token uint64) error {
	if err := d.Err(); err != nil {
		in.Release()
		return err
	}
	if size < 1 || size > len(in.mem) {
		in.Release()
		return fmt.Errorf("%w: an access unit of %d bytes in %d", ErrRefused, size, len(in.mem))
	}
	used, err := d.prepare(in, size)
	if err == nil {
		in.picture, err = d.take()
	}
	if err != nil {
		in.Release()
		return err
	}
	if err := d.submit(in, used, token); err != nil {
		in.Release()
		return err
	}
	d.flying = append(d.flying, in)
	return nil
}

// prepare brings access unit and controls into the form that the device takes.
func (d *Decoder) prepare(in *Input, size int) (used int, err error) {
	if err := d.set.check(size); err != nil {
		return 0, err
	}
	if d.set.annexB {
		return size, nil
	}
	return d.set.pack(in.mem)
}

// submit makes the calls for one picture. If the kernel refuses the parameters,
// nothing has happened; any other failure ends the decoder.
func (d *Decoder) submit(in *Input, used int, token uint64) error {
	if err := d.set.set(d.video, in.request.FD); err != nil {
		d.Release(in.picture)
		if !uapi.Is(err, einval, unix.ERANGE) {
			return d.fail(&uapi.Error{Device: d.video.Name, Call: uapi.SExtCtrls.Name, Err: err})
		}
		if err := in.request.Call(&callRequestInit, nil); err != nil {
			return d.fail(err)
		}
		return fmt.Errorf("v4l2: %s: %s, control %d: %w", d.video.Name, uapi.SExtCtrls.Name, d.set.call.ErrorIdx, ErrRefused)
	}
	in.token = token
	d.describe(uapi.OutputMplane, in.index)
	d.planes[0].BytesUsed, d.planes[0].Length = uint32(used), uint32(len(in.mem))
	d.buffer.Flags, d.buffer.RequestFD = uapi.BufFlagRequestFD, int32(in.request.FD)
	d.buffer.Timestamp = uapi.Timeval{Sec: int64(token / 1e6), Usec: int64(token % 1e6)}
	if err := d.queue(&uapi.QBuf, uapi.OutputMplane); err != nil {
		return d.fail(err)
	}
	d.describe(uapi.CaptureMplane, uint32(in.picture))
	d.planes[0].Length = uint32(d.layout.Size)
	if err := d.queue(&uapi.QBuf, uapi.CaptureMplane); err != nil {
		return d.fail(err)
	}
	if err := in.request.Call(&callRequestQueue, nil); err != nil {
		return d.fail(err)
	}
	return nil
}

// Receive waits for the oldest picture that was given to Decode and is not
// back yet, at most for the timeout. The caller has one hold of it.
func (d *Decoder) Receive(timeout time.Duration) (Picture, error) {
	if err := d.Err(); err != nil {
		return Picture{}, err
	}
	if len(d.flying) == 0 {
		return Picture{}, fmt.Errorf("v4l2: %s: nothing was given to decode", d.video.Name)
	}
	in := d.flying[0]
	if err := d.await(in, timeout); err != nil {
		return Picture{}, d.fail(err)
	}
	var flags uint32
	for _, q := range [...]struct {
		typ  uapi.BufType
		want uint32
	}{{uapi.OutputMplane, in.index}, {uapi.CaptureMplane, uint32(in.picture)}} {
		d.describe(q.typ, 0)
		if err := d.queue(&uapi.DQBuf, q.typ); err != nil {
			return Picture{}, d.fail(err)
		}
		if d.buffer.Index != q.want {
			return Picture{}, d.fail(d.video.Fail(uapi.DQBuf.Name, q.typ, fmt.Errorf("buffer %d came back instead of %d", d.buffer.Index, q.want)))
		}
		flags |= d.buffer.Flags
	}
	if d.peek != nil {
		d.peek(in)
	}
	if err := in.request.Call(&callRequestInit, nil); err != nil {
		return Picture{}, d.fail(err)
	}
	d.flying = d.flying[:copy(d.flying, d.flying[1:])]
	p := Picture{Index: in.picture, Token: in.token, Corrupt: flags&uapi.BufFlagError != 0}
	in.Release()
	return p, nil
}

// await waits until a request is completed.
func (d *Decoder) await(in *Input, timeout time.Duration) error {
	d.wait[0] = unix.PollFd{Fd: int32(in.request.FD), Events: unix.POLLPRI}
	end := d.sys.Now() + timeout
	for left := timeout; ; left = end - d.sys.Now() {
		n, err := d.sys.Poll(d.wait[:], max(left, 0))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return &uapi.Error{Device: d.video.Name, Call: "poll", Err: err}
		case n == 0:
			return &uapi.Error{Device: d.video.Name, Call: "poll", Err: ErrStalled}
		case d.wait[0].Revents&unix.POLLPRI != 0:
			return nil
		default:
			return &uapi.Error{Device: d.video.Name, Call: "poll", Err: fmt.Errorf("events %#x on a request", d.wait[0].Revents)}
		}
		if left <= 0 {
			return &uapi.Error{Device: d.video.Name, Call: "poll", Err: ErrStalled}
		}
	}
}

// describe begins the description of a buffer.
func (d *Decoder) describe(t uapi.BufType, index uint32) {
	d.planes[0] = uapi.Plane{}
	d.buffer = uapi.Buffer{Index: index, Type: t, Memory: uapi.MemoryMmap, Field: uapi.FieldNone,
		M: uintptr(unsafe.Pointer(&d.planes)), Length: 1}
}

// queue makes a call with the described buffer.
func (d *Decoder) queue(r *uapi.Request, t uapi.BufType) error {
	if err := d.video.Try(r, unsafe.Pointer(&d.buffer)); err != nil {
		return d.video.Fail(r.Name, t, err)
	}
	return nil
}

// fail ends the decoder.
func (d *Decoder) fail(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
		close(d.failed)
	}
	return err
}
