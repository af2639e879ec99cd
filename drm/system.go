package drm

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is every way in which this package reaches the kernel. Tests put
// themselves between to make each call fail once, to count what is left open,
// and to play the kernel where there is no display at all.
type system interface {
	// cards lists the primary nodes, sorted.
	cards() ([]string, error)
	open(path string) (fd int, err error)
	close(fd int) error
	// ioctl makes one call; an error is a unix.Errno.
	ioctl(fd int, c call, arg unsafe.Pointer) error
	mmap(fd int, offset int64, length int) ([]byte, error)
	munmap(b []byte) error
	// uevents opens a non-blocking socket on which the kernel announces changes
	// of devices; receive takes one message from it and says whether the
	// kernel itself sent it.
	uevents() (fd int, err error)
	receive(fd int, b []byte) (n int, kernel bool, err error)
	// now is CLOCK_MONOTONIC in nanoseconds.
	now() int64
}

// maxRetries bounds the answers EINTR and EAGAIN to one call. Go interrupts its
// threads with signals, so EINTR is common; libdrm repeats for EAGAIN as well.
const maxRetries = 1000

// do makes a call on an open device and names both in an error.
func do[T any](s system, fd int, path string, c call, arg *T) error {
	var err error
	for range maxRetries {
		err = s.ioctl(fd, c, unsafe.Pointer(arg))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			break
		}
		runtime.Gosched()
	}
	return fmt.Errorf("drm: %s: %s: %w", path, c.name, err)
}

// pins holds what user pointers inside a structure point to, which the
// collector does not see, where it is for the length of a call.
type pins struct{ runtime.Pinner }

// pin gives the address of a slice's memory as the kernel wants it.
func pin[T any](p *pins, s []T) uint64 {
	if len(s) == 0 {
		return 0
	}
	p.Pin(&s[0])
	return uint64(uintptr(unsafe.Pointer(&s[0])))
}

// linux is the system.
type linux struct{}

func (linux) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
}

func (linux) close(fd int) error { return unix.Close(fd) }

func (linux) ioctl(fd int, c call, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(c.number), uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

func (linux) mmap(fd int, offset int64, length int) ([]byte, error) {
	return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (linux) munmap(b []byte) error { return unix.Munmap(b) }

func (linux) now() int64 {
	var ts unix.Timespec
	// The call cannot fail: the clock exists on every kernel and ts is ours.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
