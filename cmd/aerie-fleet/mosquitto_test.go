package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/simulate"
	"aerie/receiver/fleet/content"
)

// documented returns a file as docs/fleet.md has it.
func documented(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?ms)^`[^`\n]*/" + name + "`:\n\n((?:    [^\n]*\n|\n)+)").FindSubmatch(b)
	if m == nil {
		t.Fatalf("docs/fleet.md has no %s", name)
	}
	return strings.ReplaceAll(string(m[1]), "\n    ", "\n")[4:]
}

// TestMosquitto looks after devices by way of Debian's Mosquitto, with TLS,
// client certificates and access lists as docs/fleet.md has them. The broker is
// killed meanwhile.
func TestMosquitto(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program = "/usr/sbin/mosquitto"; exec.Command(program, "-h").Run() != nil {
			t.Skip("mosquitto is not installed (Debian: apt install mosquitto)")
		}
	}
	dir := t.TempDir()
	// Mosquitto, when it is started by root, reads its files as another user.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	state, etc := filepath.Join(dir, "state"), filepath.Join(dir, "etc")
	if _, err := fleetctl(t, "certificate", "--state", state, etc, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	a, err := authority.Open(filepath.Join(state, "authority"), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	_, port, _ := net.SplitHostPort(address)
	conf := strings.NewReplacer("8883", port+" 127.0.0.1", "/etc/mosquitto/aerie", etc, "/var/lib/mosquitto", dir).Replace(documented(t, "aerie.conf"))
	crl, err := os.ReadFile(filepath.Join(state, "authority", "crl.pem"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := keep(state, "id", newID)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"aerie.conf": conf, "crl.pem": string(crl), "acl": strings.ReplaceAll(documented(t, "acl"), "11111111-2222-4333-8444-555555555555", id)} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{etc, filepath.Join(etc, "server.key")} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil { // where it keeps its documents
		t.Fatal(err)
	}
	var out bytes.Buffer
	start := func() *exec.Cmd {
		cmd := exec.Command(program, "-c", filepath.Join(etc, "aerie.conf"))
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	broker := start()
	t.Cleanup(func() {
		broker.Process.Kill() // it may have ended
		broker.Wait()
		if t.Failed() {
			t.Logf("mosquitto:\n%s", &out)
		}
	})
	p := startProcess(t, state, "--broker", "mqtts://"+address, "--https", freePort(t))
	fleet := simulate.Start(simulate.Options{Devices: 10, Prefix: "tv", Pool: "aerie", Dial: certified(t, state, address, 10), LastPause: time.Second})
	defer fleet.Stop()
	eventually(t, time.Minute, "all are paired", func() bool { return fleet.Stats().Paired == 10 })
	if err := p.post(t.Context(), "/api/devices/tv00003/settings", map[string]string{content.SettingName: "Bar"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "a name arrives", func() bool { return fleet.Devices[3].Setting(content.SettingName) == "Bar" })
	if err := p.post(t.Context(), "/api/devices/tv00004/call/identify", nil); err != nil || fleet.Devices[4].Calls("identify") != 1 {
		t.Errorf("identify: %v", err)
	}

	// Killed, it has lost what it had not written; devices and service say it again.
	broker.Process.Kill()
	broker.Wait()
	broker = start()
	eventually(t, time.Minute, "all are there again", func() bool {
		o, err := p.overview()
		return err == nil && o.Connected && o.Mine == 10 && fleet.Stats().Connected == 10
	})
	if err := p.post(t.Context(), "/api/devices/tv00003/settings", map[string]string{content.SettingName: "Lounge"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "another name arrives", func() bool { return fleet.Devices[3].Setting(content.SettingName) == "Lounge" })

	// The access list: a device writes only what is its own, and poses as no service.
	dial := certified(t, state, address, 1)
	conn, err := dial("rogue")
	if err != nil {
		t.Fatal(err)
	}
	rogue, err := simulate.Connect(conn, simulate.Login{Name: "rogue"})
	if err != nil {
		t.Fatal(err)
	}
	go rogue.Run(func(topic string, _ []byte) { t.Errorf("a device reads %s", topic) })
	defer rogue.Close()
	for _, filter := range []string{"aerie/#", "aerie/+/twin/reported", "aerie-pool/#"} {
		if _, err := rogue.Subscribe(filter); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"aerie/tv00001/twin/reported", "aerie/tv00001/presence", "aerie/tv00001/twin/desired/" + id, "aerie-pool/aerie/rollout"} {
		if _, err := rogue.Publish(topic, []byte("offline"), true); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	if o, err := p.overview(); err != nil || o.Counts["good"] != 10 || p.metric("aerie_fleet_ignored_total") > 0 {
		t.Errorf("%v: after a device wrote what is not its own: %v", err, o.Counts)
	}
	// No certificate, no entrance.
	if c, err := tls.Dial("tcp", address, a.Client(tls.Certificate{}, "127.0.0.1")); err == nil {
		if _, err := simulate.Connect(c, simulate.Login{Name: "stranger"}); err == nil {
			t.Error("a stranger is let in")
		}
	}
	fmt.Fprintln(&out, "end")
}
