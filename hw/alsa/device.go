package alsa

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kind is what a device leads to, as far as its names tell.
type Kind int

// Kinds of devices.
const (
	Other   Kind = iota // a sound card on a USB port, a HAT, ...
	HDMI                // HDMI or DisplayPort
	Analog              // headphone jack or line output
	Virtual             // a loopback or dummy card
)

func (k Kind) String() string {
	return [...]string{"other", "HDMI", "analog", "virtual"}[k]
}

// Card is a sound card.
type Card struct {
	Number   int    // the kernel's number: it changes from boot to boot
	ID       string // such as "vc4hdmi0": unique
	Driver   string // such as "vc4-hdmi"
	Name     string // such as "vc4-hdmi-0"
	LongName string
}

// Device is a playback device of a card.
type Device struct {
	Card   Card
	Number int    // of the device on its card
	ID     string // such as "MAI PCM i2s-hifi-0"
	Name   string
	Kind   Kind
	Sink   Sink // what is plugged in, when that is known
}

// String names the device as alsa-lib does after "hw:": card ID and device.
func (d Device) String() string { return d.Card.ID + "," + strconv.Itoa(d.Number) }

// describe is String with the human names and what is plugged in.
func (d Device) describe() string {
	s := fmt.Sprintf("%s (%s, %s", d, d.Card.Name, d.Kind)
	if d.Sink.Plug != Unknown {
		s += ", " + d.Sink.Plug.String()
	}
	if d.Sink.ELD != nil && d.Sink.ELD.Monitor != "" {
		s += ", " + d.Sink.ELD.Monitor
	}
	return s + ")"
}

func (d Device) path() string {
	return fmt.Sprintf("/dev/snd/pcmC%dD%dp", d.Card.Number, d.Number)
}

// Devices lists the playback devices in the kernel's order. The error, if any,
// tells of cards that could not be asked; the devices of the others are
// returned all the same.
func Devices() ([]Device, error) { return devices(linux{}) }

// maxDevices bounds the device numbers that a card may report (the kernel has
// 32 minors per card).
const maxDevices = 64

func devices(sys system) ([]Device, error) {
	cards, err := listCards(sys)
	if err != nil {
		return nil, err
	}
	var all []Device
	var errs []error
	for _, c := range cards {
		d, err := c.devices(sys)
		all = append(all, d...)
		errs = append(errs, err)
	}
	return all, errors.Join(errs...)
}

// listCards reads the kernel's list of cards. A kernel without sound has none.
func listCards(sys system) ([]Card, error) {
	b, err := sys.readFile("/proc/asound/cards")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("alsa: list cards: %w", err)
	}
	return parseCards(b), nil
}

// parseCards understands /proc/asound/cards (kernel sound/core/init.c):
//
//	0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
//	                     vc4-hdmi-0
//
// What it does not understand it leaves out.
func parseCards(b []byte) []Card {
	var cards []Card
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		number, rest, ok := strings.Cut(sc.Text(), "[")
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
		id, rest, ok2 := strings.Cut(rest, "]: ")
		if !ok || !ok2 || err != nil || strings.TrimSpace(id) == "" {
			if len(cards) > 0 && cards[len(cards)-1].LongName == "" {
				cards[len(cards)-1].LongName = strings.TrimSpace(sc.Text())
			}
			continue
		}
		driver, name, _ := strings.Cut(rest, " - ")
		cards = append(cards, Card{Number: int(n), ID: strings.TrimSpace(id),
			Driver: strings.TrimSpace(driver), Name: strings.TrimSpace(name)})
	}
	return cards
}

// devices asks the card's control device for its playback devices.
func (c Card) devices(sys system) ([]Device, error) {
	ctl, err := openControl(sys, c)
	if err != nil {
		return nil, err
	}
	defer ctl.close()
	info := new(cardInfo)
	if err := ctl.call(ctlCardInfo, unsafe.Pointer(info)); err != nil {
		return nil, err
	}
	c.ID, c.Driver, c.Name, c.LongName = text(info.ID[:]), text(info.Driver[:]), text(info.Name[:]), text(info.Longname[:])
	var list []Device
	for next := int32(-1); ; {
		last := next
		if err := ctl.call(ctlPCMNext, unsafe.Pointer(&next)); err != nil {
			return list, err
		}
		if next <= last || next >= maxDevices {
			break
		}
		p := &pcmInfo{Device: uint32(next)}
		err := ctl.call(ctlPCMInfo, unsafe.Pointer(p))
		if errors.Is(err, unix.ENOENT) { // it only records
			continue
		}
		if err != nil {
			return list, err
		}
		list = append(list, newDevice(c, int(next), text(p.ID[:]), text(p.Name[:])))
	}
	return list, ctl.sinks(list)
}

func newDevice(c Card, number int, id, name string) Device {
	d := Device{Card: c, Number: number, ID: id, Name: name}
	names := strings.ToLower(strings.Join([]string{c.ID, c.Driver, c.Name, id, name}, " "))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(names, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("hdmi", "displayport"):
		d.Kind = HDMI
	case has("headphone", "analog"):
		d.Kind = Analog
	case has("loopback", "dummy", "pcmtest"):
		d.Kind = Virtual
	}
	return d
}
