package dmaheap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is every way in which this package reaches the kernel; tests put
// themselves between. Errors are bare error numbers.
type system interface {
	open(path string) (fd int, err error)
	close(fd int) error
	ioctl(fd int, c call, arg unsafe.Pointer) error
	create(fd int, c call, arg unsafe.Pointer) (made int, err error) // an ioctl that returns a descriptor
	memfd(size int) (fd int, err error)                              // sealed against shrinking
	mmap(fd, size int) ([]byte, error)
	munmap(b []byte) error
}

type linux struct{}

func (linux) open(path string) (int, error) {
	return unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
}

func (linux) close(fd int) error { return unix.Close(fd) }

func (l linux) ioctl(fd int, c call, arg unsafe.Pointer) error {
	_, err := l.create(fd, c, arg)
	return err
}

func (linux) create(fd int, c call, arg unsafe.Pointer) (int, error) {
	made, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(c.number), uintptr(arg))
	if e != 0 {
		return -1, e
	}
	return int(made), nil
}

func (linux) memfd(size int) (int, error) {
	fd, err := unix.MemfdCreate("aerie", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (linux) mmap(fd, size int) ([]byte, error) {
	return unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (linux) munmap(b []byte) error { return unix.Munmap(b) }
