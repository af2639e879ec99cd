package ptp

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// source is a clock in the simulated network, which sends like an Apple
// device: eight Syncs a second, and one Announce.
type source struct {
	w       *world
	id      uint64
	addr    netip.AddrPort
	quality Quality
	offset  time.Duration
	drift   float64
	deaf    bool // answers no request
	silent  bool
	asleep  bool // announces itself, and sends no Syncs
	seq     uint16
}

// show is what the clock shows at an instant.
func (s *source) show(t clock.Time) clock.Remote {
	return clock.Remote(t).Add(s.offset + time.Duration(float64(t)*s.drift))
}

// world is a network on a simulated clock, with a Follower in it.
type world struct {
	now    clock.Time
	rng    *rand.Rand
	delay  func(*rand.Rand) time.Duration
	loss   float64
	events events
	f      *Follower
	all    []*source
}

type event struct {
	at clock.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *world) after(d time.Duration, do func()) { heap.Push(&w.events, event{w.now.Add(d), do}) }

// send carries something over the network, or loses it.
func (w *world) send(do func()) {
	if w.rng.Float64() >= w.loss {
		w.after(w.delay(w.rng), do)
	}
}

func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.events) > 0 && w.events[0].at <= end {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

func newWorld(delay func(*rand.Rand) time.Duration) *world {
	return &world{now: clock.Time(100 * time.Second), rng: rand.New(rand.NewPCG(3, 4)), delay: delay, f: NewFollower(0xae)}
}

// add adds a clock that begins to send now.
func (w *world) add(s source) *source {
	c := &s
	c.w = w
	c.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(w.all) + 1)}), 319)
	if c.quality == (Quality{}) {
		c.quality = Quality{Priority1: 248, Class: 248, Accuracy: 254, Variance: 17258, Priority2: 248}
	}
	c.quality.Clock = c.id
	w.all = append(w.all, c)
	w.f.Peers([]netip.Addr{c.addr.Addr()})
	w.after(0, c.sync)
	w.after(0, c.announce)
	return c
}

func (s *source) sync() {
	s.w.after(125*time.Millisecond, s.sync)
	if s.silent || s.asleep {
		return
	}
	s.seq++
	stamp, seq := s.show(s.w.now), s.seq
	// Each takes its own time: the Follow_Up may overtake the Sync.
	s.w.send(func() { s.hear(Message{Kind: Sync, TwoStep: true, Sequence: seq}) })
	s.w.send(func() { s.hear(Message{Kind: FollowUp, Sequence: seq, Stamp: stamp}) })
}

func (s *source) announce() {
	s.w.after(time.Second, s.announce)
	if !s.silent {
		q := s.quality
		s.w.send(func() { s.hear(Message{Kind: Announce, Quality: q}) })
	}
}

// hear lets the follower hear a message, and carries its request back.
func (s *source) hear(m Message) {
	m.Source = Port{s.id, 1}
	request, to := s.w.f.Handle(m.AppendTo(nil), s.addr, s.w.now, nil)
	if request == nil {
		return
	}
	if to != s.addr {
		panic("a request to somebody else")
	}
	s.w.f.Sent(to, s.w.now)
	q, _ := Parse(request)
	if s.deaf {
		return
	}
	s.w.send(func() {
		stamp := s.show(s.w.now)
		s.w.send(func() {
			s.hear(Message{Kind: DelayResp, Sequence: q.Sequence, Stamp: stamp, Requesting: q.Source, Interval: -3})
		})
	})
}

// wrong returns by how much the follower is wrong about a clock.
func (w *world) wrong(t *testing.T, s *source) time.Duration {
	t.Helper()
	at, ok := w.f.Local(s.id, s.show(w.now))
	if !ok {
		t.Fatalf("after %v nothing is known of clock %x", w.now, s.id)
	}
	return at.Sub(w.now)
}

func uniform(low, high time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return low + time.Duration(r.Int64N(int64(high-low))) }
}

// TestError: on all networks the error stays within its bound, and with 20 ms
// of jitter, 100 ppm of drift and loss it is below 1 ms in 99 of 100 instants.
func TestError(t *testing.T) {
	for name, n := range map[string]struct {
		delay func(*rand.Rand) time.Duration
		loss  float64
		p99   time.Duration
	}{
		"cable":    {uniform(50*time.Microsecond, 300*time.Microsecond), 0, 150 * time.Microsecond},
		"wireless": {uniform(time.Millisecond, 21*time.Millisecond), 0.05, time.Millisecond},
	} {
		for _, drift := range []float64{0, 100e-6, -100e-6} {
			t.Run(fmt.Sprintf("%s/%+.0f ppm", name, drift*1e6), func(t *testing.T) {
				w := newWorld(n.delay)
				w.loss = n.loss
				s := w.add(source{id: 5, offset: 5000 * time.Hour, drift: drift})
				w.run(30 * time.Second)
				var errors []time.Duration
				for range 1200 {
					w.run(100 * time.Millisecond)
					wrong := w.wrong(t, s).Abs()
					errors = append(errors, wrong)
					e, id := w.f.Estimate()
					if id != 5 || e.Source != clock.NTP || wrong > e.ErrorAt(w.now) {
						t.Fatalf("off by %v, bound %v, clock %x, %v", wrong, e.ErrorAt(w.now), id, e.Source)
					}
				}
				slices.Sort(errors)
				if p99 := errors[len(errors)*99/100]; p99 > n.p99 {
					t.Errorf("99 %% are off by up to %v", p99)
				}
			})
		}
	}
}

// A clock that answers no request is known by its Syncs, late by what the
// fastest took; it is soon asked rarely.
func TestDeafClock(t *testing.T) {
	w := newWorld(uniform(time.Millisecond, 21*time.Millisecond))
	s := w.add(source{id: 5, offset: time.Hour, drift: 50e-6, deaf: true})
	w.run(time.Second)
	if _, ok := w.f.Local(5, 0); !ok {
		t.Error("not known after a second")
	}
	w.run(30 * time.Second)
	before := w.f.sequence
	for range 100 {
		w.run(300 * time.Millisecond)
		if wrong := w.wrong(t, s); wrong < 500*time.Microsecond || wrong > 4*time.Millisecond {
			t.Errorf("off by %v", wrong)
		}
	}
	if asked := w.f.sequence - before; asked > 35 {
		t.Errorf("asked %d times in 30 s", asked)
	}
}

// TestMastership: the better clock is followed as soon as it can be trusted,
// and what was to be heard on the old time line is heard at the same instant.
func TestMastership(t *testing.T) {
	w := newWorld(uniform(100*time.Microsecond, 400*time.Microsecond))
	a := w.add(source{id: 10, offset: 100 * time.Hour, drift: 30e-6})
	w.run(20 * time.Second)
	heard := a.show(w.now.Add(10 * time.Second)) // an anchor on the time line of a
	b := w.add(source{id: 9, offset: 7 * time.Hour, drift: -20e-6})
	w.run(20 * time.Second)
	if _, id := w.f.Estimate(); id != 9 || w.f.Changes.Value() != 1 {
		t.Fatalf("clock %x is followed, %d changes", id, w.f.Changes.Value())
	}
	at, ok := w.f.Local(10, heard)
	truth := clock.Time(130 * time.Second)
	if !ok || at.Sub(truth).Abs() > time.Millisecond {
		t.Errorf("the anchor moved by %v, %v", at.Sub(truth), ok)
	}
	if wrong := w.wrong(t, b).Abs(); wrong > 200*time.Microsecond {
		t.Errorf("off by %v", wrong)
	}
	// The better one leaves; the other is still there.
	b.silent = true
	w.run(silentAfter + time.Second)
	if _, id := w.f.Estimate(); id != 10 || w.f.Changes.Value() != 2 {
		t.Errorf("clock %x is followed, %d changes", id, w.f.Changes.Value())
	}
	if wrong := w.wrong(t, a).Abs(); wrong > 200*time.Microsecond {
		t.Errorf("off by %v after it came back", wrong)
	}
	at, ok = w.f.Local(9, b.show(w.now))
	if !ok || at.Sub(w.now).Abs() > time.Millisecond {
		t.Errorf("the time line of the one that left is off by %v, %v", at.Sub(w.now), ok)
	}
	// Both leave: the last one's time goes on.
	a.silent = true
	w.run(20 * time.Second)
	if wrong := w.wrong(t, a).Abs(); wrong > 2*time.Millisecond {
		t.Errorf("off by %v after 20 s of silence", wrong)
	}
}

// A step of the clock is followed, once it is no single liar.
func TestClockThatJumps(t *testing.T) {
	w := newWorld(uniform(100*time.Microsecond, 400*time.Microsecond))
	s := w.add(source{id: 5, offset: time.Hour})
	w.run(20 * time.Second)
	s.offset += time.Minute
	w.run(10 * time.Second)
	if wrong := w.wrong(t, s).Abs(); wrong > time.Millisecond {
		t.Errorf("off by %v", wrong)
	}
}

// Strangers are not heard, nor those whose session has ended; noise and a
// hundred invented clocks change nothing about the one that is followed.
func TestLiars(t *testing.T) {
	w := newWorld(uniform(100*time.Microsecond, 400*time.Microsecond))
	s := w.add(source{id: 5, offset: time.Hour})
	w.run(5 * time.Second)
	stranger := netip.MustParseAddrPort("10.9.9.9:319")
	lie := Message{Kind: Announce, Source: Port{1, 1}, Quality: Quality{Clock: 1}}
	w.f.Handle(lie.AppendTo(nil), stranger, w.now, nil)
	if w.f.Strangers.Value() != 1 || len(w.f.masters) != 1 {
		t.Errorf("%d strangers, %d clocks", w.f.Strangers.Value(), len(w.f.masters))
	}
	for n := range 100 {
		lie.Source.Clock = uint64(n)
		w.f.Handle(lie.AppendTo(nil), s.addr, w.now, nil)
		w.f.Handle([]byte{byte(n)}, s.addr, w.now, nil)
	}
	if w.f.Malformed.Value() != 100 || len(w.f.masters) > maxMasters {
		t.Errorf("%d malformed, %d clocks", w.f.Malformed.Value(), len(w.f.masters))
	}
	w.run(time.Second)
	if _, id := w.f.Estimate(); id != 5 || w.wrong(t, s).Abs() > time.Millisecond {
		t.Errorf("clock %x, off by %v", id, w.wrong(t, s))
	}
	if _, ok := w.f.Local(77, 0); ok {
		t.Error("a clock that was never heard")
	}
	f := NewFollower(1)
	remove := f.Peers([]netip.Addr{s.addr.Addr()})
	again := f.Peers([]netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")})
	remove()
	remove()
	if f.Handle(lie.AppendTo(nil), s.addr, 1, nil); f.Messages.Value() != 1 {
		t.Error("the peer of two sessions is not heard after the end of one")
	}
	again()
	if f.Handle(lie.AppendTo(nil), s.addr, 1, nil); f.Messages.Value() != 1 {
		t.Error("a peer is heard after its session")
	}
}

// A clock that sleeps is woken: by something a little better than itself, and
// then a little worse. One that stays asleep is not bothered all the time.
func TestWake(t *testing.T) {
	w := newWorld(uniform(100*time.Microsecond, 400*time.Microsecond))
	s := w.add(source{id: 5, offset: time.Hour, asleep: true})
	var heard []int
	wakes := true
	var tick func()
	tick = func() {
		w.after(50*time.Millisecond, tick)
		b, to := w.f.Wake(w.now, nil)
		if b == nil {
			return
		}
		m, ok := Parse(b)
		if !ok || m.Kind != Announce || to != s.addr || m.Quality.Clock != 0xae || m.Source.Clock != 0xae {
			t.Errorf("%+v to %v", m, to)
		}
		heard = append(heard, int(m.Quality.Priority1))
		if m.Quality.Priority1 > s.quality.Priority1 && wakes {
			s.asleep = false
		}
	}
	wakes = false
	w.after(0, tick)
	w.run(800 * time.Millisecond)
	if len(heard) > 0 {
		t.Errorf("woken at once: %v", heard)
	}
	w.run(20 * time.Second)
	if len(heard) != 8 || heard[0] != 247 || heard[1] != 249 {
		t.Errorf("heard %v", heard)
	}
	wakes = true
	w.run(20 * time.Second)
	if s.asleep || len(heard) != 10 {
		t.Errorf("asleep %v, heard %v", s.asleep, heard)
	}
	if wrong := w.wrong(t, s).Abs(); wrong > time.Millisecond {
		t.Errorf("off by %v", wrong)
	}
}

func TestHandleDoesNotAllocate(t *testing.T) {
	w := newWorld(uniform(100*time.Microsecond, 400*time.Microsecond))
	s := w.add(source{id: 5})
	w.run(5 * time.Second)
	sync := (&Message{Kind: Sync, Source: Port{5, 1}, Stamp: s.show(w.now)}).AppendTo(nil)
	out := make([]byte, 0, MaxSize)
	if n := testing.AllocsPerRun(200, func() {
		w.now = w.now.Add(125 * time.Millisecond)
		w.f.Handle(sync, s.addr, w.now, out)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFollower(f *testing.F) {
	f.Add((&Message{Kind: Sync}).AppendTo(nil), (&Message{Kind: Announce}).AppendTo(nil), (&Message{Kind: DelayResp}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		follower := NewFollower(7)
		from := netip.MustParseAddrPort("10.0.0.1:319")
		follower.Peers([]netip.Addr{from.Addr()})
		for n := range 12 {
			at := clock.Time(time.Duration(n+1) * 400 * time.Millisecond)
			for _, m := range [][]byte{a, b, c} {
				if q, to := follower.Handle(m, from, at, nil); q != nil {
					follower.Sent(to, at)
				}
			}
			follower.Local(0, clock.Remote(at))
			follower.Local(1, 0)
		}
	})
}
