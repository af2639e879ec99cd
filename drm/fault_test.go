package drm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aerie/hw/lab/bench"
	"golang.org/x/sys/unix"
)

// rig is a system on which the fault scenario runs.
type rig struct {
	options Options
	system  system
	plug    func(on bool)
	hurry   func(d *Display) // makes a model's time pass
}

// wait runs until ok, or reports a hang.
func (r *rig) wait(t testing.TB, d *Display, what string, ok func(Status) bool) {
	t.Helper()
	for end := time.Now().Add(patient); ; time.Sleep(100 * time.Microsecond) {
		if s := d.Status(); s.Err != nil || ok(s) {
			return
		}
		r.hurry(d)
		if time.Now().After(end) {
			t.Fatalf("hang: %s; status %+v", what, d.Status())
		}
	}
}

// scenario opens the display, shows pictures, imports memory, puts up an
// overlay, has the set unplugged and plugged, blanks and unblanks, shows a last
// picture and closes. Any one call may fail: then it must end all the same,
// with the last picture on the screen or with an error that names the device,
// and hold nothing. It gives the error of open, or why the display was lost.
func (r *rig) scenario(t testing.TB, a *audit, dmabuf int) error {
	t.Helper()
	w := newWatch(t)
	d, err := open(a, w.options(r.options))
	if err != nil {
		return err
	}
	show := func(id uint64, fb *Framebuffer) bool {
		if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
			return false
		}
		r.wait(t, d, "no flip", func(s Status) bool {
			select {
			case f := <-w.flips:
				return f.ID == id
			case id2 := <-w.released: // given up
				return id2 == id
			default:
				return false
			}
		})
		return true
	}
	if fb, err := d.NewDumb(640, 480, XRGB8888); err == nil {
		for id := uint64(1); id <= 3; id++ {
			show(id, fb)
		}
		fb.Close()
	}
	b := DMABuf{Width: 640, Height: 480, Format: XRGB8888, Modifier: Linear, Planes: [4]DMABufPlane{{FD: dmabuf, Pitch: 640 * 4}}}
	if fb, err := d.Import(b); err == nil {
		show(4, fb)
		if badge, err := d.NewDumb(64, 64, ARGB8888); err == nil {
			if d.SetOverlay(Picture{ID: 100, FB: badge, Dest: Rect{0, 0, 64, 64}}) == nil {
				show(5, fb)
				d.SetOverlay(Picture{})
			}
			badge.Close()
		}
		fb.Close()
	}
	r.plug(false)
	r.wait(t, d, "not disconnected", func(s Status) bool { return !s.Connected })
	r.plug(true)
	r.wait(t, d, "not connected", func(s Status) bool { return s.Connected })
	d.Blank(true)
	if err := d.Blank(false); err != nil && d.Status().Err == nil {
		d.Blank(true)
		d.Blank(false)
	}
	last := r.last(t, d, w)
	lost := d.Status().Err
	if !last && lost == nil {
		t.Errorf("the last picture neither appeared nor was refused")
	}
	_ = d.Close() // an error here is the injected one
	return lost
}

// last shows a picture until it is there.
func (r *rig) last(t testing.TB, d *Display, w *watch) (appeared bool) {
	t.Helper()
	for id := uint64(1000); id < 1005; id++ {
		fb, err := d.NewDumb(640, 480, XRGB8888)
		if err != nil {
			continue
		}
		err = d.Show(Picture{ID: id, FB: fb})
		fb.Close()
		if err != nil {
			continue
		}
		r.wait(t, d, "the last picture", func(s Status) bool {
			select {
			case f := <-w.flips:
				appeared = appeared || f.ID == id
			case gone := <-w.released:
				return gone == id
			default:
			}
			return appeared
		})
		if appeared {
			return true
		}
	}
	return false
}

var faults = []unix.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EPIPE, unix.EACCES, unix.EINTR, unix.EAGAIN, unix.ENOMEM}

// inject runs the scenario with one call failing.
func (r *rig) inject(t *testing.T, at int, errno unix.Errno, dmabuf int) string {
	t.Helper()
	a := newAudit(r.system)
	a.failAt, a.with = at, errno
	err := r.scenario(t, a, dmabuf)
	if h := a.held(); h != nothing {
		t.Errorf("call %d %s: %v: held after it: %s", at, a.failed, errno, h)
	}
	transient := (errno == unix.EINTR || errno == unix.EAGAIN) && strings.HasPrefix(a.failed, "DRM_")
	if err != nil {
		if transient {
			t.Errorf("call %d %s: %v was not repeated: %v", at, a.failed, errno, err)
		}
		if m := err.Error(); !strings.Contains(m, "drm: ") || !strings.Contains(m, "/dev/dri/") && !strings.Contains(m, "uevents") || !errors.Is(err, errno) {
			t.Errorf("call %d %s: %v: the message names no device or not the error: %q", at, a.failed, errno, m)
		}
		if strings.HasPrefix(a.failed, "DRM_") && !strings.Contains(err.Error(), a.failed) {
			t.Errorf("call %d %s: %v: the message does not name the call: %q", at, a.failed, errno, err)
		}
	}
	return a.failed
}

// modelRig is the rig on the model.
func modelRig(t testing.TB, errno unix.Errno) *rig {
	m := newModel(t)
	// Then the display counts as lost, and nothing can be switched off first.
	m.lax = errno == unix.ENODEV || errno == unix.EACCES
	edid := testEDID
	m.plug(0, edid, mode1080p60, mode720p60, mode480p)
	n := 0
	return &rig{
		options: Options{Debounce: time.Millisecond},
		system:  m,
		plug: func(on bool) {
			if on {
				m.plug(0, edid, mode1080p60, mode720p60, mode480p)
			} else {
				m.plug(0, nil)
			}
			m.announce()
		},
		hurry: func(d *Display) {
			m.vblank()
			if n++; n%20 == 0 {
				m.skip(200 * time.Millisecond)
				d.signal()
			}
		},
	}
}

// TestFaults makes every single call of the scenario fail once with every
// errno. In -short mode every seventh.
func TestFaults(t *testing.T) {
	if bench.Inside() {
		t.Skip("needs no device, and the bench is slow: TestLabFaults runs there")
	}
	r := modelRig(t, 0)
	clean := newAudit(r.system)
	if err := r.scenario(t, clean, 50); err != nil {
		t.Fatal(err)
	}
	if h := clean.held(); h != nothing {
		t.Fatalf("held without a fault: %s", h)
	}
	n := clean.calls()
	// Properties are read by the hundred, all in one way: the first few stand
	// for the rest.
	var at []int
	seen := map[string]int{}
	for i, name := range clean.trace {
		if seen[name]++; seen[name] <= 6 || name != callGetProperty.name && name != callObjGetProperties.name && name != callGetPlane.name {
			at = append(at, i+1)
		}
	}
	t.Logf("%d calls, %d of them failed in turn: %v", n, len(at), seen)
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, errno := range faults {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			for k := int(errno) % step; k < len(at); k += step {
				modelRig(t, errno).inject(t, at[k], errno, 50)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// TestLabFaults makes the first and the last call of each kind fail, with vkms
// behind.
func TestLabFaults(t *testing.T) {
	plug := pluggable(t, "faults")
	fd := heapBuffer(t, 640*480*4)
	defer unix.Close(fd)
	r := &rig{
		options: Options{Card: vkmsCard("faults"), Mode: "640x480@60", Debounce: time.Millisecond},
		system:  linux{},
		plug:    func(on bool) { plug(0, on) },
		hurry:   func(*Display) {},
	}
	plug(0, true)
	clean := newAudit(linux{})
	if err := r.scenario(t, clean, fd); err != nil {
		t.Fatal(err)
	}
	if h := clean.held(); h != nothing {
		t.Fatalf("held without a fault: %s", h)
	}
	var at []int
	for i, name := range clean.trace {
		if slices.Index(clean.trace, name) == i || !slices.Contains(clean.trace[i+1:], name) {
			at = append(at, i+1)
		}
	}
	t.Logf("%d calls, %d of them failed in turn", len(clean.trace), len(at))
	before := kernelFBs(t, r.options.Card)
	for i, k := range at {
		errno := faults[i%len(faults)]
		t.Run(fmt.Sprintf("%d/%s", k, unix.ErrnoName(errno)), func(t *testing.T) {
			plug(0, true)
			name := r.inject(t, k, errno, fd)
			t.Logf("%s: %v", name, errno)
			if n := kernelFBs(t, r.options.Card); n != before {
				t.Errorf("%d frame buffers in the kernel, %d before", n, before)
			}
		})
	}
}
