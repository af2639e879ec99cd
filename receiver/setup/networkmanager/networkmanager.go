// Package networkmanager is the setup.Network of a machine whose network
// NetworkManager looks after, driven over D-Bus.
//
// The network to join becomes one profile, and the access point another, both
// in NetworkManager's memory alone: their home is the receiver's settings file.
// NetworkManager keeps the first joined by itself, closes the second when the
// receiver ends, however it ends, and runs dnsmasq for the addresses of those
// who come. It needs no more rights than those of the polkit rule in
// buildroot/board/aerie/rootfs-overlay.
//
// Every answer of the bus has a deadline; names of networks are what strangers
// chose, so they are bounded and checked.
//
// Proof: networkmanager_test.go against a bus in the same process that answers
// as NetworkManager does, and as it should not; radio_test.go against the real
// one, in a virtual machine with the kernel's simulated radios (.ci/radio): join,
// wrong password, no network, access point with a client, and the end of the
// process.
package networkmanager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"aerie/receiver/setup"
)

// Names on the bus (NetworkManager's D-Bus reference, 1.42).
const (
	service     = "org.freedesktop.NetworkManager"
	root        = dbus.ObjectPath("/org/freedesktop/NetworkManager")
	settings    = dbus.ObjectPath("/org/freedesktop/NetworkManager/Settings")
	ifActive    = service + ".Connection.Active"
	ifDevice    = service + ".Device"
	ifWireless  = service + ".Device.Wireless"
	ifPoint     = service + ".AccessPoint"
	ifSettings  = service + ".Settings"
	ifProfile   = service + ".Settings.Connection"
	ifProps     = "org.freedesktop.DBus.Properties"
	typeWiFi    = "802-11-wireless"
	typeWired   = "802-3-ethernet"
	secWiFi     = "802-11-wireless-security"
	deviceWiFi  = 2    // NM_DEVICE_TYPE_WIFI
	canBeAP     = 0x40 // NM_WIFI_DEVICE_CAP_AP
	activated   = 2    // NM_ACTIVE_CONNECTION_STATE_ACTIVATED
	deactivated = 4    // NM_ACTIVE_CONNECTION_STATE_DEACTIVATED
	ready       = 30   // NM_DEVICE_STATE_DISCONNECTED; below it, the device cannot be used
	failed      = 120  // NM_DEVICE_STATE_FAILED
)

// Manager talks to NetworkManager. Its methods may be called from several
// goroutines.
type Manager struct {
	dial       func() (*dbus.Conn, error)
	radioLimit time.Duration
	changes    chan struct{}

	mu     sync.Mutex
	conn   *dbus.Conn // nil until it is needed, and after it was lost
	ssid   string     // of the profile
	reason uint32     // of the last failure of a device
}

// New returns a manager that connects to the system bus when it is needed, and
// again when that was lost.
func New() *Manager { return newManager(func() (*dbus.Conn, error) { return dbus.ConnectSystemBus() }) }

func newManager(dial func() (*dbus.Conn, error)) *Manager {
	return &Manager{dial: dial, radioLimit: radioLimit, changes: make(chan struct{}, 1)}
}

// Changes has a value after NetworkManager has told of a change.
func (m *Manager) Changes() <-chan struct{} { return m.changes }

// Shut closes the connection to the bus, and with it the access point.
func (m *Manager) Shut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

// bus returns the connection.
func (m *Manager) bus() (*dbus.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil && m.conn.Connected() {
		return m.conn, nil
	}
	conn, err := m.dial()
	if err != nil {
		return nil, fmt.Errorf("D-Bus: %w", err)
	}
	for _, member := range []string{"StateChanged", "PropertiesChanged"} {
		if err := conn.AddMatchSignal(dbus.WithMatchSender(service), dbus.WithMatchMember(member)); err != nil {
			conn.Close()
			return nil, fmt.Errorf("D-Bus: %w", err)
		}
	}
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	go m.listen(signals)
	m.conn = conn
	return conn, nil
}

// listen hears signals until the connection is closed.
func (m *Manager) listen(signals <-chan *dbus.Signal) {
	for s := range signals {
		// A device: new state, old state, reason.
		if s.Name == ifDevice+".StateChanged" && len(s.Body) == 3 {
			state, _ := s.Body[0].(uint32)
			if reason, ok := s.Body[2].(uint32); ok && state == failed {
				m.mu.Lock()
				m.reason = reason
				m.mu.Unlock()
			}
		}
		m.wake()
	}
	m.wake()
}

func (m *Manager) wake() {
	select {
	case m.changes <- struct{}{}:
	default:
	}
}

// call calls a method and stores what it returns.
func (m *Manager) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, results ...any) error {
	conn, err := m.bus()
	if err != nil {
		return err
	}
	err = conn.Object(service, path).CallWithContext(ctx, method, 0, args...).Store(results...)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// properties returns all properties of an object's interface.
func (m *Manager) properties(ctx context.Context, path dbus.ObjectPath, iface string) (p properties, err error) {
	err = m.call(ctx, path, ifProps+".GetAll", []any{iface}, &p)
	return p, err
}

// properties are what the bus says: of any type, though each should have one.
type properties map[string]dbus.Variant

// get returns a property, or the zero value if it is not there or is another
// type's.
func get[T any](p properties, name string) (v T) {
	v, _ = p[name].Value().(T)
	return v
}

// active is an active connection.
type active struct {
	path       dbus.ObjectPath
	uuid, kind string
	state      uint32
}

// maxList bounds every list of objects that the bus gives.
const maxList = 256

// actives lists the active connections. Those that end meanwhile are left out.
func (m *Manager) actives(ctx context.Context) (list []active, err error) {
	p, err := m.properties(ctx, root, service)
	if err != nil {
		return nil, err
	}
	paths := get[[]dbus.ObjectPath](p, "ActiveConnections")
	for _, path := range paths[:min(len(paths), maxList)] {
		p, err := m.properties(ctx, path, ifActive)
		if err != nil {
			continue
		}
		list = append(list, active{path, get[string](p, "Uuid"), get[string](p, "Type"), get[uint32](p, "State")})
	}
	return list, ctx.Err()
}

// State tells what there is: cables and Wi-Fi, and the access point.
func (m *Manager) State(ctx context.Context) (st setup.State, err error) {
	list, err := m.actives(ctx)
	if err != nil {
		return st, err
	}
	for _, a := range list {
		switch {
		case a.state != activated:
		case a.uuid == pointUUID:
			st.Open = true
		case a.kind == typeWired:
			st.Online = true
		case a.kind == typeWiFi:
			st.Online = true
			if a.uuid == joinUUID {
				m.mu.Lock()
				st.SSID = m.ssid
				m.mu.Unlock()
			}
		}
	}
	return st, nil
}

// radioLimit is how long a radio may take to be there and of use: its firmware
// is loaded and the supplicant started.
const radioLimit = 20 * time.Second

// radio returns the Wi-Fi device when it can be used.
func (m *Manager) radio(ctx context.Context) (dbus.ObjectPath, error) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for end := time.Now().Add(m.radioLimit); ; {
		device, usable, err := m.findRadio(ctx)
		switch {
		case usable:
			return device, nil
		case err != nil && !errors.Is(err, setup.ErrNoRadio):
			return "", err
		case time.Now().After(end):
			return "", setup.ErrNoRadio
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-t.C:
		}
	}
}

// findRadio returns the Wi-Fi device, and whether it can be used; one that can be
// an access point, if there are several.
func (m *Manager) findRadio(ctx context.Context) (device dbus.ObjectPath, usable bool, err error) {
	p, err := m.properties(ctx, root, service)
	if err != nil {
		return "", false, err
	}
	if on, known := p["WirelessEnabled"].Value().(bool); known && !on {
		if err := m.call(ctx, root, ifProps+".Set", []any{service, "WirelessEnabled", dbus.MakeVariant(true)}); err != nil {
			return "", false, err
		}
	}
	var paths []dbus.ObjectPath
	if err := m.call(ctx, root, service+".GetDevices", nil, &paths); err != nil {
		return "", false, err
	}
	err = setup.ErrNoRadio
	for _, path := range paths[:min(len(paths), maxList)] {
		p, gone := m.properties(ctx, path, ifDevice)
		if gone != nil || get[uint32](p, "DeviceType") != deviceWiFi || !get[bool](p, "Managed") {
			continue
		}
		device, usable, err = path, get[uint32](p, "State") >= ready, nil
		w, _ := m.properties(ctx, path, ifWireless)
		if get[uint32](w, "WirelessCapabilities")&canBeAP != 0 {
			break
		}
	}
	return device, usable, err
}
