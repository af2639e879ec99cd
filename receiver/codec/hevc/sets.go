package hevc

import (
	"bytes"
	"fmt"
)

// Sets are the parameter sets of a stream, by their ids: at most 16 sequence
// and 64 picture parameter sets. A set that comes again unchanged stays the
// same one, so that pointers tell whether something is new.
type Sets struct {
	sps [16]known[SPS]
	pps [64]known[PPS]
}

// known is a set with the bytes it was parsed from.
type known[T any] struct {
	set *T
	nal []byte
}

// maxSetSize bounds the bytes of a parameter set that is kept. The longest
// that make sense, with 64 reference picture sets and scaling lists, are a
// tenth of it.
const maxSetSize = 1 << 14

// Add takes an SPS or PPS, a NAL unit with its header. Others are left out,
// the VPS too: a decoder of one layer needs nothing of it. The bytes are
// copied. Nothing is allocated for a set that is known.
func (s *Sets) Add(nal []byte) error {
	if len(nal) > maxSetSize {
		return fmt.Errorf("hevc: parameter set of %d bytes, at most %d are possible", len(nal), maxSetSize)
	}
	t := TypeOf(nal)
	if t != TypeSPS && t != TypePPS || s.has(nal) {
		return nil
	}
	switch t {
	case TypeSPS:
		set, err := ParseSPS(nal)
		if err != nil {
			return err
		}
		keep(&s.sps[set.ID], set, nal)
	case TypePPS:
		set, err := ParsePPS(nal)
		if err != nil {
			return err
		}
		keep(&s.pps[set.ID], set, nal)
	}
	return nil
}

// has tells whether a set is known as it is.
func (s *Sets) has(nal []byte) bool {
	for i := range s.sps {
		if bytes.Equal(s.sps[i].nal, nal) {
			return true
		}
	}
	for i := range s.pps {
		if bytes.Equal(s.pps[i].nal, nal) {
			return true
		}
	}
	return false
}

func keep[T any](k *known[T], set *T, nal []byte) {
	k.set, k.nal = set, append(k.nal[:0], nal...)
}

// SPS returns a sequence parameter set, nil if it has not come.
func (s *Sets) SPS(id uint8) *SPS { return s.sps[id&15].set }

// PPS returns a picture parameter set, nil if it has not come.
func (s *Sets) PPS(id uint8) *PPS { return s.pps[id&63].set }
