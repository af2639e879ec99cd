package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestProgram runs the program as its owner does.
func TestProgram(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	p := startProcess(t, state, "--listen", freePort(t), "--https", freePort(t), "--http", freePort(t), "--pool", "hotel")
	eventually(t, time.Minute, "the service answers", func() bool { o, err := p.overview(); return err == nil && o.Connected })
	ask := func(want string, args ...string) string {
		t.Helper()
		out, err := fleetctl(t, append([]string{args[0], "--state", state}, args[1:]...)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v; it prints %q, want %q", args, err, out, want)
		}
		return out
	}
	refuse := func(want string, args ...string) {
		t.Helper()
		if out, err := fleetctl(t, append([]string{args[0], "--state", state}, args[1:]...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %q, %v, want %q", args, out, err, want)
		}
	}
	ask("DEVICE", "devices")
	ask("[", "devices", "--json")
	ask("There is no rollout", "rollout")
	if code := ask("-", "pair", "new", "Lobby"); len(strings.TrimSpace(code)) != 24 {
		t.Errorf("a code is %q", code)
	}
	ask("Lobby", "pair", "list")
	ask("is the folder of instance", "instance", filepath.Join(t.TempDir(), "second"))
	ask("server.key", "certificate", filepath.Join(t.TempDir(), "mosquitto"), "broker.example")
	token := strings.TrimSpace(ask("", "token"))
	if len(token) < 30 {
		t.Errorf("the token is %q", token)
	}
	refuse("there is no such device", "device", "nobody")
	refuse("a device cannot", "device", "nobody", "dance")
	refuse("there is no rollout", "rollout", "pause")
	refuse("release without a url", "rollout", "start", "", "7")
	refuse("https", "rollout", "start", "http://example.org/", "7")
	refuse("no device of this name", "pair", "admit", "tv", "ABCD-EFGH")
	refuse("pair takes", "pair", "dance")
	for _, name := range []string{"token", "id", "documents.db", "members.db", "authority/ca.key"} {
		if i, err := os.Stat(filepath.Join(state, name)); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, err, i.Mode())
		}
	}
	if i, err := os.Stat(filepath.Join(state, "control")); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", err, i.Mode())
	}
	// A second service in the same folder is refused, and does not harm the first.
	if _, err := fleetctl(t, "serve", "--state", state, "--listen", freePort(t), "--https", freePort(t)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second service: %v", err)
	}
	ask("There is no rollout", "rollout")
	p.kill()
	refuse("connect", "devices")
	for _, args := range [][]string{{"serve", "--broker", "nonsense"}, {"serve", "--state", state, "--http", "0.0.0.0:80", "--listen", "127.0.0.1:0", "--https", "127.0.0.1:0"}, {"dance"}, {"serve", "extra"}} {
		if _, err := fleetctl(t, args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
