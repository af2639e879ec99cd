package light

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lamp notes what it is told, and when.
type lamp struct {
	mu     sync.Mutex
	began  time.Time
	at     []time.Duration
	on     []bool
	broken error
	told   []error
}

func (l *lamp) set(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = append(l.at, time.Since(l.began))
	l.on = append(l.on, on)
	return l.broken
}

// when has something done while nothing happens to the lamp.
func (l *lamp) when(f func()) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// run plays a Light on a lamp, on simulated time.
func run(t *testing.T, test func(t *testing.T, l *Light, p *lamp)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, p := &Light{}, &lamp{began: time.Now()}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx, p.set, func(err error) { p.told = append(p.told, err) })
		}()
		test(t, l, p)
		cancel()
		<-done
		if p.on[len(p.on)-1] {
			t.Error("the light is left on")
		}
	})
}

// Every pattern is played as the table has it.
func TestPatterns(t *testing.T) {
	for s := range states {
		run(t, func(t *testing.T, l *Light, p *lamp) {
			l.Set(s, true)
			p.when(func() { p.began, p.at, p.on = time.Now(), nil, nil })
			time.Sleep(20 * time.Second)
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			want := time.Duration(0)
			for i := range p.at {
				// The first of the pattern was before.
				want += patterns[s][i%len(patterns[s])]
				if p.at[i] != want || p.on[i] != ((i+1)%len(patterns[s])%2 == 0) {
					t.Fatalf("%v: switch %d to %v at %v, not %v", s, i, p.on[i], p.at[i], want)
				}
			}
			if s != Ready && len(p.at) < 8 {
				t.Errorf("%v: switched %d times", s, len(p.at))
			}
		})
	}
}

// look is what an eye sees of a pattern.
type look struct {
	flashes int           // in a row
	period  time.Duration // of the whole
	uneven  bool          // flashes of different length
	steady  bool
	lit     float64 // part of the time
}

func lookOf(p Pattern) (v look) {
	if v.steady = len(p) == 1; v.steady {
		return v
	}
	var lit time.Duration
	for i, d := range p {
		v.period += d
		if i%2 == 0 {
			v.flashes++
			lit += d
			v.uneven = v.uneven || d > 2*p[0] || p[0] > 2*d
		}
	}
	v.lit = float64(lit) / float64(v.period)
	return v
}

// No two patterns look alike, and none flickers so fast that it seems steady or
// so slowly that one has to wait for it.
func TestPatternsDiffer(t *testing.T) {
	for a := range states {
		for i, d := range patterns[a] {
			if d < 40*ms || len(patterns[a])%2 != 0 && len(patterns[a]) != 1 || i > 9 {
				t.Errorf("%v: %v", a, patterns[a])
			}
		}
		for b := range a {
			x, y := lookOf(patterns[a]), lookOf(patterns[b])
			factor := float64(x.period) / max(float64(y.period), 1)
			if x.steady == y.steady && x.flashes == y.flashes && x.uneven == y.uneven && factor < 1.8 && factor > 1/1.8 {
				t.Errorf("%v and %v look alike: %+v, %+v", a, b, x, y)
			}
		}
	}
	if v := lookOf(patterns[Playing]); v.lit > 0.02 {
		t.Errorf("whoever watches a film sees the light %.0f %% of the time", v.lit*100)
	}
}

// Whatever states come and go, for a time or for good, the most important one
// that holds is shown, at once.
func TestModel(t *testing.T) {
	run(t, func(t *testing.T, l *Light, p *lamp) {
		r := rand.New(rand.NewPCG(1, 2))
		until := [states]time.Time{} // zero: it does not hold
		forever := time.Now().Add(1000 * time.Hour)
		for range 2000 {
			s := State(r.IntN(int(states)+2) - 1) // some that there are not
			known := s >= 0 && s < states
			switch r.IntN(3) {
			case 0:
				if l.Set(s, true); known {
					until[s] = forever
				}
			case 1:
				if l.Set(s, false); known {
					until[s] = time.Time{}
				}
			case 2:
				d := time.Duration(1+r.IntN(3000)) * ms
				if l.SetFor(s, d); known {
					until[s] = time.Now().Add(d)
				}
			}
			time.Sleep(time.Duration(r.IntN(2000))*ms + ms/2)
			synctest.Wait()
			want := Ready
			for s := range states {
				if time.Now().Before(until[s]) {
					want = s
				}
			}
			if got := l.Shown(); got != want {
				t.Fatalf("%v is shown, not %v", got, want)
			}
		}
		for s := range states {
			l.Set(s, false)
		}
		p.when(func() {
			if !p.on[len(p.on)-1] {
				t.Error("ready is not steadily on")
			}
		})
	})
}

// What is shown changes without waiting for the end of a pattern.
func TestAtOnce(t *testing.T) {
	run(t, func(t *testing.T, l *Light, p *lamp) {
		l.Set(Playing, true)
		time.Sleep(time.Second)
		n := 0
		p.when(func() { n = len(p.at) })
		l.Set(Failed, true)
		p.when(func() {
			if len(p.at) != n+1 || !p.on[n] {
				t.Errorf("switched %d times at once", len(p.at)-n)
			}
		})
		l.Set(NoNetwork, true) // less important: nothing to be seen
		p.when(func() {
			if len(p.at) != n+1 {
				t.Error("what is not shown disturbs what is")
			}
		})
	})
}

// A light that fails is told of once, tried again, and told of when it works.
func TestFailure(t *testing.T) {
	run(t, func(t *testing.T, l *Light, p *lamp) {
		l.Set(Booting, true)
		time.Sleep(time.Second)
		p.when(func() { p.broken = errors.New("torn off") })
		time.Sleep(time.Minute)
		p.when(func() { p.broken = nil })
		time.Sleep(time.Second)
		synctest.Wait()
		if got := fmt.Sprint(p.told); got != "[torn off <nil>]" {
			t.Errorf("told %s", got)
		}
	})
	for s := range states {
		if strings.TrimSpace(s.String()) == "" {
			t.Errorf("state %d has no name", s)
		}
	}
}
