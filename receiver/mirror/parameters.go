package mirror

import (
	"bytes"

	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
)

// Parameters is what a codec packet says about the pictures behind it.
type Parameters struct {
	HEVC          bool
	Record        []byte // avcC or hvcC, as MP4 files have it
	AnnexB        []byte // all parameter sets with start codes
	Width, Height int    // of the visible picture, from the parameter set
	Colour        h264.Colour
	// The sender's screen, as far as it told.
	SourceWidth, SourceHeight float64

	SPS *h264.SPS // of H.264
}

// ParseParameters parses the payload of a codec packet (reference section
// 9.3). It keeps parts of the payload.
func ParseParameters(payload []byte) (*Parameters, error) {
	if isSampleEntry(payload) {
		return parseHEVC(payload)
	}
	c, err := h264.ParseConfig(payload)
	if err != nil {
		return nil, err
	}
	if len(c.SPS) == 0 || len(c.PPS) == 0 {
		return nil, streamError("codec packet without parameter sets")
	}
	sps, err := h264.ParseSPS(c.SPS[0])
	if err != nil {
		return nil, err
	}
	p := &Parameters{Record: c.Append(nil), AnnexB: c.AppendAnnexB(nil), Colour: sps.VUI.Colour, SPS: sps}
	p.Width, p.Height = sps.Size()
	return p, nil
}

// isSampleEntry tells an HEVC codec packet, a QuickTime sample entry, from an
// avcC record by the name behind the size.
func isSampleEntry(payload []byte) bool {
	return len(payload) >= 8 && (string(payload[4:8]) == "hvc1" || string(payload[4:8]) == "hev1")
}

func parseHEVC(payload []byte) (*Parameters, error) {
	c, err := hevc.ParsePayload(payload)
	if err != nil {
		return nil, err
	}
	if len(c.SPS) == 0 {
		return nil, streamError("codec packet without parameter sets")
	}
	sps, err := hevc.ParseSPS(c.SPS[0])
	if err != nil {
		return nil, err
	}
	p := &Parameters{HEVC: true, Record: c.Append(nil), AnnexB: c.AppendAnnexB(nil), Colour: sps.VUI.Colour}
	p.Width, p.Height = sps.Size()
	return p, nil
}

// Same tells whether q describes the very same stream.
func (p *Parameters) Same(q *Parameters) bool {
	return p.HEVC == q.HEVC && bytes.Equal(p.AnnexB, q.AnnexB)
}

// inspect checks the lengths of an access unit and tells whether decoding can
// begin with it.
func (p *Parameters) inspect(au []byte) (idr bool, err error) {
	if p.HEVC {
		c, err := hevc.Inspect(au)
		return c.IRAP, err
	}
	c, err := h264.Inspect(au)
	return c.IDR, err
}
