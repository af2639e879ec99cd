package pairing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// kinds lists actions for comparison.
func kinds(all []Action) string {
	var s []string
	for _, a := range all {
		s = append(s, a.Kind.String())
	}
	return strings.Join(s, " ")
}

// until ticks a service through time and returns what it did.
func until(s *Service, now *clock.Time, end clock.Time) (all []Action) {
	for {
		next, ok := s.Next()
		if !ok || next > end {
			*now = end
			return all
		}
		*now = next
		all = append(all, s.Tick(next)...)
	}
}

func TestServiceOffers(t *testing.T) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random()})
	var now clock.Time
	request := Reported{RunID: seedRun, Pool: "pool"}
	report := func(r Reported) string {
		news, err := s.Reported(now, "d", r)
		if err != nil {
			return err.Error()
		}
		return kinds(news)
	}
	if got := report(request); got != "" {
		t.Errorf("news: %s", got)
	}
	// Doubled requests have one offer, within the jitter.
	report(request)
	if got := until(s, &now, now.Add(Jitter)); kinds(got) != "offer" || got[0].Volunteer != (Volunteer{seedRun, seedService}) {
		t.Errorf("%v", got)
	}
	// Repeated ones another, but not one for each message of a flood.
	for range 1000 {
		report(request)
	}
	if got := until(s, &now, at(20*time.Second)); kinds(got) != "offer" {
		t.Errorf("offers to a flood: %s", kinds(got))
	}
	// A new run is offered at once.
	report(Reported{RunID: other, Pool: "pool"})
	if got := until(s, &now, now.Add(Jitter)); kinds(got) != "offer" || got[0].RunID != other {
		t.Errorf("%v", got)
	}
	// Who has chosen another is left alone.
	report(request)
	report(Reported{RunID: seedRun, Pool: "pool", Service: other})
	if got := until(s, &now, now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("to another's device: %s", kinds(got))
	}
}

func TestServiceKeepsItsDevices(t *testing.T) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random()})
	var now clock.Time
	mine := Reported{RunID: seedRun, Pool: "pool", Service: seedService}
	expect := func(what string, news []Action, err error, want string) {
		t.Helper()
		if err != nil || kinds(news) != want {
			t.Errorf("%s: %q, %v, want %q", what, kinds(news), err, want)
		}
	}
	// Also one that it knows nothing of: it chose this service before that
	// started again.
	news, err := s.Reported(now, "d", mine)
	expect("chosen", news, err, "chosen")
	news, err = s.Reported(now, "d", mine)
	expect("chosen again", news, err, "")
	begun, last := now, now
	for _, a := range until(s, &now, now.Add(10*time.Minute)) {
		if a.Kind != Heartbeat || a.Device != "d" || a.RunID != seedRun {
			t.Fatalf("%v", a)
		}
	}
	for end := now.Add(10 * time.Minute); now < end; {
		next, _ := s.Next()
		if now > begun.Add(11*time.Minute) && next.Sub(last) > HeartbeatEvery {
			t.Fatalf("%v without a sign of life", next.Sub(last))
		}
		now, last = next, next
		s.Tick(now)
	}
	// Offline for a moment is nothing, for longer it is lost.
	expect("offline", s.Presence(now, "d", false), nil, "")
	until(s, &now, now.Add(30*time.Second))
	expect("back", s.Presence(now, "d", true), nil, "")
	expect("offline", s.Presence(now, "d", false), nil, "")
	if got := kinds(until(s, &now, now.Add(3*time.Minute))); !strings.HasSuffix(got, "lost") || s.Mine("d") {
		t.Errorf("offline for minutes: %s", got)
	}
	expect("back after all", s.Presence(now, "d", true), nil, "chosen")
	// Another run has not chosen.
	news, err = s.Reported(now, "d", Reported{RunID: other, Pool: "pool"})
	expect("unpaired", news, err, "unpaired")
	news, err = s.Reported(now, "d", Reported{RunID: other, Pool: "pool", Service: seedService})
	expect("chosen", news, err, "chosen")
	news, err = s.Reported(now, "d", mine)
	expect("chosen by another run", news, err, "chosen")
	news, err = s.Reported(now, "d", Reported{RunID: seedRun, Pool: "pool", Service: other})
	expect("left for another", news, err, "unpaired")
	if got := until(s, &now, now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("signs of life for another's device: %s", kinds(got))
	}
	news, err = s.Reported(now, "d", mine)
	expect("chosen", news, err, "chosen")
	expect("forgotten", s.Forget("d"), nil, "unpaired")
	expect("forgotten twice", s.Forget("d"), nil, "")
}

func TestPoolsDoNotMix(t *testing.T) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random()})
	for _, r := range []Reported{{seedRun, "other", ""}, {seedRun, "other", seedService}, {seedRun, "", ""}} {
		if news, err := s.Reported(0, "d", r); len(news) != 0 || !errors.Is(err, ErrPool) {
			t.Errorf("%v: %v, %v", r, news, err)
		}
	}
	if s.Known() != 0 {
		t.Error("it remembers others' devices")
	}
	// One that moves is left.
	_, _ = s.Reported(0, "d", Reported{seedRun, "pool", seedService})
	if news, err := s.Reported(0, "d", Reported{seedRun, "other", seedService}); kinds(news) != "unpaired" || !errors.Is(err, ErrPool) || s.Known() != 0 {
		t.Errorf("%v, %v", news, err)
	}
	if _, ok := s.Next(); ok {
		t.Error("something is due for it")
	}
}

func TestTooManyDevices(t *testing.T) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random(), MaxDevices: 10})
	refused := 0
	for i := range 15 {
		if _, err := s.Reported(0, fmt.Sprint("d", i), Reported{seedRun, "pool", ""}); errors.Is(err, ErrTooMany) {
			refused++
		}
	}
	if refused != 5 || s.Known() != 10 {
		t.Errorf("%d refused, %d known", refused, s.Known())
	}
}

func TestOfflineDevicesAreOfferedNothing(t *testing.T) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random()})
	var now clock.Time
	_, _ = s.Reported(now, "d", Reported{seedRun, "pool", ""})
	s.Presence(now, "d", false)
	if got := until(s, &now, now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("%s", kinds(got))
	}
	s.Presence(now, "d", true)
	if got := until(s, &now, now.Add(Jitter)); kinds(got) != "offer" {
		t.Errorf("back: %s", kinds(got))
	}
	if s.Presence(now, "stranger", true) != nil || s.Known() != 1 {
		t.Error("a device that never reported is known")
	}
}

func BenchmarkService(b *testing.B) {
	s := NewService(ServiceOptions{ID: seedService, Pool: "pool", Random: random()})
	var now clock.Time
	for i := range 10_000 {
		_, _ = s.Reported(now, fmt.Sprint("device ", i), Reported{seedRun, "pool", seedService})
	}
	for b.Loop() {
		now, _ = s.Next()
		s.Tick(now)
	}
}
