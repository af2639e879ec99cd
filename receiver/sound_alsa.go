package receiver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"aerie/hw/alsa"
	"aerie/receiver/clock"
)

// alsaSound is the output that plays on an ALSA device. The device is open
// only while a sender is there: others may want it.
type alsaSound struct {
	device string
	why    string
	gate   *soundGate
}

// soundGate keeps HDMI sound closed while its display is away or its mode is
// being set: HDMI sound is clocked by the video, and what was opened before the
// mode is back stays dead (hardware reference section 3.6). What turns the gate
// must not wait for the sound, so a goroutine of each session follows it.
type soundGate struct {
	mu     sync.Mutex
	begun  bool
	closed bool
	turned chan struct{} // closed at the next turn; nil: nobody waits
}

// begin is how the gate stands until it is turned for the first time.
func (g *soundGate) begin(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.begun {
		g.begun, g.closed = true, closed
	}
}

// turn closes the gate, or opens it.
func (g *soundGate) turn(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun, g.closed = true, closed
	if g.turned != nil {
		close(g.turned)
		g.turned = nil
	}
}

// state tells how the gate stands, and what ends when that changes.
func (g *soundGate) state() (closed bool, turned <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turned == nil {
		g.turned = make(chan struct{})
	}
	return g.closed, g.turned
}

// follow makes an output obey the gate until ctx ends.
func (g *soundGate) follow(ctx context.Context, out *alsa.Output) {
	was := false
	for {
		closed, turned := g.state()
		switch {
		case closed && !was:
			out.Hold()
		case !closed && was:
			out.Release()
		}
		was = closed
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
	}
}

// alsaPeriod and alsaBuffer keep the latency low and leave a busy machine
// some room.
const (
	alsaPeriod = 5 * time.Millisecond
	alsaBuffer = 30 * time.Millisecond
)

func (o *alsaSound) describe() (string, string) {
	if d, err := alsa.Find(o.device); err == nil {
		return "ALSA device " + d.String() + " (" + d.Name + ")", o.why
	}
	return "ALSA device " + o.device, o.why
}

func (o *alsaSound) close() {}

func (o *alsaSound) config(s *streams) alsa.Config {
	c := alsa.Config{Device: o.device, Await: true, Priority: 10}
	c.Rates = []int{44100, 48000}
	c.Period, c.Buffer = alsaPeriod, alsaBuffer
	c.Report = func(err error) {
		if err != nil {
			s.r.log.Warn("sound device", "error", err)
			s.r.meters.lastError(err)
		}
	}
	return c
}

func (o *alsaSound) open(s *streams) (soundSession, error) {
	out, err := alsa.Open(o.config(s))
	if err != nil {
		return nil, err
	}
	p := &alsaSession{s: s, out: out}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(s.ctx)
	p.done.Go(func() { p.run(ctx) })
	p.done.Go(func() { o.gate.follow(ctx, out) })
	return p, nil
}

// alsaSession plays the sound of one session.
type alsaSession struct {
	s      *streams
	out    *alsa.Output
	cancel context.CancelFunc
	done   sync.WaitGroup
	ahead  atomic.Int64 // ns between the asking for sound and its being heard
}

func (p *alsaSession) rate() int           { return p.out.Rate() }
func (p *alsaSession) lead() time.Duration { return time.Duration(p.ahead.Load()) }

func (p *alsaSession) close() {
	p.cancel()
	p.done.Wait()
	p.out.Close()
}

func (p *alsaSession) run(ctx context.Context) {
	for {
		err := p.out.Run(ctx, p.fill)
		if !errors.Is(err, alsa.ErrRate) {
			if err != nil {
				p.s.r.log.Error("sound device", "error", err)
			}
			return
		}
		// Another device with another rate took over.
		p.s.resample(p.out.Rate())
	}
}

func (p *alsaSession) fill(pcm []float32, at int64) {
	p.ahead.Store(int64(clock.Time(at).Sub(p.s.r.now())))
	p.s.fillHeard(pcm, clock.Time(at))
}
