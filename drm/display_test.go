package drm

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openModel opens a display on a model and checks in the end that nothing is
// held.
func openModel(t testing.TB, m *model, o Options) (*Display, *watch, *audit) {
	t.Helper()
	a, w := newAudit(m), newWatch(t)
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
	})
	return d, w, a
}

// lit is a model with a 1080p set on its first port.
func lit(t testing.TB) *model {
	m := newModel(t)
	m.plug(0, nil, mode720p60, mode1080p60, mode480p)
	return m
}

func dumb(t testing.TB, d *Display, w, h int, f Format) *Framebuffer {
	t.Helper()
	fb, err := d.NewDumb(w, h, f)
	if err != nil {
		t.Fatal(err)
	}
	return fb
}

// idle waits until no commit is in flight.
func (d *Display) idle(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patient); ; time.Sleep(50 * time.Microsecond) {
		d.mu.Lock()
		idle := !d.inFlight
		d.mu.Unlock()
		if idle {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a commit stays in flight")
		}
	}
}

// tick completes the commit in flight, waiting for it to be made.
func (m *model) tick(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patient); !m.vblank(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("no commit was made")
		}
	}
}

func TestOpenLightsPort(t *testing.T) {
	m := lit(t)
	d, _, _ := openModel(t, m, Options{})
	s := d.Status()
	if s.Driver != "vc4" || s.Connector != "HDMI-A-1" || !s.Connected || s.Mode.String() != "1920x1080@60" || s.Why != "1080p" {
		t.Errorf("status %+v", s)
	}
	if p := m.planeState(0); p["FB_ID"] == 0 || p["CRTC_W"] != 1920 {
		t.Errorf("no black on the primary plane: %v", p)
	}
}

func TestFlipAndRelease(t *testing.T) {
	m := lit(t)
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	fb := dumb(t, d, 1920, 1080, XRGB8888)
	var last Flip
	for id := uint64(1); id <= 5; id++ {
		d.idle(t)
		if err := d.Show(Picture{ID: id, FB: fb, Due: m.clock}); err != nil {
			t.Fatal(err)
		}
		if len(w.released) != 0 {
			t.Fatalf("%d released while the hardware reads it", <-w.released)
		}
		m.tick(t)
		f := w.flip()
		if f.ID != id || f.Time <= last.Time || f.Sequence == last.Sequence || f.Submitted == 0 {
			t.Errorf("flip %+v after %+v", f, last)
		}
		if id > 1 {
			if r := w.release(); r != id-1 {
				t.Errorf("released %d when %d appeared", r, id)
			}
		}
		last = f
	}
	if len(w.released) != 0 {
		t.Error("the picture on the screen was released")
	}
	if c := d.Status().Counters; c.Shown != 5 || c.Late != 5 || c.Replaced != 0 {
		t.Errorf("counters %+v", c)
	}
}

// TestMailbox proves that the newest picture wins while a commit is in flight.
func TestMailbox(t *testing.T) {
	m := lit(t)
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	d.idle(t)
	fb := dumb(t, d, 1920, 1080, XRGB8888)
	for id := uint64(1); id <= 10; id++ {
		if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
			t.Fatal(err)
		}
	}
	for id := uint64(2); id <= 9; id++ {
		if r := w.release(); r != id {
			t.Errorf("released %d, want %d", r, id)
		}
	}
	m.tick(t)
	if f := w.flip(); f.ID != 1 {
		t.Errorf("first flip is %d", f.ID)
	}
	m.tick(t)
	if f := w.flip(); f.ID != 10 {
		t.Errorf("second flip is %d", f.ID)
	}
	if r := w.release(); r != 1 {
		t.Errorf("released %d, want 1", r)
	}
	if c := d.Status().Counters; c.Shown != 2 || c.Replaced != 8 {
		t.Errorf("counters %+v", c)
	}
}

// TestScalesAndColours checks what reaches the plane for a video stream.
func TestScalesAndColours(t *testing.T) {
	m := lit(t)
	d, w, _ := openModel(t, m, Options{Rotation: UpsideDown})
	m.tick(t)
	fb := dumb(t, d, 1280, 544, NV12)
	if err := d.Show(Picture{ID: 1, FB: fb, Source: Rect{0, 0, 1280, 536}, Color: Color{BT601, Full}}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	w.flip()
	p := m.planeState(0)
	for k, v := range map[string]uint64{"SRC_W": 1280 << 16, "SRC_H": 536 << 16, "CRTC_X": 0, "CRTC_Y": 138, "CRTC_W": 1920, "CRTC_H": 804,
		"rotation": uint64(UpsideDown), "COLOR_ENCODING": uint64(BT601), "COLOR_RANGE": uint64(Full), "alpha": 0xffff, "pixel blend mode": 1} {
		if p[k] != v {
			t.Errorf("%s is %d, want %d", k, p[k], v)
		}
	}
	if !d.Status().Scaled {
		t.Error("not reported as scaled")
	}
}

// TestFallbacks goes through what drivers refuse.
func TestFallbacks(t *testing.T) {
	onPrimary := func(m *model) uint64 { return m.planeState(0)["FB_ID"] }
	overlay := func(m *model) map[string]uint64 { return m.planeState(2) }
	tests := []struct {
		name  string
		knob  func(m *model)
		check func(t *testing.T, m *model)
		want  error
		w, h  int
	}{
		{"no scaling", func(m *model) { m.noScaling = true }, func(t *testing.T, m *model) {
			if p := m.planeState(0); p["CRTC_X"] != 320 || p["CRTC_Y"] != 180 || p["CRTC_W"] != 1280 {
				t.Errorf("not centred: %v", p)
			}
		}, nil, 1280, 720},
		{"no scaling of large", func(m *model) { m.noScaling = true }, nil, ErrUnsupported, 2560, 1440},
		{"no YUV", func(m *model) {
			for _, p := range m.planes {
				m.blobs[uint32(p.values["IN_FORMATS"])] = inFormats([]Format{XRGB8888}, map[Modifier][]Format{Linear: {XRGB8888}})
			}
		}, nil, ErrUnsupported, 1280, 720},
		{"overlay only", func(m *model) {
			m.blobs[uint32(m.planes[0].values["IN_FORMATS"])] = inFormats([]Format{XRGB8888}, map[Modifier][]Format{Linear: {XRGB8888}})
		}, func(t *testing.T, m *model) {
			if onPrimary(m) != 0 || overlay(m)["FB_ID"] == 0 {
				t.Error("not on the overlay alone")
			}
		}, nil, 1280, 720},
		{"primary must cover", func(m *model) {
			id := m.planes[0].id
			m.veto = func(s map[uint32]map[string]uint64, modeset bool) error {
				if s[m.crtcs[0].id]["ACTIVE"] == 0 {
					return nil
				}
				if s[id]["CRTC_W"] != 1920 || s[id]["CRTC_H"] != 1080 || s[id]["FB_ID"] == 0 {
					return unix.EINVAL
				}
				return nil
			}
		}, func(t *testing.T, m *model) {
			if onPrimary(m) == 0 || overlay(m)["CRTC_H"] != 1080 || overlay(m)["CRTC_W"] != 1440 {
				t.Errorf("primary %d, overlay %v", onPrimary(m), overlay(m))
			}
		}, nil, 640, 480},
		{"format change is a modeset", func(m *model) {
			id := m.planes[0].id
			m.veto = func(s map[uint32]map[string]uint64, modeset bool) error {
				if f := m.fbs[uint32(s[id]["FB_ID"])]; f.pixelFormat == uint32(NV12) && !modeset {
					return unix.EINVAL
				}
				return nil
			}
		}, func(t *testing.T, m *model) {
			if onPrimary(m) == 0 {
				t.Error("not shown")
			}
		}, nil, 1280, 720},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := lit(t)
			if tt.knob != nil {
				tt.knob(m)
			}
			d, w, _ := openModel(t, m, Options{})
			m.tick(t)
			m.mu.Lock()
			m.tests = 0
			m.mu.Unlock()
			fb := dumb(t, d, tt.w, tt.h, NV12)
			err := d.Show(Picture{ID: 1, FB: fb})
			if !errors.Is(err, tt.want) {
				t.Fatalf("Show: %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			m.tick(t)
			if f := w.flip(); f.ID != 1 {
				t.Errorf("flip %d", f.ID)
			}
			tt.check(t, m)
		})
	}
}

// TestTestOnlyOnce proves that a scene is tested before its first use, and not
// again.
func TestTestOnlyOnce(t *testing.T) {
	m := lit(t)
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	fb := dumb(t, d, 1280, 720, NV12)
	before := m.tests
	for id := uint64(1); id <= 10; id++ {
		if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
			t.Fatal(err)
		}
		m.tick(t)
		w.flip()
	}
	if n := m.tests - before; n != 1 {
		t.Errorf("%d tests for ten pictures of one shape", n)
	}
}

// TestNoRoomForOverlay is hardware reference section 3.3: two full-screen
// planes exceed the bandwidth.
func TestNoRoomForOverlay(t *testing.T) {
	m := lit(t)
	m.veto = func(s map[uint32]map[string]uint64, modeset bool) error {
		load := uint64(0)
		for _, p := range m.planes {
			if v := s[p.id]; v["FB_ID"] != 0 {
				load += v["CRTC_W"] * v["CRTC_H"]
			}
		}
		if load > 1920*1080*3/2 {
			return unix.ENOSPC
		}
		return nil
	}
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	video, ui, badge := dumb(t, d, 1920, 1080, NV12), dumb(t, d, 1920, 1080, ARGB8888), dumb(t, d, 320, 200, ARGB8888)
	if err := d.Show(Picture{ID: 1, FB: video}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	w.flip()
	if err := d.SetOverlay(Picture{ID: 100, FB: ui}); !errors.Is(err, ErrUnsupported) || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("full-screen overlay: %v", err)
	}
	if err := d.SetOverlay(Picture{ID: 101, FB: badge, Dest: Rect{100, 100, 320, 200}}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	if err := d.Show(Picture{ID: 2, FB: video}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	w.flip()
	if p := m.planeState(2); p["CRTC_X"] != 100 || p["CRTC_W"] != 320 {
		t.Errorf("overlay plane %v", p)
	}
	if r := w.release(); r != 1 {
		t.Errorf("released %d", r)
	}
	if err := d.SetOverlay(Picture{}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	if r := w.release(); r != 101 {
		t.Errorf("released %d, want the overlay", r)
	}
	if p := m.planeState(2); p["FB_ID"] != 0 {
		t.Error("the overlay plane is still on")
	}
}

// TestOverlayGivesWay: the overlay is dropped when a new base picture and it do
// not fit together.
func TestOverlayGivesWay(t *testing.T) {
	m := lit(t)
	m.veto = func(s map[uint32]map[string]uint64, modeset bool) error {
		on, small := 0, false
		for _, p := range m.planes {
			if v := s[p.id]; v["FB_ID"] != 0 {
				on, small = on+1, small || v["SRC_W"] == 1280<<16
			}
		}
		if small && on > 1 {
			return unix.ENOSPC
		}
		return nil
	}
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	d.idle(t)
	a, b, badge := dumb(t, d, 1920, 1080, NV12), dumb(t, d, 1280, 720, NV12), dumb(t, d, 320, 200, ARGB8888)
	d.Show(Picture{ID: 1, FB: a})
	m.tick(t)
	d.SetOverlay(Picture{ID: 100, FB: badge, Dest: Rect{0, 0, 320, 200}})
	m.tick(t)
	if err := d.Show(Picture{ID: 2, FB: b}); err != nil {
		t.Fatal(err)
	}
	if c := w.change(); c.Kind != Failed || !errors.Is(c.Err, unix.ENOSPC) {
		t.Errorf("change %+v", c)
	}
	m.tick(t)
	if f := w.flip(); f.ID != 1 {
		t.Errorf("flip %d", f.ID)
	}
	if f := w.flip(); f.ID != 2 {
		t.Errorf("flip %d", f.ID)
	}
	got := map[uint64]bool{w.release(): true, w.release(): true}
	if !got[1] || !got[100] {
		t.Errorf("released %v", got)
	}
}

// until waits for a condition that the loop brings about.
func (m *model) until(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); ; time.Sleep(100 * time.Microsecond) {
		m.mu.Lock()
		done := ok()
		m.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}
