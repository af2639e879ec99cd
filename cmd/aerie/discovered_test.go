package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// busConfig is that of a system bus on which everybody may do everything.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy>
</busconfig>
`

// avahi runs a bus and an avahi-daemon on the bench's machine, which the
// programs of the bench find by their environment.
func (b *bench) avahi() {
	b.t.Helper()
	bus, conf := filepath.Join(b.dir, "bus"), filepath.Join(b.dir, "avahi.conf")
	for name, text := range map[string]string{bus + ".conf": fmt.Sprintf(busConfig, bus), conf: "[server]\nhost-name=listener\nuse-ipv6=no\n[publish]\n[rlimits]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.env = append(b.env, "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+bus)
	b.start("dbus-daemon", "--config-file="+bus+".conf", "--nofork", "--nopidfile")
	b.until("the bus", func() bool { _, err := os.Stat(bus); return err == nil })
	b.on.run("mkdir", "/run/avahi-daemon")
	b.start("avahi-daemon", "-f", conf, "--no-drop-root", "--no-chroot", "--no-rlimits")
	b.until("avahi-daemon", func() bool { _, err := b.try("avahi-browse", "-at"); return err == nil })
}

// PipeWire, on another machine, finds the receiver by what that announces, makes
// a sink of it and plays to that; nobody tells it an address.
func TestPipeWireDiscovers(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: it plays in real time")
	}
	for _, program := range []string{"pw-cat", "avahi-daemon", "avahi-browse", "dbus-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed (Debian: apt install pipewire pipewire-bin libpipewire-0.3-modules avahi-daemon avahi-utils dbus)")
		}
	}
	want := noise()
	for range 3 { // as in TestOtherSenders
		found, longest := recognise(playedByDiscovery(t, want), want)
		t.Logf("%.0f %% of the sound arrived as it was, %v of it in one piece", found*100, longest)
		if longest > 3*time.Second {
			return
		}
	}
	t.Error("the samples are not those that were played")
}

// playedByDiscovery has PipeWire play sound to the only receiver of a network,
// and returns what would be heard.
func playedByDiscovery(t *testing.T, samples []byte) []byte {
	t.Helper()
	lan := newNetwork(t)
	b := newBench(t)
	b.on = lan.join()
	b.avahi()
	settings := filepath.Join(b.dir, "aerie.toml")
	if err := os.WriteFile(settings, []byte("[audio]\ninitial_volume = 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, lan.join(), "--identity", "mirror", "--discovery=true", "--config", settings)
	r.log.wait(t, `announced name=`)
	in := filepath.Join(b.dir, "in.wav")
	writeWAV(t, in, append(bytes.Clone(samples), make([]byte, 44100*4)...))
	b.pipewireWith("raop-discover", in)
	return heardIn(t, r.file, samples)
}
