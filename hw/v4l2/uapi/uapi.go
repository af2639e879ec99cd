// Package uapi is what the decoders of this folder share of the kernel's video
// interface: the structures and numbers of include/uapi/linux/videodev2.h under
// Go names, one open device, and the seam at which tests put a simulated
// kernel or a fault. It leaves to its users in which order calls are made.
//
// Structures hold user pointers as numbers, since the kernel writes other
// things into the same place; whoever makes the call keeps alive, and pins,
// what they point to.
//
// Proof: uapi_test.go compares every structure, number and constant with what
// the C compilers of amd64, arm64 and arm (64-bit time) say of the kernel's
// headers, and runs the comparison under emulation on the machines that are not
// this one. file_test.go holds what File adds to a bare call.
package uapi

// Capability is struct v4l2_capability.
type Capability struct {
	Driver       [16]byte
	Card         [32]byte
	BusInfo      [32]byte
	Version      uint32
	Capabilities uint32 // of the device
	DeviceCaps   uint32 // of this node, if CapDeviceCaps is set
	_            [3]uint32
}

// Caps are the capabilities of the node that was opened.
func (c *Capability) Caps() uint32 {
	if c.Capabilities&CapDeviceCaps != 0 {
		return c.DeviceCaps
	}
	return c.Capabilities
}

// Fmtdesc is struct v4l2_fmtdesc, one entry of the list of formats.
type Fmtdesc struct {
	Index       uint32
	Type        BufType
	Flags       uint32
	Description [32]byte
	PixelFormat FourCC
	MbusCode    uint32
	_           [3]uint32
}

// PixFormat is struct v4l2_pix_format, of single-planar queues.
type PixFormat struct {
	Width, Height uint32 // pixels
	PixelFormat   FourCC
	Field         uint32
	BytesPerLine  uint32
	SizeImage     uint32 // bytes
	Colorspace    uint32
	Priv          uint32
	Flags         uint32
	YcbcrEnc      uint32
	Quantization  uint32
	XferFunc      uint32
}

// PlanePixFormat is struct v4l2_plane_pix_format, one memory plane.
type PlanePixFormat struct {
	SizeImage    uint32 // bytes
	BytesPerLine uint32
	_            [6]uint16
}

// PixFormatMplane is struct v4l2_pix_format_mplane, of multi-planar queues.
type PixFormatMplane struct {
	Width, Height uint32 // pixels
	PixelFormat   FourCC
	Field         uint32
	Colorspace    uint32
	PlaneFmt      [MaxPlanes]PlanePixFormat
	NumPlanes     uint8
	Flags         uint8
	YcbcrEnc      uint8
	Quantization  uint8
	XferFunc      uint8
	_             [7]uint8
}

// Format is struct v4l2_format. Fmt is a union: see Pix and PixMP.
type Format struct {
	Type BufType
	_    [0]uintptr // the union holds pointers
	Fmt  [200]byte
}

// Requestbuffers is struct v4l2_requestbuffers.
type Requestbuffers struct {
	Count        uint32
	Type         BufType
	Memory       uint32
	Capabilities uint32
	Flags        uint8
	_            [3]uint8
}

// Timeval is struct timeval with 64-bit seconds. Decoders copy it from the
// coded data to the picture and do not look into it.
type Timeval struct{ Sec, Usec int64 }

// Buffer is struct v4l2_buffer.
type Buffer struct {
	Index     uint32
	Type      BufType
	BytesUsed uint32 // of a single-planar buffer
	Flags     uint32
	Field     uint32
	_         uint32
	Timestamp Timeval
	Timecode  [16]byte
	Sequence  uint32
	Memory    uint32
	M         uintptr // single-planar: offset; multi-planar: the address of Length planes
	Length    uint32  // bytes, or number of planes
	Reserved2 uint32
	RequestFD int32
}

// Plane is struct v4l2_plane.
type Plane struct {
	BytesUsed  uint32
	Length     uint32
	M          uintptr // the offset for mmap
	DataOffset uint32
	_          [11]uint32
}

// Exportbuffer is struct v4l2_exportbuffer.
type Exportbuffer struct {
	Type  BufType
	Index uint32
	Plane uint32
	Flags uint32 // of the new descriptor: O_CLOEXEC, O_RDWR
	FD    int32
	_     [11]uint32
}

// Rect is struct v4l2_rect, in pixels.
type Rect struct {
	Left, Top     int32
	Width, Height uint32
}

// Selection is struct v4l2_selection.
type Selection struct {
	Type   BufType
	Target uint32
	Flags  uint32
	R      Rect
	_      [9]uint32
}

// Control is struct v4l2_control.
type Control struct {
	ID    uint32
	Value int32
}

// ExtControl is struct v4l2_ext_control, which the kernel packs: Value is a
// number or the address of Size bytes.
type ExtControl struct {
	ID, Size  uint32
	Reserved2 uint32
	Value     [8]byte
}

// ExtControls is struct v4l2_ext_controls.
type ExtControls struct {
	Which     uint32
	Count     uint32
	ErrorIdx  uint32
	RequestFD int32
	_         uint32
	Controls  uintptr // the address of Count ExtControl
}

// EventSubscription is struct v4l2_event_subscription.
type EventSubscription struct {
	Type, ID, Flags uint32
	_               [5]uint32
}

// Event is struct v4l2_event. Of a source change, U begins with what changed.
type Event struct {
	Type      uint32
	_         uint32
	U         [64]byte
	Pending   uint32
	Sequence  uint32
	Timestamp Timeval // CLOCK_MONOTONIC, its second part in nanoseconds
	ID        uint32
	_         [8]uint32
	_         uint32
}

// DecoderCmd is struct v4l2_decoder_cmd.
type DecoderCmd struct {
	Cmd, Flags uint32
	Raw        [16]uint32
}

// FrmsizeStepwise is struct v4l2_frmsize_stepwise, in pixels.
type FrmsizeStepwise struct {
	MinWidth, MaxWidth, StepWidth, MinHeight, MaxHeight, StepHeight uint32
}

// Frmsizeenum is struct v4l2_frmsizeenum. A discrete size is the first two
// numbers of Stepwise.
type Frmsizeenum struct {
	Index       uint32
	PixelFormat FourCC
	Type        uint32
	Stepwise    FrmsizeStepwise
	_           [2]uint32
}
