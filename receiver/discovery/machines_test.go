package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// neighbour makes a second machine: a network namespace at the other end of a
// cable, whose ends are lan0 here, without an address and down, and lan1
// there. It returns a way to start programs on it.
func neighbour(t *testing.T) func(name string, args ...string) *exec.Cmd {
	t.Helper()
	need(t, "ip", "iproute2")
	enter := need(t, "nsenter", "util-linux")
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	spawn(t, keeper)
	there := func(name string, args ...string) *exec.Cmd {
		ns := fmt.Sprintf("--net=/proc/%d/ns/net", keeper.Process.Pid)
		return exec.Command(enter, append([]string{ns, name}, args...)...)
	}
	if out, err := exec.Command("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1",
		"netns", fmt.Sprint(keeper.Process.Pid)).CombinedOutput(); err != nil {
		t.Skipf("this kernel has no veth links: %v: %s", err, out)
	}
	for _, command := range []string{"link set lo up", "addr add 10.9.0.2/24 dev lan1", "link set lan1 up"} {
		if out, err := there("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	return there
}

func ip(t *testing.T, command string) {
	t.Helper()
	run(t, "ip", strings.Fields(command)...)
}

// A receiver whose cable is plugged in only later, moves to another address,
// loses its carrier and finds it again; avahi on the other machine follows.
func TestLinkLife(t *testing.T) {
	if !alone(t) {
		return
	}
	there := neighbour(t)
	startAvahi(t, there)
	log := new(transcript)
	a, err := Announce(Config{
		Name: "Living Room", Host: "aerie-a1b2c3", Interface: "lan0",
		Services: []Service{AirPlay("Living Room", 7000, identityTXT)},
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if st := a.Status(); st.Announced || len(st.Links) > 0 {
		t.Errorf("without a link: %+v", st)
	}

	ip(t, "addr add 10.9.0.1/24 dev lan0")
	ip(t, "link set lan0 up")
	if st := waitAnnounced(t, a); !slices.Equal(st.Links, []string{"lan0"}) {
		t.Errorf("status %+v", st)
	}
	checkResolved(t, "_airplay._tcp", `Living\032Room`, "aerie-a1b2c3.local", "10.9.0.1", 7000, identityTXT)
	eventually(t, "the link-local IPv6 address is found", func() bool {
		out, _ := exec.Command("avahi-resolve", "-6", "-n", "aerie-a1b2c3.local").CombinedOutput()
		return strings.Contains(string(out), "\tfe80::")
	})

	ip(t, "addr add 10.9.0.77/24 dev lan0")
	ip(t, "addr del 10.9.0.1/24 dev lan0")
	ip(t, "addr add 10.9.0.77/24 dev lan0") // secondary addresses go with the first
	checkResolved(t, "_airplay._tcp", `Living\032Room`, "aerie-a1b2c3.local", "10.9.0.77", 7000, identityTXT)

	if out, err := there("ip", "link", "set", "lan1", "down").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the carrier is lost", func() bool { return !a.Status().Announced })
	if out, err := there("ip", "link", "set", "lan1", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	waitAnnounced(t, a)
	checkResolved(t, "_airplay._tcp", `Living\032Room`, "aerie-a1b2c3.local", "10.9.0.77", 7000, identityTXT)

	if n := strings.Count(log.String(), "\n"); n > 3 || strings.Contains(log.String(), "taken") {
		t.Errorf("%d lines in the log:\n%s", n, log)
	}
}

// A resolver that knows no mDNS asks the group from a port of its own, and is
// answered there, on both address families.
func TestLegacyResolver(t *testing.T) {
	if !alone(t) {
		return
	}
	neighbour(t)
	ip(t, "addr add 10.9.0.1/24 dev lan0")
	ip(t, "link set lan0 up")
	ip(t, "route add 224.0.0.0/4 dev lan0")
	a := announceTV(t, "TV", "AA:BB:CC:A1:B2:C3", 7000)
	eventually(t, "announced on both families", func() bool {
		return a.Status().Announced && a.Counters().Sent.Value() >= 2*(probeCount+2)
	})
	for _, group := range []string{"224.0.0.251:5353", "[ff02::fb%lan0]:5353"} {
		c, err := net.Dial("udp", group)
		if err != nil {
			t.Fatal(err)
		}
		local := c.LocalAddr().(*net.UDPAddr)
		c.Close()
		conn, err := net.ListenUDP("udp", local)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m := query(tvAirPlay, dns.TypeSRV)
		m.Id = 4711
		data, _ := m.Pack()
		to, _ := net.ResolveUDPAddr("udp", group)
		buf := make([]byte, maxPacket)
		var answer dns.Msg
		eventually(t, "answered from "+group, func() bool { // the first question may precede the announcement
			_, _ = conn.WriteTo(data, to)
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			n, _, err := conn.ReadFrom(buf)
			return err == nil && answer.Unpack(buf[:n]) == nil
		})
		if answer.Id != 4711 || len(answer.Answer) != 1 || answer.Answer[0].(*dns.SRV).Target != tvHost {
			t.Errorf("from %s: %v", group, &answer)
		}
	}
}

// A browser finds what avahi publishes on the other machine, with addresses
// that lead there.
func TestBrowseNeighbour(t *testing.T) {
	if !alone(t) {
		return
	}
	there := neighbour(t)
	ip(t, "addr add 10.9.0.1/24 dev lan0")
	ip(t, "link set lan0 up")
	startAvahi(t, there)
	eventually(t, "lan0 has a carrier", func() bool {
		links, err := listLinks()
		return err == nil && len(usable(links, "lan0")) == 1
	})
	spawn(t, exec.Command("avahi-publish", "-s", "Küche. (links)", "_airplay._tcp", "5000", "model=Other", `path=C:\x`))

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	entries, err := Browse(ctx, TypeAirPlay, "lan0")
	if err != nil {
		t.Fatal(err)
	}
	want := Entry{Instance: "Küche. (links)", Host: "beside.local.", Port: 5000}
	for e := range entries {
		slices.Sort(e.TXT) // avahi turns them round
		if e.Instance != want.Instance || e.Host != want.Host || e.Port != want.Port ||
			!slices.Equal(e.TXT, []string{"model=Other", `path=C:\x`}) {
			t.Fatalf("found %+v", e)
		}
		last := e.Addrs[len(e.Addrs)-1]
		if e.Addrs[0] == netip.MustParseAddr("10.9.0.2") && last.IsLinkLocalUnicast() && last.Zone() == "lan0" {
			return
		}
	}
	t.Error("not found")
}
