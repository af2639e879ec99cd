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
type Folder struct{ root *os.Root }

// NewFolder opens a folder. Close it when done, or the medium stays in use.
func NewFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return &Folder{root}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Open opens a regular file.
func (f *Folder) Open(_ context.Context, name string, from int64, _ string) (*Content, error) {
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("release: %w: file name %.80q", ErrFormat, name)
	}
	// A pipe would wait for its other end.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
