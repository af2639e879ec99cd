// Package bench is how a test asks for the virtual bench (see aerie/hw/lab).
//
//	func TestModeset(t *testing.T) {
//		bench.Need(t) // skips outside, never inside
//		...
//	}
//
// It leaves the devices themselves to the packages under test.
//
// Proof: bench_test.go looks for every device the bench promises.
package bench

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Inside reports whether this process runs in the bench's VM.
func Inside() bool { return os.Getenv("AERIE_LAB") == "1" }

// Need skips the test outside the bench.
func Need(tb testing.TB) {
	tb.Helper()
	if !Inside() {
		tb.Skip("needs the lab VM: make lab")
	}
}

// Load loads a kernel module with the parameters given ("name=value"); one
// that is loaded already is unloaded first, which fails while it is in use.
func Load(tb testing.TB, module string, parameters ...string) {
	tb.Helper()
	Need(tb)
	name := strings.ReplaceAll(module, "-", "_")
	if _, err := os.Stat("/sys/module/" + name); err == nil {
		if out, err := exec.Command("rmmod", name).CombinedOutput(); err != nil {
			tb.Fatalf("unload %s: %v: %s", module, err, out)
		}
	}
	if out, err := exec.Command("modprobe", append([]string{module}, parameters...)...).CombinedOutput(); err != nil {
		tb.Fatalf("load %s %s: %v: %s", module, strings.Join(parameters, " "), err, out)
	}
}
