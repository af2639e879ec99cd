package drm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/hw/lab/bench"
	"golang.org/x/sys/unix"
)

// The tests in the lab_*_test.go files run against the kernel's vkms driver in
// the bench's VM.

// vkmsOptions opens the bench's standing card at a size that its software can
// compose in time.
func vkmsOptions() Options {
	return Options{Driver: "vkms", Card: vkmsCard("vkms"), Mode: "640x480@60"}
}

// vkmsCard is the node of a vkms device, "" before it is there.
func vkmsCard(name string) string {
	for _, bus := range []string{"faux", "platform"} {
		if m, _ := filepath.Glob("/sys/devices/" + bus + "/" + name + "/drm/card*"); len(m) == 1 {
			return "/dev/dri/" + filepath.Base(m[0])
		}
	}
	return ""
}

// openLab opens a display in the bench and checks in the end that nothing is
// held: neither by this package's own count nor by the kernel's.
func openLab(t testing.TB, o Options) (*Display, *watch, *audit) {
	t.Helper()
	bench.Need(t)
	a, w := newAudit(linux{}), newWatch(t)
	fds, fbs := countFDs(t), kernelFBs(t, o.Card)
	d, err := open(a, w.options(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if h := a.held(); h != nothing {
			t.Errorf("held after close: %s", h)
		}
		if n := countFDs(t); n != fds {
			t.Errorf("%d descriptors after, %d before", n, fds)
		}
		if n := kernelFBs(t, o.Card); n != fbs {
			t.Errorf("%d frame buffers in the kernel after, %d before", n, fbs)
		}
	})
	return d, w, a
}

func countFDs(t testing.TB) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

// kernelFBs counts the frame buffers that debugfs lists for a card.
func kernelFBs(t testing.TB, card string) int {
	t.Helper()
	b, err := os.ReadFile("/sys/kernel/debug/dri/" + strings.TrimPrefix(card, "/dev/dri/card") + "/framebuffer")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "framebuffer[")
}

func TestLabModeset(t *testing.T) {
	o := vkmsOptions()
	o.Mode = ""
	d, _, _ := openLab(t, o)
	s := d.Status()
	if s.Driver != "vkms" || s.Connector != "Virtual-1" || !s.Connected || len(s.Modes) == 0 {
		t.Errorf("status %+v", s)
	}
	state, err := os.ReadFile("/sys/kernel/debug/dri/" + strings.TrimPrefix(o.Card, "/dev/dri/card") + "/state")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`"%dx%d"`, s.Mode.Width, s.Mode.Height); !strings.Contains(string(state), "active=1") || !strings.Contains(string(state), want) {
		t.Errorf("the kernel's state has no %s:\n%s", want, state)
	}
	if !d.Supports(XRGB8888, Linear) || d.Supports(NV12, SAND128(0)) {
		t.Error("formats")
	}
	t.Logf("%v on %s: %s", s.Mode, s.Connector, s.Why)
}

// TestLabFlips shows 300 pictures, each when the one before has appeared.
func TestLabFlips(t *testing.T) {
	d, w, a := openLab(t, vkmsOptions())
	fbs := [2]*Framebuffer{dumb(t, d, 640, 480, XRGB8888), dumb(t, d, 640, 480, XRGB8888)}
	var first, last Flip
	const n = 300
	for i := range uint64(n) {
		if err := d.Show(Picture{ID: i + 1, FB: fbs[i%2]}); err != nil {
			t.Fatal(err)
		}
		f := w.flip()
		now := linux{}.now()
		if f.ID != i+1 || i > 0 && (f.Time <= last.Time || int32(f.Sequence-last.Sequence) < 1) || f.Time > now+int64(50*time.Millisecond) {
			t.Fatalf("flip %+v after %+v at %d", f, last, now)
		}
		if i > 0 {
			if id := w.release(); id != i {
				t.Fatalf("released %d when %d appeared", id, i+1)
			}
		} else {
			first = f
		}
		last = f
	}
	m, _ := d.Mode()
	perVBlank := time.Duration(last.Time-first.Time) / time.Duration(last.Sequence-first.Sequence)
	if diff := perVBlank - m.Interval(); diff < -50*time.Microsecond || diff > 50*time.Microsecond {
		t.Errorf("%v per vertical blanking, the mode says %v", perVBlank, m.Interval())
	}
	next, interval, ok := d.NextVBlank(last.Time)
	if lead := time.Duration(next - last.Time); !ok || lead < interval*9/10 || lead > interval*11/10 {
		t.Errorf("the next blanking is predicted %v after the last, interval %v", lead, interval)
	}
	d.mu.Lock()
	d.phase.last -= 2 * staleAfter // as if nothing had been shown for a while
	before := d.phase.last
	d.mu.Unlock()
	if _, _, ok := d.NextVBlank(last.Time); !ok || d.phase.last <= before {
		t.Error("the kernel was not asked for a blanking")
	}
	if c := d.Status().Counters; c.Shown != n || c.Replaced != 0 || c.Failed != 0 || c.Stalled != 0 {
		t.Errorf("counters %+v", c)
	}
	if h := a.held(); h != "2 fds, 3 maps, 3 frame buffers, 3 handles, 1 blobs" {
		t.Errorf("held: %s", h)
	}
}

// TestLabOverload shows far more pictures than there are blankings: all but the
// newest must come back at once, and the last one must appear.
func TestLabOverload(t *testing.T) {
	d, w, _ := openLab(t, vkmsOptions())
	fb := dumb(t, d, 640, 480, XRGB8888)
	const n = 2000
	begin := time.Now()
	for i := range uint64(n) {
		if err := d.Show(Picture{ID: i + 1, FB: fb}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d pictures in %v", n, time.Since(begin))
	shown := map[uint64]bool{}
	var last Flip
	for last.ID != n {
		f := w.flip()
		if f.ID <= last.ID || f.Time <= last.Time {
			t.Fatalf("flip %+v after %+v", f, last)
		}
		shown[f.ID], last = true, f
	}
	seen := map[uint64]bool{}
	for range n - 1 {
		id := w.release()
		if seen[id] || id == n {
			t.Fatalf("released %d, before or too early", id)
		}
		seen[id] = true
	}
	c := d.Status().Counters
	if c.Shown != uint64(len(shown)) || c.Shown+c.Replaced != n || c.Replaced == 0 {
		t.Errorf("%d appeared, counters %+v", len(shown), c)
	}
}

// TestLabBusy opens a card that another open file controls.
func TestLabBusy(t *testing.T) {
	bench.Need(t)
	o := vkmsOptions()
	fd, err := unix.Open(o.Card, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := Open(o); !errors.Is(err, ErrBusy) {
		t.Errorf("Open beside another master: %v", err)
	} else {
		t.Log(err)
	}
	for _, c := range Cards() {
		if c.Path == o.Card && (!c.Busy || c.Driver != "vkms" || c.Err != nil || len(c.Connectors) != 1) {
			t.Errorf("%+v", c)
		}
	}
	unix.Close(fd)
	d, err := Open(o)
	if err != nil {
		t.Fatalf("once it is free: %v", err)
	}
	d.Close()
}

// TestLabChoosesByResources: the bench has a card without a display; an empty
// preference takes the one with.
func TestLabChoosesByResources(t *testing.T) {
	bench.Need(t)
	bench.Load(t, "vgem")
	d, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if s := d.Status(); s.Driver != "vkms" {
		t.Errorf("chose %s", s.Driver)
	}
	unfit := 0
	for _, c := range Cards() {
		if errors.Is(c.Err, errUnfit) {
			unfit++
			t.Log(c.Err)
		}
	}
	if unfit == 0 {
		t.Error("no card is reported as unfit")
	}
}

// TestLabBlank switches off and on.
func TestLabBlank(t *testing.T) {
	d, w, _ := openLab(t, vkmsOptions())
	fb := dumb(t, d, 640, 480, XRGB8888)
	if err := d.Show(Picture{ID: 1, FB: fb}); err != nil {
		t.Fatal(err)
	}
	w.flip()
	for range 3 {
		if err := d.Blank(true); err != nil {
			t.Fatal(err)
		}
		if err := d.Blank(false); err != nil {
			t.Fatal(err)
		}
		if f := w.flip(); f.ID != 1 {
			t.Errorf("flip %d", f.ID)
		}
	}
}

// TestLabImport scans out memory of a DMA-BUF heap.
func TestLabImport(t *testing.T) {
	d, w, a := openLab(t, vkmsOptions())
	fd := heapBuffer(t, 640*480*4)
	defer unix.Close(fd)
	b := DMABuf{Width: 640, Height: 480, Format: XRGB8888, Modifier: Linear, Planes: [4]DMABufPlane{{FD: fd, Pitch: 640 * 4}}}
	for id := uint64(1); id <= 3; id++ {
		fb, err := d.Import(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
			t.Fatal(err)
		}
		w.flip()
	}
	if h := a.held(); h != "2 fds, 1 maps, 2 frame buffers, 2 handles, 1 blobs" {
		t.Errorf("held after three imports of one buffer: %s", h)
	}
}

// heapBuffer allocates a dma-buf from the system heap (linux/dma-heap.h).
func heapBuffer(t testing.TB, size int) int {
	t.Helper()
	heap, err := unix.Open("/dev/dma_heap/system", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(heap)
	arg := struct {
		length      uint64
		fd, fdFlags uint32
		flags       uint64
	}{length: uint64(size), fdFlags: unix.O_RDWR | unix.O_CLOEXEC}
	if err := ioctlAny(heap, 0xc0184800, &arg); err != nil {
		t.Fatalf("allocate from /dev/dma_heap/system: %v", err)
	}
	return int(arg.fd)
}
