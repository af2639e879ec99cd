package clock

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a pair of clocks and a network between them.
type world struct {
	rng    *rand.Rand
	now    Time
	offset time.Duration // remote - local at local time 0
	drift  float64
	trip   func(*rand.Rand) (there, back time.Duration)
}

func (w *world) remote(t Time) Remote {
	return Remote(t).Add(w.offset + time.Duration(float64(t)*w.drift))
}

// exchange makes one NTP exchange at the present instant.
func (w *world) exchange() (t0 Time, t1, t2 Remote, t3 Time) {
	there, back := w.trip(w.rng)
	t0 = w.now
	arrive := t0.Add(there)
	leave := arrive.Add(50 * time.Microsecond)
	return t0, w.remote(arrive), w.remote(leave), leave.Add(back)
}

func symmetric(low, high time.Duration) func(*rand.Rand) (time.Duration, time.Duration) {
	return func(r *rand.Rand) (time.Duration, time.Duration) {
		d := low + time.Duration(r.ExpFloat64()*float64(high-low))
		return d, d
	}
}

func wifi(r *rand.Rand) (time.Duration, time.Duration) {
	ms := float64(time.Millisecond)
	there := time.Duration(1.5*ms + r.ExpFloat64()*4*ms)
	back := time.Duration(1.5*ms + r.ExpFloat64()*4*ms)
	if r.IntN(20) == 0 {
		back += 150 * time.Millisecond // a phone that dozes
	}
	return there, back
}

func TestFilterOnSimulatedNetworks(t *testing.T) {
	networks := map[string]struct {
		trip  func(*rand.Rand) (time.Duration, time.Duration)
		error time.Duration // of the estimate, after a minute
		drift float64       // error of the drift, after three minutes
	}{
		"loopback":   {symmetric(20*time.Microsecond, 40*time.Microsecond), 60 * time.Microsecond, 2e-6},
		"cable":      {symmetric(200*time.Microsecond, 400*time.Microsecond), 300 * time.Microsecond, 4e-6},
		"wireless":   {wifi, 3 * time.Millisecond, 25e-6},
		"asymmetric": {func(*rand.Rand) (time.Duration, time.Duration) { return 1 * time.Millisecond, 5 * time.Millisecond }, 2200 * time.Microsecond, 5e-6},
	}
	for name, n := range networks {
		for _, drift := range []float64{0, 80e-6, -80e-6} {
			t.Run(fmt.Sprintf("%s/%+.0f ppm", name, drift*1e6), func(t *testing.T) {
				w := &world{rng: rand.New(rand.NewPCG(7, 9)), now: 5e9, offset: -40 * time.Hour, drift: drift, trip: n.trip}
				var f Filter
				for i := range 120 {
					f.Add(w.exchange())
					e := f.Estimate(w.now)
					wrong := e.Remote.Sub(w.remote(w.now))
					if wrong.Abs() > e.Error {
						t.Fatalf("exchange %d: off by %v, bound %v", i, wrong, e.Error)
					}
					if i > 20 && wrong.Abs() > n.error {
						t.Errorf("exchange %d: off by %v", i, wrong)
					}
					if i > 60 && (e.Drift-drift > n.drift || drift-e.Drift > n.drift) {
						t.Errorf("exchange %d: drift %.1f ppm, truth %.1f", i, e.Drift*1e6, drift*1e6)
					}
					// The mapping and its inverse agree between exchanges.
					later := w.now.Add(1500 * time.Millisecond)
					if back := e.ToLocal(e.ToRemote(later)).Sub(later); back.Abs() > 100 {
						t.Errorf("there and back again moves by %v", back)
					}
					if wrong := e.ToRemote(later).Sub(w.remote(later)); wrong.Abs() > e.ErrorAt(later) {
						t.Errorf("1.5 s later off by %v, bound %v", wrong, e.ErrorAt(later))
					}
					w.now = w.now.Add(3 * time.Second)
				}
			})
		}
	}
}

func TestFilterFollowsAStep(t *testing.T) {
	w := &world{rng: rand.New(rand.NewPCG(1, 1)), now: 1e9, trip: symmetric(time.Millisecond, 2*time.Millisecond)}
	var f Filter
	for range 20 {
		f.Add(w.exchange())
		w.now = w.now.Add(3 * time.Second)
	}
	w.offset += time.Hour
	if f.Add(w.exchange()) {
		t.Error("the first contradiction was believed")
	}
	w.now = w.now.Add(3 * time.Second)
	if !f.Add(w.exchange()) {
		t.Fatal("the second contradiction was not believed")
	}
	e := f.Estimate(w.now)
	if wrong := e.Remote.Sub(w.remote(w.now)); wrong.Abs() > e.Error {
		t.Errorf("after the step off by %v, bound %v", wrong, e.Error)
	}
}

func TestFilterIgnoresOneLie(t *testing.T) {
	w := &world{rng: rand.New(rand.NewPCG(1, 1)), now: 1e9, trip: symmetric(time.Millisecond, 2*time.Millisecond)}
	var f Filter
	for i := range 40 {
		t0, t1, t2, t3 := w.exchange()
		if i%2 == 1 {
			t1, t2 = t1.Add(time.Minute), t2.Add(time.Minute)
		}
		f.Add(t0, t1, t2, t3)
		if wrong := f.Estimate(w.now).Remote.Sub(w.remote(w.now)); wrong.Abs() > 5*time.Millisecond {
			t.Fatalf("exchange %d: off by %v", i, wrong)
		}
		w.now = w.now.Add(3 * time.Second)
	}
}

func TestFilterRefusesTheImpossible(t *testing.T) {
	var f Filter
	for name, ok := range map[string]bool{
		"answered before it was asked": f.Add(1000, 0, 0, 999),
		"held longer than the trip":    f.Add(0, 0, Remote(time.Second), Time(time.Millisecond)),
		"left before it arrived":       f.Add(0, 1000, 0, 2000),
		"took too long":                f.Add(0, 0, 0, Time(3*time.Second)),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
	if e := f.Estimate(0); e.Source != None {
		t.Errorf("an estimate out of nothing: %+v", e)
	}
}

func TestArrivalUntilTheFirstAnswer(t *testing.T) {
	var s Sender
	rng := rand.New(rand.NewPCG(2, 2))
	w := &world{offset: time.Hour, now: 1e9}
	// Packets take 5 ms and more: the fastest one makes the estimate.
	for range 600 {
		s.Arrived(w.remote(w.now), w.now.Add(5*time.Millisecond+time.Duration(rng.Int64N(int64(30*time.Millisecond)))))
		w.now = w.now.Add(16667 * time.Microsecond)
	}
	e := s.Estimate()
	if wrong := e.ToRemote(w.now).Sub(w.remote(w.now)); e.Source != Arrival || wrong > -5*time.Millisecond || wrong < -7*time.Millisecond {
		t.Errorf("%v, off by %v", e.Source, wrong)
	}
	w.trip, w.rng = symmetric(100*time.Microsecond, 100*time.Microsecond), rng
	s.Exchange(w.exchange())
	s.Arrived(w.remote(w.now), w.now.Add(time.Second))
	e = s.Estimate()
	if wrong := e.ToRemote(w.now).Sub(w.remote(w.now)); e.Source != NTP || wrong.Abs() > e.ErrorAt(w.now) {
		t.Errorf("%v, off by %v", e.Source, wrong)
	}
}

// A sender whose clock is slow must not drag the envelope along for ever, nor
// one packet that came too early.
func TestEnvelopeForgets(t *testing.T) {
	var e envelope
	e.add(0, -time.Hour)
	var got time.Duration
	for i := range 300 {
		got = e.add(Time(i)*Time(100*time.Millisecond), time.Duration(i)*time.Microsecond)
	}
	if got < 50*time.Microsecond {
		t.Errorf("after 30 s the envelope is still at %v", got)
	}
}

func BenchmarkFilter(b *testing.B) {
	w := &world{rng: rand.New(rand.NewPCG(7, 9)), now: 5e9, trip: wifi}
	var s Sender
	b.ReportAllocs()
	for b.Loop() {
		s.Exchange(w.exchange())
		w.now = w.now.Add(3 * time.Second)
	}
}
