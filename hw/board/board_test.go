package board

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// plant writes files below a fresh root.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		put(t, root, name, text)
	}
	return root
}

func put(t testing.TB, root, name, text string) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pi is the tree of a Raspberry Pi.
func pi(model, compatible, memKB string) map[string]string {
	return map[string]string{
		"proc/device-tree/model":                               model + "\x00",
		"proc/device-tree/compatible":                          strings.ReplaceAll(compatible, " ", "\x00") + "\x00",
		"proc/meminfo":                                         "MemTotal:       " + memKB + " kB\nMemFree:          123456 kB\nCmaTotal:         262144 kB\nHugePages_Total:       0\n",
		"sys/devices/system/cpu/online":                        "0-3\n",
		"sys/class/thermal/thermal_zone0/type":                 "cpu-thermal\n",
		"sys/class/thermal/thermal_zone0/temp":                 "48312\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled":  "0\n",
	}
}

// The trees of the machines the receiver is made for; models and compatible
// strings are those of the kernel's device trees and of the firmware, which
// appends the revision.
var machines = []struct {
	name  string
	files map[string]string
	want  Board
}{
	{"Pi 3", pi("Raspberry Pi 3 Model B Rev 1.2", "raspberrypi,3-model-b brcm,bcm2837", "945364"),
		Board{Family: Pi3, SoC: "bcm2837", Memory: 945364 << 10, H264: true, Jack: true}},
	{"Pi 3 B+", pi("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberrypi,3-model-b-plus brcm,bcm2837", "945364"),
		Board{Family: Pi3, SoC: "bcm2837", Memory: 945364 << 10, H264: true, Jack: true}},
	{"Zero 2 W", pi("Raspberry Pi Zero 2 W Rev 1.0", "raspberrypi,model-zero-2-w brcm,bcm2837", "437492"),
		Board{Family: Zero2W, SoC: "bcm2837", Memory: 437492 << 10, H264: true}},
	{"Pi 4", pi("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi,4-model-b brcm,bcm2711", "3884388"),
		Board{Family: Pi4, SoC: "bcm2711", Memory: 3884388 << 10, H264: true, HEVC: true, Jack: true}},
	{"Pi 400", pi("Raspberry Pi 400 Rev 1.0", "raspberrypi,400 brcm,bcm2711", "3884388"),
		Board{Family: Pi4, SoC: "bcm2711", Memory: 3884388 << 10, H264: true, HEVC: true}},
	{"Compute Module 4", pi("Raspberry Pi Compute Module 4 Rev 1.1", "raspberrypi,4-compute-module brcm,bcm2711", "1894932"),
		Board{Family: Pi4, SoC: "bcm2711", Memory: 1894932 << 10, H264: true, HEVC: true}},
	{"Pi 5", pi("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b brcm,bcm2712", "8245808"),
		Board{Family: Pi5, SoC: "bcm2712", Memory: 8245808 << 10, HEVC: true}},
	{"Pi 500", pi("Raspberry Pi 500 Rev 1.0", "raspberrypi,500 brcm,bcm2712", "8245808"),
		Board{Family: Pi5, SoC: "bcm2712", Memory: 8245808 << 10, HEVC: true}},
	{"Pi 2", pi("Raspberry Pi 2 Model B Rev 1.1", "raspberrypi,2-model-b brcm,bcm2836", "945364"),
		Board{Family: Pi2, SoC: "bcm2836", Memory: 945364 << 10, H264: true, Jack: true}},
	{"Zero W", pi("Raspberry Pi Zero W Rev 1.1", "raspberrypi,model-zero-w brcm,bcm2835", "437492"),
		Board{Family: Pi0, SoC: "bcm2835", Memory: 437492 << 10, H264: true}},
	{"a Pi of tomorrow", pi("Raspberry Pi 55 Model X Rev 1.0", "raspberrypi,55 brcm,bcm2712", "8245808"),
		Board{Family: Pi5, SoC: "bcm2712", Memory: 8245808 << 10, HEVC: true}},
	{"another board", pi("Pine64 Rock64", "pine64,rock64 rockchip,rk3328", "2037156"),
		Board{Family: Unknown, Memory: 2037156 << 10}},
}

func TestRead(t *testing.T) {
	for _, m := range machines {
		want := m.want
		want.Model = strings.Trim(m.files["proc/device-tree/model"], "\x00")
		want.CPUs, want.CMA, want.PageSize = 4, 262144<<10, os.Getpagesize()
		if got := Read(plant(t, m.files)); got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", m.name, got, want)
		}
	}
}

func TestReadPC(t *testing.T) {
	got := Read(plant(t, map[string]string{
		"sys/class/dmi/id/sys_vendor":   "LENOVO\n",
		"sys/class/dmi/id/product_name": "21CBCTO1WW\n",
		"proc/meminfo":                  "MemTotal:       32546012 kB\n",
		"sys/devices/system/cpu/online": "0-7,9,11-12\n",
	}))
	want := Board{Family: PC, Model: "LENOVO 21CBCTO1WW", Memory: 32546012 << 10, CPUs: 11, PageSize: os.Getpagesize()}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got = Read(plant(t, map[string]string{"sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "QEMU Standard PC\n"}))
	if got.Model != "QEMU Standard PC" || got.String() != "QEMU Standard PC, "+cpus(got) {
		t.Errorf("%q", got.String())
	}
}

func cpus(b Board) string {
	return strings.TrimPrefix(Board{CPUs: b.CPUs}.String(), "unknown machine, ")
}

// A machine of which nothing can be read is unknown, and has a processor.
func TestReadNothing(t *testing.T) {
	for name, root := range map[string]string{"empty": t.TempDir(), "none": "/nonexistent"} {
		b := Read(root)
		if b.Family != Unknown || b.Model != "" || b.CPUs != runtime.NumCPU() || b.PageSize <= 0 || b.Memory != 0 {
			t.Errorf("%s: %+v", name, b)
		}
		if h := Check(root, nil); h != (Health{}) || h.String() != "temperature unknown" {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

// Files that are no files, endless, empty or full of rubbish do no harm.
func TestReadHostile(t *testing.T) {
	files := map[string]string{
		"proc/device-tree/model":                              "Raspberry Pi 4\x1b[2J\n\x00\xff" + strings.Repeat("A", 1<<20),
		"proc/device-tree/compatible":                         strings.Repeat("brcm,\x00", 1<<16),
		"proc/meminfo":                                        "MemTotal: 99999999999999999999 kB\nMemTotal: -5 kB\nMemTotal: 5 MB\nCmaTotal:\n",
		"sys/devices/system/cpu/online":                       "4-1,999999999999\n",
		"sys/class/thermal/thermal_zone0/temp":                "999999999\n",
		"sys/class/thermal/thermal_zone1/temp":                "warm\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled": "0xfffffffffff\n",
		"sys/class/hwmon/hwmon0/name":                         "rpi_volt\n",
		"sys/class/hwmon/hwmon0/in0_lcrit_alarm":              "maybe\n",
	}
	root := plant(t, files)
	b, h := Read(root), Check(root, nil)
	if len(b.Model) > 110 || strings.ContainsAny(b.Model, "\x1b\n\x00") || b.Memory != 0 || b.CPUs != runtime.NumCPU() || b.SoC != "" {
		t.Errorf("%+v", b)
	}
	if h.Warm || h.Power != NoSource {
		t.Errorf("%+v", h)
	}
	// A pipe where a file should be must not block, a directory not confuse.
	root = t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/device-tree/model"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "proc/meminfo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b := Read(root); b.Family != Unknown {
		t.Errorf("%+v", b)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("Raspberry Pi 4 Model B Rev 1.4\x00", "raspberrypi,4-model-b\x00brcm,bcm2711\x00", "MemTotal: 1 kB\n", "0-3\n", "48312\n", "50005\n")
	f.Add("", "", "", "", "", "")
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, model, compatible, meminfo, online, temp, throttled string) {
		put(t, root, "proc/device-tree/model", model)
		put(t, root, "proc/device-tree/compatible", compatible)
		put(t, root, "proc/meminfo", meminfo)
		put(t, root, "sys/devices/system/cpu/online", online)
		put(t, root, "sys/class/thermal/thermal_zone0/temp", temp)
		put(t, root, "sys/devices/platform/soc/soc:firmware/get_throttled", throttled)
		b, h := Read(root), Check(root, nil)
		if b.CPUs < 1 || b.CPUs > 1<<24 || b.Memory < 0 || b.CMA < 0 || !utf8.ValidString(b.Model+b.SoC) || len(b.Model) > 110 {
			t.Errorf("%+v", b)
		}
		if h.Temperature < -60 || h.Temperature > 200 || h.Now > 15 || h.SinceBoot > 15 || h.Clock < 0 {
			t.Errorf("%+v", h)
		}
		for _, hardware := range []bool{true, false} {
			l := b.Limits(hardware, h)
			if l.Width < 640 || l.Width > 1920 || l.Height > 1080 || l.FPS < 24 || l.FPS > 60 || l.Threads < 1 || l.Reason == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}
