package ota

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// releases is how many there are in this test, numbered from 1.
const releases = 6

// model is the simple idea of a device: what is where, and what is known of
// it. Slots are numbered 0 and 1, and 2 is the factory's.
type model struct {
	held          [2]int // release in each slot, negative if it is damaged; 0 for none
	link, started int
	starts        [releases + 1]int
	bad           [releases + 1]int // 0, or one of the following
	proven, floor int               // releases; 0 for the factory's
}

// What a release may be.
const (
	forGood   = 1 + iota // given up
	forNow               // given up, but may be installed by itself
	onceAgain            // it was, and may not be again
)

// gone tells that release n is not started.
func (m model) gone(n int) bool { return m.bad[n] == forGood || m.bad[n] == forNow }

// giveUp notes that release n is bad.
func (m *model) giveUp(n int, proved bool) {
	if m.bad[n] == 0 && proved {
		m.bad[n] = forNow
	} else {
		m.bad[n] = forGood
	}
	m.starts[n] = 0
}

func abs(n int) int { return max(n, -n) }

// installed is the release that the link names, 0 if there is none to speak of.
func (m model) installed() int {
	if m.link == 2 || m.gone(abs(m.held[m.link])) {
		return 0
	}
	return abs(m.held[m.link])
}

// takes tells whether release n is installed.
func (m model) takes(n int, byHand bool) bool {
	now := m.installed()
	switch {
	case n < m.floor, now == n, m.bad[n] == forGood && !byHand:
		return false
	case now == 0 || byHand:
		return true
	}
	return n > now && (m.proven == now || m.started != m.link)
}

// install returns the states that a device goes through; it is in the last
// when nothing goes wrong.
func (m model) install(n int) (steps []model) {
	free := 0
	switch {
	case m.started != 2:
		free = 1 - m.started
	case m.link != 2:
		free = 1 - m.link
	case abs(m.held[0]) == m.proven && m.held[0] != 0:
		free = 1
	}
	steps = append(steps, m)
	if m.held[free] != n {
		// The program and its description change one after the other.
		for _, h := range []int{-abs(m.held[free]), -n, n} {
			m.held[free] = h
			steps = append(steps, m)
		}
	}
	m.starts[n] = 0
	if m.bad[n] == forGood {
		m.bad[n] = 0
	} else if m.bad[n] != 0 {
		m.bad[n] = onceAgain
	}
	if m.proven == n {
		m.proven = 0
	}
	steps = append(steps, m)
	m.link = free
	return append(steps, m)
}

// choose returns the slot that is started. What is given up on the way is
// noted.
func (m *model) choose(except int) int {
	order := []int{m.link, 1 - m.link}
	if m.link == 2 {
		order = []int{0, 1}
	}
	for _, slot := range order {
		h := m.held[slot]
		n := abs(h)
		tries := Tries
		if n == m.proven {
			tries = ProvenTries
		}
		switch {
		case slot == except, h == 0, m.link == 2 && n != m.proven, m.gone(n):
		case m.starts[n] >= tries:
			m.giveUp(n, n == m.proven)
		case h > 0:
			return slot
		}
	}
	return 2
}

func (m model) launch() (steps []model) {
	steps = append(steps, m)
	m.started = m.choose(-1)
	if m.started != 2 {
		m.starts[m.held[m.started]]++
	}
	steps = append(steps, m)
	m.link = m.started
	return append(steps, m)
}

func (m model) sendBack() (steps []model) {
	if m.link == 2 {
		return []model{m}
	}
	steps = append(steps, m)
	if n := abs(m.held[m.link]); n != 0 {
		m.giveUp(n, false)
	}
	to := m.choose(m.link)
	steps = append(steps, m)
	m.link = to
	return append(steps, m)
}

func (m model) confirm() (steps []model) {
	steps = append(steps, m)
	if m.started == 2 || m.held[m.started] == 0 {
		return steps
	}
	n := abs(m.held[m.started])
	if m.gone(n) {
		return steps
	}
	m.proven, m.floor = n, max(m.floor, n)
	m.starts[n] = 0
	return append(steps, m)
}

func (m model) forgive() (steps []model) {
	steps = append(steps, m)
	if m.started != 2 {
		n := abs(m.held[m.started])
		m.starts[n] = max(m.starts[n]-1, 0)
	}
	return append(steps, m)
}

// program is what the next start takes.
func (m model) program() string {
	steps := m.launch()
	if last := steps[len(steps)-1]; last.started != 2 {
		return fmt.Sprint(last.held[last.started])
	}
	return "factory"
}

// act does one thing at random to a device and to each of the models that it
// may be like.
func act(t *testing.T, random *rand.Rand, d *disk, worlds []model) (what string, do func(*Store) error, after [][]model) {
	t.Helper()
	each := func(f func(model) []model) {
		for _, m := range worlds {
			after = append(after, f(m))
		}
	}
	switch r := random.IntN(100); {
	case r < 35:
		each(model.launch)
		return "launch", launched, after
	case r < 50:
		each(model.confirm)
		return "confirm", func(s *Store) error { return s.Confirm(s.Status("").Slot) }, after
	case r < 55:
		each(model.forgive)
		return "forgive", func(s *Store) error { return s.Forgive(s.Status("").Slot) }, after
	case r < 60:
		each(model.sendBack)
		return "send back", func(s *Store) error { _, err := s.SendBack(); return err }, after
	case r < 65:
		slot := random.IntN(2)
		for i := range worlds {
			worlds[i].held[slot] = -abs(worlds[i].held[slot])
		}
		if n := d.view[binaryName([]Slot{A, B}[slot])]; n != nil {
			d.put(binaryName([]Slot{A, B}[slot]), strings.ToUpper(string(n.now)))
		}
		each(func(m model) []model { return []model{m} })
		return fmt.Sprint("damage slot ", slot), func(*Store) error { return nil }, after
	}
	n, byHand := 1+random.IntN(releases), random.IntN(3) == 0
	each(func(m model) []model {
		if !m.takes(n, byHand) {
			return []model{m}
		}
		return m.install(n)
	})
	return fmt.Sprintf("install %d, by hand %v", n, byHand), func(s *Store) error {
		u := update(n)
		u.ByHand = byHand
		err := s.Install(context.Background(), u)
		took := len(after[0]) > 1
		if len(worlds) == 1 && (err == nil) != took && !errors.Is(err, errPower) {
			return fmt.Errorf("taken: %w, want %v", err, took)
		}
		return err
	}, after
}

// TestModel lives random lives, with the power cut now and then: what is
// started is what the model says. After a cut, the device may be in any of the
// states that it goes through; what it starts shows in which.
func TestModel(t *testing.T) {
	cuts := 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 0))
		d := newDisk()
		if err := launched(storeOn(d)); err != nil {
			t.Fatal(err)
		}
		worlds := []model{{link: 2, started: 2}}
		var history []string
		for range 50 {
			what, do, after := act(t, random, d, worlds)
			cut := random.IntN(4) == 0
			if cut {
				d.failAt, d.cut, d.err = d.operations+1+random.IntN(40), true, errPower
				what += fmt.Sprintf(", cut in %d", d.failAt-d.operations)
			}
			history = append(history, what)
			err := do(storeOn(d))
			cut = cut && d.operations >= d.failAt
			d.cut, d.failAt = false, 0
			if err != nil && strings.Contains(err.Error(), "taken") && !cut {
				t.Fatalf("seed %d: %v after\n%s", seed, err, strings.Join(history, "\n"))
			}
			next := map[model]bool{}
			for _, steps := range after {
				if !cut {
					steps = steps[len(steps)-1:]
				}
				for _, m := range steps {
					next[m] = true
				}
			}
			if cut {
				cuts++
				found := d.afterPowerLoss()
				d = found[random.IntN(len(found))]
			}
			got := started(t, d.copy())
			worlds = worlds[:0]
			var said []string
			for m := range next {
				if said = append(said, m.program()); said[len(said)-1] == got {
					worlds = append(worlds, m)
				}
			}
			if len(worlds) == 0 {
				t.Fatalf("seed %d: %s is started (%v), and the model says %v, after\n%s\n%v", seed, got, err, said, strings.Join(history, "\n"), d)
			}
			// Always the same life of a seed.
			slices.SortFunc(worlds, func(a, b model) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	if cuts < 100 {
		t.Errorf("only %d cuts", cuts)
	}
}
