package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

// image is what image.sh makes.
type image struct {
	arch string
	dir  string
}

// diskSize is that of a small card: the data partition has room to grow.
const diskSize = 512 << 20

// openDisk opens the disk of an image as it comes from the factory.
func (i image) openDisk() (*disk, error) {
	f, err := os.Open(filepath.Join(i.dir, "disk.img"))
	if err != nil {
		return nil, err
	}
	return newDisk(f, diskSize), nil
}

// vm is a virtual machine that runs.
type vm struct {
	image   image
	disk    *disk
	dir     string // of its sockets and logs
	started time.Time
	page    string // where its page is, as HOST:PORT here
	control string // where its control port is, likewise

	cmd   *exec.Cmd
	ended chan struct{} // closed when QEMU has ended
	err   error         // how it did

	disks net.Listener
	shell net.Conn
	lines *bufio.Reader
	token int
}

// settings say how a vm is started.
type settings struct {
	image   image
	disk    *disk
	share   string // a folder that it sees as the share "host"; "" for none
	append  string // to the kernel's command line
	console io.Writer
}

// accelerator is KVM where the processor can do that, else emulation. There
// are machines with /dev/kvm whose KVM is emulated itself and runs no kernel.
func accelerator(arch string) string {
	if arch != runtime.GOARCH {
		return "tcg"
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "tcg"
	}
	f.Close()
	flags, err := os.ReadFile("/proc/cpuinfo")
	if arch == "amd64" && (err != nil || !regexp.MustCompile(`\b(vmx|svm)\b`).Match(flags)) {
		return "tcg"
	}
	return "kvm"
}

// slowly has systemd wait longer for devices, which on a busy machine come
// minutes after they are waited for.
const slowly = "systemd.default_device_timeout_sec=600 systemd.default_timeout_start_sec=600 "

// command is QEMU's command line.
func (v *vm) command(s settings) (name string, args []string) {
	name, console := "qemu-system-x86_64", "ttyS0"
	args = []string{"-M", "q35"}
	if s.image.arch == "arm64" {
		name, console = "qemu-system-aarch64", "ttyAMA0"
		args = []string{"-M", "virt"}
	}
	in := func(name string) string { return filepath.Join(v.dir, name) }
	port := func(to *string) string { *to = freePort(); return *to }
	args = append(args, "-accel", accelerator(s.image.arch), "-cpu", "max", "-smp", "2", "-m", "768",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(s.image.dir, "vmlinuz"), "-initrd", filepath.Join(s.image.dir, "initrd"),
		"-append", "console="+console+" ro quiet loglevel=4 panic=-1 tsc=unstable no_timer_check vt.global_cursor_default=0 mitigations=off nokaslr audit=0 lsm=landlock systemd.volatile=state "+slowly+s.append,
		"-blockdev", "driver=nbd,node-name=card,server.type=unix,server.path="+in("disk")+",cache.direct=off,cache.no-flush=off",
		"-device", "virtio-blk-pci,drive=card,write-cache=on",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=shell,server=on,wait=off,path="+in("shell"), "-device", "virtserialport,chardev=shell,name=lab.shell",
		"-netdev", "user,id=net,hostfwd=tcp:"+port(&v.page)+"-:7080,hostfwd=tcp:"+port(&v.control)+"-:7000", "-device", "virtio-net-pci,netdev=net",
		"-object", "filter-dump,id=dump,netdev=net,file="+in("network.pcap"),
		"-device", "virtio-gpu-pci", "-device", "virtio-rng-pci", "-device", "i6300esb", "-action", "watchdog=reset",
		"-monitor", "unix:"+in("monitor")+",server=on,wait=off")
	if s.console != nil {
		args = append(args, "-serial", "file:/dev/stdout") // and no input: Ctrl-C is for this program
	} else {
		args = append(args, "-serial", "file:"+in("console"))
	}
	if s.share != "" {
		args = append(args, "-virtfs", "local,path="+s.share+",mount_tag=host,security_model=none,readonly=on")
	}
	return name, args
}

// freePort finds an address that nobody listens on.
func freePort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0" // QEMU will say why
	}
	defer ln.Close()
	return ln.Addr().String()
}

// start switches a vm on. Its files go into dir, whose path must be short.
func start(dir string, s settings) (*vm, error) {
	v := &vm{image: s.image, disk: s.disk, dir: dir, ended: make(chan struct{})}
	var err error
	if v.disks, err = net.Listen("unix", filepath.Join(dir, "disk")); err != nil {
		return nil, err
	}
	go serveDisk(v.disks, s.disk) // what goes wrong there, QEMU complains about
	name, args := v.command(s)
	v.cmd = exec.Command(name, args...)
	v.cmd.Stderr = os.Stderr
	if s.console != nil {
		v.cmd.Stdout = s.console
	}
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun := make(chan error, 1)
	v.started = time.Now()
	go func() {
		// The VM dies with this program, even if that is killed: the kernel
		// looks after the thread that started it.
		runtime.LockOSThread()
		err := v.cmd.Start()
		begun <- err
		if err == nil {
			v.err = v.cmd.Wait()
		}
		close(v.ended)
	}()
	if err := <-begun; err != nil {
		v.disks.Close()
		return nil, fmt.Errorf("QEMU (package qemu-system-x86 or qemu-system-arm): %w", err)
	}
	return v, nil
}

// off cuts the power.
func (v *vm) off() {
	_ = v.cmd.Process.Kill() // it may have ended
	<-v.ended
	v.disks.Close()
	if v.shell != nil {
		v.shell.Close()
	}
}

// wait waits until the machine is off.
func (v *vm) wait(limit time.Duration) error {
	select {
	case <-v.ended:
		v.off()
		return v.err
	case <-time.After(limit):
		return fmt.Errorf("it has not ended after %v", limit)
	}
}

// log is what the machine wrote on its console.
func (v *vm) log() string {
	text, _ := os.ReadFile(filepath.Join(v.dir, "console"))
	return strings.ReplaceAll(string(text), "\r", "")
}

// lame tells that the guest's kernel found no timer that it trusts, because
// this machine was too busy while it looked. Nothing in it can be relied on.
func (v *vm) lame() bool {
	return regexp.MustCompile(`APIC timer disabled due to verification failure|IO-APIC . timer doesn't work|Could not switch to high resolution mode`).MatchString(v.log())
}

// crashed tells that QEMU itself has crashed, which its guest cannot be blamed
// for.
func (v *vm) crashed() bool {
	select {
	case <-v.ended:
	default:
		return false
	}
	var status *exec.ExitError
	if !errors.As(v.err, &status) {
		return false
	}
	w, ok := status.Sys().(syscall.WaitStatus)
	return ok && w.Signaled() && w.Signal() != syscall.SIGKILL
}

// open waits for the shell of the machine.
func (v *vm) open(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		c, err := net.Dial("unix", filepath.Join(v.dir, "shell"))
		if err == nil {
			v.shell, v.lines = c, bufio.NewReader(c)
			break
		}
		if err := v.alive(deadline); err != nil {
			return err
		}
	}
	// What is written before the shell is there waits for it.
	_, err := v.try("true", time.Until(deadline))
	return err
}

// alive waits a little; the error says that there is nothing to wait for.
func (v *vm) alive(deadline time.Time) error {
	select {
	case <-v.ended:
		return fmt.Errorf("the machine ended: %v", v.err)
	case <-time.After(100 * time.Millisecond):
	}
	if time.Now().After(deadline) {
		return errors.New("it takes too long")
	}
	return nil
}

// try runs a command as root, and returns what it said.
func (v *vm) try(command string, limit time.Duration) (string, error) {
	v.token++
	end := fmt.Sprintf("--%d--", v.token)
	_ = v.shell.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintf(v.shell, "{ %s\n} </dev/null 2>&1; echo \"%s$?\"\n", command, end); err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		line, err := v.lines.ReadString('\n')
		before, status, over := strings.Cut(line, end)
		out.WriteString(before)
		switch {
		case over && strings.TrimSpace(status) == "0":
			return out.String(), nil
		case over:
			return out.String(), fmt.Errorf("exit status %s: %s", strings.TrimSpace(status), strings.TrimSpace(out.String()))
		case err != nil:
			return out.String(), fmt.Errorf("no answer to %q: %w", command, err)
		}
	}
}

// screenshot writes what the display shows into a PNG file.
func (v *vm) screenshot(ctx context.Context, path string) error {
	c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(v.dir, "monitor"))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "screendump %s -f png\n", strconv.Quote(path)); err != nil {
		return err
	}
	for {
		// It is there when the file ends as PNGs do.
		if b, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(b), "IEND\xaeB`\x82") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no screenshot: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
