package receiver

import (
	"context"
	"fmt"
	"time"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
	"aerie/receiver/mirror"
)

// Hardware is a hardware decoder for H.264, without a path if there is none, and
// one for HEVC.
type Hardware struct {
	Device v4l2.Device
	// Open opens it for one stream; nil is v4l2.Open.
	Open func(v4l2.Config) (HardwareDecoder, error)
	// HEVC decodes HEVC, nil: nothing does.
	HEVC *stateless.Device
	// Stall is how long a decoder may take without giving a picture; 0 leaves
	// it to the decoder.
	Stall time.Duration
}

// HardwareDecoder is one stream on a hardware decoder; see v4l2.Decoder.
type HardwareDecoder interface {
	Lease(context.Context) (HardwareInput, error)
	Release(v4l2.Picture)
	Close() error
}

// HardwareInput is memory for one access unit; see v4l2.Input.
type HardwareInput interface {
	Bytes() []byte
	Submit(n int, token uint64)
	Release()
}

// kernelDecoder is a v4l2.Decoder as a HardwareDecoder.
type kernelDecoder struct{ *v4l2.Decoder }

func (d kernelDecoder) Lease(ctx context.Context) (HardwareInput, error) {
	in, err := d.Decoder.Lease(ctx)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// OpenHardware opens the kernel's decoder.
func OpenHardware(c v4l2.Config) (HardwareDecoder, error) {
	d, err := v4l2.Open(c)
	if err != nil {
		return nil, err
	}
	return kernelDecoder{d}, nil
}

// findHardware returns the hardware decoder to use, nil for none, and why. The
// error is that one was asked for and there is none.
func (r *Receiver) findHardware() (*Hardware, string, error) {
	want := r.cfg.Video.Decoder
	if want == "software" {
		return nil, asked, nil
	}
	h := r.hardware
	if h == nil {
		device, err := v4l2.Find(uapi.H264)
		switch {
		case err != nil && want == "hardware":
			return nil, "", fmt.Errorf("video.decoder: %w", err)
		case err != nil:
			return nil, err.Error(), nil
		}
		h = &Hardware{Device: device}
	}
	if h.Open == nil {
		h.Open = OpenHardware
	}
	if want == "hardware" {
		return h, asked, nil
	}
	return h, "the machine has one", nil
}

// describeDecoder says which decoder H.264 would take, and why.
func (r *Receiver) describeDecoder() string {
	h, why, err := r.findHardware()
	switch {
	case err != nil:
		return fmt.Sprintf("H.264 cannot be decoded: %v", err)
	case h == nil:
		return fmt.Sprintf("H.264 in software: %s", why)
	}
	return fmt.Sprintf("H.264 by %s: %s", &h.Device, why)
}

// hardwareSets are parameter sets as the hardware is to see them.
type hardwareSets struct {
	annexB        []byte
	sps           *h264.SPS // one of them
	known         [][]byte  // the sequence parameter sets as they came
	width, height int       // coded
	references    int
	hevc          *hevc.SPS // of HEVC
}

// suit tells whether a stream may go to the hardware, and rewrites its
// parameter sets for it, once. What is not 8-bit 4:2:0 of the common profiles
// never gets there, nor does what is too large: the Raspberry Pi's decoder is
// wedged by it until the next boot (hardware reference section 1.2).
func (h *Hardware) suit(p *mirror.Parameters) (*hardwareSets, error) {
	if p.HEVC {
		return h.suitHEVC(p)
	}
	if h.Device.Path == "" {
		return nil, v4l2.ErrNoDecoder
	}
	c, err := h264.ParseConfig(p.Record)
	if err != nil {
		return nil, err
	}
	s := &hardwareSets{}
	for i, nal := range c.SPS {
		sps, err := h264.ParseSPS(nal)
		if err != nil {
			return nil, err
		}
		if err := sps.Check8Bit420(); err != nil {
			return nil, err
		}
		if !sps.FrameMBsOnly {
			return nil, fmt.Errorf("it is interlaced")
		}
		width, height := sps.CodedSize()
		if i > 0 && (width != s.width || height != s.height) {
			return nil, fmt.Errorf("it has pictures of several sizes")
		}
		s.sps = sps
		s.width, s.height, s.references = width, height, max(s.references, int(sps.MaxRefFrames))
		s.known = append(s.known, nal)
		if c.SPS[i], err = h264.RewriteZeroReorder(nal); err != nil {
			return nil, err
		}
	}
	if err := h.Device.Fits(uapi.H264, s.width, s.height); err != nil {
		return nil, err
	}
	s.annexB = c.AppendAnnexB(nil)
	return s, nil
}

// typeUnspecified marks a NAL unit that decoders ignore (ITU-T H.264 table
// 7-1).
const typeUnspecified = 0

// hide takes sequence parameter sets out of an access unit, by making them NAL
// units of no type: the decoder has them already, rewritten. One that it does
// not have could be of any kind, so the access unit must not go there: false.
// Those of extensions are for other profiles.
func (s *hardwareSets) hide(au []byte) bool {
	if s.hevc != nil {
		return true // the receiver reads them itself
	}
	for nal := range h264.LengthPrefixed(au) {
		switch h264.TypeOf(nal) {
		case h264.TypeSPS:
			if !s.knows(nal) {
				return false
			}
			nal[0] = typeUnspecified
		case h264.TypeSubsetSPS:
			nal[0] = typeUnspecified
		}
	}
	return true
}

func (s *hardwareSets) knows(nal []byte) bool {
	for _, k := range s.known {
		if string(k) == string(nal) {
			return true
		}
	}
	return false
}
