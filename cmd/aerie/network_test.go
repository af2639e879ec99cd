package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// machine is a computer on a network of the test: namespaces of its own, which
// a sleeping process keeps open. Programs run in it find nothing but that
// network, and files under /run that are theirs alone.
type machine struct {
	t      testing.TB
	pid    int
	addr   string
	enter  []string // the command that enters it
	others int      // machines on the network, of its first
}

// newNetwork makes a network with one machine, which is the switch as well.
func newNetwork(t testing.TB) *machine {
	t.Helper()
	for _, tool := range []string{"ip", "nsenter", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed (Debian: apt install iproute2 util-linux)")
		}
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	sleep := exec.Command("sleep", "infinity")
	sleep.SysProcAttr = attr
	if err := sleep.Start(); err != nil {
		t.Skipf("this machine gives no network namespace: %v", err)
	}
	m := settled(t, sleep)
	m.run("ip", "link", "add", "lan", "type", "bridge")
	m.run("ip", "addr", "add", m.addr+"/24", "dev", "lan")
	m.run("ip", "link", "set", "lan", "up")
	return m
}

// join adds a machine to the network of its first.
func (m *machine) join() *machine {
	m.t.Helper()
	sleep := m.command("unshare", "--net", "--mount", "sleep", "infinity")
	if err := sleep.Start(); err != nil {
		m.t.Fatal(err)
	}
	space := func(pid int) string { s, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)); return s }
	ours := space(os.Getpid())
	for range 3000 { // it enters one machine, then leaves it for its own
		if s := space(sleep.Process.Pid); s != ours && s != space(m.pid) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.others++
	o := settled(m.t, sleep)
	o.addr = fmt.Sprintf("10.77.0.%d", 1+m.others)
	port := fmt.Sprintf("port%d", m.others)
	m.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(o.pid))
	m.run("ip", "link", "set", port, "master", "lan", "up")
	o.run("ip", "addr", "add", o.addr+"/24", "dev", "eth0")
	o.run("ip", "link", "set", "eth0", "up")
	return o
}

// settled makes a process's namespaces habitable.
func settled(t testing.TB, sleep *exec.Cmd) *machine {
	t.Helper()
	t.Cleanup(func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	})
	m := &machine{t: t, pid: sleep.Process.Pid, addr: "10.77.0.1"}
	m.enter = []string{"nsenter", "--target", strconv.Itoa(m.pid), "--net", "--mount"}
	if os.Getuid() != 0 {
		m.enter = append(m.enter, "--user", "--preserve-credentials")
	}
	m.run("mount", "--make-rprivate", "/")
	m.run("mount", "-t", "tmpfs", "tmpfs", "/run")
	m.run("ip", "link", "set", "lo", "up")
	return m
}

// command makes a program that runs on the machine and ends with the test.
func (m *machine) command(name string, args ...string) *exec.Cmd {
	all := append(append(m.enter[:len(m.enter):len(m.enter)], "--", name), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs a program to its end, which is a good one.
func (m *machine) run(name string, args ...string) string {
	m.t.Helper()
	out, err := m.command(name, args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
