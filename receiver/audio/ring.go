package audio

import "encoding/binary"

// ring holds packets of any size in their order, in memory of one size. A
// packet lies in one piece; where one does not fit behind the last, what is
// left there is passed over.
type ring struct {
	memory      []byte
	read, write uint64 // bytes since the beginning, passed-over ones among them
	count       int
}

// entry is a packet in a ring. Its payload is memory of the ring.
type entry struct {
	seq, rtp, source uint32
	payload          []byte
}

const (
	entryHead  = 16
	entryAlign = 8
	passedOver = 1 << 31 // in the length of what is no packet
)

func newRing(size int) ring { return ring{memory: make([]byte, size)} }

func (r *ring) at(position uint64) int { return int(position % uint64(len(r.memory))) }

// place returns how many bytes a payload takes, and how many are passed over
// before it.
func (r *ring) place(payload int) (need, skip int) {
	need = (entryHead + payload + entryAlign - 1) &^ (entryAlign - 1)
	if left := len(r.memory) - r.at(r.write); left < need {
		skip = left
	}
	return need, skip
}

// fits tells whether there is room for a payload.
func (r *ring) fits(payload int) bool {
	need, skip := r.place(payload)
	return r.write-r.read+uint64(need+skip) <= uint64(len(r.memory))
}

// put stores a packet, for which there is room.
func (r *ring) put(e entry) {
	need, skip := r.place(len(e.payload))
	le := binary.LittleEndian
	if skip > 0 {
		le.PutUint32(r.memory[r.at(r.write):], uint32(skip)|passedOver)
		r.write += uint64(skip)
	}
	b := r.memory[r.at(r.write):][:need]
	le.PutUint32(b, uint32(len(e.payload)))
	le.PutUint32(b[4:], e.seq)
	le.PutUint32(b[8:], e.rtp)
	le.PutUint32(b[12:], e.source)
	copy(b[entryHead:], e.payload)
	r.write += uint64(need)
	r.count++
}

// front returns the oldest packet.
func (r *ring) front() (e entry, ok bool) {
	if r.count == 0 {
		return e, false
	}
	le := binary.LittleEndian
	b := r.memory[r.at(r.read):]
	if size := le.Uint32(b); size&passedOver != 0 {
		r.read += uint64(size &^ passedOver)
		b = r.memory[r.at(r.read):]
	}
	size := int(le.Uint32(b))
	return entry{seq: le.Uint32(b[4:]), rtp: le.Uint32(b[8:]), source: le.Uint32(b[12:]), payload: b[entryHead:][:size]}, true
}

// pop drops the packet that front returned.
func (r *ring) pop() {
	size := int(binary.LittleEndian.Uint32(r.memory[r.at(r.read):]))
	r.read += uint64((entryHead + size + entryAlign - 1) &^ (entryAlign - 1))
	r.count--
}

// used returns how many bytes are taken.
func (r *ring) used() int { return int(r.write - r.read) }
