package cec

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is every way in which this package reaches the kernel; tests put a
// made-up machine in its place. Errors are bare error numbers.
type system interface {
	adapters() []string // device nodes, sorted by number
	open(path string) (fd int, err error)
	close(fd int) error
	ioctl(fd int, c call, arg unsafe.Pointer) error
	// poll waits for events, at most for the timeout; a negative one is no
	// limit.
	poll(fds []unix.PollFd, timeout time.Duration) (int, error)
	// event makes a descriptor that is readable after signal, until clear.
	event() (fd int, err error)
	signal(fd int)
	clear(fd int)
	now() time.Duration // CLOCK_MONOTONIC
}

type linux struct{}

func (linux) adapters() []string {
	list, _ := filepath.Glob("/dev/cec[0-9]*") // the pattern is well formed
	number := func(path string) int { n, _ := strconv.Atoi(strings.TrimPrefix(path, "/dev/cec")); return n }
	slices.SortFunc(list, func(a, b string) int { return number(a) - number(b) })
	return list
}

func (linux) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

func (linux) close(fd int) error { return unix.Close(fd) }

func (linux) ioctl(fd int, c call, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(c.number), uintptr(arg))
	runtime.KeepAlive(arg)
	if e != 0 {
		return e
	}
	return nil
}

func (linux) poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	return unix.Poll(fds, ms)
}

func (linux) event() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

func (linux) signal(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(fd, one[:]) // a full counter is as good as a signal
}

func (linux) clear(fd int) {
	var count [8]byte
	_, _ = unix.Read(fd, count[:]) // nothing to read is as clear
}

func (linux) now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // exists on every kernel
	return time.Duration(ts.Nano())
}
