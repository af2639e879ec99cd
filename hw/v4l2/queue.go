package v4l2

import (
	"fmt"
	"runtime"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// queue is one of the two queues of a device, with its buffers. What the
// kernel is given stays at one place on the heap, pinned while the buffers
// exist, so that a buffer costs no allocation.
type queue struct {
	f       *uapi.File
	typ     uapi.BufType
	buffers []buffer
	on      bool
	queued  int // buffers that the driver has
	taken   taken
	pins    runtime.Pinner
}

// buffer is one buffer of a queue.
type buffer struct {
	arg    uapi.Buffer
	plane  uapi.Plane // the one memory plane, of a multi-planar queue
	mem    []byte     // if it is mapped
	fd     int        // if it is exported, else -1
	size   int        // bytes
	offset int64      // for mmap
	queued bool
}

// taken is the argument of DQBUF.
type taken struct {
	arg   uapi.Buffer
	plane uapi.Plane
}

// result is a buffer that came back.
type result struct {
	index int
	used  int // bytes
	flags uint32
	token uint64
}

func (q *queue) call(r *uapi.Request, arg unsafe.Pointer) error {
	if err := q.f.Try(r, arg); err != nil {
		return q.f.Fail(r.Name, q.typ, err)
	}
	return nil
}

// format gets or sets the format of the queue: f is what is asked for, and then
// what is so.
func (q *queue) format(r *uapi.Request, f *plainFormat) error {
	a := &uapi.Format{Type: q.typ}
	if p := a.PixMP(); q.typ.Mplane() {
		p.Width, p.Height, p.PixelFormat, p.Field, p.NumPlanes = uint32(f.width), uint32(f.height), f.format, uapi.FieldNone, 1
		p.PlaneFmt[0].SizeImage, p.PlaneFmt[0].BytesPerLine = uint32(f.size), uint32(f.pitch)
	} else {
		p := a.Pix()
		p.Width, p.Height, p.PixelFormat, p.Field = uint32(f.width), uint32(f.height), f.format, uapi.FieldNone
		p.SizeImage, p.BytesPerLine = uint32(f.size), uint32(f.pitch)
	}
	if err := q.call(r, unsafe.Pointer(a)); err != nil {
		return err
	}
	if p := a.PixMP(); q.typ.Mplane() {
		*f = plainFormat{int(p.Width), int(p.Height), p.PixelFormat, int(p.PlaneFmt[0].BytesPerLine), int(p.PlaneFmt[0].SizeImage), int(p.NumPlanes)}
	} else {
		p := a.Pix()
		*f = plainFormat{int(p.Width), int(p.Height), p.PixelFormat, int(p.BytesPerLine), int(p.SizeImage), 1}
	}
	return nil
}

// request makes about n buffers.
func (q *queue) request(n int) error {
	a := &uapi.Requestbuffers{Count: uint32(n), Type: q.typ, Memory: uapi.MemoryMmap}
	if err := q.call(&uapi.ReqBufs, unsafe.Pointer(a)); err != nil {
		return err
	}
	if a.Count < 1 || a.Count > uapi.MaxFrames {
		return q.f.Fail(uapi.ReqBufs.Name, q.typ, fmt.Errorf("%d buffers where %d were asked for", a.Count, n))
	}
	q.buffers = make([]buffer, a.Count)
	q.pins.Pin(&q.buffers[0])
	q.pins.Pin(&q.taken)
	for i := range q.buffers {
		q.buffers[i].fd = -1
	}
	for i := range q.buffers {
		if err := q.query(i); err != nil {
			return err
		}
	}
	return nil
}

// prepare fills in the argument of a call on a buffer.
func (q *queue) prepare(a *uapi.Buffer, p *uapi.Plane) {
	*a = uapi.Buffer{Index: a.Index, Type: q.typ, Memory: uapi.MemoryMmap, Field: uapi.FieldNone}
	if q.typ.Mplane() {
		*p = uapi.Plane{}
		a.M, a.Length = uintptr(unsafe.Pointer(p)), 1
	}
}

func (q *queue) query(i int) error {
	b := &q.buffers[i]
	b.arg.Index = uint32(i)
	q.prepare(&b.arg, &b.plane)
	if err := q.call(&uapi.QueryBuf, unsafe.Pointer(&b.arg)); err != nil {
		return err
	}
	b.size, b.offset = int(b.arg.Length), int64(uint32(b.arg.M))
	if q.typ.Mplane() {
		b.size, b.offset = int(b.plane.Length), int64(uint32(b.plane.M))
	}
	if b.size < 1 || b.size > 1<<30 {
		return q.f.Fail(uapi.QueryBuf.Name, q.typ, fmt.Errorf("a buffer of %d bytes", b.size))
	}
	return nil
}

// mapAll maps the buffers into memory.
func (q *queue) mapAll() error {
	for i := range q.buffers {
		b := &q.buffers[i]
		mem, err := q.f.Sys.Mmap(q.f.FD, b.offset, b.size)
		if err != nil {
			return q.f.Fail("mmap", q.typ, err)
		}
		b.mem = mem
	}
	return nil
}

// exportAll makes a descriptor of each buffer.
func (q *queue) exportAll() ([]int, error) {
	fds := make([]int, len(q.buffers))
	for i := range q.buffers {
		a := &uapi.Exportbuffer{Type: q.typ, Index: uint32(i), Flags: unix.O_CLOEXEC | unix.O_RDWR}
		if err := q.call(&uapi.ExpBuf, unsafe.Pointer(a)); err != nil {
			return nil, err
		}
		q.buffers[i].fd, fds[i] = int(a.FD), int(a.FD)
	}
	return fds, nil
}

// tokenLimit bounds tokens so that the seconds of a time stamp hold them.
const tokenLimit = 1 << 50

// put gives a buffer to the driver. The token travels as a time stamp in whole
// microseconds, which is what the Raspberry Pi's firmware keeps of it.
func (q *queue) put(i, used int, token uint64) error {
	b := &q.buffers[i]
	q.prepare(&b.arg, &b.plane)
	b.arg.BytesUsed = uint32(used)
	if q.typ.Mplane() {
		b.plane.BytesUsed = uint32(used)
	}
	b.arg.Timestamp = uapi.Timeval{Sec: int64(token / 1e6), Usec: int64(token % 1e6)}
	if err := q.f.Try(&uapi.QBuf, unsafe.Pointer(&b.arg)); err != nil {
		return q.f.Fail(uapi.QBuf.Name, q.typ, err)
	}
	b.queued = true
	q.queued++
	return nil
}

// errNothing: no buffer has come back yet. errEnd: none will, until the queue
// is stopped and started.
const (
	errNothing = unix.EAGAIN
	errEnd     = unix.EPIPE
)

// take takes a buffer back from the driver. The error is errNothing, errEnd or
// one that ends the decoder.
func (q *queue) take(r *result) error {
	t := &q.taken
	q.prepare(&t.arg, &t.plane)
	switch err := q.f.Try(&uapi.DQBuf, unsafe.Pointer(&t.arg)); err {
	case nil:
	case errNothing, errEnd:
		return err
	default:
		return q.f.Fail(uapi.DQBuf.Name, q.typ, err)
	}
	*r = result{index: int(t.arg.Index), used: int(t.arg.BytesUsed), flags: t.arg.Flags}
	if q.typ.Mplane() {
		r.used = int(t.plane.BytesUsed)
	}
	r.token = uint64(t.arg.Timestamp.Sec)*1e6 + uint64(t.arg.Timestamp.Usec)
	if r.index >= len(q.buffers) || !q.buffers[r.index].queued {
		return q.f.Fail(uapi.DQBuf.Name, q.typ, fmt.Errorf("buffer %d, which it did not have", r.index))
	}
	q.buffers[r.index].queued = false
	q.queued--
	return nil
}

// stream starts or stops the queue. Stopping gives all buffers back.
func (q *queue) stream(on bool) error {
	r := &uapi.StreamOn
	if !on {
		r = &uapi.StreamOff
	}
	typ := new(uint32)
	*typ = uint32(q.typ)
	if err := q.call(r, unsafe.Pointer(typ)); err != nil {
		return err
	}
	if q.on = on; !on {
		for i := range q.buffers {
			q.buffers[i].queued = false
		}
		q.queued = 0
	}
	return nil
}

// free stops the queue and lets its buffers go: mappings and descriptors
// first, for older kernels keep what has them. It goes on after an error and
// returns the first.
func (q *queue) free() error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	if q.on {
		note(q.stream(false))
		q.on = false
	}
	for i := range q.buffers {
		b := &q.buffers[i]
		if b.mem != nil {
			if err := q.f.Sys.Munmap(b.mem); err != nil {
				note(q.f.Fail("munmap", q.typ, err))
			}
			b.mem = nil
		}
		if b.fd >= 0 {
			_ = q.f.Sys.Close(b.fd) // it is gone, whatever the answer
			b.fd = -1
		}
	}
	if q.buffers != nil {
		q.buffers, q.queued = nil, 0
		note(q.call(&uapi.ReqBufs, unsafe.Pointer(&uapi.Requestbuffers{Type: q.typ, Memory: uapi.MemoryMmap})))
	}
	q.pins.Unpin()
	return first
}
