package alsa

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// State is the kernel's state of a PCM (SNDRV_PCM_STATE_*).
type State int

// States of a PCM.
const (
	StateOpen         State = iota
	StateSetup              // hardware parameters are set
	StatePrepared           // ready to be filled and started
	StateRunning            //
	StateXrun               // stopped: the ring ran empty
	StateDraining           //
	StatePaused             //
	StateSuspended          // the machine slept
	StateDisconnected       // the card is gone
)

func (s State) String() string {
	if s < 0 || s > StateDisconnected {
		return fmt.Sprintf("state %d", int(s))
	}
	return [...]string{"open", "setup", "prepared", "running", "xrun", "draining", "paused", "suspended", "disconnected"}[s]
}

// PCM is an open playback device. One goroutine uses it at a time.
type PCM struct {
	file
	setup    Setup
	enc      encoder
	frame    int    // bytes per frame
	ring     []byte // the mapped ring, or room for one period to write
	boundary int64  // where the kernel's frame counters wrap to 0
	written  int64  // frames since Prepare
	room     int    // frames free in the ring at the last Status, less what was written since

	// Arguments of the calls made for every period.
	status pcmStatus
	sync   syncPtr
	xfer   xferi
}

// protocol is the version of the PCM interface that the package was written
// against (SNDRV_PCM_VERSION of kernel 6.1), userProtocol the first one that
// wants to be told.
const (
	protocol     = 2<<16 | 0<<8 | 15
	userProtocol = 2<<16 | 0<<8 | 14
	oldest       = 2<<16 | 0<<8 | 12 // monotonic time stamps through SW_PARAMS
)

// OpenPCM opens and sets up a device; its state is then StatePrepared.
// A device that another program holds gives ErrBusy.
func OpenPCM(d Device, w Want) (*PCM, error) { return openPCM(linux{}, d, w) }

func openPCM(sys system, d Device, w Want) (*PCM, error) {
	f, err := openFile(sys, d.path(), d.String())
	if errors.Is(err, unix.EBUSY) {
		return nil, &Error{d.String(), "open", fmt.Errorf("%w%s", ErrBusy, holder(sys, d))}
	}
	if err != nil {
		return nil, err
	}
	p := &PCM{file: f}
	if err := p.configure(d, w.withDefaults()); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *PCM) configure(d Device, w Want) error {
	version := new(int32)
	if err := p.call(pcmPVersion, unsafe.Pointer(version)); err != nil {
		return err
	}
	if *version>>16 != protocol>>16 || *version < oldest {
		return &Error{p.name, pcmPVersion.String(), fmt.Errorf("interface version %d.%d.%d", *version>>16, *version>>8&0xff, *version&0xff)}
	}
	if *version >= userProtocol {
		mine := new(int32)
		*mine = protocol
		if err := p.call(pcmUserPVersion, unsafe.Pointer(mine)); err != nil {
			return err
		}
	}
	var err error
	if p.setup, err = negotiate(&p.file, w); err != nil {
		return err
	}
	p.setup.Device = d
	p.frame = Channels * p.setup.Format.Bytes()
	p.enc = newEncoder(p.setup.Format, p.setup.Rate, w.Dither)
	if err := p.software(*version); err != nil {
		return err
	}
	if err := p.mapRing(); err != nil {
		return err
	}
	return p.Prepare()
}

// software sets when the kernel wakes, starts and stops the stream: a wake-up
// per period, a start by Start alone, a stop when the ring is empty.
func (p *PCM) software(version int32) error {
	sw := &swParams{
		TstampMode:     tstampEnable,
		PeriodStep:     1,
		AvailMin:       uframes(p.setup.Period),
		XferAlign:      1,
		StartThreshold: ^uframes(0) >> 1, // more than a ring can hold
		StopThreshold:  uframes(p.setup.Buffer),
		Proto:          uint32(min(version, protocol)),
		TstampType:     tstampMonotonic,
	}
	if err := p.call(pcmSwParams, unsafe.Pointer(sw)); err != nil {
		return err
	}
	p.boundary = int64(sw.Boundary)
	if p.boundary <= 0 || p.boundary%int64(p.setup.Buffer) != 0 {
		return &Error{p.name, pcmSwParams.String(), fmt.Errorf("boundary %d for a buffer of %d frames", p.boundary, p.setup.Buffer)}
	}
	return nil
}

func (p *PCM) mapRing() error {
	if !p.setup.Mapped {
		p.ring = make([]byte, p.setup.Period*p.frame)
		return nil
	}
	ring, err := p.sys.mmap(p.fd, p.setup.Buffer*p.frame)
	if err != nil {
		return &Error{p.name, "mmap", err}
	}
	p.ring = ring
	return nil
}

// holder names the process that plays on d, as the kernel tells it.
func holder(sys system, d Device) string {
	thread := field(sys, fmt.Sprintf("/proc/asound/card%d/pcm%dp/sub0/status", d.Card.Number, d.Number), "owner_pid")
	if thread == "" {
		return ""
	}
	process, name := field(sys, "/proc/"+thread+"/status", "Tgid"), field(sys, "/proc/"+thread+"/status", "Name")
	if process == "" {
		return " by process " + thread
	}
	return fmt.Sprintf(" by %s (process %s): stop it or choose another device", name, process)
}

// field reads "key: value" from a file of the kernel; "" if it is not there.
func field(sys system, path, key string) string {
	b, err := sys.readFile(path)
	if err != nil {
		return ""
	}
	for _, l := range strings.Split(string(b), "\n") {
		k, v, _ := strings.Cut(l, ":")
		if strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Setup returns how the device has been set up.
func (p *PCM) Setup() Setup { return p.setup }

// Prepare empties the ring and makes the device ready to be filled and
// started, after an underrun as well.
func (p *PCM) Prepare() error {
	if err := p.call(pcmPrepare, nil); err != nil {
		return err
	}
	p.written, p.room = 0, p.setup.Buffer
	p.enc.reset()
	return nil
}

// Start plays what has been written.
func (p *PCM) Start() error { return p.call(pcmStart, nil) }

// Drop stops at once.
func (p *PCM) Drop() error { return p.call(pcmDrop, nil) }

// Resume wakes a suspended device. While the hardware still sleeps the error
// is EAGAIN; a device that cannot resume gives ENOSYS and wants Prepare.
func (p *PCM) Resume() error { return p.call(pcmResume, nil) }

// Close stops and releases the device. It may be called more than once.
func (p *PCM) Close() {
	if p.fd < 0 {
		return
	}
	if p.setup.Mapped && p.ring != nil {
		_ = p.sys.munmap(p.ring)
	}
	p.ring = nil
	p.close()
}

// Status is the state of the stream at one instant.
type Status struct {
	State   State
	Time    int64 // CLOCK_MONOTONIC in nanoseconds
	Delay   int   // frames written at Time and not heard yet
	Avail   int   // frames that can be written
	Written int64 // frames written since Prepare
}

// Status takes a snapshot of the stream.
func (p *PCM) Status() (Status, error) {
	if err := p.call(pcmStatusGet, unsafe.Pointer(&p.status)); err != nil {
		return Status{}, err
	}
	p.room = int(min(p.status.Avail, uframes(p.setup.Buffer)))
	return Status{
		State:   State(p.status.State),
		Time:    p.status.Tstamp.ns(),
		Delay:   int(p.status.Delay),
		Avail:   p.room,
		Written: p.written,
	}, nil
}

// Write puts interleaved samples into the ring behind those written before.
// They must fit: Prepare makes room for a buffer, Status tells how much there
// is.
func (p *PCM) Write(samples []float32) error {
	n := len(samples) / Channels
	if n > p.room {
		return &Error{p.name, "write", fmt.Errorf("%d frames, room for %d", n, p.room)}
	}
	if p.setup.Mapped {
		p.copyIn(samples, int(p.written%int64(p.setup.Buffer)))
		return p.advance(n)
	}
	for len(samples) > 0 {
		part := samples[:min(len(samples), p.setup.Period*Channels)]
		if err := p.writeI(part); err != nil {
			return err
		}
		samples = samples[len(part):]
	}
	return nil
}

// copyIn converts samples into the mapped ring from frame at on.
func (p *PCM) copyIn(samples []float32, at int) {
	head := min(len(samples), (p.setup.Buffer-at)*Channels)
	p.enc.encode(p.ring[at*p.frame:], samples[:head])
	p.enc.encode(p.ring, samples[head:])
}

// advance tells the kernel of n frames in the mapped ring.
func (p *PCM) advance(n int) error {
	p.sync.Flags = syncHwsync | syncAvailMin
	p.sync.Control.ApplPtr = uframes((p.written + int64(n)) % p.boundary)
	if err := p.call(pcmSyncPtr, unsafe.Pointer(&p.sync)); err != nil {
		return err
	}
	p.written += int64(n)
	p.room -= n
	return nil
}

// writeI hands over at most a period through the kernel.
func (p *PCM) writeI(samples []float32) error {
	n := len(samples) / Channels
	p.enc.encode(p.ring, samples)
	p.xfer = xferi{Buf: unsafe.Pointer(&p.ring[0]), Frames: uframes(n)}
	if err := p.call(pcmWriteI, unsafe.Pointer(&p.xfer)); err != nil {
		return err
	}
	if int(p.xfer.Result) != n {
		return &Error{p.name, pcmWriteI.String(), fmt.Errorf("%d of %d frames taken", p.xfer.Result, n)}
	}
	p.written += int64(n)
	p.room -= n
	return nil
}

// Wait blocks until a period can be written, something is wrong (Status tells)
// or the time is over; ready is false then.
func (p *PCM) Wait(timeout time.Duration) (ready bool, err error) {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLOUT}}
	n, err := p.sys.poll(fds, timeout)
	if err != nil && err != unix.EINTR {
		return false, &Error{p.name, "poll", err}
	}
	return n > 0, nil
}
