package alsa

import (
	"fmt"
	"strconv"
	"strings"
)

// Plug tells whether something is plugged in.
type Plug int

// States of a plug. vc4 reports its jacks since kernel 6.6 or so; before, an
// ELD is the only sign of a television.
const (
	Unknown Plug = iota
	Unplugged
	Plugged
)

func (p Plug) String() string {
	return [...]string{"unknown", "unplugged", "plugged"}[p]
}

// Sink is what a device leads to.
type Sink struct {
	Plug Plug
	ELD  *ELD // HDMI: what the television says of itself; nil if nothing is known
}

// sinks fills in Sink for the devices of the control's card. An element that
// cannot be read leaves its device unknown: the device may work all the same.
func (c *control) sinks(list []Device) error {
	if len(list) == 0 {
		return nil
	}
	if err := c.list(); err != nil {
		return err
	}
	for i := range list {
		c.sink(&list[i])
	}
	return nil
}

func (c *control) sink(d *Device) {
	for _, id := range c.elements {
		switch {
		case id.isJack() && d.owns(id.name()):
			if v, err := c.value(id); err == nil {
				d.Sink.Plug = Unplugged
				if long(v.Value[:], 0) != 0 {
					d.Sink.Plug = Plugged
				}
			}
		case id.isELD() && int(id.Device) == d.Number && d.Kind == HDMI:
			if v, err := c.value(id); err == nil {
				if eld, err := ParseELD(v.Value[:maxELD]); err == nil {
					d.Sink.ELD = &eld
				}
			}
		}
	}
	if d.Sink.Plug == Unknown && d.Sink.ELD != nil {
		d.Sink.Plug = Plugged
	}
	if d.Sink.Plug == Unplugged {
		d.Sink.ELD = nil // HDA keeps the last one
	}
}

// owns reports whether the jack of that name is the device's: "HDMI Jack" on
// vc4, "HDMI/DP,pcm=3 Jack" or "Headphone Jack" on HDA.
func (d *Device) owns(jack string) bool {
	if _, number, ok := strings.Cut(jack, ",pcm="); ok {
		number, _, _ = strings.Cut(number, " ")
		return number == strconv.Itoa(d.Number)
	}
	switch d.Kind {
	case HDMI:
		return strings.HasPrefix(jack, "HDMI")
	case Analog:
		return strings.HasPrefix(jack, "Headphone")
	}
	return false
}

// watch follows the jacks and ELDs of HDMI cards.
type watch struct{ controls []*control }

// maxWatched bounds the control devices that are polled.
const maxWatched = 8

// open subscribes to the HDMI cards among the devices given that are not
// followed yet. A card that refuses is not followed; the error tells which.
// added says that there is a new one, whose state may have changed between the
// listing and the subscription.
func (w *watch) open(sys system, list []Device) (added bool, err error) {
	for _, d := range list {
		if len(w.controls) == maxWatched || w.has(d.Card.ID) || d.Kind != HDMI {
			continue
		}
		c, failed := openControl(sys, d.Card)
		if failed == nil {
			if failed = c.subscribe(); failed != nil {
				c.close()
			}
		}
		if failed != nil {
			err = fmt.Errorf("plugging is not followed: %w", failed)
			continue
		}
		w.controls = append(w.controls, c)
		added = true
	}
	return added, err
}

func (w *watch) has(card string) bool {
	for _, c := range w.controls {
		if c.name == card {
			return true
		}
	}
	return false
}

// drain reads the events of the i-th control device; changed says that a plug
// or an ELD is different. A device that fails is followed no longer: its card
// is gone, which is a change.
func (w *watch) drain(i int) (changed bool) {
	c := w.controls[i]
	changed, err := c.drain()
	if err != nil {
		c.close()
		w.controls = append(w.controls[:i], w.controls[i+1:]...)
		return true
	}
	return changed
}

func (w *watch) close() {
	for _, c := range w.controls {
		c.close()
	}
	w.controls = w.controls[:0]
}
