package main

import (
	"testing"

	"aerie/receiver/fleet/content"
	"aerie/receiver/ota"
)

// What the fleet is told of the program.
func TestProgramHealth(t *testing.T) {
	h := programHealth(ota.Status{Version: "1.2", Counter: 12, Slot: "b", WentBack: "1.3 crashed", Problem: "the disk is full"})
	if h.Version != "1.2" || h.Counter != 12 || h.Slot != "b" || h.State != content.StateTrial || h.Rollback != "1.3 crashed" || h.LastError != "the disk is full" || h.Boot != bootID() || h.Boot == "" {
		t.Errorf("%+v", h)
	}
	if h := programHealth(ota.Status{Proven: true}); h.State != content.StateConfirmed {
		t.Errorf("proven, and %q", h.State)
	}
}
