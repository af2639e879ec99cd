package cec

import (
	"errors"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tend does what is due: it tells the physical address, asks for an address
// again, gives up a message whose result did not come, and sends the next.
func (a *Adapter) tend() error {
	if err := a.tell(); err != nil {
		return err
	}
	now := a.sys.now()
	if a.claimAt != 0 && now >= a.claimAt {
		if err := a.claim(); err != nil {
			return err
		}
	}
	if f := a.flight; f != nil && now >= f.until {
		a.landed(ErrBus)
	}
	for a.flight == nil {
		f, ok := a.next()
		if !ok {
			return nil
		}
		if err := a.transmit(f); err != nil {
			return err
		}
	}
	return nil
}

// timeout is how long nothing is due.
func (a *Adapter) timeout() time.Duration {
	at := a.claimAt
	if f := a.flight; f != nil && (at == 0 || f.until < at) {
		at = f.until
	}
	if at == 0 {
		return -1
	}
	return max(at-a.sys.now(), 0)
}

// claim asks the kernel for an address. It finds one when there is a television
// and tells by an event; when the television goes and comes back, it does so
// again by itself.
func (a *Adapter) claim() error {
	// Unless one comes meanwhile: the kernel may find none and say nothing, may
	// just be looking, or somebody has the adapter for himself at the moment.
	a.claimLater()
	// One that somebody else has asked for is in the way.
	var none logicalAddresses
	err := a.call(setLogical, unsafe.Pointer(&none))
	if err == nil {
		l := logicalAddresses{number: 1, version: version14, vendor: vendorNone}
		l.primary[0], l.kind[0], l.all[0] = primaryPlayback, kindPlayback, allPlayback
		copy(l.name[:len(l.name)-1], plain(a.o.Name))
		err = a.call(setLogical, unsafe.Pointer(&l))
	}
	if errors.Is(err, ErrGone) {
		return err
	}
	return nil
}

// claimLater has an address asked for again after a while.
func (a *Adapter) claimLater() {
	wait := longestClaim
	if a.claims < 4 { // beyond that it is longer than the longest
		wait = firstClaim << a.claims
		a.claims++
	}
	a.claimAt = a.sys.now() + wait
}

// release gives the address back, so that nobody speaks to one who is not
// there. Whatever fails now does not matter.
func (a *Adapter) release() {
	var none logicalAddresses
	_ = a.call(setLogical, unsafe.Pointer(&none))
}

// plain leaves of a name what the bus can carry.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
}

// tell sets the physical address where that is ours to do.
func (a *Adapter) tell() error {
	a.mu.Lock()
	p, known := a.physical, a.state.Physical
	a.mu.Unlock()
	if a.device.flags&capPhysical == 0 || p == NoPhysical || p == known {
		return nil
	}
	if err := a.call(setPhysical, unsafe.Pointer(&p)); err != nil && errors.Is(err, ErrGone) {
		return err
	}
	a.mu.Lock()
	a.physical = NoPhysical // once: the kernel says what came of it
	a.mu.Unlock()
	return nil
}

// look reads where the adapter stands, as an event would tell.
func (a *Adapter) look() error {
	var p uint16
	if err := a.call(getPhysical, unsafe.Pointer(&p)); err != nil {
		return err
	}
	var l logicalAddresses
	if err := a.call(getLogical, unsafe.Pointer(&l)); err != nil {
		return err
	}
	a.stand(p, l.mask)
	return nil
}

// stand takes note of a state.
func (a *Adapter) stand(physical, mask uint16) {
	s := State{Physical: physical, Logical: Broadcast}
	for i := range Broadcast {
		if mask>>i&1 != 0 {
			s.Logical = i
			break
		}
	}
	switch {
	case s.Physical == NoPhysical || s.Ready():
		a.claimAt, a.claims = 0, 0
	case a.claimAt == 0:
		// The kernel is about to look for one; if it finds none, it stops.
		a.claimLater()
	}
	a.mu.Lock()
	changed := s != a.state
	a.state = s
	a.mu.Unlock()
	if changed && a.o.Changed != nil {
		a.o.Changed(s)
	}
}

// readEvents reads what the kernel tells of the adapter.
func (a *Adapter) readEvents() error {
	for range batch {
		*a.ev = event{}
		err := a.call(dequeueEvent, unsafe.Pointer(a.ev))
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		switch a.ev.kind {
		case eventState:
			s := (*stateChange)(unsafe.Pointer(&a.ev.raw))
			a.stand(s.physical, s.mask)
		case eventLost:
			a.mu.Lock()
			a.counts.Lost += uint64(a.ev.raw[0])
			a.mu.Unlock()
		}
	}
	return nil
}

// readMessages reads messages, and results of those that were sent.
func (a *Adapter) readMessages() error {
	for range batch {
		*a.msg = message{}
		err := a.call(receive, unsafe.Pointer(a.msg))
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		if a.msg.txStatus != 0 {
			if f := a.flight; f != nil && f.sequence == a.msg.sequence {
				a.landed(result(a.msg.txStatus))
			}
			continue
		}
		a.received()
	}
	return nil
}

// received gives a message to the owner.
func (a *Adapter) received() {
	n := a.msg.length
	if n < 1 || n > uint32(len(a.msg.data)) {
		return // the kernel does not do that
	}
	a.mu.Lock()
	a.counts.Received++
	a.mu.Unlock()
	if a.o.Received != nil {
		a.o.Received(Frame{From: int(a.msg.data[0] >> 4), To: int(a.msg.data[0] & 15), Data: a.msg.data[1:n]})
	}
}

// next takes the next message to be sent out of the queue.
func (a *Adapter) next() (Frame, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return Frame{}, false
	}
	f := a.queue[0]
	a.queue = append(a.queue[:0], a.queue[1:]...)
	f.From = a.state.Logical
	return f, true
}

// transmit gives a message to the kernel.
func (a *Adapter) transmit(f Frame) error {
	m := a.msg
	*m = message{length: uint32(1 + len(f.Data))}
	m.data[0] = byte(f.From<<4 | f.To)
	copy(m.data[1:], f.Data)
	a.flight = &flight{frame: f, until: a.sys.now() + longestFlight}
	err := a.call(transmit, unsafe.Pointer(m))
	switch {
	case err == nil:
		a.flight.sequence = m.sequence
	case errors.Is(err, ErrGone):
		return err
	case errors.Is(err, unix.ENONET):
		a.landed(ErrUnregistered)
	default:
		a.landed(err)
	}
	return nil
}

// result is what a status of the kernel means.
func result(status uint8) error {
	switch {
	case status&txOK != 0:
		return nil
	case status&txNack != 0:
		return ErrNack
	}
	return ErrBus
}

// landed takes note of what became of the message on its way.
func (a *Adapter) landed(err error) {
	f := a.flight.frame
	a.flight = nil
	a.mu.Lock()
	if err == nil {
		a.counts.Sent++
	} else {
		a.counts.Failed++
	}
	a.mu.Unlock()
	if a.o.Sent != nil {
		a.o.Sent(f, err)
	}
}
