package stateless

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/lab/bench"
	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// faulty makes one call on the way to the model fail.
type faulty struct {
	*model
	calls  int
	failAt int
	with   syscall.Errno
	failed string // the call that did
}

func (f *faulty) fault(call string) error {
	if f.calls++; f.calls != f.failAt {
		return nil
	}
	f.failed = call
	return f.with
}

func (f *faulty) Open(node string) (int, error) {
	if err := f.fault("open"); err != nil {
		return -1, err
	}
	return f.model.Open(node)
}

func (f *faulty) Ioctl(fd int, r *uapi.Request, arg unsafe.Pointer) error {
	if err := f.fault(r.Name); err != nil {
		return err
	}
	return f.model.Ioctl(fd, r, arg)
}

func (f *faulty) Mmap(fd int, offset int64, length int) ([]byte, error) {
	if err := f.fault("mmap"); err != nil && err != unix.EINTR { // which mmap never is
		return nil, err
	}
	return f.model.Mmap(fd, offset, length)
}

func (f *faulty) Poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	if err := f.fault("poll"); err != nil {
		return 0, err
	}
	return f.model.Poll(fds, timeout)
}

// scenario finds a decoder, decodes six pictures and closes it. It returns the
// first error, and goes on after those that say that one may.
func scenario(sys uapi.System) (first error) {
	note := func(err error) bool {
		if first == nil {
			first = err
		}
		return err == nil || errors.Is(err, ErrRefused)
	}
	dev, err := find(sys)
	if !note(err) {
		return first
	}
	c := config(sys)
	c.Device = dev
	d, err := Open(c)
	if !note(err) {
		return first
	}
	defer d.Close()
	for n := range uint64(6) {
		p, err := decode(d, unit(byte(n)), n)
		if !note(err) {
			return first
		}
		if err == nil {
			d.Release(p.Index)
		}
	}
	return first
}

// TestFaults makes every single call of the scenario fail once with every
// errno: it ends with an error that names device and call, or as if nothing
// had been, and holds nothing.
func TestFaults(t *testing.T) {
	if bench.Inside() {
		t.Skip("needs no device, and the bench is slow")
	}
	clean := &faulty{model: newModel(t)}
	if err := scenario(clean); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls", clean.calls)
	for _, errno := range []syscall.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EACCES, unix.EPIPE, unix.ENOMEM, unix.EINTR} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			for at := 1; at <= clean.calls; at++ {
				f := &faulty{model: newModel(t), failAt: at, with: errno}
				err := scenario(f)
				where := fmt.Sprintf("call %d, %s", at, f.failed)
				if h := f.held(); h != nothing {
					t.Errorf("%s: held: %s", where, h)
				}
				if err == nil {
					continue
				}
				if errno == unix.EINTR {
					t.Errorf("%s: not made again: %v", where, err)
				}
				refused := f.failed == uapi.SExtCtrls.Name && errors.Is(err, ErrRefused)
				if !errors.Is(err, errno) && !refused && !(f.failed == uapi.EnumFmt.Name && errno == unix.EINVAL) {
					t.Errorf("%s: another error: %v", where, err)
				}
				if s := err.Error(); !strings.Contains(s, "/dev/") && !errors.Is(err, ErrNoDecoder) || errors.Is(err, errno) && !strings.Contains(s, f.failed) {
					t.Errorf("%s: device or call is not named: %v", where, err)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}
