package networkmanager

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/godbus/dbus/v5"

	"aerie/receiver/setup"
)

// lookEvery is how often a connection is looked at while it comes up; signals
// may get lost when the bus is restarted.
const lookEvery = 250 * time.Millisecond

// Join joins a network and returns when it has given an address. One that is
// joined already is not left: the receiver may have been started anew.
func (m *Manager) Join(ctx context.Context, c setup.Credentials) error {
	device, err := m.radio(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.ssid = c.SSID
	m.mu.Unlock()
	if m.joined(ctx, c) {
		return nil
	}
	if err := m.forget(ctx, joinUUID); err != nil {
		return err
	}
	const inMemory = uint32(2)
	var path dbus.ObjectPath
	var rest map[string]dbus.Variant
	if err := m.call(ctx, settings, ifSettings+".AddConnection2", []any{joinProfile(c), inMemory, map[string]dbus.Variant{}}, &path, &rest); err != nil {
		return err
	}
	var a dbus.ObjectPath
	m.clearReason()
	if err := m.call(ctx, root, service+".ActivateConnection", []any{path, device, dbus.ObjectPath("/")}, &a); err != nil {
		return err
	}
	return m.up(ctx, a)
}

// joined tells whether the network is joined with these credentials.
func (m *Manager) joined(ctx context.Context, c setup.Credentials) bool {
	list, err := m.actives(ctx)
	if err != nil {
		return false
	}
	for _, a := range list {
		if a.uuid != joinUUID || a.state != activated {
			continue
		}
		var path dbus.ObjectPath
		var now, secrets profile
		if m.call(ctx, settings, ifSettings+".GetConnectionByUuid", []any{joinUUID}, &path) != nil ||
			m.call(ctx, path, ifProfile+".GetSettings", nil, &now) != nil {
			return false
		}
		if c.Password != "" && m.call(ctx, path, ifProfile+".GetSecrets", []any{secWiFi}, &secrets) != nil {
			return false
		}
		return string(get[[]byte](properties(now[typeWiFi]), "ssid")) == c.SSID && get[string](properties(secrets[secWiFi]), "psk") == c.Password
	}
	return false
}

// forget removes a profile, if it is there, which ends its connection.
func (m *Manager) forget(ctx context.Context, uuid string) error {
	var path dbus.ObjectPath
	if err := m.call(ctx, settings, ifSettings+".GetConnectionByUuid", []any{uuid}, &path); err != nil {
		var no dbus.Error
		if errors.As(err, &no) && no.Name == service+".Settings.InvalidConnection" {
			return nil // there is none
		}
		return err
	}
	return m.call(ctx, path, ifProfile+".Delete", nil)
}

// up waits until a connection is up, or is not going to be.
func (m *Manager) up(ctx context.Context, a dbus.ObjectPath) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		p, err := m.properties(ctx, a, ifActive)
		switch state := get[uint32](p, "State"); {
		case ctx.Err() != nil:
			return m.why(ctx.Err())
		case err != nil || state == deactivated: // the object goes with the connection
			return m.why(errors.New("NetworkManager gave up"))
		case state == activated:
			return nil
		}
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}

func (m *Manager) clearReason() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reason = 0
}

// why says what a failure came from, by the reason that NetworkManager told
// (NMDeviceStateReason).
func (m *Manager) why(err error) error {
	m.mu.Lock()
	reason := m.reason
	m.mu.Unlock()
	switch reason {
	case 0:
		return err
	case 7, 8, 9, 10, 11: // no secrets; the supplicant was refused, failed, or heard nothing
		return setup.ErrPassword
	case 53: // the SSID is not there
		return setup.ErrNotFound
	case 5, 6, 15, 16, 17: // no IP configuration, no DHCP
		return setup.ErrNoAddress
	}
	return fmt.Errorf("%w (reason %d)", err, reason)
}

// Open opens the access point. NetworkManager closes it when this process ends.
func (m *Manager) Open(ctx context.Context, ap setup.AccessPoint) (netip.Addr, error) {
	device, err := m.radio(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	options := table("persist", "volatile", "bind-activation", "dbus-client")
	var path, a dbus.ObjectPath
	var rest map[string]dbus.Variant
	m.clearReason()
	if err := m.call(ctx, root, service+".AddAndActivateConnection2", []any{pointProfile(ap), device, dbus.ObjectPath("/"), options}, &path, &a, &rest); err != nil {
		return netip.Addr{}, err
	}
	if err := m.up(ctx, a); err != nil {
		return netip.Addr{}, fmt.Errorf("access point: %w", err)
	}
	return pointAddress.Addr(), nil
}

// Close closes the access point and waits until the radio is free.
func (m *Manager) Close(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for asked := false; ; asked = true {
		list, err := m.actives(ctx)
		if err != nil {
			return err
		}
		open := false
		for _, a := range list {
			if a.uuid != pointUUID {
				continue
			}
			open = true
			if !asked {
				if err := m.call(ctx, root, service+".DeactivateConnection", []any{a.path}); err != nil {
					return err
				}
			}
		}
		if !open {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
