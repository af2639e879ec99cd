package codec

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"unsafe"
)

// padding returns the bytes behind the first n of an input's memory.
func padding(in *Input, n int) []byte {
	const size = 64 // AV_INPUT_BUFFER_PADDING_SIZE
	return unsafe.Slice(unsafe.SliceData(in.data), n+size)[n:]
}

func TestInputPoolLimits(t *testing.T) {
	p, err := NewInputPool(2, 10000)
	must(t, err)
	defer p.Close()
	for n, want := range map[int]error{10001: ErrTooLarge, 1<<31 - 1: ErrTooLarge, 0: nil, -5: nil} {
		if in, err := p.Lease(n); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("Lease(%d) = %v, %v", n, in, err)
		}
	}
	a, err := p.Lease(10000)
	must(t, err)
	b, err := p.Lease(1)
	must(t, err)
	if len(a.Bytes()) != 10000 || len(b.Bytes()) != 1 {
		t.Errorf("leases of %d and %d bytes", len(a.Bytes()), len(b.Bytes()))
	}
	if _, err := p.Lease(1); err != ErrNoInput {
		t.Errorf("third lease of two: %v", err)
	}
	a.Release()
	if c, err := p.Lease(100); err != nil || c != a {
		t.Errorf("lease after a release: %p, %v, want %p", c, err, a)
	}
	a.Release()
	b.Release()
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, -1}, {1, 1<<31 - 1}} {
		if _, err := NewInputPool(bad[0], bad[1]); err == nil {
			t.Errorf("a pool of %v was made", bad)
		}
	}
}

// TestInputPadding sends a part of a dirty buffer: what the decoder may read
// behind it is clear.
func TestInputPadding(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	r := newRig(t, H264, VideoOptions{})
	for _, whole := range []int{len(c.units[0]) + 500, len(c.units[0]) + 17, len(c.units[0])} {
		in, err := r.pool.Lease(whole)
		must(t, err)
		for i := range in.Bytes() {
			in.Bytes()[i] = 0xff
		}
		start := (whole - len(c.units[0])) / 2
		data := in.Bytes()[start : start+copy(in.Bytes()[start:], c.units[0])]
		behind := padding(in, start+len(data))
		must(t, r.Send(in, data, 0))
		if !bytes.Equal(behind, make([]byte, len(behind))) {
			t.Errorf("behind %d bytes at %d of %d: % x", len(data), start, whole, behind)
		}
		must(t, r.Receive(r.frame))
		if sum(&r.frame.Image) != c.sums[0] {
			t.Error("the picture differs")
		}
		must(t, r.receiveAll(func(*Frame) {}), ErrAgain)
	}
}

// TestInputHeld shows that a buffer which the decoder still reads is not
// leased again: frame threads hold one each.
func TestInputHeld(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	r := newRig(t, H264, VideoOptions{Threads: 4})
	refused := 0
	for i := 0; i < len(c.units); {
		err := r.send(c.units[i], int64(i))
		switch err {
		case nil:
			i++
		case ErrAgain, ErrNoInput:
			refused++
		default:
			t.Fatal(err)
		}
		err = r.receiveAll(func(f *Frame) {
			if sum(&f.Image) != c.sums[f.Token] {
				t.Errorf("picture %d differs", f.Token)
			}
		})
		must(t, err, ErrAgain)
		if refused > 100 {
			t.Fatal("the pool is exhausted for good")
		}
	}
}

// TestInputPoolClose frees idle memory at once and leased memory later, and
// the decoder may go on reading.
func TestInputPoolClose(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	r := newRig(t, H264, VideoOptions{})
	held, err := r.pool.Lease(len(c.units[0]))
	must(t, err)
	r.pool.Close()
	copy(held.Bytes(), c.units[0])
	must(t, r.Send(held, held.Bytes(), 0))
	must(t, r.Receive(r.frame))
	if sum(&r.frame.Image) != c.sums[0] {
		t.Error("the picture differs")
	}
	if _, err := r.pool.Lease(1); !errors.Is(err, errClosed) {
		t.Errorf("Lease after Close: %v", err)
	}
}

// TestInputPoolConcurrent has a reader lease and fill while another goroutine
// decodes.
func TestInputPoolConcurrent(t *testing.T) {
	c := loadClip(t, "main.hevc", HEVC)
	r := newRig(t, HEVC, VideoOptions{})
	full := make(chan *Input, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(full)
		for i := 0; i < len(c.units); {
			in, err := r.pool.Lease(len(c.units[i]))
			if err != nil {
				continue
			}
			copy(in.Bytes(), c.units[i])
			full <- in
			i++
		}
	})
	n := 0
	for in := range full {
		must(t, r.Send(in, in.Bytes(), int64(n)))
		must(t, r.Receive(r.frame))
		if sum(&r.frame.Image) != c.sums[n] {
			t.Errorf("picture %d differs", n)
		}
		n++
	}
	wg.Wait()
	if n != len(c.units) {
		t.Errorf("%d pictures, want %d", n, len(c.units))
	}
}
