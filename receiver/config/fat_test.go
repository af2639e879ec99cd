package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A FAT that is mounted read-only is written to by the system alone, stays
// mounted as it was, and has the new file after it was taken away and put back.
func TestOnFAT(t *testing.T) {
	boot := os.Getenv("AERIE_FAT")
	if boot == "" {
		t.Skip("needs a FAT that is mounted read-only: .ci/radio")
	}
	run := func(args ...string) error {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return err
	}
	mounted := func() string {
		text, err := os.ReadFile("/proc/mounts")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 3 && f[1] == boot {
				return f[3]
			}
		}
		return ""
	}
	s := &Store{File: filepath.Join(boot, "aerie.toml"), Dir: t.TempDir()}
	before := mounted()
	for i, want := range []string{"name = \"Den\"\n", "name = \"Kitchen\" # längere Zeile\n", "name = \"A\"\n"} {
		if err := s.Install([]byte(want)); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("the receiver itself: %v", err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, pendingName), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		taken, err := s.TakeOver(func() (func() error, error) {
			return func() error { return run("mount", "-o", "remount,ro", boot) }, run("mount", "-o", "remount,rw", boot)
		})
		if !taken || err != nil {
			t.Fatalf("%d: %v, %v", i, taken, err)
		}
		if now := mounted(); now != before || !strings.HasPrefix(now, "ro,") {
			t.Errorf("mounted as %s, before as %s", now, before)
		}
		if run("umount", boot) != nil || run("mount", "-t", "vfat", "-o", "ro,noatime,nodev,nosuid,noexec", "/dev/vdb", boot) != nil {
			t.FailNow()
		}
		if got, err := os.ReadFile(s.File); err != nil || string(got) != want {
			t.Errorf("%d: %q, %v", i, got, err)
		}
		if left, err := os.ReadDir(boot); err != nil || len(left) != 1 {
			t.Errorf("%d: %v, %v", i, left, err)
		}
	}
}
