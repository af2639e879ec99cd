package release

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Folder is a folder of this machine: a USB stick, most often, which is a
// stranger's file system. Names do not lead out of it, links included.
type Folder struct{ path string }

// NewFolder makes a source of a folder. It is opened when something is read,
// so a medium is not kept from being taken out.
func NewFolder(path string) (*Folder, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return &Folder{path}, nil
}

// Open opens a regular file.
func (f *Folder) Open(_ context.Context, name string, from int64, _ string) (*Content, error) {
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("release: %w: file name %.80q", ErrFormat, name)
	}
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	defer root.Close()
	// A pipe would wait for its other end.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err == nil {
		from = min(from, info.Size())
		_, err = file.Seek(from, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("release: %w", err)
	}
	return &Content{ReadCloser: file, From: from, Size: info.Size()}, nil
}
