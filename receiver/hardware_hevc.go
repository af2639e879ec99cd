package receiver

import (
	"errors"
	"fmt"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/receiver/codec/hevc"
	"aerie/receiver/mirror"
)

// HEVC is decoded by another device than H.264, on a Raspberry Pi 4 and 5, and
// only where the settings ask for it: no board has run it yet. Everything around
// it is that of a hardware decoder for H.264.

// findDecoders returns the hardware decoders to use, nil for none. A missing
// one for HEVC is no error: software does.
func (r *Receiver) findDecoders() (*Hardware, error) {
	h, _, err := r.findHardware()
	if err != nil || !r.cfg.Video.HEVCHardware || r.cfg.Video.Decoder == "software" || h != nil && h.HEVC != nil {
		return h, err
	}
	dev, err := stateless.Find()
	if err != nil {
		r.log.Warn("HEVC is decoded in software", "error", err)
		return h, nil
	}
	both := Hardware{HEVC: &dev}
	if h != nil {
		both.Device, both.Open = h.Device, h.Open
	}
	return &both, nil
}

// describeHEVC says what would decode HEVC.
func (r *Receiver) describeHEVC() string {
	dev, err := stateless.Find()
	switch {
	case err != nil:
		return fmt.Sprintf("HEVC in software: %v", err)
	case !r.cfg.Video.HEVCHardware:
		return fmt.Sprintf("HEVC in software: there is %v, but video.hevc_hardware is off", &dev)
	}
	return fmt.Sprintf("HEVC by %v: %s", &dev, asked)
}

// suitHEVC is suit for HEVC. Parameter sets go to the device as they are: it is
// the receiver that reads them.
func (h *Hardware) suitHEVC(p *mirror.Parameters) (*hardwareSets, error) {
	if h.HEVC == nil {
		return nil, errors.New("it is HEVC")
	}
	c, err := hevc.ParseConfig(p.Record)
	if err != nil {
		return nil, err
	}
	if len(c.SPS) != 1 {
		return nil, fmt.Errorf("it has %d sequence parameter sets", len(c.SPS))
	}
	s, err := hevc.ParseSPS(c.SPS[0])
	if err == nil {
		err = hevcSuits(s)
	}
	if err != nil {
		return nil, err
	}
	return &hardwareSets{annexB: c.AppendAnnexB(nil), width: s.CodedWidth, height: s.CodedHeight, hevc: s}, nil
}

// visible is the part of a coded picture that is to be seen.
func (s *hardwareSets) visible(p *mirror.Parameters) v4l2.Rect {
	r := v4l2.Rect{W: p.Width, H: p.Height}
	if s.hevc != nil {
		r.X, r.Y = s.hevc.Crop.Left, s.hevc.Crop.Top
	} else {
		r.X, r.Y = p.SPS.Crop.Left, p.SPS.Crop.Top
	}
	return r
}

// open opens the decoder for a stream.
func (h *hardwareSession) open(c v4l2.Config) (HardwareDecoder, string, error) {
	if h.sets.hevc == nil {
		d, err := h.hardware.Open(c)
		return d, h.hardware.Device.String(), err
	}
	lost := func(err error) {
		h.s.r.meters.undecodable.Inc()
		h.s.r.log.Debug("picture cannot be decoded", "error", err)
	}
	d, err := openHEVC(*h.hardware.HEVC, h.sets.hevc, c, lost, nil)
	if errors.Is(err, stateless.ErrUnsuitable) {
		err = fmt.Errorf("%w: %w", v4l2.ErrUnsuitable, err) // not to be tried again
	}
	if err != nil {
		return nil, "", err
	}
	return d, h.hardware.HEVC.String(), nil
}
