package codec

//#cgo noescape aerie_video_receive
//#include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// Frame is one decoded picture. Its planes are views of the decoder's memory,
// to be read only: the decoder predicts later pictures from them. They are
// valid until Release, also after the decoder is closed. A Frame is reused for
// any number of pictures.
type Frame struct {
	// Image is the visible part of the picture.
	Image
	// Left and Top are the pixels that were cropped away before it.
	Left, Top int
	// ID names the PictureMemory that holds the picture; -1 is the decoder's
	// own memory.
	ID int
	// Token is what was given to Send with the data of this picture.
	Token int64
	// Key says that decoding can start here.
	Key bool
	// Corrupt says that parts of the picture were lost and made up.
	Corrupt bool
	Colour  Colour
	// AspectWidth and AspectHeight are the shape of a pixel; 0 is unknown.
	AspectWidth, AspectHeight int

	av   *astiav.Frame
	info C.aerie_picture
}

// NewFrame makes an empty frame. Free it when it is no longer needed.
func NewFrame() (*Frame, error) {
	f := &Frame{av: astiav.AllocFrame(), ID: -1}
	if f.av == nil {
		return nil, failure("allocate frame", C.AERIE_ERROR_NOMEM)
	}
	return f, nil
}

// Release gives the picture back to the decoder. Releasing an empty frame does
// nothing.
func (f *Frame) Release() {
	C.aerie_frame_release(f.c())
	f.forget()
}

// forget clears what would be dangerous to use without the picture.
func (f *Frame) forget() {
	f.Image = Image{}
	f.ID = -1
}

// Move releases to and hands it the picture, leaving f empty.
func (f *Frame) Move(to *Frame) {
	if to == f {
		return
	}
	C.aerie_frame_move(to.c(), f.c())
	av := to.av
	*to = *f
	to.av = av
	f.forget()
}

// Free releases the picture and the frame itself.
func (f *Frame) Free() {
	f.forget()
	f.av.Free()
}

func (f *Frame) c() *C.AVFrame { return (*C.AVFrame)(f.av.UnsafePointer()) }

// describe fills the public fields from what the shim found.
func (f *Frame) describe() error {
	p := &f.info
	f.Format = formatOf(p.format)
	f.Left, f.Top = int(p.left), int(p.top)
	f.Width = int(p.width) - f.Left - int(p.right)
	f.Height = int(p.height) - f.Top - int(p.bottom)
	if f.Format == FormatNone || f.Width < 1 || f.Height < 1 || f.Left < 0 || f.Top < 0 {
		return fmt.Errorf("codec: decoded a picture of %dx%d in format %d", f.Width, f.Height, p.format)
	}
	f.view()
	f.ID = int(p.id)
	f.Token = int64(p.token)
	f.Key = p.key != 0
	f.Corrupt = p.corrupt != 0
	f.Colour = Colour{uint8(p.primaries), uint8(p.transfer), uint8(p.matrix), p.full_range != 0}
	f.AspectWidth, f.AspectHeight = int(p.aspect_num), int(p.aspect_den)
	return nil
}

// view makes the planes of the visible part. Chroma is cropped by whole
// samples, as the bitstream does it.
func (f *Frame) view() {
	s := &shapes[f.Format]
	for i := range s.planes {
		x, y := f.Left, f.Top
		if i > 0 {
			x, y = x>>s.shiftX, y>>s.shiftY
		}
		stride := int(f.info.stride[i])
		row, rows := f.Format.PlaneSize(i, f.Width, f.Height)
		start := unsafe.Add(unsafe.Pointer(f.info.data[i]), y*stride+x*s.pixel[i])
		f.Planes[i] = unsafe.Slice((*byte)(start), stride*(rows-1)+row)
		f.Strides[i] = stride
	}
	for i := s.planes; i < len(f.Planes); i++ {
		f.Planes[i], f.Strides[i] = nil, 0
	}
}
