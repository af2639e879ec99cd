package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A Store keeps the settings of an appliance: the owner's file, which anybody
// may have edited and which lies on a FAT file system, and a copy of the last
// one that was good, in the receiver's own folder. Whatever happens to the file,
// what was in force stays in force.
type Store struct {
	File string // the owner's
	Dir  string // for the copy; it is made
	// Write replaces the owner's file with a text without mistakes. nil: Install
	// does.
	Write func(text []byte) error

	loaded []byte // the owner's file, if it is in force
}

// errEmpty: nothing is left of a file that was being written when the power
// failed.
var errEmpty = errors.New("the file is empty; the last good settings stay in force")

// Load reads the settings into c, over what is there: the owner's file, or the
// last good one where that has a mistake, which is returned. Without either, c
// stays as it is. An owner's file that is missing or empty is a mistake only once
// there was another.
func (s *Store) Load(c *Config) (mistake *FileError) {
	s.loaded = nil
	text, err := readLimited(s.File)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = errEmpty
	}
	if err == nil {
		err = c.parse(s.File, text)
	}
	if err == nil {
		s.loaded = text
		return nil
	}
	first := errors.Is(s.LastGood(c), fs.ErrNotExist)
	switch {
	case errors.As(err, &mistake):
		return mistake
	case first && (errors.Is(err, errEmpty) || errors.Is(err, fs.ErrNotExist)):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("the file is missing; the last good settings stay in force")
	}
	return &FileError{s.File, 0, plain(err.Error())}
}

// LastGood reads the last good settings into c.
func (s *Store) LastGood(c *Config) error { return c.ReadFile(s.good()) }

// good is where the copy is.
func (s *Store) good() string { return filepath.Join(s.Dir, "aerie.toml") }

// Keep makes what Load read from the owner's file the last good settings. It is
// called when the receiver has started with them: a file may be without mistakes
// and still name a device that is not there.
func (s *Store) Keep() error {
	if s.loaded == nil {
		return nil
	}
	if old, err := readLimited(s.good()); err == nil && bytes.Equal(old, s.loaded) {
		return nil // a card wears out by writing
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	return WriteFile(s.good(), s.loaded)
}

// Text returns the file to change: the owner's if it has no mistake, else the
// last good one, else none.
func (s *Store) Text() []byte {
	for _, name := range []string{s.File, s.good()} {
		if text, err := readLimited(name); err == nil && len(text) > 0 && Default().parse(name, text) == nil {
			return text
		}
	}
	return nil
}

// Save changes settings in the owner's file; if that has a mistake, in the last
// good one, which takes its place. An error about a value is a *FileError, and
// nothing has been written.
func (s *Store) Save(changes []Change) error {
	text := s.Text()
	next, err := Edit(text, changes)
	if errors.Is(err, ErrEdit) {
		next, err = rewrite(text, changes)
	}
	switch {
	case err != nil:
		return err
	case s.Write != nil:
		return s.Write(next)
	}
	return s.Install(next)
}

// Install replaces the owner's file with a text, which must be without mistakes.
// A file with a mistake stays beside it, with ".broken" behind its name:
// somebody has worked on it.
func (s *Store) Install(text []byte) error {
	if err := Default().parse(s.File, text); err != nil {
		return err
	}
	old, err := readLimited(s.File)
	if err == nil && len(old) > 0 && Default().parse(s.File, old) != nil {
		if err := WriteFile(s.File+".broken", old); err != nil {
			return err
		}
	}
	return WriteFile(s.File, text)
}

// rewrite makes a file anew, with all settings of the old one.
func rewrite(text []byte, changes []Change) ([]byte, error) {
	c := Default()
	if err := c.parse("settings", text); err != nil {
		return nil, err
	}
	if err := c.Set(changes); err != nil {
		return nil, err
	}
	return c.file(true), nil
}

// WriteFile replaces a file so that after a power cut there is the old one or
// the new one: written beside it, on the disk before it takes the name, and the
// folder on the disk after. FAT has no journal: there the folder's sector may
// still be torn, which Store.Load survives.
func WriteFile(name string, text []byte) error { return writeFile(osDisk{}, name, text) }

// disk is what writeFile does to a file system; tests cut it off.
type disk interface {
	write(name string, text []byte) error // and sync
	rename(from, to string) error
	syncDir(name string) error
	remove(name string)
}

func writeFile(d disk, name string, text []byte) error {
	next := name + ".new"
	if err := d.write(next, text); err != nil {
		d.remove(next)
		return err
	}
	if err := d.rename(next, name); err != nil {
		d.remove(next)
		return err
	}
	return d.syncDir(filepath.Dir(name))
}

type osDisk struct{}

func (osDisk) write(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(name string)           { os.Remove(name) }

func (osDisk) syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
