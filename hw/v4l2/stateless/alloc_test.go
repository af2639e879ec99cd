package stateless

import (
	"testing"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// silent is the model without its records, which cost memory: every request is
// completed at once.
type silent struct {
	*model
	queued map[uapi.BufType]uint32
}

func (s *silent) Ioctl(_ int, r *uapi.Request, arg unsafe.Pointer) error {
	b := (*uapi.Buffer)(arg)
	switch *r {
	case uapi.QBuf:
		s.queued[b.Type] = b.Index
	case uapi.DQBuf:
		b.Index = s.queued[b.Type]
	}
	return nil
}

func (s *silent) Poll(fds []unix.PollFd, _ time.Duration) (int, error) {
	fds[0].Revents = unix.POLLPRI
	return 1, nil
}

func TestPicturesAllocateNothing(t *testing.T) {
	m := newModel(t)
	d := open(t, m, nil)
	quiet := &silent{m, map[uapi.BufType]uint32{uapi.OutputMplane: 0, uapi.CaptureMplane: 0}}
	d.sys, d.video.Sys = quiet, quiet
	for i := range d.inputs {
		d.inputs[i].request.Sys = quiet
	}
	au, token, refs := unit(1), uint64(0), []uint64{0}
	if n := testing.AllocsPerRun(1000, func() {
		token++
		p, err := decode(d, au, token, refs...)
		if err != nil {
			t.Fatal(err)
		}
		d.Release(p.Index)
	}); n != 0 {
		t.Errorf("%v allocations for a picture", n)
	}
	d.sys, d.video.Sys = m, m
	for i := range d.inputs {
		d.inputs[i].request.Sys = m
	}
}
