package receiver

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aerie/hw/board"
	"aerie/receiver/metric"
	"aerie/receiver/ota"
	"aerie/receiver/screen"
)

// titles are those of the notices that are shown at a time.
func titles(r *Receiver, at time.Time) (list []string) {
	st := screen.State{Time: at}
	r.poster.tell(&st, r.warnings.all())
	for _, n := range st.Notices {
		list = append(list, n.Title)
	}
	return list
}

func quiet() *Receiver { return &Receiver{log: slog.New(slog.DiscardHandler)} }

// What is wrong is told before what is well, one notice a topic, until it is
// taken away.
func TestNotices(t *testing.T) {
	r, now := quiet(), time.Now()
	drawn := 0
	r.poster.changed = func() { drawn++ }
	r.SetUpdate(ota.Status{Version: "1.3.2", Slot: "a", Proven: true, Available: "1.4.0"})
	r.Notify(TopicNetwork, screen.Notice{Level: screen.Warning, Title: "No network"})
	r.Notify(TopicSettings, screen.Notice{Level: screen.Warning, Title: "Mistake"})
	r.Notify(topics, screen.Notice{Title: "of no topic"})
	r.Notify(-1, screen.Notice{Title: "of no topic"})
	r.warnings.add("no sound: the device is in use")
	if got, want := strings.Join(titles(r, now), ", "), "No sound, Mistake, No network, Version 1.4.0 is ready"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.Notify(TopicSettings, screen.Notice{})
	r.SetUpdate(ota.Status{Version: "1.3.2", Slot: "a", Proven: true, WentBack: "went back from 1.4.0 to 1.3.2: it did not start"})
	r.SetUpdate(ota.Status{Version: "1.3.2", Slot: "a", Proven: true, WentBack: "went back from 1.4.0 to 1.3.2: it did not start", Problem: "no network"})
	if got, want := strings.Join(titles(r, now), ", "), "No sound, No network, Went back from 1.4.0 to 1.3.2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if drawn != 5 {
		t.Errorf("drawn %d times", drawn)
	}
}

// Trouble of the display is told, and does not have the screen drawn again and
// again when that is what fails.
func TestDisplayTrouble(t *testing.T) {
	r := quiet()
	drawn := 0
	r.poster.changed = func() { drawn++ }
	for i := range 100 {
		r.displayFailed(fmt.Errorf("drm: commit %d: no space", i))
	}
	if got := strings.Join(titles(r, time.Now()), ", "); got != "Trouble with the display" || drawn != 1 {
		t.Errorf("%q, drawn %d times", got, drawn)
	}
	if got := titles(r, time.Now().Add(troubleShown)); len(got) != 0 {
		t.Errorf("for good: %q", got)
	}
}

// Each state of an update has its words; none has none.
func TestUpdateNotice(t *testing.T) {
	for want, u := range map[string]ota.Status{
		"":                              {Version: "1.0", Slot: "a", Proven: true},
		"Version 1.1 is ready":          {Version: "1.0", Slot: "a", Proven: true, Available: "1.1"},
		"Updating to version 1.1":       {Version: "1.0", Slot: ota.Factory, Available: "1.1", Doing: "downloading 42 %"},
		"Updating":                      {Version: "1.0", Slot: "a", Proven: true, Doing: "looking for a version"},
		"Trying version 1.1":            {Version: "1.1", Slot: "b"},
		"Went back from 1.1 to 1.0":     {Version: "1.0", Slot: "a", Proven: true, Available: "1.1", WentBack: "went back from 1.1 to 1.0: it hung"},
		"Was sent back from 1.1 to 1.0": {Version: "1.0", Slot: "a", WentBack: "was sent back from 1.1 to 1.0: by hand"},
	} {
		if got := updateNotice(u); got.Title != want || (got.Text == "") != (want == "") {
			t.Errorf("%+v: %+v", u, got)
		}
	}
}

// That an update was undone is told for a day, however often it is known.
func TestUndoneUpdateIsToldForADay(t *testing.T) {
	r := quiet()
	for range 2 {
		r.SetUpdate(ota.Status{Version: "1.0", Slot: "a", Proven: true, WentBack: "went back from 1.1 to 1.0: it hung"})
		if got := titles(r, time.Now().Add(wentBackShown-time.Minute)); len(got) != 1 {
			t.Errorf("that day: %q", got)
		}
		if got := titles(r, time.Now().Add(wentBackShown+time.Minute)); len(got) != 0 {
			t.Errorf("the next day: %q", got)
		}
	}
	r.SetUpdate(ota.Status{Version: "1.0", Slot: "a", Proven: true, Available: "1.2"})
	if got := titles(r, time.Now().Add(wentBackShown+time.Minute)); len(got) != 1 {
		t.Errorf("another version: %q", got)
	}
}

func TestIdentifyAndSetup(t *testing.T) {
	r, now := quiet(), time.Now()
	r.Identify(time.Hour)
	r.ShowSetup(screen.Setup{Title: "Set up"})
	for after, want := range map[time.Duration]bool{0: true, identifyMost - time.Minute: true, identifyMost + time.Minute: false} {
		st := screen.State{Time: now.Add(after)}
		if r.poster.tell(&st, nil); st.Identify != want || st.Setup.Title != "Set up" {
			t.Errorf("after %v: %v", after, st.Identify)
		}
	}
	r.Identify(-time.Second)
	r.ShowSetup(screen.Setup{})
	st := screen.State{Time: time.Now().Add(time.Millisecond)}
	if r.poster.tell(&st, nil); st.Identify || st.Setup.Title != "" {
		t.Errorf("%+v", st)
	}
}

// Trouble of power and heat is told once a start and for a while, each by its
// name; metrics and page tell it for good.
func TestMachineTrouble(t *testing.T) {
	r := quiet()
	weak, hot := board.UnderVoltage, board.SoftLimit|board.Throttled
	r.machineFares(board.Health{Power: board.Sysfs, Warm: true, Temperature: 51.5})
	now := time.Now()
	if got := titles(r, now); len(got) != 0 {
		t.Errorf("healthy: %q", got)
	}
	r.machineFares(board.Health{Power: board.Sysfs, Now: weak | board.Throttled, SinceBoot: weak | board.Throttled, Warm: true, Temperature: 60})
	if got := strings.Join(titles(r, now), ", "); got != "The power supply is too weak" {
		t.Errorf("weak: %q", got)
	}
	r.machineFares(board.Health{Power: board.Sysfs, Now: hot, SinceBoot: weak | hot, Warm: true, Temperature: 84})
	if got := strings.Join(titles(r, now), ", "); got != "The power supply is too weak, The Raspberry Pi is too hot" {
		t.Errorf("hot too: %q", got)
	}
	r.poster.change(func() { r.poster.notices = [topics]screen.Notice{} })
	for range 3 {
		r.machineFares(board.Health{Power: board.Sysfs, SinceBoot: weak | hot, Warm: true, Temperature: 60})
		r.machineFares(board.Health{Power: board.Sysfs, Now: weak | hot, SinceBoot: weak | hot, Warm: true, Temperature: 84})
	}
	if got := titles(r, now); len(got) != 0 {
		t.Errorf("again: %q", got)
	}
	r.machineFares(board.Health{})
	r.machineFares(board.Health{Now: weak, SinceBoot: weak, Power: board.Mailbox, Clock: 1500, Warm: true, Temperature: 60})
	if got := titles(r, time.Now().Add(troubleShown+time.Second)); len(got) != 0 {
		t.Errorf("later: %q", got)
	}
	if b := r.machine.describe(); b.Now != "under-voltage" || b.SinceBoot != "under-voltage" || *b.Temperature != 60 {
		t.Errorf("%+v", b)
	}
	var set metric.Set
	r.registerMachine(&set)
	var text bytes.Buffer
	if err := set.WritePrometheus(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"aerie_board_temperature_celsius 60\n", "aerie_board_clock_hertz 1500000000\n", `aerie_board_trouble{kind="under_voltage",when="now"} 1` + "\n",
		`aerie_board_trouble{kind="throttled",when="since_boot"} 0` + "\n"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}
}
