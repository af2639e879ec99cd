package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDevices(t *testing.T) {
	Need(t)
	for _, pattern := range []string{
		"/dev/dri/card0", "/dev/video*", "/dev/media*", "/dev/cec[01]", "/dev/snd/pcmC*D0p", "/dev/snd/pcmC*D1c",
		"/dev/dma_heap/system", "/dev/udmabuf", "/dev/watchdog", "/dev/uinput",
		"/sys/kernel/config/gpio-sim", "/sys/kernel/debug/dri", "/proc/asound/Loopback", "/proc/asound/Dummy",
	} {
		if m, _ := filepath.Glob(pattern); len(m) == 0 {
			t.Errorf("nothing matches %s", pattern)
		}
	}
	names := ""
	files, _ := filepath.Glob("/sys/class/video4linux/*/name")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		names += string(b)
	}
	for _, want := range []string{"stateful-decoder", "visl", "vim2m", "vivid"} {
		if !strings.Contains(names, want) {
			t.Errorf("no video device named %s among:\n%s", want, names)
		}
	}
}

func TestLoad(t *testing.T) {
	Need(t)
	Load(t, "snd-aloop", "pcm_substreams=3")
	if _, err := os.Stat("/proc/asound/Loopback/pcm0p/sub2"); err != nil {
		t.Errorf("reloaded with three substreams: %v", err)
	}
}

func TestSourceIsReadable(t *testing.T) {
	Need(t)
	if _, err := os.Stat("bench_test.go"); err != nil {
		t.Errorf("the working directory is not the package's folder: %v", err)
	}
	if err := os.WriteFile("x", nil, 0o644); err == nil {
		t.Error("the source tree is writable from the VM")
		os.Remove("x")
	}
}
