package codec

//#cgo noescape aerie_converter_prepare
//#cgo noescape aerie_converter_run
//#include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Converter writes decoded pictures into memory of another kind: another pixel
// format, size, or only another place. The zero value is ready; it keeps what
// it prepared for the last kind of picture. A Converter belongs to one
// goroutine at a time.
type Converter struct{ c C.aerie_converter }

// Convert writes the picture in src to dst, scaled to dst's size, and touches
// no byte of dst outside the visible rows. YUV formats keep the colours' matrix
// and range; XRGB8888 has full range, and the unused byte is 255. A matrix that
// the stream does not tell is taken to be BT.709 from 720 lines on and BT.601
// below, as television does.
func (v *Converter) Convert(dst *Image, src *Frame) error {
	if err := dst.check(); err != nil {
		return err
	}
	if err := src.check(); err != nil {
		return err
	}
	from, to := &src.Image, dst
	ret := C.aerie_converter_prepare(&v.c, from.shape(), to.shape(), C.int(src.matrix()), bit(src.Colour.FullRange))
	if ret >= 0 {
		ret = C.aerie_converter_run(&v.c,
			from.plane(0), from.plane(1), from.plane(2),
			C.int(from.Strides[0]), C.int(from.Strides[1]), C.int(from.Strides[2]),
			to.plane(0), to.plane(1), to.plane(2),
			C.int(to.Strides[0]), C.int(to.Strides[1]), C.int(to.Strides[2]))
	}
	if ret < 0 {
		return failure(fmt.Sprintf("convert %v %dx%d to %v %dx%d", from.Format, from.Width, from.Height, to.Format, to.Width, to.Height), ret)
	}
	return nil
}

// Close frees what was prepared. The Converter may be used again.
func (v *Converter) Close() { C.aerie_converter_free(&v.c) }

func (im *Image) shape() C.aerie_shape {
	return C.aerie_shape{C.int(shapes[im.Format].av), C.int(im.Width), C.int(im.Height)}
}

func (im *Image) plane(i int) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(im.Planes[i])) }

// matrix returns the SWS_CS code for the picture; those codes are the code
// points of H.273, and libswscale takes any it does not know for BT.601.
func (f *Frame) matrix() int {
	if f.Colour.Matrix == MatrixUnspecified {
		if f.Height >= 720 || f.Width >= 1280 {
			return MatrixBT709
		}
		return MatrixSMPTE170M
	}
	return int(f.Colour.Matrix)
}

func bit(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
