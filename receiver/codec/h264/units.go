package h264

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// ErrBadLength means that the lengths in front of the NAL units do not add up
// to the access unit. Behind a decryption it is the mark of a wrong key.
var ErrBadLength = errors.New("h264: NAL unit lengths do not fit the access unit")

// ErrStartCode means that a start code has 3 bytes or that bytes stand before
// the first one, so that lengths do not fit in place.
var ErrStartCode = errors.New("h264: access unit is not made of 4-byte start codes")

var (
	startCode  = []byte{0, 0, 0, 1}
	startCode3 = []byte{0, 0, 1}
)

// split takes the first NAL unit off an access unit with 4-byte lengths. An
// empty unit, or one whose forbidden_zero_bit is set, is no NAL unit.
func split(au []byte) (nal, rest []byte, err error) {
	if len(au) < 5 {
		return nil, nil, ErrBadLength
	}
	n := uint64(binary.BigEndian.Uint32(au))
	if n == 0 || n > uint64(len(au)-4) || au[4]&0x80 != 0 {
		return nil, nil, ErrBadLength
	}
	return au[4 : 4+n], au[4+n:], nil
}

// CheckLengths returns ErrBadLength unless au is a whole number of NAL units
// with 4-byte lengths, at least one.
func CheckLengths(au []byte) error {
	if len(au) == 0 {
		return ErrBadLength
	}
	for len(au) > 0 {
		var err error
		if _, au, err = split(au); err != nil {
			return err
		}
	}
	return nil
}

// ToAnnexB turns the 4-byte lengths of an access unit into start codes 00 00
// 00 01, in place. Nothing is changed unless all lengths add up; else the
// error is ErrBadLength.
func ToAnnexB(au []byte) error {
	if err := CheckLengths(au); err != nil {
		return err
	}
	putStartCodes(au)
	return nil
}

// putStartCodes replaces lengths that are known to fit.
func putStartCodes(au []byte) {
	for len(au) > 0 {
		n := binary.BigEndian.Uint32(au)
		copy(au, startCode)
		au = au[4+n:]
	}
}

// ToLengths is the inverse of ToAnnexB: it turns 4-byte start codes into
// lengths, in place. Nothing is changed if the access unit does not begin
// with one, has a start code of 3 bytes or an empty NAL unit; the error is
// ErrStartCode.
func ToLengths(au []byte) error {
	if !bytes.HasPrefix(au, startCode) {
		return ErrStartCode
	}
	for at := 0; at < len(au); {
		n, size := nextStart(au[at+4:])
		if n == 0 || size == 3 {
			putStartCodes(au[:at]) // as they were
			return ErrStartCode
		}
		binary.BigEndian.PutUint32(au[at:], uint32(n))
		at += 4 + n
	}
	return nil
}

// nextStart returns where the next start code begins and its size, 3 or 4.
// Without one it returns len(b), 0.
func nextStart(b []byte) (at, size int) {
	switch i := bytes.Index(b, startCode3); {
	case i < 0:
		return len(b), 0
	case i > 0 && b[i-1] == 0:
		return i - 1, 4
	default:
		return i, 3
	}
}

// AnnexB iterates over the NAL units of a byte stream (annex B), without
// their start codes and the zero bytes around them. Bytes before the first
// start code and empty units are skipped. It allocates nothing.
func AnnexB(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, nal := range AnnexBAt(stream) {
			if !yield(nal) {
				return
			}
		}
	}
}

// AnnexBAt is AnnexB that also tells where in the stream each unit begins,
// behind its start code.
func AnnexBAt(stream []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		at, size := nextStart(stream)
		for begin := at + size; begin < len(stream); {
			at, size = nextStart(stream[begin:])
			nal := bytes.TrimRight(stream[begin:begin+at], "\x00")
			if len(nal) > 0 && !yield(begin, nal) {
				return
			}
			begin += at + size
		}
	}
}

// LengthPrefixed iterates over the NAL units of an access unit with 4-byte
// lengths. It ends at the first length that does not fit: ask CheckLengths
// first where that matters. It allocates nothing.
func LengthPrefixed(au []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := au; len(rest) > 0; {
			nal, tail, err := split(rest)
			if err != nil || !yield(nal) {
				return
			}
			rest = tail
		}
	}
}

// AppendLengthPrefixed appends a NAL unit with its 4-byte length.
func AppendLengthPrefixed(dst, nal []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(nal))), nal...)
}

// AppendAnnexB appends a NAL unit with a 4-byte start code.
func AppendAnnexB(dst, nal []byte) []byte {
	return append(append(dst, startCode...), nal...)
}
