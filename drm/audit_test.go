package drm

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// audit stands between the package and a system, real or model: it counts what
// is held, and makes chosen calls fail.
type audit struct {
	system
	mu      sync.Mutex
	fds     map[int]string
	maps    int
	fbs     map[uint32]bool
	handles map[uint32]int
	blobs   map[uint32]bool
	trace   []string // names of the calls made

	failAt int // number of the call to fail, from 1; 0: none
	with   error
	failed string // the call that was failed
}

func newAudit(s system) *audit {
	return &audit{system: s, fds: map[int]string{}, fbs: map[uint32]bool{}, handles: map[uint32]int{}, blobs: map[uint32]bool{}}
}

// step counts a call and says whether it is to fail.
func (a *audit) step(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trace = append(a.trace, name)
	if a.failAt == len(a.trace) {
		a.failed = name
		return a.with
	}
	return nil
}

func (a *audit) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.trace)
}

func (a *audit) open(path string) (int, error) {
	if err := a.step("open"); err != nil {
		return -1, err
	}
	fd, err := a.system.open(path)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.fds[fd] = path
	}
	return fd, err
}

func (a *audit) close(fd int) error {
	a.mu.Lock()
	if path := a.fds[fd]; path != "uevents" && path != "" {
		// The kernel frees what a file holds with the file.
		clear(a.fbs)
		clear(a.handles)
		clear(a.blobs)
	}
	delete(a.fds, fd)
	a.mu.Unlock()
	return a.system.close(fd)
}

func (a *audit) uevents() (int, error) {
	if err := a.step("uevents"); err != nil {
		return -1, err
	}
	fd, err := a.system.uevents()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.fds[fd] = "uevents"
	}
	return fd, err
}

func (a *audit) mmap(fd int, offset int64, length int) ([]byte, error) {
	if err := a.step("mmap"); err != nil {
		return nil, err
	}
	b, err := a.system.mmap(fd, offset, length)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.maps++
	}
	return b, err
}

func (a *audit) munmap(b []byte) error {
	a.mu.Lock()
	a.maps--
	a.mu.Unlock()
	return a.system.munmap(b)
}

func (a *audit) ioctl(fd int, c call, arg unsafe.Pointer) error {
	if err := a.step(c.name); err != nil {
		return err
	}
	err := a.system.ioctl(fd, c, arg)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch c {
	case callAddFB2:
		a.fbs[(*fbCmd2)(arg).fbID] = true
	case callRmFB:
		delete(a.fbs, (*rmFB)(arg).fbID)
	case callCreateDumb:
		a.handles[(*createDumb)(arg).handle]++
	case callDestroyDumb:
		delete(a.handles, (*destroyDumb)(arg).handle)
	case callPrimeFDToHandle:
		a.handles[(*primeHandle)(arg).handle] = 1
	case callGemClose:
		delete(a.handles, (*gemClose)(arg).handle)
	case callCreatePropBlob:
		a.blobs[(*createBlob)(arg).blobID] = true
	case callDestroyPropBlob:
		delete(a.blobs, (*destroyBlob)(arg).blobID)
	}
	return nil
}

// held is what has not been given back.
func (a *audit) held() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprintf("%d fds, %d maps, %d frame buffers, %d handles, %d blobs", len(a.fds), a.maps, len(a.fbs), len(a.handles), len(a.blobs))
}

const nothing = "0 fds, 0 maps, 0 frame buffers, 0 handles, 0 blobs"

// watch collects what a display tells.
type watch struct {
	t        testing.TB
	flips    chan Flip
	released chan uint64
	changed  chan Change
}

func newWatch(t testing.TB) *watch {
	return &watch{t, make(chan Flip, 4096), make(chan uint64, 4096), make(chan Change, 4096)}
}

func (w *watch) options(o Options) Options {
	o.Flipped = func(f Flip) { w.flips <- f }
	o.Released = func(id uint64) { w.released <- id }
	o.Changed = func(c Change) { w.changed <- c }
	return o
}

// patient is how long a test waits for what must come: it only ends a test that
// has failed.
const patient = 30 * time.Second

func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patient):
		t.Fatalf("no %s within %v", what, patient)
		panic("unreachable")
	}
}

func (w *watch) flip() Flip      { w.t.Helper(); return await(w.t, w.flips, "flip") }
func (w *watch) release() uint64 { w.t.Helper(); return await(w.t, w.released, "release") }
func (w *watch) change() Change  { w.t.Helper(); return await(w.t, w.changed, "change") }

// kind waits for a change of a kind and skips others.
func (w *watch) kind(k ChangeKind) Change {
	w.t.Helper()
	for {
		if c := w.change(); c.Kind == k {
			return c
		}
	}
}

// pump is a model's clock: it completes commits as they come until stopped.
func (m *model) pump() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond / 2):
				m.vblank()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// tvMode builds a timing as a display would offer it.
func tvMode(w, h, clock, htotal, vtotal int, preferred bool) modeInfo {
	m := modeInfo{clock: uint32(clock), hdisplay: uint16(w), vdisplay: uint16(h), htotal: uint16(htotal), vtotal: uint16(vtotal),
		hsyncStart: uint16(w + 8), hsyncEnd: uint16(w + 16), vsyncStart: uint16(h + 2), vsyncEnd: uint16(h + 4)}
	m.vrefresh = uint32((clock*1000 + htotal*vtotal/2) / (htotal * vtotal))
	if preferred {
		m.typ = modeTypePreferred
	}
	copy(m.name[:], fmt.Sprintf("%dx%d", w, h))
	return m
}

var (
	mode1080p60 = tvMode(1920, 1080, 148500, 2200, 1125, true)
	mode720p60  = tvMode(1280, 720, 74250, 1650, 750, false)
	mode480p    = tvMode(640, 480, 25175, 800, 525, false)
	mode4K30    = tvMode(3840, 2160, 297000, 4400, 2250, true)
)
