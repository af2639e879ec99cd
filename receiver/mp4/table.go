package mp4

import (
	"encoding/binary"
	"iter"
)

// A table keeps what the sample tables of one track need: of each sample its
// time, its size and whether it is a sync sample, of each chunk where it
// stands. A day of 60 pictures a second is five million samples, so they are
// packed: about 5 bytes for a picture, 2 for a frame of sound.
type table struct {
	samples     int
	first, last int64 // times of the first and the last sample

	sizes  packed
	deltas packed // between samples; see delta
	syncs  packed // distances between the numbers of sync samples
	chunks packed // offset from the one before, number of samples, description

	runDelta  int64 // the run of equal deltas that is not packed yet
	runLength uint64
	lastSync  int
	lastChunk int64
}

// add adds a sample. Times rise.
func (t *table) add(at int64, size uint32, key bool) {
	if t.samples == 0 {
		t.first = at
	} else {
		t.delta(at - t.last)
	}
	t.last = at
	t.samples++
	t.sizes.put(uint64(size))
	if key {
		t.syncs.put(uint64(t.samples - t.lastSync))
		t.lastSync = t.samples
	}
}

// delta adds to the runs of equal deltas: a single one is packed as twice its
// value, a run as that plus one and its length.
func (t *table) delta(d int64) {
	if d == t.runDelta && t.runLength > 0 {
		t.runLength++
		return
	}
	t.endRun()
	t.runDelta, t.runLength = d, 1
}

func (t *table) endRun() {
	switch t.runLength {
	case 0:
	case 1:
		t.deltas.put(uint64(t.runDelta) << 1)
	default:
		t.deltas.put(uint64(t.runDelta)<<1 | 1)
		t.deltas.put(t.runLength)
	}
	t.runLength = 0
}

// chunk says that the last n samples added stand together at an offset in the
// file and belong to a sample description, counted from 0.
func (t *table) chunk(offset int64, n, description int) {
	t.chunks.put(uint64(offset - t.lastChunk))
	t.chunks.put(uint64(n))
	t.chunks.put(uint64(description))
	t.lastChunk = offset
}

// A chunk is a run of samples that stand together in the file.
type chunk struct {
	offset      int64
	samples     int
	description int
}

// allChunks iterates over the chunks that begin before an offset.
func (t *table) allChunks(before int64) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		var c chunk
		for r := t.chunks.reader(); r.more(); {
			c.offset += int64(r.next())
			c.samples, c.description = int(r.next()), int(r.next())
			if c.offset >= before || !yield(c) {
				return
			}
		}
	}
}

// runs iterates over runs of equal durations (number, duration) of the first
// n samples, the last of which lasts for the given time.
func (t *table) runs(n int, lastDuration int64) iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		t.endRun()
		left := n - 1 // deltas to come
		var length int
		var delta int64
		emit := func(k int, d int64) bool {
			if d == delta || length == 0 {
				length, delta = length+k, d
				return true
			}
			ok := yield(length, delta)
			length, delta = k, d
			return ok
		}
		for r := t.deltas.reader(); left > 0 && r.more(); {
			v, k := r.next(), 1
			if v&1 == 1 {
				k = int(r.next())
			}
			k = min(k, left)
			left -= k
			if !emit(k, int64(v>>1)) {
				return
			}
		}
		if emit(1, lastDuration) {
			yield(length, delta)
		}
	}
}

// timeAt returns the time of sample n-1, the last of the first n.
func (t *table) timeAt(n int) int64 {
	at := t.first
	for k, d := range t.runs(n, 0) {
		at += int64(k) * d
	}
	return at
}

// bytes returns the memory in use.
func (t *table) bytes() int {
	n := 0
	for _, p := range []*packed{&t.sizes, &t.deltas, &t.syncs, &t.chunks} {
		n += len(p.blocks) * blockSize
	}
	return n
}

// packed is a list of numbers, small ones in few bytes. It grows by blocks,
// so that nothing is copied and no more than a block is wasted.
type packed struct {
	blocks [][]byte
}

const blockSize = 16 << 10

func (p *packed) put(v uint64) {
	last := len(p.blocks) - 1
	if last < 0 || len(p.blocks[last])+binary.MaxVarintLen64 > blockSize {
		p.blocks = append(p.blocks, make([]byte, 0, blockSize))
		last++
	}
	p.blocks[last] = binary.AppendUvarint(p.blocks[last], v)
}

func (p *packed) reader() packedReader { return packedReader{blocks: p.blocks} }

type packedReader struct {
	blocks [][]byte
	at     int // in the first block
}

func (r *packedReader) more() bool {
	for len(r.blocks) > 0 && r.at == len(r.blocks[0]) {
		r.blocks, r.at = r.blocks[1:], 0
	}
	return len(r.blocks) > 0
}

func (r *packedReader) next() uint64 {
	if !r.more() {
		return 0
	}
	v, n := binary.Uvarint(r.blocks[0][r.at:])
	r.at += n
	return v
}
