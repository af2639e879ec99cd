package codec

//#include "shim.h"
import "C"

import "fmt"

// Format is the arrangement of pixels in memory.
type Format uint8

// The formats that decoders deliver and converters write. Samples deeper than
// 8 bits are 16-bit little endian.
const (
	FormatNone Format = iota
	I420              // Y, U, V; 2x2 subsampled chroma
	I422              // Y, U, V; chroma at half the width
	I444              // Y, U, V
	I420P10           // as I420, 10 bits in the low end of 16
	I422P10           // as I422, 10 bits in the low end of 16
	I444P10           // as I444, 10 bits in the low end of 16
	NV12              // Y, interleaved UV; 2x2 subsampled chroma
	P010              // as NV12, 10 bits in the high end of 16
	XRGB8888          // bytes B, G, R, unused: DRM's XR24
)

// shape tells how a format's planes are laid out.
type shape struct {
	name           string
	av             C.enum_AVPixelFormat
	planes         int
	pixel          [3]int // bytes per sample, of all components in the plane
	shiftX, shiftY int    // log2 of the chroma subsampling
}

var shapes = [...]shape{
	FormatNone: {name: "none", av: C.AV_PIX_FMT_NONE},
	I420:       {"I420", C.AV_PIX_FMT_YUV420P, 3, [3]int{1, 1, 1}, 1, 1},
	I422:       {"I422", C.AV_PIX_FMT_YUV422P, 3, [3]int{1, 1, 1}, 1, 0},
	I444:       {"I444", C.AV_PIX_FMT_YUV444P, 3, [3]int{1, 1, 1}, 0, 0},
	I420P10:    {"I420P10", C.AV_PIX_FMT_YUV420P10LE, 3, [3]int{2, 2, 2}, 1, 1},
	I422P10:    {"I422P10", C.AV_PIX_FMT_YUV422P10LE, 3, [3]int{2, 2, 2}, 1, 0},
	I444P10:    {"I444P10", C.AV_PIX_FMT_YUV444P10LE, 3, [3]int{2, 2, 2}, 0, 0},
	NV12:       {"NV12", C.AV_PIX_FMT_NV12, 2, [3]int{1, 2}, 1, 1},
	P010:       {"P010", C.AV_PIX_FMT_P010LE, 2, [3]int{2, 4}, 1, 1},
	XRGB8888:   {"XRGB8888", C.AV_PIX_FMT_BGR0, 1, [3]int{4}, 0, 0},
}

// formatOf translates a pixel format of libavutil. Its formats "J" differ
// only in that they mean full range, which a Frame says elsewhere.
func formatOf(av C.int) Format {
	switch av {
	case C.AV_PIX_FMT_YUVJ420P:
		return I420
	case C.AV_PIX_FMT_YUVJ422P:
		return I422
	case C.AV_PIX_FMT_YUVJ444P:
		return I444
	}
	for f := I420; int(f) < len(shapes); f++ {
		if C.int(shapes[f].av) == av {
			return f
		}
	}
	return FormatNone
}

func (f Format) String() string {
	if int(f) < len(shapes) {
		return shapes[f].name
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Planes returns the number of planes, 1 to 3, or 0 for no format.
func (f Format) Planes() int {
	if int(f) < len(shapes) {
		return shapes[f].planes
	}
	return 0
}

// PlaneSize returns the bytes in a row and the number of rows of plane i of a
// picture of width x height pixels, without any padding. Odd sizes round up.
func (f Format) PlaneSize(i, width, height int) (rowBytes, rows int) {
	if i < 0 || i >= f.Planes() {
		return 0, 0
	}
	s := &shapes[f]
	if i > 0 {
		width = (width + 1<<s.shiftX - 1) >> s.shiftX
		height = (height + 1<<s.shiftY - 1) >> s.shiftY
	}
	return width * s.pixel[i], height
}

// Image is a picture in memory, its own or someone else's.
type Image struct {
	Format        Format
	Width, Height int
	Planes        [3][]byte
	Strides       [3]int // bytes from row to row
}

// NewImage allocates an image whose strides are multiples of align, a power
// of two.
func NewImage(f Format, width, height, align int) *Image {
	im := &Image{Format: f, Width: width, Height: height}
	for i := range f.Planes() {
		row, rows := f.PlaneSize(i, width, height)
		im.Strides[i] = (row + align - 1) &^ (align - 1)
		im.Planes[i] = make([]byte, im.Strides[i]*rows)
	}
	return im
}

// Row returns row y of plane i without its padding.
func (im *Image) Row(i, y int) []byte {
	n, _ := im.Format.PlaneSize(i, im.Width, im.Height)
	start := y * im.Strides[i]
	return im.Planes[i][start : start+n]
}

// check says whether every row lies within its plane.
func (im *Image) check() error {
	if im.Format.Planes() == 0 || im.Width < 1 || im.Height < 1 || im.Width > maxSide || im.Height > maxSide {
		return fmt.Errorf("codec: image of %dx%d in format %v", im.Width, im.Height, im.Format)
	}
	for i := range im.Format.Planes() {
		row, rows := im.Format.PlaneSize(i, im.Width, im.Height)
		if im.Strides[i] < row || im.Strides[i] > maxStride || len(im.Planes[i]) < im.Strides[i]*(rows-1)+row {
			return fmt.Errorf("codec: plane %d of a %dx%d image in format %v has %d bytes in rows of %d",
				i, im.Width, im.Height, im.Format, len(im.Planes[i]), im.Strides[i])
		}
	}
	return nil
}

// maxSide is the longest side of a picture. Rows of maxStride keep the size of
// a plane below 2^31.
const (
	maxSide   = C.AERIE_MAX_SIDE
	maxStride = 1 << 17
)

// Colour says how the numbers of a picture are to be read. Primaries, Transfer
// and Matrix are code points of ITU-T H.273, as in the bitstream.
type Colour struct {
	Primaries, Transfer, Matrix uint8
	FullRange                   bool // 0..255, not 16..235 and 16..240
}

// Code points of ITU-T H.273 table 4 for Colour.Matrix.
const (
	MatrixBT709       = 1
	MatrixUnspecified = 2
	MatrixBT470BG     = 5 // BT.601, 625 lines
	MatrixSMPTE170M   = 6 // BT.601, 525 lines; the same numbers
	MatrixBT2020      = 9 // non-constant luminance
)
