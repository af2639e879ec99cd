package ota

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// disk is a folder in memory that tells what has reached the medium from what
// the operating system still holds back, and that can be cut off.
//
// Operations are counted. The one numbered failAt fails with the error; with
// cut set, so do all after it, as nothing happens any more without power.
type disk struct {
	view    map[string]*inode // what a process sees
	medium  map[string]*inode // the names that have reached the medium
	pending []naming          // changes of names that have not, in order

	operations int
	failAt     int // 0: never
	cut        bool
	err        error
	halfWrite  bool  // the write that fails has written half before
	changes    error // what every operation that changes something fails with
	writes     error // what every write into a file fails with
	locked     map[string]bool
}

// inode is a file, a folder or a link.
type inode struct {
	kind              fs.FileMode
	now, synced       []byte
	mode, syncedModes fs.FileMode
	target            string
	lost              bool // a sync failed, and the next one does not know
}

// naming is a change of names: it takes one away, gives one to an inode, or
// both. A new name may reach the medium though an older one of the same inode
// never did.
type naming struct {
	from, to string
	node     *inode
}

var errPower = fmt.Errorf("power: %w", syscall.EIO)

func newDisk() *disk {
	root := map[string]*inode{".": {kind: fs.ModeDir}}
	return &disk{view: root, medium: maps.Clone(root)}
}

// step counts an operation and tells whether it fails.
func (d *disk) step(changes bool) error {
	d.operations++
	if d.operations == d.failAt || d.cut && d.failAt > 0 && d.operations > d.failAt {
		return d.err
	}
	if changes {
		return d.changes
	}
	return nil
}

func (d *disk) find(name string) (*inode, error) {
	if n, ok := d.view[name]; ok {
		return n, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (d *disk) name(n naming) {
	n.apply(d.view)
	d.pending = append(d.pending, n)
}

func (n naming) apply(names map[string]*inode) {
	if n.from != "" {
		for name := range names {
			if name == n.from || strings.HasPrefix(name, n.from+"/") {
				delete(names, name)
			}
		}
	}
	if n.to != "" {
		names[n.to] = n.node
	}
}

func (d *disk) Open(name string) (io.ReadCloser, error) {
	if err := d.step(false); err != nil {
		return nil, err
	}
	n, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if n.kind != 0 {
		return nil, syscall.EISDIR
	}
	return &reader{disk: d, node: n}, nil
}

type reader struct {
	disk *disk
	node *inode
	at   int
}

func (r *reader) Read(b []byte) (int, error) {
	if err := r.disk.step(false); err != nil {
		return 0, err
	}
	n := copy(b, r.node.now[min(r.at, len(r.node.now)):])
	if r.at += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *reader) Close() error { return nil }

func (d *disk) Stat(name string) (fs.FileInfo, error) {
	if err := d.step(false); err != nil {
		return nil, err
	}
	n, err := d.find(name)
	if err != nil {
		return nil, err
	}
	return stat{name, n}, nil
}

type stat struct {
	name string
	node *inode
}

func (s stat) Name() string       { return path.Base(s.name) }
func (s stat) Size() int64        { return int64(len(s.node.now)) }
func (s stat) Mode() fs.FileMode  { return s.node.kind | s.node.mode }
func (s stat) ModTime() time.Time { return time.Time{} }
func (s stat) IsDir() bool        { return s.node.kind.IsDir() }
func (s stat) Sys() any           { return nil }

func (d *disk) Edit(name string) (File, error) {
	if err := d.step(true); err != nil {
		return nil, err
	}
	n, err := d.find(name)
	if err != nil {
		if _, err := d.find(path.Dir(name)); err != nil {
			return nil, err
		}
		n = &inode{mode: 0o644, syncedModes: 0o644}
		d.name(naming{to: name, node: n})
	}
	if n.kind != 0 {
		return nil, syscall.EISDIR
	}
	return &openFile{d, n}, nil
}

func (d *disk) Mkdir(name string) error {
	if err := d.step(true); err != nil {
		return err
	}
	if n, err := d.find(name); err == nil && n.kind == fs.ModeDir {
		return nil
	}
	d.name(naming{to: name, node: &inode{kind: fs.ModeDir}})
	return nil
}

func (d *disk) Rename(from, to string) error {
	if err := d.step(true); err != nil {
		return err
	}
	n, err := d.find(from)
	if err != nil {
		return err
	}
	d.name(naming{from, to, n})
	return nil
}

func (d *disk) Remove(name string) error {
	if err := d.step(true); err != nil {
		return err
	}
	if _, err := d.find(name); err == nil {
		d.name(naming{from: name})
	}
	return nil
}

func (d *disk) Symlink(target, name string) error {
	if err := d.step(true); err != nil {
		return err
	}
	if _, err := d.find(name); err == nil {
		return fs.ErrExist
	}
	d.name(naming{to: name, node: &inode{kind: fs.ModeSymlink, target: target}})
	return nil
}

func (d *disk) Readlink(name string) (string, error) {
	if err := d.step(false); err != nil {
		return "", err
	}
	n, err := d.find(name)
	if err != nil {
		return "", err
	}
	if n.kind != fs.ModeSymlink {
		return "", syscall.EINVAL
	}
	return n.target, nil
}

// SyncDir has the names of one folder reach the medium, and of no other.
func (d *disk) SyncDir(name string) error {
	if err := d.step(true); err != nil {
		return err
	}
	d.pending = slices.DeleteFunc(d.pending, func(n naming) bool {
		if path.Dir(max(n.from, n.to)) != name && path.Dir(n.to) != name {
			return false
		}
		n.apply(d.medium)
		return true
	})
	return nil
}

func (d *disk) Lock(name string, _ time.Duration) (func(), error) {
	if err := d.step(false); err != nil {
		return nil, err
	}
	if d.locked[name] {
		return nil, ErrBusy
	}
	if d.locked == nil {
		d.locked = map[string]bool{}
	}
	d.locked[name] = true
	return func() { delete(d.locked, name) }, nil
}

type openFile struct {
	disk *disk
	node *inode
}

func (f *openFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.disk.step(false); err != nil {
		return 0, err
	}
	n := copy(b, f.node.now[min(int(at), len(f.node.now)):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *openFile) WriteAt(b []byte, at int64) (int, error) {
	err := f.disk.step(true)
	if err == nil {
		err = f.disk.writes
	}
	if err != nil {
		if !f.disk.halfWrite {
			return 0, err
		}
		b = b[:len(b)/2]
	}
	now := slices.Clone(f.node.now)
	if grow := int(at) + len(b) - len(now); grow > 0 {
		now = append(now, make([]byte, grow)...)
	}
	copy(now[at:], b)
	f.node.now = now
	return len(b), err
}

func (f *openFile) Truncate(size int64) error {
	if err := f.disk.step(true); err != nil {
		return err
	}
	f.node.now = append(slices.Clone(f.node.now), make([]byte, size)...)[:size]
	return nil
}

func (f *openFile) Chmod(mode fs.FileMode) error {
	if err := f.disk.step(true); err != nil {
		return err
	}
	f.node.mode = mode
	return nil
}

func (f *openFile) Sync() error {
	if err := f.disk.step(true); err != nil {
		f.node.lost = true
		return err
	}
	if f.node.lost {
		return nil
	}
	f.node.synced, f.node.syncedModes = f.node.now, f.node.mode
	return nil
}

func (f *openFile) Close() error { return f.disk.step(false) }

// afterPowerLoss returns every disk that may be found when the power comes
// back, those that look alike once. Of the changes of names that were pending
// any may have reached the medium and any not; of content that was not synced,
// all, nothing, the first half, or zeros in its place.
func (d *disk) afterPowerLoss() (found []*disk) {
	seen := map[string]bool{}
	for subset := range 1 << len(d.pending) {
		names := maps.Clone(d.medium)
		for i, n := range d.pending {
			if subset>>i&1 != 0 {
				n.apply(names)
			}
		}
		for lost := range 4 {
			after := newDisk()
			for name, n := range names {
				if _, ok := names[path.Dir(name)]; ok && name != "." {
					after.view[name] = n.survivor(lost)
				}
			}
			after.medium = maps.Clone(after.view)
			if look := after.String(); !seen[look] {
				seen[look] = true
				found = append(found, after)
			}
		}
	}
	return found
}

func (n *inode) survivor(lost int) *inode {
	left := *n
	left.lost = false
	switch {
	case slices.Equal(n.now, n.synced) || lost == 0:
		left.now = n.synced
	case lost == 2:
		left.now = n.now[:len(n.now)/2]
	case lost == 3:
		left.now = make([]byte, len(n.now))
	}
	if lost != 1 {
		left.mode = n.syncedModes
	}
	left.synced, left.syncedModes = left.now, left.mode
	return &left
}

// String is all that is on the disk.
func (d *disk) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.view)) {
		n := d.view[name]
		fmt.Fprintf(&b, "%s %v%o %s %s\n", name, n.kind, n.mode, n.target, n.now)
	}
	return b.String()
}

// copy returns a disk with the same content, all of it on the medium and
// nothing failing.
func (d *disk) copy() *disk {
	c := newDisk()
	for name, n := range d.view {
		left := *n
		left.synced, left.syncedModes, left.lost = left.now, left.mode, false
		c.view[name] = &left
	}
	c.medium = maps.Clone(c.view)
	return c
}

// restart returns the disk as the next process finds it when the power stayed
// on: nothing is lost yet, and nothing fails any more.
func (d *disk) restart() *disk {
	nodes := map[*inode]*inode{nil: nil}
	same := func(n *inode) *inode {
		if _, ok := nodes[n]; !ok {
			c := *n
			nodes[n] = &c
		}
		return nodes[n]
	}
	next := &disk{view: map[string]*inode{}, medium: map[string]*inode{}}
	for name, n := range d.view {
		next.view[name] = same(n)
	}
	for name, n := range d.medium {
		next.medium[name] = same(n)
	}
	for _, n := range d.pending {
		next.pending = append(next.pending, naming{n.from, n.to, same(n.node)})
	}
	return next
}

// put writes a file as somebody else would.
func (d *disk) put(name, content string) {
	n := &inode{now: []byte(content), synced: []byte(content), mode: 0o755, syncedModes: 0o755}
	d.view[name], d.medium[name] = n, n
}

// drop removes one.
func (d *disk) drop(name string) {
	delete(d.view, name)
	delete(d.medium, name)
}

var _ FS = (*disk)(nil)
