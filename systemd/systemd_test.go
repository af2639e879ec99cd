package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// need skips a test where a program is missing.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not here (package systemd)", program)
	}
	return path
}

// layout is the root of an appliance with a program that does nothing.
func layout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	binary := filepath.Join(t.TempDir(), "aerie")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "sh", "install", root, binary)
	return root
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Everything in this folder is laid out, and what is there twice is the same.
func TestInstall(t *testing.T) {
	root := layout(t)
	installed := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			installed[string(text)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "aerie-fleet.service" {
			continue // for the owner's machine, not for the appliance
		}
		if ours := f.Name() == "install" || filepath.Ext(f.Name()) == ".go"; !ours && !installed[string(text)] {
			t.Errorf("%s is not installed", f.Name())
		}
	}
	for _, link := range []string{"usr/bin/aerie", "usr/lib/systemd/system/multi-user.target.wants/aerie.service", "usr/lib/systemd/system/data.mount.wants/aerie-grow.service"} {
		if _, err := os.Stat(filepath.Join(root, link)); err != nil {
			t.Error(err)
		}
	}
}

// systemd understands every line.
func TestUnitsAreVerified(t *testing.T) {
	need(t, "systemd-analyze")
	root := layout(t)
	// The programs that units call, and the units of others that they name.
	for _, name := range []string{"sysinit.target", "basic.target", "shutdown.target", "multi-user.target"} {
		unit := filepath.Join(root, "usr/lib/systemd/system", name)
		if err := os.WriteFile(unit, []byte("[Unit]\nDescription=Stand-in\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{"aerie.service", "aerie-data.service", "aerie-grow.service"} {
		out := run(t, "systemd-analyze", "--man=no", "--root="+root, "verify", unit)
		if strings.TrimSpace(out) != "" {
			t.Errorf("%s: %s", unit, out)
		}
	}
	run(t, "systemd-analyze", "--root="+root, "cat-config", "systemd/system.conf", "systemd/journald.conf")
}

// The exposure that systemd works out is at most 2.5 of 10.
func TestSandbox(t *testing.T) {
	need(t, "systemd-analyze")
	out := run(t, "systemd-analyze", "--no-pager", "security", "--offline=yes", "--threshold=25", "./aerie.service")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Overall exposure level") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// sysusers and udev take what is for them.
func TestUsersAndRules(t *testing.T) {
	root := layout(t)
	t.Run("sysusers", func(t *testing.T) {
		need(t, "systemd-sysusers")
		run(t, "systemd-sysusers", "--root="+root)
		groups, err := os.ReadFile(filepath.Join(root, "etc/group"))
		if err != nil || !strings.Contains(string(groups), "aerie:") || !strings.Contains(string(groups), "video:") {
			t.Errorf("groups: %v\n%s", err, groups)
		}
	})
	t.Run("udev", func(t *testing.T) {
		udevadm := need(t, "udevadm")
		if out, err := exec.Command(udevadm, "verify", "--help").CombinedOutput(); err != nil {
			t.Skipf("udevadm cannot verify: %s", strings.TrimSpace(string(out)))
		}
		run(t, udevadm, "verify", "udev.rules")
	})
}

// The times fit together: the hardware's watchdog within what a Raspberry Pi
// can count, and restarts that go on for longer than an update takes to be
// given up.
func TestTimes(t *testing.T) {
	seconds := func(file, key string) int {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^` + key + `=(\d+)s$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s has no %s in seconds", file, key)
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := seconds("watchdog.conf", "RuntimeWatchdogSec"); n > 15 {
		t.Errorf("the hardware watchdog has %d s, a Raspberry Pi at most 15", n)
	}
	// package health checks every second, and lets parts owe 15 s and more.
	if n := seconds("aerie.service", "WatchdogSec"); n < 10 || n > 60 {
		t.Errorf("the service's watchdog has %d s", n)
	}
	if seconds("aerie.service", "TimeoutStartSec") < 60 {
		t.Error("less time to start than package receiver waits to be announced")
	}
}
