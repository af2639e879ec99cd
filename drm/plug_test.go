package drm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTwoPorts follows a display from one port to the other.
func TestTwoPorts(t *testing.T) {
	m := lit(t)
	stop := m.pump()
	defer stop()
	d, w, _ := openModel(t, m, Options{Debounce: time.Millisecond})
	fb := dumb(t, d, 1280, 720, NV12)
	d.Show(Picture{ID: 1, FB: fb})
	w.flip()
	m.plug(0, nil)
	m.announce()
	if c := w.kind(Disconnected); c.Connector != "HDMI-A-1" {
		t.Errorf("disconnected %s", c.Connector)
	}
	m.plug(1, testEDID, mode4K30, mode1080p60)
	m.announce()
	c := w.kind(Connected)
	if c.Connector != "HDMI-A-2" || c.Mode.String() != "1920x1080@60" || c.EDID.Name == "" {
		t.Errorf("connected %+v", c)
	}
	if f := w.flip(); f.ID != 1 {
		t.Errorf("flip %d on the new port", f.ID)
	}
	if p := m.planeState(1); p["FB_ID"] == 0 || p["CRTC_ID"] != uint64(m.crtcs[1].id) {
		t.Errorf("the second primary plane shows nothing: %v", p)
	}
	m.mu.Lock()
	if m.crtcs[0].values["ACTIVE"] != 0 {
		t.Error("the first port is still lit")
	}
	m.mu.Unlock()
}

// TestHeadless starts without a display and gets one later.
func TestHeadless(t *testing.T) {
	m := newModel(t)
	stop := m.pump()
	defer stop()
	d, w, _ := openModel(t, m, Options{Debounce: time.Millisecond})
	if _, ok := d.Mode(); ok || d.Status().Connected {
		t.Error("a mode without a display")
	}
	fb := dumb(t, d, 1280, 720, XRGB8888)
	for id := uint64(1); id <= 3; id++ {
		if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
			t.Fatal(err)
		}
	}
	if w.release() != 1 || w.release() != 2 {
		t.Error("older pictures were not released")
	}
	m.plug(0, nil, mode720p60)
	m.announce()
	w.kind(Connected)
	if f := w.flip(); f.ID != 3 {
		t.Errorf("flip %d", f.ID)
	}
}

// TestReplugSetsModeAgain: a display that was away for less than the debounce
// time still gets a full mode setting.
func TestReplugSetsModeAgain(t *testing.T) {
	m := lit(t)
	stop := m.pump()
	defer stop()
	d, w, _ := openModel(t, m, Options{Debounce: 300 * time.Millisecond})
	fb := dumb(t, d, 1280, 720, XRGB8888)
	d.Show(Picture{ID: 1, FB: fb})
	w.flip()
	// A uevent that changes nothing.
	m.announce()
	m.plug(0, nil)
	m.announce()
	// Wait for the loop to have seen it away.
	for end := time.Now().Add(patient); ; time.Sleep(time.Millisecond) {
		d.modeset.Lock()
		dropped := d.plug.dropped
		d.modeset.Unlock()
		if dropped {
			break
		}
		if time.Now().After(end) {
			t.Fatal("not seen away")
		}
	}
	m.plug(0, nil, mode720p60, mode1080p60, mode480p)
	m.announce()
	if c := w.change(); c.Kind != Connected {
		t.Errorf("change %v before connected", c.Kind)
	}
	w.flip()
	if n := d.Status().Counters.Modesets; n != 2 {
		t.Errorf("%d mode settings", n)
	}
}

func TestBusy(t *testing.T) {
	m := lit(t)
	other, err := m.open("/dev/dri/card0")
	if err != nil {
		t.Fatal(err)
	}
	defer m.close(other)
	a := newAudit(m)
	if _, err := open(a, Options{}); !errors.Is(err, ErrBusy) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("open beside another master: %v", err)
	}
	if h := a.held(); h != nothing {
		t.Errorf("held: %s", h)
	}
	if i := describeCards(m); len(i) != 1 || !i[0].Busy || i[0].Driver != "vc4" || len(i[0].Formats) == 0 {
		t.Errorf("cards %+v", i)
	}
}

func TestNoCard(t *testing.T) {
	m := lit(t)
	m.noAtomic = true
	a := newAudit(m)
	if _, err := open(a, Options{}); !errors.Is(err, ErrNoCard) {
		t.Errorf("open of a card without atomic: %v", err)
	}
	m.noAtomic, m.noDumb = false, true
	if _, err := open(a, Options{}); !errors.Is(err, ErrNoCard) {
		t.Errorf("open of a card without dumb buffers: %v", err)
	}
	if _, err := open(a, Options{Card: "/dev/dri/card7"}); !errors.Is(err, ErrNoCard) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("open of a card that is not there: %v", err)
	}
	m.noDumb = false
	if _, err := open(a, Options{Connector: "HDMI-A-3"}); !errors.Is(err, ErrNoCard) || !strings.Contains(err.Error(), "HDMI-A-2") {
		t.Errorf("open of a connector that is not there: %v", err)
	}
	if h := a.held(); h != nothing {
		t.Errorf("held: %s", h)
	}
}

// TestWantedConnector stays on its port though another has a display.
func TestWantedConnector(t *testing.T) {
	m := lit(t)
	stop := m.pump()
	defer stop()
	d, w, _ := openModel(t, m, Options{Connector: "HDMI-A-2", Debounce: time.Millisecond})
	if d.Status().Connected {
		t.Error("lit another port")
	}
	m.plug(1, nil, mode720p60)
	m.announce()
	if c := w.kind(Connected); c.Connector != "HDMI-A-2" {
		t.Errorf("connected %s", c.Connector)
	}
}

// TestStall: a commit that never completes ends in a recovery, and one too many
// in a loss, never in a hang.
func TestStall(t *testing.T) {
	m := lit(t)
	d, w, _ := openModel(t, m, Options{})
	m.tick(t)
	fb := dumb(t, d, 1280, 720, XRGB8888)
	d.Show(Picture{ID: 1, FB: fb})
	m.skip(2 * time.Second)
	d.signal()
	w.kind(Connected) // lit again
	m.tick(t)
	m.tick(t)
	if f := w.flip(); f.ID != 1 {
		t.Errorf("flip %d", f.ID)
	}
	for range maxMends {
		d.Show(Picture{ID: 2, FB: fb})
		m.skip(2 * time.Second)
		d.signal()
		w.kind(Connected)
	}
	m.skip(2 * time.Second)
	d.signal()
	if c := w.kind(Lost); c.Err == nil {
		t.Error("lost without a reason")
	}
	if c := d.Status().Counters; c.Stalled != maxMends+2 {
		t.Errorf("%d stalls counted", c.Stalled)
	}
	if err := d.Show(Picture{ID: 3, FB: fb}); !errors.Is(err, ErrClosed) {
		t.Errorf("Show on a lost display: %v", err)
	}
}

func TestBlank(t *testing.T) {
	m := lit(t)
	stop := m.pump()
	defer stop()
	d, w, _ := openModel(t, m, Options{})
	fb := dumb(t, d, 1280, 720, XRGB8888)
	d.Show(Picture{ID: 1, FB: fb})
	w.flip()
	if err := d.Blank(true); err != nil {
		t.Fatal(err)
	}
	if m.crtcs[0].values["ACTIVE"] != 0 || !d.Status().Blanked {
		t.Error("not dark")
	}
	d.Show(Picture{ID: 2, FB: fb})
	if r := w.release(); r != 1 {
		t.Errorf("released %d", r)
	}
	if err := d.Blank(false); err != nil {
		t.Fatal(err)
	}
	if f := w.flip(); f.ID != 2 {
		t.Errorf("flip %d after unblanking", f.ID)
	}
}

// TestRestore gives the screen back as it was found.
func TestRestore(t *testing.T) {
	m := lit(t)
	console := newAudit(m)
	c, err := openCard(console, "/dev/dri/card0")
	if err != nil {
		t.Fatal(err)
	}
	m.next++
	m.fbs[m.next] = fbCmd2{fbID: m.next, width: 1280, height: 720}
	fb := uint64(m.next)
	blob, _ := c.modeBlob(mode720p60)
	m.conns[0].values["CRTC_ID"] = uint64(m.crtcs[0].id)
	m.crtcs[0].values["ACTIVE"], m.crtcs[0].values["MODE_ID"] = 1, uint64(blob)
	for k, v := range map[string]uint64{"FB_ID": fb, "CRTC_ID": uint64(m.crtcs[0].id), "SRC_W": 1280 << 16, "SRC_H": 720 << 16, "CRTC_W": 1280, "CRTC_H": 720} {
		m.planes[0].values[k] = v
	}
	c.close()
	d, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.planeState(0)["FB_ID"] == fb {
		t.Error("the console is still on the screen")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	p := m.planeState(0)
	if p["FB_ID"] != fb || p["CRTC_W"] != 1280 {
		t.Errorf("not restored: %v", p)
	}
	if got := m.blobs[uint32(m.crtcs[0].values["MODE_ID"])]; !bytes.Equal(got, m.blobs[blob]) {
		t.Errorf("mode %x", got)
	}
}
