package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inNetwork runs a test in a process of its own in a network namespace, in which
// it may build networks and cut them. It returns true in that process.
func inNetwork(t *testing.T, timeout string) bool {
	t.Helper()
	const env = "AERIE_FLEET_NETWORK"
	if os.Getenv(env) == t.Name() {
		run(t, "ip", "link", "set", "lo", "up")
		return true
	}
	t.Parallel()
	for _, tool := range []string{"ip", "nsenter", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: iproute2, util-linux)", tool)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout="+timeout)
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this machine gives no network namespace: %v", err)
	case err != nil:
		t.Fatalf("in its own network: %v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	}
	t.Logf("%s", out)
	return false
}

func run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// host is a network namespace with a cable to the test's own.
type host struct {
	t       testing.TB
	pid     string
	cable   string
	address string
}

// newHost makes a host with the address 10.77.0.n. The test's own is 10.77.0.1.
func newHost(t testing.TB, n int) *host {
	t.Helper()
	if n == 2 {
		run(t, "ip", "link", "add", "bridge", "type", "bridge")
		run(t, "ip", "addr", "add", "10.77.0.1/24", "dev", "bridge")
		run(t, "ip", "link", "set", "bridge", "up")
	}
	holder := exec.Command("unshare", "--net", "sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holder.Process.Kill(); holder.Wait() })
	h := &host{t, fmt.Sprint(holder.Process.Pid), fmt.Sprint("cable", n), fmt.Sprint("10.77.0.", n)}
	own, _ := os.Readlink("/proc/self/ns/net")
	for {
		// It is one of its own when unshare has done its work.
		if ns, err := os.Readlink("/proc/" + h.pid + "/ns/net"); err == nil && ns != own {
			break
		}
	}
	run(t, "ip", "link", "add", h.cable, "type", "veth", "peer", "name", "eth0", "netns", h.pid)
	run(t, "ip", "link", "set", h.cable, "master", "bridge", "up")
	h.inside("ip", "addr", "add", h.address+"/24", "dev", "eth0")
	h.inside("ip", "link", "set", "lo", "up")
	h.inside("ip", "link", "set", "eth0", "up")
	return h
}

func (h *host) inside(args ...string) {
	h.t.Helper()
	run(h.t, append([]string{"nsenter", "--net=/proc/" + h.pid + "/ns/net"}, args...)...)
}

// plug pulls the cable, or puts it back.
func (h *host) plug(in bool) {
	state := "down"
	if in {
		state = "up"
	}
	run(h.t, "ip", "link", "set", h.cable, state)
}
