package hevc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"aerie/receiver/codec/h264"
)

// Config is an HEVCDecoderConfigurationRecord, the hvcC box (ISO/IEC 14496-15
// section 8.3.3.1). The NAL units of the access units it describes have
// 4-byte lengths; other sizes are refused, because no AirPlay sender uses
// them and start codes would not fit in their place.
type Config struct {
	General             ProfileTierLevel
	MinSpatialSegments  uint16 // min_spatial_segmentation_idc, 0 to 4095
	Parallelism         uint8  // 0 unknown, 1 slices, 2 tiles, 3 wavefronts
	ChromaFormat        uint8
	BitDepthLuma        uint8
	BitDepthChroma      uint8
	AvgFrameRate        uint16 // frames per 256 seconds; 0 unspecified
	ConstantFrameRate   uint8  // 0 unknown
	TemporalLayers      uint8  // 0 unknown
	TemporalIDNested    bool
	VPS, SPS, PPS, SEIs [][]byte // NAL units with their headers
}

const (
	recordSize   = 23 // of the record up to its arrays
	maxArrays    = 16
	maxUnits     = 64 // of all arrays
	completeness = 0x80
)

// NewConfig makes a Config of parameter sets, NAL units with their headers.
// The rest of the record follows from the first SPS, which must parse. It
// keeps the slices.
func NewConfig(vps, sps, pps [][]byte) (*Config, error) {
	c := &Config{VPS: vps, SPS: sps, PPS: pps}
	err := c.check()
	if err == nil {
		err = c.describe()
	}
	if err != nil {
		return nil, fmt.Errorf("hevc: hvcC: %w", err)
	}
	return c, nil
}

// describe fills everything but the sets from the first SPS.
func (c *Config) describe() error {
	s, err := ParseSPS(c.SPS[0])
	if err != nil {
		return err
	}
	c.General = s.General
	c.MinSpatialSegments = s.VUI.MinSpatialSegments
	c.ChromaFormat, c.BitDepthLuma, c.BitDepthChroma = s.ChromaFormat, s.BitDepthLuma, s.BitDepthChroma
	c.TemporalLayers, c.TemporalIDNested = s.SubLayers, s.TemporalIDNesting
	return nil
}

func (c *Config) check() error {
	if n := len(c.VPS) + len(c.SPS) + len(c.PPS) + len(c.SEIs); n > maxUnits {
		return fmt.Errorf("%d parameter sets", n)
	}
	for _, list := range []struct {
		name string
		t    Type
		nals [][]byte
	}{{"VPS", TypeVPS, c.VPS}, {"SPS", TypeSPS, c.SPS}, {"PPS", TypePPS, c.PPS}} {
		if len(list.nals) == 0 {
			return errors.New("no " + list.name)
		}
		for i, nal := range list.nals {
			if len(nal) <= headerSize || len(nal) > 0xffff || TypeOf(nal) != list.t {
				return fmt.Errorf("%s %d is a NAL unit of %d bytes and type %d", list.name, i, len(nal), TypeOf(nal))
			}
		}
	}
	return nil
}

// ParseConfig parses an hvcC record. The parameter sets are parts of b, not
// copies; they have the right NAL unit types but are not parsed themselves.
// Arrays of other types are passed over, as are bytes behind the last one.
func ParseConfig(b []byte) (*Config, error) {
	c, err := parseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("hevc: hvcC of %d bytes: %w", len(b), err)
	}
	return c, nil
}

func parseConfig(b []byte) (*Config, error) {
	if len(b) < recordSize {
		return nil, errors.New("too short")
	}
	if b[0] != 1 {
		return nil, fmt.Errorf("version %d", b[0])
	}
	if n := b[21]&3 + 1; n != 4 {
		return nil, fmt.Errorf("NAL unit lengths of %d bytes", n)
	}
	c := &Config{
		General: ProfileTierLevel{
			Space: b[1] >> 6, HighTier: b[1]&0x20 != 0, Profile: b[1] & 0x1f,
			Compatibility: binary.BigEndian.Uint32(b[2:]),
			Constraints:   uint64(binary.BigEndian.Uint16(b[6:]))<<32 | uint64(binary.BigEndian.Uint32(b[8:])),
			Level:         b[12],
		},
		MinSpatialSegments: binary.BigEndian.Uint16(b[13:]) & 0xfff,
		Parallelism:        b[15] & 3,
		ChromaFormat:       b[16] & 3,
		BitDepthLuma:       8 + b[17]&7,
		BitDepthChroma:     8 + b[18]&7,
		AvgFrameRate:       binary.BigEndian.Uint16(b[19:]),
		ConstantFrameRate:  b[21] >> 6,
		TemporalLayers:     b[21] >> 3 & 7,
		TemporalIDNested:   b[21]&4 != 0,
	}
	if err := c.parseArrays(b[recordSize:], int(b[22])); err != nil {
		return nil, err
	}
	return c, c.check()
}

// parseArrays reads n arrays of NAL units.
func (c *Config) parseArrays(b []byte, n int) error {
	if n > maxArrays {
		return fmt.Errorf("%d arrays", n)
	}
	units := 0
	for i := range n {
		if len(b) < 3 {
			return fmt.Errorf("ends before array %d of %d", i, n)
		}
		t, count := Type(b[0]&0x3f), int(binary.BigEndian.Uint16(b[1:]))
		if units += count; units > maxUnits {
			return fmt.Errorf("%d parameter sets", units)
		}
		b = b[3:]
		for j := range count {
			if len(b) < 2 {
				return fmt.Errorf("ends before the length of NAL unit %d of type %d", j, t)
			}
			size := int(binary.BigEndian.Uint16(b))
			if b = b[2:]; size > len(b) {
				return fmt.Errorf("NAL unit %d of type %d has %d bytes, %d are left", j, t, size, len(b))
			}
			c.keep(t, b[:size:size])
			b = b[size:]
		}
	}
	return nil
}

func (c *Config) keep(t Type, nal []byte) {
	switch t {
	case TypeVPS:
		c.VPS = append(c.VPS, nal)
	case TypeSPS:
		c.SPS = append(c.SPS, nal)
	case TypePPS:
		c.PPS = append(c.PPS, nal)
	case TypeSEI:
		c.SEIs = append(c.SEIs, nal)
	}
}

// Append appends the record to dst. The arrays are marked complete: no
// parameter set of theirs comes within the stream, as hvc1 demands.
func (c *Config) Append(dst []byte) []byte {
	flags := c.ConstantFrameRate<<6 | c.TemporalLayers<<3 | 3 // 4-byte lengths
	if c.TemporalIDNested {
		flags |= 4
	}
	profile := c.General.Space<<6 | c.General.Profile
	if c.General.HighTier {
		profile |= 0x20
	}
	dst = append(dst, 1, profile)
	dst = binary.BigEndian.AppendUint32(dst, c.General.Compatibility)
	dst = binary.BigEndian.AppendUint16(dst, uint16(c.General.Constraints>>32))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.General.Constraints))
	dst = append(dst, c.General.Level)
	dst = binary.BigEndian.AppendUint16(dst, 0xf000|c.MinSpatialSegments)
	dst = append(dst, 0xfc|c.Parallelism, 0xfc|c.ChromaFormat, 0xf8|(c.BitDepthLuma-8), 0xf8|(c.BitDepthChroma-8))
	dst = binary.BigEndian.AppendUint16(dst, c.AvgFrameRate)
	dst = append(dst, flags, 0)
	arrays := len(dst) - 1
	for _, a := range []struct {
		t    Type
		nals [][]byte
	}{{TypeVPS, c.VPS}, {TypeSPS, c.SPS}, {TypePPS, c.PPS}, {TypeSEI, c.SEIs}} {
		if len(a.nals) == 0 {
			continue
		}
		dst[arrays]++
		dst = binary.BigEndian.AppendUint16(append(dst, completeness|byte(a.t)), uint16(len(a.nals)))
		for _, nal := range a.nals {
			dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(nal))), nal...)
		}
	}
	return dst
}

// AppendAnnexB appends all parameter sets with start codes in the order VPS,
// SPS, PPS: what a decoder wants in front of the first access unit.
func (c *Config) AppendAnnexB(dst []byte) []byte {
	for _, list := range [][][]byte{c.VPS, c.SPS, c.PPS} {
		for _, nal := range list {
			dst = h264.AppendAnnexB(dst, nal)
		}
	}
	return dst
}
