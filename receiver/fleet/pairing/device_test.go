package pairing

import (
	"errors"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func at(d time.Duration) clock.Time { return clock.Time(d) }

const other = "00000000-0000-4000-8000-000000000001"

func TestRequestIsRepeated(t *testing.T) {
	d := NewDevice("pool", seedRun)
	var said []time.Duration
	for now := time.Duration(0); now < 2*time.Minute; now += time.Second {
		if report, lost := d.Tick(at(now)); report {
			said = append(said, now)
		} else if lost != "" {
			t.Errorf("lost %q", lost)
		}
	}
	if len(said) != 4 || said[0] != 0 || said[3] != 90*time.Second || d.Next() != at(2*time.Minute) {
		t.Errorf("asks at %v", said)
	}
}

func TestWhoIsIgnored(t *testing.T) {
	d := NewDevice("pool", seedRun)
	d.Tick(0)
	for _, c := range []struct {
		v    Volunteer
		want error
	}{
		{Volunteer{other, seedService}, ErrForeignRun},
		{Volunteer{"", seedService}, ErrForeignRun},
		{Volunteer{seedRun, ""}, ErrIncomplete},
		{Volunteer{seedRun, "aerie-1"}, ErrIncomplete},
		{Volunteer{seedRun, seedService}, nil},
		{Volunteer{seedRun, other}, ErrPaired},
		{Volunteer{seedRun, seedService}, ErrPaired},
	} {
		if err := d.Volunteer(0, c.v); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.v, err, c.want)
		}
	}
	if d.Partner() != seedService || d.Reported().Service != seedService {
		t.Errorf("chose %q", d.Partner())
	}
	for _, c := range []struct {
		v    Volunteer
		want error
	}{
		{Volunteer{other, seedService}, ErrForeignRun},
		{Volunteer{seedRun, other}, ErrNotPartner},
		{Volunteer{seedRun, ""}, ErrNotPartner},
		{Volunteer{seedRun, seedService}, nil},
	} {
		if err := d.Heartbeat(0, c.v); !errors.Is(err, c.want) {
			t.Errorf("a sign of life of %v: %v, want %v", c.v, err, c.want)
		}
	}
	if err := NewDevice("pool", seedRun).Heartbeat(0, Volunteer{seedRun, ""}); !errors.Is(err, ErrNotPartner) {
		t.Errorf("a sign of life of nobody: %v", err)
	}
}

func TestLease(t *testing.T) {
	d := NewDevice("pool", seedRun)
	d.Tick(0)
	if err := d.Volunteer(at(time.Second), Volunteer{seedRun, seedService}); err != nil {
		t.Fatal(err)
	}
	if err := d.Heartbeat(at(60*time.Second), Volunteer{seedRun, seedService}); err != nil {
		t.Fatal(err)
	}
	// Others keep nobody alive.
	_ = d.Heartbeat(at(149*time.Second), Volunteer{seedRun, other})
	if d.Next() != at(150*time.Second) {
		t.Errorf("the lease ends at %v", time.Duration(d.Next()))
	}
	if report, lost := d.Tick(at(150*time.Second - 1)); report || lost != "" {
		t.Error("left too early")
	}
	if report, lost := d.Tick(at(150 * time.Second)); !report || lost != seedService || d.Partner() != "" {
		t.Errorf("after 90 s of silence: %v, %q", report, lost)
	}
	// The same run goes on: whoever comes first is taken, also the one before.
	if err := d.Volunteer(at(151*time.Second), Volunteer{seedRun, seedService}); err != nil {
		t.Error(err)
	}
	d.Release()
	if report, lost := d.Tick(at(152 * time.Second)); !report || lost != "" {
		t.Errorf("released: %v, %q", report, lost)
	}
}
