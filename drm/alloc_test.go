package drm

import (
	"testing"
	"unsafe"
)

// steady prepares a display that shows two pictures of a stream in turn. The
// flips are completed by hand and read as the loop reads them.
func steady(t testing.TB) (round func()) {
	m := lit(t)
	m.lax = true // quick tells the model of no commit
	var flips, releases int
	d, err := open(m, Options{Flipped: func(Flip) { flips++ }, Released: func(uint64) { releases++ }})
	if err != nil {
		t.Fatal(err)
	}
	// From here on this goroutine is the loop.
	m.tick(t)
	d.idle(t)
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.signal()
	<-d.done
	d.closed = false
	fb, err := d.Import(DMABuf{Width: 1920, Height: 1088, Format: NV12, Modifier: Linear,
		Planes: [4]DMABufPlane{{FD: 7, Pitch: 1920}, {FD: 7, Offset: 1920 * 1088, Pitch: 1920}}})
	if err != nil {
		t.Fatal(err)
	}
	fb2, err := d.Import(DMABuf{Width: 1920, Height: 1088, Format: NV12, Modifier: Linear,
		Planes: [4]DMABufPlane{{FD: 8, Pitch: 1920}, {FD: 8, Offset: 1920 * 1088, Pitch: 1920}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if flips == 0 || releases < flips-1 {
			t.Errorf("%d flips, %d releases: the rounds did nothing", flips, releases)
		}
		d.stop()
	})
	d.sys, d.card.sys = &quick{system: m}, &quick{system: m}
	var id uint64
	bufs := [2]*Framebuffer{fb, fb2}
	var e eventVBlank
	return func() {
		// One that is shown, one that waits and is replaced, one that waits.
		for range 3 {
			id++
			if err := d.Show(Picture{ID: id, FB: bufs[id&1], Source: Rect{0, 0, 1920, 1080}, Due: int64(id)}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			e = eventVBlank{typ: eventFlipComplete, userData: d.serial, tvSec: uint32(id), tvUsec: 1, sequence: uint32(id), crtcID: d.out.crtc.id}
			d.mu.Lock()
			d.flipped(&e)
			d.mu.Unlock()
			d.deliver()
		}
	}
}

// quick takes every commit without looking at it: what is measured is this
// package.
type quick struct{ system }

func (q *quick) now() int64 { return 1e9 }

func (q *quick) ioctl(fd int, c call, arg unsafe.Pointer) error {
	if c == callAtomic {
		return nil
	}
	return q.system.ioctl(fd, c, arg)
}

// TestSteadyStateAllocatesNothing: from Show to the release of the successor's
// predecessor.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	round := steady(t)
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations for three pictures", n)
	}
}

// BenchmarkShow measures three calls of Show, two commits and two flips.
func BenchmarkShow(b *testing.B) {
	round := steady(b)
	round()
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
}
