package drm

import "unsafe"

// The structures below mirror include/uapi/drm/drm.h and drm_mode.h: same
// order, same names without underscores, same sizes and offsets on every
// architecture (version alone depends on the word size). uapi_test.go compares
// each with what a C compiler says. A field ending in Ptr is a user pointer in
// 64 bits; what it points to is pinned for the length of the call (see pins).

type version struct { // drm_version
	versionMajor, versionMinor, versionPatchlevel int32
	nameLen                                       uintptr
	name                                          uintptr
	dateLen                                       uintptr
	date                                          uintptr
	descLen                                       uintptr
	desc                                          uintptr
}

type getCap struct{ capability, value uint64 } // drm_get_cap

type setClientCap struct{ capability, value uint64 } // drm_set_client_cap

type gemClose struct{ handle, pad uint32 } // drm_gem_close

type primeHandle struct { // drm_prime_handle
	handle, flags uint32
	fd            int32
}

type cardRes struct { // drm_mode_card_res
	fbIDPtr, crtcIDPtr, connectorIDPtr, encoderIDPtr     uint64
	countFBs, countCRTCs, countConnectors, countEncoders uint32
	minWidth, maxWidth, minHeight, maxHeight             uint32
}

type modeInfo struct { // drm_mode_modeinfo
	clock                                         uint32 // kHz
	hdisplay, hsyncStart, hsyncEnd, htotal, hskew uint16
	vdisplay, vsyncStart, vsyncEnd, vtotal, vscan uint16
	vrefresh, flags, typ                          uint32
	name                                          [32]byte
}

type getEncoder struct { // drm_mode_get_encoder
	encoderID, encoderType, crtcID, possibleCRTCs, possibleClones uint32
}

type getConnector struct { // drm_mode_get_connector
	encodersPtr, modesPtr, propsPtr, propValuesPtr         uint64
	countModes, countProps, countEncoders                  uint32
	encoderID, connectorID, connectorType, connectorTypeID uint32
	connection, mmWidth, mmHeight, subpixel                uint32
	pad                                                    uint32
}

type getPlaneRes struct { // drm_mode_get_plane_res
	planeIDPtr  uint64
	countPlanes uint32
	_           uint32
}

type getPlane struct { // drm_mode_get_plane
	planeID, crtcID, fbID, possibleCRTCs, gammaSize, countFormatTypes uint32
	formatTypePtr                                                     uint64
}

type objGetProperties struct { // drm_mode_obj_get_properties
	propsPtr, propValuesPtr    uint64
	countProps, objID, objType uint32
	_                          uint32
}

type getProperty struct { // drm_mode_get_property
	valuesPtr, enumBlobPtr      uint64
	propID, flags               uint32
	name                        [32]byte
	countValues, countEnumBlobs uint32
}

type propertyEnum struct { // drm_mode_property_enum
	value uint64
	name  [32]byte
}

type getBlob struct { // drm_mode_get_blob
	blobID, length uint32
	data           uint64
}

type createBlob struct { // drm_mode_create_blob
	data           uint64
	length, blobID uint32
}

type destroyBlob struct{ blobID uint32 } // drm_mode_destroy_blob

type atomic struct { // drm_mode_atomic
	flags, countObjs                                                    uint32
	objsPtr, countPropsPtr, propsPtr, propValuesPtr, reserved, userData uint64
}

type createDumb struct { // drm_mode_create_dumb
	height, width, bpp, flags uint32
	handle, pitch             uint32
	size                      uint64
}

type mapDumb struct { // drm_mode_map_dumb
	handle, pad uint32
	offset      uint64
}

type destroyDumb struct{ handle uint32 } // drm_mode_destroy_dumb

type fbCmd2 struct { // drm_mode_fb_cmd2
	fbID, width, height, pixelFormat, flags uint32
	handles, pitches, offsets               [4]uint32
	_                                       uint32
	modifier                                [4]uint64
}

type rmFB struct{ fbID uint32 } // the bare number that RMFB takes

type crtcGetSequence struct { // drm_crtc_get_sequence
	crtcID, active uint32
	sequence       uint64
	sequenceNS     int64
}

type eventVBlank struct { // drm_event_vblank, with its drm_event base
	typ, length                     uint32
	userData                        uint64
	tvSec, tvUsec, sequence, crtcID uint32
}

type formatModifierBlob struct { // drm_format_modifier_blob
	version, flags, countFormats, formatsOffset, countModifiers, modifiersOffset uint32
}

type formatModifier struct { // drm_format_modifier
	formats     uint64
	offset, pad uint32
	modifier    uint64
}

// call is one ioctl: its number, which holds direction and size, and its name
// for messages.
type call struct {
	number uint32
	name   string
}

const (
	ioctlWrite = 1 << 30
	ioctlRead  = 2 << 30
	ioctlType  = 'd' << 8
)

func ioctlOf[T any](dir, nr uint32, name string) call {
	var z T
	return call{dir | uint32(unsafe.Sizeof(z))<<16 | ioctlType | nr, "DRM_IOCTL_" + name}
}

func iow[T any](nr uint32, name string) call  { return ioctlOf[T](ioctlWrite, nr, name) }
func iowr[T any](nr uint32, name string) call { return ioctlOf[T](ioctlRead|ioctlWrite, nr, name) }

var (
	callVersion          = iowr[version](0x00, "VERSION")
	callGemClose         = iow[gemClose](0x09, "GEM_CLOSE")
	callGetCap           = iowr[getCap](0x0c, "GET_CAP")
	callSetClientCap     = iow[setClientCap](0x0d, "SET_CLIENT_CAP")
	callSetMaster        = call{ioctlType | 0x1e, "DRM_IOCTL_SET_MASTER"}
	callDropMaster       = call{ioctlType | 0x1f, "DRM_IOCTL_DROP_MASTER"}
	callPrimeFDToHandle  = iowr[primeHandle](0x2e, "PRIME_FD_TO_HANDLE")
	callCRTCGetSequence  = iowr[crtcGetSequence](0x3b, "CRTC_GET_SEQUENCE")
	callGetResources     = iowr[cardRes](0xa0, "MODE_GETRESOURCES")
	callGetEncoder       = iowr[getEncoder](0xa6, "MODE_GETENCODER")
	callGetConnector     = iowr[getConnector](0xa7, "MODE_GETCONNECTOR")
	callGetProperty      = iowr[getProperty](0xaa, "MODE_GETPROPERTY")
	callGetPropBlob      = iowr[getBlob](0xac, "MODE_GETPROPBLOB")
	callRmFB             = iowr[rmFB](0xaf, "MODE_RMFB")
	callCreateDumb       = iowr[createDumb](0xb2, "MODE_CREATE_DUMB")
	callMapDumb          = iowr[mapDumb](0xb3, "MODE_MAP_DUMB")
	callDestroyDumb      = iowr[destroyDumb](0xb4, "MODE_DESTROY_DUMB")
	callGetPlaneRes      = iowr[getPlaneRes](0xb5, "MODE_GETPLANERESOURCES")
	callGetPlane         = iowr[getPlane](0xb6, "MODE_GETPLANE")
	callAddFB2           = iowr[fbCmd2](0xb8, "MODE_ADDFB2")
	callObjGetProperties = iowr[objGetProperties](0xb9, "MODE_OBJ_GETPROPERTIES")
	callAtomic           = iowr[atomic](0xbc, "MODE_ATOMIC")
	callCreatePropBlob   = iowr[createBlob](0xbd, "MODE_CREATEPROPBLOB")
	callDestroyPropBlob  = iowr[destroyBlob](0xbe, "MODE_DESTROYPROPBLOB")
)

// Constants of drm.h and drm_mode.h.
const (
	capDumbBuffer       = 0x1
	capPrime            = 0x5
	capAddFB2Modifiers  = 0x10
	clientUniversal     = 2 // planes of every type, not only overlays
	clientAtomic        = 3
	clientWriteback     = 5
	primeCapImport      = 1
	atomicPageFlipEvent = 0x0001
	atomicTestOnly      = 0x0100
	atomicNonblock      = 0x0200
	atomicAllowModeset  = 0x0400
	objectCRTC          = 0xcccccccc
	objectConnector     = 0xc0c0c0c0
	objectPlane         = 0xeeeeeeee
	fbModifiers         = 1 << 1
	eventFlipComplete   = 2
	statusConnected     = 1
	statusUnknown       = 3
	connectorWriteback  = 18
	planeOverlay        = 0
	planePrimary        = 1
	planeCursor         = 2
	modeTypePreferred   = 1 << 3
	modeFlagInterlace   = 1 << 4
	modeFlagDblScan     = 1 << 5
	propImmutable       = 1 << 2
	propEnum            = 1 << 3
	propBlob            = 1 << 4
	propBitmask         = 1 << 5
	linkStatusBad       = 1
)
