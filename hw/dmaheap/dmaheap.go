// Package dmaheap makes memory that the CPU reads and writes through its cache
// and that devices can use without a copy: dma-bufs of the kernel's heaps, or
// of udmabuf where there are none.
//
// A software decoder reads every picture again as the reference of the next
// ones. Memory of a display (a dumb buffer) is write-combined, and reading it
// is slow; memory of a heap is cached, and a display can import it. What this
// takes is the care that Begin and End bring: between them the memory is the
// CPU's, else the devices'. Only reading is allowed at any time, as long as no
// device writes.
//
// Which heap suits a device only the device can say: one without an IOMMU
// refuses memory in pieces. Sources lists what the machine has, in an order
// that spends contiguous memory last, and the caller tries one after another.
//
// It leaves importing to package drm, and the layout of pictures to its caller.
//
// Sources of facts: the kernel's Documentation/userspace-api/dma-buf-heaps.rst,
// Documentation/driver-api/dma-buf.rst and include/uapi/linux/udmabuf.h.
//
// Proof: uapi_test.go compares structures and ioctl numbers with what C
// compilers say on amd64, arm64 and arm; dmaheap_test.go makes every call fail
// in every way on a made-up machine, and counts what is held and allocated;
// lab_test.go uses every heap of the bench's kernel.
package dmaheap

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNone: the machine has no source of such memory.
var ErrNone = errors.New("the kernel offers neither a DMA-BUF heap nor udmabuf")

// Source is a place that memory comes from.
type Source struct {
	Name string // of the device node: "system", "linux,cma", "udmabuf"
	Path string // of the device node
	Err  error  // why it cannot be used; nil if it can be opened

	kind kind
	sys  system
}

// kind is how a source is asked for memory.
type kind int

const (
	heap kind = iota
	udmabuf
)

// known are the sources in the order of preference. Other heaps are not used:
// some cannot be mapped, others belong to a purpose.
var known = []Source{
	// What Raspberry Pi OS calls the heap that suits the board's video.
	{Name: "vidbuf_cached", Path: "/dev/dma_heap/vidbuf_cached"},
	// Pages from anywhere.
	{Name: "system", Path: "/dev/dma_heap/system"},
	{Name: "udmabuf", Path: "/dev/udmabuf", kind: udmabuf},
	// The contiguous memory under the names it has had over time. Decoders and
	// displays share it.
	{Name: "linux,cma", Path: "/dev/dma_heap/linux,cma"},
	{Name: "default_cma_region", Path: "/dev/dma_heap/default_cma_region"},
	{Name: "reserved", Path: "/dev/dma_heap/reserved"},
}

// Sources lists the sources that the machine has, those to be preferred first.
// One whose Err is not nil is there but cannot be opened.
func Sources() []Source { return sources(linux{}) }

func sources(sys system) (list []Source) {
	for _, s := range known {
		s.sys = sys
		fd, err := s.open()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if s.Err = err; err == nil {
			_ = sys.close(fd) // it was only a look
		}
		list = append(list, s)
	}
	return list
}

func (s *Source) open() (fd int, err error) {
	err = again(func() error { fd, err = s.sys.open(s.Path); return err })
	if err != nil {
		return -1, s.failed("open", err)
	}
	return fd, nil
}

// failed names the device and the call in an error.
func (s *Source) failed(call string, err error) error {
	hint := ""
	if errors.Is(err, fs.ErrPermission) {
		hint = " (is the user in group video?)"
	}
	return fmt.Errorf("dmaheap: %s: %s: %w%s", s.Path, call, err, hint)
}

func (s Source) String() string { return s.Path }

// Buffer is one piece of memory. Its methods belong to one goroutine at a
// time.
type Buffer struct {
	FD   int    // the dma-buf; it belongs to the Buffer
	Data []byte // its mapping, zero at first

	source Source
	sync   dmaBufSync // kept here, so that a call allocates nothing
}

// maxBuffer bounds one buffer: a picture of 8192x4320 in 4:2:0.
const maxBuffer = 64 << 20

// Allocate makes a buffer of at least size bytes, 1 to 64 MiB.
func (s Source) Allocate(size int) (*Buffer, error) {
	if size < 1 || size > maxBuffer {
		return nil, fmt.Errorf("dmaheap: %s: a buffer of %d bytes", s.Path, size)
	}
	page := unix.Getpagesize()
	size = (size + page - 1) / page * page
	dev, err := s.open()
	if err != nil {
		return nil, err
	}
	defer s.sys.close(dev)
	b := &Buffer{FD: -1, source: s}
	if s.kind == udmabuf {
		b.FD, err = s.fromMemfd(dev, size)
	} else {
		b.FD, err = s.fromHeap(dev, size)
	}
	if err != nil {
		return nil, err
	}
	if b.Data, err = s.sys.mmap(b.FD, size); err != nil {
		_ = s.sys.close(b.FD)
		return nil, s.failed("mmap", err)
	}
	return b, nil
}

func (s *Source) fromHeap(dev, size int) (fd int, err error) {
	a := heapAllocation{length: uint64(size), fdFlags: unix.O_RDWR | unix.O_CLOEXEC}
	if err := s.call(dev, dmaHeapAlloc, unsafe.Pointer(&a)); err != nil {
		return -1, err
	}
	return int(a.fd), nil
}

// fromMemfd makes a dma-buf of anonymous memory, which must not shrink.
func (s *Source) fromMemfd(dev, size int) (fd int, err error) {
	mem, err := s.sys.memfd(size)
	if err != nil {
		return -1, s.failed("memfd", err)
	}
	defer s.sys.close(mem) // the dma-buf keeps the pages
	c := udmabufCreate{memfd: uint32(mem), flags: udmabufCloexec, size: uint64(size)}
	err = again(func() error { fd, err = s.sys.create(dev, udmabufCreateCall, unsafe.Pointer(&c)); return err })
	if err != nil {
		return -1, s.failed(udmabufCreateCall.name, err)
	}
	return fd, nil
}

func (s *Source) call(fd int, c call, arg unsafe.Pointer) error {
	if err := again(func() error { return s.sys.ioctl(fd, c, arg) }); err != nil {
		return s.failed(c.name, err)
	}
	return nil
}

// Source is where the buffer came from.
func (b *Buffer) Source() Source { return b.source }

// Begin makes the memory the CPU's, to be read and written.
func (b *Buffer) Begin() error { return b.synchronise(dmaBufSyncStart | dmaBufSyncRW) }

// End makes the memory the devices': what was written is there for them. The
// CPU may still read.
func (b *Buffer) End() error { return b.synchronise(dmaBufSyncEnd | dmaBufSyncRW) }

func (b *Buffer) synchronise(flags uint64) error {
	b.sync.flags = flags
	var err error
	for range retries {
		if err = b.source.sys.ioctl(b.FD, dmaBufSyncCall, unsafe.Pointer(&b.sync)); err != unix.EINTR && err != unix.EAGAIN {
			break
		}
	}
	if err != nil {
		return b.source.failed(dmaBufSyncCall.name, err)
	}
	return nil
}

// Close unmaps the memory. Who has imported it keeps it.
func (b *Buffer) Close() error {
	if b.Data == nil {
		return nil
	}
	err := b.source.sys.munmap(b.Data)
	b.Data = nil
	return errors.Join(err, b.source.sys.close(b.FD))
}

// retries bounds how often a call that was interrupted is made again.
const retries = 1000

// again repeats a call that was interrupted.
func again(f func() error) (err error) {
	for range retries {
		if err = f(); !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return err
}
