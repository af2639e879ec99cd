// Package headers holds what a Go package believes of the kernel's structures
// and numbers against the kernel's headers, for tests.
//
// Such a package keeps a C program, testdata/uapi.c, that prints sizes, offsets
// and numbers, and golden texts with what it prints on each machine. Its own
// tests hold the Go types against the golden texts, which takes no compiler;
// the functions here hold the golden texts against the compilers' output, and
// run the tests for other machines under emulation. What a machine has no
// compiler or emulator for is skipped and says so: Debian's packages are
// gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf and qemu-user-static.
//
// Proof: the tests of drm, hw/alsa, hw/cec, hw/dmaheap, hw/v4l2/uapi and
// hw/v4l2/stateless, which fail on a changed golden text.
package headers

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

var update = flag.Bool("update", false, "write the golden texts of kernel structures anew with the C compilers")

// machines are how C programs are compiled for each of Go's architectures, and
// run here.
var machines = map[string]struct{ compiler, emulator string }{
	"amd64": {"gcc", "qemu-x86_64-static"},
	"arm64": {"aarch64-linux-gnu-gcc", "qemu-aarch64-static"},
	"arm":   {"arm-linux-gnueabihf-gcc", "qemu-arm-static"},
}

// Time64 makes a C program for arm have Go's times, of 64 bits.
var Time64 = []string{"-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"}

// Output is what testdata/uapi.c prints on an architecture of Go's, compiled
// with flags. Without the compiler or a way to run the program it skips the test.
func Output(t *testing.T, arch string, flags ...string) []byte {
	t.Helper()
	m := machines[arch]
	if _, err := exec.LookPath(m.compiler); err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "uapi")
	args := append([]string{"-static", "-I/usr/include/libdrm", "-o", program, filepath.Join("testdata", "uapi.c")}, flags...)
	if out, err := exec.Command(m.compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%.2000s", m.compiler, err, out)
	}
	// The test may itself run under emulation, where runtime.GOARCH says
	// nothing about what the kernel executes.
	run := exec.Command(program)
	if emulator, err := exec.LookPath(m.emulator); err == nil {
		run = exec.Command(emulator, program)
	} else if arch != runtime.GOARCH {
		t.Skip(err)
	}
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Golden compares the golden texts with the compilers' output, or writes them
// anew with the flag -update. File names the text of an architecture, below
// testdata.
func Golden(t *testing.T, file func(arch string) string) {
	for arch := range machines {
		t.Run(arch, func(t *testing.T) {
			var flags []string
			if arch == "arm" {
				flags = Time64
			}
			out := Output(t, arch, flags...)
			name := filepath.Join("testdata", file(arch))
			if *update {
				if err := os.WriteFile(name, out, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if golden, err := os.ReadFile(name); err != nil || !bytes.Equal(out, golden) {
				t.Errorf("%s is not what the compiler says: go test -run Golden -update (%v)\n%.4000s", name, err, out)
			}
		})
	}
}

// One names one golden text that holds for every architecture.
func One(string) string { return "uapi.golden" }

// Each names a golden text for each architecture.
func Each(arch string) string { return "uapi-" + arch + ".txt" }

// Elsewhere runs a test of the package that calls it for the machines that this
// one is not, under emulation.
func Elsewhere(t *testing.T, test string) {
	if testing.Short() {
		t.Skip("builds the tests for other machines")
	}
	for _, arch := range []string{"arm64", "arm"} {
		if arch == runtime.GOARCH {
			continue
		}
		t.Run(arch, func(t *testing.T) {
			emulator, err := exec.LookPath(machines[arch].emulator)
			if err != nil {
				t.Skip(err)
			}
			cmd := exec.Command("go", "test", "-exec", emulator, "-run", "^"+test+"$", "-count=1", ".")
			cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-tags=netgo,osusergo")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%.2000s", err, out)
			}
		})
	}
}
