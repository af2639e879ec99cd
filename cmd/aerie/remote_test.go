package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/status"
)

// alone runs a test in a process of its own whose network is a loopback, so
// that nobody else hears what it announces. It returns true in that process;
// where it returns false the test has been run.
func alone(t *testing.T) bool {
	t.Helper()
	const env = "AERIE_TEST_ALONE"
	if os.Getenv(env) == t.Name() {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("ip: %v\n%s", err, out)
		}
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed (Debian: apt install iproute2)")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this machine gives no network namespace: %v", err)
	case err != nil:
		t.Fatalf("in its own network: %v\n%s", err, out)
	}
	return false
}

// A button of the page reaches the sender, which was found on the network.
func TestRemoteControl(t *testing.T) {
	if !alone(t) {
		return
	}
	g := newRig(t, func(c *config.Config) { c.Network.Discovery = true })
	told := make(chan string, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	playing := make(chan struct{})
	o := phone.Options{Address: g.addr, Sound: tone(t, audio.PCM), Classic: &phone.Classic{Told: func(command string) { told <- command }}}
	go func() {
		defer close(playing)
		if _, err := phone.Play(ctx, o); err != nil {
			t.Errorf("playing: %v", err)
		}
	}()
	ready := func() bool {
		w := httptest.NewRecorder()
		g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/status", nil))
		var s status.Snapshot
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s.Sender != nil && s.Sender.Remote
	}
	for i := 0; !ready(); i++ {
		if i == 600 {
			t.Fatal("the sender was not found")
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, command := range []string{"playpause", "nextitem", "volumeup"} {
		q := httptest.NewRequest("POST", "http://127.0.0.1/control", strings.NewReader(`{"command":"`+command+`"}`))
		q.Header.Set("Aerie-Page", "1")
		w := httptest.NewRecorder()
		g.r.Handler().ServeHTTP(w, q)
		if w.Code != 204 {
			t.Fatalf("%s: %d %s", command, w.Code, w.Body)
		}
		if got := <-told; got != command {
			t.Errorf("told %q, want %q", got, command)
		}
	}
	cancel()
	<-playing
}
