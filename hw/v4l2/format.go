package v4l2

import (
	"fmt"

	"aerie/hw/v4l2/uapi"
)

// Layout is memory for pictures, as a display needs to know it.
type Layout struct {
	Generation uint32 // counts from 1 for each Decoder
	Format     uapi.FourCC
	// Fourcc and Modifier name the same in the codes of drm_fourcc.h.
	Fourcc   uint32
	Modifier uint64
	// Width and Height are those of the memory, Visible the picture in it.
	Width, Height int
	Visible       Rect
	Planes        []Plane // of each buffer
	Size          int     // bytes of each buffer
	// Buffers are dma-buf descriptors, which belong to the Decoder and are
	// closed after Retire.
	Buffers []int
}

// Plane is where a plane of samples begins in a buffer, and the bytes from one
// row of it to the next.
type Plane struct{ Offset, Pitch int }

func (l *Layout) String() string {
	return fmt.Sprintf("%dx%d of %dx%d in %v, %d buffers", l.Visible.W, l.Visible.H, l.Width, l.Height, l.Format, len(l.Buffers))
}

// plainFormat is the part that both kinds of struct v4l2_format have.
type plainFormat struct {
	width, height int
	format        uapi.FourCC
	pitch, size   int // bytes, of the one memory plane
	planes        int
}

// columnWidth is the width in bytes of a column of Broadcom's format.
const columnWidth = 128

// maxSide bounds what a driver may say.
const maxSide = 1 << 14

// layoutOf works out where the planes of a format are. The error says that
// what the driver answered is no layout.
func layoutOf(f *plainFormat) (*Layout, error) {
	l := &Layout{Format: f.format, Fourcc: uint32(f.format), Width: f.width, Height: f.height, Size: f.size}
	bad := func(what string) (*Layout, error) {
		return nil, fmt.Errorf("%w: %v %dx%d, pitch %d, %d bytes, %d memory planes: %s", ErrUnsuitable, f.format, f.width, f.height, f.pitch, f.size, f.planes, what)
	}
	if f.width < 2 || f.height < 2 || f.width > maxSide || f.height > maxSide || f.pitch < 1 || f.pitch > 1<<20 || f.size < 1 {
		return bad("no such picture")
	}
	if f.planes != 1 {
		return bad("planes in one memory are wanted")
	}
	// Chroma of an odd size would be half a sample.
	l.Width, l.Height = f.width&^1, f.height&^1
	luma := f.pitch * f.height
	need, row := 0, f.width
	switch f.format {
	case uapi.NV12:
		l.Planes = []Plane{{0, f.pitch}, {luma, f.pitch}}
		need = luma + f.pitch*(f.height/2)
	case uapi.YUV:
		half := f.pitch / 2
		l.Planes = []Plane{{0, f.pitch}, {luma, half}, {luma + half*(f.height/2), half}}
		need = luma + 2*half*(f.height/2)
	case uapi.XBGR:
		l.Planes = []Plane{{0, f.pitch}}
		need, row = luma, 4*f.width
	case uapi.NC12:
		return columns(l, f, bad)
	default:
		return bad("not a format that is known")
	}
	if f.pitch < row || need > f.size {
		return bad(fmt.Sprintf("it takes %d bytes", need))
	}
	return l, nil
}

// columns lays out NV12 in columns: what the driver calls the bytes of a line
// is the height of a column in rows, which travels in the modifier, and the
// pitch is the width (hardware reference section 2).
func columns(l *Layout, f *plainFormat, bad func(string) (*Layout, error)) (*Layout, error) {
	width := (f.width + columnWidth - 1) &^ (columnWidth - 1)
	chroma := columnChroma(f.height)
	if rows := chroma/columnWidth + f.height/2; f.pitch < rows || width*f.pitch > f.size {
		return bad(fmt.Sprintf("a column has %d rows", rows))
	}
	const nv12, sand128 = 0x3231564e, 0x0700000000000004 // DRM_FORMAT_MOD_BROADCOM_SAND128
	l.Fourcc, l.Modifier = nv12, sand128|uint64(f.pitch)<<8
	l.Planes = []Plane{{0, width}, {chroma, width}}
	return l, nil
}

// place puts the visible rectangle into a layout, if it lies in there.
func (l *Layout) place(r Rect) bool {
	if r.X < 0 || r.Y < 0 || r.W < 1 || r.H < 1 || r.X+r.W > l.Width || r.Y+r.H > l.Height {
		return false
	}
	l.Visible = r
	return true
}
