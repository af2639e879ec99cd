// Package vicodec drives the encoder of the kernel's virtual codec (driver
// vicodec), so that tests have something for a hardware decoder to decode: FWHT,
// a simple transform code, stands in for H.264. Only tests import it.
//
// Proof: the lab tests of package v4l2, of the receiver and of the command
// decode what it makes.
package vicodec

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// Encoder encodes pictures of one size and format.
type Encoder struct {
	f            *uapi.File
	out, capture uapi.BufType
	raw, coded   []byte
	planes       [2]uapi.Plane
	Size         int // bytes of a picture
}

// Open opens the encoder for pictures of a size; both sides are multiples of 8,
// and at least 640 and 360.
func Open(width, height int, format uapi.FourCC) (*Encoder, error) {
	nodes, err := filepath.Glob("/dev/video*")
	if err != nil {
		return nil, err
	}
	for _, path := range nodes {
		e, err := open(path)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		if err := e.start(width, height, format); err != nil {
			e.Close()
			return nil, err
		}
		return e, nil
	}
	return nil, fmt.Errorf("vicodec: no encoder among %v", nodes)
}

// open opens a node, nil if it is not the stateful encoder.
func open(path string) (*Encoder, error) {
	f, err := uapi.OpenFile(uapi.Linux{}, path)
	if err != nil {
		return nil, err
	}
	e := &Encoder{f: f, out: uapi.Output, capture: uapi.Capture}
	var c uapi.Capability
	if err := f.Call(&uapi.QueryCap, unsafe.Pointer(&c)); err != nil {
		f.Close()
		return nil, err
	}
	if c.Caps()&uapi.CapM2MMplane != 0 {
		e.out, e.capture = uapi.OutputMplane, uapi.CaptureMplane
	}
	codes, err := f.Formats(e.capture)
	if err == nil && uapi.Text(c.Driver[:]) == "vicodec" && len(codes) > 0 && codes[0].PixelFormat == uapi.FWHT {
		return e, nil
	}
	f.Close()
	return nil, nil
}

func (e *Encoder) start(width, height int, format uapi.FourCC) error {
	var err error
	if e.raw, err = e.queue(e.out, width, height, format); err != nil {
		return err
	}
	e.Size = len(e.raw)
	e.coded, err = e.queue(e.capture, width, height, uapi.FWHT)
	return err
}

// queue sets up a queue with one buffer.
func (e *Encoder) queue(t uapi.BufType, width, height int, format uapi.FourCC) ([]byte, error) {
	f := &uapi.Format{Type: t}
	p := f.PixMP()
	p.Width, p.Height, p.PixelFormat, p.Field = uint32(width), uint32(height), format, uapi.FieldNone
	if t.Mplane() {
		p.NumPlanes = 1
	}
	if err := e.f.Call(&uapi.SFmt, unsafe.Pointer(f)); err != nil {
		return nil, err
	}
	r := &uapi.Requestbuffers{Count: 1, Type: t, Memory: uapi.MemoryMmap}
	if err := e.f.Call(&uapi.ReqBufs, unsafe.Pointer(r)); err != nil {
		return nil, err
	}
	b := e.buffer(t, 0)
	if err := e.f.Call(&uapi.QueryBuf, unsafe.Pointer(b)); err != nil {
		return nil, err
	}
	offset, length := b.M, b.Length
	if t.Mplane() {
		offset, length = e.plane(t).M, e.plane(t).Length
	}
	mem, err := e.f.Sys.Mmap(e.f.FD, int64(offset), int(length))
	if err != nil {
		return nil, e.f.Fail("mmap", t, err)
	}
	on := new(uapi.BufType)
	*on = t
	return mem, e.f.Call(&uapi.StreamOn, unsafe.Pointer(on))
}

func (e *Encoder) plane(t uapi.BufType) *uapi.Plane {
	if t == e.out {
		return &e.planes[0]
	}
	return &e.planes[1]
}

func (e *Encoder) buffer(t uapi.BufType, used int) *uapi.Buffer {
	b := &uapi.Buffer{Type: t, Memory: uapi.MemoryMmap, BytesUsed: uint32(used), Field: uapi.FieldNone}
	if t.Mplane() {
		p := e.plane(t)
		*p = uapi.Plane{BytesUsed: uint32(used)}
		b.M, b.Length = uintptr(unsafe.Pointer(p)), 1
	}
	return b
}

// Encode encodes one picture, which draw writes in the layout that the format
// has without padding, and returns a copy of the code.
func (e *Encoder) Encode(draw func(mem []byte)) ([]byte, error) {
	draw(e.raw)
	for _, t := range []uapi.BufType{e.capture, e.out} {
		used := 0
		if t == e.out {
			used = len(e.raw)
		}
		if err := e.f.Call(&uapi.QBuf, unsafe.Pointer(e.buffer(t, used))); err != nil {
			return nil, err
		}
	}
	n, err := e.take(e.capture)
	if err != nil {
		return nil, err
	}
	if _, err := e.take(e.out); err != nil {
		return nil, err
	}
	return bytes.Clone(e.coded[:n]), nil
}

// take waits for a buffer.
func (e *Encoder) take(t uapi.BufType) (used int, err error) {
	events := int16(unix.POLLIN)
	if t == e.out {
		events = unix.POLLOUT
	}
	for range 600 {
		b := e.buffer(t, 0)
		switch err := e.f.Try(&uapi.DQBuf, unsafe.Pointer(b)); err {
		case nil:
			if t.Mplane() {
				return int(e.plane(t).BytesUsed), nil
			}
			return int(b.BytesUsed), nil
		case unix.EAGAIN:
		default:
			return 0, e.f.Fail(uapi.DQBuf.Name, t, err)
		}
		fds := []unix.PollFd{{Fd: int32(e.f.FD), Events: events}}
		if _, err := e.f.Sys.Poll(fds, 100*time.Millisecond); err != nil && err != unix.EINTR {
			return 0, e.f.Fail("poll", t, err)
		}
	}
	return 0, e.f.Fail(uapi.DQBuf.Name, t, unix.ETIMEDOUT)
}

// Close closes the encoder.
func (e *Encoder) Close() {
	for _, mem := range [][]byte{e.raw, e.coded} {
		if mem != nil {
			_ = e.f.Sys.Munmap(mem) // nothing else holds it
		}
	}
	e.f.Close()
}

// Plane is where a plane of a decoded picture begins, and the bytes from one
// row of it to the next.
type Plane struct{ Offset, Pitch int }

// Matrix is how YCbCr of limited range becomes RGB: what a difference of red and
// blue adds to each, in 16.16 fixed point.
type Matrix struct{ RedCr, GreenCb, GreenCr, BlueCb int }

// Rec. ITU-R BT.601 and BT.709.
var (
	BT601 = Matrix{104597, 25675, 53279, 132201}
	BT709 = Matrix{117489, 13975, 34925, 138438}
)

// Compare holds what a display shows in its upper left corner against a picture
// in a decoder's memory: XR24 in one plane, or NV12 in two. The error says where
// they differ; the kernel's arithmetic in fixed point is allowed its rounding.
func Compare(shown func(x, y int) (r, g, b int), m Matrix, mem []byte, width, height int, planes []Plane) error {
	tolerance := 2 * (len(planes) - 1)
	bad, worst := 0, ""
	for y := range height {
		for x := range width {
			r, g, b := shown(x, y)
			want := m.color(mem, planes, x, y)
			for i, got := range [3]int{r, g, b} {
				if got > want[i]+tolerance || got < want[i]-tolerance {
					bad++
					worst = fmt.Sprintf("(%d,%d): %v, want %v", x, y, [3]int{r, g, b}, want)
					break
				}
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d pixels differ, such as %s", bad, width*height, worst)
	}
	return nil
}

// color is that of a pixel.
func (m *Matrix) color(mem []byte, planes []Plane, x, y int) [3]int {
	luma := y * planes[0].Pitch
	if len(planes) == 1 {
		at := luma + 4*x
		return [3]int{int(mem[at+2]), int(mem[at+1]), int(mem[at])}
	}
	chroma := planes[1].Offset + y/2*planes[1].Pitch + x&^1
	l := (int(mem[luma+x]) - 16) * 76309
	cb, cr := int(mem[chroma])-128, int(mem[chroma+1])-128
	clip := func(v int) int { return min(max((v+32768)>>16, 0), 255) }
	return [3]int{clip(l + m.RedCr*cr), clip(l - m.GreenCb*cb - m.GreenCr*cr), clip(l + m.BlueCb*cb)}
}
