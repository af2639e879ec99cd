package playout

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"aerie/receiver/clock"
)

func TestPictures(t *testing.T) {
	var dropped []int
	q := Pictures[int]{Drop: func(p int) { dropped = append(dropped, p) }}
	expect := func(what string, now clock.Time, want int, wantDropped ...int) {
		t.Helper()
		got, ok := q.Take(now)
		if !ok {
			got = -1
		}
		if got != want || fmt.Sprint(dropped) != fmt.Sprint(wantDropped) {
			t.Errorf("%s: took %d, dropped %v; want %d, %v", what, got, dropped, want, wantDropped)
		}
		dropped = nil
	}
	if _, ok := q.Next(); ok {
		t.Error("an empty queue has a next picture")
	}
	q.Push(1, 100)
	q.Push(2, 200)
	q.Push(3, 300)
	if at, ok := q.Next(); !ok || at != 100 {
		t.Errorf("next at %v", at)
	}
	expect("too early", 99, -1)
	expect("one due", 150, 1)
	expect("two due: the newest", 300, 3, 2)
	expect("nothing left", 1000, -1)
	q.Push(4, 500)
	q.Push(5, 400) // a stamp that went back
	expect("replaced", 400, 5, 4)
	for i := range queueLength + 2 {
		q.Push(10+i, clock.Time(1000+i))
	}
	expect("full: the oldest went", 1000+queueLength+1, 10+queueLength+1, 10, 11, 12, 13, 14, 15, 16)
	if q.Overrun != 2 {
		t.Errorf("%d overruns", q.Overrun)
	}
	q.Push(20, 1)
	q.Clear()
	expect("cleared", 9999, -1, 20)
}

// Every picture that goes in comes out or is dropped, exactly once, and those
// that come out do so in order.
func TestPicturesLoseNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	seen := map[int]int{}
	q := Pictures[int]{Drop: func(p int) { seen[p]++ }}
	now, last := clock.Time(0), -1
	const n = 20_000
	for i := range n {
		q.Push(i, now+clock.Time(rng.IntN(100)-30))
		now += clock.Time(rng.IntN(20))
		if p, ok := q.Take(now); ok {
			seen[p]++
			if p <= last {
				t.Fatalf("picture %d after %d", p, last)
			}
			last = p
		}
	}
	q.Clear()
	for i := range n {
		if seen[i] != 1 {
			t.Fatalf("picture %d came out %d times", i, seen[i])
		}
	}
	if a := testing.AllocsPerRun(100, func() { q.Push(1, now); now++; q.Take(now) }); a != 0 {
		t.Errorf("%v allocations a picture", a)
	}
}
