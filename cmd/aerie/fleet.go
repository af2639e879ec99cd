package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"aerie/receiver"
	"aerie/receiver/fleet"
	"aerie/receiver/fleet/content"
	"aerie/receiver/ota"
)

// runFleet runs the agent of a fleet beside the receiver until ctx ends, if
// there is a fleet. Updates is nil for a program that nobody updates. What it
// returns waits for the end.
func runFleet(ctx context.Context, r *receiver.Receiver, updates *ota.Updater, restart func()) (wait func()) {
	d := fleet.Device{Health: func() content.Health { return content.Health{Boot: bootID()} }}
	if updates != nil {
		d.Update = func(_ context.Context, r content.Release) (bool, error) { return order(updates, r) }
		d.Health = func() content.Health { return programHealth(updates.Status()) }
	}
	if updates != nil || os.Getenv("INVOCATION_ID") != "" { // systemd.exec(5): somebody starts it again
		d.Restart = restart
	}
	agent := r.Fleet(d)
	if agent == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		agent.Run(ctx)
		close(done)
	}()
	return func() { <-done }
}

// order has a release installed that the fleet desires.
func order(u *ota.Updater, r content.Release) (done bool, err error) {
	st := u.Status()
	if st.Counter >= uint64(r.Counter) {
		return true, nil
	}
	find := findAt(strings.TrimSuffix(r.URL, "/"), false)
	u.Order(func(ctx context.Context) (ota.Offer, error) {
		offer, err := find(ctx)
		if err == nil && offer.Release.Counter < uint64(r.Counter) {
			err = fmt.Errorf("the fleet desires release %d, and %d is there", r.Counter, offer.Release.Counter)
		}
		return offer, err
	}, false)
	return false, nil
}

// programHealth is what the updater knows of the running program.
func programHealth(st ota.Status) content.Health {
	h := content.Health{Version: st.Version, Counter: int64(st.Counter), Slot: string(st.Slot), Boot: bootID(), State: content.StateTrial, Rollback: st.WentBack, LastError: st.Problem}
	if st.Proven {
		h.State = content.StateConfirmed
	}
	return h
}

// bootID names this start of the machine (proc_sys_kernel(5)), "" if that is
// not known.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(text) > 64 {
		return ""
	}
	return strings.TrimSpace(string(text))
}
