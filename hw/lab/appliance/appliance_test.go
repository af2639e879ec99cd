package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The life of an appliance: it starts, is updated, is given updates that are
// not the owner's or do not work, and hangs.
func TestAppliance(t *testing.T) {
	need(t)
	b := newBench(t)
	d, err := b.image.openDisk()
	if err != nil {
		t.Fatal(err)
	}
	m := b.boot(t, d, "")
	step := func(name string, f func(m *machine)) {
		began := time.Now()
		if !t.Run(name, func(t *testing.T) { f(&machine{m.vm, t}) }) {
			t.FailNow()
		}
		t.Logf("%s: %v", name, time.Since(began).Round(100*time.Millisecond))
	}
	step("starts", func(m *machine) {
		m.until("the announcement", func() bool { _, ok := m.announced(); return ok })
		after, _ := m.announced()
		m.sh("until systemctl -q is-active aerie; do sleep 0.2; done")
		first := m.sh(`journalctl -b -u aerie -o short-monotonic --no-pager | grep -m 1 ' announced '`)
		t.Logf("power on to announced on the network: %v (%s); the log of the kernel's time and of the process: %s", after.Round(10*time.Millisecond), accelerator(b.image.arch), first)
		if got := m.version(); got != "1" {
			m.t.Errorf("version %q runs", got)
		}
	})
	step("is laid out", isLaidOut)
	step("refuses a stranger's update", func(m *machine) {
		m.mount()
		out, err := m.try("aerie ota install --state /data/aerie /run/host/5", patience)
		if err == nil || !strings.Contains(out, "key") {
			m.t.Errorf("a release of a stranger: %v, %s", err, out)
		}
		if got := m.updates(); got.Slot != "factory" {
			m.t.Errorf("after it: %+v", got)
		}
	})
	step("takes an update", func(m *machine) {
		m.sh("aerie ota install --state /data/aerie /run/host/2")
		m.until("version 2", func() bool { return m.version() == "2" })
		m.until("its confirmation", func() bool { return m.updates().Proven })
	})
	step("comes back from an update that crashes", func(m *machine) { m.survives("3") })
	step("comes back from a hang", func(m *machine) {
		pid := m.sh("systemctl show -P MainPID aerie")
		m.sh("kill -STOP " + pid)
		m.sh("until journalctl -b -u aerie --no-pager | grep -q 'Watchdog timeout'; do sleep 1; done")
		m.until("version 2", func() bool { return m.version() == "2" })
		if now := m.sh("systemctl show -P MainPID aerie"); now == pid {
			m.t.Error("it is the process that hung")
		}
	})
	step("starts again with the update", func(m *machine) {
		m.sh("systemctl --no-block poweroff")
		if err := m.wait(patience); err != nil {
			m.t.Fatal(err)
		}
		again := b.boot(t, d.kept(), "")
		again.until("version 2", func() bool { return again.version() == "2" })
		if got := again.updates(); got.Slot == "factory" || !got.Proven || got.Problem != "" {
			m.t.Errorf("after a reboot: %+v", got)
		}
	})
}

// A card whose data is gone makes a receiver that forgets, and says so.
func TestBrokenCard(t *testing.T) {
	need(t)
	b := newBench(t)
	d, err := b.image.openDisk()
	if err != nil {
		t.Fatal(err)
	}
	const ends = 4 << 20 // of the partition: superblock and journal
	info, err := os.Stat(filepath.Join(b.image.dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.write(bytes.Repeat([]byte{0xff}, ends), info.Size()-64<<20, true); err != nil {
		t.Fatal(err)
	}
	m := b.boot(t, d, "systemd.default_device_timeout_sec=90") // one will not come
	m.until("version 1", func() bool { return m.version() == "1" })
	if got := m.sh("findmnt -no FSTYPE /data; stat -c %U /data/aerie"); got != "tmpfs\naerie" {
		t.Errorf("the data is on %q", got)
	}
}

// survives installs a release that does not work, and expects version 2 back,
// with the reason.
func (m *machine) survives(n string) {
	m.t.Helper()
	m.sh("aerie ota install --state /data/aerie /run/host/" + n)
	m.until("the way back", func() bool { return len(m.updates().Bad) > 0 })
	m.until("version 2", func() bool { return m.version() == "2" })
	got := m.updates()
	if got.Bad[0].Version != n || got.Bad[0].Why == "" || got.WentBack == "" {
		m.t.Errorf("it came back, and says %+v", got)
	}
	m.t.Logf("it says: %s", got.WentBack)
}

// isLaidOut checks what the units promise.
func isLaidOut(m *machine) {
	for what, want := range map[string]string{
		"findmnt -no OPTIONS / | cut -d , -f 1":                                      "ro",
		"findmnt -no OPTIONS /boot | cut -d , -f 1":                                  "ro",
		"findmnt -no FSTYPE /data":                                                   "ext4",
		"stat -c %U:%a /data/aerie":                                                  "aerie:750",
		"stat -c %U /proc/$(systemctl show -P MainPID aerie)":                        "aerie",
		"systemctl show -P NRestarts aerie":                                          "0",
		"systemctl --failed --no-legend --plain | wc -l":                             "0",
		"systemctl show -P RuntimeWatchdogUSec":                                      "14s",
		"cat /sys/class/watchdog/watchdog0/state":                                    "active",
		"ls -d /var/log/journal/* 2>/dev/null | wc -l":                               "0",
		"touch /boot/x /x 2>/dev/null || echo read-only":                             "read-only",
		"[ $(df --output=size -m /data | tail -n 1) -gt 250 ] && echo grown":         "grown",
		"systemctl show -P StatusText aerie | grep -q Virtual && echo from settings": "from settings",
	} {
		if got := m.sh(what); got != want {
			m.t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	if m.t.Failed() {
		m.t.Log(m.sh("journalctl -b --no-pager -p notice -o short-monotonic | tail -n 60"))
	}
	m.t.Log(m.sh("systemctl show -P StatusText aerie; systemd-analyze security aerie --no-pager | tail -n 1"))
	m.picture("idle.png")
	display := m.sh(`journalctl -b -u aerie --no-pager -o cat | grep -F 'Picture' | head -n 1`)
	if !strings.Contains(display, "virtio_gpu") {
		m.t.Errorf("the picture goes nowhere: %s\n%s", display, m.sh("journalctl -b -u aerie --no-pager | tail -n 50"))
	}
	m.t.Log(fmt.Sprint("display: ", strings.TrimSpace(display)))
}
