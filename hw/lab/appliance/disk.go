package main

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// disk is a disk whose power can be cut. Over a file that is never written it
// keeps what was written in memory, and with it the order of writes and
// flushes. So it knows, for every moment, what a real disk would have been
// bound to keep, and what it might have lost.
type disk struct {
	base io.ReaderAt
	size int64

	mu     sync.Mutex
	start  map[int64][]byte // blocks that differ from base, as they were at the start
	blocks map[int64][]byte // as they are now
	log    []request
}

// request is one request that changed the disk, or a flush, which has no data:
// what was answered before it is safe.
type request struct {
	at   time.Time
	off  int64
	data []byte
	fua  bool // safe by itself
}

const (
	blockSize  = 4096
	sectorSize = 512 // the unit that is written whole or not at all
)

// newDisk makes a disk of a size in bytes, a multiple of blockSize, that begins
// with what base has.
func newDisk(base io.ReaderAt, size int64) *disk {
	return &disk{base: base, size: size, start: map[int64][]byte{}, blocks: map[int64][]byte{}}
}

func (d *disk) within(off int64, n int) error {
	if off < 0 || int64(n) > d.size || off > d.size-int64(n) {
		return fmt.Errorf("%d bytes at %d of a disk of %d", n, off, d.size)
	}
	return nil
}

// block returns the content of a block for reading.
func (d *disk) block(blocks map[int64][]byte, n int64) ([]byte, error) {
	if b, ok := blocks[n]; ok {
		return b, nil
	}
	b := make([]byte, blockSize)
	if got, err := d.base.ReadAt(b, n*blockSize); err != nil && err != io.EOF {
		return nil, err
	} else if err == io.EOF {
		clear(b[got:]) // behind the file the disk is empty
	}
	return b, nil
}

// ReadAt reads what was written last.
func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if err := d.within(off, len(p)); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := 0; n < len(p); {
		b, err := d.block(d.blocks, (off+int64(n))/blockSize)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[(off+int64(n))%blockSize:])
	}
	return len(p), nil
}

// write writes; with fua it is safe when write returns.
func (d *disk) write(p []byte, off int64, fua bool) error {
	if err := d.within(off, len(p)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, request{time.Now(), off, append([]byte(nil), p...), fua})
	return d.apply(d.blocks, p, off)
}

// apply puts data into blocks. Blocks are replaced and never changed, so that
// maps can share them.
func (d *disk) apply(blocks map[int64][]byte, p []byte, off int64) error {
	for n := 0; n < len(p); {
		at := off + int64(n)
		old, err := d.block(blocks, at/blockSize)
		if err != nil {
			return err
		}
		b := append([]byte(nil), old...)
		n += copy(b[at%blockSize:], p[n:])
		blocks[at/blockSize] = b
	}
	return nil
}

// flush makes safe what was written before.
func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, request{at: time.Now()})
}

// kept returns the disk as the next start finds it after everything was written.
func (d *disk) kept() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{base: d.base, size: d.size, start: maps.Clone(d.blocks), blocks: maps.Clone(d.blocks)}
}

// loss is what a cut took.
type loss struct {
	requests int // until then
	unsafe   int // of them, those that could be lost
	lost     int // that were, or in part
}

func (l loss) String() string {
	return fmt.Sprintf("after %d writes and flushes, %d not safe, %d lost", l.requests, l.unsafe, l.lost)
}

// cut returns the disk as it is after its power was cut at a moment. Of what was
// not safe yet any part may be there, in whole sectors: disks write in the
// order they like.
func (d *disk) cut(at time.Time, r *rand.Rand) (*disk, loss, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := &disk{base: d.base, size: d.size, start: maps.Clone(d.start)}
	var l loss
	var pending []request
	for _, q := range d.log {
		if q.at.After(at) {
			break
		}
		l.requests++
		switch {
		case q.data != nil && !q.fua:
			pending = append(pending, q)
			continue
		case q.data == nil:
			for _, p := range pending {
				if err := d.apply(after.start, p.data, p.off); err != nil {
					return nil, l, err
				}
			}
			pending = nil
		default:
			// Earlier writes to the same place are not to come after it.
			pending = without(pending, q)
			if err := d.apply(after.start, q.data, q.off); err != nil {
				return nil, l, err
			}
		}
	}
	l.unsafe = len(pending)
	// Sometimes everything is lost, sometimes nothing, mostly something.
	keep := min(max(r.Float64()*1.5-0.25, 0), 1)
	for _, p := range pending {
		part := p.data
		if r.Float64() >= keep {
			l.lost++
			part = part[:r.IntN(len(part)/sectorSize+1)*sectorSize]
			if r.IntN(2) == 0 {
				part = nil
			}
		}
		if err := d.apply(after.start, part, p.off); err != nil {
			return nil, l, err
		}
	}
	after.blocks = maps.Clone(after.start)
	return after, l, nil
}

// without drops from pending what a write replaces as a whole.
func without(pending []request, q request) (rest []request) {
	for _, p := range pending {
		if p.off < q.off || p.off+int64(len(p.data)) > q.off+int64(len(q.data)) {
			rest = append(rest, p)
		}
	}
	return rest
}
