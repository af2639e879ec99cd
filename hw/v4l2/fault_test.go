package v4l2

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"aerie/hw/lab/bench"
	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// fault stands between a Decoder and a model and makes one call fail, or not
// return until it is let go.
type fault struct {
	*model
	mu     sync.Mutex
	trace  []string
	failAt int // number of the call, from 1; 0: none
	with   error
	hang   chan struct{} // instead of failing, the call waits for this
	failed string
}

// step counts a call and says whether it is to fail.
func (f *fault) step(name string) error {
	f.mu.Lock()
	f.trace = append(f.trace, name)
	hit := f.failAt == len(f.trace)
	if hit {
		f.failed = name
	}
	f.mu.Unlock()
	if hit && f.hang != nil {
		<-f.hang
		return nil
	}
	if hit {
		return f.with
	}
	return nil
}

func (f *fault) Open(path string) (int, error) {
	if err := f.step("open"); err != nil {
		return -1, err
	}
	return f.model.Open(path)
}

func (f *fault) Event() (int, error) {
	if err := f.step("eventfd"); err != nil {
		return -1, err
	}
	return f.model.Event()
}

func (f *fault) Mmap(fd int, offset int64, length int) ([]byte, error) {
	if err := f.step("mmap"); err != nil {
		return nil, err
	}
	return f.model.Mmap(fd, offset, length)
}

func (f *fault) Munmap(b []byte) error {
	err := f.step("munmap")
	f.model.Munmap(b) // the memory is gone all the same
	return err
}

func (f *fault) Poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	if err := f.step("poll"); err != nil {
		return 0, err
	}
	return f.model.Poll(fds, timeout)
}

func (f *fault) Ioctl(fd int, r *uapi.Request, arg unsafe.Pointer) error {
	if err := f.step(r.Name); err != nil {
		return err
	}
	return f.model.Ioctl(fd, r, arg)
}

// scenario finds and opens a decoder and drives it through pictures, a change
// of size, a drain, a flush and the end. It returns the first error anyone was
// told.
func scenario(t *testing.T, f *fault) error {
	v := newViewer(t)
	device, err := find(f, uapi.H264)
	if err != nil {
		return err
	}
	cfg := v.config(f.model, 640, 480)
	cfg.Device, cfg.system = device, f
	if v.d, err = Open(cfg); err != nil {
		return err
	}
	err = v.drive()
	synctest.Wait()
	select {
	case told := <-v.failed:
		err = told
	default:
	}
	if closed := v.d.Close(); err == nil {
		err = closed
	}
	return err
}

// drive is the middle of the scenario.
func (v *viewer) drive() error {
	for round := range 2 {
		for i := range 8 {
			in, err := v.d.Lease(v.t.Context())
			if err != nil {
				return err
			}
			kind := byte('P')
			if i == 0 {
				kind = 'K'
			}
			in.Submit(copy(in.Bytes(), accessUnit(kind, 640, 480+64*round)), uint64(10*round+i))
			synctest.Wait()
			for len(v.pictures) > 0 {
				v.d.Release(<-v.pictures)
			}
		}
	}
	if err := v.d.Drain(); err != nil {
		return err
	}
	for len(v.pictures) > 0 {
		v.d.Release(<-v.pictures)
	}
	return v.d.Flush()
}

// tolerated are calls without which a decoder works: what they tell is known
// otherwise, or they come after the last picture.
var tolerated = []string{"VIDIOC_G_SELECTION", "VIDIOC_G_CTRL", "VIDIOC_ENUM_FRAMESIZES", "munmap", "VIDIOC_STREAMOFF", "VIDIOC_REQBUFS"}

var faults = []unix.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EPIPE, unix.EIO, unix.ENOMEM, unix.EINTR, unix.EAGAIN}

// inject runs the scenario with one call failing.
func inject(t *testing.T, make func() *model, at int, errno unix.Errno) (failed string) {
	f := &fault{model: make(), failAt: at, with: errno}
	err := scenario(t, f)
	if h := f.held(); h != nothingHeld {
		t.Errorf("call %d %s: %v: held after it: %s", at, f.failed, errno, h)
	}
	if err == nil {
		return f.failed
	}
	known := errors.Is(err, errno) || errors.Is(err, ErrStalled) || errors.Is(err, ErrNoDecoder) || errors.Is(err, ErrUnsuitable)
	if !known || errno == unix.EINTR && f.failed != "poll" && f.failed != "mmap" && f.failed != "eventfd" {
		t.Errorf("call %d %s: %v gives %v", at, f.failed, errno, err)
	}
	m := err.Error()
	named := strings.Contains(m, f.failed) && strings.Contains(m, "/dev/video10")
	if !named && !errors.Is(err, ErrStalled) && !(errors.Is(err, ErrNoDecoder) && errno == unix.EINVAL) {
		t.Errorf("call %d %s: %v: the message names no device or call: %q", at, f.failed, errno, m)
	}
	return f.failed
}

// TestFaults makes every call of the scenario fail once with every error.
func TestFaults(t *testing.T) {
	if bench.Inside() {
		t.Skip("needs no device, and the bench is slow")
	}
	for _, kind := range []string{"as documented", "Raspberry Pi"} {
		make := models[kind]
		var trace []string
		synctest.Test(t, func(t *testing.T) {
			clean := &fault{model: make()}
			if err := scenario(t, clean); err != nil {
				t.Fatal(err)
			}
			if h := clean.held(); h != nothingHeld {
				t.Fatalf("held without a fault: %s", h)
			}
			trace = clean.trace
		})
		t.Logf("%s: %d calls", kind, len(trace))
		for _, errno := range faults {
			t.Run(fmt.Sprintf("%s/%s", kind, unix.ErrnoName(errno)), func(t *testing.T) {
				failures := map[string]int{}
				for at := 1; at <= len(trace); at++ {
					synctest.Test(t, func(t *testing.T) { failures[inject(t, make, at, errno)]++ })
					if t.Failed() {
						return
					}
				}
				if len(failures) < 15 {
					t.Errorf("only these calls were made: %v", failures)
				}
			})
		}
	}
}

// TestNoAnswer makes every call of the scenario hang: everyone who waits is
// told in time which call it is, and when it returns at last all is given back.
func TestNoAnswer(t *testing.T) {
	if bench.Inside() {
		t.Skip("needs no device, and the bench is slow")
	}
	make := models["Raspberry Pi"]
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		clean := &fault{model: make()}
		if err := scenario(t, clean); err != nil {
			t.Fatal(err)
		}
		calls = len(clean.trace)
	})
	finding := 0 // calls made by find, which has no limit of its own
	for at := 1; at <= calls; at++ {
		synctest.Test(t, func(t *testing.T) {
			f := &fault{model: make(), failAt: at, hang: makeChan()}
			type outcome struct {
				err   error
				after time.Duration
			}
			ended := makeOutcome[outcome]()
			began := time.Now()
			go func() {
				err := scenario(t, f)
				ended <- outcome{err, time.Since(began)}
			}()
			select {
			case o := <-ended:
				if o.err == nil && !isTolerated(f.failed) {
					t.Errorf("call %d %s never returned, and nobody was told", at, f.failed)
				}
				if o.err != nil && (!errors.Is(o.err, ErrStalled) || !strings.Contains(o.err.Error(), "/dev/video10")) {
					t.Errorf("call %d %s: %v", at, f.failed, o.err)
				}
				if o.after > 2*patience+time.Second {
					t.Errorf("call %d %s: told after %v", at, f.failed, o.after)
				}
				close(f.hang)
			case <-time.After(time.Minute):
				f.mu.Lock()
				opened := len(f.trace) > 0 && strings.Count(strings.Join(f.trace, " "), "open") > 1
				f.mu.Unlock()
				if opened {
					t.Errorf("call %d %s hangs for everyone", at, f.failed)
				}
				finding++
				close(f.hang)
				<-ended
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if h := f.held(); h != nothingHeld {
				t.Errorf("call %d %s: held when it had returned: %s", at, f.failed, h)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d calls, %d of them before a decoder was opened", calls, finding)
}

func makeChan() chan struct{} { return make(chan struct{}) }

func makeOutcome[T any]() chan T { return make(chan T, 1) }

func isTolerated(name string) bool {
	for _, n := range tolerated {
		if n == name {
			return true
		}
	}
	return false
}
