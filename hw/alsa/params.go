package alsa

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Want says how a device should be set up. The zero value is a good one.
type Want struct {
	// Rates in Hz, the preferred one first; nil means 44100, 48000: most of
	// what is sent is 44.1 kHz.
	Rates []int
	// Period is the time between two wake-ups, Buffer the length of the ring;
	// 10 ms and 40 ms if 0. The device's nearest sizes are taken, and the
	// buffer is a whole number of periods.
	Period, Buffer time.Duration
	// Dither adds triangular noise of one step before rounding to 16 or 24
	// bits. Without it, 16- and 24-bit material passes unchanged.
	Dither bool
}

func (w Want) withDefaults() Want {
	if len(w.Rates) == 0 {
		w.Rates = []int{44100, 48000}
	}
	if w.Period <= 0 {
		w.Period = 10 * time.Millisecond
	}
	if w.Buffer <= 0 {
		w.Buffer = 4 * w.Period
	}
	return w
}

// Setup is how a device has been set up.
type Setup struct {
	Device Device
	Format Format
	Rate   int  // Hz
	Period int  // frames
	Buffer int  // frames, a multiple of Period
	Mapped bool // samples are written to the ring itself
	Batch  bool // the driver says that its position moves in large steps
}

// Channels is the number of channels: the package plays stereo only.
const Channels = 2

// maxFrames bounds what a driver may offer: 20 s at 192 kHz.
const maxFrames = 1 << 22

// offer is the space of configurations that a device still allows.
type offer struct {
	f *file
	p hwParams
}

// refine narrows the offer by change, or leaves it as it was and returns false
// when nothing would remain.
func (o *offer) refine(change func(*hwParams)) (bool, error) {
	p := o.p
	change(&p)
	p.Rmask = ^uint32(0)
	err := o.f.call(pcmHwRefine, unsafe.Pointer(&p))
	if errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o.p = p
	return true, nil
}

// newOffer asks for everything the device can do in interleaved stereo.
func newOffer(f *file) (*offer, error) {
	o := &offer{f: f}
	for i := range o.p.Masks {
		for j := range o.p.Masks[i] {
			o.p.Masks[i][j] = ^uint32(0)
		}
	}
	for i := range o.p.Intervals {
		o.p.Intervals[i].Max = ^uint32(0)
	}
	ok, err := o.refine(func(p *hwParams) {
		p.Masks[paramAccess] = mask{1<<accessMmapInterleaved | 1<<accessRWInterleaved}
		p.Masks[paramSubformat].only(0)
		p.Intervals[paramChannels] = exactly(Channels)
		p.Intervals[paramPeriods].Flags |= intervalInteger
		p.Intervals[paramPeriods].Min = 2
	})
	if err == nil && !ok {
		err = &Error{f.name, pcmHwRefine.String(), errors.New("no interleaved stereo")}
	}
	return o, err
}

func exactly(v int) interval { return interval{uint32(v), uint32(v), intervalInteger} }

// access takes the mapped ring when it is offered.
func (o *offer) access() (mapped bool, err error) {
	mapped = o.p.Masks[paramAccess].has(accessMmapInterleaved)
	bit := accessRWInterleaved
	if mapped {
		bit = accessMmapInterleaved
	}
	return mapped, o.must("access", func(p *hwParams) { p.Masks[paramAccess].only(bit) })
}

// must narrows the offer by what it contains already.
func (o *offer) must(what string, change func(*hwParams)) error {
	ok, err := o.refine(change)
	if err == nil && !ok {
		err = &Error{o.f.name, pcmHwRefine.String(), fmt.Errorf("%s: the driver contradicts itself", what)}
	}
	return err
}

// format takes the best of the formats offered.
func (o *offer) format() (Format, error) {
	for _, f := range preference {
		if o.p.Masks[paramFormat].has(int(f)) {
			return f, o.must(f.String(), func(p *hwParams) { p.Masks[paramFormat].only(int(f)) })
		}
	}
	return 0, &Error{o.f.name, pcmHwRefine.String(), fmt.Errorf("none of the formats offered (%#x) is known", o.p.Masks[paramFormat][:2])}
}

// rate takes the first of the rates that is offered.
func (o *offer) rate(want []int) (int, error) {
	for _, r := range want {
		ok, err := o.refine(func(p *hwParams) { p.Intervals[paramRate] = exactly(r) })
		if ok || err != nil {
			return r, err
		}
	}
	i := o.p.Intervals[paramRate]
	return 0, &Error{o.f.name, pcmHwRefine.String(), fmt.Errorf("%w: none of %v is offered, only %d to %d Hz", ErrRate, want, i.Min, i.Max)}
}

// near fixes a parameter at the offered value nearest to want.
func (o *offer) near(param, want int) (int, error) {
	best, found := 0, false
	for _, r := range []interval{{uint32(want), math.MaxUint32, intervalInteger}, {0, uint32(want), intervalInteger}} {
		try := *o
		ok, err := try.refine(func(p *hwParams) {
			i := &p.Intervals[param]
			i.Min, i.Max, i.Flags = max(i.Min, r.Min), min(i.Max, r.Max), i.Flags|intervalInteger
		})
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		i, v := try.p.Intervals[param], 0
		if r.Min > 0 {
			v = int(i.Min) + int(i.Flags&intervalOpenMin)
		} else {
			v = int(i.Max) - int(i.Flags&intervalOpenMax)/intervalOpenMax
		}
		if !found || abs(v-want) < abs(best-want) {
			best, found = v, true
		}
	}
	if !found || best <= 0 || best > maxFrames {
		return 0, &Error{o.f.name, pcmHwRefine.String(), fmt.Errorf("no size near %d frames is offered", want)}
	}
	return best, o.must(fmt.Sprintf("%d frames", best), func(p *hwParams) { p.Intervals[param] = exactly(best) })
}

func abs(x int) int { return max(x, -x) }

// frames is the number of frames in d.
func frames(d time.Duration, rate int) int {
	d = min(d, 20*time.Second)
	return max(1, int((int64(d)*int64(rate)+5e8)/1e9))
}

// negotiate chooses among what the device offers and sets it up.
func negotiate(f *file, w Want) (Setup, error) {
	var s Setup
	o, err := newOffer(f)
	if err != nil {
		return s, err
	}
	if s.Mapped, err = o.access(); err != nil {
		return s, err
	}
	if s.Format, err = o.format(); err != nil {
		return s, err
	}
	if s.Rate, err = o.rate(w.Rates); err != nil {
		return s, err
	}
	if s.Period, err = o.near(paramPeriodSize, frames(w.Period, s.Rate)); err != nil {
		return s, err
	}
	want := max(2, (frames(w.Buffer, s.Rate)+s.Period/2)/s.Period)
	if _, err := o.near(paramPeriods, want); err != nil {
		return s, err
	}
	p := &o.p
	p.Rmask = ^uint32(0)
	if err := f.call(pcmHwParams, unsafe.Pointer(p)); err != nil {
		return s, err
	}
	return s, s.check(f, p)
}

// check takes over what the kernel says it has set, so that a driver that
// changed its mind cannot lead to writes beyond its ring.
func (s *Setup) check(f *file, p *hwParams) error {
	s.Period, s.Buffer = int(p.Intervals[paramPeriodSize].Min), int(p.Intervals[paramBufferSize].Min)
	s.Batch = p.Info&infoBatch != 0
	rate, channels := int(p.Intervals[paramRate].Min), int(p.Intervals[paramChannels].Min)
	if rate != s.Rate || channels != Channels || !p.Masks[paramFormat].has(int(s.Format)) ||
		s.Period <= 0 || s.Buffer < 2*s.Period || s.Buffer > maxFrames {
		return &Error{f.name, pcmHwParams.String(), fmt.Errorf("the driver set %d Hz, %d channels, period %d and buffer %d frames",
			rate, channels, s.Period, s.Buffer)}
	}
	return nil
}
