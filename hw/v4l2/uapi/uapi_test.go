package uapi

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"aerie/hw/lab/headers"
)

// structs are the kernel's structures under the kernel's names, in the order of
// testdata/uapi.c.
var structs = []struct {
	name string
	typ  reflect.Type
}{
	{"v4l2_capability", reflect.TypeFor[Capability]()},
	{"v4l2_fmtdesc", reflect.TypeFor[Fmtdesc]()},
	{"v4l2_pix_format", reflect.TypeFor[PixFormat]()},
	{"v4l2_plane_pix_format", reflect.TypeFor[PlanePixFormat]()},
	{"v4l2_pix_format_mplane", reflect.TypeFor[PixFormatMplane]()},
	{"v4l2_format", reflect.TypeFor[Format]()},
	{"v4l2_requestbuffers", reflect.TypeFor[Requestbuffers]()},
	{"v4l2_buffer", reflect.TypeFor[Buffer]()},
	{"v4l2_plane", reflect.TypeFor[Plane]()},
	{"v4l2_exportbuffer", reflect.TypeFor[Exportbuffer]()},
	{"v4l2_rect", reflect.TypeFor[Rect]()},
	{"v4l2_selection", reflect.TypeFor[Selection]()},
	{"v4l2_control", reflect.TypeFor[Control]()},
	{"v4l2_ext_control", reflect.TypeFor[ExtControl]()},
	{"v4l2_ext_controls", reflect.TypeFor[ExtControls]()},
	{"v4l2_event_subscription", reflect.TypeFor[EventSubscription]()},
	{"v4l2_event", reflect.TypeFor[Event]()},
	{"v4l2_decoder_cmd", reflect.TypeFor[DecoderCmd]()},
	{"v4l2_frmsize_stepwise", reflect.TypeFor[FrmsizeStepwise]()},
	{"v4l2_frmsizeenum", reflect.TypeFor[Frmsizeenum]()},
}

var calls = []Request{QueryCap, EnumFmt, GFmt, SFmt, TryFmt, ReqBufs, QueryBuf, QBuf, ExpBuf, DQBuf, StreamOn, StreamOff, GCtrl, SCtrl,
	GExtCtrls, SExtCtrls, EnumFrameSizes, DQEvent, SubscribeEvent, GSelection, SendDecoderCmd}

var constants = []struct {
	name  string
	value uint64
}{
	{"V4L2_BUF_TYPE_VIDEO_CAPTURE", uint64(Capture)}, {"V4L2_BUF_TYPE_VIDEO_OUTPUT", uint64(Output)},
	{"V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE", uint64(CaptureMplane)}, {"V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE", uint64(OutputMplane)},
	{"VIDEO_MAX_PLANES", MaxPlanes}, {"VIDEO_MAX_FRAME", MaxFrames},
	{"V4L2_CAP_VIDEO_M2M_MPLANE", CapM2MMplane}, {"V4L2_CAP_VIDEO_M2M", CapM2M}, {"V4L2_CAP_STREAMING", CapStreaming},
	{"V4L2_CAP_DEVICE_CAPS", CapDeviceCaps}, {"V4L2_MEMORY_MMAP", MemoryMmap}, {"V4L2_MEMORY_DMABUF", MemoryDMABuf},
	{"V4L2_FIELD_NONE", FieldNone},
	{"V4L2_BUF_FLAG_KEYFRAME", BufFlagKeyframe}, {"V4L2_BUF_FLAG_ERROR", BufFlagError}, {"V4L2_BUF_FLAG_IN_REQUEST", BufFlagInRequest},
	{"V4L2_BUF_FLAG_LAST", BufFlagLast}, {"V4L2_BUF_FLAG_REQUEST_FD", BufFlagRequestFD},
	{"V4L2_BUF_CAP_SUPPORTS_REQUESTS", BufCapRequests},
	{"V4L2_SEL_TGT_COMPOSE", SelCompose}, {"V4L2_EVENT_EOS", EventEOS}, {"V4L2_EVENT_SOURCE_CHANGE", EventSourceChange},
	{"V4L2_EVENT_SRC_CH_RESOLUTION", ChangeResolution},
	{"V4L2_DEC_CMD_START", DecStart}, {"V4L2_DEC_CMD_STOP", DecStop}, {"V4L2_FMT_FLAG_COMPRESSED", FmtFlagCompressed},
	{"V4L2_FRMSIZE_TYPE_DISCRETE", FrmsizeDiscrete},
	{"V4L2_CTRL_WHICH_CUR_VAL", CtrlWhichCurrent}, {"V4L2_CTRL_WHICH_REQUEST_VAL", CtrlWhichRequest},
	{"V4L2_CID_MIN_BUFFERS_FOR_CAPTURE", CIDMinBuffersForCapture},
	{"V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY", CIDDisplayDelay},
	{"V4L2_CID_MPEG_VIDEO_DEC_DISPLAY_DELAY_ENABLE", CIDDisplayDelayEnable},
	{"V4L2_PIX_FMT_H264", uint64(H264)}, {"V4L2_PIX_FMT_FWHT", uint64(FWHT)}, {"V4L2_PIX_FMT_NV12", uint64(NV12)},
	{"V4L2_PIX_FMT_YUV420", uint64(YUV)}, {"V4L2_PIX_FMT_XBGR32", uint64(XBGR)}, {"V4L2_PIX_FMT_HEVC", uint64(HEVC)},
	{"V4L2_PIX_FMT_HEVC_SLICE", uint64(S265)},
}

// flat makes a name of either language comparable.
func flat(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", ""))
	return strings.TrimSuffix(name, "64") // value64 of a union
}

// describe says of the Go types what testdata/uapi.c says of the C ones.
func describe() string {
	var b strings.Builder
	for _, s := range structs {
		fmt.Fprintf(&b, "struct %s %d\n", s.name, s.typ.Size())
		for i := range s.typ.NumField() {
			if f := s.typ.Field(i); f.Name != "_" {
				fmt.Fprintf(&b, "\t%s %d %d\n", flat(f.Name), f.Offset, f.Type.Size())
			}
		}
	}
	for _, c := range calls {
		fmt.Fprintf(&b, "ioctl %s 0x%08x\n", c.Name, c.Number)
	}
	for _, c := range constants {
		fmt.Fprintf(&b, "const %s 0x%x\n", c.name, c.value)
	}
	return b.String()
}

// TestUAPI compares every structure, ioctl number and constant with the golden
// text for this architecture.
func TestUAPI(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "uapi-"+runtime.GOARCH+".txt"))
	if err != nil {
		t.Fatalf("no golden text for this architecture: %v", err)
	}
	want := strings.Split(string(golden), "\n")
	for i, line := range want {
		if name, ok := strings.CutPrefix(line, "\t"); ok {
			name, numbers, _ := strings.Cut(name, " ")
			want[i] = "\t" + flat(name) + " " + numbers
		}
	}
	got := strings.Split(describe(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d lines here, %d from C", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d: %q, C has %q", i+1, got[i], want[i])
		}
	}
}

// TestColumnFormats: the formats in columns are not in the kernel's own header; their codes are those of
// the Raspberry Pi's (hardware reference section 2).
func TestColumnFormats(t *testing.T) {
	if NC12 != 0x3231434e || NC30 != 0x3033434e || NC12.String() != "NC12" || FourCC(1).String() != "????" {
		t.Errorf("NC12 %#x, NC30 %#x", uint32(NC12), uint32(NC30))
	}
}

// TestUAPIGolden holds the golden texts against the kernel's headers.
func TestUAPIGolden(t *testing.T) { headers.Golden(t, headers.Each) }

// TestUAPIElsewhere compares the Go structures of the other machines.
func TestUAPIElsewhere(t *testing.T) { headers.Elsewhere(t, "TestUAPI") }
