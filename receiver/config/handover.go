package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// An appliance's settings lie on a file system that is mounted read-only, and
// the receiver has no right to change that. What its page saves it hands over: it
// leaves the text in its own folder, where the system finds it, and waits for it
// to come true.

const (
	pendingName = "pending.toml"
	// handOverLimit is how long the system may take.
	handOverLimit = 20 * time.Second
)

// ErrNotTaken says that the system has not taken the settings over in time.
var ErrNotTaken = errors.New("the settings are not written: the system does not take them over")

// HandOver is a Write for a receiver that may not write the owner's file.
func (s *Store) HandOver(text []byte) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	pending := filepath.Join(s.Dir, pendingName)
	if err := WriteFile(pending, text); err != nil {
		return err
	}
	for end := time.Now().Add(handOverLimit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now, err := readLimited(s.File); err == nil && bytes.Equal(now, text) {
			return nil
		}
	}
	os.Remove(pending) // or it would come true when nobody expects it
	return ErrNotTaken
}

// TakeOver is the system's part: it writes what was handed over, if there is
// anything. writable is called before that and has the owner's file system
// written to; what it returns undoes it. The folder belongs to a process with
// fewer rights than this one, so nothing outside it is read.
func (s *Store) TakeOver(writable func() (undo func() error, err error)) (taken bool, err error) {
	text, err := s.pending()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	defer func() {
		// One that cannot be taken is not tried for ever.
		err = errors.Join(err, os.Remove(filepath.Join(s.Dir, pendingName)))
	}()
	if err != nil {
		return false, err
	}
	if err := Default().parse(pendingName, text); err != nil {
		return false, err
	}
	undo, err := writable()
	if err != nil {
		return false, err
	}
	err = s.Install(text)
	return err == nil, errors.Join(err, undo())
}

// pending reads what was handed over.
func (s *Store) pending() ([]byte, error) {
	dir, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.OpenFile(pendingName, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is not a file", pendingName), err)
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Read returns the settings as the files have them, over the defaults.
func (s *Store) Read() *Config {
	c := Default()
	if text := s.Text(); text != nil {
		_ = c.parse(s.File, text) // Text has looked at it
	}
	return c
}
