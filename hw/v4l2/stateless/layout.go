package stateless

import (
	"fmt"

	"aerie/hw/v4l2/uapi"
)

// Layout is memory for pictures, as a display needs to know it.
type Layout struct {
	Format uapi.FourCC
	// Fourcc and Modifier name the same in the codes of drm_fourcc.h.
	Fourcc        uint32
	Modifier      uint64
	Width, Height int     // of the memory, in samples of luma
	Planes        []Plane // of each buffer
	Size          int     // bytes of each buffer
	// Buffers are dma-buf descriptors, which belong to the Decoder until Close.
	Buffers []int
}

// Plane is where a plane of samples begins in a buffer, and the bytes from one
// row of it to the next.
type Plane struct{ Offset, Pitch int }

func (l *Layout) String() string {
	return fmt.Sprintf("%dx%d in %v, %d buffers", l.Width, l.Height, l.Format, len(l.Buffers))
}

const (
	columnWidth = 128 // bytes of a column of Broadcom's formats
	// sand128 is DRM_FORMAT_MOD_BROADCOM_SAND128; the height of a column goes
	// into it from bit 8 on.
	sand128 = 0x0700000000000004
	maxSide = 1 << 13 // bounds what a driver may say
)

var p030 = uapi.Code("P030") // of drm_fourcc.h

// layoutOf works out where the planes of a format are (hardware reference
// section 2). In the column formats, BytesPerLine is the height of a column,
// luma and chroma together; chroma begins at the format's own height.
func layoutOf(f *uapi.PixFormatMplane) (*Layout, error) {
	w, h, stride, size := int(f.Width), int(f.Height), int(f.PlaneFmt[0].BytesPerLine), int(f.PlaneFmt[0].SizeImage)
	l := &Layout{Format: f.PixelFormat, Fourcc: uint32(f.PixelFormat), Width: w, Height: h, Size: size}
	if f.NumPlanes != 1 || w < 1 || h < 1 || w > maxSide || h > maxSide || stride < 1 || stride > 4*maxSide || size < 1 {
		return nil, fmt.Errorf("%w: %v of %dx%d, pitch %d, %d bytes in %d memory planes", ErrUnsuitable, f.PixelFormat, w, h, stride, size, f.NumPlanes)
	}
	needed := stride * h * 3 / 2
	columns := func(bytes int) {
		l.Modifier = sand128 | uint64(stride)<<8
		l.Planes = []Plane{{0, bytes}, {columnWidth * h, bytes}}
		needed = (bytes + columnWidth - 1) / columnWidth * columnWidth * stride
	}
	switch f.PixelFormat {
	case uapi.NV12:
		l.Planes = []Plane{{0, stride}, {stride * h, stride}}
	case uapi.YUV:
		l.Planes = []Plane{{0, stride}, {stride * h, stride / 2}, {stride * h * 5 / 4, stride / 2}}
	case uapi.NC12:
		l.Fourcc = uint32(uapi.NV12)
		columns(w)
	case uapi.NC30:
		l.Fourcc = uint32(p030)
		columns((w + 2) / 3 * 4) // three samples in four bytes
	default:
		return nil, fmt.Errorf("%w: pictures in %v", ErrUnsuitable, f.PixelFormat)
	}
	if l.Modifier != 0 && stride < h*3/2 || size < needed {
		return nil, fmt.Errorf("%w: %v of %dx%d does not fit into pitch %d and %d bytes", ErrUnsuitable, f.PixelFormat, w, h, stride, size)
	}
	return l, nil
}
