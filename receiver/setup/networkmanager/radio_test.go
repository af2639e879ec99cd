package networkmanager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"aerie/receiver/config"
	pages "aerie/receiver/settings"
	"aerie/receiver/setup"
	"aerie/receiver/status"
)

// These tests have a machine to themselves, made by .ci/radio: NetworkManager
// runs and has one of three simulated radios. The second is the router's and the
// third the phone's, in network namespaces of their own.
func needRadios(t *testing.T) *radios {
	t.Helper()
	if os.Getenv("AERIE_RADIOS") == "" {
		t.Skip("needs a machine with simulated radios: .ci/radio")
	}
	r := &radios{t: t, dir: t.TempDir()}
	for name, phy := range map[string]string{"router": "phy1", "phone": "phy2"} {
		if exec.Command("ip", "netns", "exec", name, "true").Run() != nil {
			r.run("ip", "netns", "add", name)
			r.run("iw", "phy", phy, "set", "netns", "name", name)
		}
	}
	m := newManager(r.dialAsAerie)
	t.Cleanup(m.Shut)
	r.m = m
	r.eventually("a radio that can be used", func() bool { _, err := m.radio(t.Context()); return err == nil })
	return r
}

// radios is a house with real protocols and simulated air.
type radios struct {
	t   *testing.T
	m   *Manager
	dir string
}

// dialAsAerie connects to the bus as the user that Aerie runs as: polkit and the
// bus ask the kernel who connected.
func (r *radios) dialAsAerie() (*dbus.Conn, error) {
	u, err := user.Lookup("aerie")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	done := make(chan struct{})
	var conn *dbus.Conn
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
			err = e
			return
		}
		conn, err = dbus.Dial("unix:path=/run/dbus/system_bus_socket")
	}()
	<-done
	runtime.UnlockOSThread()
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(u.Uid)}); err != nil {
		return nil, err
	}
	return conn, conn.Hello()
}

func (r *radios) run(args ...string) string {
	r.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// serve runs a program in a namespace until it is stopped, or the test ends.
func (r *radios) serve(netns string, args ...string) (stop func()) {
	r.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", netns}, args...)...)
	log, err := os.Create(filepath.Join(r.dir, netns+"-"+filepath.Base(args[0])+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
	r.t.Cleanup(stop)
	return stop
}

// serveSettings has the page where phones look for it.
func (r *radios) serveSettings() {
	r.t.Helper()
	page := pages.New(pages.Options{Config: config.Default, Mistake: func() string { return "" }, ShowPIN: func(string) {}, Log: slog.New(slog.DiscardHandler)})
	server := status.New(status.Options{Snapshot: func() status.Snapshot { return status.Snapshot{} }, Settings: page, Portal: func() string { return "http://10.42.0.1" + pages.Path }})
	ln, err := net.Listen("tcp", ":80")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	go func() { _ = server.Serve(ctx, ln) }()
}

func (r *radios) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// router is a router with the given password; it gives addresses, or not.
func (r *radios) router(password string, addresses bool) (off func()) {
	r.t.Helper()
	conf := r.file("hostapd.conf", "interface=wlan1\ndriver=nl80211\nssid=Home\nhw_mode=g\nchannel=6\nwpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase="+password+"\n")
	radio := r.serve("router", "hostapd", conf)
	r.eventually("the router's radio", func() bool {
		return strings.Contains(r.run("ip", "netns", "exec", "router", "iw", "dev", "wlan1", "info"), "type AP")
	})
	_ = exec.Command("ip", "-n", "router", "addr", "add", "192.168.77.1/24", "dev", "wlan1").Run()
	dhcp := func() {}
	if addresses {
		dhcp = r.serve("router", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=wlan1", "--dhcp-range=192.168.77.10,192.168.77.99", "--dhcp-leasefile="+filepath.Join(r.dir, "leases"))
	}
	return func() { dhcp(); radio() }
}

// phone joins a network and asks for an address, as phones do.
func (r *radios) phone(ap setup.AccessPoint) {
	r.t.Helper()
	r.run("ip", "-n", "phone", "link", "set", "lo", "up")
	r.run("ip", "-n", "phone", "addr", "flush", "dev", "wlan2")
	conf := r.file("phone.conf", fmt.Sprintf("network={\n\tssid=%q\n\tpsk=%q\n\tkey_mgmt=WPA-PSK\n}\n", ap.SSID, ap.Password))
	r.serve("phone", "wpa_supplicant", "-i", "wlan2", "-c", conf)
	script := r.file("dhcp.sh", "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/24 dev $interface\nmkdir -p /etc/netns/phone\necho nameserver $dns >/etc/netns/phone/resolv.conf\n")
	if err := os.Chmod(script, 0o700); err != nil {
		r.t.Fatal(err)
	}
	r.serve("phone", "busybox", "udhcpc", "-f", "-i", "wlan2", "-t", "60", "-T", "1", "-s", script)
	r.eventually("an address for the phone", func() bool {
		return strings.Contains(r.run("ip", "-n", "phone", "addr", "show", "wlan2"), "inet 10.42.0.")
	})
}

// patience is for an emulated machine on a busy one, where opening the access
// point takes twenty seconds instead of two.
const patience = 3 * time.Minute

func (r *radios) eventually(what string, happens func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if happens() {
			return
		}
	}
	logs, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	for _, l := range logs {
		text, _ := os.ReadFile(l)
		r.t.Logf("%s:\n%s", filepath.Base(l), text[max(0, len(text)-3000):])
	}
	r.t.Fatalf("in %v not: %s", patience, what)
}

// join joins and says how long it took.
func (r *radios) join(c setup.Credentials) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	began := time.Now()
	err := r.m.Join(ctx, c)
	r.t.Logf("joining %s took %.1f s: %v", c.SSID, time.Since(began).Seconds(), err)
	return err
}

func (r *radios) state() setup.State {
	r.t.Helper()
	st, err := r.m.State(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

var home = setup.Credentials{SSID: "Home", Password: "correct horse"}

// A network is joined, and what goes wrong has the name that people are told.
func TestJoinOnRadios(t *testing.T) {
	r := needRadios(t)
	if err := r.join(home); !errors.Is(err, setup.ErrNotFound) {
		t.Errorf("no network: %v", err)
	}
	off := r.router(home.Password, true)
	r.eventually("the network in a scan", func() bool {
		found, err := r.m.Scan(t.Context())
		return err == nil && len(found) == 1 && found[0].SSID == "Home" && found[0].Secured && found[0].Signal > 0
	})
	if err := r.join(setup.Credentials{SSID: "Home", Password: "wrong password"}); !errors.Is(err, setup.ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if st := r.state(); st.Online {
		t.Errorf("%+v", st)
	}
	if err := r.join(home); err != nil {
		t.Fatal(err)
	}
	if st := r.state(); !st.Online || st.Open || st.SSID != "Home" {
		t.Errorf("%+v", st)
	}
	if out := r.run("iw", "dev", "wlan0", "get", "power_save"); !strings.Contains(out, "off") {
		t.Errorf("power saving: %s", out)
	}
	// A receiver that starts anew does not leave the network.
	began := time.Now()
	if err := r.join(home); err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("again: %v, %v", err, time.Since(began))
	}
	off()
	r.eventually("the loss", func() bool { return !r.state().Online })
	off = r.router(home.Password, false)
	if err := r.join(home); !errors.Is(err, setup.ErrNoAddress) {
		t.Errorf("no addresses: %v", err)
	}
	off()
}

// The access point lets a phone in, which gets an address and finds every name
// at the receiver; it closes when it is told to, and when the process ends.
func TestAccessPointOnRadios(t *testing.T) {
	r := needRadios(t)
	ap := setup.NewAccessPoint("02:00:00:00:BE:EF")
	open := func() {
		began := time.Now()
		addr, err := r.m.Open(t.Context(), ap)
		if err != nil || addr != pointAddress.Addr() {
			t.Fatal(addr, err)
		}
		t.Logf("opening took %.1f s", time.Since(began).Seconds())
		if st := r.state(); !st.Open || st.Online {
			t.Errorf("%+v", st)
		}
	}
	open()
	if out := r.run("iw", "dev", "wlan0", "info"); !strings.Contains(out, "ssid "+ap.SSID) || !strings.Contains(out, "type AP") {
		t.Errorf("%s", out)
	}
	r.phone(ap)
	out, err := exec.Command("ip", "netns", "exec", "phone", "busybox", "nslookup", "captive.apple.com", "10.42.0.1").CombinedOutput()
	if !strings.Contains(string(out), "10.42.0.1\n") || strings.Count(string(out), "10.42.0.1") < 2 {
		t.Errorf("names: %v\n%s", err, out)
	}
	r.serveSettings()
	page, err := exec.Command("ip", "netns", "exec", "phone", "busybox", "wget", "-O", "-", "http://captive.apple.com/hotspot-detect.html").CombinedOutput()
	if err != nil || !strings.Contains(string(page), "PIN on the TV") {
		t.Errorf("the phone's question leads to %v\n%s", err, page)
	}
	if err := r.m.Close(t.Context()); err != nil || r.state().Open {
		t.Errorf("%v, %+v", err, r.state())
	}
	open()
	r.m.Shut() // as the end of the process
	r.eventually("the access point's end", func() bool { return !r.state().Open })
}

// A first boot: no network, an access point, a phone, a wrong password, the
// right one; and the access point is gone.
func TestFirstBootOnRadios(t *testing.T) {
	r := needRadios(t)
	_ = r.m.forget(t.Context(), joinUUID)
	r.router(home.Password, true)
	m := setup.New(r.m, setup.Credentials{}, setup.NewAccessPoint("02:00:00:00:BE:EF"), func() {}, slog.New(slog.NewTextHandler(testWriter{t}, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { m.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	is := func(what string, ok func(setup.Status) bool) {
		t.Helper()
		began := time.Now()
		r.eventually(what, func() bool { return ok(m.Status()) })
		t.Logf("%s after %.1f s", what, time.Since(began).Seconds())
	}
	is("access point", func(st setup.Status) bool { return st.AccessPoint.Page() != "" })
	if list := m.Status().Networks; len(list) != 1 || list[0].SSID != "Home" {
		t.Logf("the page would list %+v", list) // a scan may be refused just then
	}
	r.phone(m.Status().AccessPoint)
	m.Join(setup.Credentials{SSID: "Home", Password: "wrong password"})
	is("access point again", func(st setup.Status) bool { return st.AccessPoint.Page() != "" && st.Failure != "" })
	if st := m.Status(); st.Failure != "The password of “Home” is wrong." {
		t.Errorf("%+v", st)
	}
	m.Join(home)
	is("online", func(st setup.Status) bool { return st.Phase == setup.Online && st.Failure == "" })
	if st := r.state(); !st.Online || st.Open {
		t.Errorf("%+v", st)
	}
}

// testWriter writes lines to the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	s := bufio.NewScanner(strings.NewReader(string(b)))
	for s.Scan() {
		w.t.Log(s.Text())
	}
	return len(b), nil
}
