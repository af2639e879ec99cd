package stateless

import (
	"unsafe"

	"aerie/hw/v4l2/uapi"
)

// queryExtCtrl is struct v4l2_query_ext_ctrl.
type queryExtCtrl struct {
	ID           uint32
	Type         uint32
	Name         [32]byte
	Minimum      int64
	Maximum      int64
	Step         uint64
	DefaultValue int64
	Flags        uint32
	ElemSize     uint32
	Elems        uint32
	NrOfDims     uint32
	Dims         [4]uint32
	_            [32]uint32
}

const (
	ioWrite = 1 << 30
	ioRead  = 2 << 30
	video   = 'V' << 8
	media   = '|' << 8
)

// The calls that only stateless decoders need: of videodev2.h and media.h.
var (
	callQueryCtrl    = uapi.Request{Number: ioRead | ioWrite | uint32(unsafe.Sizeof(queryExtCtrl{}))<<16 | video | 103, Name: "VIDIOC_QUERY_EXT_CTRL"}
	callRequestAlloc = uapi.Request{Number: ioRead | 4<<16 | media | 0x05, Name: "MEDIA_IOC_REQUEST_ALLOC"}
	callRequestQueue = uapi.Request{Number: media | 0x80, Name: "MEDIA_REQUEST_IOC_QUEUE"}
	callRequestInit  = uapi.Request{Number: media | 0x81, Name: "MEDIA_REQUEST_IOC_REINIT"}
)

// Control ids and values.
const (
	cidSPS           = 0x00a40a90
	cidPPS           = cidSPS + 1
	cidSliceParams   = cidSPS + 2
	cidScalingMatrix = cidSPS + 3
	cidDecodeParams  = cidSPS + 4
	cidDecodeMode    = cidSPS + 5
	cidStartCode     = cidSPS + 6
	cidEntryPoints   = cidSPS + 7

	modeFrame       = 1 // V4L2_STATELESS_HEVC_DECODE_MODE_FRAME_BASED
	startCodeAnnexB = 1

	flagDynamicArray = 0x0800
)
