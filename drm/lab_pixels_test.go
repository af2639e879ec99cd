package drm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ioctlAny[T any](fd int, request uintptr, arg *T) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg))); e != 0 {
		return e
	}
	return nil
}

// capture reads back what the display shows.
func capture(t testing.TB, d *Display) func(x, y int) [3]int {
	t.Helper()
	shot, err := d.Capture()
	if err != nil {
		t.Fatal(err)
	}
	return func(x, y int) [3]int {
		r, g, b := shot.RGB(x, y)
		return [3]int{r, g, b}
	}
}

// toRGB is the textbook conversion (Rec. ITU-R BT.601, BT.709 and BT.2020), in
// 16.16 fixed point: the bench has no floating-point unit to speak of.
func toRGB(c Color) func(y, cb, cr int) [3]int {
	kr, kb := 0.2126, 0.0722
	switch c.Encoding {
	case BT601:
		kr, kb = 0.299, 0.114
	case BT2020:
		kr, kb = 0.2627, 0.0593
	}
	black, luma, chroma := 0, 255.0, 255.0
	if c.Range == Limited {
		black, luma, chroma = 16, 219, 224
	}
	fix := func(v float64) int { return int(math.Round(v * 255 * 65536)) }
	ky := fix(1 / luma)
	rv, bu := fix(2*(1-kr)/chroma), fix(2*(1-kb)/chroma)
	gv, gu := fix(2*(1-kr)*kr/(1-kr-kb)/chroma), fix(2*(1-kb)*kb/(1-kr-kb)/chroma)
	clip := func(v int) int { return min(max((v+32768)>>16, 0), 255) }
	return func(y, cb, cr int) [3]int {
		l, u, v := (y-black)*ky, cb-128, cr-128
		return [3]int{clip(l + rv*v), clip(l - gv*v - gu*u), clip(l + bu*u)}
	}
}

// pattern fills a YCbCr frame buffer and gives each pixel's samples.
func pattern(fb *Framebuffer) func(x, y int) (int, int, int) {
	luma := func(x, y int) int { return 16 + (x*3+y*5)%220 }
	cb := func(x, y int) int { return 16 + (x/2*7+y/2)%225 }
	cr := func(x, y int) int { return 16 + (x/2+y/2*9)%225 }
	data, pitch := fb.Plane(0)
	for y := range fb.Height {
		for x := range fb.Width {
			data[y*pitch+x] = byte(luma(x, y))
		}
	}
	for y := 0; y < fb.Height; y += 2 {
		for x := 0; x < fb.Width; x += 2 {
			if fb.Format == NV12 {
				c, p := fb.Plane(1)
				c[y/2*p+x], c[y/2*p+x+1] = byte(cb(x, y)), byte(cr(x, y))
				continue
			}
			u, p := fb.Plane(1)
			v, q := fb.Plane(2)
			u[y/2*p+x/2], v[y/2*q+x/2] = byte(cb(x, y)), byte(cr(x, y))
		}
	}
	return func(x, y int) (int, int, int) { return luma(x, y), cb(x, y), cr(x, y) }
}

// compare checks every pixel within tol of what is wanted.
func compare(t *testing.T, got, want func(x, y int) [3]int, w, h, tol int) {
	t.Helper()
	bad, worst, where := 0, 0, ""
	for y := range h {
		for x := range w {
			g, e := got(x, y), want(x, y)
			for i := range g {
				if d := max(g[i]-e[i], e[i]-g[i]); d > tol {
					bad++
					if d > worst {
						worst, where = d, fmt.Sprintf("(%d,%d): %v, want %v", x, y, g, e)
					}
					break
				}
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d of %d pixels differ by more than %d, the worst at %s", bad, w*h, tol, where)
	}
}

// TestLabYUV: what is scanned out is the picture, in each format, encoding,
// range and rotation. The kernel computes in fixed point: one step of
// difference is its rounding.
func TestLabYUV(t *testing.T) {
	for _, tt := range []struct {
		format Format
		color  Color
		rot    Rotation
		crop   Rect
	}{
		{NV12, Color{BT709, Limited}, Upright, Rect{}},
		{NV12, Color{BT601, Full}, Upright, Rect{}},
		{NV12, Color{BT709, Full}, UpsideDown, Rect{}},
		{NV12, Color{BT601, Limited}, Upright, Rect{20, 10, 400, 300}},
		{YUV420, Color{BT709, Limited}, Upright, Rect{}},
		{YUV420, Color{BT2020, Full}, MirrorX, Rect{}},
	} {
		t.Run(fmt.Sprintf("%v/%v/%d/%v", tt.format, tt.color, tt.rot, tt.crop), func(t *testing.T) {
			o := vkmsOptions()
			o.Rotation = tt.rot
			d, w, _ := openLab(t, o)
			if !d.Supports(tt.format, Linear) {
				t.Skipf("this kernel's vkms has no %v plane", tt.format)
			}
			fb := dumb(t, d, 640, 480, tt.format)
			sample := pattern(fb)
			if err := d.Show(Picture{ID: 1, FB: fb, Color: tt.color, Source: tt.crop}); err != nil {
				t.Fatal(err)
			}
			w.flip()
			crop := tt.crop
			if crop.Empty() {
				crop = Rect{0, 0, 640, 480}
			}
			rgb := toRGB(tt.color)
			at := Rect{0, 0, 640, 480}.center(crop.W, crop.H) // vkms cannot scale
			compare(t, capture(t, d), func(x, y int) [3]int {
				switch tt.rot {
				case UpsideDown:
					x, y = 639-x, 479-y
				case MirrorX:
					x = 639 - x
				}
				x, y = x-at.X, y-at.Y
				if x < 0 || y < 0 || x >= at.W || y >= at.H {
					return [3]int{}
				}
				yy, cb, cr := sample(x+crop.X, y+crop.Y)
				return rgb(yy, cb, cr)
			}, 640, 480, 2)
		})
	}
}

// TestLabRGBExact: an RGB picture with an overlay comes out bit for bit.
func TestLabRGBExact(t *testing.T) {
	d, w, _ := openLab(t, vkmsOptions())
	base, over := dumb(t, d, 640, 480, XRGB8888), dumb(t, d, 100, 60, ARGB8888)
	paint := func(fb *Framebuffer, f func(x, y int) uint32) {
		mem, pitch := fb.Plane(0)
		for y := range fb.Height {
			for x := range fb.Width {
				binary.LittleEndian.PutUint32(mem[y*pitch+4*x:], f(x, y))
			}
		}
	}
	under := func(x, y int) uint32 { return (uint32(x)*2654435761 ^ uint32(y)*40503) & 0xffffff }
	paint(base, under)
	paint(over, func(x, y int) uint32 { return 0xff000000 | uint32(x)<<16 | uint32(y)<<8 | 0x40 })
	if err := d.Show(Picture{ID: 1, FB: base}); err != nil {
		t.Fatal(err)
	}
	w.flip()
	if err := d.SetOverlay(Picture{ID: 2, FB: over, Dest: Rect{500, 400, 100, 60}}); err != nil {
		t.Fatal(err)
	}
	want := func(x, y int) [3]int {
		v := under(x, y)
		if (Rect{x, y, 1, 1}).in(600, 460) && x >= 500 && y >= 400 {
			v = uint32(x-500)<<16 | uint32(y-400)<<8 | 0x40
		}
		return [3]int{int(v >> 16 & 255), int(v >> 8 & 255), int(v & 255)}
	}
	compare(t, capture(t, d), want, 640, 480, 0)
	if err := d.SetOverlay(Picture{}); err != nil {
		t.Fatal(err)
	}
	if id := w.release(); id != 2 {
		t.Errorf("released %d, want the overlay", id)
	}
}

// TestLabCannotScale: vkms scales nothing, so a small picture is centred and a
// large one refused.
func TestLabCannotScale(t *testing.T) {
	d, w, _ := openLab(t, vkmsOptions())
	small, large := dumb(t, d, 320, 200, XRGB8888), dumb(t, d, 1280, 720, XRGB8888)
	if err := d.Show(Picture{ID: 1, FB: large}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("large: %v", err)
	}
	mem, pitch := small.Plane(0)
	for y := range 200 {
		for x := range 320 {
			binary.LittleEndian.PutUint32(mem[y*pitch+4*x:], uint32(x)|uint32(y)<<8|0xc00000)
		}
	}
	if err := d.Show(Picture{ID: 2, FB: small}); err != nil {
		t.Fatal(err)
	}
	if f := w.flip(); f.ID != 2 || d.Status().Scaled {
		t.Errorf("flip %d, scaled %v", f.ID, d.Status().Scaled)
	}
	compare(t, capture(t, d), func(x, y int) [3]int {
		x, y = x-160, y-140
		if x < 0 || y < 0 || x >= 320 || y >= 200 {
			return [3]int{}
		}
		return [3]int{0xc0, y | x>>8, x & 255} // x above 255 reaches green
	}, 640, 480, 0)
}
