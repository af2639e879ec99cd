package codec

//#include "shim.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// PictureMemory lends a video decoder the memory that it decodes into, so that
// a display can show pictures from where they were decoded. The memory must
// not be Go's (it is a mapping of a dumb buffer or a dma-heap) and should be
// cached: every picture is read again as a reference for the next ones.
//
// The methods are called within those of the decoder and of Frame, on threads
// of the decoder too, several at a time when it has more than one. They must
// not call the decoder and should not block.
type PictureMemory interface {
	// Lend returns memory for one picture, or false when there is none: then
	// the decoder uses its own memory for this picture, which has to be
	// copied to be shown.
	Lend(l Layout) (Picture, bool)
	// Return is called once for every picture lent, when neither the decoder
	// nor any Frame refers to it any more, or at once when it did not suit.
	Return(id int)
}

// Layout is what a decoder needs of the memory of one picture.
type Layout struct {
	Format        Format
	Width, Height int    // of the coded picture, before cropping
	Planes        int    // 1 to 3
	Strides       [3]int // at least this many bytes from row to row
	Rows          [3]int // rows that are written, more than the height has
	Align         int    // of the planes' addresses and of the strides
	Tail          int    // bytes behind a plane's last row that must be readable
	// Exact says that the strides must be those given here, because earlier
	// pictures of the sequence have them.
	Exact bool
}

// Picture is the memory of one picture. A plane may extend over the next one:
// Planes[i] need only hold Strides[i]*Rows[i]+Tail bytes.
type Picture struct {
	ID      int // the lender's name for it, 0 or more
	Planes  [3][]byte
	Strides [3]int
}

//export aeriePictureTake
func aeriePictureTake(handle C.uintptr_t, layout *C.aerie_layout, exact C.int, memory *C.aerie_memory) C.int {
	l := Layout{
		Format: formatOf(layout.format),
		Width:  int(layout.width),
		Height: int(layout.height),
		Planes: int(layout.planes),
		Align:  int(layout.align),
		Tail:   int(layout.tail),
		Exact:  exact != 0,
	}
	for i := range l.Planes {
		l.Strides[i], l.Rows[i] = int(layout.stride[i]), int(layout.rows[i])
	}
	p, ok := cgo.Handle(handle).Value().(PictureMemory).Lend(l)
	if !ok || p.ID < 0 {
		return 0
	}
	memory.id = C.int(p.ID)
	for i := range l.Planes {
		memory.data[i] = (*C.uint8_t)(unsafe.SliceData(p.Planes[i]))
		memory.size[i] = C.size_t(len(p.Planes[i]))
		memory.stride[i] = C.int(p.Strides[i])
	}
	return 1
}

//export aeriePictureGive
func aeriePictureGive(handle C.uintptr_t, id C.int) {
	cgo.Handle(handle).Value().(PictureMemory).Return(int(id))
}

//export aeriePictureForget
func aeriePictureForget(handle C.uintptr_t) { cgo.Handle(handle).Delete() }
