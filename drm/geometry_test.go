package drm

import "testing"

func TestLetterbox(t *testing.T) {
	full := Rect{0, 0, 1920, 1080}
	for _, tt := range []struct {
		w, h int
		box  Rect
		want Rect
	}{
		{1920, 1080, full, full},
		{1280, 720, full, full},
		{640, 480, full, Rect{240, 0, 1440, 1080}},
		{1080, 1920, full, Rect{656, 0, 608, 1080}},                  // a phone upright
		{2388, 1668, full, Rect{187, 0, 1546, 1080}},                 // a tablet
		{2560, 1080, full, Rect{0, 135, 1920, 810}},                  // 21:9
		{1922, 1080, full, full},                                     // a line on either side is no bar
		{1, 1, full, Rect{420, 0, 1080, 1080}},                       //
		{1 << 14, 1, full, Rect{0, 539, 1920, 1}},                    // still a line
		{640, 480, Rect{100, 50, 200, 100}, Rect{133, 50, 133, 100}}, //
		{0, 5, full, Rect{}},                                         //
	} {
		if r := Letterbox(tt.w, tt.h, tt.box); r != tt.want {
			t.Errorf("Letterbox(%d, %d, %v) = %v, want %v", tt.w, tt.h, tt.box, r, tt.want)
		}
	}
}

// TestLetterboxAlways: whatever the sizes, the result is inside and touches two
// sides.
func TestLetterboxAlways(t *testing.T) {
	sizes := []int{1, 2, 3, 7, 100, 479, 480, 719, 1079, 1080, 1920, 4096, 8192}
	for _, w := range sizes {
		for _, h := range sizes {
			for _, bw := range sizes {
				for _, bh := range sizes {
					r := Letterbox(w, h, Rect{0, 0, bw, bh})
					if !r.in(bw, bh) || r.W != bw && r.H != bh {
						t.Fatalf("%dx%d in %dx%d: %v", w, h, bw, bh, r)
					}
				}
			}
		}
	}
}

func TestEvenOrigin(t *testing.T) {
	if r := (Rect{3, 5, 10, 10}).evenOrigin(NV12); r != (Rect{2, 4, 11, 11}) {
		t.Errorf("NV12: %v", r)
	}
	if r := (Rect{3, 5, 10, 10}).evenOrigin(XRGB8888); r != (Rect{3, 5, 10, 10}) {
		t.Errorf("RGB: %v", r)
	}
}

func TestTurn(t *testing.T) {
	r := Rect{10, 20, 30, 40}
	for rot, want := range map[Rotation]Rect{Upright: r, UpsideDown: {60, 40, 30, 40}, MirrorX: {60, 20, 30, 40}, MirrorY: {10, 40, 30, 40}} {
		if got := r.turn(rot, 100, 100); got != want {
			t.Errorf("%#x: %v, want %v", rot, got, want)
		}
	}
}

func TestRectIn(t *testing.T) {
	for r, want := range map[Rect]bool{
		{0, 0, 10, 10}: true, {5, 5, 5, 5}: true, {5, 5, 6, 5}: false, {-1, 0, 5, 5}: false, {0, 0, 0, 5}: false,
		{1 << 30, 0, 1 << 30, 1}: false, {0, 0, 11, 1}: false,
	} {
		if r.in(10, 10) != want {
			t.Errorf("%v in 10x10: %v", r, !want)
		}
	}
}
