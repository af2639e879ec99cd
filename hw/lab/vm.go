package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what every VM of a run has in common.
type machine struct {
	kernel       kernel
	qemu         string // path of qemu-system-x86_64
	busybox      string // path of a static busybox
	cpus, memory int    // memory in MiB
	accel        string
	stop         <-chan os.Signal
}

// job is one program to be run in one VM.
type job struct {
	binary  string            // a static program, or a dynamic one with its libraries
	libs    map[string]string // file name in the VM's /lib64 -> path here
	args    []string
	env     []string // NAME=VALUE
	source  string   // directory seen read-only as /src in the VM
	dir     string   // working directory in the VM
	timeout time.Duration
	out     io.Writer
}

// result is how a job ended.
type result struct {
	status    int    // exit status of the program
	timeout   bool   // the VM was killed at the limit
	died      bool   // the VM ended without a status
	qemu      error  // how QEMU ended
	complaint string // first WARNING, BUG or Oops of the kernel, with its trace
	tail      string // end of the kernel log
	boot      string // seconds from power-on to the program
}

// findTools names what is missing together with the package that has it.
func (m *machine) findTools() error {
	var err error
	if m.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
		return errors.New("no qemu-system-x86_64 in PATH: apt-get install qemu-system-x86 busybox-static")
	}
	if m.busybox, err = exec.LookPath("busybox"); err != nil {
		return errors.New("no busybox in PATH: apt-get install busybox-static")
	}
	if libs, err := sharedLibraries(m.busybox); err != nil || len(libs) > 0 {
		return fmt.Errorf("%s is not static: apt-get install busybox-static", m.busybox)
	}
	return nil
}

// boot runs j in a fresh VM. The error is about the lab, never about the job.
func (m *machine) boot(j job) (*result, error) {
	share, err := os.MkdirTemp("", "lab.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(share)
	initrd, log := filepath.Join(share, "initrd"), filepath.Join(share, "kernel.log")
	if err := m.writeInitramfs(initrd); err != nil {
		return nil, err
	}
	if err := j.fill(share); err != nil {
		return nil, err
	}
	for boots := 1; ; boots++ {
		cmd := exec.Command(m.qemu, m.arguments(share, j.source, initrd, log)...)
		cmd.Stderr = os.Stderr
		if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		r := &result{}
		err := m.run(cmd, j, log, r)
		if errors.Is(err, errLame) && boots < mostBoots {
			continue
		}
		if err != nil {
			return nil, err
		}
		return r, r.collect(share, log)
	}
}

// errLame: the guest's kernel found no timer that it trusts, because this
// machine was too busy while it calibrated them. Such a guest has no
// high-resolution timers: its virtual displays and sound cards stand still.
var errLame = errors.New("the VM has no usable timer: this machine is too busy")

// mostBoots is how often a VM is started until its timers are fit.
const mostBoots = 5

// lame is what such a kernel says, in the first second.
var lame = regexp.MustCompile(`APIC timer disabled due to verification failure|Could not switch to high resolution mode`)

// watchTimers reads the kernel's log until the guest is up, and reports whether
// it is lame. It ends with done.
func watchTimers(log string, done <-chan struct{}) bool {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		text, _ := os.ReadFile(log) // it may not be there yet
		if lame.Match(text) {
			return true
		}
		if bytes.Contains(text, []byte("lab: up at ")) {
			return false
		}
		select {
		case <-done:
			return false
		case <-t.C:
		}
	}
}

// fill lays out what the VM's init (init.sh) expects in its /lab.
func (j *job) fill(share string) error {
	if err := copyFile(filepath.Join(share, "bin"), j.binary, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(share, "lib"), 0o755); err != nil {
		return err
	}
	for name, path := range j.libs {
		if err := copyFile(filepath.Join(share, "lib", name), path, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(share, "drivers"), drivers, 0o644); err != nil {
		return err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "cd %s || exit 125\n", quote(j.dir))
	for _, e := range append([]string{"AERIE_LAB=1"}, j.env...) {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&s, "export %s=%s\n", name, quote(value))
	}
	s.WriteString("exec /tmp/bin")
	for _, a := range j.args {
		s.WriteString(" " + quote(a))
	}
	return os.WriteFile(filepath.Join(share, "run"), []byte(s.String()+"\n"), 0o644)
}

// arguments is QEMU's command line: no devices but the virtio ones the plumbing
// needs. The program's output has a port of its own, so the kernel's console
// cannot mix into it.
func (m *machine) arguments(share, source, initrd, log string) []string {
	return []string{
		"-M", "q35", "-accel", m.accel, "-cpu", "max", "-smp", strconv.Itoa(m.cpus), "-m", strconv.Itoa(m.memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", m.kernel.image, "-initrd", initrd,
		"-append", "console=ttyS0 panic=-1 oops=panic loglevel=6 random.trust_cpu=on tsc=unstable",
		"-serial", "file:" + log,
		"-device", "virtio-serial-pci", "-chardev", "file,id=out,append=on,path=/dev/fd/3",
		"-device", "virtserialport,chardev=out,name=lab.out",
		"-fsdev", "local,id=lab,security_model=none,path=" + share, "-device", "virtio-9p-pci,fsdev=lab,mount_tag=lab",
		"-fsdev", "local,id=src,security_model=none,readonly=on,path=" + source, "-device", "virtio-9p-pci,fsdev=src,mount_tag=src",
		"-device", "virtio-rng-pci",
	}
}

// run runs QEMU with the program's output on descriptor 3. A pipe and a "file"
// back end, because a "stdio" one counts as unplugged, and blocks the guest's
// writes, once its standard input is at an end.
func (m *machine) run(cmd *exec.Cmd, j job, log string, r *result) error {
	pr, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	defer pr.Close()
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(j.out, pr)
		copied <- err
	}()
	cmd.ExtraFiles = []*os.File{pw}
	r.qemu, r.timeout, err = m.wait(cmd, log, j.timeout)
	pw.Close()
	return errors.Join(err, <-copied)
}

// wait runs QEMU until it ends, the limit is reached, the guest turns out to be
// lame, or the user interrupts.
func (m *machine) wait(cmd *exec.Cmd, log string, limit time.Duration) (ended error, timeout bool, err error) {
	// The VM dies with the lab, even if that is killed: the kernel looks after
	// the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, false, fmt.Errorf("start QEMU: %w", err)
	}
	done, over, unfit := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() { done <- cmd.Wait() }()
	defer close(over)
	go func() {
		if watchTimers(log, over) {
			close(unfit)
		}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case ended = <-done:
		return ended, false, nil
	case <-timer.C:
		timeout = true
	case <-unfit:
		err = errLame
	case <-m.stop:
		err = errors.New("interrupted")
	}
	cmd.Process.Kill()
	return <-done, timeout, err
}

// complaint matches the start of every report the kernel makes about itself.
var complaint = regexp.MustCompile(`WARNING:|BUG:|Oops|Call Trace|INFO: task .* blocked`)

// collect reads the program's status and the kernel's log.
func (r *result) collect(share, log string) error {
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i, l := range lines {
		if complaint.MatchString(l) {
			r.complaint = strings.Join(lines[i:min(i+40, len(lines))], "\n")
			break
		}
		if _, at, ok := strings.Cut(l, "lab: up at "); ok {
			r.boot = strings.TrimSpace(at)
		}
	}
	r.tail = strings.Join(lines[max(0, len(lines)-20):], "\n")
	status, err := os.ReadFile(filepath.Join(share, "status"))
	if err != nil {
		r.died = !r.timeout
		return nil
	}
	if r.status, err = strconv.Atoi(string(bytes.TrimSpace(status))); err != nil {
		return fmt.Errorf("status of the VM's program: %w", err)
	}
	return nil
}

// copyFile copies src to dst.
func copyFile(dst, src string, mode os.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
