package stateless

import (
	"fmt"
	"path"
	"slices"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// model is a kernel with one stateless decoder, beside other devices, that
// minds the rules of the request API: what a driver would do wrong silently is
// an error of the test.
type model struct {
	t testing.TB

	// What the decoder can do.
	formats  []uapi.FourCC
	frames   bool // decodes whole pictures, else slice by slice
	annexB   bool
	entries  bool
	noSysfs  bool
	elemSize map[uint32]uint32 // where it is not ours

	// What goes wrong.
	stalled bool   // requests never complete
	corrupt bool   // pictures are marked
	refuse  uint32 // control that is refused

	fds  map[int]any
	next int
	now  time.Duration
	maps int

	video *modelVideo
	runs  []run
}

// run is one picture as the device got it.
type run struct {
	data     []byte
	controls map[uint32][]byte
	picture  int
	time     int64 // ns
	refs     []int // pictures by their time stamps
}

type modelVideo struct {
	out, capture   []*modelBuffer
	outFmt, capFmt uapi.PixFormatMplane
	sps            bool
	on             map[uapi.BufType]bool
	queued         []*modelBuffer // CAPTURE, in order
	jobs           []*modelRequest
	done           map[uapi.BufType][]*modelBuffer
}

type modelBuffer struct {
	index   uint32
	size    uint32
	mem     []byte // of OUTPUT
	queued  bool
	used    uint32
	time    int64 // ns, -1 if the content is none
	flags   uint32
	request *modelRequest
}

type modelMedia struct{ right bool }

type modelRequest struct {
	right    bool
	queued   bool
	complete bool
	controls map[uint32][]byte
	buffer   *modelBuffer
}

type modelDMABuf struct{}

func newModel(t testing.TB) *model {
	return &model{t: t, formats: []uapi.FourCC{uapi.NC12, uapi.NV12}, frames: true, annexB: true, fds: map[int]any{}, next: 100}
}

// held is what is open.
func (m *model) held() string { return fmt.Sprintf("%d descriptors, %d mappings", len(m.fds), m.maps) }

const nothing = "0 descriptors, 0 mappings"

func (m *model) add(v any) int {
	m.next++
	m.fds[m.next] = v
	return m.next
}

func (m *model) Glob(pattern string) []string {
	all := []string{"/dev/media0", "/dev/media1", "/dev/video10", "/dev/video19"}
	if !m.noSysfs {
		all = append(all, "/sys/class/video4linux/video19/device/media1")
	}
	return slices.DeleteFunc(all, func(s string) bool { ok, _ := path.Match(pattern, s); return !ok })
}

func (m *model) Open(node string) (int, error) {
	switch node {
	case "/dev/video19":
		m.video = &modelVideo{on: map[uapi.BufType]bool{}, done: map[uapi.BufType][]*modelBuffer{}}
		return m.add(m.video), nil
	case "/dev/video10":
		return m.add("stateful"), nil
	case "/dev/media0", "/dev/media1":
		return m.add(&modelMedia{node == "/dev/media1"}), nil
	}
	return -1, unix.ENOENT
}

func (m *model) Close(fd int) error {
	if _, ok := m.fds[fd]; !ok {
		m.t.Errorf("descriptor %d is closed and not open", fd)
	}
	delete(m.fds, fd)
	return nil
}

func (m *model) Mmap(fd int, offset int64, length int) ([]byte, error) {
	m.maps++
	return m.video.out[offset>>16].mem[:length], nil
}

func (m *model) Munmap([]byte) error { m.maps--; return nil }

func (m *model) Poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	r, ok := m.fds[int(fds[0].Fd)].(*modelRequest)
	if !ok || !r.queued {
		fds[0].Revents = unix.POLLERR
		return 1, nil
	}
	m.work()
	if !r.complete {
		m.now += timeout
		return 0, nil
	}
	fds[0].Revents = unix.POLLPRI
	return 1, nil
}

func (m *model) Event() (int, error) { return -1, unix.ENOSYS }
func (m *model) Signal(int)          {}
func (m *model) Clear(int)           {}
func (m *model) Now() time.Duration  { return m.now }

// at makes a pointer of a number that the caller passed.
func at(u uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&u)) }

// work decodes what is queued.
func (m *model) work() {
	v := m.video
	for !m.stalled && len(v.jobs) > 0 && len(v.queued) > 0 && v.on[uapi.OutputMplane] && v.on[uapi.CaptureMplane] {
		r, c := v.jobs[0], v.queued[0]
		v.jobs, v.queued = v.jobs[1:], v.queued[1:]
		o := r.buffer
		n := run{data: slices.Clone(o.mem[:o.used]), controls: r.controls, picture: int(c.index), time: o.time}
		p := (*DecodeParams)(unsafe.Pointer(&r.controls[cidDecodeParams][0]))
		for _, e := range p.DPB[:p.NumActiveDpbEntries] {
			n.refs = append(n.refs, m.find(int64(e.Timestamp)))
		}
		m.runs = append(m.runs, n)
		c.time, c.queued, o.queued, r.complete = o.time, false, false, true
		c.flags, o.flags = 0, 0
		if m.corrupt {
			c.flags = uapi.BufFlagError
		}
		v.done[uapi.OutputMplane] = append(v.done[uapi.OutputMplane], o)
		v.done[uapi.CaptureMplane] = append(v.done[uapi.CaptureMplane], c)
	}
}

// find returns the picture with a time stamp.
func (m *model) find(time int64) int {
	for _, c := range m.video.capture {
		if c.time == time && !c.queued {
			return int(c.index)
		}
	}
	m.t.Errorf("no picture with time stamp %d", time)
	return -1
}
