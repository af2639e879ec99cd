package alsa

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Find returns the playback device that preference names:
//
//	"", "auto", "default"  the policy below
//	"hdmi"                 HDMI, the plugged one first
//	"headphones", "analog" the headphone jack or another analog output
//	"hw:ID,N" or "ID,N"    device N of the card with that ID; N is 0 if left out
//	anything else          the one device whose card ID, card name or own name it is,
//	                       or failing that is a part of (case does not matter)
//
// The policy is: HDMI of a connected television, else an analog output (whether
// its jack is in use is not asked: a laptop's speakers work without), else any
// other hardware, then HDMI that does not tell, then HDMI known to be unplugged,
// virtual cards last.
// Card numbers are no names: they change from boot to boot.
//
// The error wraps ErrNoDevice and lists what there was.
func Find(preference string) (Device, error) {
	list, err := candidates(linux{}, preference)
	if err != nil {
		return Device{}, err
	}
	return list[0], nil
}

// candidates returns the devices that preference allows, best first; at least
// one, or an error.
func candidates(sys system, preference string) ([]Device, error) {
	all, failed := devices(sys)
	if len(all) == 0 && failed != nil {
		return nil, failed
	}
	list, err := choose(all, preference)
	if err != nil && failed != nil {
		return nil, fmt.Errorf("%w; %w", err, failed)
	}
	return list, err
}

func choose(all []Device, preference string) ([]Device, error) {
	p := strings.ToLower(strings.TrimSpace(preference))
	var list []Device
	switch p {
	case "", "auto", "default":
		list = filter(all, func(Device) bool { return true })
	case "hdmi":
		list = filter(all, func(d Device) bool { return d.Kind == HDMI })
	case "headphones", "headphone", "analog":
		list = filter(all, func(d Device) bool { return d.Kind == Analog })
	default:
		var err error
		if list, err = named(all, p); err != nil {
			return nil, fmt.Errorf("alsa: %q: %w; there are: %s", preference, err, listed(all))
		}
	}
	if len(list) == 0 {
		if len(all) == 0 {
			return nil, fmt.Errorf("alsa: %q: %w: the machine has none", preference, ErrNoDevice)
		}
		return nil, fmt.Errorf("alsa: %q: %w; there are: %s", preference, ErrNoDevice, listed(all))
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].rank() < list[j].rank() })
	return list, nil
}

// Ranks of devices by the policy of Find, best first.
const (
	rankTelevision = iota
	rankAnalog
	rankOther
	rankSilentHDMI // it does not tell whether a television is there
	rankUnplugged  // nobody would hear it
	rankVirtual
)

func (d Device) rank() int {
	switch {
	case d.Kind == Virtual:
		return rankVirtual
	case d.Kind == Analog:
		return rankAnalog
	case d.Kind == Other:
		return rankOther
	case d.Sink.Plug == Plugged:
		return rankTelevision
	case d.Sink.Plug == Unknown:
		return rankSilentHDMI
	}
	return rankUnplugged
}

// named finds the device that a lower-case name stands for.
func named(all []Device, name string) ([]Device, error) {
	name, hw := strings.CutPrefix(name, "hw:")
	id, number, comma := strings.Cut(name, ",")
	id = strings.TrimPrefix(id, "card=")
	if _, err := strconv.Atoi(id); err == nil && (hw || comma) {
		return nil, fmt.Errorf("%w: card numbers change from boot to boot, name the card by its ID", ErrNoDevice)
	}
	if !comma {
		number = "0"
	}
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(number), "dev="))
	l := filter(all, func(d Device) bool { return strings.ToLower(d.Card.ID) == id && d.Number == n })
	switch {
	case err == nil && len(l) > 0:
		return l, nil
	case hw:
		return nil, ErrNoDevice
	}
	matches := []func(a string) bool{
		func(a string) bool { return strings.ToLower(a) == name },
		func(a string) bool { return strings.Contains(strings.ToLower(a), name) },
	}
	for _, match := range matches {
		l := filter(all, func(d Device) bool {
			return match(d.Card.ID) || match(d.Card.Name) || match(d.ID) || match(d.Name)
		})
		switch {
		case len(l) == 1:
			return l, nil
		case len(l) > 1:
			return nil, fmt.Errorf("%w: %d devices are called so", ErrNoDevice, len(l))
		}
	}
	return nil, ErrNoDevice
}

func filter(all []Device, keep func(Device) bool) []Device {
	var l []Device
	for _, d := range all {
		if keep(d) {
			l = append(l, d)
		}
	}
	return l
}

// listed describes devices for a message.
func listed(all []Device) string {
	if len(all) == 0 {
		return "none"
	}
	s := make([]string, len(all))
	for i, d := range all {
		s[i] = d.describe()
	}
	return strings.Join(s, "; ")
}
