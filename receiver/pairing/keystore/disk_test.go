package keystore

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
)

// disk is a directory in memory that tells what has reached the medium from
// what the operating system still holds back, and that can be cut off.
//
// Operations are counted. The one numbered failAt fails; with cut set, so do
// all after it, as nothing happens any more once the power is gone.
type disk struct {
	view    map[string]*content // what a process sees
	medium  map[string]*content // the names that have reached the medium
	pending []renaming          // changes of names that have not, in order

	operations int
	failAt     int // 0: never
	cut        bool
	halfWrite  bool // the write that fails has written half before
}

// content is that of a file.
type content struct{ now, synced []byte }

// renaming is a change of names: from "" is the creation of a file.
type renaming struct {
	from, to string
	file     *content // created
}

var errPower = errors.New("input/output error")

func newDisk() *disk {
	return &disk{view: map[string]*content{}, medium: map[string]*content{}}
}

// step counts an operation and tells whether it fails.
func (d *disk) step() error {
	d.operations++
	if d.operations == d.failAt || d.cut && d.failAt > 0 && d.operations > d.failAt {
		return errPower
	}
	return nil
}

func (d *disk) Read(name string) ([]byte, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	if f, ok := d.view[name]; ok {
		return slices.Clone(f.now), nil
	}
	return nil, fs.ErrNotExist
}

func (d *disk) Create(name string) (File, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, ok := d.view[name]
	if !ok {
		f = new(content)
		d.view[name] = f
		d.pending = append(d.pending, renaming{to: name, file: f})
	}
	f.now = nil
	return &openFile{d, f}, nil
}

func (d *disk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	r := renaming{from: from, to: to}
	if !r.apply(d.view) {
		return fs.ErrNotExist
	}
	d.pending = append(d.pending, r)
	return nil
}

func (d *disk) Sync() error {
	if err := d.step(); err != nil {
		return err
	}
	for _, r := range d.pending {
		r.apply(d.medium)
	}
	d.pending = nil
	return nil
}

func (r renaming) apply(names map[string]*content) bool {
	file := r.file
	if r.from != "" {
		var ok bool
		if file, ok = names[r.from]; !ok {
			return false
		}
		delete(names, r.from)
	}
	names[r.to] = file
	return true
}

type openFile struct {
	disk *disk
	file *content
}

func (f *openFile) Write(b []byte) (int, error) {
	if err := f.disk.step(); err != nil {
		if !f.disk.halfWrite {
			return 0, err
		}
		f.file.now = append(f.file.now, b[:len(b)/2]...)
		return len(b) / 2, err
	}
	f.file.now = append(f.file.now, b...)
	return len(b), nil
}

func (f *openFile) Sync() error {
	if err := f.disk.step(); err != nil {
		return err
	}
	f.file.synced = slices.Clone(f.file.now)
	return nil
}

func (f *openFile) Close() error { return f.disk.step() }

// afterPowerLoss returns every disk that may be found when the power comes
// back. Of the changes of names that were pending any may have reached the
// medium and any not; of content that was not synced, all, nothing, the first
// half, or zeros in its place.
func (d *disk) afterPowerLoss() (found []*disk) {
	for subset := range 1 << len(d.pending) {
		names := maps.Clone(d.medium)
		for i, r := range d.pending {
			if subset>>i&1 != 0 {
				r.apply(names)
			}
		}
		for lost := range 4 {
			after := newDisk()
			for name, f := range names {
				left := f.survivor(lost)
				after.view[name] = &content{now: left, synced: left}
			}
			after.medium = maps.Clone(after.view)
			found = append(found, after)
		}
	}
	return found
}

func (f *content) survivor(lost int) []byte {
	if slices.Equal(f.now, f.synced) {
		return f.synced
	}
	switch lost {
	case 0:
		return f.synced
	case 1:
		return f.now
	case 2:
		return f.now[:len(f.now)/2]
	}
	return make([]byte, len(f.now))
}

// restart returns the disk as the next process finds it when the power stayed
// on: nothing is lost, and nothing fails any more.
func (d *disk) restart() *disk {
	return &disk{view: d.view, medium: d.medium, pending: d.pending}
}
