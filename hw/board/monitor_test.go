package board

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	files := pi("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi,4-model-b brcm,bcm2711", "3884388")
	root := plant(t, files)
	ask := func() (uint32, error) { return 0x50005, nil }
	refused := func() (uint32, error) { return 0, errors.New("no") }
	for _, c := range []struct {
		name   string
		change map[string]string
		ask    func() (uint32, error)
		want   Health
	}{
		{"healthy", nil, nil, Health{48.312, true, 1500, 0, 0, Sysfs}},
		{"mailbox", nil, ask, Health{48.312, true, 1500, UnderVoltage | Throttled, UnderVoltage | Throttled, Mailbox}},
		{"sysfs", map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "e0008\n"}, refused,
			Health{48.312, true, 1500, SoftLimit, Capped | Throttled | SoftLimit, Sysfs}},
		{"sysfs with 0x", map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "0x10000\n"}, nil,
			Health{48.312, true, 1500, 0, UnderVoltage, Sysfs}},
		{"hwmon", map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "",
			"sys/class/hwmon/hwmon0/name": "cpu_thermal\n", "sys/class/hwmon/hwmon2/name": "rpi_volt\n",
			"sys/class/hwmon/hwmon2/in0_lcrit_alarm": "1\n"}, nil, Health{48.312, true, 1500, UnderVoltage, UnderVoltage, Hwmon}},
		{"hwmon, no alarm", map[string]string{"sys/class/hwmon/hwmon2/in0_lcrit_alarm": "0\n"}, nil,
			Health{48.312, true, 1500, 0, 0, Hwmon}},
		{"below zero", map[string]string{"sys/class/thermal/thermal_zone0/temp": "-4500\n",
			"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n"}, nil, Health{-4.5, true, 600, 0, 0, Hwmon}},
		{"the processor's zone", map[string]string{"sys/class/thermal/thermal_zone0/type": "acpitz\n",
			"sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n", "sys/class/thermal/thermal_zone1/temp": "61000\n"}, nil,
			Health{61, true, 600, 0, 0, Hwmon}},
	} {
		for name, text := range c.change {
			put(t, root, name, text)
		}
		if got := Check(root, c.ask); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	h := Health{48.312, true, 1500, UnderVoltage | Throttled, UnderVoltage, Mailbox}
	if got := h.String(); got != "48.3 °C, 1500 MHz, trouble now: under-voltage, throttled, since boot: under-voltage" {
		t.Errorf("%q", got)
	}
}

// A machine that warms up, is throttled, cools down and loses its mailbox, on
// a simulated clock: each change is told once.
func TestMonitor(t *testing.T) {
	root := plant(t, pi("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b brcm,bcm2712", "8245808"))
	type look struct {
		temp string
		word uint32
		fail bool
	}
	looks := []look{
		{"50000", 0, false},
		{"52000", 0, false},       // too little to tell
		{"54900", 0, false},       // still
		{"55000", 0, false},       // 5 degrees
		{"84000", 0x80008, false}, // soft limit
		{"86000", 0xc000c, false}, // throttled
		{"86000", 0xc000c, false},
		{"70000", 0xc0000, false}, // over, but it has been
		{"70000", 0xc0000, true},  // the mailbox fails: sysfs knows of no history
		{"70000", 0xc0000, true},
	}
	now, step := time.Duration(0), 0
	set := func() { put(t, root, "sys/class/thermal/thermal_zone0/temp", looks[step].temp+"\n") }
	set()
	var told []Health
	var when []time.Duration
	m := Monitor{
		Root:   root,
		Period: 10 * time.Second,
		Mailbox: func() (uint32, error) {
			if looks[step].fail {
				return 0, errors.New("gone")
			}
			return looks[step].word, nil
		},
		Wait: func(ctx context.Context, d time.Duration) bool {
			now += d
			if step++; step == len(looks) {
				return false
			}
			set()
			return true
		},
	}
	m.Run(t.Context(), func(h Health) { told = append(told, h); when = append(when, now) })
	soft, both := SoftLimit, SoftLimit|Throttled
	want := []Health{
		{50, true, 1500, 0, 0, Mailbox},
		{55, true, 1500, 0, 0, Mailbox},
		{84, true, 1500, soft, soft, Mailbox},
		{86, true, 1500, both, both, Mailbox},
		{70, true, 1500, 0, both, Mailbox},
		{70, true, 1500, 0, both, Sysfs},
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told\n%+v, want\n%+v", told, want)
	}
	s := time.Second
	if at := []time.Duration{0, 30 * s, 40 * s, 50 * s, 70 * s, 80 * s}; !reflect.DeepEqual(when, at) {
		t.Errorf("at %v, want %v", when, at)
	}
}

// Without a clock of its own the monitor uses the system's, and ends with its
// context.
func TestMonitorEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	(&Monitor{Root: t.TempDir(), Period: time.Hour}).Run(ctx, func(Health) { calls++; cancel() })
	(&Monitor{Root: t.TempDir()}).Run(ctx, func(Health) { calls++ })
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}
