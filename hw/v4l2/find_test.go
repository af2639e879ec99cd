package v4l2

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// nodes is a machine with video nodes that only describe themselves.
type nodes struct {
	uapi.System
	list []node
	open int
}

type node struct {
	caps, deviceCaps uint32
	formats          map[uapi.BufType]string // four characters each
	openErr          error
	broken           bool // QUERYCAP fails
}

func (n *nodes) Glob(string) []string {
	var l []string
	for i := range n.list {
		l = append(l, "/dev/video"+string(rune('0'+i)))
	}
	return l
}

func (n *nodes) Open(path string) (int, error) {
	i := int(path[len(path)-1] - '0')
	if err := n.list[i].openErr; err != nil {
		return -1, err
	}
	n.open++
	return i, nil
}

func (n *nodes) Close(int) error { n.open--; return nil }

func (n *nodes) Ioctl(fd int, r *uapi.Request, arg unsafe.Pointer) error {
	d := &n.list[fd]
	switch *r {
	case uapi.QueryCap:
		if d.broken {
			return unix.ENOTTY
		}
		c := (*uapi.Capability)(arg)
		c.Capabilities, c.DeviceCaps = d.caps, d.deviceCaps
		copy(c.Driver[:], "driver")
		return nil
	case uapi.EnumFmt:
		f := (*uapi.Fmtdesc)(arg)
		list := d.formats[f.Type]
		if at := int(f.Index) * 4; at < len(list) {
			f.PixelFormat = uapi.Code(list[at:])
			if strings.Contains("H264 HEVC S265 MJPG", f.PixelFormat.String()) {
				f.Flags = uapi.FmtFlagCompressed
			}
			return nil
		}
		return unix.EINVAL
	}
	return unix.ENOTTY
}

const (
	mplane = uapi.CapM2MMplane | uapi.CapStreaming
	plain  = uapi.CapM2M | uapi.CapStreaming
)

func both(out, capture string) map[uapi.BufType]string {
	return map[uapi.BufType]string{uapi.OutputMplane: out, uapi.CaptureMplane: capture}
}

// A Raspberry Pi has a camera, an encoder, an ISP, a decoder of images and one
// of slices beside the decoder; only it is taken, whatever its number.
func TestFindByCapability(t *testing.T) {
	n := &nodes{list: []node{
		{caps: 1 | uapi.CapStreaming},                     // a camera
		{caps: mplane, formats: both("YU12NV12", "H264")}, // an encoder
		{caps: mplane, formats: both("YU12", "NV12")},     // an ISP
		{caps: mplane, formats: both("S265", "NC12")},
		{caps: mplane, formats: both("MJPG", "YU12")},
		{openErr: unix.EACCES},
		{broken: true},
		{caps: uapi.CapDeviceCaps | mplane, deviceCaps: uapi.CapStreaming}, // capable, but not this node
		{caps: mplane, formats: both("MJPGH264", "YU12NV12NC12")},
		{caps: plain, formats: map[uapi.BufType]string{uapi.Output: "H264", uapi.Capture: "NV12"}},
	}}
	d, err := find(n, uapi.H264)
	if err != nil || d.Path != "/dev/video8" || !d.Mplane || len(d.Raw) != 3 || d.String() != "/dev/video8 (driver, )" {
		t.Errorf("%v %+v", err, d)
	}
	all, err := devices(n)
	if len(all) != 4 || !errors.Is(err, unix.EACCES) || !errors.Is(err, unix.ENOTTY) || !strings.Contains(err.Error(), "/dev/video5") {
		t.Errorf("%v, %v", all, err)
	}
	n.list = n.list[:8]
	if _, err := find(n, uapi.H264); !errors.Is(err, ErrNoDecoder) || !errors.Is(err, unix.EACCES) {
		t.Error(err)
	}
	n.list = nil
	if _, err := find(n, uapi.H264); !errors.Is(err, ErrNoDecoder) || err.Error() != "no hardware decoder for H264" {
		t.Error(err)
	}
	if n.open != 0 {
		t.Errorf("%d nodes were left open", n.open)
	}
	n.list = []node{{caps: plain, formats: map[uapi.BufType]string{uapi.Output: "H264", uapi.Capture: "NV12"}}}
	if d, err := find(n, uapi.H264); err != nil || d.Mplane {
		t.Error(d, err)
	}
}
