package main

import (
	"testing"

	"aerie/receiver/fleet/content"
	"aerie/receiver/ota"
)

// What the fleet desires is installed once: not what is older, and not again
// what had to be given up.
func TestWanted(t *testing.T) {
	bad := []ota.BadVersion{{Version: "1.1", Why: "it failed three times"}}
	for _, c := range []struct {
		version          string
		counter, desired uint64
		want             bool
	}{
		{"1.2", 12, 12, true}, {"1.3", 13, 12, true}, {"1.0", 10, 12, false}, {"1.1", 12, 12, false},
	} {
		err := wanted(ota.Release{Version: c.version, Counter: c.counter}, content.Release{Counter: int64(c.desired)}, bad)
		if (err == nil) != c.want {
			t.Errorf("version %s, release %d, %d desired: %v", c.version, c.counter, c.desired, err)
		}
	}
}

func TestProgramHealth(t *testing.T) {
	h := programHealth(ota.Status{Version: "1.2", Counter: 12, Slot: "b", WentBack: "1.3 crashed", Problem: "the disk is full"})
	if h.Version != "1.2" || h.Counter != 12 || h.Slot != "b" || h.State != content.StateTrial || h.Rollback != "1.3 crashed" || h.LastError != "the disk is full" || h.Boot != bootID() || h.Boot == "" {
		t.Errorf("%+v", h)
	}
	if h := programHealth(ota.Status{Proven: true}); h.State != content.StateConfirmed {
		t.Errorf("proven, and %q", h.State)
	}
}
