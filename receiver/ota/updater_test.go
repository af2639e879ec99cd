package ota

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// device is what the updater sees of one, in simulated time, which begins at
// midnight of the first of January 2000 in UTC.
type device struct {
	t       *testing.T
	disk    *disk
	offered int // release that the source has; 0 for a source that fails
	asked   int

	stuck      error
	incomplete bool
	playing    bool
	bad        bool // the program fails its self-test
	slow       time.Duration

	restarted bool
	told      []Status
	updater   *Updater
	stop      func()
}

// provenAfter is how long a version must be healthy here.
const provenAfter = 5 * time.Minute

var errStuck = errors.New("the decoder is stuck")

// boot starts the program that the launcher chooses, with an updater in it.
func (v *device) boot(mode Mode, window string) {
	v.t.Helper()
	var slot Slot
	if err := storeOn(v.disk).Launch(func(c Choice) error { slot = c.Slot; return nil }); err != nil {
		v.t.Fatal(err)
	}
	w, err := ParseWindow(window)
	if err != nil {
		v.t.Fatal(err)
	}
	v.restarted = false
	v.updater = NewUpdater(UpdaterOptions{
		Store: storeOn(v.disk), Running: slot, Mode: mode, Window: w, Confirm: provenAfter, Log: quiet, Find: v.find,
		Test: func(context.Context, string) error {
			if v.bad {
				return errStuck
			}
			return nil
		},
		Healthy: func() error { return v.stuck }, Complete: func() bool { return !v.incomplete }, Playing: func() bool { return v.playing },
		Restart: func() { v.restarted = true }, Changed: func(s Status) { v.told = append(v.told, s) },
	})
	ctx, cancel := context.WithCancel(v.t.Context())
	done := make(chan struct{})
	go func() {
		v.updater.Run(ctx)
		close(done)
	}()
	v.stop = func() {
		cancel()
		<-done
	}
}

func (v *device) find(ctx context.Context) (Offer, error) {
	v.asked++
	if v.offered == 0 {
		return Offer{}, errors.New("no such host")
	}
	n := v.offered
	return Offer{Release: releaseOf(n), Fetch: func(ctx context.Context, to Partial, have int64, progress func(int64, int64)) error {
		text := program(n)
		for have < int64(len(text)) {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(v.slow):
			}
			if _, err := to.WriteAt([]byte(text[have:have+1]), have); err != nil {
				return err
			}
			have++
			progress(have, int64(len(text)))
		}
		return nil
	}}, nil
}

// wait lets time pass.
func (v *device) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// simulated runs a test on a device with a life behind it.
func simulated(t *testing.T, changes int, test func(*testing.T, *device)) {
	synctest.Test(t, func(t *testing.T) {
		v := &device{t: t, disk: lived(t, changes), offered: 9}
		test(t, v)
		v.stop()
	})
}

// TestAutomatic: an update is found, installed when nobody has played for long,
// started, and confirmed.
func TestAutomatic(t *testing.T) {
	simulated(t, 9, func(t *testing.T, v *device) {
		v.boot(Auto, "")
		v.wait(idleAnyTime - time.Minute)
		if st := v.updater.Status(); st.Available != "9" || st.Pending != "" || st.Version != "2" || v.restarted {
			t.Errorf("soon after: %+v", st)
		}
		v.wait(2 * time.Minute)
		if !v.restarted {
			t.Fatalf("nothing is installed: %+v", v.updater.Status())
		}
		v.stop()
		v.boot(Auto, "")
		if st := v.updater.Status(); st.Version != "9" || st.Proven || st.Available != "" || st.Last.Kind != Installed {
			t.Errorf("the new version begins with %+v", st)
		}
		v.wait(provenAfter - time.Minute)
		if v.updater.Status().Proven {
			t.Error("proven too soon")
		}
		v.wait(2 * time.Minute)
		if st := v.updater.Status(); !st.Proven || st.Last.Kind != Confirmed || st.Last.From != "2" {
			t.Errorf("after a while: %+v", st)
		}
		v.wait(24 * time.Hour)
		if v.asked < 4 || v.asked > 12 || v.restarted {
			t.Errorf("the source was asked %d times in a day", v.asked)
		}
	})
}

// TestModes: what is done by itself.
func TestModes(t *testing.T) {
	for mode, want := range map[Mode]struct {
		available string
		asked     bool
		restarted bool
	}{Off: {"", false, false}, Notify: {"9", true, false}, Auto: {"", true, true}} {
		simulated(t, 9, func(t *testing.T, v *device) {
			v.boot(mode, "")
			v.wait(2 * time.Hour)
			if st := v.updater.Status(); st.Available != want.available || v.asked > 0 != want.asked || v.restarted != want.restarted {
				t.Errorf("%s: asked %d times, restarted %v, %+v", mode, v.asked, v.restarted, st)
			}
			if want.restarted {
				return
			}
			// A person asks for it.
			v.updater.Order(v.find, true)
			v.wait(time.Minute)
			if !v.restarted || v.updater.Status().Pending != "9" {
				t.Errorf("%s: by hand: restarted %v, %+v", mode, v.restarted, v.updater.Status())
			}
		})
	}
}

// TestNeverInterrupts: whoever plays goes on playing, whatever is due.
func TestNeverInterrupts(t *testing.T) {
	simulated(t, 9, func(t *testing.T, v *device) {
		v.slow = time.Minute // and so a download of 22 minutes
		v.playing = true
		v.boot(Auto, "")
		v.wait(24 * time.Hour)
		if st := v.updater.Status(); st.Available != "9" || v.restarted || st.Pending != "" {
			t.Fatalf("while playing: %+v", st)
		}
		v.playing = false
		v.wait(idleAnyTime + 10*time.Minute + 30*time.Second)
		if st := v.updater.Status(); !strings.HasPrefix(st.Doing, "downloading ") || !strings.HasSuffix(st.Doing, " %") || st.Doing == "downloading 0 %" {
			t.Fatalf("when nobody plays: %+v", st)
		}
		v.playing = true
		v.wait(time.Minute)
		if st := v.updater.Status(); st.Doing != "" || v.restarted || st.Problem != "" {
			t.Fatalf("when somebody plays again: %+v", st)
		}
		// It goes on from there.
		v.playing = false
		v.wait(idleAnyTime + 14*time.Minute)
		if !v.restarted {
			t.Fatalf("in the end: %+v", v.updater.Status())
		}
	})
	// Somebody beside the receiver installs, and then somebody plays.
	simulated(t, 9, func(t *testing.T, v *device) {
		v.boot(Off, "")
		v.playing = true
		if err := storeOn(v.disk).Install(t.Context(), update(9)); err != nil {
			t.Fatal(err)
		}
		v.wait(10 * time.Hour)
		if v.restarted || v.updater.Status().Pending != "9" {
			t.Errorf("while playing: restarted %v, %+v", v.restarted, v.updater.Status())
		}
		v.playing = false
		v.wait(time.Minute)
		if !v.restarted {
			t.Error("not restarted when nobody plays")
		}
	})
}

// TestDoubtfulStart: a device that was started from another slot than the link
// says, as the disk did not answer, does not restart for that; but it does for
// an update into that slot.
func TestDoubtfulStart(t *testing.T) {
	simulated(t, 9, func(t *testing.T, v *device) {
		for n, got := 1, ""; got != "1"; n++ {
			d := v.disk.copy()
			d.failAt, d.err = n, errPower
			if got = started(t, d); got == "1" {
				v.disk = v.disk.copy()
				v.disk.failAt, v.disk.err = n, errPower
			}
		}
		v.boot(Off, "")
		if st := v.updater.Status(); st.Version != "1" || st.Pending != "2" {
			t.Fatalf("it begins with %+v", st)
		}
		v.wait(time.Hour)
		if v.restarted {
			t.Fatal("restarted for nothing")
		}
		v.updater.Order(v.find, true)
		v.wait(time.Minute)
		if !v.restarted {
			t.Errorf("not restarted for an update: %+v", v.updater.Status())
		}
	})
}

// TestNight: in the window, less patience is needed; but not by a clock that
// was never set, as a Raspberry Pi's is before it has a network.
func TestNight(t *testing.T) {
	restarts := func(year, hour int) (after time.Duration) {
		simulated(t, 9, func(t *testing.T, v *device) {
			v.wait(time.Until(time.Date(year, 1, 1, hour, 0, 0, 0, time.Local)))
			began := time.Now()
			v.boot(Auto, "23:00-05:00")
			for !v.restarted && time.Since(began) < 24*time.Hour {
				v.wait(time.Second)
			}
			after = time.Since(began)
		})
		return after
	}
	for _, c := range []struct {
		year, hour int
		window     bool
	}{{2026, 0, true}, {2026, 23, true}, {2026, 12, false}, {2001, 0, false}} {
		if after := restarts(c.year, c.hour); (after < 15*time.Minute) != c.window || after > idleAnyTime+time.Minute {
			t.Errorf("%d at %d o'clock: after %v", c.year, c.hour, after)
		}
	}
}

// TestProof: what a new version needs to prove itself.
func TestProof(t *testing.T) {
	proven := func(change func(v *device)) (after time.Duration) {
		simulated(t, 10, func(t *testing.T, v *device) {
			v.boot(Off, "")
			change(v)
			for began := time.Now(); !v.updater.Status().Proven; after = time.Since(began) {
				if v.wait(5 * time.Second); after > 24*time.Hour {
					break
				}
			}
		})
		return after.Round(time.Minute)
	}
	for name, c := range map[string]struct {
		change func(*device)
		want   time.Duration
	}{
		"healthy":              {func(*device) {}, provenAfter},
		"stuck":                {func(v *device) { v.stuck = errStuck }, 24 * time.Hour},
		"without display":      {func(v *device) { v.incomplete = true }, incomplete * provenAfter},
		"stuck for a moment":   {func(v *device) { v.wait(4 * time.Minute); v.stuck = errStuck; v.wait(time.Minute); v.stuck = nil }, provenAfter},
		"a disk that is full":  {func(v *device) { v.disk.writes = errPower; v.wait(time.Hour); v.disk.writes = nil }, provenAfter},
		"display after a hour": {func(v *device) { v.incomplete = true; v.wait(20 * time.Minute); v.incomplete = false }, provenAfter},
	} {
		if got := proven(c.change); got > c.want+time.Minute || got < c.want-time.Minute {
			t.Errorf("%s: proven after %v, want %v", name, got, c.want)
		}
	}
}

// TestOrderlyEnd: who switches the device off and on in order does not make
// a new version go back; who pulls the plug does.
func TestOrderlyEnd(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		simulated(t, 10, func(t *testing.T, v *device) {
			for range 2 * Tries {
				v.boot(Off, "")
				v.wait(time.Minute)
				if v.stop(); orderly {
					v.updater.Leave(nil)
				}
			}
			v.boot(Off, "")
			if st := v.updater.Status(); (st.Version == "3") != orderly {
				t.Errorf("in order %v: %+v", orderly, st)
			}
		})
	}
}

// TestFailingSource: it is asked less and less often, and the device says what
// is wrong.
func TestFailingSource(t *testing.T) {
	simulated(t, 9, func(t *testing.T, v *device) {
		v.offered = 0
		v.boot(Auto, "")
		v.wait(2 * time.Hour)
		early := v.asked
		v.wait(24 * time.Hour)
		if st := v.updater.Status(); early < 3 || v.asked-early > 10 || !strings.Contains(st.Problem, "no such host") {
			t.Errorf("asked %d times in two hours, %d more in a day: %+v", early, v.asked-early, st)
		}
		v.offered = 9
		v.wait(12 * time.Hour)
		if !v.restarted || v.updater.Status().Problem != "" {
			t.Errorf("when it works again: %+v", v.updater.Status())
		}
	})
}

// TestBadRelease: one that fails its self-test is tried three times.
func TestBadRelease(t *testing.T) {
	simulated(t, 9, func(t *testing.T, v *device) {
		v.bad = true
		v.boot(Auto, "")
		v.wait(24 * time.Hour)
		st := v.updater.Status()
		if v.restarted || len(st.Bad) != 1 || !strings.Contains(st.Problem, "stuck") || v.asked > 20 {
			t.Errorf("asked %d times: %+v", v.asked, st)
		}
		v.offered, v.bad = 8, false
		v.wait(10 * time.Hour)
		if !v.restarted {
			t.Errorf("another release: %+v", v.updater.Status())
		}
	})
}

func TestWindow(t *testing.T) {
	for _, bad := range []string{"2-5", "02:00", "02:00-02:00", "02:00-24:00", "x", "-", strings.Repeat("0", 1000)} {
		if _, err := ParseWindow(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	for text, want := range map[string][]int{"": nil, "02:00-05:30": {2, 3, 4, 5}, "22:00-01:00": {0, 22, 23}} {
		w, err := ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		for h := range 24 {
			if got := w.Contains(time.Date(2026, 3, 29, h, 0, 0, 0, time.UTC)); got != slices.Contains(want, h) {
				t.Errorf("%q contains %d o'clock: %v", text, h, got)
			}
		}
	}
}
