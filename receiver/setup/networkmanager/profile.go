package networkmanager

import (
	"net/netip"

	"github.com/godbus/dbus/v5"

	"aerie/receiver/setup"
)

// The profiles of the receiver, known by these for ever.
const (
	joinUUID  = "5c0a5d51-9d3f-4d26-8f0c-6a1f3a9e0001"
	pointUUID = "5c0a5d51-9d3f-4d26-8f0c-6a1f3a9e0002"
)

// pointAddress is the receiver's in its access point. NetworkManager's dnsmasq
// gives out the other addresses of the network.
var pointAddress = netip.MustParsePrefix("10.42.0.1/24")

// profile is a connection as NetworkManager takes it (nm-settings-dbus(5)).
type profile map[string]map[string]dbus.Variant

func table(pairs ...any) map[string]dbus.Variant {
	t := make(map[string]dbus.Variant)
	for i := 0; i < len(pairs); i += 2 {
		t[pairs[i].(string)] = dbus.MakeVariant(pairs[i+1])
	}
	return t
}

// joinProfile is that of a network to join: tried for ever, and without power
// saving, in which multicast gets lost.
func joinProfile(c setup.Credentials) profile {
	p := profile{
		"connection": table("id", "Aerie", "uuid", joinUUID, "type", typeWiFi, "autoconnect", true, "autoconnect-retries", int32(0)),
		typeWiFi:     table("ssid", []byte(c.SSID), "mode", "infrastructure", "hidden", c.Hidden, "powersave", powersaveOff),
		"ipv4":       table("method", "auto", "dhcp-timeout", int32(25)),
		"ipv6":       table("method", "auto", "may-fail", true),
	}
	if c.Password != "" {
		// WPA2 or WPA3, as the network has it.
		p[secWiFi] = table("key-mgmt", "wpa-psk", "psk", c.Password)
	}
	return p
}

const powersaveOff = uint32(2)

// pointProfile is that of the access point: WPA2 and nothing that phones or the
// Pi's firmware are known to stumble over.
func pointProfile(ap setup.AccessPoint) profile {
	address := table("address", pointAddress.Addr().String(), "prefix", uint32(pointAddress.Bits()))
	return profile{
		"connection": table("id", "Aerie access point", "uuid", pointUUID, "type", typeWiFi, "autoconnect", false),
		typeWiFi:     table("ssid", []byte(ap.SSID), "mode", "ap", "band", "bg", "powersave", powersaveOff),
		secWiFi: table("key-mgmt", "wpa-psk", "psk", ap.Password, "proto", []string{"rsn"}, "pairwise", []string{"ccmp"},
			"group", []string{"ccmp"}, "pmf", int32(1)),
		"ipv4": table("method", "shared", "address-data", []map[string]dbus.Variant{address}),
		"ipv6": table("method", "disabled"),
	}
}
