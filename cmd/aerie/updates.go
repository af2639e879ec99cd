package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"aerie/receiver"
	"aerie/receiver/config"
	"aerie/receiver/ota"
	"aerie/receiver/ota/release"
)

// runUpdates runs the updater beside the receiver until ctx ends; nil if
// there is none. The function is called with the error of the receiver, when that has ended.
func runUpdates(ctx context.Context, c *config.Config, r *receiver.Receiver, restart func()) (*ota.Updater, func(error)) {
	log, err := openLog(c)
	if err != nil {
		return nil, func(error) {} // nor would there be a receiver
	}
	u := openUpdates(c, r, restart, log)
	if u == nil {
		return nil, func(error) {}
	}
	writeCrashes()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		u.Run(ctx)
		close(done)
	}()
	return u, func(err error) {
		cancel()
		<-done
		u.Leave(err)
	}
}

// openUpdates makes the updater of a program that a launcher started. For any
// other there is none: what it consists of is its user's business.
func openUpdates(c *config.Config, r *receiver.Receiver, restart func(), log *slog.Logger) *ota.Updater {
	slot, folder := ota.Slot(os.Getenv(slotVariable)), os.Getenv(storeVariable)
	if slot == "" || folder == "" {
		return nil
	}
	var factory ota.Release // what a slot does not know
	if slot == ota.Factory {
		factory = thisRelease()
	}
	store, err := openStore(folder, factory, log)
	if err != nil {
		log.Error("there will be no updates", "error", err)
		return nil
	}
	window, err := ota.ParseWindow(c.Updates.Window)
	if err != nil { // which the settings do not let happen
		log.Error("updates come at any time", "error", err)
	}
	o := ota.UpdaterOptions{
		Store: store, Running: slot, Mode: ota.Mode(c.Updates.Mode), Window: window,
		Confirm: time.Duration(c.Updates.Confirm) * time.Minute, Test: testProgram,
		Healthy: r.Healthy, Complete: r.Complete, Playing: r.Playing,
		Restart: restart, Changed: r.SetUpdate, Log: log,
	}
	if c.Updates.URL != "" {
		o.Find = findAt(c.Updates.URL, true)
	}
	return ota.NewUpdater(o)
}

// writeCrashes has a panic, or the watchdog's signal, leave its words where the
// launcher reads them, which counts this start already.
func writeCrashes() {
	f, err := os.Create(filepath.Join(volatileFolder(), ota.CrashName))
	if err != nil {
		return // there is no such place, and the journal has them too
	}
	defer f.Close() // of which the runtime has a copy
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
}

// notStarted notes why this program cannot run, for the launcher, if it was
// started by one.
func notStarted(why error) {
	slot, folder := ota.Slot(os.Getenv(slotVariable)), os.Getenv(storeVariable)
	if slot == "" || folder == "" {
		return
	}
	log := slog.New(newLog(os.Stderr, slog.LevelInfo))
	store, err := openStore(folder, ota.Release{}, log)
	if err == nil {
		err = store.Trouble(slot, why.Error())
	}
	if err != nil {
		log.Warn("why this version does not start is not noted", "error", err)
	}
}

// findAt finds the newest release in a folder, or one release by the path of
// its program or its signature. An address without encryption is taken only
// from the owner: the signature protects the device, but not what is asked.
func findAt(where string, byOwner bool) ota.Find {
	return func(ctx context.Context) (ota.Offer, error) {
		keys, err := release.LoadKeys(release.KeyFile)
		if err != nil {
			return ota.Offer{}, err
		}
		file := ""
		if st, err := os.Stat(where); err == nil && !st.IsDir() {
			where, file = filepath.Split(strings.TrimSuffix(where, ".minisig"))
			where = filepath.Clean(where)
		}
		source, err := release.ParseSource(where, release.WebOptions{Insecure: byOwner})
		if err != nil {
			return ota.Offer{}, err
		}
		var r *release.Release
		if file == "" {
			r, err = release.Latest(ctx, source, keys, release.Product, release.Arch())
		} else {
			r, err = release.Named(ctx, source, keys, file)
		}
		if err == nil {
			err = r.For(release.Product, release.Arch(), 0)
		}
		if err != nil {
			return ota.Offer{}, err
		}
		return ota.Offer{
			Release: ota.Release{Version: r.Version, Counter: r.Counter, Size: r.Size, SHA256: r.SHA256},
			Fetch: func(ctx context.Context, to ota.Partial, have int64, progress func(have, size int64)) error {
				return release.Download(ctx, source, r, to, have, release.Limits{Progress: progress})
			},
		}, nil
	}
}

// testProgram runs the self-test of another build. It gives way to whatever
// else runs, and does not speak to systemd.
func testProgram(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, program, "selftest")
	cmd.Env = withoutVariables(os.Environ(), "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", slotVariable, storeVariable)
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	// It ends with this process, and with all that it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	const lowest = 19
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, lowest)
	err := cmd.Wait()
	if ctx.Err() != nil {
		err = errors.New("it takes too long")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.failures())
	}
	return nil
}

// tail keeps the end of what a program says.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 2 << 10
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-most):]
	return len(p), nil
}

// failures returns the steps that failed, or else all that is kept.
func (t *tail) failures() string {
	var failed []string
	for line := range bytes.Lines(t.b) {
		if text, is := strings.CutPrefix(string(line), "FAIL"); is {
			failed = append(failed, strings.Join(strings.Fields(text), " "))
		}
	}
	if failed == nil {
		return string(t.b)
	}
	return strings.Join(failed, "; ")
}
