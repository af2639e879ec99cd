package networkmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"aerie/receiver/setup"
)

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the bus lists is counted for what it is: cables and Wi-Fi are networks,
// the access point and what NetworkManager makes for itself are not.
func TestState(t *testing.T) {
	b, m := startBus(t)
	is := func(what string, want setup.State) {
		t.Helper()
		if st, err := m.State(t.Context()); err != nil || st != want {
			t.Errorf("%s: %+v, %v", what, st, err)
		}
	}
	is("nothing", setup.State{})
	b.active(1, "lo", "loopback", activated)
	b.active(2, "br", "bridge", activated)
	b.active(3, "eth", typeWired, 1)
	is("what is none", setup.State{})
	b.active(4, pointUUID, typeWiFi, activated)
	is("the access point", setup.State{Open: true})
	b.active(5, "eth2", typeWired, activated)
	is("a cable", setup.State{Open: true, Online: true})
	b.set(root, service, table("ActiveConnections", []dbus.ObjectPath{"/gone", "/org/freedesktop/NetworkManager/ActiveConnection/4"}))
	is("one that is gone", setup.State{Open: true})

	// Answers of other types than the right ones are none.
	b.set(root, service, table("ActiveConnections", "all"))
	is("a text for a list", setup.State{})
	b.set(root, service, table("ActiveConnections", []dbus.ObjectPath{b.active(6, "x", "x", 0)}))
	b.set("/org/freedesktop/NetworkManager/ActiveConnection/6", ifActive, table("Uuid", uint32(5), "Type", true, "State", "activated"))
	is("other types", setup.State{})
}

// A network is joined in memory alone; one that is joined already stays, unless
// something about it is new.
func TestJoin(t *testing.T) {
	b, m := startBus(t)
	if err := m.Join(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	p := b.profiles[joinUUID]
	if string(get[[]byte](properties(p[typeWiFi]), "ssid")) != "Home" || get[uint32](properties(p[typeWiFi]), "powersave") != powersaveOff || get[string](properties(p[secWiFi]), "psk") != home.Password {
		t.Errorf("%v", p)
	}
	if !b.called("Add 2") {
		t.Error("the profile is not in memory alone")
	}
	if st, err := m.State(t.Context()); err != nil || st != (setup.State{Online: true, SSID: "Home"}) {
		t.Errorf("%+v, %v", st, err)
	}
	if err := m.Join(t.Context(), home); err != nil || b.called("Activate") {
		t.Errorf("joined twice: %v", err)
	}
	for _, c := range []setup.Credentials{{SSID: "Home", Password: "another one"}, {SSID: "Cafe"}} {
		if err := m.Join(t.Context(), c); err != nil || !b.called("Activate") {
			t.Errorf("%v is not joined: %v", c, err)
		}
	}
	if _, secured := b.profiles[joinUUID][secWiFi]; secured {
		t.Error("an open network with a password")
	}
}

func TestFailures(t *testing.T) {
	b, m := startBus(t)
	for reason, want := range map[uint32]error{7: setup.ErrPassword, 8: setup.ErrPassword, 53: setup.ErrNotFound, 5: setup.ErrNoAddress, 17: setup.ErrNoAddress} {
		b.change(func() { b.outcome, b.reason = deactivated, reason })
		if err := m.Join(t.Context(), home); !errors.Is(err, want) {
			t.Errorf("reason %d: %v", reason, err)
		}
	}
	b.change(func() { b.reason = 42 })
	if err := m.Join(t.Context(), home); err == nil || !strings.Contains(err.Error(), "42") {
		t.Errorf("an unknown reason: %v", err)
	}
	// One that comes to no end is given up with the patience, and the last reason
	// is that of this attempt.
	b.change(func() { b.outcome, b.reason = 1, 0 })
	if err := m.Join(short(t), home); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no end: %v", err)
	}
	m.radioLimit = 0
	b.set(device, ifDevice, table("State", uint32(20)))
	if err := m.Join(t.Context(), home); !errors.Is(err, setup.ErrNoRadio) {
		t.Errorf("a radio that is of no use: %v", err)
	}
	b.set(device, ifDevice, table("DeviceType", uint32(1)))
	if err := m.Join(t.Context(), home); !errors.Is(err, setup.ErrNoRadio) {
		t.Errorf("no radio: %v", err)
	}
	if _, err := m.Open(t.Context(), setup.NewAccessPoint("x")); !errors.Is(err, setup.ErrNoRadio) {
		t.Errorf("no radio: %v", err)
	}
}

// The access point ends with the process, and a radio that is switched off is
// switched on.
func TestAccessPoint(t *testing.T) {
	b, m := startBus(t)
	b.set(root, service, table("WirelessEnabled", false))
	ap := setup.NewAccessPoint("02:00:00:00:BE:EF")
	addr, err := m.Open(t.Context(), ap)
	if err != nil || addr.String() != "10.42.0.1" {
		t.Fatal(addr, err)
	}
	p := b.profiles[pointUUID]
	if string(get[[]byte](properties(p[typeWiFi]), "ssid")) != ap.SSID || get[string](properties(p[typeWiFi]), "mode") != "ap" || get[string](properties(p["ipv4"]), "method") != "shared" {
		t.Errorf("%v", p)
	}
	b.mu.Lock()
	calls := strings.Join(b.calls, ",")
	b.mu.Unlock()
	if !strings.Contains(calls, "AddAndActivate volatile dbus-client") || !strings.Contains(calls, "Set WirelessEnabled") {
		t.Error(calls)
	}
	if st, err := m.State(t.Context()); err != nil || !st.Open || st.Online {
		t.Errorf("%+v, %v", st, err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if st, err := m.State(t.Context()); err != nil || st.Open {
		t.Errorf("%+v, %v", st, err)
	}
	b.called("")
	if err := m.Close(t.Context()); err != nil || b.called("Deactivate") {
		t.Errorf("closed twice: %v", err)
	}
}

// Names come from strangers: what cannot be shown is left out, the strongest of
// a name counts, and there is an end.
func TestScan(t *testing.T) {
	b, m := startBus(t)
	point := func(n int, ssid string, strength byte, flags uint32) {
		b.set(root+dbus.ObjectPath(fmt.Sprintf("/AccessPoint/%d", n)), ifPoint, table("Ssid", []byte(ssid), "Strength", strength, "Flags", flags))
	}
	point(1, "Home", 40, 1)
	point(2, "Home", 90, 1)
	point(3, "Cafe", 60, 0)
	for i, bad := range []string{"", "a\x00b", "\xff\xfe", "line\nbreak", "\u202eemoH", strings.Repeat("x", 33)} {
		point(10+i, bad, 99, 1)
	}
	b.set(root+"/AccessPoint/20", ifPoint, table("Ssid", "text", "Strength", true))
	list, err := m.Scan(t.Context())
	if err != nil || fmt.Sprint(list) != "[{Home 90 true} {Cafe 60 false}]" {
		t.Errorf("%v, %v", list, err)
	}
	if !b.called("Scan") {
		t.Error("nobody listened")
	}
	for i := range 300 {
		point(100+i, fmt.Sprint("network ", i), byte(i%100), 1)
	}
	if list, err := m.Scan(t.Context()); err != nil || len(list) != maxFound {
		t.Errorf("%d, %v", len(list), err)
	}
}

// At the start of a machine the radio comes later than the receiver.
func TestRadioComesLate(t *testing.T) {
	b, m := startBus(t)
	b.set(device, ifDevice, table("State", uint32(20), "Managed", false))
	done := make(chan error, 1)
	go func() { done <- m.Join(t.Context(), home) }()
	time.Sleep(2 * lookEvery)
	b.set(device, ifDevice, table("Managed", true))
	time.Sleep(2 * lookEvery)
	b.set(device, ifDevice, table("State", uint32(ready)))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A bus that does not answer holds nobody for longer than they wait, and one
// that comes back is found.
func TestSilence(t *testing.T) {
	b, m := startBus(t)
	b.change(func() { b.hang = true })
	began := time.Now()
	ctx := short(t)
	_, err := m.State(ctx)
	_, scanned := m.Scan(ctx)
	joined := m.Join(ctx, home)
	if err == nil || scanned == nil || joined == nil || m.Close(ctx) == nil || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v, %v, %v", time.Since(began), err, scanned, joined)
	}
	b.change(func() { b.hang = false })
	m.Shut()
	if _, err := m.State(t.Context()); err != nil {
		t.Errorf("after the connection was lost: %v", err)
	}
	gone := newManager(func() (*dbus.Conn, error) { return nil, errors.New("no bus") })
	if _, err := gone.State(t.Context()); err == nil {
		t.Error("a state without a bus")
	}
	// A signal wakes whoever waits.
	for len(m.changes) > 0 {
		<-m.changes
	}
	if err := b.conn.Emit(root, service+".StateChanged", uint32(70)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Changes():
	case <-time.After(10 * time.Second):
		t.Error("no sign of a change")
	}
}
