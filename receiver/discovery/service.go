package discovery

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The service types of AirPlay (reference sections 1 and 13).
const (
	TypeAirPlay = "_airplay._tcp"
	TypeRAOP    = "_raop._tcp"
	TypeDACP    = "_dacp._tcp"
)

const (
	maxTXTEntry = 255  // bytes of one key=value (RFC 6763 section 6.1)
	maxTXT      = 1300 // bytes of all, with a length byte each (RFC 6763 section 6.2)
)

// Service is one service to announce. All services of an announcer live on
// its one host name.
type Service struct {
	Type     string   // "_airplay._tcp"
	Instance string   // one label of UTF-8 that ends in Config.Name
	Port     uint16   // TCP or UDP, as the type says; not 0
	TXT      []string // "key=value" or "key", in the order to be sent
}

// AirPlay returns the _airplay._tcp service, whose instance is the display
// name (reference section 1.1).
func AirPlay(name string, port uint16, txt []string) Service {
	return Service{Type: TypeAirPlay, Instance: name, Port: port, TXT: txt}
}

// RAOP returns the _raop._tcp service, whose instance is the device id, such
// as AA:BB:CC:DD:EE:FF, without its colons, "@" and the display name
// (reference section 1.2).
func RAOP(deviceID, name string, port uint16, txt []string) Service {
	id := strings.ToUpper(strings.ReplaceAll(deviceID, ":", ""))
	return Service{Type: TypeRAOP, Instance: id + "@" + name, Port: port, TXT: txt}
}

// HostLabel derives a host name from a device id such as AA:BB:CC:A1:B2:C3:
// "aerie-a1b2c3". It is not the machine's own host name, which another
// responder on the machine may answer for.
func HostLabel(deviceID string) string {
	var digits []byte
	for _, c := range []byte(strings.ToLower(deviceID)) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			digits = append(digits, c)
		}
	}
	if len(digits) == 0 {
		return "aerie"
	}
	return "aerie-" + string(digits[max(0, len(digits)-6):])
}

// checkType accepts "_name._tcp" and "_name._udp" (RFC 6763 section 7, RFC
// 6335 section 5.1).
func checkType(typ string) error {
	name, proto, _ := strings.Cut(typ, ".")
	name, ok := strings.CutPrefix(name, "_")
	if !ok || proto != "_tcp" && proto != "_udp" || len(name) < 1 || len(name) > 15 {
		return fmt.Errorf("discovery: service type %q is not of the form _name._tcp", typ)
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return fmt.Errorf("discovery: service type %q has the character %q", typ, c)
		}
	}
	return nil
}

// checkName accepts what may stand in an instance name: UTF-8 without control
// characters (RFC 6763 section 4.1.1).
func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return fmt.Errorf("discovery: the name is empty")
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("discovery: the name %q is not valid UTF-8", name)
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return fmt.Errorf("discovery: the name %q has a control character", name)
		}
	}
	return nil
}

// checkTXT applies the limits of RFC 6763 section 6: at most 255 bytes an
// entry and 1300 in all, keys of printable ASCII, each of them once.
func checkTXT(typ string, txt []string) error {
	total := 0
	seen := make(map[string]bool, len(txt))
	for _, entry := range txt {
		key, _, _ := strings.Cut(entry, "=")
		if key == "" {
			return fmt.Errorf("discovery: TXT of %s: entry %q has no key", typ, truncate(entry, 40))
		}
		for _, c := range []byte(key) {
			if c < ' ' || c > '~' {
				return fmt.Errorf("discovery: TXT of %s: key %q is not printable ASCII", typ, truncate(key, 40))
			}
		}
		if len(entry) > maxTXTEntry {
			return fmt.Errorf("discovery: TXT of %s: entry %q has %d bytes, at most %d fit", typ, truncate(key, 40), len(entry), maxTXTEntry)
		}
		if folded := strings.ToLower(key); seen[folded] {
			return fmt.Errorf("discovery: TXT of %s: key %q stands twice", typ, key)
		} else {
			seen[folded] = true
		}
		total += 1 + len(entry)
	}
	if total > maxTXT {
		return fmt.Errorf("discovery: TXT of %s has %d bytes, at most %d are sent", typ, total, maxTXT)
	}
	return nil
}

// identity is who an announcer says it is: the services it was given and the
// choice of names it has arrived at. Every instance is a prefix of its own and
// the common display name, so that all of them are renamed together.
type identity struct {
	base, host         string // choice 1 of the display name and of the host label
	number, hostNumber int    // the present choice
	room               int    // bytes that the display name may have
	services           []Service
	prefixes           []string // what stands before the display name, by service
}

func newIdentity(name, host string, services []Service) (*identity, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return nil, fmt.Errorf("discovery: the host label %q is not letters, digits and hyphens", host)
	}
	id := &identity{host: host, hostNumber: 1, room: maxLabel}
	id.base, id.number = splitNumber(name)
	for _, s := range services {
		prefix, ok := strings.CutSuffix(s.Instance, name)
		if !ok {
			return nil, fmt.Errorf("discovery: instance %q does not end in the name %q", s.Instance, name)
		}
		if err := checkService(s, prefix); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(id.services, func(o Service) bool { return fold(o.Type) == fold(s.Type) }) {
			return nil, fmt.Errorf("discovery: %s is announced twice", s.Type)
		}
		s.TXT = slices.Clone(s.TXT)
		id.services = append(id.services, s)
		id.prefixes = append(id.prefixes, prefix)
		id.room = min(id.room, maxLabel-len(prefix))
	}
	if len(id.services) == 0 {
		return nil, fmt.Errorf("discovery: there is no service to announce")
	}
	return id, nil
}

func checkService(s Service, prefix string) error {
	if err := checkType(s.Type); err != nil {
		return err
	}
	if s.Port == 0 {
		return fmt.Errorf("discovery: %s has no port", s.Type)
	}
	if prefix != "" {
		if err := checkName(prefix); err != nil {
			return err
		}
	}
	if len(prefix) > maxLabel/2 {
		return fmt.Errorf("discovery: %q leaves the name less than half of its %d bytes", prefix, maxLabel)
	}
	return checkTXT(s.Type, s.TXT)
}

// name returns the display name in use.
func (id *identity) name() string { return numbered(id.base, id.number, id.room) }

// hostName returns the host name in use, such as "aerie-a1b2c3.local.".
func (id *identity) hostName() string {
	return numberedHost(id.host, id.hostNumber) + localDomain
}

// instanceName returns the full name of service i in presentation form.
func (id *identity) instanceName(i int) string {
	return escapeLabel(id.prefixes[i]+id.name()) + "." + id.services[i].Type + localDomain
}

// rename moves on to the next choice of the name that owner, folded, names.
func (id *identity) rename(owner string) {
	if owner == fold(id.hostName()) {
		id.hostNumber++
	} else {
		id.number++
	}
}
