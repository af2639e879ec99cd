// Command lab is the virtual bench: it runs Go tests inside a throw-away virtual
// machine whose kernel has virtual displays, codecs, sound cards, GPIO chips
// and CEC adapters, all driven through the kernel's real uAPI.
//
//	go run ./hw/lab [flags] PACKAGE...          test packages in the VM
//	go run ./hw/lab [flags] -exec BINARY [ARG...]   run a program in it
//
// Each package becomes a static test binary (go test -c), boots a VM of its
// own (about two seconds, without KVM) and runs there as root, its working
// directory the package's folder, so testdata is where it always is. The
// output is that of go test, and the exit code is 0 only if every package
// passed: 124 says a VM ran out of time, 125 that it died, 126 that the tests
// passed but the kernel logged a WARNING, BUG or Oops meanwhile (-strict=false
// or LAB_STRICT=0 lets that pass), 2 that the lab itself is incomplete.
//
// A test that needs the bench says so with bench.Need from the folder bench
// below this one, or by looking at the environment variable AERIE_LAB, which
// is 1 inside. In the VM are, by default (see drivers.list):
//
//	vkms       KMS: one card, XR24, NV12 and more, overlay, writeback
//	vicodec    stateful V4L2 codec (FWHT); visl: stateless H.264 and HEVC
//	snd-aloop  ALSA card "Loopback", 2 substreams; snd-dummy: card "Dummy"
//	gpio-sim   GPIO chips on demand through configfs
//	vivid      two CEC adapters wired together, and video devices
//	softdog    /dev/watchdog; uinput, dummy_hcd
//
// procfs, sysfs, debugfs and configfs are mounted, /tmp is a RAM disk, busybox
// is in PATH, and modprobe can unload a driver and load it with other
// parameters: no other package sees the change.
//
// The kernel is the directory named by AERIE_LAB_KERNEL (it holds bzImage and
// root/lib/modules), else the prebuilt one of a sibling directory of the
// repository, else one built once from Debian's kernel source package and kept
// under AERIE_CACHE (~/.cache/aerie). QEMU and a static busybox come from the
// packages qemu-system-x86 and busybox-static.
//
// Proof: TestInitramfs reads the archive back; TestVM boots the bench for an
// exit code, a death, a time-out and a kernel warning; TestKernel and
// TestVerdict hold the rules for the kernel and the output; bench's own tests
// check that the devices named above are there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	exec    bool
	strict  bool
	verbose bool
	short   bool
	cgo     bool
	race    bool
	run     string
	skip    string
	bench   string
	count   int
	timeout time.Duration
	env     values
	machine machine
}

// values is a flag that may be given more than once.
type values []string

func (v *values) String() string     { return fmt.Sprint(*v) }
func (v *values) Set(s string) error { *v = append(*v, s); return nil }

func main() {
	o := options{strict: os.Getenv("LAB_STRICT") != "0"}
	flag.BoolVar(&o.exec, "exec", false, "run the program named by the first argument instead of tests")
	flag.BoolVar(&o.strict, "strict", o.strict, "fail when the kernel logs a WARNING, BUG or Oops")
	flag.BoolVar(&o.verbose, "v", false, "print every test")
	flag.BoolVar(&o.short, "short", false, "pass -test.short")
	flag.BoolVar(&o.cgo, "cgo", false, "build with cgo; the shared libraries a test needs go into the VM with it")
	flag.BoolVar(&o.race, "race", false, "build with the race detector, which needs cgo")
	flag.StringVar(&o.run, "run", "", "run only tests matching this `regexp`")
	flag.StringVar(&o.skip, "skip", "", "skip tests matching this `regexp`")
	flag.StringVar(&o.bench, "bench", "", "run benchmarks matching this `regexp`")
	flag.IntVar(&o.count, "count", 1, "run each test `n` times")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "limit for one VM")
	flag.Var(&o.env, "env", "set `NAME=VALUE` in the VM (repeatable)")
	flag.IntVar(&o.machine.cpus, "cpus", 2, "CPUs of the VM")
	flag.IntVar(&o.machine.memory, "mem", 1024, "memory of the VM in `MiB`")
	flag.StringVar(&o.machine.accel, "accel", "tcg,thread=multi", "QEMU accelerator")
	flag.Parse()
	code, err := o.main(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(code)
}

// main runs what the command line asks for and returns the exit code.
func (o *options) main(args []string) (int, error) {
	if len(args) == 0 {
		return 2, errors.New("no package named; try: go run ./hw/lab ./drm ./hw/...")
	}
	k, err := findKernel(os.Stderr)
	if err != nil {
		return 2, err
	}
	o.machine.kernel = k
	if err := o.machine.findTools(); err != nil {
		return 2, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	o.machine.stop = stop
	if o.exec {
		return o.program(args)
	}
	return o.packages(args)
}

// program runs one binary in a VM with the present directory shared.
func (o *options) program(args []string) (int, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 2, err
	}
	libs, err := sharedLibraries(args[0])
	if err != nil {
		return 2, err
	}
	r, err := o.machine.boot(job{binary: args[0], libs: libs, args: args[1:], env: o.env, source: dir, dir: "/src",
		timeout: o.timeout, out: os.Stdout})
	if err != nil {
		return 2, err
	}
	return r.code(o.strict), r.explain(o.strict)
}

// code is the exit code that stands for the result.
func (r *result) code(strict bool) int {
	switch {
	case r.timeout:
		return 124
	case r.died:
		return 125
	case r.status != 0:
		return r.status
	case strict && r.complaint != "":
		return 126
	}
	return 0
}

// explain says what the exit code alone does not.
func (r *result) explain(strict bool) error {
	switch {
	case r.timeout:
		return fmt.Errorf("the VM ran out of time; end of the kernel log:\n%s", r.tail)
	case r.died:
		return fmt.Errorf("the VM ended without a result (QEMU: %v); end of the kernel log:\n%s", r.qemu, r.tail)
	case strict && r.complaint != "":
		return fmt.Errorf("the kernel complained:\n%s", r.complaint)
	}
	return nil
}

// quote makes s one word for the VM's shell.
func quote(s string) string {
	q := []byte{'\''}
	for i := range len(s) {
		if s[i] == '\'' {
			q = append(q, `'\''`...)
			continue
		}
		q = append(q, s[i])
	}
	return string(append(q, '\''))
}

// seconds prints a duration as go test does.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) + "s" }
