package hevc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The layout of an HEVC codec packet (reference section 9.3): a QuickTime
// sample entry of 86 bytes, hvc1, with the hvcC box as its first extension.
const (
	entrySize     = 86
	arraysOffset  = 0x75 // of the parameter sets, as senders are known to place them
	boxHeaderSize = 8
)

// ParsePayload parses the codec packet of an AirPlay sender that sends HEVC.
// It walks the boxes to hvcC. Where sizes or types of boxes are not as they
// should be, it looks for the parameter sets where senders are known to place
// them, at offset 0x75, and takes everything else from the SPS.
func ParsePayload(b []byte) (*Config, error) {
	c, err := walkPayload(b)
	if err == nil {
		return c, nil
	}
	if c, fixed := parseFixed(b); fixed == nil {
		return c, nil
	}
	return nil, fmt.Errorf("hevc: codec packet of %d bytes: %w", len(b), err)
}

func walkPayload(b []byte) (*Config, error) {
	name, entry, _, err := nextBox(b)
	if err != nil {
		return nil, err
	}
	if name != "hvc1" && name != "hev1" {
		return nil, fmt.Errorf("sample entry %q", name)
	}
	const fields = entrySize - boxHeaderSize
	if len(entry) < fields {
		return nil, errors.New("sample entry too short")
	}
	for rest := entry[fields:]; len(rest) > 0; {
		var body []byte
		if name, body, rest, err = nextBox(rest); err != nil {
			return nil, err
		}
		if name == "hvcC" {
			return parseConfig(body)
		}
	}
	return nil, errors.New("no hvcC box")
}

// nextBox takes the first box off b. Sizes of 64 bits and "to the end" do not
// occur in a sample entry.
func nextBox(b []byte) (name string, body, rest []byte, err error) {
	if len(b) < boxHeaderSize {
		return "", nil, nil, fmt.Errorf("%d bytes where a box should be", len(b))
	}
	name = string(b[4:8])
	size := binary.BigEndian.Uint32(b)
	if size < boxHeaderSize || uint64(size) > uint64(len(b)) {
		return "", nil, nil, fmt.Errorf("box %q of %d bytes, %d are left", name, size, len(b))
	}
	return name, b[boxHeaderSize:size], b[size:], nil
}

// parseFixed reads VPS, SPS and PPS arrays from the known offset on, as many
// as there are.
func parseFixed(b []byte) (*Config, error) {
	if len(b) <= arraysOffset {
		return nil, errors.New("too short")
	}
	c, arrays := new(Config), 0
	for rest := b[arraysOffset:]; len(rest) >= 3 && Type(rest[0]&0x3f).IsParameterSet() && arrays < maxArrays; arrays++ {
		size := 3
		for range binary.BigEndian.Uint16(rest[1:]) {
			if size+2 > len(rest) {
				return nil, errors.New("cut array")
			}
			size += 2 + int(binary.BigEndian.Uint16(rest[size:]))
		}
		if size > len(rest) {
			return nil, errors.New("cut array")
		}
		rest = rest[size:]
	}
	if err := c.parseArrays(b[arraysOffset:], arrays); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, c.describe()
}
