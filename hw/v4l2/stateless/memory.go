package stateless

import (
	"fmt"
	"slices"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// queues are the device's two queues.
var queues = [...]uapi.BufType{uapi.OutputMplane, uapi.CaptureMplane}

// setCodedFormat sets what the device is given.
func (d *Decoder) setCodedFormat() error {
	f := &uapi.Format{Type: uapi.OutputMplane}
	mp := f.PixMP()
	w, h := uint32(d.cfg.SPS.PicWidthInLumaSamples), uint32(d.cfg.SPS.PicHeightInLumaSamples)
	mp.Width, mp.Height, mp.PixelFormat, mp.Field, mp.NumPlanes = w, h, uapi.S265, uapi.FieldNone, 1
	mp.PlaneFmt[0].SizeImage = uint32(d.cfg.InputSize)
	if err := d.video.Call(&uapi.SFmt, unsafe.Pointer(f)); err != nil {
		return err
	}
	if mp.PixelFormat != uapi.S265 || mp.Width < w || mp.Height < h || mp.NumPlanes != 1 {
		return d.video.Fail(uapi.SFmt.Name, f.Type, fmt.Errorf("%w: %v of %dx%d became %v of %dx%d", ErrUnsuitable, uapi.S265, w, h, mp.PixelFormat, mp.Width, mp.Height))
	}
	return nil
}

// choosePictures sets the best layout that the device offers for the stream.
func (d *Decoder) choosePictures() error {
	offered, err := listFormats(d.video, uapi.CaptureMplane)
	if err != nil {
		return err
	}
	for _, format := range d.cfg.Formats {
		if !slices.Contains(offered, format) {
			continue
		}
		f := &uapi.Format{Type: uapi.CaptureMplane}
		mp := f.PixMP()
		w, h := uint32(d.cfg.SPS.PicWidthInLumaSamples), uint32(d.cfg.SPS.PicHeightInLumaSamples)
		mp.Width, mp.Height, mp.PixelFormat, mp.Field, mp.NumPlanes = w, h, format, uapi.FieldNone, 1
		if err := d.video.Call(&uapi.SFmt, unsafe.Pointer(f)); err != nil {
			return err
		}
		l, err := layoutOf(mp)
		if err == nil && (mp.PixelFormat != format || mp.Width < w || mp.Height < h) {
			err = fmt.Errorf("%w: %v of %dx%d became %v of %dx%d", ErrUnsuitable, format, w, h, mp.PixelFormat, mp.Width, mp.Height)
		}
		if err != nil {
			return d.video.Fail(uapi.SFmt.Name, f.Type, err)
		}
		d.layout = l
		return nil
	}
	return d.video.Fail(uapi.EnumFmt.Name, uapi.CaptureMplane, fmt.Errorf("%w: it gives %v, wanted is one of %v", ErrUnsuitable, offered, d.cfg.Formats))
}

// request asks for buffers, and tells what the queue can do.
func (d *Decoder) request(t uapi.BufType, n int) (caps uint32, err error) {
	r := &uapi.Requestbuffers{Count: uint32(n), Type: t, Memory: uapi.MemoryMmap}
	if err := d.video.Try(&uapi.ReqBufs, unsafe.Pointer(r)); err != nil {
		return 0, d.video.Fail(uapi.ReqBufs.Name, t, err)
	}
	if n > 0 && r.Count < uint32(n) {
		return 0, d.video.Fail(uapi.ReqBufs.Name, t, fmt.Errorf("%d buffers instead of %d", r.Count, n))
	}
	return r.Capabilities, nil
}

// makeInputs makes the memory for access units.
func (d *Decoder) makeInputs() error {
	caps, err := d.request(uapi.OutputMplane, d.cfg.Inputs)
	if err != nil {
		return err
	}
	if caps&uapi.BufCapRequests == 0 {
		return d.video.Fail(uapi.ReqBufs.Name, uapi.OutputMplane, fmt.Errorf("%w: it takes no requests", ErrUnsuitable))
	}
	d.inputs = make([]Input, d.cfg.Inputs)
	for i := range d.inputs {
		in := &d.inputs[i]
		in.d, in.index = d, uint32(i)
		if err := d.queryBuffer(uapi.OutputMplane, in.index, d.cfg.InputSize); err != nil {
			return err
		}
		in.mem, err = d.sys.Mmap(d.video.FD, int64(uint32(d.planes[0].M)), int(d.planes[0].Length))
		if err != nil {
			return d.video.Fail("mmap", uapi.OutputMplane, err)
		}
	}
	return nil
}

// queryBuffer asks where a buffer is; it must have at least size bytes.
func (d *Decoder) queryBuffer(t uapi.BufType, index uint32, size int) error {
	d.describe(t, index)
	if err := d.queue(&uapi.QueryBuf, t); err != nil {
		return err
	}
	if n := int(d.planes[0].Length); d.buffer.Length != 1 || n < size || n > 1<<28 {
		return d.video.Fail(uapi.QueryBuf.Name, t, fmt.Errorf("%w: %d bytes in %d planes, %d are needed", ErrUnsuitable, n, d.buffer.Length, size))
	}
	return nil
}

// makePictures makes the memory for pictures.
func (d *Decoder) makePictures() error {
	if _, err := d.request(uapi.CaptureMplane, d.cfg.Pictures); err != nil {
		return err
	}
	for i := range d.cfg.Pictures {
		if err := d.queryBuffer(uapi.CaptureMplane, uint32(i), d.layout.Size); err != nil {
			return err
		}
		e := &uapi.Exportbuffer{Type: uapi.CaptureMplane, Index: uint32(i), Flags: unix.O_CLOEXEC | unix.O_RDWR}
		if err := d.video.Call(&uapi.ExpBuf, unsafe.Pointer(e)); err != nil {
			return err
		}
		d.layout.Buffers = append(d.layout.Buffers, int(e.FD))
	}
	return nil
}

// openMedia opens the media node whose requests the device takes, and makes a
// request for every input.
func (d *Decoder) openMedia() error {
	last := error(&uapi.Error{Device: d.video.Name, Call: "open", Err: fmt.Errorf("%w: no media node belongs to it", ErrUnsuitable)})
	for _, node := range d.cfg.Device.Media {
		f, err := uapi.OpenFile(d.sys, node)
		if err != nil {
			last = err
			continue
		}
		d.media = f
		if err := d.tryMedia(); err != nil {
			d.closeMedia()
			last = err
			continue
		}
		return d.makeRequests(len(d.inputs))
	}
	return last
}

// tryMedia makes the first request and puts the sequence parameter set into
// it, which only the right device takes.
func (d *Decoder) tryMedia() error {
	if err := d.makeRequests(1); err != nil {
		return err
	}
	s, r := d.set, d.inputs[0].request
	s.call = uapi.ExtControls{Which: uapi.CtrlWhichRequest, Count: 1, RequestFD: int32(r.FD), Controls: uintptr(unsafe.Pointer(&s.list))}
	if err := d.video.Call(&uapi.SExtCtrls, unsafe.Pointer(&s.call)); err != nil {
		return err
	}
	return r.Call(&callRequestInit, nil)
}

// makeRequests makes requests for the first n inputs that have none.
func (d *Decoder) makeRequests(n int) error {
	for i := range n {
		in := &d.inputs[i]
		if in.request != nil {
			continue
		}
		fd := new(int32)
		if err := d.media.Call(&callRequestAlloc, unsafe.Pointer(fd)); err != nil {
			return err
		}
		in.request = &uapi.File{Sys: d.sys, FD: int(*fd), Name: d.media.Name}
	}
	return nil
}

func (d *Decoder) closeMedia() {
	for i := range d.inputs {
		if r := d.inputs[i].request; r != nil {
			r.Close()
			d.inputs[i].request = nil
		}
	}
	if d.media != nil {
		d.media.Close()
		d.media = nil
	}
}

func (d *Decoder) stream(r *uapi.Request, t uapi.BufType) error {
	typ := new(uapi.BufType)
	*typ = t
	if err := d.video.Try(r, unsafe.Pointer(typ)); err != nil {
		return d.video.Fail(r.Name, t, err)
	}
	return nil
}

// Close ends the decoding and gives everything back: the device stops, and the
// dma-bufs are closed, whose memory stays with whoever has imported them. Memory
// leased from the decoder must not be touched any more.
func (d *Decoder) Close() {
	d.fail(ErrClosed)
	defer d.pins.Unpin()
	if d.video == nil || d.closed {
		return
	}
	d.closed = true
	// What fails here cannot be done better; closing the node undoes the rest.
	for _, t := range queues {
		_ = d.stream(&uapi.StreamOff, t)
	}
	d.closeMedia()
	for i := range d.inputs {
		if m := d.inputs[i].mem; m != nil {
			_ = d.sys.Munmap(m)
			d.inputs[i].mem = nil
		}
	}
	if d.layout != nil {
		for _, fd := range d.layout.Buffers {
			_ = d.sys.Close(fd)
		}
		d.layout.Buffers = nil
	}
	for _, t := range queues {
		_, _ = d.request(t, 0)
	}
	d.video.Close()
	if d.set != nil {
		d.set.pins.Unpin()
	}
}
