package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aead.dev/minisign"

	"aerie/receiver/ota"
	"aerie/receiver/ota/release"
)

// appliance is a device in a folder: the factory binary, its state, and a
// folder that updates come from.
type appliance struct {
	t                       *testing.T
	factory, next           string // two builds, 1.0 and 1.1
	state, offers, settings string
	runtime                 string // a folder in memory
	key                     minisign.PrivateKey
}

func newAppliance(t *testing.T) *appliance {
	t.Helper()
	public, key, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	v := &appliance{t: t, factory: filepath.Join(dir, "factory"), next: program(t, "aerie"),
		state: filepath.Join(dir, "state"), offers: filepath.Join(dir, "offers"), runtime: t.TempDir(), settings: filepath.Join(dir, "aerie.toml"), key: key}
	flags := fmt.Sprintf("%s -X main.version=1.0 -X aerie/receiver/ota/release.counter=1 -X aerie/receiver/ota/release.publicKeys=%s", os.Getenv("AERIE_LDFLAGS"), public)
	build := exec.Command("go", "build", "-trimpath", "-tags", os.Getenv("AERIE_TAGS"), "-ldflags", flags, "-o", v.factory, "aerie/cmd/aerie")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, folder := range []string{v.state, v.offers} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.write(v.settings, "[updates]\nmode = \"off\"\nconfirm = 0\n", 0o600)
	return v
}

func (v *appliance) write(name, content string, mode os.FileMode) {
	v.t.Helper()
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		v.t.Fatal(err)
	}
}

// offer puts a signed release where updates come from.
func (v *appliance) offer(program []byte, version string, counter uint64) {
	v.t.Helper()
	info := release.Info{Product: release.Product, Arch: release.Arch(), Version: version, Counter: counter, File: release.FileName(release.Product, release.Arch(), version)}
	signature, err := release.Sign(v.key, bytes.NewReader(program), info)
	if err != nil {
		v.t.Fatal(err)
	}
	v.write(filepath.Join(v.offers, info.File), string(program), 0o644)
	v.write(filepath.Join(v.offers, release.SignatureName(info.File)), string(signature), 0o644)
	v.write(filepath.Join(v.offers, release.IndexName(release.Product, release.Arch())), string(signature), 0o644)
}

// script is a release that is a script: what it does as "run".
func script(run string) []byte {
	return []byte("#!/bin/sh\nif [ \"$1\" = selftest ]; then exit 0; fi\necho \"started as $AERIE_SLOT with $*\"\n" + run + "\n")
}

// ota runs "aerie ota" as the owner does.
func (v *appliance) ota(args ...string) (out string, err error) {
	b, err := exec.Command(v.factory, append(append([]string{"ota"}, args...), "--state", v.state)...).CombinedOutput()
	return string(b), err
}

func (v *appliance) install() {
	v.t.Helper()
	if out, err := v.ota("install", v.offers); err != nil {
		v.t.Fatalf("install: %v\n%s", err, out)
	}
}

// server serves the offers, hangs up in the middle of the first program, and
// counts how often it is asked for one.
func (v *appliance) server() (s *httptest.Server, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	files := http.FileServer(http.Dir(v.offers))
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".minisig") && asked.Add(1) == 1 {
			b, _ := os.ReadFile(filepath.Join(v.offers, filepath.Base(r.URL.Path)))
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			w.Write(b[:len(b)/2])
			return
		}
		if r.Header.Get("Range") == "" && !strings.HasSuffix(r.URL.Path, ".minisig") {
			v.t.Error("the download begins anew")
		}
		files.ServeHTTP(w, r)
	}))
	v.t.Cleanup(s.Close)
	return s, asked
}

func (v *appliance) status() (st ota.Status) {
	v.t.Helper()
	out, err := v.ota("status", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &st)
	}
	if err != nil {
		v.t.Fatalf("status: %v\n%s", err, out)
	}
	return st
}

// boot starts the launcher as the unit does.
func (v *appliance) boot() (cmd *exec.Cmd, log *logBuffer) {
	v.t.Helper()
	log = &logBuffer{}
	cmd = exec.Command(v.factory, "launch", "run", "--config", v.settings, "--state", v.state, "--name", "Slot", "--port", "0", "--http", "",
		"--discovery=false", "--video", "none", "--audio", "none")
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+v.runtime)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, log
}

// runs starts the device and waits until a version is ready.
func (v *appliance) runs(version string) *exec.Cmd {
	v.t.Helper()
	cmd, log := v.boot()
	build := "devel"
	if version == "1.0" {
		build = version
	}
	log.wait(v.t, "version="+version+" (?s:.*)Aerie "+build+" is ready")
	return cmd
}

// ends waits for a process to end and returns its exit code.
func (v *appliance) ends(cmd *exec.Cmd) int {
	v.t.Helper()
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		v.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// until waits for a status.
func (v *appliance) until(what string, is func(ota.Status) bool) {
	v.t.Helper()
	for end := time.Now().Add(time.Minute); !is(v.status()); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("%s: never, but %+v", what, v.status())
		}
	}
}

// TestUpdates takes a device through its life with real programs and
// processes: an update that works, one that crashes, one that hangs, one that
// fails its self-test, and back to what it was delivered with.
func TestUpdates(t *testing.T) {
	v := newAppliance(t)
	cmd := v.runs("1.0")
	if st := v.status(); st.Slot != ota.Factory || st.Version != "1.0" || !st.Proven {
		t.Errorf("at first: %+v", st)
	}
	next, err := os.ReadFile(v.next)
	if err != nil {
		t.Fatal(err)
	}

	// An update that works. The receiver notices, and ends for it.
	v.offer(next, "1.1", 2)
	server, asked := v.server()
	if out, err := v.ota("install", server.URL); err != nil || asked.Load() != 2 {
		t.Fatalf("install from a server that hangs up, asked %d times: %v\n%s", asked.Load(), err, out)
	}
	if st := v.status(); st.Version != "1.0" || st.Pending != "1.1" {
		t.Errorf("after the installation: %+v", st)
	}
	if code := v.ends(cmd); code != 0 {
		t.Errorf("the receiver ends for the update with exit code %d", code)
	}
	cmd = v.runs("1.1")
	v.until("1.1 proves itself", func(st ota.Status) bool { return st.Version == "1.1" && st.Slot == ota.A && st.Proven })
	cmd.Process.Signal(syscall.SIGTERM)
	if code := v.ends(cmd); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}

	// A watchdog has it leave its words for the launcher.
	cmd = v.runs("1.1")
	cmd.Process.Signal(syscall.SIGABRT)
	v.ends(cmd)
	if b, err := os.ReadFile(filepath.Join(v.runtime, "ota", ota.CrashName)); err != nil || !strings.HasPrefix(string(b), "SIGABRT") {
		t.Errorf("SIGABRT: %v %.80q", err, b)
	}

	// One that crashes, and one that hangs until a watchdog kills it.
	for i, run := range []string{"echo 'panic: oh' >$RUNTIME_DIRECTORY/ota/crash; kill -SEGV $$", "exec sleep 1000"} {
		counter := uint64(3 + i)
		version := fmt.Sprintf("1.%d", counter)
		v.offer(script(run), version, counter)
		v.install()
		for range ota.Tries {
			cmd, log := v.boot()
			log.wait(t, "started as b with run --config")
			if counter == 4 {
				cmd.Process.Kill()
			}
			v.ends(cmd)
		}
		cmd = v.runs("1.1")
		want := fmt.Sprintf("went back from %s to 1.1: %s did not stay up in 3 starts", version, version)
		if counter == 3 {
			want += ": panic: oh"
		}
		if st := v.status(); st.WentBack != want || st.Slot != ota.A {
			t.Errorf("says %q, want %q", st.WentBack, want)
		}
		cmd.Process.Kill()
		v.ends(cmd)
		if out, err := v.ota("check", v.offers); err == nil || !strings.Contains(out, "did not work") {
			t.Errorf("offered again: %v %s", err, out)
		}
	}

	// One that fails its self-test, and one of somebody else.
	v.offer([]byte("#!/bin/sh\necho 'FAIL  decoder  pictures are green'\nexit 1\n"), "1.5", 5)
	if out, err := v.ota("install", v.offers); err == nil || !strings.Contains(out, "decoder pictures are green") {
		t.Errorf("a self-test that fails: %v %s", err, out)
	}
	stranger := *v
	if _, stranger.key, err = minisign.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	stranger.offer(script("exit 1"), "1.6", 6)
	if out, err := v.ota("install", v.offers); err == nil || !strings.Contains(out, release.ErrKey.Error()) {
		t.Errorf("a stranger's release: %v %s", err, out)
	}
	// A damaged slot, and back to the factory's.
	cmd = v.runs("1.1")
	cmd.Process.Kill()
	v.ends(cmd)
	if out, err := v.ota("rollback"); err != nil || !strings.Contains(out, "factory version") {
		t.Errorf("rollback: %v %s", err, out)
	}
	cmd = v.runs("1.0")
	if st := v.status(); st.Slot != ota.Factory || st.Last.String() != "was sent back from 1.1 to the factory version" {
		t.Errorf("in the end: %+v", st)
	}
	cmd.Process.Kill()
	v.ends(cmd)

	t.Run("two at once", v.twoAtOnce)
	t.Run("killed", v.killed)
	t.Run("launcher", v.launcherAlways)
}

// twoAtOnce installs while another process does.
func (v *appliance) twoAtOnce(t *testing.T) {
	v.t = t
	v.offer([]byte("#!/bin/sh\nsleep 1\necho \"started as $AERIE_SLOT with $*\"\n"), "2.0", 20)
	first := exec.Command(v.factory, "ota", "install", v.offers, "--state", v.state)
	log := &logBuffer{}
	first.Stdout, first.Stderr = log, log
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "testing")
	if out, err := v.ota("install", v.offers); err == nil || !strings.Contains(out, ota.ErrBusy.Error()) {
		t.Errorf("the second: %v %s", err, out)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the first: %v %s", err, log)
	}
	if st := v.status(); st.Pending != "2.0" {
		t.Errorf("%+v", st)
	}
}

// killed kills installations at random moments. A whole program is started
// after each, and the installation can be made again.
func (v *appliance) killed(t *testing.T) {
	v.t = t
	random := mrand.New(mrand.NewPCG(1, 2))
	for i := range 8 {
		version := fmt.Sprintf("3.%d", i)
		v.offer(append(script("exit 7 # "+version), make([]byte, 4<<20)...), version, uint64(30+i))
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(150))*time.Millisecond)
		_ = exec.CommandContext(ctx, v.factory, "ota", "install", v.offers, "--state", v.state).Run()
		cancel()
		cmd, log := v.boot()
		log.wait(t, `started as [ab] with run|is ready`)
		cmd.Process.Kill()
		v.ends(cmd)
		// One that was killed late is installed.
		if out, err := v.ota("install", v.offers); err != nil && !strings.Contains(out, ota.ErrInstalled.Error()) {
			t.Fatalf("%s: %v %s", version, err, out)
		}
		cmd, log = v.boot()
		log.wait(t, `started as [ab] with run`)
		if code := v.ends(cmd); code != 7 || v.status().Version != version {
			t.Errorf("%s: exit code %d, %+v", version, code, v.status())
		}
	}
}

// launcherAlways: whatever is wrong, the launcher starts something.
func (v *appliance) launcherAlways(t *testing.T) {
	v.t = t
	nowhere := filepath.Join(t.TempDir(), "none", "there")
	for name, args := range map[string][]string{
		"no state":      {"launch", "version", "--state", nowhere},
		"state a file":  {"launch", "--state", v.factory, "version"},
		"other factory": {"launch", "--state", nowhere, "--factory", v.next, "--", "version"},
		"no factory":    {"launch", "--state", nowhere, "--factory", nowhere, "--", "version"},
		"a pipe":        {"launch", "--state", pipes(t), "--", "version"},
		"no program":    {"launch", "--state", unrunnable(t), "--", "version"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		out, err := exec.CommandContext(ctx, v.factory, args...).Output()
		cancel()
		want := "aerie 1.0\n"
		if name == "other factory" {
			want = "aerie devel\n"
		}
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// pipes makes a state folder in which pipes stand for the files.
func pipes(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"ota", "ota/a", "ota/b"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"current", "state.json", "state.json.new", "state.lock", "a/aerie", "a/release.json", "b/aerie", "b/release.json"} {
		if err := syscall.Mkfifo(filepath.Join(dir, "ota", name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unrunnable makes one whose slot is right to the last bit, and yet no program.
func unrunnable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	disk, err := ota.OpenFolder(filepath.Join(dir, "ota"))
	if err != nil {
		t.Fatal(err)
	}
	s := ota.New(ota.Options{Disk: disk, Path: filepath.Join(dir, "ota"), Log: slog.New(slog.DiscardHandler)})
	program := []byte("\x7fELF, but not " + runtime.GOARCH)
	if err := s.Install(t.Context(), ota.Update{
		Release: ota.Release{Version: "9", Counter: 9, Size: int64(len(program)), SHA256: sha256.Sum256(program)},
		Fetch:   func(_ context.Context, to ota.Partial, _ int64) error { _, err := to.WriteAt(program, 0); return err },
		Test:    func(context.Context, string) error { return nil },
	}); err != nil {
		t.Fatal(err)
	}
	return dir
}
