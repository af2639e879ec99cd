package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"aerie/receiver"
	"aerie/receiver/config"
)

// openStore finds where an appliance keeps its settings, by the flags alone: the
// file cannot say where its own copy is.
func (e *extra) openStore(flags *config.Config) error {
	if e.file == "" {
		return usageError("--appliance needs --config FILE")
	}
	state, err := receiver.StateDir(flags)
	if err != nil {
		return err
	}
	e.store = &config.Store{File: e.file, Dir: filepath.Join(state, "settings")}
	e.store.Write = func(text []byte) error {
		err := e.store.Install(text)
		if errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
			return e.store.HandOver(text)
		}
		return err
	}
	return nil
}

// startWhatever starts the receiver; of an appliance with the last good settings
// if it does not start with the owner's, and with the defaults if not with those
// either: a mistake must not leave a box without a terminal. It returns the
// settings in force.
func startWhatever(c *config.Config, e *extra, args []string) (*receiver.Receiver, *config.Config, error) {
	if e.store == nil {
		r, err := start(c, e.measure, nil)
		return r, c, err
	}
	a := &receiver.Appliance{Settings: e.store, Mistake: e.mistake}
	r, err := start(c, e.measure, a)
	if err == nil {
		if err := e.store.Keep(); err != nil {
			slog.Warn("the last good settings are not kept", "error", err)
		}
		return r, c, nil
	}
	if a.Mistake == nil {
		a.Mistake = &config.FileError{File: e.file, Reason: err.Error()}
	}
	for _, read := range []func(*config.Config) error{e.store.LastGood, func(*config.Config) error { return nil }} {
		c := config.Default()
		c.Appliance()
		if read(c) != nil || parseInto("run", c, &extra{}, args) != nil {
			continue
		}
		if r, err := start(c, e.measure, a); err == nil {
			return r, c, nil
		}
	}
	return nil, nil, err
}

// applySettings is the system's part of an appliance's settings. It has the
// rights that the receiver lacks, and does nothing else.
func applySettings(args []string, out io.Writer) error {
	flags, e := config.Default(), &extra{}
	if err := parseInto("run", flags, e, args); err != nil {
		return err
	}
	if err := e.openStore(flags); err != nil {
		return err
	}
	return applyWith(e.store, "/sys/class/ieee80211", out, func(name string, args ...string) error {
		text, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, text)
		}
		return nil
	})
}

// applyWith applies them by the programs that run runs. Radios is a folder that
// is there if any radio is: without one the kernel has nobody to tell.
func applyWith(s *config.Store, radios string, out io.Writer, run func(name string, args ...string) error) error {
	folder := filepath.Dir(s.File)
	taken, err := s.TakeOver(func() (func() error, error) {
		return func() error { return run("mount", "-o", "remount,ro", folder) }, run("mount", "-o", "remount,rw", folder)
	})
	if taken {
		fmt.Fprintln(out, "settings written to", s.File)
	}
	// The kernel keeps to the rules of a country only when it is told which.
	if country := s.Read().WiFi.Country; country != "" {
		if _, missing := os.Stat(radios); missing == nil {
			err = errors.Join(err, run("iw", "reg", "set", country))
		}
	}
	return err
}
