package drm

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"aerie/hw/lab/bench"
	"golang.org/x/sys/unix"
)

// pluggable makes a vkms device with two ports that can be plugged and
// unplugged.
func pluggable(t testing.TB, name string) (plug func(port int, on bool)) {
	t.Helper()
	return bench.Displays(t, name).Plug
}

// TestLabPlug50 unplugs and plugs a display fifty times while pictures are
// shown; each time they are back, and nothing is left over.
func TestLabPlug50(t *testing.T) {
	plug := pluggable(t, "plug")
	plug(0, true)
	d, w, a := openLab(t, Options{Card: vkmsCard("plug"), Mode: "640x480@60", Debounce: 5 * time.Millisecond})
	fd := heapBuffer(t, 640*480*4)
	defer unix.Close(fd)
	fb, err := d.Import(DMABuf{Width: 640, Height: 480, Format: XRGB8888, Planes: [4]DMABufPlane{{FD: fd, Pitch: 640 * 4}}})
	if err != nil {
		t.Fatal(err)
	}
	id := uint64(0)
	show := func(n int) {
		t.Helper()
		for range n {
			id++
			if err := d.Show(Picture{ID: id, FB: fb}); err != nil {
				t.Fatal(err)
			}
			for w.flip().ID != id {
			}
		}
	}
	show(2)
	var held string
	for i := range 50 {
		plug(0, false)
		w.kind(Disconnected)
		show(2) // the CRTC runs on
		plug(0, true)
		if c := w.kind(Connected); c.Mode.Width != 640 {
			t.Fatalf("connected %+v", c)
		}
		show(2)
		if i == 0 {
			held = a.held()
		}
		if h := a.held(); h != held {
			t.Fatalf("after %d rounds %s, after the first %s", i+1, h, held)
		}
	}
	if c := d.Status().Counters; c.Modesets != 51 || c.Failed != 0 || c.Stalled != 0 {
		t.Errorf("counters %+v", c)
	}
	t.Logf("held in the end: %s", held)
}

// TestLabOtherPort starts without a display, gets one on the second port, then
// follows it to the first.
func TestLabOtherPort(t *testing.T) {
	plug := pluggable(t, "ports")
	d, w, _ := openLab(t, Options{Card: vkmsCard("ports"), Debounce: 5 * time.Millisecond})
	if _, ok := d.Mode(); ok {
		t.Fatal("a mode without a display")
	}
	fb := dumb(t, d, 640, 480, XRGB8888)
	if err := d.Show(Picture{ID: 1, FB: fb}); err != nil {
		t.Fatal(err)
	}
	plug(1, true)
	second := w.kind(Connected)
	if f := w.flip(); f.ID != 1 {
		t.Errorf("flip %d", f.ID)
	}
	plug(1, false)
	w.kind(Disconnected)
	plug(0, true)
	first := w.kind(Connected)
	if f := w.flip(); f.ID != 1 {
		t.Errorf("flip %d", f.ID)
	}
	if first.Connector == second.Connector || d.Status().Connector != first.Connector {
		t.Errorf("first %s then %s", second.Connector, first.Connector)
	}
	// A display on the other port is no reason to leave the present one.
	plug(1, true)
	plug(0, false)
	if c := w.kind(Connected); c.Connector != second.Connector {
		t.Errorf("moved to %s", c.Connector)
	}
}

// TestLabForgedUevent: a process may send to the kernel's group too.
func TestLabForgedUevent(t *testing.T) {
	plug := pluggable(t, "forged")
	fd, err := linux{}.uevents()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	name := filepath.Base(vkmsCard("forged"))
	msg := "change@/devices/x/drm/" + name + "\x00ACTION=change\x00DEVPATH=/devices/x/drm/" + name + "\x00SUBSYSTEM=drm\x00HOTPLUG=1\x00"
	if readUevent([]byte(msg), name) != newsHotplug {
		t.Fatal("the forged message is not even well made")
	}
	if err := unix.Sendto(s, []byte(msg), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		t.Fatal(err)
	}
	plug(0, true)
	buf := make([]byte, maxUevent)
	forged, genuine := 0, 0
	for end := time.Now().Add(patient); forged == 0 || genuine == 0; {
		if time.Now().After(end) {
			t.Fatalf("%d forged and %d genuine messages", forged, genuine)
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		n, kernel, err := linux{}.receive(fd, buf)
		switch {
		case err != nil:
		case string(buf[:n]) == msg && !kernel:
			forged++
		case string(buf[:n]) == msg:
			t.Fatal("a forged message passes for the kernel's")
		case kernel && readUevent(buf[:n], name) == newsHotplug:
			genuine++
		}
	}
}

// TestLabDeviceGone takes the whole card away.
func TestLabDeviceGone(t *testing.T) {
	bench.Need(t)
	dir := "/sys/kernel/config/vkms/gone"
	plug := pluggable(t, "gone")
	plug(0, true)
	w := newWatch(t)
	d, err := Open(w.options(Options{Card: vkmsCard("gone"), Debounce: 5 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	fb := dumb(t, d, 320, 240, XRGB8888)
	d.Show(Picture{ID: 1, FB: fb})
	w.flip()
	if err := os.WriteFile(dir+"/enabled", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	d.Show(Picture{ID: 2, FB: fb})
	c := w.kind(Lost)
	t.Log(c.Err)
	if err := d.Show(Picture{ID: 3, FB: fb}); err == nil {
		t.Error("a lost display took a picture")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestLabCrash kills a process that holds the display, in the middle of its
// flips, and opens it again.
func TestLabCrash(t *testing.T) {
	bench.Need(t)
	if os.Getenv("DRM_TEST_CHILD") == "1" {
		crashChild(t)
		return
	}
	o := vkmsOptions()
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLabCrash$")
		cmd.Env = append(os.Environ(), "DRM_TEST_CHILD=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := out.Read(b); err != nil {
			t.Fatalf("the child shows nothing: %v", err)
		}
		if _, err := Open(o); err == nil {
			t.Error("opened beside the child")
		}
		cmd.Process.Kill()
		cmd.Wait()
		if n := kernelFBs(t, o.Card); n != 0 {
			t.Errorf("%d frame buffers are left in the kernel", n)
		}
		w := newWatch(t)
		d, err := Open(w.options(o))
		if err != nil {
			t.Fatalf("after the crash: %v", err)
		}
		d.Show(Picture{ID: 1, FB: dumb(t, d, 640, 480, XRGB8888)})
		w.flip()
		d.Close()
	}
}

func crashChild(t *testing.T) {
	w := newWatch(t)
	d, err := Open(w.options(vkmsOptions()))
	if err != nil {
		t.Fatal(err)
	}
	fb := dumb(t, d, 640, 480, XRGB8888)
	for id := uint64(1); ; id++ {
		d.Show(Picture{ID: id, FB: fb})
		w.flip()
		if id == 3 {
			os.Stdout.WriteString("x")
		}
	}
}

// TestLabRestore: what another program left on the screen, as the console
// does, is there again after Close.
func TestLabRestore(t *testing.T) {
	o := vkmsOptions()
	console, cw, _ := openLab(t, o)
	if err := console.Show(Picture{ID: 1, FB: dumb(t, console, 320, 240, XRGB8888)}); err != nil {
		t.Fatal(err)
	}
	cw.flip()
	console.idle(t)
	screen := func() map[string]uint64 {
		t.Helper()
		out := map[string]uint64{}
		q, err := console.card.object(console.plan.base.plane.id, objectPlane, 0)
		if err != nil {
			t.Fatal(err)
		}
		crtc, err := console.card.object(console.out.crtc.id, objectCRTC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range restorable {
			out[name] = q.value(name)
		}
		out["ACTIVE"] = crtc.value("ACTIVE")
		mode, err := console.card.blob(uint32(crtc.value("MODE_ID")))
		if err != nil {
			t.Fatal(err)
		}
		out["clock"] = uint64(mode[0]) | uint64(mode[1])<<8 | uint64(mode[2])<<16
		return out
	}
	before := screen()
	if err := on(console.card, callDropMaster, (*byte)(nil)); err != nil {
		t.Fatal(err)
	}
	o.Mode = "800x600@60"
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if m := screen(); m["FB_ID"] == before["FB_ID"] || m["clock"] == before["clock"] {
		t.Errorf("the console's picture is still there: %v", m)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if after := screen(); !maps.Equal(before, after) {
		t.Errorf("after Close %v, before Open %v", after, before)
	}
	if err := console.card.becomeMaster(); err != nil {
		t.Fatal(err)
	}
}
