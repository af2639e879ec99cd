package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// Source is a folder with releases: of a web server (Web) or a medium (Folder).
type Source interface {
	// Open opens a file of the folder by its bare name, from a byte on. Tag is
	// what Content said when the file was opened before, or empty. A source that
	// cannot continue starts at the beginning and says so in From. The error
	// wraps fs.ErrNotExist where there is no such file. The context ends the
	// reading too.
	Open(ctx context.Context, name string, from int64, tag string) (*Content, error)
}

// Content is a file that is being read.
type Content struct {
	io.ReadCloser
	From int64  // where it begins
	Size int64  // of the whole file, -1 if that is not known
	Tag  string // names this state of the file, if the source knows it
}

// ParseSource opens the source that a setting names: an address "https://..."
// or a path. "http://..." is refused with ErrInsecure unless it is allowed.
func ParseSource(where string, o WebOptions) (Source, error) {
	var s Source
	var err error
	if strings.Contains(where, "://") {
		s, err = NewWeb(where, o)
	} else {
		s, err = NewFolder(where)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// patience is how long a signature file may take.
const patience = 30 * time.Second

// Latest finds the newest release of a product for an architecture that a
// source has. Errors wrap ErrNone, those of Keys.Open, or are the source's; a
// release that the index of another product or machine leads to is refused
// with ErrProduct or ErrArchitecture. Whether it is newer than what is here,
// Info.For tells.
func Latest(ctx context.Context, s Source, k Keys, product, arch string) (*Release, error) {
	r, err := named(ctx, s, k, IndexName(product, arch))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (%s): %w", ErrNone, arch, err)
	}
	if err != nil {
		return nil, err
	}
	if err := r.For(product, arch, 0); err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return r, nil
}

// Named finds the release whose program has this name in the source.
func Named(ctx context.Context, s Source, k Keys, file string) (*Release, error) {
	return named(ctx, s, k, SignatureName(file))
}

func named(ctx context.Context, s Source, k Keys, name string) (*Release, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := readAll(ctx, s, name)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	r, err := k.Open(text)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, name)
	}
	return r, nil
}

// readAll reads a signature file.
func readAll(ctx context.Context, s Source, name string) ([]byte, error) {
	c, err := s.Open(ctx, name, 0, "")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	text, err := io.ReadAll(io.LimitReader(c, MaxSignature+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > MaxSignature {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrFormat, name, MaxSignature)
	}
	return text, nil
}
