package drm

import "fmt"

// Format is a pixel format, a four-character code of drm_fourcc.h.
type Format uint32

// The formats this package knows how to lay out. RGB names read from the most
// significant bit of a little-endian word.
const (
	XRGB8888 Format = 'X' | 'R'<<8 | '2'<<16 | '4'<<24 // bytes B G R x
	ARGB8888 Format = 'A' | 'R'<<8 | '2'<<16 | '4'<<24 // bytes B G R A, colour premultiplied
	XBGR8888 Format = 'X' | 'B'<<8 | '2'<<16 | '4'<<24 // bytes R G B x
	ABGR8888 Format = 'A' | 'B'<<8 | '2'<<16 | '4'<<24 // bytes R G B A, colour premultiplied
	RGB565   Format = 'R' | 'G'<<8 | '1'<<16 | '6'<<24
	NV12     Format = 'N' | 'V'<<8 | '1'<<16 | '2'<<24 // Y, then Cb Cr interleaved, 4:2:0
	NV21     Format = 'N' | 'V'<<8 | '2'<<16 | '1'<<24 // Y, then Cr Cb interleaved, 4:2:0
	YUV420   Format = 'Y' | 'U'<<8 | '1'<<16 | '2'<<24 // Y, Cb, Cr, 4:2:0
	YVU420   Format = 'Y' | 'V'<<8 | '1'<<16 | '2'<<24 // Y, Cr, Cb, 4:2:0
	P030     Format = 'P' | '0'<<8 | '3'<<16 | '0'<<24 // as NV12, three 10-bit samples in 4 bytes; only with SAND128
)

// String gives the four characters.
func (f Format) String() string {
	b := [4]byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("0x%08x", uint32(f))
		}
	}
	return string(b[:])
}

// channel is the geometry of one memory plane of a format.
type channel struct {
	bytes      int // per sample, interleaved ones counted together
	hsub, vsub int // pixels per sample across and down
}

// channels is the layout of a format's memory planes, nil for one unknown.
func (f Format) channels() []channel {
	switch f {
	case XRGB8888, ARGB8888, XBGR8888, ABGR8888:
		return rgb32
	case RGB565:
		return rgb16
	case NV12, NV21, P030:
		return semiPlanar
	case YUV420, YVU420:
		return planar
	}
	return nil
}

var (
	rgb32      = []channel{{4, 1, 1}}
	rgb16      = []channel{{2, 1, 1}}
	semiPlanar = []channel{{1, 1, 1}, {2, 2, 2}}
	planar     = []channel{{1, 1, 1}, {1, 2, 2}, {1, 2, 2}}
)

// IsYUV reports whether the format carries luma and chroma, so that a picture's
// Color applies.
func (f Format) IsYUV() bool { return len(f.channels()) > 1 }

// Modifier is a memory layout, a number of drm_fourcc.h.
type Modifier uint64

const (
	Linear    Modifier = 0
	Implicit  Modifier = 1<<56 - 1 // no modifier is passed on; the driver knows
	VC4TTiled Modifier = broadcom | 1

	broadcom      Modifier = 0x07 << 56
	broadcomParam Modifier = 0xffffffffffff00 // parameter bits of a Broadcom modifier
	vendorMask    Modifier = 0xff << 56
)

// SAND128 is Broadcom's layout in columns 128 bytes wide; height is that of a
// column in rows, luma and chroma together (hardware reference section 2).
func SAND128(height int) Modifier { return broadcom | Modifier(height)<<8&broadcomParam | 4 }

// kind is the modifier without its parameters: what IN_FORMATS lists.
func (m Modifier) kind() Modifier {
	if m&vendorMask == broadcom {
		return m &^ broadcomParam
	}
	return m
}

func (m Modifier) String() string {
	switch {
	case m == Linear:
		return "linear"
	case m == Implicit:
		return "implicit"
	case m == VC4TTiled:
		return "t-tiled"
	case m.kind() == SAND128(0):
		return fmt.Sprintf("sand128(%d)", m&broadcomParam>>8)
	}
	return fmt.Sprintf("%#x", uint64(m))
}

// Encoding is the matrix between RGB and YCbCr (Rec. ITU-R BT.601, 709, 2020).
type Encoding uint8

const (
	BT709 Encoding = iota
	BT601
	BT2020
)

// Range is the range of the samples.
type Range uint8

const (
	Limited Range = iota // 16-235 and 16-240
	Full                 // 0-255
)

// Color says how a YCbCr picture is to be turned into RGB; the zero value is
// BT.709 in limited range, as H.264 means when it says nothing at high
// definition. RGB pictures ignore it.
type Color struct {
	Encoding Encoding
	Range    Range
}

// The names of the enumeration values of the plane properties COLOR_ENCODING
// and COLOR_RANGE (kernel drm_color_mgmt.c).
var (
	encodingNames = [...]string{BT709: "ITU-R BT.709 YCbCr", BT601: "ITU-R BT.601 YCbCr", BT2020: "ITU-R BT.2020 YCbCr"}
	rangeNames    = [...]string{Limited: "YCbCr limited range", Full: "YCbCr full range"}
)

// Rotation turns everything that is shown; the values are those of the plane
// property "rotation".
type Rotation uint8

const (
	Upright    Rotation = 1 << 0
	UpsideDown Rotation = 1 << 2 // by 180 degrees
	MirrorX    Rotation = 1<<0 | 1<<4
	MirrorY    Rotation = 1<<0 | 1<<5
)
