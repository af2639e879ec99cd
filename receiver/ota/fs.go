package ota

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// FS is the folder of a store, as far as a store uses it. Names are relative
// to it and have at most one folder in them.
type FS interface {
	// Open opens a file for reading; fs.ErrNotExist says that there is none.
	Open(name string) (io.ReadCloser, error)
	// Stat tells size and mode of a file, not following links.
	Stat(name string) (fs.FileInfo, error)
	// Edit opens a file for reading and writing, and makes it where there is
	// none.
	Edit(name string) (File, error)
	// Mkdir makes a folder unless it is there.
	Mkdir(name string) error
	// Rename gives a file or link another name in the same folder, under
	// which it replaces what is there.
	Rename(from, to string) error
	// Remove removes what has this name, with all in it; it may be missing.
	Remove(name string) error
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	// SyncDir returns when the names in a folder have reached the disk.
	SyncDir(name string) error
	// Lock keeps others, also in other processes, from holding the same lock.
	// It fails with ErrBusy when that takes longer than wait.
	Lock(name string, wait time.Duration) (unlock func(), err error)
}

// File is a file that is being written.
type File interface {
	Partial
	io.Closer
	// Chmod sets the permissions.
	Chmod(mode fs.FileMode) error
	// Sync returns when content and permissions have reached the disk.
	Sync() error
}

// folder is an FS of the operating system. Links in it lead nowhere else, and
// nothing waits for the other end of a pipe that stands in the place of a file.
type folder struct {
	root  *os.Root
	owner *syscall.Stat_t // to whom new files are given; nil: whoever makes them
}

// OpenFolder opens a folder for a store. The folder is made where it is
// missing and can be made; its parent must exist.
//
// New files get the owner of the folder when root makes them, so that the
// receiver can replace what the owner of the device has installed by hand.
func OpenFolder(name string) (FS, error) {
	if err := os.Mkdir(name, 0o755); err == nil {
		adoptFolder(name)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("ota: %w", err)
	}
	f := &folder{root: root}
	if st, err := root.Stat("."); err == nil && os.Geteuid() == 0 {
		f.owner, _ = st.Sys().(*syscall.Stat_t)
	}
	return f, nil
}

// adoptFolder gives a folder that was just made the owner of its parent, and
// has its name reach the disk. Where that fails it serves all the same.
func adoptFolder(name string) {
	parent, err := os.Open(filepath.Dir(name))
	if err != nil {
		return
	}
	defer parent.Close()
	if st, err := parent.Stat(); err == nil && os.Geteuid() == 0 {
		if owner, ok := st.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(name, int(owner.Uid), int(owner.Gid))
		}
	}
	_ = parent.Sync()
}

// own gives what was just made to the owner of the folder. Where that fails,
// it still serves until the next update.
func (f *folder) own(name string) {
	if f.owner != nil {
		_ = f.root.Lchown(name, int(f.owner.Uid), int(f.owner.Gid))
	}
}

func (f *folder) Open(name string) (io.ReadCloser, error) {
	return f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func (f *folder) Stat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

func (f *folder) Edit(name string) (File, error) {
	// Nothing in the folder is secret, and the owner's tools read it as well.
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	f.own(name)
	return file, nil
}

// Mkdir also removes a file that stands in the way: the folder is the
// store's alone.
func (f *folder) Mkdir(name string) error {
	st, err := f.root.Lstat(name)
	if err == nil && st.IsDir() {
		return nil
	}
	if err == nil {
		if err := f.root.Remove(name); err != nil {
			return err
		}
	}
	if err := f.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	f.own(name)
	return nil
}

// Rename also replaces a folder that stands in the way.
func (f *folder) Rename(from, to string) error {
	err := f.root.Rename(from, to)
	if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTEMPTY) {
		if st, statErr := f.root.Lstat(to); statErr == nil && st.IsDir() {
			if err := f.root.RemoveAll(to); err != nil {
				return err
			}
			return f.root.Rename(from, to)
		}
	}
	return err
}

func (f *folder) Remove(name string) error { return f.root.RemoveAll(name) }

func (f *folder) Symlink(target, name string) error {
	if err := f.root.Symlink(target, name); err != nil {
		return err
	}
	f.own(name)
	return nil
}

func (f *folder) Readlink(name string) (string, error) { return f.root.Readlink(name) }

func (f *folder) SyncDir(name string) error {
	d, err := f.root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (f *folder) Lock(name string, wait time.Duration) (func(), error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	f.own(name)
	const every = 10 * time.Millisecond
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { file.Close() }, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
		case wait > 0:
			wait -= every
			time.Sleep(every)
			continue
		default:
			err = ErrBusy
		}
		file.Close()
		return nil, err
	}
}
