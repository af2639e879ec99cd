package alsa

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/lab/bench"

	"golang.org/x/sys/unix"
)

// Calls that only tests make: the other end of a loopback card, and control
// elements of their own.
const (
	pcmReadI      request = ioRead | request(unsafe.Sizeof(xferi{}))<<16 | 'A'<<8 | 0x51
	ctlElemAdd    request = ioRead | ioWrite | request(unsafe.Sizeof(elemInfo{}))<<16 | 'U'<<8 | 0x17
	ctlElemUnlock request = ioWrite | request(unsafe.Sizeof(elemID{}))<<16 | 'U'<<8 | 0x15
	ctlTLVWrite   request = ioRead | ioWrite | 8<<16 | 'U'<<8 | 0x1b
)

// notInside skips a long simulation where every instruction is emulated: it
// proves nothing there that it does not prove outside.
func notInside(t *testing.T) {
	if bench.Inside() {
		t.Skip("a simulation: it runs outside of the bench")
	}
}

// machine is a simulated computer with sound cards. Its clock moves only while
// a program waits, so a minute of sound takes some milliseconds and comes out
// the same every time.
type machine struct {
	t     testing.TB
	mu    sync.Mutex
	clock int64
	rand  *rand.Rand
	cards []*simCard
	files map[string]string
	fds   map[int]any // *simPCM, *simControl or *simEvent
	last  int
	todo  []action
	calls map[string]int // how often each call was made
	// fault, if set, may fail a call before it is made.
	fault func(call string) error
	// deaf makes poll time out: the device never becomes ready.
	deaf bool
}

type action struct {
	at int64
	do func()
}

type simCard struct {
	m        *machine
	id, name string
	gone     bool
	pcms     []*simPCM
	elements []*simElement
	subs     []*simControl
}

type simEvent struct{ set bool }

func newMachine(t testing.TB) *machine {
	return &machine{t: t, clock: 1e12, rand: rand.New(rand.NewPCG(1, 2)), fds: map[int]any{}, last: 10,
		calls: map[string]int{}, files: map[string]string{}}
}

// card adds a card with one playback device.
func (m *machine) card(id, name string) *simPCM {
	c := &simCard{m: m, id: id, name: name}
	p := &simPCM{card: c, name: name, formats: []Format{S16, S32}, rates: []int{44100, 48000}, mapped: true,
		minPeriod: 32, maxPeriod: 65536, maxBuffer: 1 << 17, granule: 16}
	c.pcms = []*simPCM{p}
	m.cards = append(m.cards, c)
	return p
}

// at has f called when the clock reaches d after now, from within a wait.
func (m *machine) at(d time.Duration, f func()) {
	m.todo = append(m.todo, action{m.clock + int64(d), f})
}

// enter counts a call and lets it fail.
func (m *machine) enter(call string) error {
	m.calls[call]++
	if m.fault != nil {
		return m.fault(call)
	}
	return nil
}

func (m *machine) open(path string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kind, n, d := "open", 0, 0
	for _, format := range []string{"/dev/snd/controlC%d", "/dev/snd/pcmC%dD%dp"} {
		if k, _ := fmt.Sscanf(path, format, &n, &d); k == 1 {
			kind = "open control"
		} else if k == 2 {
			kind = "open"
		}
	}
	if err := m.enter(kind); err != nil {
		return -1, err
	}
	if n >= len(m.cards) || m.cards[n].gone {
		return -1, unix.ENOENT
	}
	var f any
	if kind == "open control" {
		c := &simControl{card: m.cards[n]}
		m.cards[n].subs = append(m.cards[n].subs, c)
		f = c
	} else {
		p := m.cards[n].pcms[d]
		if p.refuse != nil {
			return -1, p.refuse
		}
		if p.opened {
			return -1, unix.EBUSY
		}
		p.opened, p.state, p.configured = true, StateOpen, false
		f = p
	}
	m.last++
	m.fds[m.last] = f
	return m.last, nil
}

func (m *machine) close(fd int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch f := m.fds[fd].(type) {
	case nil:
		m.t.Errorf("close of descriptor %d, which is not open", fd)
	case *simPCM:
		f.settle()
		f.opened = false
	case *simControl:
		for i, s := range f.card.subs {
			if s == f {
				f.card.subs = append(f.card.subs[:i], f.card.subs[i+1:]...)
				break
			}
		}
	}
	delete(m.fds, fd)
	return nil
}

func (m *machine) ioctl(fd int, r request, arg unsafe.Pointer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter(r.String()); err != nil {
		return err
	}
	switch f := m.fds[fd].(type) {
	case *simPCM:
		if f.card.gone {
			return unix.ENODEV
		}
		return f.ioctl(r, arg)
	case *simControl:
		if f.card.gone {
			return unix.ENODEV
		}
		return f.ioctl(r, arg)
	}
	m.t.Errorf("%v on descriptor %d, which is no device", r, fd)
	return unix.EBADF
}

func (m *machine) mmap(fd, length int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("mmap"); err != nil {
		return nil, err
	}
	p := m.fds[fd].(*simPCM)
	if length != len(p.ring) {
		return nil, unix.EINVAL
	}
	return p.ring, nil
}

func (m *machine) munmap([]byte) error { return nil }

func (m *machine) read(fd int, b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch f := m.fds[fd].(type) {
	case *simEvent:
		f.set = false
		return 8, nil
	case *simControl:
		if err := m.enter("read"); err != nil {
			return 0, err
		}
		if f.card.gone {
			return 0, unix.ENODEV
		}
		if len(f.events) == 0 {
			return 0, unix.EAGAIN
		}
		e := f.events[0]
		f.events = f.events[1:]
		return copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e))), nil
	}
	return 0, unix.EBADF
}

// poll moves the clock to the next thing that happens.
func (m *machine) poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.enter("poll"); err != nil {
		if err == unix.EINTR {
			m.clock += 1e6 // signals do not come without a pause
			m.run()
		}
		return 0, err
	}
	end := m.clock + int64(timeout)
	for {
		n := m.revents(fds)
		if n > 0 || m.clock >= end {
			return n, nil
		}
		m.clock = min(end, m.next(fds))
		m.run()
	}
}

func (m *machine) revents(fds []unix.PollFd) (n int) {
	for i := range fds {
		fds[i].Revents = 0
		switch f := m.fds[int(fds[i].Fd)].(type) {
		case *simEvent:
			if f.set {
				fds[i].Revents = unix.POLLIN
			}
		case *simControl:
			if f.card.gone {
				fds[i].Revents = unix.POLLERR | unix.POLLNVAL
			} else if len(f.events) > 0 {
				fds[i].Revents = unix.POLLIN
			}
		case *simPCM:
			if !m.deaf {
				fds[i].Revents = f.ready()
			}
		}
		if fds[i].Revents != 0 {
			n++
		}
	}
	return n
}

// next is when something may happen.
func (m *machine) next(fds []unix.PollFd) int64 {
	t := m.clock + 1e9
	for _, a := range m.todo {
		t = min(t, max(a.at, m.clock))
	}
	for i := range fds {
		if p, ok := m.fds[int(fds[i].Fd)].(*simPCM); ok && !m.deaf {
			t = min(t, p.wakes())
		}
	}
	return t
}

// run does the actions that are due; they may call the machine's methods and
// those of an Output.
func (m *machine) run() {
	for i := 0; i < len(m.todo); i++ {
		if a := m.todo[i]; a.at <= m.clock {
			m.todo = append(m.todo[:i], m.todo[i+1:]...)
			i--
			m.mu.Unlock()
			a.do()
			m.mu.Lock()
		}
	}
}

func (m *machine) event() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	m.fds[m.last] = &simEvent{}
	return m.last, nil
}

func (m *machine) signal(fd int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fds[fd].(*simEvent).set = true
}

func (m *machine) now() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock
}

func (m *machine) sleep(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock += int64(d)
	m.run()
	runtime.Gosched()
}

func (m *machine) readFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if path == "/proc/asound/cards" {
		if err := m.enter("cards"); err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		s := ""
		for i, c := range m.cards {
			if !c.gone {
				s += fmt.Sprintf("%2d [%-15s]: %s - %s\n                      %s\n", i, c.id, c.name, c.name, c.name)
			}
		}
		return []byte(s), nil
	}
	if s, ok := m.files[path]; ok {
		return []byte(s), nil
	}
	return nil, &os.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func (m *machine) realtime(int) error { return unix.EPERM }

// leaks checks that everything was closed.
func (m *machine) leaks() {
	m.t.Helper()
	for fd, f := range m.fds {
		m.t.Errorf("descriptor %d (%T) is still open", fd, f)
	}
}

// liar is a system whose kernel's answers are changed on the way.
type liar struct {
	system
	lie func(r request, arg any)
}

func (l liar) ioctl(fd int, r request, arg unsafe.Pointer) error {
	err := l.system.ioctl(fd, r, arg)
	switch r {
	case pcmHwRefine, pcmHwParams:
		l.lie(r, (*hwParams)(arg))
	case pcmSwParams:
		l.lie(r, (*swParams)(arg))
	case pcmStatusGet:
		l.lie(r, (*pcmStatus)(arg))
	case pcmPVersion:
		l.lie(r, (*int32)(arg))
	}
	return err
}

// unmapped makes a system offer no mapped ring.
func unmapped(s system) system {
	return liar{s, func(r request, arg any) {
		if h, ok := arg.(*hwParams); ok && r == pcmHwRefine {
			h.Masks[paramAccess][0] &^= 1 << accessMmapInterleaved
		}
	}}
}
