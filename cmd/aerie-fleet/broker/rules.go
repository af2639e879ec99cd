package broker

import (
	"strings"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/wire"
)

// The documents that the services of a pool share are below this.
//
//	aerie-pool/POOL/SERVICE/...    written by that service
//	aerie-pool/POOL/rollout        written by any, see package rollout
const (
	pools  = "aerie-pool"
	shared = "/rollout"
)

// allowed tells whether a client may write a topic, or read a topic or filter:
// a device what package wire has devices write, under its own name, and a
// service what services write, under its own. A device reads what is its own, a
// service reads everything.
func allowed(role, name, topic string, write bool) bool {
	first, rest, _ := strings.Cut(topic, "/")
	second, below, _ := strings.Cut(rest, "/")
	switch {
	case !write && role == authority.RoleService:
		return first == wire.Base || first == pools
	case !write:
		return first == wire.Base && second == name && below != ""
	case first == pools && role == authority.RoleService:
		third, _, _ := strings.Cut(below, "/")
		return validName(second) && (third == name || "/"+below == shared)
	}
	t, err := wire.ParseTopic(topic)
	if err != nil {
		return false
	}
	if t.Kind <= wire.TopicResult {
		return role == authority.RoleDevice && t.Device == name
	}
	return role == authority.RoleService && t.Service == name
}

// owner is what comes before the last levels of a topic: a device or a pool.
func owner(topic string) string {
	first, rest, _ := strings.Cut(topic, "/")
	second, _, _ := strings.Cut(rest, "/")
	return first + "/" + second
}

// ofPool tells whether a document belongs to the services of a pool.
func ofPool(topic string) bool { return strings.HasPrefix(topic, pools+"/") }

// passing tells whether a document is not worth the disk: after a restart
// nobody is connected, and presence begins anew.
func passing(topic string) bool {
	return strings.HasPrefix(topic, wire.Base+"/") && strings.HasSuffix(topic, "/presence")
}
