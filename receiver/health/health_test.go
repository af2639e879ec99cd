package health

import (
	"errors"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// run checks a monitor every second of simulated time, calling each before
// every check, and returns the first error with the time it came after.
func run(m *Monitor, length time.Duration, each func()) (after time.Duration, err error) {
	start := max(m.last, 1)
	for ; after <= length; after += time.Second {
		if each != nil {
			each()
		}
		if err = m.Check(start.Add(after)); err != nil {
			return after, err
		}
	}
	return after, nil
}

// stuckIn tells whether the error names the part and no other.
func stuckIn(err error, name string) bool {
	var all AllStuck
	return errors.As(err, &all) && len(all) == 1 && all[0].Name == name
}

func TestPulse(t *testing.T) {
	var m Monitor
	var p Pulse
	m.Watch("loop", 15*time.Second, p.Progress)
	if _, err := run(&m, 4*time.Hour, p.Beat); err != nil {
		t.Fatalf("a loop that goes round: %v", err)
	}
	after, err := run(&m, time.Minute, nil)
	if !stuckIn(err, "loop") || after < 14*time.Second || after > 17*time.Second {
		t.Fatalf("a loop that stands still: %v after %v", err, after)
	}
	if m.Err() == nil {
		t.Error("Err forgets what Check found")
	}
	p.Beat()
	if _, err := run(&m, 10*time.Second, nil); err != nil || m.Err() != nil {
		t.Errorf("a loop that goes on: %v", err)
	}
}

func TestWork(t *testing.T) {
	var m Monitor
	var w Work
	m.Watch("decoder", 10*time.Second, w.Progress)
	if _, err := run(&m, 4*time.Hour, nil); err != nil {
		t.Fatalf("nothing to do: %v", err)
	}
	if _, err := run(&m, time.Minute, func() { w.Begin(); w.End() }); err != nil {
		t.Fatalf("work that is done: %v", err)
	}
	w.Begin()
	if _, err := run(&m, time.Minute, func() { w.End(); w.Begin() }); err != nil {
		t.Fatalf("work that is never over but goes on: %v", err)
	}
	if after, err := run(&m, time.Minute, nil); !stuckIn(err, "decoder") || after > 12*time.Second {
		t.Fatalf("work that hangs: %v after %v", err, after)
	}
}

func TestCall(t *testing.T) {
	var m Monitor
	for range 100 {
		end := m.Begin("request", 10*time.Second)
		if _, err := run(&m, 5*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		end()
	}
	end := m.Begin("request", 10*time.Second)
	if _, err := run(&m, time.Minute, nil); !stuckIn(err, "request") {
		t.Fatalf("a call that does not return: %v", err)
	}
	end()
	if _, err := run(&m, time.Minute, nil); err != nil || len(m.parts) != 0 {
		t.Fatalf("what is forgotten is still watched: %v", err)
	}
}

// What is owed is added up, and begins anew with each bit of progress.
func TestProgressInBits(t *testing.T) {
	var m Monitor
	var p Progress
	m.Watch("display", 15*time.Second, func() Progress { return p })
	p.Owing = true
	for range 50 {
		if _, err := run(&m, 12*time.Second, nil); err != nil {
			t.Fatalf("slow but moving: %v", err)
		}
		p.Mark++
	}
	for range 50 {
		if _, err := run(&m, 12*time.Second, nil); err != nil {
			t.Fatalf("unplugged and plugged in: %v", err)
		}
		p.Owing = false
		m.Check(m.last + 1)
		p.Owing = true
	}
}

// A machine that was stopped for an hour has hung nothing.
func TestPauseOfTheWholeMachine(t *testing.T) {
	var m Monitor
	var p Pulse
	m.Watch("loop", 15*time.Second, p.Progress)
	for range 10 {
		if _, err := run(&m, 10*time.Second, p.Beat); err != nil {
			t.Fatal(err)
		}
		if err := m.Check(m.last.Add(time.Hour)); err != nil {
			t.Fatalf("right after a pause: %v", err)
		}
	}
	if err := m.Check(m.last.Add(-time.Hour)); err != nil {
		t.Fatalf("a clock that goes back: %v", err)
	}
}

func TestAllThatIsStuckIsNamed(t *testing.T) {
	var m Monitor
	for _, name := range []string{"b", "a", "c"} {
		m.Begin(name, 3*time.Second)
	}
	_, err := run(&m, time.Minute, nil)
	if want := "a: no progress for 3s; b: no progress for 3s; c: no progress for 3s"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Parts come and go while checks run.
func TestMonitorOnManyGoroutines(t *testing.T) {
	var m Monitor
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				end := m.Begin("request", time.Hour)
				_ = m.Err()
				end()
			}
		})
	}
	for i := range 500 {
		if err := m.Check(clock.Time(i + 1)); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func BenchmarkWork(b *testing.B) {
	var w Work
	for b.Loop() {
		w.Begin()
		w.End()
	}
	if n := testing.AllocsPerRun(100, func() { w.Begin(); w.End() }); n != 0 {
		b.Errorf("%v allocations", n)
	}
}
