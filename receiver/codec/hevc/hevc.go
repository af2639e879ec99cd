// Package hevc reads an HEVC stream as far as it can be read without decoding
// (ITU-T H.265, ISO/IEC 14496-15): NAL units, parameter sets, the codec packet
// of an AirPlay sender, slice headers, and which pictures a picture refers to.
//
// It tells the size, the colour and the format of the picture and finds the
// points where decoding can begin. The Tracker follows a stream and says of
// each picture what a decoder without state of its own must know, and when to
// show it. Bit syntax, emulation prevention and framing are those of H.264, so
// package h264 lends its BitReader, its BitWriter, ToAnnexB, ToLengths and its
// iterators. Slice data, and so every pixel, is left to decoders.
//
// Everything that comes from a sender is hostile: counts and sizes are
// limited, and no input makes a function panic or allocate more than a small
// multiple of its size.
//
// Proof: sps_test.go, pps_test.go and config_test.go parse real parameter
// sets from x265 and an AirPlay codec packet around them; ffmpeg_test.go
// generates random sequence parameter sets and compares every element with
// ffmpeg's reading, slice_test.go the same of generated slice headers;
// tracker_test.go follows clips that x265 makes in ten ways and compares slice
// headers with ffmpeg's reading, order counts and the order of display with
// libavcodec's decoder and reference lists with the encoder's own notes;
// script_test.go plays streams made by hand, with losses and random access;
// scaling_test.go holds the scaling lists; the fuzz targets cover every parser
// and the Tracker.
package hevc

import "aerie/receiver/codec/h264"

// Type is nal_unit_type (ITU-T H.265 table 7-1).
type Type uint8

// The NAL unit types that matter to a receiver. Types 0 to 31 are slice
// segments; of them, 16 to 23 belong to pictures where decoding can begin.
const (
	TypeBLA       Type = 16 // 16 to 18
	TypeIDRWithRA Type = 19 // IDR_W_RADL
	TypeIDR       Type = 20 // IDR_N_LP
	TypeCRA       Type = 21
	TypeVPS       Type = 32
	TypeSPS       Type = 33
	TypePPS       Type = 34
	TypeAUD       Type = 35
	TypeEOS       Type = 36 // end of sequence
	TypeEOB       Type = 37 // end of bitstream
	TypeSEI       Type = 39 // prefix
	TypeSEISuffix Type = 40
)

const headerSize = 2 // of a NAL unit

// TypeOf returns the type of a NAL unit (without start code or length). A
// unit shorter than its header has type 63, which the standard leaves
// unspecified.
func TypeOf(nal []byte) Type {
	if len(nal) < headerSize {
		return 63
	}
	return Type(nal[0] >> 1 & 0x3f)
}

// IsSlice tells whether the unit is a slice segment (types 0 to 31).
func (t Type) IsSlice() bool { return t < 32 }

// IsIRAP tells whether the unit belongs to an intra random access point: a
// picture where decoding can begin (types 16 to 23).
func (t Type) IsIRAP() bool { return t >= 16 && t <= 23 }

// isRASL tells whether the unit belongs to a leading picture that can be
// decoded only if the pictures before its random access point were.
func (t Type) isRASL() bool { return t == 8 || t == 9 }

// isRADL tells whether the unit belongs to a leading picture that refers to no
// picture before its random access point.
func (t Type) isRADL() bool { return t == 6 || t == 7 }

// isSubLayerNonRef tells whether no picture of the same sub-layer refers to
// the unit's.
func (t Type) isSubLayerNonRef() bool { return t <= 14 && t&1 == 0 }

// IsParameterSet tells whether the unit is a video, sequence or picture
// parameter set, which a container keeps outside its samples.
func (t Type) IsParameterSet() bool { return t >= TypeVPS && t <= TypePPS }

// IsFirstSlice tells whether a NAL unit is the slice segment with which a
// picture begins: first_slice_segment_in_pic_flag, the first bit of its
// header.
func IsFirstSlice(nal []byte) bool {
	return TypeOf(nal).IsSlice() && len(nal) > headerSize && nal[headerSize]&0x80 != 0
}

// Contents says what an access unit holds.
type Contents struct {
	Units         int  // NAL units
	Slices        int  // of them, slice segments
	Pictures      int  // of them, those that begin a picture; 1 in a whole access unit
	IRAP          bool // an intra random access point: decoding can begin here
	ParameterSets bool // at least one VPS, SPS or PPS
}

// Inspect looks into an access unit whose NAL units have 4-byte lengths. The
// error is h264.ErrBadLength.
func Inspect(au []byte) (Contents, error) {
	var c Contents
	if len(au) > 0 {
		if err := h264.CheckLengths(au); err != nil {
			return c, err
		}
	}
	for nal := range h264.LengthPrefixed(au) {
		c.add(nal)
	}
	return c, nil
}

// InspectAnnexB looks into an access unit whose NAL units have start codes.
func InspectAnnexB(au []byte) Contents {
	var c Contents
	for nal := range h264.AnnexB(au) {
		c.add(nal)
	}
	return c
}

func (c *Contents) add(nal []byte) {
	t := TypeOf(nal)
	c.Units++
	if t.IsSlice() {
		c.Slices++
	}
	if IsFirstSlice(nal) {
		c.Pictures++
	}
	c.IRAP = c.IRAP || t.IsIRAP()
	c.ParameterSets = c.ParameterSets || t.IsParameterSet()
}
