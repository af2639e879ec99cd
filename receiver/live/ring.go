package live

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A ring keeps the last part of an endless stream of bytes in a memfd: memory
// that belongs to no process's address space, that costs nothing where
// nothing was written, and that is given back in pieces. Offsets count from
// the beginning of the stream.
//
// The fields belong to whoever holds the lock of the track; read needs no
// lock, but what it read counts only if it is still not before tail
// afterwards.
type ring struct {
	file *os.File
	fd   int
	size int64
	head int64 // the end of the stream
	tail int64 // what is before it may be overwritten or gone
	free int64 // what is before it, and after head-size, takes no memory
}

const (
	pageSize = 4 << 10

	// releaseStep bounds how much memory is given back in one go: freeing
	// 96 MiB at once would take ten milliseconds.
	releaseStep = 1 << 20
)

func newRing(name string, size int64) (*ring, error) {
	size = (size + pageSize - 1) / pageSize * pageSize
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("live: memory file for %s: %w", name, err)
	}
	r := &ring{file: os.NewFile(uintptr(fd), name), fd: fd, size: size}
	if err := unix.Ftruncate(fd, size); err != nil {
		r.file.Close()
		return nil, fmt.Errorf("live: memory file of %d bytes for %s: %w", size, name, err)
	}
	return r, nil
}

// reserve makes room for n bytes, at most size: the oldest go.
func (r *ring) reserve(n int64) {
	r.tail = max(r.tail, r.head+n-r.size)
	r.free = max(r.free, r.head+n-r.size)
}

// append writes b, for which there must be room, at the head.
func (r *ring) append(b []byte) error {
	for len(b) > 0 {
		at := r.head % r.size
		n := min(int64(len(b)), r.size-at)
		if _, err := r.file.WriteAt(b[:n], at); err != nil {
			return fmt.Errorf("live: write to memory file: %w", err)
		}
		r.head += n
		b = b[n:]
	}
	return nil
}

// read fills b from an offset on.
func (r *ring) read(b []byte, at int64) error {
	for len(b) > 0 {
		from := at % r.size
		n := min(int64(len(b)), r.size-from)
		if _, err := r.file.ReadAt(b[:n], from); err != nil {
			return fmt.Errorf("live: read from memory file: %w", err)
		}
		at += n
		b = b[n:]
	}
	return nil
}

// forget says that nothing before an offset is needed any more.
func (r *ring) forget(before int64) { r.tail = max(r.tail, min(before, r.head)) }

// release gives at most n bytes of memory before tail back to the system.
func (r *ring) release(n int64) {
	from := (r.free + pageSize - 1) / pageSize * pageSize
	to := min(r.tail/pageSize*pageSize, from+n)
	for from < to {
		at := from % r.size
		part := min(to-from, r.size-at)
		// Where it fails the memory stays in use, within the limit.
		_ = unix.Fallocate(r.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, part)
		from += part
		r.free = from
	}
}

func (r *ring) close() { r.file.Close() }
