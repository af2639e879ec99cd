package discovery

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
`

// startAvahi runs a private system bus and an avahi-daemon, which the clients
// that this process starts find by the environment.
func startAvahi(t *testing.T, launch func(name string, args ...string) *exec.Cmd) {
	t.Helper()
	daemon := need(t, "avahi-daemon", "avahi-daemon")
	need(t, "avahi-browse", "avahi-utils")
	bus := need(t, "dbus-daemon", "dbus")
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	spawn(t, exec.Command(bus, "--config-file="+config, "--nofork", "--nopidfile"))
	eventually(t, "system bus", func() bool { _, err := os.Stat(socket); return err == nil })
	conf := filepath.Join(dir, "avahi.conf")
	if err := os.WriteFile(conf, []byte("[server]\nhost-name=beside\nuse-ipv4=yes\nuse-ipv6=yes\n[publish]\n[rlimits]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/avahi-daemon", 0o755); err != nil {
		t.Fatal(err)
	}
	out := spawn(t, launch(daemon, "-f", conf, "--no-drop-root", "--no-chroot", "--no-rlimits"))
	eventually(t, "avahi-daemon", func() bool { return strings.Contains(out.String(), "Server startup complete") })
}

// resolved runs avahi-browse and returns its lines about resolved services.
func resolved(t *testing.T, typ string) (lines []string) {
	t.Helper()
	for _, line := range strings.Split(run(t, "avahi-browse", "-rpt", typ), "\n") {
		if strings.HasPrefix(line, "=") {
			lines = append(lines, line)
		}
	}
	return lines
}

// checkResolved looks for a service with its host, an address, port and TXT.
func checkResolved(t *testing.T, typ, instance, host, addr string, port int, txt []string) {
	t.Helper()
	var lines []string
	eventually(t, fmt.Sprintf("avahi-browse finds %s as %s", instance, typ), func() bool {
		lines = resolved(t, typ)
		for _, line := range lines {
			f := strings.Split(line, ";")
			if len(f) < 10 || f[3] != instance || f[6] != host || f[7] != addr || f[8] != fmt.Sprint(port) {
				continue
			}
			for _, entry := range txt {
				if !strings.Contains(f[9], `"`+entry+`"`) {
					t.Fatalf("%s lacks %s: %s", typ, entry, f[9])
				}
			}
			return true
		}
		return false
	})
}

// A receiver beside an avahi-daemon on the same port, in a network that has
// nothing but the loopback: avahi finds both services with everything in them.
func TestAvahiFindsUs(t *testing.T) {
	if !alone(t) {
		return
	}
	startAvahi(t, exec.Command)
	a := announceTV(t, "Living Room", "AA:BB:CC:A1:B2:C3", 7000)
	if st := waitAnnounced(t, a); st.Name != "Living Room" {
		t.Fatalf("status %+v", st)
	}
	checkResolved(t, "_airplay._tcp", `Living\032Room`, "aerie-a1b2c3.local", "127.0.0.1", 7000, identityTXT)
	checkResolved(t, "_raop._tcp", `AABBCCA1B2C3\064Living\032Room`, "aerie-a1b2c3.local", "127.0.0.1", 7000, raopTXT)
	if out := run(t, "avahi-resolve", "-4", "-n", "AERIE-a1b2c3.local"); !strings.Contains(out, "127.0.0.1") {
		t.Errorf("avahi-resolve: %s", out)
	}

	if err := a.SetTXT(TypeAirPlay, []string{"flags=0x20004"}); err != nil {
		t.Fatal(err)
	}
	checkResolved(t, "_airplay._tcp", `Living\032Room`, "aerie-a1b2c3.local", "127.0.0.1", 7000, []string{"flags=0x20004"})

	a.Close()
	eventually(t, "avahi has forgotten the receiver", func() bool {
		return !strings.Contains(run(t, "avahi-browse", "-apt"), "Living")
	})
}

// Whoever comes second takes another name.
func TestAvahiConflict(t *testing.T) {
	if !alone(t) {
		return
	}
	startAvahi(t, exec.Command)
	out := spawn(t, exec.Command("avahi-publish", "-s", "Living Room", "_airplay._tcp", "5000", "model=Other"))
	eventually(t, "avahi-publish", func() bool { return strings.Contains(out.String(), "Established") })
	a := announceTV(t, "Living Room", "AA:BB:CC:A1:B2:C3", 7000)
	if st := waitAnnounced(t, a); st.Name != "Living Room (2)" || st.Host != "aerie-a1b2c3.local." {
		t.Errorf("status %+v", st)
	}
	checkResolved(t, "_airplay._tcp", `Living\032Room\032\0402\041`, "aerie-a1b2c3.local", "127.0.0.1", 7000, identityTXT)
	checkResolved(t, "_raop._tcp", `AABBCCA1B2C3\064Living\032Room\032\0402\041`, "aerie-a1b2c3.local", "127.0.0.1", 7000, nil)

	out = spawn(t, exec.Command("avahi-publish", "-s", "Living Room (2)", "_airplay._tcp", "5001"))
	eventually(t, "avahi-publish takes another name", func() bool {
		return strings.Contains(out.String(), "Established under name 'Living Room (2) #2'")
	})
	checkResolved(t, "_airplay._tcp", `Living\032Room\032\0402\041\032\0352`, "beside.local", "127.0.0.1", 5001, nil)
	if st := a.Status(); st.Name != "Living Room (2)" || !st.Announced {
		t.Errorf("status %+v", st)
	}
}
