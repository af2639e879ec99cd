package alsa

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// simPCM is a playback device of a machine: a ring that is read at a steady
// rate, a position that is told in granules, an interrupt per period.
type simPCM struct {
	card *simCard
	name string

	formats              []Format
	rates                []int
	mapped               bool
	minPeriod, maxPeriod int
	maxBuffer            int
	granule              int     // steps of the position, in frames
	ppm                  float64 // how much slower than nominal it runs
	latency              int64   // longest time from an interrupt to the wake-up, in ns
	refuse               error   // what open says
	asleep               int     // how often RESUME says EAGAIN
	wrap                 int64   // where its counters wrap; 0: as the kernel does

	opened     bool
	configured bool
	state      State
	rate       int
	period     int
	buffer     int
	frame      int
	boundary   int64
	ring       []byte
	started    int64
	appl       int64 // frames written since PREPARE
	read       int64 // frames read since PREPARE
	frozen     bool  // it moves no more
	late       int64 // latency of the next wake-up

	unheard bool     // what is read is not kept
	heard   []byte   // everything ever read
	stretch []played // where in heard each start began, and when
}

type played struct {
	at    int   // bytes into heard
	start int64 // when its first frame was heard
	rate  float64
}

func (p *simPCM) now() int64 { return p.card.m.clock }

// speed is the true rate in frames per nanosecond.
func (p *simPCM) speed() float64 { return float64(p.rate) / 1e9 * (1 - p.ppm/1e6) }

// settle reads the ring up to now.
func (p *simPCM) settle() {
	if p.state != StateRunning || p.frozen {
		return
	}
	pos := int64(float64(p.now()-p.started) * p.speed())
	if pos >= p.appl {
		pos, p.state = p.appl, StateXrun
	}
	if p.unheard {
		p.read = pos
	}
	for ; p.read < pos; p.read++ {
		at := int(p.read%int64(p.buffer)) * p.frame
		p.heard = append(p.heard, p.ring[at:at+p.frame]...)
	}
}

// told is the position as the driver tells it.
func (p *simPCM) told() int64 { return p.read - p.read%int64(p.granule) }

func (p *simPCM) ready() int16 {
	if p.card.gone {
		return unix.POLLERR | unix.POLLNVAL
	}
	p.settle()
	switch {
	case p.state == StateRunning && p.wakes() <= p.now():
		p.late = p.card.m.rand.Int64N(p.latency + 1)
		return unix.POLLOUT
	case p.state == StateRunning:
		return 0
	}
	return unix.POLLOUT | unix.POLLERR
}

// wakes is when the next period will be free.
func (p *simPCM) wakes() int64 {
	if p.state != StateRunning || p.frozen {
		return math.MaxInt64
	}
	want := p.appl - int64(p.buffer) + int64(p.period)
	want += (int64(p.granule) - want%int64(p.granule)) % int64(p.granule)
	return p.started + int64(math.Ceil(float64(want)/p.speed())) + 1 + p.late
}

func (p *simPCM) ioctl(r request, arg unsafe.Pointer) error {
	p.settle()
	switch r {
	case pcmPVersion:
		*(*int32)(arg) = protocol
	case pcmUserPVersion:
	case pcmHwRefine:
		return p.refine((*hwParams)(arg))
	case pcmHwParams:
		return p.set((*hwParams)(arg))
	case pcmSwParams:
		s := (*swParams)(arg)
		if !p.configured || s.TstampMode != tstampEnable || s.TstampType != tstampMonotonic || s.Proto < oldest {
			return unix.EINVAL
		}
		b := int64(p.buffer)
		for b <= (math.MaxInt32-int64(p.buffer))/2 {
			b *= 2
		}
		if p.wrap != 0 {
			b = p.wrap
		}
		p.boundary = b
		s.Boundary = uframes(b)
	case pcmPrepare:
		if !p.configured || p.state == StateSuspended && p.asleep > 0 {
			return unix.EBADFD
		}
		p.state, p.appl, p.read = StatePrepared, 0, 0
	case pcmStart:
		if p.state != StatePrepared {
			return unix.EBADFD
		}
		if p.appl == 0 {
			return unix.EPIPE
		}
		p.state, p.started = StateRunning, p.now()
		p.stretch = append(p.stretch, played{len(p.heard), p.started, p.speed()})
	case pcmDrop:
		p.state = StateSetup
	case pcmResume:
		if p.asleep > 0 {
			p.asleep--
			return unix.EAGAIN
		}
		return unix.ENOSYS
	case pcmStatusGet:
		*(*pcmStatus)(arg) = p.status()
	case pcmSyncPtr:
		return p.sync((*syncPtr)(arg))
	case pcmWriteI:
		return p.write((*xferi)(arg))
	default:
		return unix.ENOTTY
	}
	return nil
}

func (p *simPCM) status() pcmStatus {
	queued := p.appl - p.told()
	return pcmStatus{State: int32(p.state), Tstamp: timespec{p.now() / 1e9, p.now() % 1e9},
		Delay: sframes(queued), Avail: uframes(int64(p.buffer) - queued)}
}

func (p *simPCM) sync(s *syncPtr) error {
	if p.state == StateXrun {
		return unix.EPIPE
	}
	if s.Flags&syncAppl == 0 {
		next := int64(s.Control.ApplPtr) - p.appl%p.boundary
		if next < 0 {
			next += p.boundary
		}
		if next > int64(p.buffer) {
			return unix.EINVAL
		}
		p.appl += next
	}
	return nil
}

func (p *simPCM) write(x *xferi) error {
	switch {
	case p.state == StateXrun:
		return unix.EPIPE
	case p.appl-p.told()+int64(x.Frames) > int64(p.buffer):
		return unix.EAGAIN
	}
	src := unsafe.Slice((*byte)(x.Buf), int(x.Frames)*p.frame)
	for i := range int64(x.Frames) {
		copy(p.ring[int((p.appl+i)%int64(p.buffer))*p.frame:], src[int(i)*p.frame:][:p.frame])
	}
	p.appl += int64(x.Frames)
	x.Result = sframes(x.Frames)
	return nil
}

// refine narrows p to what the device can do.
func (p *simPCM) refine(h *hwParams) error {
	access := mask{1 << accessRWInterleaved}
	if p.mapped {
		access[0] |= 1 << accessMmapInterleaved
	}
	var formats mask
	for _, f := range p.formats {
		formats[f/32] |= 1 << (f % 32)
	}
	for i := range access {
		h.Masks[paramAccess][i] &= access[i]
		h.Masks[paramFormat][i] &= formats[i]
	}
	if h.Masks[paramAccess] == (mask{}) || h.Masks[paramFormat] == (mask{}) {
		return unix.EINVAL
	}
	rate := &h.Intervals[paramRate]
	lo, hi := uint32(math.MaxUint32), uint32(0)
	for _, r := range p.rates {
		if r := uint32(r); r >= rate.Min && r <= rate.Max {
			lo, hi = min(lo, r), max(hi, r)
		}
	}
	rate.Min, rate.Max = lo, hi
	narrow(&h.Intervals[paramChannels], 2, 8)
	period, periods, buffer := &h.Intervals[paramPeriodSize], &h.Intervals[paramPeriods], &h.Intervals[paramBufferSize]
	narrow(period, uint32(p.minPeriod), uint32(p.maxPeriod))
	narrow(periods, 2, uint32(p.maxBuffer)/max(period.Min, 1))
	narrow(buffer, period.Min*periods.Min, uint32(min(uint64(p.maxBuffer), uint64(period.Max)*uint64(periods.Max))))
	for _, i := range []int{paramRate, paramChannels, paramPeriodSize, paramPeriods, paramBufferSize} {
		if h.Intervals[i].Min > h.Intervals[i].Max {
			return unix.EINVAL
		}
	}
	return nil
}

func narrow(i *interval, lo, hi uint32) { i.Min, i.Max = max(i.Min, lo), min(i.Max, hi) }

// set chooses the smallest of everything but the largest buffer.
func (p *simPCM) set(h *hwParams) error {
	if err := p.refine(h); err != nil {
		return err
	}
	i := &h.Intervals
	p.rate, p.period = int(i[paramRate].Min), int(i[paramPeriodSize].Min)
	p.buffer = p.period * int(i[paramPeriods].Max)
	i[paramRate] = exactly(p.rate)
	i[paramPeriodSize], i[paramBufferSize] = exactly(p.period), exactly(p.buffer)
	for _, f := range p.formats {
		if h.Masks[paramFormat].has(int(f)) {
			p.frame = Channels * f.Bytes()
			h.Masks[paramFormat].only(int(f))
			break
		}
	}
	p.ring = make([]byte, p.buffer*p.frame)
	p.state, p.configured = StateSetup, true
	return nil
}
