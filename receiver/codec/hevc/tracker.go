package hevc

import (
	"errors"
	"fmt"

	"aerie/receiver/codec/h264"
)

// Bounds of a picture (table A.8, level 6.2).
const (
	MaxSlices = 600 // slice segments
	MaxRefs   = maxPictures
)

// Slice is a slice segment of a picture. The offsets count bytes of the
// access unit that it was read from.
type Slice struct {
	SliceHeader
	Start int // of the NAL unit, behind its start code
	Data  int // of the slice data
	End   int // of the NAL unit
	// Lists are the two reference picture lists, as indices into Picture.Refs;
	// RefIdxL0 and RefIdxL1 say how many entries count.
	Lists [2][MaxRefs]uint8
}

// Picture is everything that a stateless decoder must be told of a picture.
// It is valid until the next call of the Tracker that made it.
type Picture struct {
	Token      uint64 // of the caller
	SPS        *SPS
	PPS        *PPS
	Scaling    *ScalingLists // nil unless scaling lists are enabled
	Type       Type
	TemporalID uint8
	POC        int32
	// NoOutputOfPrior says that pictures before this one were dropped without
	// being shown.
	NoOutputOfPrior bool
	Slices          []Slice
	// Refs are the pictures that this one or a later one may refer to. The
	// three lists are indices into it: the reference picture set as far as this
	// picture uses it (section 8.3.2).
	Refs                    []Ref
	Before, After, LongTerm []uint8
	// Missing counts references that the stream has lost. The nearest picture
	// takes the place of each, under the order count of the lost one.
	Missing int
	// Show are the tokens of pictures to be shown now, in order, this one
	// perhaps among them. Removed are those of pictures that no later one
	// refers to and that are not waiting to be shown any more, after what Show
	// says: they left the buffer before this picture is decoded.
	Show, Removed []uint64
}

// TrackerStats count what a Tracker has seen.
type TrackerStats struct {
	Pictures uint64 // to be decoded
	Skipped  uint64 // leading pictures whose references are absent, and what came before the first key frame
	Missing  uint64 // references that were absent
}

// Tracker follows a stream: its parameter sets, the order of its pictures,
// which of them the decoder has to keep, and when each is to be shown (ITU-T
// H.265 sections 8.1 to 8.3 and C.5.2). It decodes nothing. Next allocates
// nothing from picture to picture, as long as the parameter sets stay and no
// picture has more slices than those before it.
//
// It belongs to one goroutine at a time.
type Tracker struct {
	Stats TrackerStats

	sets   Sets
	active *SPS
	dpb    buffer
	pic    Picture
	points []uint32 // the entry points of all slices

	told       bool  // show and removed of dpb have been handed out
	started    bool  // a picture where decoding can begin has come
	ended      bool  // the next picture begins a new sequence
	skipRASL   bool  // NoRaslOutputFlag of the last IRAP picture
	anchor     int32 // order count of prevTid0Pic
	refs       [MaxRefs]Ref
	before     [MaxRefs]uint8
	after      [MaxRefs]uint8
	lt         [MaxRefs]uint8
	candidates [MaxRefs]uint8
}

// NewTracker returns a Tracker at the start of a stream.
func NewTracker() *Tracker {
	t := &Tracker{ended: true}
	t.dpb.init()
	return t
}

// ErrNoReference means that a picture refers to others and none is there.
var ErrNoReference = errors.New("hevc: picture without any of its references")

// Next reads an access unit with start codes, with parameter sets or without.
// token names its picture from now on. It returns nil without an error where
// there is no picture to be decoded: the unit has none, no key frame has come
// yet, or it is a leading picture that cannot be decoded.
//
// After an error the access unit is lost, and the next one may be read: what
// refers to the lost picture is told of another one in its place. What was to
// be shown or removed with it comes with the next picture.
func (t *Tracker) Next(au []byte, token uint64) (*Picture, error) {
	p := &t.pic
	*p = Picture{Token: token, Slices: p.Slices[:0]}
	t.points = t.points[:0]
	t.begin()
	ended, err := t.read(au)
	decode := false
	if err == nil && len(p.Slices) > 0 {
		decode, err = t.picture()
	}
	if decode {
		t.ended, t.told = false, true
		p.Show, p.Removed = t.dpb.show, t.dpb.removed
		t.Stats.Pictures++
	}
	t.ended = t.ended || ended
	if err != nil || !decode {
		return nil, err
	}
	return p, nil
}

// begin forgets what has been handed out.
func (t *Tracker) begin() {
	if t.told {
		t.dpb.begin()
		t.told = false
	}
}

// read takes the parameter sets and the slices of an access unit. It tells
// whether the sequence ends behind it.
func (t *Tracker) read(au []byte) (ended bool, err error) {
	p := &t.pic
	for at, nal := range h264.AnnexBAt(au) {
		if len(nal) < headerSize || nal[0]&1 != 0 || nal[1]>>3 != 0 {
			continue // another layer
		}
		switch typ := TypeOf(nal); {
		case typ == TypeEOS || typ == TypeEOB:
			ended = len(p.Slices) > 0
			t.ended = t.ended || !ended // of the access unit before
		case typ.IsSlice():
			err = t.slice(at, nal)
		case typ.IsParameterSet() && len(p.Slices) == 0:
			err = t.sets.Add(nal)
		}
		if err != nil {
			return false, err
		}
	}
	return ended, nil
}

// Flush ends the stream: it returns the tokens of the pictures that still have
// to be shown, in order, and of all that were in the buffer. The next picture
// to be decoded is a key frame.
func (t *Tracker) Flush() (show, removed []uint64) {
	t.begin()
	t.dpb.clear(true)
	t.started, t.ended, t.told = false, true, true
	return t.dpb.show, t.dpb.removed
}

// slice reads one more slice segment of the picture.
func (t *Tracker) slice(at int, nal []byte) error {
	p, n := &t.pic, len(t.pic.Slices)
	if n == MaxSlices {
		return fmt.Errorf("hevc: picture of more than %d slices", MaxSlices)
	}
	if n == cap(p.Slices) {
		p.Slices = append(p.Slices, Slice{})
	} else {
		p.Slices = p.Slices[:n+1]
	}
	s := &p.Slices[n]
	var before *SliceHeader
	if n > 0 {
		before = &p.Slices[n-1].SliceHeader
	}
	from := len(t.points)
	s.EntryPoints = t.points[from:]
	if err := s.Parse(nal, &t.sets, before); err != nil {
		return err
	}
	t.points = append(t.points, s.EntryPoints...)
	s.EntryPoints = t.points[from:]
	s.Start, s.Data, s.End = at, at+s.DataOffset, at+len(nal)
	switch first := &p.Slices[0]; {
	case s.FirstSegment != (n == 0):
		return errors.New("hevc: an access unit is not one whole picture")
	case s.PPSID != first.PPSID || s.Type != first.Type || s.TemporalID != first.TemporalID || s.POCLSB != first.POCLSB || s.total != first.total:
		return errors.New("hevc: slices of one picture contradict each other")
	case s.Type.IsIRAP() && s.SliceType != SliceI:
		return errors.New("hevc: a predicted slice in a key frame")
	case len(t.points) > maxEntryPoints:
		return fmt.Errorf("hevc: picture of more than %d entry points", maxEntryPoints)
	}
	return nil
}

// picture derives what the slices alone do not say. It tells whether the
// picture is to be decoded.
func (t *Tracker) picture() (decode bool, err error) {
	p := &t.pic
	first := &p.Slices[0].SliceHeader
	p.PPS = t.sets.PPS(first.PPSID)
	p.SPS = t.sets.SPS(p.PPS.SPSID)
	p.Type, p.TemporalID = first.Type, first.TemporalID
	restart := p.Type.IsIRAP() && (p.Type != TypeCRA || t.ended)
	switch {
	case restart:
		t.skipRASL = true
	case p.Type.IsIRAP():
		t.skipRASL = false
	case !t.started || p.Type.isRASL() && t.skipRASL:
		t.Stats.Skipped++
		return false, nil
	case p.SPS != t.active:
		return false, errors.New("hevc: the sequence parameter set changed without a key frame")
	}
	if p.Type.IsIRAP() && !restart && p.SPS != t.active {
		return false, errors.New("hevc: the sequence parameter set changed within a sequence")
	}
	t.order(first, restart)
	if restart {
		t.restart(first)
	}
	if err := t.references(first, restart); err != nil {
		return false, err
	}
	t.scaling()
	t.dpb.makeRoom(p.SPS)
	if err := t.describe(first); err != nil {
		return false, err
	}
	t.dpb.add(stored{token: p.Token, poc: p.POC, mark: shortTerm, output: first.PicOutput}, p.SPS)
	t.Stats.Missing += uint64(p.Missing)
	return true, nil
}

// order derives the picture order count (section 8.3.1).
func (t *Tracker) order(h *SliceHeader, restart bool) {
	size := int32(1) << t.pic.SPS.POCBits
	lsb := int32(h.POCLSB)
	msb := int32(0)
	if !restart {
		last := t.anchor & (size - 1)
		msb = t.anchor - last
		switch {
		case lsb < last && last-lsb >= size/2:
			msb += size
		case lsb > last && lsb-last > size/2:
			msb -= size
		}
	}
	t.pic.POC = msb + lsb
	if h.TemporalID == 0 && !h.Type.isRASL() && !h.Type.isRADL() && !h.Type.isSubLayerNonRef() {
		t.anchor = t.pic.POC
	}
}

// restart begins a coded video sequence: nothing before it is referred to any
// more.
func (t *Tracker) restart(h *SliceHeader) {
	drop := t.started && (h.Type == TypeCRA || h.NoOutputOfPrior)
	t.pic.NoOutputOfPrior = drop
	t.dpb.clear(!drop)
	t.active, t.started = t.pic.SPS, true
}

// scaling chooses the scaling lists that hold.
func (t *Tracker) scaling() {
	p := &t.pic
	switch {
	case !p.SPS.ScalingListEnabled:
	case p.PPS.Scaling != nil:
		p.Scaling = p.PPS.Scaling
	case p.SPS.Scaling != nil:
		p.Scaling = p.SPS.Scaling
	default:
		p.Scaling = DefaultScalingLists
	}
}
