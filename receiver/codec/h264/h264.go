// Package h264 knows the outside of an H.264 stream: NAL units, parameter
// sets and the two ways of framing them (ITU-T H.264, ISO/IEC 14496-15).
//
// It tells the size, the colour and the format of the picture, decides
// whether a hardware decoder may see the stream, turns length prefixes into
// start codes in place, and rewrites a sequence parameter set so that a
// decoder holds no picture back. It decodes no picture and parses no slice
// data. BitReader, BitWriter and the framing serve package hevc as well,
// whose bit syntax is the same.
//
// Everything that comes from a sender is hostile: counts and sizes are
// limited, and no input makes a function panic or allocate more than a small
// multiple of its size.
//
// Proof: sps_test.go and config_test.go parse real parameter sets from x264
// and from an AirPlay sender; rewrite_test.go rewrites thousands of generated
// sequence parameter sets and compares them bit by bit and field by field;
// ffmpeg_test.go has ffmpeg decode a clip with the rewritten set and compares
// every picture; units_test.go holds the framing to its inverse and to zero
// allocations; the fuzz targets cover every parser.
package h264

// Type is nal_unit_type (ITU-T H.264 table 7-1).
type Type uint8

// The NAL unit types that matter to a receiver.
const (
	TypeSlice     Type = 1
	TypeIDR       Type = 5
	TypeSEI       Type = 6
	TypeSPS       Type = 7
	TypePPS       Type = 8
	TypeAUD       Type = 9
	TypeEndOfSeq  Type = 10
	TypeEndOfData Type = 11
	TypeFiller    Type = 12
	TypeSPSExt    Type = 13
	TypePrefix    Type = 14
	TypeSubsetSPS Type = 15
)

// TypeOf returns the type of a NAL unit (without start code or length), 0 for
// an empty one.
func TypeOf(nal []byte) Type {
	if len(nal) == 0 {
		return 0
	}
	return Type(nal[0] & 0x1f)
}

// IsSlice tells whether the unit carries coded picture data (types 1 to 5).
func (t Type) IsSlice() bool { return t >= TypeSlice && t <= TypeIDR }

// IsParameterSet tells whether the unit is a sequence or picture parameter
// set, which a container keeps outside its samples.
func (t Type) IsParameterSet() bool {
	return t == TypeSPS || t == TypePPS || t == TypeSPSExt || t == TypeSubsetSPS
}

// IsFirstSlice tells whether a NAL unit is the slice that holds macroblock 0,
// with which a picture begins where slices come in order: first_mb_in_slice,
// the first ue(v) of the slice header, is 0 exactly when its first bit is 1.
func IsFirstSlice(nal []byte) bool {
	t := TypeOf(nal)
	return (t == TypeSlice || t == 2 || t == TypeIDR) && len(nal) > 1 && nal[1]&0x80 != 0
}

// Contents says what an access unit holds.
type Contents struct {
	Units         int  // NAL units
	Slices        int  // of them, slices (types 1 to 5)
	Pictures      int  // of them, slices that begin a picture; 1 in a whole access unit
	IDR           bool // an IDR picture: decoding can begin here
	ParameterSets bool // at least one SPS or PPS
}

// Inspect looks into an access unit whose NAL units have 4-byte lengths. The
// error is ErrBadLength.
func Inspect(au []byte) (Contents, error) {
	var c Contents
	for rest := au; len(rest) > 0; {
		nal, tail, err := split(rest)
		if err != nil {
			return Contents{}, err
		}
		c.add(nal)
		rest = tail
	}
	return c, nil
}

// InspectAnnexB looks into an access unit whose NAL units have start codes.
func InspectAnnexB(au []byte) Contents {
	var c Contents
	for nal := range AnnexB(au) {
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
	c.IDR = c.IDR || t == TypeIDR
	c.ParameterSets = c.ParameterSets || t.IsParameterSet()
}
