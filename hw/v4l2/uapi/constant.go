package uapi

import "unsafe"

// BufType is enum v4l2_buf_type: which queue of a device.
type BufType uint32

// The queues of a decoder: Output takes coded data, Capture gives pictures.
const (
	Capture       BufType = 1
	Output        BufType = 2
	CaptureMplane BufType = 9
	OutputMplane  BufType = 10
)

// Mplane tells whether buffers of the queue have an array of planes.
func (t BufType) Mplane() bool { return t == CaptureMplane || t == OutputMplane }

func (t BufType) String() string {
	if t == Output || t == OutputMplane {
		return "OUTPUT"
	}
	return "CAPTURE"
}

// FourCC is a pixel or stream format, a four-character code.
type FourCC uint32

// Code makes a four-character code.
func Code(s string) FourCC {
	return FourCC(s[0]) | FourCC(s[1])<<8 | FourCC(s[2])<<16 | FourCC(s[3])<<24
}

func (f FourCC) String() string {
	b := [4]byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b[:])
}

// Constants of videodev2.h.
const (
	MaxPlanes = 8 // VIDEO_MAX_PLANES
	MaxFrames = 32

	CapM2MMplane  = 0x00004000
	CapM2M        = 0x00008000
	CapStreaming  = 0x04000000
	CapDeviceCaps = 0x80000000

	MemoryMmap   = 1
	MemoryDMABuf = 4

	FieldNone = 1

	BufFlagKeyframe  = 0x00000008
	BufFlagError     = 0x00000040
	BufFlagInRequest = 0x00000080
	BufFlagLast      = 0x00100000
	BufFlagRequestFD = 0x00800000

	BufCapRequests = 1 << 3

	SelCompose = 0x100

	EventEOS          = 2
	EventSourceChange = 5
	ChangeResolution  = 1

	DecStart = 0
	DecStop  = 1

	FmtFlagCompressed = 1
	FrmsizeDiscrete   = 1

	CtrlWhichCurrent = 0
	CtrlWhichRequest = 0x0f010000

	CIDMinBuffersForCapture = 0x00980927
	CIDDisplayDelay         = 0x00990b8d
	CIDDisplayDelayEnable   = 0x00990b8e
)

// Formats that this folder names. A column of 128 bytes is Broadcom's: the
// kernel of the Raspberry Pi has them (hardware reference section 2).
var (
	H264 = Code("H264")
	FWHT = Code("FWHT")
	NV12 = Code("NV12")
	YUV  = Code("YU12")
	XBGR = Code("XR24") // bytes B G R x, V4L2_PIX_FMT_XBGR32
	NC12 = Code("NC12") // NV12 in columns
	NC30 = Code("NC30") // 10 bit in columns
	HEVC = Code("HEVC")
	S265 = Code("S265") // HEVC slices for a stateless decoder
)

// Pix is the union as the format of a single-planar queue.
func (f *Format) Pix() *PixFormat { return (*PixFormat)(unsafe.Pointer(&f.Fmt)) }

// PixMP is the union as the format of a multi-planar queue.
func (f *Format) PixMP() *PixFormatMplane { return (*PixFormatMplane)(unsafe.Pointer(&f.Fmt)) }

// Request is the direction, size, type and number of an ioctl (kernel
// Documentation/userspace-api/ioctl/ioctl-decoding.rst), and the name that
// messages give it.
type Request struct {
	Number uint32
	Name   string
}

const (
	ioWrite = 1 << 30
	ioRead  = 2 << 30
)

func ioctl[T any](direction, nr uint32, name string) Request {
	var z T
	return Request{direction | uint32(unsafe.Sizeof(z))<<16 | 'V'<<8 | nr, "VIDIOC_" + name}
}

// The calls.
var (
	QueryCap       = ioctl[Capability](ioRead, 0, "QUERYCAP")
	EnumFmt        = ioctl[Fmtdesc](ioRead|ioWrite, 2, "ENUM_FMT")
	GFmt           = ioctl[Format](ioRead|ioWrite, 4, "G_FMT")
	SFmt           = ioctl[Format](ioRead|ioWrite, 5, "S_FMT")
	TryFmt         = ioctl[Format](ioRead|ioWrite, 64, "TRY_FMT")
	ReqBufs        = ioctl[Requestbuffers](ioRead|ioWrite, 8, "REQBUFS")
	QueryBuf       = ioctl[Buffer](ioRead|ioWrite, 9, "QUERYBUF")
	QBuf           = ioctl[Buffer](ioRead|ioWrite, 15, "QBUF")
	ExpBuf         = ioctl[Exportbuffer](ioRead|ioWrite, 16, "EXPBUF")
	DQBuf          = ioctl[Buffer](ioRead|ioWrite, 17, "DQBUF")
	StreamOn       = ioctl[uint32](ioWrite, 18, "STREAMON")
	StreamOff      = ioctl[uint32](ioWrite, 19, "STREAMOFF")
	GCtrl          = ioctl[Control](ioRead|ioWrite, 27, "G_CTRL")
	SCtrl          = ioctl[Control](ioRead|ioWrite, 28, "S_CTRL")
	GExtCtrls      = ioctl[ExtControls](ioRead|ioWrite, 71, "G_EXT_CTRLS")
	SExtCtrls      = ioctl[ExtControls](ioRead|ioWrite, 72, "S_EXT_CTRLS")
	EnumFrameSizes = ioctl[Frmsizeenum](ioRead|ioWrite, 74, "ENUM_FRAMESIZES")
	DQEvent        = ioctl[Event](ioRead, 89, "DQEVENT")
	SubscribeEvent = ioctl[EventSubscription](ioWrite, 90, "SUBSCRIBE_EVENT")
	GSelection     = ioctl[Selection](ioRead|ioWrite, 94, "G_SELECTION")
	SendDecoderCmd = ioctl[DecoderCmd](ioRead|ioWrite, 96, "DECODER_CMD")
)
