package uapi

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System is everything that the decoders ask of the operating system. The real
// one is Linux; tests put a simulated machine in its place, or a fault in
// between. Calls return bare error numbers and may return EINTR.
type System interface {
	// Glob lists the files that match a pattern, sorted.
	Glob(pattern string) []string
	// Open opens a device for reading and writing, without blocking.
	Open(path string) (fd int, err error)
	Close(fd int) error
	Ioctl(fd int, r *Request, arg unsafe.Pointer) error
	Mmap(fd int, offset int64, length int) ([]byte, error)
	Munmap(mem []byte) error
	// Poll waits for events, at most for the timeout; a negative one is no
	// limit.
	Poll(fds []unix.PollFd, timeout time.Duration) (int, error)
	// Event makes a descriptor that is readable after Signal, until Clear.
	Event() (fd int, err error)
	Signal(fd int)
	Clear(fd int)
	// Now is CLOCK_MONOTONIC.
	Now() time.Duration
}

// Linux is the real system.
type Linux struct{}

// Glob lists device nodes.
func (Linux) Glob(pattern string) []string {
	l, _ := filepath.Glob(pattern) // a pattern of ours is never bad
	return l
}

// Open opens a device.
func (Linux) Open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// Close closes a descriptor.
func (Linux) Close(fd int) error { return unix.Close(fd) }

// Ioctl makes one call.
func (Linux) Ioctl(fd int, r *Request, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(r.Number), uintptr(arg))
	runtime.KeepAlive(arg)
	if e != 0 {
		return e
	}
	return nil
}

// Mmap maps memory of a device, shared.
func (Linux) Mmap(fd int, offset int64, length int) ([]byte, error) {
	return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Munmap undoes Mmap.
func (Linux) Munmap(mem []byte) error { return unix.Munmap(mem) }

// Poll is poll(2).
func (Linux) Poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	return unix.Poll(fds, ms)
}

// Event makes an eventfd.
func (Linux) Event() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// Signal makes it readable.
func (Linux) Signal(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:]) // a full counter is as good as a signal
}

// Clear makes it unreadable.
func (Linux) Clear(fd int) {
	var count [8]byte
	_, _ = unix.Read(fd, count[:]) // nothing to read is as clear
}

// Now reads CLOCK_MONOTONIC.
func (Linux) Now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // exists on every kernel
	return time.Duration(ts.Nano())
}
