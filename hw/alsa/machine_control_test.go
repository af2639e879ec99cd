package alsa

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

type simElement struct {
	elemID
	typ   int32
	count uint32
	value [1024]byte
	min   int
	max   int
	tlv   []uint32
}

type simControl struct {
	card   *simCard
	follow bool
	events []ctlEvent
}

// jack adds a jack element, plugged or not.
func (c *simCard) jack(name string, on bool) *simElement {
	e := c.element(ifaceCard, name, elemBoolean, 1)
	setLong(e.value[:], 0, btoi(on))
	return e
}

func (c *simCard) element(iface int32, name string, typ int32, count uint32) *simElement {
	e := &simElement{elemID: elemID{Numid: uint32(len(c.elements) + 1), Iface: iface}, typ: typ, count: count}
	copy(e.Name[:], name)
	c.elements = append(c.elements, e)
	return e
}

// set changes an element as the driver does, with an event.
func (c *simCard) set(e *simElement, v int) {
	setLong(e.value[:], 0, v)
	for _, s := range c.subs {
		if s.follow {
			s.events = append(s.events, ctlEvent{Mask: 1, ID: e.elemID})
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *simControl) ioctl(r request, arg unsafe.Pointer) error {
	switch r {
	case ctlCardInfo:
		i := (*cardInfo)(arg)
		copy(i.ID[:], c.card.id)
		copy(i.Driver[:], c.card.name)
		copy(i.Name[:], c.card.name)
	case ctlPCMNext:
		n := (*int32)(arg)
		if *n++; int(*n) >= len(c.card.pcms) {
			*n = -1
		}
	case ctlPCMInfo:
		i := (*pcmInfo)(arg)
		copy(i.Name[:], c.card.pcms[i.Device].name)
	case ctlElemList:
		l := (*elemList)(arg)
		l.Count = uint32(len(c.card.elements))
		l.Used = min(l.Space, l.Count)
		for i := range l.Used {
			*(*elemID)(unsafe.Add(l.IDs, uintptr(i)*unsafe.Sizeof(elemID{}))) = c.card.elements[i].elemID
		}
	case ctlSubscribe:
		c.follow = true
	case ctlElemRead, ctlElemWrite:
		v := (*elemValue)(arg)
		e := c.card.find(v.ID)
		if e == nil {
			return unix.ENOENT
		}
		if r == ctlElemRead {
			copy(v.Value[:], e.value[:])
		} else {
			copy(e.value[:], v.Value[:])
		}
	case ctlElemInfo:
		i := (*elemInfo)(arg)
		e := c.card.find(i.ID)
		if e == nil {
			return unix.ENOENT
		}
		i.ID, i.Type, i.Count, i.Access = e.elemID, e.typ, e.count, accessReadWrite
		if e.tlv != nil {
			i.Access |= accessTLVRead
		}
		setLong(i.Value[:], 0, e.min)
		setLong(i.Value[:], 1, e.max)
	case ctlTLVRead:
		t := (*tlv)(arg)
		copy(t.Data[:], c.card.elements[t.Numid-1].tlv)
	default:
		return unix.ENOTTY
	}
	return nil
}

func (c *simCard) find(id elemID) *simElement {
	for _, e := range c.elements {
		if e.Numid == id.Numid {
			return e
		}
	}
	return nil
}
