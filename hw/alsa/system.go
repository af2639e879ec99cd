package alsa

import (
	"encoding/binary"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is everything the package asks of the operating system. The real one
// is linux; tests put a simulated machine in its place, or a fault in between.
// Calls return bare error numbers and may return EINTR.
type system interface {
	open(path string) (fd int, err error) // read-write, non-blocking
	close(fd int) error
	ioctl(fd int, r request, arg unsafe.Pointer) error
	mmap(fd, length int) ([]byte, error) // from offset 0, shared
	munmap(mem []byte) error
	read(fd int, b []byte) (int, error)
	poll(fds []unix.PollFd, timeout time.Duration) (int, error)
	event() (fd int, err error) // becomes readable after signal, until read
	signal(fd int)
	now() int64 // CLOCK_MONOTONIC in nanoseconds
	sleep(d time.Duration)
	readFile(path string) ([]byte, error)
	realtime(priority int) error // this thread becomes SCHED_RR
}

type linux struct{}

func (linux) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

func (linux) close(fd int) error { return unix.Close(fd) }

func (linux) ioctl(fd int, r request, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(r), uintptr(arg))
	runtime.KeepAlive(arg)
	if e != 0 {
		return e
	}
	return nil
}

func (linux) mmap(fd, length int) ([]byte, error) {
	return unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (linux) munmap(mem []byte) error              { return unix.Munmap(mem) }
func (linux) read(fd int, b []byte) (int, error)   { return unix.Read(fd, b) }
func (linux) event() (int, error)                  { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }
func (linux) readFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (linux) poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	ms := int((timeout + time.Millisecond - 1) / time.Millisecond)
	return unix.Poll(fds, ms)
}

func (linux) signal(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// A full counter is as good as a signal.
	_, _ = unix.Write(fd, one[:])
}

func (linux) now() int64 {
	var ts unix.Timespec
	// The call cannot fail: the clock exists on every kernel and ts is ours.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

func (linux) sleep(d time.Duration) { time.Sleep(d) }

func (linux) realtime(priority int) error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: uint32(priority)}, 0)
}

// retries bounds how often an interrupted call is made again: Go's scheduler
// interrupts a long call every 10 ms or so, never a thousand times.
const retries = 1000

// file is an open device with the name used for it in messages.
type file struct {
	sys  system
	fd   int
	name string
}

// openFile opens a device node.
func openFile(sys system, path, name string) (file, error) {
	for range retries {
		fd, err := sys.open(path)
		switch err {
		case nil:
			return file{sys, fd, name}, nil
		case unix.EINTR:
			continue
		}
		return file{}, &Error{name, "open", err}
	}
	return file{}, &Error{name, "open", unix.EINTR}
}

func (f *file) close() {
	// Nothing can be done about a failure, and the descriptor is gone anyway.
	_ = f.sys.close(f.fd)
	f.fd = -1
}

// call makes one ioctl. arg must stay reachable through a Go pointer; what it
// points to escapes to the heap, so hot paths keep theirs in the PCM.
func (f *file) call(r request, arg unsafe.Pointer) error {
	err := f.sys.ioctl(f.fd, r, arg)
	for n := 0; err == unix.EINTR && n < retries; n++ {
		err = f.sys.ioctl(f.fd, r, arg)
	}
	if err != nil {
		return &Error{f.name, r.String(), err}
	}
	return nil
}

// read reads what is there; 0 bytes when nothing is.
func (f *file) read(b []byte) (int, error) {
	for range retries {
		n, err := f.sys.read(f.fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, nil
		}
		return 0, &Error{f.name, "read", err}
	}
	return 0, &Error{f.name, "read", unix.EINTR}
}

// text is the C string in b.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
