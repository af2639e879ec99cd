package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes that end tail bytes before a page that cannot be
// touched.
func guarded(t testing.TB, n, tail int) []byte {
	page := unix.Getpagesize()
	inner := (n + tail + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, inner+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(t, err)
	t.Cleanup(func() { unix.Munmap(m) })
	must(t, unix.Mprotect(m[inner:], unix.PROT_NONE))
	return m[inner-tail-n : inner-tail]
}

// guardedImage has every plane at the end of its memory, and rows with padding
// of a known pattern.
func guardedImage(t testing.TB, f Format, width, height, pad, tail int) *Image {
	im := &Image{Format: f, Width: width, Height: height}
	for i := range f.Planes() {
		row, rows := f.PlaneSize(i, width, height)
		im.Strides[i] = row + pad
		im.Planes[i] = guarded(t, im.Strides[i]*(rows-1)+row, tail)
		for k := range im.Planes[i] {
			im.Planes[i][k] = 0xa5
		}
	}
	return im
}

func (im *Image) paddingIntact() bool {
	for i := range im.Format.Planes() {
		row, rows := im.Format.PlaneSize(i, im.Width, im.Height)
		for y := range rows - 1 {
			pad := im.Planes[i][y*im.Strides[i]+row : (y+1)*im.Strides[i]]
			if len(bytes.Trim(pad, "\xa5")) != 0 {
				return false
			}
		}
	}
	return true
}

// put and get address one sample of a plane of single components.
func (im *Image) put(i, x, y, v int) {
	if shapes[im.Format].pixel[i] == 2 && im.Format != NV12 {
		binary.LittleEndian.PutUint16(im.Row(i, y)[2*x:], uint16(v))
		return
	}
	im.Row(i, y)[x] = byte(v)
}

func (im *Image) get(i, x, y int) int {
	if shapes[im.Format].pixel[i] == 2 && im.Format != NV12 {
		return int(binary.LittleEndian.Uint16(im.Row(i, y)[2*x:]))
	}
	return int(im.Row(i, y)[x])
}

func (im *Image) depth() int {
	switch im.Format {
	case I420P10, I422P10, I444P10:
		return 10
	}
	return 8
}

// randomFrame has random samples; flat makes all of a plane equal.
func randomFrame(t testing.TB, f Format, width, height, pad int, c Colour, flat bool) *Frame {
	r := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	// libavcodec leaves at least 31 readable bytes behind a plane.
	fr := &Frame{Image: *guardedImage(t, f, width, height, pad, 31), Colour: c}
	for i := range f.Planes() {
		row, rows := f.PlaneSize(i, width, height)
		first := r.IntN(1 << fr.depth())
		for y := range rows {
			for x := range row / shapes[f].pixel[i] {
				v := first
				if !flat {
					v = r.IntN(1 << fr.depth())
				}
				fr.put(i, x, y, v)
			}
		}
	}
	return fr
}

// rgb computes a pixel from the definitions of ITU-T H.273, with the nearest
// chroma sample.
func (f *Frame) rgb(x, y int) [3]float64 {
	kr, kb := 0.299, 0.114
	switch f.matrix() {
	case MatrixBT709:
		kr, kb = 0.2126, 0.0722
	case MatrixBT2020:
		kr, kb = 0.2627, 0.0593
	}
	scale := float64(int(1) << (f.depth() - 8))
	black, luma, chroma := 16*scale, 219*scale, 224*scale
	if f.Colour.FullRange {
		top := 256*scale - 1
		black, luma, chroma = 0, top, top
	}
	s := shapes[f.Format]
	ey := (float64(f.get(0, x, y)) - black) / luma
	var cb, cr float64
	if s.planes == 3 {
		cb = (float64(f.get(1, x>>s.shiftX, y>>s.shiftY)) - 128*scale) / chroma
		cr = (float64(f.get(2, x>>s.shiftX, y>>s.shiftY)) - 128*scale) / chroma
	}
	r := ey + 2*(1-kr)*cr
	b := ey + 2*(1-kb)*cb
	g := (ey - kr*r - kb*b) / (1 - kr - kb)
	clip := func(v float64) float64 { return 255 * math.Max(0, math.Min(1, v)) }
	return [3]float64{clip(r), clip(g), clip(b)}
}

var testColours = []Colour{
	{Matrix: MatrixBT709}, {Matrix: MatrixBT709, FullRange: true},
	{Matrix: MatrixBT470BG}, {Matrix: MatrixSMPTE170M, FullRange: true},
	{Matrix: MatrixBT2020}, {Matrix: MatrixBT2020, FullRange: true}, {Matrix: MatrixUnspecified},
}

// compareRGB checks every pixel of an XRGB picture of the frame's size.
func compareRGB(t *testing.T, f *Frame, got *Image, tolerance float64) {
	t.Helper()
	worst := 0.0
	for y := range f.Height {
		for x := range f.Width {
			p, want := got.Row(0, y)[4*x:4*x+4], f.rgb(x, y)
			for i, w := range want {
				worst = max(worst, math.Abs(float64(p[2-i])-w))
			}
			if p[3] != 255 {
				t.Fatalf("pixel %d,%d: unused byte is %d", x, y, p[3])
			}
		}
	}
	if worst > tolerance {
		t.Errorf("off by %.1f of 255", worst)
	}
}

// TestConvertRGB compares colours with exact arithmetic: random pixels where
// the chroma of a pixel is its own sample's, flat pictures where chroma is
// interpolated.
func TestConvertRGB(t *testing.T) {
	var v Converter
	defer v.Close()
	for _, format := range []Format{I420, I422, I444, I420P10, I422P10, I444P10} {
		for _, c := range testColours {
			for _, size := range [][2]int{{64, 32}, {350, 198}, {47, 10}, {9, 6}, {31, 7}} {
				nearest := (format == I420 || format == I422) && size[1]%2 == 0
				f := randomFrame(t, format, size[0], size[1], 6, c, !nearest)
				t.Run(fmt.Sprint(format, c.Matrix, c.FullRange, size), func(t *testing.T) {
					dst := guardedImage(t, XRGB8888, size[0], size[1], 20, 0)
					must(t, v.Convert(dst, f))
					compareRGB(t, f, dst, 5)
					if !dst.paddingIntact() {
						t.Error("bytes behind a row were written")
					}
				})
			}
		}
	}
}

// TestConvertYUV compares samples: all are kept where the formats allow.
func TestConvertYUV(t *testing.T) {
	var v Converter
	defer v.Close()
	for _, size := range [][2]int{{64, 32}, {350, 198}, {47, 11}, {2, 2}, {1, 1}, {33, 5}} {
		for _, pad := range []int{0, 1, 50} {
			t.Run(fmt.Sprint(size, pad), func(t *testing.T) {
				f := randomFrame(t, I420, size[0], size[1], 3, Colour{FullRange: size[0]%2 == 0}, false)
				same := guardedImage(t, I420, size[0], size[1], pad, 0)
				must(t, v.Convert(same, f))
				if sum(same) != sum(&f.Image) || !same.paddingIntact() {
					t.Error("the copy differs")
				}
				semi := guardedImage(t, NV12, size[0], size[1], pad, 0)
				must(t, v.Convert(semi, f))
				if !semi.paddingIntact() {
					t.Error("bytes behind a row were written")
				}
				_, rows := I420.PlaneSize(1, size[0], size[1])
				for y := range size[1] {
					if !bytes.Equal(semi.Row(0, y), f.Row(0, y)) {
						t.Fatalf("luma row %d differs", y)
					}
				}
				for y := range rows {
					for x := range f.Row(1, y) {
						if semi.Row(1, y)[2*x] != f.Row(1, y)[x] || semi.Row(1, y)[2*x+1] != f.Row(2, y)[x] {
							t.Fatalf("chroma %d,%d differs", x, y)
						}
					}
				}
			})
		}
	}
	f := randomFrame(t, I420P10, 64, 32, 0, Colour{}, false)
	p010 := guardedImage(t, P010, 64, 32, 0, 0)
	must(t, v.Convert(p010, f))
	for x := range 64 {
		if got := p010.get(0, x, 31) >> 6; got != f.get(0, x, 31) {
			t.Fatalf("P010 luma %d is %d, want %d", x, got, f.get(0, x, 31))
		}
	}
}

// TestConvertScale scales flat pictures, whose colour must not change, and
// stays within rows.
func TestConvertScale(t *testing.T) {
	var v Converter
	defer v.Close()
	for _, format := range []Format{I420, I420P10} {
		for _, to := range []Format{I420, NV12, XRGB8888} {
			for _, size := range [][2]int{{333, 77}, {64, 64}, {1, 1}, {17, 201}} {
				t.Run(fmt.Sprint(format, to, size), func(t *testing.T) {
					f := randomFrame(t, format, 120, 90, 8, Colour{Matrix: MatrixBT709}, true)
					dst := guardedImage(t, to, size[0], size[1], 12, 0)
					must(t, v.Convert(dst, f))
					if !dst.paddingIntact() {
						t.Error("bytes behind a row were written")
					}
					want, got := float64(f.get(0, 0, 0))/float64(int(1)<<(f.depth()-8)), float64(dst.Row(0, size[1]/2)[0])
					if to == XRGB8888 {
						want = f.rgb(0, 0)[2]
					}
					if math.Abs(want-got) > 3 {
						t.Errorf("colour is %.0f, want %.1f", got, want)
					}
				})
			}
		}
	}
}

// TestConvertRefuses gives images whose planes are too small.
func TestConvertRefuses(t *testing.T) {
	var v Converter
	defer v.Close()
	f := randomFrame(t, I420, 16, 16, 0, Colour{}, false)
	for name, spoil := range map[string]func(im *Image){
		"short plane":  func(im *Image) { im.Planes[0] = im.Planes[0][:len(im.Planes[0])-1] },
		"no plane":     func(im *Image) { im.Planes[1] = nil },
		"small stride": func(im *Image) { im.Strides[1]-- },
		"minus":        func(im *Image) { im.Strides[0] = -16 },
		"huge stride":  func(im *Image) { im.Strides[0] = 1 << 30 },
		"no format":    func(im *Image) { im.Format = FormatNone },
		"bad format":   func(im *Image) { im.Format = 99 },
		"no width":     func(im *Image) { im.Width = 0 },
		"huge":         func(im *Image) { im.Height = 1 << 30 },
	} {
		im := NewImage(NV12, 16, 16, 1)
		spoil(im)
		if v.Convert(im, f) == nil {
			t.Errorf("%s was accepted as a destination", name)
		}
		g := &Frame{Image: *NewImage(I420, 16, 16, 1)}
		spoil(&g.Image)
		if v.Convert(NewImage(NV12, 16, 16, 1), g) == nil {
			t.Errorf("%s was accepted as a source", name)
		}
	}
	if err := v.Convert(NewImage(I420, 16, 16, 1), &Frame{}); err == nil {
		t.Error("an empty frame was converted")
	}
}
