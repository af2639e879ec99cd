package dmaheap

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// machine is a made-up kernel with some nodes. It counts what is open, and may
// make one call fail.
type machine struct {
	nodes  map[string]error // what opening says
	trace  []string
	failAt int // call number from 1
	with   error
	fds    map[int]bool
	maps   int
	next   int
	inside bool // between Begin and End
}

func newMachine(names ...string) *machine {
	m := &machine{nodes: map[string]error{}, fds: map[int]bool{}, next: 3}
	for _, n := range names {
		m.nodes[n] = nil
	}
	return m
}

// enter counts a call and says whether it fails.
func (m *machine) enter(name string) error {
	m.trace = append(m.trace, name)
	if len(m.trace) == m.failAt {
		return m.with
	}
	return nil
}

func (m *machine) fd() int {
	m.next++
	m.fds[m.next] = true
	return m.next
}

func (m *machine) open(path string) (int, error) {
	err, there := m.nodes[path]
	if !there {
		return -1, unix.ENOENT
	}
	if err := m.enter("open"); err != nil {
		return -1, err
	}
	if err != nil {
		return -1, err
	}
	return m.fd(), nil
}

func (m *machine) close(fd int) error {
	if !m.fds[fd] {
		return unix.EBADF
	}
	delete(m.fds, fd)
	return nil
}

func (m *machine) ioctl(fd int, c call, arg unsafe.Pointer) error {
	if err := m.enter(c.name); err != nil {
		return err
	}
	switch c {
	case dmaHeapAlloc:
		(*heapAllocation)(arg).fd = uint32(m.fd())
	case dmaBufSyncCall:
		m.inside = (*dmaBufSync)(arg).flags&dmaBufSyncEnd == 0
	}
	return nil
}

func (m *machine) create(fd int, c call, arg unsafe.Pointer) (int, error) {
	if err := m.enter(c.name); err != nil {
		return -1, err
	}
	return m.fd(), nil
}

func (m *machine) memfd(int) (int, error) {
	if err := m.enter("memfd"); err != nil {
		return -1, err
	}
	return m.fd(), nil
}

func (m *machine) mmap(_, size int) ([]byte, error) {
	if err := m.enter("mmap"); err != nil {
		return nil, err
	}
	m.maps++
	return make([]byte, size), nil
}

func (m *machine) munmap([]byte) error { m.maps--; return nil }

func (m *machine) check(t *testing.T) {
	t.Helper()
	if len(m.fds) != 0 || m.maps != 0 {
		t.Errorf("%d descriptors and %d mappings are held after %v", len(m.fds), m.maps, m.trace)
	}
}

// TestSources lists what is there, in order, with what stands in the way.
func TestSources(t *testing.T) {
	m := newMachine("/dev/udmabuf", "/dev/dma_heap/linux,cma", "/dev/dma_heap/system")
	m.nodes["/dev/dma_heap/linux,cma"] = unix.EACCES
	var got []string
	for _, s := range sources(m) {
		got = append(got, s.Name)
		if (s.Err != nil) != (s.Name == "linux,cma") {
			t.Errorf("%s: %v", s, s.Err)
		}
		if s.Err != nil && !strings.Contains(s.Err.Error(), "/dev/dma_heap/linux,cma: open: permission denied (is the user in group video?)") {
			t.Errorf("the error is %q", s.Err)
		}
	}
	if strings.Join(got, " ") != "system udmabuf linux,cma" {
		t.Errorf("sources %v", got)
	}
	if list := sources(newMachine()); len(list) != 0 {
		t.Errorf("an empty machine has %v", list)
	}
	m.check(t)
}

// use is the life of a buffer.
func use(s Source) error {
	b, err := s.Allocate(1000)
	if err != nil {
		return err
	}
	defer b.Close()
	if len(b.Data) < 1000 {
		return errors.New("too small")
	}
	if err := b.Begin(); err != nil {
		return err
	}
	return b.End()
}

// TestEveryCallFailsOnce: what fails names the device and the call, what was
// interrupted is made again, and nothing is held afterwards.
func TestEveryCallFailsOnce(t *testing.T) {
	for _, node := range []string{"/dev/dma_heap/system", "/dev/udmabuf"} {
		clean := newMachine(node)
		if err := use(sources(clean)[0]); err != nil {
			t.Fatal(err)
		}
		clean.check(t)
		for at := range clean.trace {
			for _, errno := range []unix.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EPIPE, unix.ENOMEM, unix.EACCES, unix.EMFILE, unix.EINTR, unix.EAGAIN} {
				m := newMachine(node)
				m.failAt, m.with = at+1, errno
				list := sources(m)
				if len(list) != 1 {
					t.Fatalf("%v", list)
				}
				name, err := clean.trace[at], list[0].Err
				if err == nil {
					err = use(list[0])
				}
				interrupted := (errno == unix.EINTR || errno == unix.EAGAIN) && name != "memfd" && name != "mmap"
				switch {
				case interrupted && err != nil:
					t.Errorf("%s of %s fails with %v and is not made again: %v", name, node, error(errno), err)
				case !interrupted && (!errors.Is(err, errno) || !strings.Contains(err.Error(), node) || !strings.Contains(err.Error(), name)):
					t.Errorf("%s of %s fails with %v: %v", name, node, error(errno), err)
				}
				m.check(t)
			}
		}
	}
}

func TestSize(t *testing.T) {
	s := sources(newMachine("/dev/dma_heap/system"))[0]
	for _, size := range []int{-1, 0, maxBuffer + 1} {
		if _, err := s.Allocate(size); err == nil {
			t.Errorf("a buffer of %d bytes", size)
		}
	}
}

// TestHotPath: making a buffer the CPU's and the devices' allocates nothing.
func TestHotPath(t *testing.T) {
	m := newMachine("/dev/dma_heap/system")
	b, err := sources(m)[0].Allocate(1)
	if err != nil {
		t.Fatal(err)
	}
	m.trace = make([]string, 0, 10000)
	if n := testing.AllocsPerRun(1000, func() {
		if b.Begin() != nil || !m.inside || b.End() != nil || m.inside {
			t.Fatal("no access")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := b.Close(); err != nil || b.Close() != nil {
		t.Error(err)
	}
	m.check(t)
}
