package service

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// TestLease has instances come and go, lose their connections without noticing
// and run on clocks that drift. There are never two that drive, and soon one.
func TestLease(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 5))
		o := Lease{}.orDefault()
		type member struct {
			lease
			up, reaches bool
			drift       float64
			zero        int64
		}
		var all []*member
		for i := range 4 {
			all = append(all, &member{lease: lease{o: o, id: fmt.Sprint(i)}, drift: 1 + (random.Float64()-0.5)/1000, zero: random.Int64N(1e15)})
		}
		local := func(m *member, now time.Duration) clock.Time {
			return clock.Time(m.zero + int64(float64(now)*m.drift))
		}
		quiet, driven := time.Duration(0), false
		for now := time.Duration(0); now < 20*time.Minute; now += 250 * time.Millisecond {
			if random.IntN(400) == 0 && now < 18*time.Minute {
				m := all[random.IntN(len(all))]
				switch quiet = now; {
				case !m.up: // it starts and connects
					m.up, m.reaches = true, true
					m.lease = lease{o: o, id: m.id, heard: map[string]clock.Time{}}
					m.connected(local(m, now))
				case random.IntN(2) == 0: // it dies
					m.up = false
				case m.reaches: // its cable is pulled, which it does not notice
					m.reaches = false
				default: // it has noticed, and comes back
					m.reaches = true
					m.lost()
					m.connected(local(m, now))
				}
			}
			for _, m := range all {
				if !m.up || !m.beatDue(local(m, now)) {
					continue
				}
				m.beaten(local(m, now))
				if !m.reaches {
					continue
				}
				for _, other := range all {
					if other.up && other.reaches {
						other.hear(local(other, now), m.id)
					}
				}
			}
			drivers, reachable := 0, 0
			for _, m := range all {
				if m.up && m.drives(local(m, now)) {
					drivers++
				}
				if m.up && m.reaches {
					reachable++
				}
			}
			if drivers > 1 {
				t.Fatalf("seed %d: %d drive after %v", seed, drivers, now)
			}
			driven = driven || drivers == 1
			if drivers == 0 && reachable > 0 && now > quiet+2*o.Settle+o.Beat {
				t.Fatalf("seed %d: nobody drives after %v, and %v of quiet", seed, now, now-quiet)
			}
		}
		if !driven {
			t.Fatalf("seed %d: nobody ever drove", seed)
		}
	}
}
