package press

import (
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// Every length of a press means what it should, and is seen to.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		held  time.Duration
		stage Stage
		event Event
	}{
		{time.Millisecond, Pressed, Short},
		{time.Second, Pressed, Short},
		{ShortTime, Pressed, Short},
		{ShortTime + 1, Pressed, None},
		{WarnTime - 1, Pressed, None},
		{WarnTime, Warned, None},
		{LongTime - 1, Warned, None},
		{LongTime, Armed, Reset},
		{StuckTime - 1, Armed, Reset},
		{StuckTime, Stuck, None},
		{1000 * time.Hour, Stuck, None},
	} {
		for _, ticks := range []bool{true, false} { // the second: the machine was busy
			b := &Button{}
			start := clock.Time(12345)
			b.Change(start, true)
			for ticks {
				at, ok := b.Due()
				if !ok || at > start.Add(c.held) {
					break
				}
				b.Tick(at)
			}
			if ticks && b.Stage() != c.stage {
				t.Errorf("after %v: %v, want %v", c.held, b.Stage(), c.stage)
			}
			if got := b.Change(start.Add(c.held), false); got != c.event || b.Stage() != Idle {
				t.Errorf("%v: event %v, want %v", c.held, got, c.event)
			}
			if _, ok := b.Due(); ok {
				t.Error("something is due though the button is up")
			}
		}
	}
}

// Contacts that are worn make two presses of one; two that are meant are two.
func TestGap(t *testing.T) {
	for _, c := range []struct {
		up   time.Duration
		want Event
	}{{gap - 1, None}, {gap, Short}} {
		b := &Button{}
		now := clock.Time(1)
		b.Change(now, true)
		now = now.Add(time.Second)
		if e := b.Change(now, false); e != Short {
			t.Errorf("the first is %v", e)
		}
		now = now.Add(c.up)
		b.Change(now, true)
		if e := b.Change(now.Add(time.Second), false); e != c.want {
			t.Errorf("%v later the second is %v", c.up, e)
		}
	}
}

// A stuck button does nothing, and works again once it is up.
func TestStuck(t *testing.T) {
	b := &Button{}
	b.Change(1, true)
	now := clock.Time(1)
	for range 10 {
		at, ok := b.Due()
		if !ok {
			break
		}
		now = at
		b.Tick(now)
	}
	if b.Stage() != Stuck {
		t.Fatalf("stage %v", b.Stage())
	}
	if e := b.Change(now.Add(time.Hour), false); e != None {
		t.Errorf("event %v", e)
	}
	now = now.Add(2 * time.Hour)
	b.Change(now, true)
	if e := b.Change(now.Add(time.Second), false); e != Short {
		t.Errorf("afterwards a press is %v", e)
	}
}

// Random presses against what they are by their length; however fast they come,
// short ones are not more than some in a second.
func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := &Button{}
	now, shorts := clock.Time(1), 0
	var first clock.Time
	for range 5000 {
		held := time.Duration(r.Int64N(int64([]time.Duration{50 * time.Millisecond, 3 * time.Second, 40 * time.Second}[r.IntN(3)])))
		up := time.Duration(r.Int64N(int64([]time.Duration{time.Millisecond, time.Second}[r.IntN(2)])))
		b.Change(now, true)
		if r.IntN(2) == 0 {
			b.Change(now, true) // twice is once
		}
		began := now
		for n := 0; ; n++ {
			at, ok := b.Due()
			if !ok || at > began.Add(held) {
				break
			}
			if n > 5 {
				t.Fatal("always something to do")
			}
			b.Tick(at)
		}
		now = now.Add(held)
		got := b.Change(now, false)
		if b.Change(now, false) != None {
			t.Error("a button that is up comes up")
		}
		switch {
		case held >= LongTime && held < StuckTime:
			if got != Reset {
				t.Fatalf("%v: %v", held, got)
			}
		case got == Reset:
			t.Fatalf("%v resets", held)
		case held > ShortTime && got != None:
			t.Fatalf("%v: %v", held, got)
		case got == Short:
			if shorts++; shorts == 1 {
				first = now
			}
		}
		now = now.Add(up)
	}
	if most := int(now.Sub(first)/gap) + 1; shorts > most || shorts < 500 {
		t.Errorf("%d short presses in %v", shorts, now.Sub(first))
	}
}
