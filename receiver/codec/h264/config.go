package h264

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Config is an AVCDecoderConfigurationRecord, the avcC box (ISO/IEC 14496-15
// section 5.3.3): the payload of a codec packet of H.264 (reference section
// 9.3). The NAL units of the access units it describes have 4-byte lengths;
// other sizes are refused, because no AirPlay sender uses them and start
// codes would not fit in their place.
type Config struct {
	Profile, Compatibility, Level uint8 // as in the first SPS
	SPS                           [][]byte
	PPS                           [][]byte
}

// NewConfig makes a Config of parameter sets, NAL units with their header
// bytes. It keeps the slices.
func NewConfig(sps, pps [][]byte) (*Config, error) {
	c := &Config{SPS: sps, PPS: pps}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("h264: avcC: %w", err)
	}
	c.Profile, c.Compatibility, c.Level = sps[0][1], sps[0][2], sps[0][3]
	return c, nil
}

// The counts that the record has room for (5 and 8 bits).
const (
	maxConfigSPS = 31
	maxConfigPPS = 255
)

func (c *Config) check() error {
	switch {
	case len(c.SPS) == 0:
		return errors.New("no SPS")
	case len(c.PPS) == 0:
		return errors.New("no PPS")
	case len(c.SPS) > maxConfigSPS || len(c.PPS) > maxConfigPPS:
		return fmt.Errorf("%d SPS and %d PPS, at most %d and %d are possible", len(c.SPS), len(c.PPS), maxConfigSPS, maxConfigPPS)
	}
	for i, nal := range c.SPS {
		if len(nal) < 4 || len(nal) > 0xffff || TypeOf(nal) != TypeSPS {
			return fmt.Errorf("SPS %d is a NAL unit of %d bytes and type %d", i, len(nal), TypeOf(nal))
		}
	}
	for i, nal := range c.PPS {
		if len(nal) < 2 || len(nal) > 0xffff || TypeOf(nal) != TypePPS {
			return fmt.Errorf("PPS %d is a NAL unit of %d bytes and type %d", i, len(nal), TypeOf(nal))
		}
	}
	return nil
}

// ParseConfig parses an avcC record. The parameter sets are parts of b, not
// copies; they have the right NAL unit types but are not parsed themselves.
// Bytes behind the picture parameter sets (the chroma format and bit depths
// that some writers add for the High profiles) are ignored: the SPS says it.
func ParseConfig(b []byte) (*Config, error) {
	c, err := parseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("h264: avcC of %d bytes: %w", len(b), err)
	}
	return c, nil
}

func parseConfig(b []byte) (*Config, error) {
	if len(b) < 7 {
		return nil, errors.New("too short")
	}
	if b[0] != 1 {
		return nil, fmt.Errorf("version %d", b[0])
	}
	if n := b[4]&3 + 1; n != 4 {
		return nil, fmt.Errorf("NAL unit lengths of %d bytes", n)
	}
	c := &Config{Profile: b[1], Compatibility: b[2], Level: b[3]}
	rest := b[6:]
	var err error
	if c.SPS, rest, err = parseSets("SPS", rest, int(b[5]&0x1f)); err != nil {
		return nil, err
	}
	if len(rest) == 0 {
		return nil, errors.New("ends before the number of PPS")
	}
	if c.PPS, _, err = parseSets("PPS", rest[1:], int(rest[0])); err != nil {
		return nil, err
	}
	return c, c.check()
}

func parseSets(name string, b []byte, n int) (sets [][]byte, rest []byte, err error) {
	if n*2 > len(b) {
		return nil, nil, fmt.Errorf("%d %s in %d bytes", n, name, len(b))
	}
	for i := range n {
		if len(b) < 2 {
			return nil, nil, fmt.Errorf("ends before the length of %s %d", name, i)
		}
		size := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; size > len(b) {
			return nil, nil, fmt.Errorf("%s %d of %d bytes, %d are left", name, i, size, len(b))
		}
		sets = append(sets, b[:size:size])
		b = b[size:]
	}
	return sets, b, nil
}

// Append appends the record to dst. For the High profiles it ends with chroma
// format and bit depths, as the standard asks, if the first SPS parses.
func (c *Config) Append(dst []byte) []byte {
	dst = append(dst, 1, c.Profile, c.Compatibility, c.Level, 0xff, 0xe0|byte(len(c.SPS)))
	dst = appendSets(dst, c.SPS)
	dst = append(dst, byte(len(c.PPS)))
	dst = appendSets(dst, c.PPS)
	switch c.Profile {
	case 100, 110, 122, 144, 244:
		if s, err := ParseSPS(c.SPS[0]); err == nil {
			dst = append(dst, 0xfc|s.ChromaFormat, 0xf8|(s.BitDepthLuma-8), 0xf8|(s.BitDepthChroma-8), 0)
		}
	}
	return dst
}

func appendSets(dst []byte, sets [][]byte) []byte {
	for _, nal := range sets {
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(nal))), nal...)
	}
	return dst
}

// AppendAnnexB appends all parameter sets with start codes, SPS first: what a
// decoder wants in front of the first access unit.
func (c *Config) AppendAnnexB(dst []byte) []byte {
	for _, nal := range c.SPS {
		dst = AppendAnnexB(dst, nal)
	}
	for _, nal := range c.PPS {
		dst = AppendAnnexB(dst, nal)
	}
	return dst
}
