package keystore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFileSize bounds what is read of a file: 256 senders fit in several times.
const maxFileSize = 1 << 20

// FS is a directory. Names are those of files in it.
type FS interface {
	// Read returns the content of a file; fs.ErrNotExist says that there is
	// none.
	Read(name string) ([]byte, error)
	// Create makes a file empty and opens it for writing.
	Create(name string) (File, error)
	// Rename gives a file another name, under which it replaces any other.
	Rename(from, to string) error
	// Sync returns when names and renamings have reached the disk.
	Sync() error
}

// File is a file that is being written. Sync returns when the content has
// reached the disk.
type File interface {
	io.WriteCloser
	Sync() error
}

// save replaces the content of a file in such a way that after a loss of
// power at any moment it holds either the old or the new content: the new
// content reaches the disk under another name first, then takes the name over
// in one step. A temporary file that is left behind is overwritten next time.
func save(disk FS, name string, content []byte) error {
	temporary := name + ".new"
	f, err := disk.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = disk.Rename(temporary, name)
	}
	if err == nil {
		err = disk.Sync()
	}
	return err
}

// errDamaged says that a file was read and makes no sense.
var errDamaged = errors.New("damaged")

// encode puts a line before the body of a file that tells what it is and its
// digest: a damaged file is recognised whatever happened to it.
func encode(kind string, body []byte) []byte {
	return append(header(kind, body), body...)
}

func header(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "aerie %s 1 sha256 %x\n", kind, sha256.Sum256(body))
}

// decode is the inverse of encode. It fails with errDamaged.
func decode(kind string, data []byte) ([]byte, error) {
	line, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no header in %d bytes", errDamaged, len(data))
	}
	if want := header(kind, body); !bytes.Equal(line, want[:len(want)-1]) {
		return nil, fmt.Errorf("%w: header and content do not agree", errDamaged)
	}
	return body, nil
}

// directory is an FS of the operating system, given by its path.
type directory string

// openDirectory creates the directory where needed. Only the user who runs
// the receiver can look into it.
func openDirectory(path string) (directory, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return "", errors.New("not a directory")
	case err == nil:
		return directory(path), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	parent, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", err
	}
	return directory(path), parent.Sync()
}

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func (d directory) Read(name string) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(data) > maxFileSize {
		err = fmt.Errorf("%w: more than %d bytes", errDamaged, maxFileSize)
	}
	return data, err
}

func (d directory) Create(name string) (File, error) {
	return os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (d directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d directory) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
