package uapi

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// script is a system whose calls answer from a list.
type script struct {
	System
	opens, calls []error
	closed       int
	during       func()
}

func (s *script) Open(string) (int, error) {
	err := s.opens[0]
	if len(s.opens) > 1 {
		s.opens = s.opens[1:]
	}
	return 7, err
}

func (s *script) Close(int) error { s.closed++; return unix.EIO }

func (s *script) Ioctl(_ int, r *Request, arg unsafe.Pointer) error {
	err := s.calls[0]
	if len(s.calls) > 1 {
		s.calls = s.calls[1:]
	}
	if s.during != nil {
		s.during()
	}
	if *r == EnumFmt && err == nil {
		(*Fmtdesc)(arg).PixelFormat = NV12
	}
	return err
}

func TestInterruptedCallsAreMadeAgain(t *testing.T) {
	s := &script{opens: []error{unix.EINTR, unix.EINTR, nil}, calls: []error{unix.EINTR, unix.EINTR, nil}}
	f, err := OpenFile(s, "/dev/video10")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Call(&QueryCap, unsafe.Pointer(&Capability{})); err != nil {
		t.Error(err)
	}
	s.during = func() {
		if p := f.Pending(); p != "VIDIOC_QUERYCAP" {
			t.Errorf("while it is made, %q is pending", p)
		}
	}
	if err := f.Call(&QueryCap, unsafe.Pointer(&Capability{})); err != nil || f.Pending() != "" {
		t.Error(err, f.Pending())
	}
	s.during = nil
	f.Close()
	f.Close()
	if s.closed != 1 {
		t.Errorf("closed %d times", s.closed)
	}
	// One that never ends is an error, not a hang.
	s.opens, s.calls = []error{unix.EINTR}, []error{unix.EINTR}
	if _, err := OpenFile(s, "/dev/video10"); !errors.Is(err, unix.EINTR) {
		t.Error(err)
	}
	if err := f.Call(&QueryCap, unsafe.Pointer(&Capability{})); !errors.Is(err, unix.EINTR) {
		t.Error(err)
	}
}

func TestErrorsNameDeviceAndCall(t *testing.T) {
	s := &script{opens: []error{unix.EACCES}}
	if _, err := OpenFile(s, "/dev/video10"); err == nil || err.Error() != "v4l2: /dev/video10: open: permission denied (is the user in group video?)" {
		t.Error(err)
	}
	for _, e := range []syscall.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EPIPE, unix.ENOMEM} {
		s.calls = []error{e}
		f := &File{Sys: s, FD: 7, Name: "/dev/video10 (bcm2835-codec)"}
		err := f.Call(&QBuf, unsafe.Pointer(&Buffer{}))
		if !Is(err, unix.EPERM, e) || !strings.HasPrefix(err.Error(), "v4l2: /dev/video10 (bcm2835-codec): VIDIOC_QBUF: ") {
			t.Error(err)
		}
		if err := f.Fail("mmap", OutputMplane, e); !strings.Contains(err.Error(), "mmap OUTPUT: ") || Is(err, unix.EPERM) {
			t.Error(err)
		}
	}
}

// A driver may list formats for ever.
func TestFormatsEnd(t *testing.T) {
	f := &File{Sys: &script{calls: []error{nil}}, FD: 7, Name: "/dev/video10"}
	if l, err := f.Formats(Capture); err != nil || len(l) != 256 || l[0].PixelFormat != NV12 {
		t.Error(len(l), err)
	}
	f.Sys = &script{calls: []error{nil, nil, unix.EINVAL}}
	if l, err := f.Formats(Capture); err != nil || len(l) != 2 {
		t.Error(l, err)
	}
	f.Sys = &script{calls: []error{nil, unix.ENOTTY}}
	if _, err := f.Formats(Capture); !Is(err, unix.ENOTTY) {
		t.Error(err)
	}
}

func TestText(t *testing.T) {
	if Text([]byte("vicodec\x00rest")) != "vicodec" || Text([]byte("full")) != "full" {
		t.Error("not a C string")
	}
}

// TestUnions: both views of a format begin where the kernel's union does.
func TestUnions(t *testing.T) {
	var f Format
	f.Pix().Width = 1920
	if f.PixMP().Width != 1920 || Code("H264") != H264 || H264.String() != "H264" {
		t.Errorf("%+v", f)
	}
	if !OutputMplane.Mplane() || Capture.Mplane() || Capture.String() != "CAPTURE" {
		t.Error("queues")
	}
	c := Capability{Capabilities: CapM2M}
	if c.Caps() != CapM2M {
		t.Error("capabilities without those of the node")
	}
}

// Linux is the real thing: an eventfd polls as it should.
func TestLinuxEvent(t *testing.T) {
	sys := Linux{}
	fd, err := sys.Event()
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, _ := sys.Poll(fds, 0); n != 0 {
		t.Error("readable before a signal")
	}
	sys.Signal(fd)
	if n, _ := sys.Poll(fds, -1); n != 1 {
		t.Error("not readable after a signal")
	}
	sys.Clear(fd)
	if n, _ := sys.Poll(fds, 0); n != 0 {
		t.Error("readable after it was cleared")
	}
	if sys.Now() <= 0 || len(sys.Glob("/dev/nul?")) != 1 {
		t.Error("clock or list")
	}
	if _, err := sys.Open("/dev/no such device"); err != unix.ENOENT {
		t.Error(err)
	}
	if err := sys.Ioctl(fd, &QueryCap, unsafe.Pointer(&Capability{})); err != unix.ENOTTY {
		t.Error(err)
	}
	if _, err := sys.Mmap(fd, 0, 4096); err == nil {
		t.Error("mapped an eventfd")
	}
}
