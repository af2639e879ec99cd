// Package ota keeps the program on a device up to date by swapping its
// binary, in such a way that no loss of power, no broken update and no broken
// disk leaves the device without a program that works.
//
// A Store is a folder with two slots. The link "current" names the one that
// is started; an update goes into the other, is checked and tried there, and
// takes over when the link is renamed into place. The factory binary in the
// read-only root is started when neither slot is fit. It is also the
// launcher: before each start it counts, checks the digest of the slot, and
// goes back where a version did not stay up. A version has proved itself when
// the running program, healthy for minutes, says so with Confirm.
//
//	a/aerie b/aerie     the programs, each with a release.json that describes it
//	current             a link to a or b; none: the factory binary
//	state.json          what the next start must know; rebuilt when it is lost
//	lock state.lock     for updates, and for changes of state.json
//
// No decision needs a clock: releases are ordered by their counter.
//
// Where releases come from and whether their signature is right is known to
// package release and to those who call Install with a description that they
// verified; this package opens no network connection.
//
// Proof: power_test.go cuts the power after every operation on the disk, with
// every part of what was not synced lost, and again during the recovery;
// failure_test.go has every operation fail, the disk full, read-only and
// damaged; model_test.go compares random lives with a simple model;
// folder_test.go uses real file systems; updater_test.go runs the schedule on a
// simulated clock; FuzzState, FuzzDescription and FuzzWindow read hostile
// texts. cmd/aerie/ota_test.go does it with real programs and processes.
package ota

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Slot names a place that a program is started from.
type Slot string

// The slots; Factory is the binary in the read-only root.
const (
	A       Slot = "a"
	B       Slot = "b"
	Factory Slot = "factory"
)

// other returns the slot that is not s.
func (s Slot) other() Slot {
	if s == A {
		return B
	}
	return A
}

// inStore tells that s is one of the two slots of a store.
func (s Slot) inStore() bool { return s == A || s == B }

// Names in the folder. What is being written has one of its own until it is
// whole.
const (
	currentName = "current"
	stateName   = "state.json"
	newSuffix   = ".new"
	installLock = "lock"
	stateLock   = "state.lock"
)

// CrashName is a file in the volatile folder to which a program that crashes
// writes why (runtime/debug.SetCrashOutput). The launcher reads its first line.
const CrashName = "crash"

// How often a version is started without being healthy for long before it is
// given up. One that has proved itself gets more: it may be the owner who
// switches the device on and off.
const (
	Tries       = 3
	ProvenTries = 6
)

// stateWait is how long a change of the state waits for another to end. They
// take milliseconds; the launcher goes on without after that.
const stateWait = 2 * time.Second

// Why a release is not installed.
var (
	ErrOld       = errors.New("older than what this device has run")
	ErrBad       = errors.New("was tried before and did not work")
	ErrInstalled = errors.New("is installed already")
	ErrBusy      = errors.New("another update is under way")
	ErrTrying    = errors.New("the last update has not proved itself yet")
	ErrTest      = errors.New("failed its self-test")
	ErrDamaged   = errors.New("damaged")
	ErrNoOlder   = errors.New("there is nothing to go back to")
)

// Store is a folder of slots. Its methods may be called from any goroutine
// and any process.
type Store struct {
	disk     FS
	volatile FS     // keeps the state until the next boot when the disk does not take it; nil: nowhere
	path     string // of the folder, for those who start what is in it
	factory  Release
	log      *slog.Logger
}

// Options is what a Store is made of.
type Options struct {
	Disk     FS
	Volatile FS      // in memory, lost with the power; nil for none
	Path     string  // absolute, where Disk is
	Factory  Release // version and counter of the factory binary, as far as it is known
	Log      *slog.Logger
}

// New makes a store. It does not touch the disk.
func New(o Options) *Store {
	return &Store{disk: o.Disk, volatile: o.Volatile, path: o.Path, factory: o.Factory, log: o.Log}
}

// Program returns the path of the program in a slot.
func (s *Store) Program(slot Slot) string { return filepath.Join(s.path, binaryName(slot)) }

// Current returns the slot that the next start takes, as far as the link
// says: Factory if there is none.
func (s *Store) Current() Slot {
	slot, _ := s.current()
	return slot
}

// current is Current, with the error of a disk that does not answer.
func (s *Store) current() (Slot, error) {
	target, err := s.disk.Readlink(currentName)
	switch slot := Slot(target); {
	case err == nil && slot.inStore():
		return slot, nil
	case err == nil, answered(err):
		return Factory, nil
	}
	return Factory, err
}

// target is what the link leads to.
type target struct {
	slot   Slot
	sha256 Digest
}

func (s *Store) target() target {
	slot := s.Current()
	r, _ := s.describe(slot) // zero for the factory's, and what cannot be read
	return target{slot, r.SHA256}
}

// point makes the link name a slot, or removes it for Factory. The new link
// is made beside it and renamed over it, so there is no moment without one.
func (s *Store) point(to Slot) error {
	if to == Factory {
		if err := s.disk.Remove(currentName); err != nil {
			return fmt.Errorf("ota: remove the link to a slot: %w", err)
		}
		return s.disk.SyncDir(".")
	}
	next := currentName + newSuffix
	err := s.disk.Remove(next) // of an update that was cut short
	if err == nil {
		err = s.disk.Symlink(string(to), next)
	}
	if err == nil {
		err = s.disk.Rename(next, currentName)
	}
	if err == nil {
		err = s.disk.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("ota: switch to slot %s: %w", to, err)
	}
	return nil
}
