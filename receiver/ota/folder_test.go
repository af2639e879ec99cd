package ota

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onFolder returns a store on a real folder.
func onFolder(t *testing.T, dir string) *Store {
	t.Helper()
	disk, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Disk: disk, Path: dir, Factory: theFactory, Log: quiet})
}

// startedFrom starts what the launcher chooses and returns its content.
func startedFrom(t *testing.T, s *Store) (what string) {
	t.Helper()
	if err := s.Launch(func(c Choice) error {
		if what = "factory"; c.Slot != Factory {
			b, err := os.ReadFile(s.Program(c.Slot))
			what = string(b)
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return what
}

// TestFolder takes a store on a real file system through an update, a return
// and another update.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ota")
	s := onFolder(t, dir)
	if got := startedFrom(t, s); got != "factory" {
		t.Errorf("%q is started", got)
	}
	for n := 1; n <= 3; n++ {
		u := update(n)
		u.Test = func(_ context.Context, path string) error {
			if b, err := os.ReadFile(path); err != nil || string(b) != program(n) {
				t.Errorf("%q is tested, %v", b, err)
			}
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o755 {
				t.Errorf("the program has permissions %v, %v", st.Mode(), err)
			}
			if err := onFolder(t, dir).Install(t.Context(), update(n)); !errors.Is(err, ErrBusy) {
				t.Errorf("a second installation: %v", err)
			}
			return nil
		}
		if err := s.Install(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		s = onFolder(t, dir)
		if got := startedFrom(t, s); got != program(n) {
			t.Errorf("%q is started", got)
		}
		if err := s.Confirm(s.Status("").Slot); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SendBack(); err != nil {
		t.Fatal(err)
	}
	if got := startedFrom(t, s); got != program(2) {
		t.Errorf("%q is started", got)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*/*"+partialSuffix))
	more, _ := filepath.Glob(filepath.Join(dir, "*"+newSuffix))
	if left = append(left, more...); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// TestObstacles puts folders, pipes and links where files belong.
func TestObstacles(t *testing.T) {
	names := []string{"a", "b", "current", "state.json", "state.json.new", "current.new", "a/aerie", "a/release.json", "a/aerie.partial", "a/release.json.partial", "lock", "state.lock"}
	for kind, put := range map[string]func(string) error{
		"folder": func(name string) error { return os.MkdirAll(filepath.Join(name, "full"), 0o755) },
		"pipe":   func(name string) error { return syscall.Mkfifo(name, 0o644) },
		"link":   func(name string) error { return os.Symlink("/etc/passwd", name) },
		"file":   func(name string) error { return os.WriteFile(name, []byte("noise"), 0o644) },
	} {
		for _, name := range names {
			dir := filepath.Join(t.TempDir(), "ota")
			s := onFolder(t, dir)
			path := filepath.Join(dir, name)
			_ = os.Mkdir(filepath.Dir(path), 0o755)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			if got := startedFrom(t, s); got != "factory" {
				t.Errorf("%s as %s: %q is started", name, kind, got)
			}
			// A lock that cannot be had is the only thing that is not overcome.
			if err := s.Install(t.Context(), update(1)); err != nil && !strings.HasSuffix(name, "lock") {
				t.Errorf("%s as %s: %v", name, kind, err)
			} else if err == nil && startedFrom(t, s) != program(1) {
				t.Errorf("%s as %s: the update is not started", name, kind)
			}
		}
	}
	if b, err := os.ReadFile("/etc/passwd"); err != nil || strings.Contains(string(b), "aerie partial") {
		t.Errorf("a link was followed out of the folder: %v", err)
	}
}

// TestSmallDisk fills a real file system, and makes one read-only.
func TestSmallDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("aerie-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := onFolder(t, filepath.Join(dir, "ota"))
	for n := 1; n <= 2; n++ {
		if err := s.Install(t.Context(), update(n)); err != nil {
			t.Fatal(err)
		}
		startedFrom(t, s)
		if err := s.Confirm(s.Status("").Slot); err != nil {
			t.Fatal(err)
		}
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := s.Install(t.Context(), update(3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	if got := startedFrom(t, s); got != program(2) {
		t.Errorf("on a full disk %q is started", got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Install(t.Context(), update(3)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("on a read-only disk: %v", err)
	}
	if got := startedFrom(t, s); got != program(2) {
		t.Errorf("on a read-only disk %q is started", got)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Install(t.Context(), update(3)); err != nil {
		t.Errorf("on a disk that works again: %v", err)
	}
}

// TestOwner: what root installs belongs to the receiver.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	const nobody = 65534
	state := t.TempDir()
	if err := os.Chown(state, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	s := onFolder(t, filepath.Join(state, "ota"))
	if err := s.Install(t.Context(), update(1)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(state, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if owner := st.Sys().(*syscall.Stat_t); err == nil && (owner.Uid != nobody || owner.Gid != nobody) {
			t.Errorf("%s belongs to %d:%d", path, owner.Uid, owner.Gid)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLockOfAnotherProcess: the launcher does not wait for ever for who holds
// the state, and an installation does not begin beside another.
func TestLockOfAnotherProcess(t *testing.T) {
	flock, err := exec.LookPath("flock")
	if err != nil {
		t.Skip("flock is not installed (Debian: apt install util-linux)")
	}
	dir := filepath.Join(t.TempDir(), "ota")
	s := onFolder(t, dir)
	if err := s.Install(t.Context(), update(1)); err != nil {
		t.Fatal(err)
	}
	next := update(2)
	next.ByHand = true // what runs has not proved itself
	for _, name := range []string{installLock, stateLock} {
		holder := exec.Command(flock, "--no-fork", filepath.Join(dir, name), "sh", "-c", "echo held; exec sleep 60")
		out, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if err := s.Install(t.Context(), next); !errors.Is(err, ErrBusy) {
			t.Errorf("%s is held: %v", name, err)
		}
		began := time.Now()
		if got := startedFrom(t, s); got != program(1) {
			t.Errorf("%s is held: %q is started", name, got)
		}
		if took := time.Since(began); took > 5*stateWait {
			t.Errorf("%s is held: the start takes %v", name, took)
		}
		holder.Process.Kill()
		_ = holder.Wait()
	}
}
