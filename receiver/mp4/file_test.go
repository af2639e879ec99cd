package mp4

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func lines(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for l := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' }) {
			if !yield(strings.TrimRight(l, ",")) {
				return
			}
		}
	}
}

func readAll(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memFile is a file in memory that remembers every operation, so that a test
// can see the disk as it was at any moment.
type memFile struct {
	mu     sync.Mutex
	data   []byte
	ops    []operation
	limit  int64         // of the disk, if not 0
	block  chan struct{} // if not nil, writes wait for it
	closed bool
	broken func(op int) bool // whether an operation fails
}

// An operation is a write, or, without data, a truncation, or a sync if at is
// negative.
type operation struct {
	at   int64
	data []byte
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	if f.broken != nil && f.broken(len(f.ops)) {
		f.ops = append(f.ops, operation{at: -1})
		return 0, syscall.EIO
	}
	var err error
	if f.limit > 0 && at+int64(len(b)) > f.limit {
		b, err = b[:max(f.limit-at, 0)], syscall.ENOSPC
	}
	f.ops = append(f.ops, operation{at, append([]byte{}, b...)})
	f.data = apply(f.data, f.ops[len(f.ops)-1], len(b))
	return len(b), err
}

func (f *memFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil && f.broken(len(f.ops)) {
		f.ops = append(f.ops, operation{at: -1})
		return syscall.EIO
	}
	f.ops = append(f.ops, operation{at: size})
	f.data = apply(f.data, f.ops[len(f.ops)-1], 0)
	return nil
}

func (f *memFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, operation{at: -1})
	if f.broken != nil && f.broken(len(f.ops)-1) {
		return syscall.EIO
	}
	return nil
}

func (f *memFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// apply performs the first n bytes of an operation.
func apply(data []byte, o operation, n int) []byte {
	switch {
	case o.at < 0:
	case o.data == nil && int64(len(data)) > o.at:
		data = data[:o.at]
	default:
		if short := int(o.at) + n - len(data); short > 0 {
			data = append(data, make([]byte, short)...)
		}
		copy(data[o.at:], o.data[:n])
	}
	return data
}

// A node is a box of a parsed file.
type node struct {
	name string
	body []byte // without the header, but with version and flags
	kids []node
}

var containers = map[string]bool{"moov": true, "trak": true, "mdia": true, "minf": true, "stbl": true, "edts": true,
	"mvex": true, "moof": true, "traf": true, "dinf": true}

// parseBoxes parses a sequence of boxes. The last one may be cut if it is at
// the top; then cut says how many bytes of it there are.
func parseBoxes(b []byte, top bool) (nodes []node, cut int, err error) {
	for len(b) > 0 {
		if len(b) < 8 {
			return nodes, len(b), fail(top, "%d bytes where a box should be", len(b))
		}
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		if size == 1 {
			if len(b) < 16 {
				return nodes, len(b), fail(top, "half a large box")
			}
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < head || size > uint64(len(b)) {
			return nodes, len(b), fail(top && size >= head, "box %q of %d bytes in %d", b[4:8], size, len(b))
		}
		n := node{name: string(b[4:8]), body: b[head:size]}
		for _, c := range n.name {
			if c < ' ' || c > '~' {
				return nodes, 0, fmt.Errorf("box called %q", n.name)
			}
		}
		if containers[n.name] {
			if n.kids, _, err = parseBoxes(n.body, false); err != nil {
				return nil, 0, fmt.Errorf("%s: %w", n.name, err)
			}
		}
		nodes = append(nodes, n)
		b = b[size:]
	}
	return nodes, 0, nil
}

func fail(excused bool, format string, args ...any) error {
	if excused {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func parseFile(t testing.TB, b []byte) node {
	t.Helper()
	nodes, cut, err := parseBoxes(b, true)
	if err != nil || cut != 0 {
		t.Fatalf("the boxes of the file: %v, %d bytes cut", err, cut)
	}
	return node{kids: nodes}
}

// find returns the first box of a name, searching depth first.
func (n node) find(name string) node {
	for found := range n.all(name) {
		return found
	}
	panic("no box " + name)
}

// all iterates over all boxes of a name, depth first.
func (n node) all(name string) iter.Seq[node] {
	return func(yield func(node) bool) { n.walk(name, yield) }
}

func (n node) walk(name string, yield func(node) bool) bool {
	for _, k := range n.kids {
		if k.name == name && !yield(k) || !k.walk(name, yield) {
			return false
		}
	}
	return true
}

func (n node) u32(at int) uint32 { return binary.BigEndian.Uint32(n.body[at:]) }
func (n node) u64(at int) uint64 { return binary.BigEndian.Uint64(n.body[at:]) }
