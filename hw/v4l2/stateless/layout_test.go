package stateless

import (
	"reflect"
	"testing"

	"aerie/hw/v4l2/uapi"
)

func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		format        uapi.FourCC
		width, height uint32
		stride, size  uint32
		fourcc        uapi.FourCC
		modifier      uint64
		planes        []Plane
	}{
		{uapi.NV12, 1920, 1088, 1920, 3133440, uapi.NV12, 0, []Plane{{0, 1920}, {2088960, 1920}}},
		{uapi.YUV, 640, 480, 640, 460800, uapi.YUV, 0, []Plane{{0, 640}, {307200, 320}, {384000, 320}}},
		// The height of a column of a 1080p stream whose coded height is 1088
		// (hardware reference section 2), and of one of 1080.
		{uapi.NC12, 1920, 1088, 1632, 1920 * 1632, uapi.NV12, 0x0700000000066004, []Plane{{0, 1920}, {139264, 1920}}},
		{uapi.NC12, 1920, 1080, 1620, 1920 * 1620, uapi.NV12, 0x0700000000000004 | 1620<<8, []Plane{{0, 1920}, {138240, 1920}}},
		// 3840 samples in 40 columns of 96.
		{uapi.NC30, 3840, 2160, 3240, 40 * 128 * 3240, uapi.Code("P030"), 0x0700000000000004 | 3240<<8, []Plane{{0, 5120}, {276480, 5120}}},
	} {
		f := &uapi.PixFormatMplane{Width: c.width, Height: c.height, PixelFormat: c.format, NumPlanes: 1}
		f.PlaneFmt[0] = uapi.PlanePixFormat{BytesPerLine: c.stride, SizeImage: c.size}
		l, err := layoutOf(f)
		if err != nil {
			t.Errorf("%v: %v", c.format, err)
			continue
		}
		if l.Fourcc != uint32(c.fourcc) || l.Modifier != c.modifier || !reflect.DeepEqual(l.Planes, c.planes) {
			t.Errorf("%v %dx%d: %+v", c.format, c.width, c.height, l)
		}
		f.PlaneFmt[0].SizeImage--
		if _, err := layoutOf(f); err == nil {
			t.Errorf("%v: fits into a byte less", c.format)
		}
	}
	for name, f := range map[string]uapi.PixFormatMplane{
		"nothing":       {},
		"two planes":    {Width: 64, Height: 64, PixelFormat: uapi.NV12, NumPlanes: 2},
		"huge":          {Width: 1 << 31, Height: 64, PixelFormat: uapi.NV12, NumPlanes: 1},
		"low column":    {Width: 128, Height: 64, PixelFormat: uapi.NC12, NumPlanes: 1, PlaneFmt: [8]uapi.PlanePixFormat{{BytesPerLine: 95, SizeImage: 1 << 20}}},
		"unknown":       {Width: 64, Height: 64, PixelFormat: uapi.Code("RGB3"), NumPlanes: 1, PlaneFmt: [8]uapi.PlanePixFormat{{BytesPerLine: 192, SizeImage: 1 << 20}}},
		"endless pitch": {Width: 64, Height: 64, PixelFormat: uapi.NV12, NumPlanes: 1, PlaneFmt: [8]uapi.PlanePixFormat{{BytesPerLine: 1 << 31, SizeImage: 1 << 20}}},
	} {
		if l, err := layoutOf(&f); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
