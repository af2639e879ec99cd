// Package led switches a light on and off: one that the kernel knows as such, as
// the green one on a Raspberry Pi, or one on a GPIO line.
//
// A light is a comfort: whoever uses it goes on without when something fails.
// Names are looked up, for numbers change from kernel to kernel and from board
// to board (hardware reference section 5). What the kernel showed on a light
// before, such as the activity of the SD card, it shows again after Close.
//
// It leaves patterns to its caller.
//
// Sources of facts: the kernel's Documentation/ABI/testing/sysfs-class-led and
// Documentation/userspace-api/gpio/chardev.rst.
//
// Proof: led_test.go (made-up trees of files, lights whose files fail, and what
// is left behind), lab_test.go (a line of the kernel's gpio-sim, read back, and
// a light of the driver uleds).
package led

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/warthog618/go-gpiocdev"
)

// ErrNone: there is no light of that name.
var ErrNone = errors.New("led: there is no light of this name")

// LED is a light. Its methods belong to one goroutine at a time.
type LED struct {
	name     string
	inverted bool
	light    light
	lit      bool
	known    bool // that it is lit, or not
}

// light is a kind of light. lit means what the kernel means by it.
type light interface {
	set(lit bool) error
	close() error
}

// classic are the names that a light has had over time (hardware reference
// section 5).
var classic = map[string]string{"ACT": "led0", "PWR": "led1"}

// Open opens the light of a name: one of the kernel's, such as "ACT", or a GPIO
// line, such as "GPIO17". A name that begins with "!" is of a light that the
// line, or the kernel, has the wrong way round. The error wraps ErrNone if there
// is none. The light is off at first.
func Open(name string) (*LED, error) { return open("/", name, openLine) }

func open(root, name string, openLine func(name string) (light, error)) (*LED, error) {
	l := &LED{name: name}
	plain, inverted := strings.CutPrefix(name, "!")
	l.inverted = inverted
	var err error
	if l.light, err = openSysfs(root, plain); errors.Is(err, fs.ErrNotExist) && classic[plain] != "" {
		l.light, err = openSysfs(root, classic[plain])
	}
	if errors.Is(err, fs.ErrNotExist) {
		l.light, err = openLine(plain)
	}
	if err != nil {
		return nil, err
	}
	if err := l.Set(false); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *LED) String() string { return l.name }

// Set switches the light on or off. An error means that it may be either.
func (l *LED) Set(on bool) error {
	if l.known && l.lit == on {
		return nil
	}
	err := l.light.set(on != l.inverted)
	l.lit, l.known = on, err == nil
	if err != nil {
		return fmt.Errorf("led: %s: %w", l.name, err)
	}
	return nil
}

// Close gives the light back.
func (l *LED) Close() error {
	if err := l.light.close(); err != nil {
		return fmt.Errorf("led: %s: %w", l.name, err)
	}
	return nil
}

// line is a light on a GPIO line.
type line struct{ *gpiocdev.Line }

func openLine(name string) (light, error) {
	chip, offset, err := gpiocdev.FindLine(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrNone, name)
	}
	l, err := gpiocdev.RequestLine(chip, offset, gpiocdev.AsOutput(0), gpiocdev.WithConsumer("aerie"))
	if err != nil {
		return nil, fmt.Errorf("led: line %s (%s %d): %w", name, chip, offset, err)
	}
	return line{l}, nil
}

func (l line) set(lit bool) error {
	value := 0
	if lit {
		value = 1
	}
	return l.SetValue(value)
}

// close leaves the line an input, as lines are after a start.
func (l line) close() error {
	return errors.Join(l.Reconfigure(gpiocdev.AsInput), l.Close())
}
