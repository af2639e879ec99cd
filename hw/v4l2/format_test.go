package v4l2

import (
	"errors"
	"reflect"
	"testing"

	"aerie/hw/v4l2/uapi"
)

func TestLayouts(t *testing.T) {
	for _, tt := range []struct {
		f        plainFormat
		planes   []Plane
		fourcc   uapi.FourCC
		modifier uint64
	}{
		// 1080p as hardware reference section 1.2 has it.
		{plainFormat{1920, 1088, uapi.NV12, 1920, 3133440, 1}, []Plane{{0, 1920}, {1920 * 1088, 1920}}, uapi.NV12, 0},
		{plainFormat{1920, 1088, uapi.YUV, 1920, 3133440, 1}, []Plane{{0, 1920}, {1920 * 1088, 960}, {1920*1088 + 960*544, 960}}, uapi.YUV, 0},
		{plainFormat{1920, 1088, uapi.NC12, 1632, 1920 * 1632, 1}, []Plane{{0, 1920}, {128 * 1088, 1920}}, uapi.NV12, 0x0700000000066004},
		{plainFormat{1000, 1080, uapi.NC12, 1632, 1024 * 1632, 1}, []Plane{{0, 1024}, {128 * 1088, 1024}}, uapi.NV12, 0x0700000000066004},
		{plainFormat{640, 480, uapi.XBGR, 2560, 1228800, 1}, []Plane{{0, 2560}}, uapi.XBGR, 0},
		{plainFormat{642, 480, uapi.NV12, 704, 704 * 720, 1}, []Plane{{0, 704}, {704 * 480, 704}}, uapi.NV12, 0},
	} {
		l, err := layoutOf(&tt.f)
		if err != nil {
			t.Errorf("%+v: %v", tt.f, err)
			continue
		}
		if !reflect.DeepEqual(l.Planes, tt.planes) || l.Fourcc != uint32(tt.fourcc) || l.Modifier != tt.modifier {
			t.Errorf("%+v: %+v", tt.f, l)
		}
	}
}

func TestBadLayouts(t *testing.T) {
	for _, f := range []plainFormat{
		{},
		{1920, 1080, uapi.NV12, 1919, 1 << 30, 1},
		{1920, 1080, uapi.NV12, 1920, 1920*1080*3/2 - 1, 1},
		{1920, 1080, uapi.NV12, 1920, 1 << 30, 2},
		{1920, 1080, uapi.YUV, 1920, 1920 * 1080, 1},
		{1920, 1080, uapi.XBGR, 1920, 1 << 30, 1},
		{1920, 1088, uapi.NC12, 1080, 1 << 30, 1},
		{1920, 1088, uapi.NC12, 1632, 1<<20 - 1, 1},
		{1920, 1080, uapi.H264, 1920, 1 << 30, 1},
		{1 << 20, 1080, uapi.NV12, 1 << 20, 1 << 30, 1},
		{1920, 1080, uapi.NV12, 1 << 21, 1 << 30, 1},
		{1920, -1, uapi.NV12, 1920, 1 << 30, 1},
	} {
		if l, err := layoutOf(&f); !errors.Is(err, ErrUnsuitable) {
			t.Errorf("%+v: %+v, %v", f, l, err)
		}
	}
}

func TestVisible(t *testing.T) {
	l := Layout{Width: 1920, Height: 1088}
	for _, r := range []Rect{{}, {0, 0, 1921, 1080}, {0, 9, 1920, 1080}, {-1, 0, 2, 2}, {0, 0, 0, 5}} {
		if l.place(r) {
			t.Errorf("%v was taken", r)
		}
	}
	if !l.place(Rect{0, 0, 1920, 1080}) || l.Visible.H != 1080 {
		t.Error("1080 of 1088 rows")
	}
}

// FuzzLayout: whatever a driver answers, planes lie within the buffer.
func FuzzLayout(f *testing.F) {
	f.Add(1920, 1088, uint32(uapi.NV12), 1920, 3133440)
	f.Add(1920, 1088, uint32(uapi.NC12), 1632, 1920*1632)
	f.Fuzz(func(t *testing.T, w, h int, format uint32, pitch, size int) {
		l, err := layoutOf(&plainFormat{w, h, uapi.FourCC(format), pitch, size, 1})
		if err != nil {
			return
		}
		for i, p := range l.Planes {
			if p.Offset < 0 || p.Offset >= size || p.Pitch < 1 || i > 0 && p.Offset <= l.Planes[i-1].Offset {
				t.Errorf("plane %d at %+v of %d bytes", i, p, size)
			}
		}
	})
}
