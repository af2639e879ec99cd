package cec

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// model is a machine with one adapter, as the kernel's core behaves: it claims
// an address some time after it is asked to and there is a television, keeps a
// limited number of messages, and sends in the order it is told to.
type model struct {
	mu      sync.Mutex
	changed chan struct{} // closed at every change
	began   time.Time

	flags     uint32
	connector connectorInfo
	gone      bool
	physical  uint16
	mask      uint16
	asked     bool  // an address is wanted
	address   uint8 // that is free, 15 for none
	name      string
	claims    int

	events   []event
	inbox    []message
	sent     []Frame
	slow     time.Duration // that the owner takes for each message
	deaf     bool          // results of messages do not come
	status   uint8         // of messages that are sent
	sequence uint32
	signals  bool
	opened   int
	calls    int
	fail     func(n int, call string) error
}

func newModel() *model {
	return &model{changed: make(chan struct{}), began: time.Now(), flags: capLogical | capTransmit, physical: 0x1000, address: 4, status: txOK}
}

const (
	modelAdapter = 100
	modelEvent   = 200
	kernelKeeps  = 54
)

// turn notes a change; b.mu is held.
func (b *model) turn() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// plug changes the physical address, as an EDID does.
func (b *model) plug(physical uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.physical, b.mask = physical, 0
	b.tell()
	b.configure()
}

func (b *model) unplugAdapter() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	b.turn()
}

// tell queues the event of a state; b.mu is held.
func (b *model) tell() {
	e := event{kind: eventState}
	*(*stateChange)(unsafe.Pointer(&e.raw)) = stateChange{physical: b.physical, mask: b.mask}
	b.events = append(b.events, e)
	b.turn()
}

// configure finds an address after a while; b.mu is held.
func (b *model) configure() {
	if !b.asked || b.physical == NoPhysical || b.mask != 0 {
		return
	}
	time.AfterFunc(100*time.Millisecond, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.asked || b.physical == NoPhysical || b.mask != 0 {
			return
		}
		if b.claims++; b.address == 15 {
			b.asked = false // the kernel gives up
			return
		}
		b.mask = 1 << b.address
		b.tell()
	})
}

// arrive has a message come in.
func (b *model) arrive(data ...byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := message{length: uint32(len(data)), rxStatus: 1}
	copy(m.data[:], data)
	b.queue(m)
}

// queue keeps a message for the reader, instead of the oldest where there are
// too many; b.mu is held.
func (b *model) queue(m message) {
	if len(b.inbox) >= kernelKeeps {
		b.inbox = b.inbox[1:]
		if n := len(b.events); n > 0 && b.events[n-1].kind == eventLost {
			b.events[n-1].raw[0]++
		} else {
			b.events = append(b.events, event{kind: eventLost, raw: [16]uint32{1}})
		}
	}
	b.inbox = append(b.inbox, m)
	b.turn()
}

func (b *model) adapters() []string { return []string{"/dev/cec0"} }

func (b *model) open(string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fault("open"); err != nil {
		return -1, err
	}
	b.opened++
	return modelAdapter, nil
}

func (b *model) close(int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened--
	return nil
}

// fault lets a test fail any call; b.mu is held.
func (b *model) fault(call string) error {
	n := b.calls
	b.calls++
	if b.gone {
		return unix.ENODEV
	}
	if b.fail != nil {
		return b.fail(n, call)
	}
	return nil
}

func (b *model) ioctl(_ int, c call, arg unsafe.Pointer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fault(c.name); err != nil {
		return err
	}
	switch c {
	case getCapabilities:
		k := (*capabilities)(arg)
		copy(k.driver[:], "model")
		k.flags = b.flags
	case getConnector:
		*(*connectorInfo)(arg) = b.connector
	case getPhysical:
		*(*uint16)(arg) = b.physical
	case setPhysical:
		b.physical, b.mask = *(*uint16)(arg), 0
		b.tell()
		b.configure()
	case getLogical:
		*(*logicalAddresses)(arg) = logicalAddresses{mask: b.mask}
	case setLogical:
		l := (*logicalAddresses)(arg)
		if b.asked && l.number != 0 {
			return unix.EBUSY
		}
		b.asked, b.name = l.number != 0, text(l.name[:])
		if b.mask != 0 {
			b.mask = 0
			b.tell()
		}
		b.configure()
	case transmit:
		return b.send((*message)(arg))
	case receive:
		if len(b.inbox) == 0 {
			return unix.EAGAIN
		}
		*(*message)(arg) = b.inbox[0]
		b.inbox = b.inbox[1:]
	case dequeueEvent:
		if len(b.events) == 0 {
			return unix.EAGAIN
		}
		*(*event)(arg) = b.events[0]
		b.events = b.events[1:]
	}
	return nil
}

// send sends a message; b.mu is held.
func (b *model) send(m *message) error {
	from, to := int(m.data[0]>>4), int(m.data[0]&15)
	if b.mask == 0 && m.data[0] != 0xf0 {
		return unix.ENONET
	}
	if b.mask != 0 && b.mask>>from&1 == 0 {
		return unix.EINVAL
	}
	b.sequence++
	m.sequence = b.sequence
	b.sent = append(b.sent, Frame{from, to, append([]byte(nil), m.data[1:m.length]...)})
	if !b.deaf {
		done := *m
		done.txStatus = b.status
		b.queue(done)
	}
	return nil
}

func (b *model) poll(fds []unix.PollFd, timeout time.Duration) (int, error) {
	var late <-chan time.Time
	if timeout >= 0 {
		late = time.After(timeout)
	}
	for {
		b.mu.Lock()
		if err := b.fault("poll"); err != nil && !b.gone {
			b.mu.Unlock()
			return 0, err
		}
		fds[0].Revents, fds[1].Revents = 0, 0
		if b.gone {
			fds[0].Revents |= unix.POLLERR | unix.POLLHUP
		}
		if len(b.inbox) > 0 {
			fds[0].Revents |= unix.POLLIN
		}
		if len(b.events) > 0 {
			fds[0].Revents |= unix.POLLPRI
		}
		if b.signals {
			fds[1].Revents |= unix.POLLIN
		}
		changed := b.changed
		b.mu.Unlock()
		if fds[0].Revents|fds[1].Revents != 0 {
			return 1, nil
		}
		select {
		case <-changed:
		case <-late:
			return 0, nil
		}
	}
}

func (b *model) event() (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fault("eventfd"); err != nil {
		return -1, err
	}
	b.opened++
	return modelEvent, nil
}

func (b *model) signal(int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signals = true
	b.turn()
}

func (b *model) clear(int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signals = false
}

func (b *model) now() time.Duration { return time.Since(b.began) }
