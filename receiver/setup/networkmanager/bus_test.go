package networkmanager

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fakeBus is a bus of its own with a service that answers as NetworkManager
// does, or as it should not.
type fakeBus struct {
	t       *testing.T
	address string
	conn    *dbus.Conn // the service's

	mu       sync.Mutex
	objects  map[dbus.ObjectPath]map[string]properties // properties by interface
	profiles map[string]profile                        // by UUID
	calls    []string
	hang     bool   // nothing is answered
	outcome  uint32 // state that connections come to
	reason   uint32 // of a failure
}

const device = dbus.ObjectPath("/org/freedesktop/NetworkManager/Devices/2")

// startBus starts a bus that ends with the test.
func startBus(t *testing.T) (*fakeBus, *Manager) {
	t.Helper()
	path, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("dbus-daemon is not installed: the bus of this test")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "bus.conf")
	writeFile(t, conf, `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=`+dir+`/bus</listen><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`)
	cmd := exec.Command(path, "--nofork", "--nopidfile", "--print-address", "--config-file="+conf)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	b := &fakeBus{t: t, address: strings.TrimSpace(address), outcome: activated, profiles: map[string]profile{}}
	b.objects = map[dbus.ObjectPath]map[string]properties{
		root:   {service: table("ActiveConnections", []dbus.ObjectPath{}, "WirelessEnabled", true)},
		device: {ifDevice: table("DeviceType", uint32(deviceWiFi), "Managed", true, "State", uint32(ready)), ifWireless: table("WirelessCapabilities", uint32(canBeAP), "LastScan", int64(-1))},
	}
	if b.conn, err = b.dial(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.conn.Close() })
	b.export(root)
	if _, err := b.conn.RequestName(service, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	m := newManager(b.dial)
	t.Cleanup(m.Shut)
	return b, m
}

func (b *fakeBus) dial() (*dbus.Conn, error) { return dbus.Connect(b.address) }

// export answers for a path and all below it.
func (b *fakeBus) export(path dbus.ObjectPath) {
	h := &handler{b}
	for iface, methods := range map[string]map[string]string{
		ifProps:    {"GetAll": "GetAll", "Set": "Set"},
		service:    {"GetDevices": "GetDevices", "ActivateConnection": "Activate", "AddAndActivateConnection2": "AddAndActivate", "DeactivateConnection": "Deactivate"},
		ifSettings: {"AddConnection2": "Add", "GetConnectionByUuid": "ByUUID"},
		ifProfile:  {"Delete": "Delete", "GetSettings": "GetSettings", "GetSecrets": "GetSecrets"},
		ifWireless: {"RequestScan": "Scan", "GetAllAccessPoints": "Points"},
	} {
		list := map[string]any{}
		for member, method := range methods {
			list[member] = h.method(method)
		}
		if err := b.conn.ExportSubtreeMethodTable(list, path, iface); err != nil {
			b.t.Fatal(err)
		}
	}
}

// set changes what the bus says.
func (b *fakeBus) set(path dbus.ObjectPath, iface string, p properties) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects[path] == nil {
		b.objects[path] = map[string]properties{}
	}
	if b.objects[path][iface] == nil {
		b.objects[path][iface] = properties{}
	}
	for name, v := range p {
		b.objects[path][iface][name] = v
	}
}

// active has a connection there.
func (b *fakeBus) active(n int, uuid, kind string, state uint32) dbus.ObjectPath {
	path := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/NetworkManager/ActiveConnection/%d", n))
	b.set(path, ifActive, table("Uuid", uuid, "Type", kind, "State", state))
	b.mu.Lock()
	list := append(get[[]dbus.ObjectPath](b.objects[root][service], "ActiveConnections"), path)
	b.mu.Unlock()
	b.set(root, service, table("ActiveConnections", list))
	return path
}

// handler has the methods of all objects.
type handler struct{ b *fakeBus }

// enter notes a call, and hangs if the bus is to.
func (h *handler) enter(name string) func() {
	h.b.mu.Lock()
	h.b.calls = append(h.b.calls, name)
	hang := h.b.hang
	if hang {
		h.b.mu.Unlock()
		<-h.b.t.Context().Done()
		h.b.mu.Lock()
	}
	return h.b.mu.Unlock
}

func (h *handler) method(name string) any {
	switch name {
	case "GetAll":
		return func(m dbus.Message, iface string) (map[string]dbus.Variant, *dbus.Error) {
			defer h.enter("GetAll")()
			path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
			p, there := h.b.objects[path][iface]
			if !there {
				return nil, dbus.MakeFailedError(fmt.Errorf("no %s at %s", iface, path))
			}
			return p, nil
		}
	case "Set":
		return func(iface, name string, v dbus.Variant) *dbus.Error {
			defer h.enter("Set " + name)()
			h.b.objects[root][service][name] = v
			return nil
		}
	case "GetDevices":
		return func() ([]dbus.ObjectPath, *dbus.Error) {
			defer h.enter("GetDevices")()
			return []dbus.ObjectPath{"/org/freedesktop/NetworkManager/Devices/1", device}, nil
		}
	case "Add":
		return func(p profile, flags uint32, _ map[string]dbus.Variant) (dbus.ObjectPath, map[string]dbus.Variant, *dbus.Error) {
			defer h.enter(fmt.Sprint("Add ", flags))()
			h.b.profiles[get[string](p["connection"], "uuid")] = p
			return "/org/freedesktop/NetworkManager/Settings/1", nil, nil
		}
	case "ByUUID":
		return func(uuid string) (dbus.ObjectPath, *dbus.Error) {
			defer h.enter("ByUUID")()
			if h.b.profiles[uuid] == nil {
				return "", dbus.NewError(service+".Settings.InvalidConnection", nil)
			}
			return "/org/freedesktop/NetworkManager/Settings/1", nil
		}
	case "Delete":
		return func() *dbus.Error {
			defer h.enter("Delete")()
			clear(h.b.profiles)
			return nil
		}
	case "GetSettings":
		return func() (profile, *dbus.Error) {
			defer h.enter("GetSettings")()
			p := profile{}
			for name, t := range h.b.profiles[joinUUID] {
				if name != secWiFi {
					p[name] = t
				}
			}
			return p, nil
		}
	case "GetSecrets":
		return func(string) (profile, *dbus.Error) {
			defer h.enter("GetSecrets")()
			return profile{secWiFi: h.b.profiles[joinUUID][secWiFi]}, nil
		}
	case "Activate":
		return func(_, _, _ dbus.ObjectPath) (dbus.ObjectPath, *dbus.Error) {
			defer h.enter("Activate")()
			return h.activate(joinUUID), nil
		}
	case "AddAndActivate":
		return func(p profile, _, _ dbus.ObjectPath, options map[string]dbus.Variant) (dbus.ObjectPath, dbus.ObjectPath, map[string]dbus.Variant, *dbus.Error) {
			defer h.enter(fmt.Sprint("AddAndActivate ", get[string](options, "persist"), " ", get[string](options, "bind-activation")))()
			h.b.profiles[pointUUID] = p
			return "/org/freedesktop/NetworkManager/Settings/2", h.activate(pointUUID), nil, nil
		}
	case "Deactivate":
		return func(dbus.ObjectPath) *dbus.Error {
			defer h.enter("Deactivate")()
			h.b.objects[root][service]["ActiveConnections"] = dbus.MakeVariant([]dbus.ObjectPath{})
			return nil
		}
	case "Scan":
		return func(map[string]dbus.Variant) *dbus.Error {
			defer h.enter("Scan")()
			h.b.objects[device][ifWireless]["LastScan"] = dbus.MakeVariant(get[int64](h.b.objects[device][ifWireless], "LastScan") + 1)
			return nil
		}
	}
	return func() ([]dbus.ObjectPath, *dbus.Error) { // Points
		defer h.enter("Points")()
		var list []dbus.ObjectPath
		for path, o := range h.b.objects {
			if o[ifPoint] != nil {
				list = append(list, path)
			}
		}
		return list, nil
	}
}

// activate brings a connection to what the test wants; b.mu is held.
func (h *handler) activate(uuid string) dbus.ObjectPath {
	b := h.b
	path := dbus.ObjectPath("/org/freedesktop/NetworkManager/ActiveConnection/9")
	b.objects[path] = map[string]properties{ifActive: table("Uuid", uuid, "Type", typeWiFi, "State", b.outcome)}
	if b.outcome == activated {
		b.objects[root][service]["ActiveConnections"] = dbus.MakeVariant([]dbus.ObjectPath{path})
	}
	if b.reason != 0 {
		if err := b.conn.Emit(device, ifDevice+".StateChanged", uint32(failed), uint32(60), b.reason); err != nil {
			b.t.Error(err)
		}
	}
	return path
}

// called tells whether a call was made, and forgets all calls.
func (b *fakeBus) called(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	is := false
	for _, c := range b.calls {
		is = is || c == name
	}
	b.calls = nil
	return is
}

func (b *fakeBus) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func short(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 500*1000*1000)
	t.Cleanup(cancel)
	return ctx
}
