package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet"
	"aerie/receiver/fleet/content"
)

// tv is a device: the agent that receivers have, with a receiver of paper.
type tv struct {
	*fleet.Agent
	stop func()
	mu   sync.Mutex
	did  []string
	zip  []byte
}

// newTV starts one that keeps its state in a folder.
func newTV(t *testing.T, server, state, code string, log io.Writer) *tv {
	d := &tv{zip: make([]byte, 100_000)}
	_, _ = rand.Read(d.zip)
	do := func(what string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.did = append(d.did, what)
		return nil
	}
	d.Agent = fleet.New(fleet.Options{
		ID: "aerie-tv", Name: "TV", Server: server, Code: code, Pool: "aerie", Root: "thief", State: state, Now: clock.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
		Device: fleet.Device{
			Health: func() content.Health {
				return content.Health{Name: "TV", Version: "1.2.3", Slot: "a", State: content.StateConfirmed}
			},
			Identify:    func(context.Context) error { return do("identify") },
			SetName:     func(_ context.Context, name string) error { return do("name " + name) },
			Diagnostics: func(context.Context) (string, []byte, error) { return "aerie.zip", d.zip, nil },
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	d.stop = func() { cancel(); <-done }
	t.Cleanup(d.stop)
	return d
}

// until waits for a phase.
func (d *tv) until(t *testing.T, phase fleet.Phase) fleet.Status {
	t.Helper()
	for range 600 {
		if st := d.Status(); st.Phase == phase && (phase != fleet.Enrolling || st.Code != "") {
			return st
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never %s: %+v", phase, d.Status())
	return fleet.Status{}
}

// The agent that receivers have, and the service as its owner runs it: from the
// code on the screen to a partner, over the service's end, to being refused and
// let in again by a code in the settings.
func TestAgent(t *testing.T) {
	t.Parallel()
	https, mqtts := freePort(t), freePort(t)
	state, own := t.TempDir(), t.TempDir()
	p := startProcess(t, state, "--name", "127.0.0.1", "--https", https, "--listen", mqtts)
	ctl := func(args ...string) string {
		t.Helper()
		args = append([]string{args[0], "--state", state}, args[1:]...)
		out, err := "", error(nil)
		for range 100 { // the service may not be there yet
			if out, err = fleetctl(t, args...); err == nil {
				return out
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%q: %v", args, err)
		return ""
	}
	ctl("pair", "list")
	var log text
	d := newTV(t, https, own, "", &log)
	code := d.until(t, fleet.Enrolling).Code
	ctl("pair", "admit", "aerie-tv", code)
	partner := d.until(t, fleet.Paired).Partner

	ctl("device", "aerie-tv", "identify")
	ctl("device", "aerie-tv", "rename", "Room 5")
	for range 100 {
		if strings.Contains(ctl("device", "aerie-tv"), "Room 5") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	r, err := p.api.http.Get("http://fleet/api/devices/aerie-tv/diagnostics")
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !bytes.Equal(file, d.zip) {
		t.Errorf("the diagnostics have %d bytes, %v", len(file), err)
	}

	// A service that is killed finds its device again, which notices nothing.
	p.kill()
	d.until(t, fleet.Connecting)
	p.start()
	if st := d.until(t, fleet.Paired); st.Partner != partner {
		t.Errorf("the partner was %s and is %s", partner, st.Partner)
	}
	ctl("device", "aerie-tv", "identify")
	d.mu.Lock()
	if want := []string{"identify", "name Room 5", "identify"}; !slices.Equal(d.did, want) {
		t.Errorf("the device did %q, want %q", d.did, want)
	}
	d.mu.Unlock()

	ctl("device", "aerie-tv", "revoke")
	d.until(t, fleet.Refused)
	if !strings.Contains(log.String(), "does not want this device") {
		t.Errorf("the log says %s", log.String())
	}
	d.stop()
	issued := ""
	for word := range strings.FieldsSeq(ctl("pair", "new", "for the TV")) {
		if strings.Count(word, "-") == 4 {
			issued = strings.Trim(word, `"'`)
		}
	}
	d = newTV(t, https, own, issued, &log)
	d.until(t, fleet.Paired)
	if files, _ := filepath.Glob(filepath.Join(own, "*")); len(files) != 1 {
		t.Errorf("the device keeps %q", files)
	}
}
