package ota

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
)

// Limits of what is read of a slot.
const (
	maxDescription = 4 << 10
	maxVersion     = 64        // bytes
	MaxProgram     = 256 << 20 // bytes; ours has 17 MB
)

// Digest is the SHA-256 of a program. It stands for a version wherever one is
// remembered, for names can be given twice.
type Digest [sha256.Size]byte

// MarshalText writes the digest as hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) || len(text)%2 != 0 {
		return fmt.Errorf("a digest of %d digits", len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Release describes a program whose signature was verified: what a slot must
// know of it.
type Release struct {
	Version string `json:"version"`
	Counter uint64 `json:"counter"` // newer releases have larger ones
	Size    int64  `json:"size"`    // bytes
	SHA256  Digest `json:"sha256"`
}

// check tells whether a description makes sense.
func (r Release) check() error {
	switch {
	case r.Version == "" || len(r.Version) > maxVersion || strings.ContainsFunc(r.Version, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return fmt.Errorf("version %.70q", r.Version)
	case r.Size <= 0 || r.Size > MaxProgram:
		return fmt.Errorf("a program of %d bytes", r.Size)
	}
	return nil
}

// binaryName and descriptionName are the two files of a slot. They need not
// change in one step: a slot whose files do not agree is not started.
func binaryName(slot Slot) string { return string(slot) + "/aerie" }

func descriptionName(slot Slot) string { return string(slot) + "/release.json" }

// partialSuffix marks the files of a release that is not yet whole.
const partialSuffix = ".partial"

// readRelease reads a description. It fails with fs.ErrNotExist, ErrDamaged or
// an error of the disk.
func (s *Store) readRelease(name string) (r Release, err error) {
	data, err := readSmall(s.disk, name, maxDescription)
	if err != nil {
		return r, err
	}
	return decodeRelease(data)
}

func decodeRelease(data []byte) (r Release, err error) {
	if err = json.Unmarshal(data, &r); err == nil {
		err = r.check()
	}
	if err != nil {
		return Release{}, fmt.Errorf("%w: description: %w", ErrDamaged, err)
	}
	return r, nil
}

// describe returns what a slot says that it holds.
func (s *Store) describe(slot Slot) (Release, error) { return s.readRelease(descriptionName(slot)) }

// verify reads the whole program of a slot: it is what its description says,
// and may be run.
func (s *Store) verify(slot Slot) (Release, error) {
	r, err := s.describe(slot)
	if err == nil {
		err = s.verifyFile(binaryName(slot), r, true)
	}
	return r, err
}

// verifyFile compares a file with a description.
func (s *Store) verifyFile(name string, r Release, executable bool) error {
	st, err := s.disk.Stat(name)
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return fmt.Errorf("%w: not a file", ErrDamaged)
	case st.Size() != r.Size:
		return fmt.Errorf("%w: %d bytes instead of %d", ErrDamaged, st.Size(), r.Size)
	case executable && st.Mode()&0o111 != 0o111:
		return fmt.Errorf("%w: not executable", ErrDamaged)
	}
	f, err := s.disk.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.LimitReader(f, r.Size), make([]byte, min(r.Size, 256<<10))); err != nil {
		return err
	}
	if Digest(h.Sum(nil)) != r.SHA256 {
		return fmt.Errorf("%w: the digest is not that of the release", ErrDamaged)
	}
	return nil
}

// encodeJSON returns the content of a file.
func encodeJSON(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "\t")
	return append(b, '\n'), err
}

// readSmall reads a file of at most limit bytes.
func readSmall(disk FS, name string, limit int64) ([]byte, error) {
	f, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrDamaged, limit)
	}
	return data, err
}

// writeFile makes a file anew, whatever stood in its place. Its content has
// reached the disk afterwards, though not its name.
func writeFile(disk FS, name string, content []byte) error {
	if err := disk.Remove(name); err != nil {
		return err
	}
	return edit(disk, name, func(f File) error {
		if _, err := f.WriteAt(content, 0); err != nil {
			return err
		}
		return f.Sync()
	})
}

// edit opens a file for a function.
func edit(disk FS, name string, change func(File) error) error {
	f, err := disk.Edit(name)
	if err != nil {
		return err
	}
	err = change(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// missing tells that there was nothing to read.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// answered tells that an error is about what is on the disk, and will be the
// same next time, in contrast to one of a disk that does not answer.
func answered(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return true
	}
	switch e {
	case syscall.ENOENT, syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP, syscall.EINVAL, syscall.ENXIO,
		syscall.EBADMSG, syscall.EUCLEAN: // the last two: what the file system finds damaged
		return true
	}
	return false
}
