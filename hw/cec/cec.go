// Package cec speaks HDMI-CEC, the bus over which a television, its remote and
// what is plugged into it tell each other what to do, through the kernel's own
// interface (/dev/cec0).
//
// An Adapter takes an address on the bus, as a playback device, gives the
// messages that come to its owner, and sends. It follows the cable: when the
// television is plugged in again the address is taken again. What can go wrong
// is bounded: messages to be sent wait in a queue of fixed length, one is on
// its way at a time and given up when its result does not come, and what the
// owner is too slow to take the kernel drops, which is counted.
//
// It leaves the meaning of messages to its owner. The kernel answers by itself
// what is asked of every device: its name, its version, its physical address.
//
// Sources of facts: the kernel's Documentation/userspace-api/media/cec and
// include/uapi/linux/cec.h; HDMI 1.4b, supplement 1.
//
// Proof: uapi_test.go compares structures and ioctl numbers with what C
// compilers say on amd64, arm64 and arm; cec_test.go and fault_test.go run an
// Adapter against a model of the kernel's bus, with every call failing in every
// way, messages without end and cables pulled; lab_test.go has an Adapter and a
// television talk over the bus of the kernel's driver vivid.
package cec

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addresses on the bus.
const (
	Television = 0
	// Broadcast is everybody; as the address of a sender, one without an
	// address.
	Broadcast = 15
)

// NoPhysical stands for a physical address that is not known.
const NoPhysical = 0xffff

// State is where an Adapter stands.
type State struct {
	// Physical is the address of the socket that we are plugged into, four
	// digits of four bits from the television outwards; NoPhysical without a
	// television that tells it.
	Physical uint16
	// Logical is our address on the bus, Broadcast without one.
	Logical int
}

// Ready tells whether there is an address to be spoken to.
func (s State) Ready() bool { return s.Logical != Broadcast }

func (s State) String() string {
	if s.Physical == NoPhysical {
		return "no television"
	}
	p := fmt.Sprintf("%x.%x.%x.%x", s.Physical>>12, s.Physical>>8&15, s.Physical>>4&15, s.Physical&15)
	if !s.Ready() {
		return p + ", no address"
	}
	return fmt.Sprintf("%s, address %d", p, s.Logical)
}

// Frame is a message as it is on the bus: whom it is from and for, and then up
// to 15 bytes, the first of which says what it means. One without any only asks
// whether somebody is there.
type Frame struct {
	From, To int // 0 to 15
	Data     []byte
}

func (f Frame) String() string { return fmt.Sprintf("%d>%d % x", f.From, f.To, f.Data) }

// maxData is the longest message.
const maxData = 15

// Options is what an Adapter is opened with. The functions are called by Run,
// and nothing is read meanwhile.
type Options struct {
	// Name is what the television shows, at most 14 characters of ASCII.
	Name string
	// Received is given every message for us or for all. Its data is valid
	// until it returns.
	Received func(Frame)
	// Changed is told of a new state.
	Changed func(State)
	// Sent is told what became of a message: nil, or ErrNack, ErrBus, ... It
	// may be nil.
	Sent func(Frame, error)
}

// Counts is what an Adapter has seen.
type Counts struct {
	Received uint64 // messages
	Lost     uint64 // messages that the kernel dropped, for they came too fast
	Sent     uint64
	Failed   uint64 // messages that nobody took, or that were lost on the bus
}

// Adapter is an open adapter.
type Adapter struct {
	device Device
	o      Options
	sys    system
	fd     int
	wake   int

	mu       sync.Mutex
	closed   bool
	queue    []Frame // to be sent
	state    State
	physical uint16 // that the display tells; NoPhysical if it does not
	counts   Counts

	// The following belong to Run.
	flight  *flight       // the message that is being sent
	claimAt time.Duration // when to ask for an address again; 0: not at all
	claims  int           // in vain
	msg     *message
	ev      *event
}

// flight is a message between the kernel and the bus.
type flight struct {
	frame    Frame
	sequence uint32
	until    time.Duration
}

const (
	// maxQueue is how many messages wait to be sent at most. The bus takes
	// some fifteen a second.
	maxQueue = 16
	// longestFlight is when the result of a message is waited for no longer;
	// the kernel gives up after 2.1 s.
	longestFlight = 5 * time.Second
	// firstClaim is when an address is asked for again that did not come;
	// each further time takes twice as long.
	firstClaim   = 4 * time.Second
	longestClaim = time.Minute
	// batch is how much is read before anything else is looked at: as much as
	// the kernel keeps.
	batch = 64
)

// Open opens the adapter of a device.
func Open(path string, o Options) (*Adapter, error) { return openOn(linux{}, path, o) }

func openOn(sys system, path string, o Options) (_ *Adapter, err error) {
	a := &Adapter{o: o, sys: sys, fd: -1, wake: -1, device: Device{Path: path}, msg: new(message), ev: new(event),
		state: State{NoPhysical, Broadcast}, physical: NoPhysical}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.fd, err = open(sys, path); err != nil {
		return nil, err
	}
	if err = a.device.read(sys, a.fd); err != nil {
		return nil, err
	}
	if need := uint32(capLogical | capTransmit); a.device.flags&need != need {
		return nil, fmt.Errorf("cec: %s: the driver cannot take an address and send", a.device)
	}
	mode := uint32(modeInitiator | modeFollower)
	if err = a.call(setMode, unsafe.Pointer(&mode)); err != nil {
		return nil, err
	}
	if a.wake, err = sys.event(); err != nil {
		return nil, failed(path, "eventfd", err)
	}
	return a, nil
}

// Device describes the adapter.
func (a *Adapter) Device() Device { return a.device }

// State is where the adapter stands.
func (a *Adapter) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Counts tells what the adapter has seen.
func (a *Adapter) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts
}

// Send has a message sent and does not wait for it. Without an address only
// the television can be spoken to, which is enough to wake one that hides its
// socket while it sleeps. It is an error if too many messages wait.
func (a *Adapter) Send(to int, data ...byte) error {
	if to < 0 || to > Broadcast || len(data) > maxData {
		return fmt.Errorf("cec: a message of %d bytes to %d", len(data), to)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return ErrGone
	case !a.state.Ready() && to != Television:
		return ErrUnregistered
	case len(a.queue) >= maxQueue:
		return ErrFull
	}
	a.queue = append(a.queue, Frame{To: to, Data: append([]byte(nil), data...)})
	a.sys.signal(a.wake)
	return nil
}

// SetPhysical tells the physical address that the display's EDID has, for
// adapters that do not read it themselves.
func (a *Adapter) SetPhysical(p uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.physical = p; !a.closed {
		a.sys.signal(a.wake)
	}
}

// Close gives the adapter back. Run has to have returned.
func (a *Adapter) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.closed = true
	// Nothing can be done about a failure.
	if a.fd >= 0 {
		_ = a.sys.close(a.fd)
	}
	if a.wake >= 0 {
		_ = a.sys.close(a.wake)
	}
}

func (a *Adapter) call(c call, arg unsafe.Pointer) error {
	return ask(a.sys, a.fd, a.device.Path, c, arg)
}

// Run takes an address and serves the bus until ctx ends, which is no error,
// or the adapter fails: ErrGone if it was unplugged.
func (a *Adapter) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { a.sys.signal(a.wake) })
	defer stop()
	if err := a.claim(); err != nil {
		return err
	}
	if err := a.look(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := a.tend(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN | unix.POLLPRI}, {Fd: int32(a.wake), Events: unix.POLLIN}}
		_, err := a.sys.poll(fds, a.timeout())
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return failed(a.device.Path, "poll", err)
		}
		if fds[1].Revents != 0 {
			a.sys.clear(a.wake)
		}
		happened := fds[0].Revents
		if happened&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			return failed(a.device.Path, "poll", unix.ENODEV)
		}
		if happened&unix.POLLPRI != 0 {
			if err := a.readEvents(); err != nil {
				return err
			}
		}
		if happened&unix.POLLIN != 0 {
			if err := a.readMessages(); err != nil {
				return err
			}
		}
	}
	a.release()
	return nil
}
