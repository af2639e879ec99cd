package v4l2

import (
	"errors"
	"fmt"
	"unsafe"

	"aerie/hw/v4l2/uapi"
)

// Device is a memory-to-memory device that decodes, as its node describes it.
type Device struct {
	Path   string // "/dev/video10"
	Driver string // "bcm2835-codec"
	Card   string // "bcm2835-codec-decode"
	Mplane bool
	Coded  []uapi.FourCC // what it takes, in the driver's order
	Raw    []uapi.FourCC // what it gives; more may come when a stream is known
	// Limits are the coded sizes it takes, by format; missing ones are not
	// known.
	Limits map[uapi.FourCC]uapi.FrmsizeStepwise
}

func (d *Device) String() string { return fmt.Sprintf("%s (%s, %s)", d.Path, d.Driver, d.Card) }

// Decodes tells whether the device takes a format.
func (d *Device) Decodes(f uapi.FourCC) bool {
	for _, c := range d.Coded {
		if c == f {
			return true
		}
	}
	return false
}

// Fits is nil if the device decodes pictures of a coded size, else says why it
// does not.
func (d *Device) Fits(codec uapi.FourCC, width, height int) error {
	q := quirksOf(d.Driver)
	if !q.fits(width, height) {
		return fmt.Errorf("%w: %s: %dx%d is more than it decodes right", ErrUnsuitable, d.Path, width, height)
	}
	l, known := d.Limits[codec]
	if known && (width < int(l.MinWidth) || width > int(l.MaxWidth) || height < int(l.MinHeight) || height > int(l.MaxHeight)) {
		return fmt.Errorf("%w: %s: %dx%d is not within %dx%d and %dx%d", ErrUnsuitable, d.Path, width, height, l.MinWidth, l.MinHeight, l.MaxWidth, l.MaxHeight)
	}
	return nil
}

// Devices lists every decoder, in the order of the nodes' names, and why nodes
// could not be asked.
func Devices() ([]Device, error) { return devices(uapi.Linux{}) }

// Find returns the first device that decodes a format. The error is
// ErrNoDecoder, with why nodes could not be asked.
func Find(codec uapi.FourCC) (Device, error) { return find(uapi.Linux{}, codec) }

func find(sys uapi.System, codec uapi.FourCC) (Device, error) {
	all, err := devices(sys)
	for _, d := range all {
		if d.Decodes(codec) {
			return d, nil
		}
	}
	if err != nil {
		return Device{}, fmt.Errorf("%w for %v: %w", ErrNoDecoder, codec, err)
	}
	return Device{}, fmt.Errorf("%w for %v", ErrNoDecoder, codec)
}

func devices(sys uapi.System) ([]Device, error) {
	var all []Device
	var errs []error
	for _, path := range sys.Glob("/dev/video*") {
		d, err := examine(sys, path)
		if err != nil {
			errs = append(errs, err)
		} else if d != nil {
			all = append(all, *d)
		}
	}
	return all, errors.Join(errs...)
}

// examine asks a node what it is; nil if it is no decoder. The encoder of a
// device is the mirror image of its decoder, so the direction is part of the
// question (hardware reference section 1.1).
func examine(sys uapi.System, path string) (*Device, error) {
	f, err := uapi.OpenFile(sys, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var c uapi.Capability
	if err := f.Call(&uapi.QueryCap, unsafe.Pointer(&c)); err != nil {
		return nil, err
	}
	caps := c.Caps()
	if caps&uapi.CapStreaming == 0 || caps&(uapi.CapM2M|uapi.CapM2MMplane) == 0 {
		return nil, nil
	}
	d := &Device{Path: path, Driver: uapi.Text(c.Driver[:]), Card: uapi.Text(c.Card[:]), Mplane: caps&uapi.CapM2MMplane != 0}
	out, capture := d.queues()
	taken, err := f.Formats(out)
	if err != nil {
		return nil, err
	}
	given, err := f.Formats(capture)
	if err != nil {
		return nil, err
	}
	for i := range taken {
		if taken[i].Flags&uapi.FmtFlagCompressed != 0 {
			d.Coded = append(d.Coded, taken[i].PixelFormat)
		}
	}
	for i := range given {
		if given[i].Flags&uapi.FmtFlagCompressed == 0 {
			d.Raw = append(d.Raw, given[i].PixelFormat)
		}
	}
	if len(d.Coded) == 0 || len(d.Raw) == 0 {
		return nil, nil
	}
	d.measure(f)
	return d, nil
}

// measure asks for the limits of the coded formats; drivers may not know.
func (d *Device) measure(f *uapi.File) {
	d.Limits = map[uapi.FourCC]uapi.FrmsizeStepwise{}
	for _, codec := range d.Coded {
		s := uapi.Frmsizeenum{PixelFormat: codec}
		if f.Try(&uapi.EnumFrameSizes, unsafe.Pointer(&s)) != nil || s.Type == uapi.FrmsizeDiscrete {
			continue
		}
		d.Limits[codec] = s.Stepwise
	}
}

// queues are the kinds of the device's two queues.
func (d *Device) queues() (out, capture uapi.BufType) {
	if d.Mplane {
		return uapi.OutputMplane, uapi.CaptureMplane
	}
	return uapi.Output, uapi.Capture
}
