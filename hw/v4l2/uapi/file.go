package uapi

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Error is a call that the kernel refused.
type Error struct {
	Device string // node, with the driver's name once that is known
	Call   string // "open", "mmap", "VIDIOC_QBUF OUTPUT", ...
	Err    error  // a syscall.Errno as a rule
}

func (e *Error) Error() string {
	return fmt.Sprintf("v4l2: %s: %s: %v%s", e.Device, e.Call, e.Err, hint(e.Err))
}

func (e *Error) Unwrap() error { return e.Err }

// hint says in plain words what an error number means on a video device.
func hint(err error) string {
	switch err {
	case syscall.EACCES:
		return " (is the user in group video?)"
	case syscall.EBUSY:
		return " (another program uses it)"
	case syscall.ENODEV:
		return " (the device is gone)"
	case syscall.ENOMEM, syscall.ENOSPC:
		return " (more contiguous memory: a larger cma= or gpu_mem=)"
	case syscall.ENOTTY:
		return " (the driver does not have this call)"
	}
	return ""
}

// retries bounds how often an interrupted call is made again: Go's scheduler
// interrupts a long call every 10 ms or so, never a thousand times.
const retries = 1000

// File is an open device with the name used for it in messages.
type File struct {
	Sys  System
	FD   int
	Name string

	pending atomic.Pointer[Request]
}

// Pending is the name of the call that has not returned yet, for whoever
// waits for it; "" if there is none.
func (f *File) Pending() string {
	if r := f.pending.Load(); r != nil {
		return r.Name
	}
	return ""
}

// OpenFile opens a device node.
func OpenFile(sys System, path string) (*File, error) {
	for range retries {
		fd, err := sys.Open(path)
		switch err {
		case nil:
			return &File{Sys: sys, FD: fd, Name: path}, nil
		case unix.EINTR:
			continue
		}
		return nil, &Error{path, "open", err}
	}
	return nil, &Error{path, "open", unix.EINTR}
}

// Close closes it. Nothing can be done about a failure, and the descriptor is
// gone anyway.
func (f *File) Close() {
	if f.FD >= 0 {
		_ = f.Sys.Close(f.FD)
		f.FD = -1
	}
}

// Call makes one ioctl and names device and call in an error. What arg points
// to must be on the heap for as long as the call lasts, and so must what it
// points to in turn.
func (f *File) Call(r *Request, arg unsafe.Pointer) error {
	if err := f.Try(r, arg); err != nil {
		return &Error{f.Name, r.Name, err}
	}
	return nil
}

// Try is Call for hot paths: it returns the bare error number, so that EAGAIN
// costs nothing.
func (f *File) Try(r *Request, arg unsafe.Pointer) error {
	f.pending.Store(r)
	defer f.pending.Store(nil)
	err := f.Sys.Ioctl(f.FD, r, arg)
	for n := 0; err == unix.EINTR && n < retries; n++ {
		err = f.Sys.Ioctl(f.FD, r, arg)
	}
	return err
}

// Formats lists what a queue takes or gives, in the driver's order.
func (f *File) Formats(t BufType) ([]Fmtdesc, error) {
	const limit = 256
	var list []Fmtdesc
	for d := (&Fmtdesc{Type: t}); d.Index < limit; d.Index++ {
		err := f.Try(&EnumFmt, unsafe.Pointer(d))
		if err == unix.EINVAL {
			break
		}
		if err != nil {
			return nil, f.Fail(EnumFmt.Name, t, err)
		}
		list = append(list, *d)
	}
	return list, nil
}

// Fail makes the error of a call on a queue.
func (f *File) Fail(call string, t BufType, err error) error {
	return &Error{f.Name, call + " " + t.String(), err}
}

// Is reports whether err is a refused call with one of the error numbers.
func Is(err error, numbers ...syscall.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) {
			return true
		}
	}
	return false
}

// Text is the C string in b.
func Text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
