package playout

import (
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// stream runs n pictures through a Delay; late draws how late each is ready.
func stream(d *Delay, at *clock.Time, n int, late func() time.Duration) (missed int) {
	for range n {
		l := late()
		if l > d.Value() {
			missed++
		}
		d.Ready(*at, at.Add(l))
		*at = at.Add(16667 * time.Microsecond)
	}
	return missed
}

func TestDelayFollowsTheNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	loopback := func() time.Duration { return 4*time.Millisecond + time.Duration(rng.ExpFloat64()*3e5) }
	wireless := func() time.Duration { return 40*time.Millisecond + time.Duration(rng.ExpFloat64()*1.5e7) }
	var d Delay
	at := clock.Time(1e9)
	stream(&d, &at, 60, loopback)
	if v := d.Value(); v < 4*time.Millisecond || v > 8*time.Millisecond {
		t.Errorf("on loopback %v", v)
	}
	stream(&d, &at, 120, wireless)
	if v := d.Value(); v < 60*time.Millisecond || v > 140*time.Millisecond {
		t.Errorf("on a bad network %v", v)
	}
	if missed := stream(&d, &at, 1000, wireless); missed > 100 {
		t.Errorf("%d of 1000 pictures not ready in time", missed)
	}
	high := d.Value()
	stream(&d, &at, 60, loopback)
	if d.Value() > high {
		t.Error("the delay grew on a good network")
	}
	if fell := high - d.Value(); fell > 3*time.Millisecond {
		t.Errorf("it fell by %v in a second: sound cannot follow unheard", fell)
	}
	stream(&d, &at, 60*90, loopback)
	if v := d.Value(); v > 8*time.Millisecond {
		t.Errorf("a minute and a half later still %v", v)
	}
}

func TestDelayIsBounded(t *testing.T) {
	at := clock.Time(1e9)
	d := Delay{Min: 20 * time.Millisecond, Max: 100 * time.Millisecond}
	if v := d.Value(); v != 20*time.Millisecond {
		t.Errorf("before the first picture %v", v)
	}
	stream(&d, &at, 100, func() time.Duration { return 3 * time.Second })
	if v := d.Value(); v != 100*time.Millisecond {
		t.Errorf("under a hopeless network %v", v)
	}
	// A sender that stamps pictures with the instant they are to be shown.
	d = Delay{}
	stream(&d, &at, 100, func() time.Duration { return -90 * time.Millisecond })
	if v := d.Value(); v != 0 {
		t.Errorf("with stamps in the future %v", v)
	}
	d.Reset()
	if d.Value() != 0 {
		t.Error("a reset left something")
	}
}

// Latency never grows: an hour of the same network ends where it began.
func TestDelayDoesNotCreep(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var d Delay
	at := clock.Time(1e9)
	late := func() time.Duration { return 10*time.Millisecond + time.Duration(rng.ExpFloat64()*2e6) }
	stream(&d, &at, 1000, late)
	var early, end time.Duration
	for range 100 {
		stream(&d, &at, 60, late)
		early += d.Value()
	}
	stream(&d, &at, 60*60*60, late)
	for range 100 {
		stream(&d, &at, 60, late)
		end += d.Value()
	}
	if end > early+early/20 {
		t.Errorf("mean delay %v at first, %v an hour later", early/100, end/100)
	}
}

func TestDelayDoesNotAllocate(t *testing.T) {
	var d Delay
	at := clock.Time(1e9)
	if n := testing.AllocsPerRun(1000, func() { stream(&d, &at, 1, func() time.Duration { return 1e6 }) }); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
}
