package v4l2

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// mill is a machine whose decoder gives one picture for one access unit and
// allocates nothing itself, so that what a Decoder allocates can be seen.
type mill struct {
	uapi.System
	memory  [inputs][]byte
	device  Device
	wake    chan struct{}
	out     chan uapi.Timeval // access units with the driver, by their token
	indices chan uint32
	capture chan uint32
}

func newMill() *mill {
	m := &mill{wake: make(chan struct{}, 1), out: make(chan uapi.Timeval, 32), indices: make(chan uint32, 32), capture: make(chan uint32, 32)}
	m.device = Device{Path: "/dev/video10", Driver: "bcm2835-codec", Mplane: true}
	for i := range m.memory {
		m.memory[i] = make([]byte, InputSize)
	}
	return m
}

func (m *mill) Open(string) (int, error)                    { return 3, nil }
func (m *mill) Close(int) error                             { return nil }
func (m *mill) Mmap(_ int, at int64, _ int) ([]byte, error) { return m.memory[at], nil }
func (m *mill) Munmap([]byte) error                         { return nil }
func (m *mill) Event() (int, error)                         { return 4, nil }
func (m *mill) Clear(int)                                   {}
func (m *mill) Now() time.Duration                          { return 0 }

func (m *mill) Signal(int) {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mill) Poll(fds []unix.PollFd, _ time.Duration) (int, error) {
	<-m.wake
	fds[0].Revents, fds[1].Revents = unix.POLLIN, 0
	if len(fds) > 1 && len(m.indices) > 0 {
		fds[1].Revents = fds[1].Events & (unix.POLLIN | unix.POLLOUT)
	}
	return 1, nil
}

func (m *mill) Ioctl(_ int, r *uapi.Request, arg unsafe.Pointer) error {
	switch *r {
	case uapi.SFmt:
		p := (*uapi.Format)(arg).PixMP()
		p.PlaneFmt[0].BytesPerLine, p.PlaneFmt[0].SizeImage = p.Width, p.Width*p.Height*3/2
	case uapi.QueryBuf:
		b := (*uapi.Buffer)(arg)
		plane(b).Length, plane(b).M = InputSize, uintptr(b.Index)
	case uapi.QBuf:
		b := (*uapi.Buffer)(arg)
		if b.Type == uapi.CaptureMplane {
			m.capture <- b.Index
		} else {
			m.out <- b.Timestamp
			m.indices <- b.Index
			m.Signal(0)
		}
	case uapi.DQBuf:
		return m.dequeue((*uapi.Buffer)(arg))
	case uapi.GSelection:
		return unix.EINVAL
	case uapi.ExpBuf:
		(*uapi.Exportbuffer)(arg).FD = 5
	}
	return nil
}

func (m *mill) dequeue(b *uapi.Buffer) error {
	if b.Type == uapi.CaptureMplane {
		if len(m.out) == 0 {
			return unix.EAGAIN
		}
		b.Timestamp, b.Index, plane(b).BytesUsed = <-m.out, <-m.capture, 1
		return nil
	}
	if len(m.indices) == 0 {
		return unix.EAGAIN
	}
	b.Index = <-m.indices
	return nil
}

// An access unit and its picture cost no allocation.
func TestNoAllocations(t *testing.T) {
	m := newMill()
	pictures := make(chan Picture, 1)
	d, err := Open(Config{Device: m.device, Codec: uapi.H264, Width: 640, Height: 480, Held: 3, Formats: []uapi.FourCC{uapi.NV12}, system: m,
		Picture: func(p Picture) { pictures <- p }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := context.Background()
	token := uint64(0)
	one := func() {
		in, err := d.Lease(ctx)
		if err != nil {
			t.Fatal(err)
		}
		token++
		in.Submit(1000, token)
		p := <-pictures
		if p.Token != token {
			t.Fatalf("picture %d, want %d", p.Token, token)
		}
		d.Release(p)
	}
	if n := testing.AllocsPerRun(1000, one); n != 0 {
		t.Errorf("%v allocations for an access unit and its picture", n)
	}
}

// BenchmarkDecoder is what an access unit costs beside the device itself.
func BenchmarkDecoder(b *testing.B) {
	m := newMill()
	pictures := make(chan Picture, 1)
	d, err := Open(Config{Device: m.device, Codec: uapi.H264, Width: 640, Height: 480, Held: 3, Formats: []uapi.FourCC{uapi.NV12}, system: m,
		Picture: func(p Picture) { pictures <- p }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		in, _ := d.Lease(context.Background())
		in.Submit(1000, 1)
		d.Release(<-pictures)
	}
}
