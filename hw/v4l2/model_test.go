package v4l2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// model is a machine with one decoder, /dev/video10, as the kernel's queues
// (videobuf2, v4l2-mem2mem) make it behave: two queues with buffers that are
// with the program, with the driver, or done; poll and its errors; events. The
// codec behind them decodes at once what accessUnit makes.
type model struct {
	driver string
	mplane bool
	// silent is the Raspberry Pi's driver: no SOURCE_CHANGE where OUTPUT had
	// the true size already, and EPIPE after each one until something is done.
	silent  bool
	raw     []uapi.FourCC
	keep    int              // pictures that are held back until the next come
	stuck   bool             // access units are taken and give nothing
	deaf    bool             // access units are not even taken
	nothing bool             // DQBUF gives buffers that are empty
	orphans bool             // memory that is still exported may go
	compose func() uapi.Rect // what is visible, nil: all that was coded

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	fds     map[int]string
	next    int
	maps    int
	events  int // pending in an eventfd
	dev     modelDevice
}

// modelDevice is the open device.
type modelDevice struct {
	out, capture modelQueue
	announced    []uint32 // events
	subscribed   map[uint32]bool
	width        int // of the pictures that come
	height       int
	last         bool // DQBUF answers EPIPE
	draining     bool
	change       *[2]int // to be made when the old pictures are out
	back         []modelPicture
	first        bool // a SOURCE_CHANGE was raised
}

type modelPicture struct {
	token   uapi.Timeval
	corrupt bool
}

type modelQueue struct {
	format  uapi.FourCC
	w, h    uint32
	size    uint32
	on      bool
	buffers []modelBuffer
	queued  []int // with the driver, in order
	done    []int
}

type modelBuffer struct {
	mem     []byte
	used    uint32
	flags   uint32
	stamp   uapi.Timeval
	withCPU bool
}

func newModel() *model {
	m := &model{driver: "vicodec", raw: []uapi.FourCC{uapi.YUV, uapi.NV12, uapi.XBGR}, fds: map[int]string{}, next: 3, changed: make(chan struct{}), orphans: true}
	m.dev.subscribed = map[uint32]bool{}
	return m
}

// newPi makes a model of the Raspberry Pi's driver.
func newPi() *model {
	m := newModel()
	m.driver, m.mplane, m.silent, m.keep = "bcm2835-codec", true, true, 1
	m.raw = []uapi.FourCC{uapi.YUV, uapi.NV12, uapi.NC12}
	return m
}

func (m *model) device() Device {
	d, err := find(m, uapi.H264)
	if err != nil {
		panic(err)
	}
	return d
}

// notify wakes those who poll; m.mu is held.
func (m *model) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *model) Glob(string) []string { return []string{"/dev/video10"} }

func (m *model) Now() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (m *model) add(what string) int {
	m.next++
	m.fds[m.next] = what
	return m.next
}

func (m *model) Open(path string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if path != "/dev/video10" {
		return -1, unix.ENOENT
	}
	return m.add("device"), nil
}

func (m *model) Close(fd int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fds[fd] == "" {
		return unix.EBADF
	}
	if m.fds[fd] == "device" {
		m.dev = modelDevice{subscribed: map[uint32]bool{}}
	}
	delete(m.fds, fd)
	return nil
}

func (m *model) Mmap(fd int, offset int64, length int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maps++
	return m.dev.out.buffers[offset>>24].mem[:length], nil
}

func (m *model) Munmap([]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.maps--
	return nil
}

func (m *model) Event() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.add("event"), nil
}

func (m *model) Signal(int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events++
	m.notify()
}

func (m *model) Clear(int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = 0
}

// held is what has not been given back.
func (m *model) held() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var l []string
	for _, what := range m.fds {
		l = append(l, what)
	}
	slices.Sort(l)
	return fmt.Sprintf("%s; %d maps, %d buffers", strings.Join(l, " "), m.maps, len(m.dev.out.buffers)+len(m.dev.capture.buffers))
}

const nothingHeld = "; 0 maps, 0 buffers"

func (m *model) Poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	var expired <-chan time.Time
	if timeout >= 0 {
		expired = time.After(timeout)
	}
	for {
		m.mu.Lock()
		n := 0
		for i := range fds {
			fds[i].Revents = m.ready(&fds[i])
			if fds[i].Revents != 0 {
				n++
			}
		}
		changed := m.changed
		m.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		select {
		case <-changed:
		case <-expired:
			return 0, nil
		}
	}
}

// ready is poll of one descriptor; m.mu is held.
func (m *model) ready(fd *unix.PollFd) (r int16) {
	switch m.fds[int(fd.Fd)] {
	case "event":
		if m.events > 0 {
			return unix.POLLIN
		}
		return 0
	case "device":
	default:
		return unix.POLLNVAL
	}
	d := &m.dev
	if len(d.announced) > 0 {
		r |= fd.Events & unix.POLLPRI
	}
	if fd.Events&(unix.POLLIN|unix.POLLOUT) == 0 {
		return r
	}
	if d.out.idle() && d.capture.idle() {
		return r | unix.POLLERR
	}
	if len(d.capture.done) > 0 || d.last {
		r |= fd.Events & unix.POLLIN
	}
	if len(d.out.done) > 0 {
		r |= fd.Events & unix.POLLOUT
	}
	return r
}

// idle: a queue that is not streaming, or has no buffer to wait for.
func (q *modelQueue) idle() bool { return !q.on || len(q.queued)+len(q.done) == 0 }

// accessUnit makes one that the model decodes: a key picture of a size, or 'P'
// for one that refers to it, 'X' for one with errors, 'N' for none at all, and
// 'C' for a key picture that changes nothing but the colour.
func accessUnit(kind byte, width, height int) []byte {
	b := []byte{0, 0, 0, 1, kind}
	b = binary.BigEndian.AppendUint16(b, uint16(width))
	return binary.BigEndian.AppendUint16(b, uint16(height))
}

// work decodes what can be; m.mu is held.
func (m *model) work() {
	d := &m.dev
	m.emit(m.keep)
	for d.out.on && len(d.out.queued) > 0 && !m.deaf && d.change == nil && (d.capture.on || !d.first) && len(d.back) <= m.keep {
		i := d.out.queued[0]
		b := &d.out.buffers[i]
		au := b.mem[:b.used]
		for len(au) > 5 && au[0] == 0 {
			au = au[1:]
		}
		kind := au[1]
		w, h := int(binary.BigEndian.Uint16(au[2:])), int(binary.BigEndian.Uint16(au[4:]))
		if kind == 'K' && m.changeSize(w, h) {
			if !d.capture.on {
				break // the access unit waits for memory
			}
			continue
		}
		if !d.capture.on {
			break
		}
		d.out.queued = d.out.queued[1:]
		d.out.done = append(d.out.done, i)
		if kind == 'C' {
			m.announce(uapi.EventSourceChange)
			d.last = d.last || m.silent
		}
		if kind != 'N' && !m.stuck {
			d.back = append(d.back, modelPicture{b.stamp, kind == 'X'})
		}
		m.emit(m.keep)
	}
	if d.change != nil || d.draining {
		m.emit(0)
	}
	m.finish()
	m.notify()
}

// emit puts pictures into buffers until keep are left.
func (m *model) emit(keep int) {
	d := &m.dev
	for len(d.back) > keep && len(d.capture.queued) > 0 {
		p := d.back[0]
		d.back = d.back[1:]
		m.complete(d.capture.size, p, 0)
	}
}

func (m *model) complete(used uint32, p modelPicture, flags uint32) {
	q := &m.dev.capture
	i := q.queued[0]
	q.queued = q.queued[1:]
	b := &q.buffers[i]
	b.used, b.stamp, b.flags = used, p.token, flags
	if m.nothing {
		b.used = 0
	}
	if p.corrupt {
		b.flags |= uapi.BufFlagError
	}
	q.done = append(q.done, i)
}

// finish makes the last picture of a size, or of a drain.
func (m *model) finish() {
	d := &m.dev
	if len(d.back) > 0 || d.change == nil && !d.draining || d.draining && len(d.out.queued) > 0 && d.change == nil && !m.deaf && d.capture.on {
		return
	}
	if m.silent && d.change != nil {
		d.last = true
	} else if len(d.capture.queued) > 0 {
		m.complete(0, modelPicture{}, uapi.BufFlagLast)
	} else {
		return
	}
	if d.change != nil {
		d.width, d.height = d.change[0], d.change[1]
		m.announce(uapi.EventSourceChange)
	} else {
		m.announce(uapi.EventEOS)
	}
	d.draining = false
}

// changeSize notes the size of a key picture; true if the pictures of the old
// size must come out first.
func (m *model) changeSize(w, h int) bool {
	d := &m.dev
	switch {
	case d.change != nil:
		return true
	case d.width == w && d.height == h && (d.capture.on || m.silent):
		return false
	case !d.capture.on:
		if !d.first {
			d.first, d.width, d.height = true, w, h
			m.announce(uapi.EventSourceChange)
		}
		return true
	}
	d.first = true
	d.change = &[2]int{w, h}
	return true
}

func (m *model) announce(e uint32) {
	if m.dev.subscribed[e] {
		m.dev.announced = append(m.dev.announced, e)
	}
}
