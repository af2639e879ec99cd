package alsa

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// control is a card's control device: its elements (jacks, ELD, volumes) and
// the events that tell of their changes.
type control struct {
	file
	elements []elemID
	events   [8]ctlEvent
}

// maxElements bounds how many elements of a card are looked at; HDA codecs
// have some hundred.
const maxElements = 4096

func openControl(sys system, c Card) (*control, error) {
	f, err := openFile(sys, fmt.Sprintf("/dev/snd/controlC%d", c.Number), c.ID)
	if err != nil {
		return nil, err
	}
	return &control{file: f}, nil
}

// list reads the names of the card's elements.
func (c *control) list() error {
	l := new(elemList)
	if err := c.call(ctlElemList, unsafe.Pointer(l)); err != nil {
		return err
	}
	c.elements = nil
	n := min(l.Count, maxElements)
	if n == 0 {
		return nil
	}
	ids := make([]elemID, n)
	l.Space, l.IDs = n, unsafe.Pointer(&ids[0])
	if err := c.call(ctlElemList, unsafe.Pointer(l)); err != nil {
		return err
	}
	c.elements = ids[:min(l.Used, n)]
	return nil
}

// name returns the element's name.
func (id *elemID) name() string { return text(id.Name[:]) }

// value reads an element.
func (c *control) value(id elemID) (*elemValue, error) {
	v := &elemValue{ID: id}
	return v, c.call(ctlElemRead, unsafe.Pointer(v))
}

// info describes an element.
func (c *control) info(id elemID) (*elemInfo, error) {
	v := &elemInfo{ID: id}
	return v, c.call(ctlElemInfo, unsafe.Pointer(v))
}

// long is the i-th integer of b, each as wide as the machine's long.
func long(b []byte, i int) int {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		return int(int32(binary.NativeEndian.Uint32(b[4*i:])))
	}
	return int(binary.NativeEndian.Uint64(b[8*i:]))
}

// setLong is the inverse of long.
func setLong(b []byte, i, v int) {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		binary.NativeEndian.PutUint32(b[4*i:], uint32(v))
		return
	}
	binary.NativeEndian.PutUint64(b[8*i:], uint64(v))
}

// subscribe makes the device readable when an element changes.
func (c *control) subscribe() error {
	on := new(int32)
	*on = 1
	return c.call(ctlSubscribe, unsafe.Pointer(on))
}

// errNoEvent says that a device was readable but had nothing to read.
var errNoEvent = errors.New("no event")

// drain reads the events that poll has announced and reports whether one of
// them concerns a jack or an ELD, be it a value or that the element came or
// went.
func (c *control) drain() (changed bool, err error) {
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&c.events[0])), unsafe.Sizeof(c.events))
	for first := true; ; first = false {
		n, err := c.read(buf)
		if first && n == 0 && err == nil {
			err = &Error{c.name, "read", errNoEvent}
		}
		if err != nil || n == 0 {
			return changed, err
		}
		for i := range n / int(unsafe.Sizeof(ctlEvent{})) {
			e := &c.events[i]
			if e.Type == 0 && (e.ID.isJack() || e.ID.isELD()) {
				changed = true
			}
		}
	}
}

func (id *elemID) isJack() bool {
	return id.Iface == ifaceCard && strings.HasSuffix(id.name(), " Jack")
}

func (id *elemID) isELD() bool { return id.Iface == ifacePCM && id.name() == "ELD" }
