package drm

import "testing"

// TestImport: one frame buffer for one memory, one handle for one memory.
func TestImport(t *testing.T) {
	m := lit(t)
	d, w, a := openModel(t, m, Options{})
	m.tick(t)
	b := DMABuf{Width: 1920, Height: 1088, Format: NV12, Modifier: SAND128(1632),
		Planes: [4]DMABufPlane{{FD: 7, Pitch: 1920}, {FD: 7, Offset: 128 * 1088, Pitch: 1920}}}
	fb, err := d.Import(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.Import(b); err != nil || again != fb {
		t.Errorf("imported again: %v %v", again, err)
	}
	got := m.fbs[fb.id]
	if got.flags != fbModifiers || got.modifier[1] != uint64(SAND128(1632)) || got.handles[0] != got.handles[1] || got.offsets[1] != 128*1088 {
		t.Errorf("registered as %+v", got)
	}
	if err := d.Show(Picture{ID: 1, FB: fb, Source: Rect{0, 0, 1920, 1080}}); err != nil {
		t.Fatal(err)
	}
	m.tick(t)
	w.flip()
	fb.Close()
	fb.Close() // on the screen: removed later
	if _, ok := m.fbs[fb.id]; !ok {
		t.Error("removed while on the screen")
	}
	if err := d.Show(Picture{ID: 2, FB: fb}); err == nil {
		t.Error("a closed frame buffer was taken")
	}
	next := dumb(t, d, 1920, 1080, XRGB8888)
	id := fb.id
	d.Show(Picture{ID: 3, FB: next})
	m.tick(t)
	w.flip()
	w.release()
	m.until(t, func() bool { _, ok := m.fbs[id]; return !ok })
	if h := a.held(); h != "2 fds, 2 maps, 2 frame buffers, 2 handles, 1 blobs" {
		t.Errorf("held: %s", h)
	}
	// One memory in two layouts is one handle, closed with the second.
	b2 := b
	b2.Modifier = Linear
	one, err := d.Import(b)
	if err != nil {
		t.Fatal(err)
	}
	two, err := d.Import(b2)
	if err != nil || one == two {
		t.Fatalf("another layout: %v %v", two, err)
	}
	h := one.handles[0]
	one.Close()
	if m.handles[h] == 0 {
		t.Error("the handle is closed under a frame buffer")
	}
	two.Close()
	if m.handles[h] != 0 {
		t.Error("the handle is left open")
	}
	for _, bad := range []DMABuf{{}, {Width: 1919, Height: 1080, Format: NV12, Planes: b.Planes}, {Width: 64, Height: 64, Format: NV12, Planes: [4]DMABufPlane{{FD: 7, Pitch: 64}, {FD: -1}}}} {
		if _, err := d.Import(bad); err == nil {
			t.Errorf("imported %+v", bad)
		}
	}
}
