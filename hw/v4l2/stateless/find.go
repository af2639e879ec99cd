package stateless

import (
	"errors"
	"fmt"
	"path"
	"unsafe"

	"aerie/hw/v4l2/uapi"
)

// Device is a stateless HEVC decoder: its video node, and the media nodes on
// which its requests may be made.
type Device struct {
	Path   string // "/dev/video19"
	Driver string // "rpi-hevc-dec"
	Card   string
	Media  []string // "/dev/media0"; the first that works is taken
}

func (d *Device) String() string { return fmt.Sprintf("%s (%s)", d.Path, d.Driver) }

// Find returns the first device that takes HEVC slices. The error is
// ErrNoDecoder, with why nodes could not be asked.
func Find() (Device, error) { return find(uapi.Linux{}) }

func find(sys uapi.System) (Device, error) {
	var errs []error
	for _, node := range sys.Glob("/dev/video*") {
		d, ok, err := examine(sys, node)
		if ok {
			return d, nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Device{}, fmt.Errorf("%w: %w", ErrNoDecoder, err)
	}
	return Device{}, ErrNoDecoder
}

// examine asks a node whether it takes S265.
func examine(sys uapi.System, node string) (d Device, ok bool, err error) {
	f, err := uapi.OpenFile(sys, node)
	if err != nil {
		return d, false, err
	}
	defer f.Close()
	c := new(uapi.Capability)
	if err := f.Call(&uapi.QueryCap, unsafe.Pointer(c)); err != nil {
		return d, false, err
	}
	const needed = uapi.CapStreaming | uapi.CapM2MMplane
	if c.Caps()&needed != needed {
		return d, false, nil
	}
	formats, err := listFormats(f, uapi.OutputMplane)
	if err != nil {
		return d, false, err
	}
	for _, format := range formats {
		if format == uapi.S265 {
			d = Device{Path: node, Driver: uapi.Text(c.Driver[:]), Card: uapi.Text(c.Card[:]), Media: mediaOf(sys, node)}
			return d, true, nil
		}
	}
	return d, false, nil
}

// listFormats lists what a queue takes or gives.
func listFormats(f *uapi.File, t uapi.BufType) (list []uapi.FourCC, err error) {
	const limit = 64 // a driver may list for ever
	for d := (&uapi.Fmtdesc{Type: t}); d.Index < limit; d.Index++ {
		err := f.Try(&uapi.EnumFmt, unsafe.Pointer(d))
		if uapi.Is(err, einval) {
			break
		}
		if err != nil {
			return nil, f.Fail(uapi.EnumFmt.Name, t, err)
		}
		list = append(list, d.PixelFormat)
	}
	return list, nil
}

// mediaOf lists the media nodes of the device that a video node belongs to, as
// sysfs has them, or all media nodes where sysfs does not say. Only the right
// one makes requests that the video node takes, which Open tries.
func mediaOf(sys uapi.System, node string) (nodes []string) {
	for _, found := range sys.Glob("/sys/class/video4linux/" + path.Base(node) + "/device/media*") {
		nodes = append(nodes, "/dev/"+path.Base(found))
	}
	if len(nodes) == 0 {
		nodes = sys.Glob("/dev/media*")
	}
	return nodes
}
