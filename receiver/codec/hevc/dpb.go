package hevc

import "math"

// Ref is a reference picture as a decoder is told of it.
type Ref struct {
	Token    uint64
	POC      int32
	LongTerm bool
}

// marking says what a picture in the buffer is used for (ITU-T H.265 section
// 8.3.2).
type marking uint8

const (
	unused marking = iota
	shortTerm
	longTerm
)

// stored is a picture in the buffer.
type stored struct {
	token   uint64
	poc     int32
	mark    marking
	output  bool   // needed for output
	latency uint32 // pictures decoded since
}

// buffer is the decoded picture buffer (annex C.5.2): pictures that are
// referred to, or not yet shown. It holds at most maxPictures, one of them the
// present picture. show and removed collect what happens to their tokens.
type buffer struct {
	pics    []stored // room for maxPictures
	show    []uint64
	removed []uint64
}

func (b *buffer) init() {
	b.pics = make([]stored, 0, maxPictures)
	// A key frame may show all that wait, and itself.
	b.show = make([]uint64, 0, maxPictures+1)
	b.removed = make([]uint64, 0, maxPictures)
}

// begin empties the lists of what happened.
func (b *buffer) begin() { b.show, b.removed = b.show[:0], b.removed[:0] }

// find returns the index of the reference picture whose order count, in the
// bits of mask, is poc; -1 if there is none. Only a short-term one will do
// unless any is said.
func (b *buffer) find(poc, mask int32, any bool) int {
	for i, p := range b.pics {
		if p.poc&mask == poc&mask && (p.mark == shortTerm || any && p.mark == longTerm) {
			return i
		}
	}
	return -1
}

// nearest returns the index of the reference picture nearest in order to one
// that is missing, -1 if there is none.
func (b *buffer) nearest(poc int32) int {
	best, distance := -1, int64(math.MaxInt64)
	for i, p := range b.pics {
		d := int64(p.poc) - int64(poc)
		if p.mark != unused && max(d, -d) < distance {
			best, distance = i, max(d, -d)
		}
	}
	return best
}

// clear removes every picture; those that wait for output are shown first, or
// not.
func (b *buffer) clear(show bool) {
	for i := range b.pics {
		b.pics[i].mark = unused
	}
	for show && b.bump() {
	}
	for i := range b.pics {
		b.pics[i].output = false
	}
	b.sweep()
}

// sweep removes the pictures that nothing needs.
func (b *buffer) sweep() {
	kept := b.pics[:0]
	for _, p := range b.pics {
		if p.mark == unused && !p.output {
			b.removed = append(b.removed, p.token)
			continue
		}
		kept = append(kept, p)
	}
	b.pics = kept
}

// bump shows the picture that is first in order among those that wait
// (section C.5.2.4), and tells whether there was one.
func (b *buffer) bump() bool {
	first := -1
	for i, p := range b.pics {
		if p.output && (first < 0 || p.poc < b.pics[first].poc) {
			first = i
		}
	}
	if first < 0 {
		return false
	}
	b.pics[first].output = false
	b.show = append(b.show, b.pics[first].token)
	return true
}

// due tells whether a picture has to be shown, for more wait than the
// sequence reorders, or one waits for longer than it allows.
func (b *buffer) due(s *SPS) bool {
	waiting, late := 0, false
	for _, p := range b.pics {
		if !p.output {
			continue
		}
		waiting++
		late = late || s.MaxLatencyIncreaseOne != 0 &&
			uint64(p.latency) >= uint64(s.MaxNumReorder)+uint64(s.MaxLatencyIncreaseOne)-1
	}
	return waiting > int(s.MaxNumReorder) || late
}

// makeRoom shows and removes pictures before the present one is decoded
// (section C.5.2.2).
func (b *buffer) makeRoom(s *SPS) {
	b.sweep()
	for b.due(s) || len(b.pics) >= int(s.MaxDecPicBuffering) {
		if !b.bump() {
			return
		}
		b.sweep()
	}
}

// add stores the present picture and shows what is then due (section
// C.5.2.3).
func (b *buffer) add(p stored, s *SPS) {
	for i := range b.pics {
		if b.pics[i].output && b.pics[i].poc > p.poc {
			b.pics[i].latency++
		}
	}
	b.pics = append(b.pics, p)
	for b.due(s) && b.bump() {
	}
}

// references counts the pictures that are referred to.
func (b *buffer) references() (n int) {
	for _, p := range b.pics {
		if p.mark != unused {
			n++
		}
	}
	return n
}
