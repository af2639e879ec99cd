package cec

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errors of Find and of an Adapter.
var (
	// ErrNone: no adapter serves the display.
	ErrNone = errors.New("cec: no adapter")
	// ErrGone: the adapter was unplugged, or its driver unloaded.
	ErrGone = errors.New("cec: the adapter is gone")
	// ErrFull: too many messages wait to be sent.
	ErrFull = errors.New("cec: too many messages wait to be sent")
	// ErrUnregistered: without an address of its own a device may speak to the
	// television alone.
	ErrUnregistered = errors.New("cec: no address on the bus")
	// ErrNack: nobody took the message.
	ErrNack = errors.New("cec: not acknowledged")
	// ErrBus: the message was lost on the bus.
	ErrBus = errors.New("cec: lost on the bus")
)

// Device is an adapter that the machine has.
type Device struct {
	Path   string // of its node, "/dev/cec0"
	Driver string // "vc4_hdmi"
	Name   string
	// Wired tells that the kernel knows the socket: Connector, the id of an
	// object of the card /dev/dri/card<Card>.
	Wired     bool
	Card      uint32
	Connector uint32
	Err       error // why it cannot be used; nil if it can be opened

	flags uint32
}

func (d Device) String() string {
	if d.Driver == "" {
		return d.Path
	}
	return fmt.Sprintf("%s (%s)", d.Path, d.Driver)
}

// List lists the adapters of the machine. One whose Err is not nil is there
// but cannot be used.
func List() []Device { return list(linux{}) }

func list(sys system) (out []Device) {
	const limit = 16 // as many as the kernel may have is more than anybody has
	for _, path := range sys.adapters() {
		if len(out) == limit {
			break
		}
		if d := look(sys, path); !errors.Is(d.Err, fs.ErrNotExist) {
			out = append(out, d)
		}
	}
	return out
}

// look opens an adapter for a moment.
func look(sys system, path string) Device {
	d := Device{Path: path}
	var fd int
	if fd, d.Err = open(sys, path); d.Err == nil {
		d.Err = d.read(sys, fd)
		_ = sys.close(fd) // it was only a look
	}
	return d
}

// read asks an adapter what it is.
func (d *Device) read(sys system, fd int) error {
	var c capabilities
	if err := ask(sys, fd, d.Path, getCapabilities, unsafe.Pointer(&c)); err != nil {
		return err
	}
	d.Driver, d.Name, d.flags = text(c.driver[:]), text(c.name[:]), c.flags
	if c.flags&capConnector == 0 {
		return nil
	}
	var i connectorInfo
	if err := ask(sys, fd, d.Path, getConnector, unsafe.Pointer(&i)); err != nil {
		return err
	}
	if i.kind == connectorDRM {
		d.Wired, d.Card, d.Connector = true, i.raw[0], i.raw[1]
	}
	return nil
}

// Find returns the adapter of a display: that of the connector with an id of
// the card /dev/dri/card<card>, else, for no display at all (connector 0) or
// one that no adapter names, the only adapter that knows no socket. The error
// wraps ErrNone, or tells why the adapter cannot be used.
func Find(card, connector uint32) (Device, error) { return find(linux{}, card, connector) }

func find(sys system, card, connector uint32) (Device, error) {
	var loose []Device
	all := list(sys)
	for _, d := range all {
		switch {
		case d.Wired && d.Card == card && d.Connector == connector && connector != 0:
			return d, d.Err
		case !d.Wired:
			loose = append(loose, d)
		}
	}
	switch {
	case len(loose) == 1:
		return loose[0], loose[0].Err
	case len(loose) > 1:
		return Device{}, fmt.Errorf("%w: there are %d that do not say which display they are of", ErrNone, len(loose))
	case len(all) > 0:
		return Device{}, fmt.Errorf("%w of this display", ErrNone)
	}
	return Device{}, ErrNone
}

// open opens a device node.
func open(sys system, path string) (fd int, err error) {
	err = again(func() error { fd, err = sys.open(path); return err })
	if err != nil {
		return -1, failed(path, "open", err)
	}
	return fd, nil
}

// ask makes one call and names device and call in an error.
func ask(sys system, fd int, path string, c call, arg unsafe.Pointer) error {
	if err := again(func() error { return sys.ioctl(fd, c, arg) }); err != nil {
		return failed(path, c.name, err)
	}
	return nil
}

// failed names the device and the call in an error.
func failed(path, call string, err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%w: %s: %s: %w", ErrGone, path, call, err)
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = " (is the user in group video?)"
	case errors.Is(err, unix.EBUSY):
		hint = " (another program has it for itself)"
	}
	return fmt.Errorf("cec: %s: %s: %w%s", path, call, err, hint)
}

// retries bounds how often a call that was interrupted is made again: Go's
// scheduler interrupts a long call every 10 ms or so, never a thousand times.
const retries = 1000

// again repeats a call that was interrupted.
func again(f func() error) (err error) {
	for range retries {
		if err = f(); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return err
}

// text is the C string in b.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
