package rollout

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fate is what an update will do to a device, which only the model knows.
type fate int

const (
	works fate = iota
	goesBack
	neverComesBack
)

// reference is a rollout as one would do it by hand with a list: it sees who
// installs and when, and knows everybody's fate.
type reference struct {
	plan     Plan
	fleet    int
	fates    map[string]fate
	installs map[string]int
	steps    map[int]int64 // when a ring began
	well     map[string]int64
}

// mayBegin tells whether a ring could begin now, with what has happened.
func (m *reference) mayBegin(ring int, now int64, meant []string) error {
	if ring == 0 {
		return nil
	}
	failed, newest := 0, int64(0)
	for _, id := range meant {
		at, well := m.well[id]
		switch {
		case well:
			newest = max(newest, at)
		case m.fates[id] == works:
			return fmt.Errorf("%s had not confirmed", id)
		default:
			failed++
		}
	}
	if allowed := max(m.plan.Failures, int(m.plan.Share*float64(len(meant)))); failed > allowed {
		return fmt.Errorf("%d had failed, %d were allowed", failed, allowed)
	}
	if now-newest < m.plan.Soak {
		return fmt.Errorf("the last had confirmed %d seconds ago", now-newest)
	}
	return nil
}

// TestModel rolls out to random fleets. Drivers die before or after they have
// kept a step, and another goes on with the document that was kept.
func TestModel(t *testing.T) {
	outcomes := map[State]int{}
	for seed := range uint64(100) {
		outcomes[model(t, seed)]++
		if t.Failed() {
			return
		}
	}
	if outcomes[Done] < 10 || outcomes[Halted] < 10 {
		t.Errorf("the random fleets are too much alike: %v", outcomes)
	}
}

func model(t *testing.T, seed uint64) State {
	random := rand.New(rand.NewPCG(seed, 7))
	m := &reference{fates: map[string]fate{}, installs: map[string]int{}, steps: map[int]int64{}, well: map[string]int64{}}
	m.plan = plan(func(p *Plan) {
		p.Soak, p.Patience = int64(random.IntN(100)), int64(200+random.IntN(400))
		p.Failures, p.Share = random.IntN(3), float64(random.IntN(10))/100
	})
	m.fleet = 1 + random.IntN(120)
	bad := random.Float64() * 0.15
	fleet := make([]Device, m.fleet)
	for i := range fleet {
		fleet[i] = Device{ID: fmt.Sprintf("tv%d-%d", seed, i), Online: true, Counter: 6, Confirmed: true}
		if random.Float64() < bad {
			m.fates[fleet[i].ID] = goesBack + fate(random.IntN(2))
		}
	}
	kept, err := New(fmt.Sprint("r", seed), "a", m.plan, Rollout{})
	if err != nil {
		t.Fatal(err)
	}
	ready := map[string]int64{} // when a device will have finished
	now := int64(1000)
	for range 4000 {
		now += int64(1 + random.IntN(8))
		driver := string(rune('a' + random.IntN(3)))
		doc := kept // as the present driver has read it
		meant := meantBy(&doc, fleet)
		if doc.Tick(time.Unix(now, 0), driver, fleet) && random.IntN(4) > 0 { // else it died before it kept it
			if len(doc.Steps) > len(kept.Steps) {
				s := doc.Steps[len(doc.Steps)-1]
				if _, twice := m.steps[s.Ring]; twice {
					t.Errorf("seed %d: ring %d began twice", seed, s.Ring)
				}
				m.steps[s.Ring] = now
				if err := m.mayBegin(s.Ring, now, meant); err != nil {
					t.Errorf("seed %d: ring %d began although %v", seed, s.Ring, err)
				}
				// Those that an update has cut off are meant, and do not stand for a ring.
				if most := max(1, int(float64(m.fleet)*m.plan.Rings[s.Ring])+1) + away(fleet); len(meantBy(&doc, fleet)) > most {
					t.Errorf("seed %d: ring %d has %d of %d devices", seed, s.Ring, len(meantBy(&doc, fleet)), m.fleet)
				}
			}
			kept = doc
		}
		for i := range fleet {
			d := &fleet[i]
			switch at, trying := ready[d.ID]; {
			case !trying && kept.Wants(d.ID) && random.IntN(3) == 0:
				m.installs[d.ID]++
				d.Begun = true
				ready[d.ID] = now + int64(random.IntN(100))
			case trying && now >= at && d.Failed == "" && d.Counter == 6:
				switch m.fates[d.ID] {
				case works:
					d.Counter, d.Confirmed = 7, true
					m.well[d.ID] = now
				case goesBack:
					d.Failed = "went back"
				case neverComesBack:
					d.Online = false
				}
			}
		}
		if kept.State == Done || kept.State == Halted {
			break
		}
	}
	for id, n := range m.installs {
		if n > 1 {
			t.Errorf("seed %d: %s installed %d times", seed, id, n)
		}
	}
	failed := 0
	for _, id := range meantBy(&kept, fleet) {
		if m.fates[id] != works && m.installs[id] > 0 {
			failed++
		}
	}
	allowed := max(m.plan.Failures, int(m.plan.Share*float64(len(meantBy(&kept, fleet)))))
	switch {
	case kept.State == Done && failed > allowed:
		t.Errorf("seed %d: done with %d failures, %d allowed", seed, failed, allowed)
	case kept.State == Halted && failed <= allowed:
		t.Errorf("seed %d: halted with %d failures, %d allowed: %s", seed, failed, allowed, kept.Reason)
	case kept.State == Running && len(m.well) > 0:
		t.Errorf("seed %d: it does not come to an end: %v", seed, kept.Count(fleet))
	}
	return kept.State
}

func away(fleet []Device) (n int) {
	for _, d := range fleet {
		if !d.Online {
			n++
		}
	}
	return n
}

func meantBy(r *Rollout, fleet []Device) (ids []string) {
	for _, d := range fleet {
		if r.Means(d.ID) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
