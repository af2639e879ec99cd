package ota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
)

// Update is a release that is to be installed.
type Update struct {
	Release Release
	// ByHand lets a release be tried again that was bad, for the owner asks.
	ByHand bool
	// Fetch makes the program whole. Of it the first so many bytes are there,
	// from an earlier try. What goes beyond the size of the release is refused.
	Fetch func(ctx context.Context, to Partial, have int64) error
	// Test runs the self-test of the program at a path.
	Test func(ctx context.Context, path string) error
	// Step is told what is under way; nil for nobody.
	Step func(Step)
}

// Step is a step of an installation.
type Step string

// The steps.
const (
	Fetching  Step = "downloading"
	Checking  Step = "checking"
	Testing   Step = "testing"
	Switching Step = "installing"
)

// Partial is where a program grows.
type Partial interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// bounded is one that takes no more than a program has.
type bounded struct {
	Partial
	size int64
}

func (b bounded) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > b.size {
		return 0, fmt.Errorf("ota: more than the %d bytes of the release", b.size)
	}
	return b.Partial.WriteAt(p, at)
}

// Acceptable tells why a release would not be installed: an error that wraps
// ErrOld, ErrBad, ErrInstalled or ErrTrying.
func (s *Store) Acceptable(r Release, byHand bool) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("ota: not a release: %w", err)
	}
	st, err := s.load()
	if err != nil {
		return err
	}
	current := s.Current()
	now, err := s.describe(current)
	installed := current != Factory && err == nil && st.bad(now.SHA256) == ""
	switch why := st.bad(r.SHA256); {
	case r.Counter < max(st.Floor, s.factory.Counter):
		return fmt.Errorf("ota: %s with counter %d is %w: counter %d", r.Version, r.Counter, ErrOld, max(st.Floor, s.factory.Counter))
	case installed && now.SHA256 == r.SHA256:
		return fmt.Errorf("ota: %s %w", r.Version, ErrInstalled)
	case why != "" && !byHand && !st.mayReturn(r.SHA256):
		return fmt.Errorf("ota: %s %w: it %s", r.Version, ErrBad, why)
	case installed && r.Counter <= now.Counter && !byHand:
		return fmt.Errorf("ota: %s with counter %d is %w: counter %d", r.Version, r.Counter, ErrOld, now.Counter)
	case installed && st.Proven != now.SHA256 && st.Started == current && !byHand:
		return fmt.Errorf("ota: %w: %s", ErrTrying, now.Version)
	}
	return nil
}

// Install puts a release into the slot that is not running and makes the link
// name it, so that the next start takes it. Nothing that is started today is
// touched before the new program is whole, tested and on the disk.
//
// What was fetched stays for the next attempt when fetching fails or ctx
// ends, but not on a full disk.
func (s *Store) Install(ctx context.Context, u Update) error {
	unlock, err := s.disk.Lock(installLock, 0)
	if err != nil {
		return fmt.Errorf("ota: %w", err)
	}
	defer unlock()
	if err := s.Acceptable(u.Release, u.ByHand); err != nil {
		return err
	}
	slot, err := s.free()
	if err != nil {
		return err
	}
	if err := s.stage(ctx, slot, u); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTest) {
			s.discard(slot)
		}
		if errors.Is(err, ErrTest) {
			s.reject(u.Release, err)
		}
		return fmt.Errorf("ota: install %s: %w", u.Release.Version, err)
	}
	u.step(Switching)
	return s.adopt(slot, u.Release)
}

func (u Update) step(what Step) {
	if u.Step != nil {
		u.Step(what)
	}
}

// free returns the slot that an update may go into: not the one that runs.
func (s *Store) free() (Slot, error) {
	st, err := s.load()
	if err != nil {
		return "", err
	}
	switch current := s.Current(); {
	case st.Started.inStore():
		return st.Started.other(), nil
	case current != Factory:
		return current.other(), nil
	}
	// The factory binary runs. What proved itself once may yet be of use.
	if r, err := s.describe(A); err == nil && r.SHA256 == st.Proven {
		return B, nil
	}
	return A, nil
}

// stage makes a slot hold a release, whole and on the disk.
func (s *Store) stage(ctx context.Context, slot Slot, u Update) error {
	if r, err := s.verify(slot); err == nil && r == u.Release {
		// An installation was cut short behind this, maybe before the names
		// had reached the disk.
		return s.disk.SyncDir(string(slot))
	}
	if err := s.disk.Mkdir(string(slot)); err != nil {
		return err
	}
	partial := binaryName(slot) + partialSuffix
	resumed, err := s.fetch(ctx, slot, u)
	if errors.Is(err, ErrDamaged) && resumed {
		// What an earlier try left may be what a loss of power made of it.
		s.discard(slot)
		_, err = s.fetch(ctx, slot, u)
	}
	if err != nil {
		return err
	}
	if err := s.seal(partial); err != nil {
		// What could not be flushed is not flushed by another attempt: the
		// kernel takes it for done (fsync(2)).
		s.discard(slot)
		return err
	}
	u.step(Testing)
	if err := u.Test(ctx, filepath.Join(s.path, partial)); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrTest, err)
	}
	for _, name := range []string{binaryName(slot), descriptionName(slot)} {
		if err := s.disk.Rename(name+partialSuffix, name); err != nil {
			return err
		}
	}
	return s.disk.SyncDir(string(slot))
}

// fetch makes the partial program whole and checks it. Beside it stands the
// description of what it is a part of; resumed tells that there was a part.
func (s *Store) fetch(ctx context.Context, slot Slot, u Update) (resumed bool, err error) {
	name, about := binaryName(slot)+partialSuffix, descriptionName(slot)+partialSuffix
	var have int64
	if r, err := s.readRelease(about); err == nil && r == u.Release {
		if st, err := s.disk.Stat(name); err == nil && st.Mode().IsRegular() && st.Size() <= r.Size {
			have = st.Size()
		}
	}
	if have == 0 {
		s.discard(slot)
		content, err := encodeJSON(u.Release)
		if err != nil {
			return false, err
		}
		if err := writeFile(s.disk, about, content); err != nil {
			return false, err
		}
	}
	if have < u.Release.Size {
		u.step(Fetching)
		if err := edit(s.disk, name, func(f File) error {
			return u.Fetch(ctx, bounded{f, u.Release.Size}, have)
		}); err != nil {
			return have > 0, err
		}
	}
	u.step(Checking)
	return have > 0, s.verifyFile(name, u.Release, false)
}

// seal makes a program executable and has it reach the disk.
func (s *Store) seal(name string) error {
	return edit(s.disk, name, func(f File) error {
		if err := f.Chmod(0o755); err != nil {
			return err
		}
		return f.Sync()
	})
}

// discard removes what was fetched so far. What cannot be removed is
// overwritten next time.
func (s *Store) discard(slot Slot) {
	for _, name := range []string{binaryName(slot), descriptionName(slot)} {
		if err := s.disk.Remove(name + partialSuffix); err != nil {
			s.log.Warn("ota: a partial download stays", "file", name+partialSuffix, "error", err)
		}
	}
}

// reject counts a test that failed like a start. One may fail for a reason
// that passes, such as another program that has all the memory.
func (s *Store) reject(r Release, why error) {
	err := s.change(func(st *state) {
		x := st.starts(r.SHA256)
		x.Count++
		if st.setStarts(x); x.Count >= Tries {
			st.setBad(r, why.Error(), false)
		}
	})
	if err != nil {
		s.log.Warn("ota: a release that does not work may be tried again", "error", err)
	}
}

// adopt has the next start take a slot.
func (s *Store) adopt(slot Slot, r Release) error {
	return s.locked(func(st *state) error {
		var from Release // what runs, which is not in this slot
		if st.Started == slot.other() || st.Started == "" && s.Current() == slot.other() {
			from, _ = s.describe(slot.other())
		}
		st.Last = Event{Kind: Installed, From: from.Version, To: r.Version}
		st.lift(r.SHA256)
		// The disk must have the state, and the name of the slot with it,
		// before the link.
		if err := s.save(*st); err != nil {
			return err
		}
		return s.point(slot)
	})
}
