package alsa

import "unsafe"

// The structs and numbers of include/uapi/sound/asound.h that the package
// uses, under Go names. uframes and sframes are the kernel's
// snd_pcm_uframes_t and snd_pcm_sframes_t; they and every other type whose
// width depends on the machine are in uapi_64.go and uapi_arm.go. 32-bit arm
// uses the variants with 64-bit time (kernel 5.6 and later), which a 64-bit
// kernel serves to a 32-bit program as well.

// timespec is struct __kernel_timespec.
type timespec struct{ Sec, Nsec int64 }

func (t timespec) ns() int64 { return t.Sec*1e9 + t.Nsec }

// mask is struct snd_mask: 256 bits, one per value of an enumeration.
type mask [8]uint32

func (m *mask) has(bit int) bool { return m[bit/32]>>(bit%32)&1 != 0 }
func (m *mask) only(bit int)     { *m = mask{}; m[bit/32] = 1 << (bit % 32) }

// interval is struct snd_interval, a range of values.
type interval struct{ Min, Max, Flags uint32 }

// Bits of interval.Flags.
const (
	intervalOpenMin = 1 << iota // Min itself is outside
	intervalOpenMax             // Max itself is outside
	intervalInteger
)

// hwParams is struct snd_pcm_hw_params: the space of configurations that
// remain possible.
type hwParams struct {
	Flags            uint32
	Masks            [3]mask // paramAccess...
	_                [5]mask
	Intervals        [12]interval // paramSampleBits...
	_                [9]interval
	Rmask            uint32 // parameters the caller changed
	Cmask            uint32 // parameters the kernel changed
	Info             uint32
	Msbits           uint32
	RateNum, RateDen uint32
	FifoSize         uframes
	_                [64]byte
}

// Indices of hwParams.Masks and hwParams.Intervals.
const (
	paramAccess    = 0
	paramFormat    = 1
	paramSubformat = 2

	paramChannels   = 10 - 8
	paramRate       = 11 - 8
	paramPeriodSize = 13 - 8 // frames
	paramPeriods    = 15 - 8
	paramBufferSize = 17 - 8 // frames
)

const (
	accessMmapInterleaved = 0
	accessRWInterleaved   = 3
	infoBatch             = 0x10 // the position moves in large steps
)

// swParams is struct snd_pcm_sw_params.
type swParams struct {
	TstampMode       int32
	PeriodStep       uint32
	SleepMin         uint32
	AvailMin         uframes
	XferAlign        uframes
	StartThreshold   uframes
	StopThreshold    uframes
	SilenceThreshold uframes
	SilenceSize      uframes
	Boundary         uframes
	Proto            uint32
	TstampType       uint32
	_                [56]byte
}

const (
	tstampEnable    = 1
	tstampMonotonic = 1 // CLOCK_MONOTONIC
)

// pcmStatus is struct snd_pcm_status.
type pcmStatus struct {
	State               int32
	_                   [4]byte
	TriggerTstamp       timespec
	Tstamp              timespec
	ApplPtr, HwPtr      uframes
	Delay               sframes
	Avail, AvailMax     uframes
	Overrange           uframes
	SuspendedState      int32
	AudioTstampData     uint32
	AudioTstamp         timespec
	DriverTstamp        timespec
	AudioTstampAccuracy uint32
	_                   [20]byte
}

// mmapStatus is struct snd_pcm_mmap_status.
type mmapStatus struct {
	State          int32
	_              [4]byte
	HwPtr          uframes
	_              [8 - unsafe.Sizeof(uframes(0))]byte
	Tstamp         timespec
	SuspendedState int32
	_              [4]byte
	AudioTstamp    timespec
}

// syncPtr is struct snd_pcm_sync_ptr: the two pages above handed over in a
// call, for machines where they cannot be mapped.
type syncPtr struct {
	Flags   uint32
	_       [4]byte
	Status  mmapStatus
	_       [64 - unsafe.Sizeof(mmapStatus{})]byte
	Control mmapControl
	_       [64 - unsafe.Sizeof(mmapControl{})]byte
}

// Bits of syncPtr.Flags.
const (
	syncHwsync   = 1 // ask the hardware where it is
	syncAppl     = 2 // read the application pointer instead of setting it
	syncAvailMin = 4 // likewise
)

// xferi is struct snd_xferi.
type xferi struct {
	Result sframes
	Buf    unsafe.Pointer
	Frames uframes
}

// pcmInfo is struct snd_pcm_info.
type pcmInfo struct {
	Device, Subdevice uint32
	Stream, Card      int32 // stream 0 is playback
	ID                [64]byte
	Name              [80]byte
	Subname           [32]byte
	Class, Subclass   int32
	SubdevicesCount   uint32
	SubdevicesAvail   uint32
	_                 [16 + 64]byte
}

// cardInfo is struct snd_ctl_card_info.
type cardInfo struct {
	Card       int32
	_          int32
	ID, Driver [16]byte
	Name       [32]byte
	Longname   [80]byte
	_          [16]byte
	Mixername  [80]byte
	Components [128]byte
}

// elemID is struct snd_ctl_elem_id: the name of a control element.
type elemID struct {
	Numid             uint32
	Iface             int32
	Device, Subdevice uint32
	Name              [44]byte
	Index             uint32
}

const (
	ifaceCard  = 0
	ifaceMixer = 2
	ifacePCM   = 3
)

// elemList is struct snd_ctl_elem_list.
type elemList struct {
	Offset, Space, Used, Count uint32
	IDs                        unsafe.Pointer // [Space]elemID
	_                          [52 + 4*(unsafe.Sizeof(uintptr(0))/8)]byte
}

// elemInfo is struct snd_ctl_elem_info. Value starts with minimum, maximum
// and step, each as wide as a pointer, for an integer element.
type elemInfo struct {
	ID     elemID
	Type   int32
	Access uint32
	Count  uint32
	Owner  int32
	Value  [128]byte
	_      [64]byte
}

const (
	elemBoolean = 1
	elemInteger = 2
	elemBytes   = 4

	accessReadWrite    = 3
	accessTLVRead      = 1 << 4
	accessTLVReadWrite = 3 << 4
)

// elemValue is struct snd_ctl_elem_value. Value holds 128 integers as wide as
// a pointer, or 512 bytes.
type elemValue struct {
	ID       elemID
	Indirect uint32
	_        uint32
	Value    [128 * unsafe.Sizeof(uintptr(0))]byte
	_        [128]byte
}

// ctlEvent is struct snd_ctl_event.
type ctlEvent struct {
	Type int32
	Mask uint32
	ID   elemID
}

// tlv is struct snd_ctl_tlv with room for the data behind it.
type tlv struct {
	Numid  uint32
	Length uint32 // bytes in Data
	Data   [64]uint32
}

// request is the direction, size, type and number of an ioctl (kernel
// Documentation/userspace-api/ioctl/ioctl-decoding.rst).
type request uintptr

const (
	ioWrite = 1 << 30
	ioRead  = 2 << 30
)

const (
	pcmPVersion     request = ioRead | 4<<16 | 'A'<<8 | 0x00
	pcmUserPVersion request = ioWrite | 4<<16 | 'A'<<8 | 0x04
	pcmHwRefine     request = ioRead | ioWrite | request(unsafe.Sizeof(hwParams{}))<<16 | 'A'<<8 | 0x10
	pcmHwParams     request = ioRead | ioWrite | request(unsafe.Sizeof(hwParams{}))<<16 | 'A'<<8 | 0x11
	pcmSwParams     request = ioRead | ioWrite | request(unsafe.Sizeof(swParams{}))<<16 | 'A'<<8 | 0x13
	pcmStatusGet    request = ioRead | request(unsafe.Sizeof(pcmStatus{}))<<16 | 'A'<<8 | 0x20
	pcmSyncPtr      request = ioRead | ioWrite | request(unsafe.Sizeof(syncPtr{}))<<16 | 'A'<<8 | 0x23
	pcmPrepare      request = 'A'<<8 | 0x40
	pcmStart        request = 'A'<<8 | 0x42
	pcmDrop         request = 'A'<<8 | 0x43
	pcmResume       request = 'A'<<8 | 0x47
	pcmWriteI       request = ioWrite | request(unsafe.Sizeof(xferi{}))<<16 | 'A'<<8 | 0x50

	ctlCardInfo  request = ioRead | request(unsafe.Sizeof(cardInfo{}))<<16 | 'U'<<8 | 0x01
	ctlElemList  request = ioRead | ioWrite | request(unsafe.Sizeof(elemList{}))<<16 | 'U'<<8 | 0x10
	ctlElemInfo  request = ioRead | ioWrite | request(unsafe.Sizeof(elemInfo{}))<<16 | 'U'<<8 | 0x11
	ctlElemRead  request = ioRead | ioWrite | request(unsafe.Sizeof(elemValue{}))<<16 | 'U'<<8 | 0x12
	ctlElemWrite request = ioRead | ioWrite | request(unsafe.Sizeof(elemValue{}))<<16 | 'U'<<8 | 0x13
	ctlSubscribe request = ioRead | ioWrite | 4<<16 | 'U'<<8 | 0x16
	ctlTLVRead   request = ioRead | ioWrite | 8<<16 | 'U'<<8 | 0x1a
	ctlPCMNext   request = ioRead | 4<<16 | 'U'<<8 | 0x30
	ctlPCMInfo   request = ioRead | ioWrite | request(unsafe.Sizeof(pcmInfo{}))<<16 | 'U'<<8 | 0x31
)

// names are the kernel's names of the calls, for messages.
var names = map[request]string{
	pcmPVersion: "PVERSION", pcmUserPVersion: "USER_PVERSION", pcmHwRefine: "HW_REFINE", pcmHwParams: "HW_PARAMS",
	pcmSwParams: "SW_PARAMS", pcmStatusGet: "STATUS", pcmSyncPtr: "SYNC_PTR", pcmPrepare: "PREPARE", pcmStart: "START",
	pcmDrop: "DROP", pcmResume: "RESUME", pcmWriteI: "WRITEI_FRAMES",
	ctlCardInfo: "CARD_INFO", ctlElemList: "ELEM_LIST", ctlElemInfo: "ELEM_INFO", ctlElemRead: "ELEM_READ",
	ctlElemWrite: "ELEM_WRITE", ctlSubscribe: "SUBSCRIBE_EVENTS", ctlTLVRead: "TLV_READ", ctlPCMNext: "PCM_NEXT_DEVICE",
	ctlPCMInfo: "PCM_INFO",
}

func (r request) String() string { return names[r] }
