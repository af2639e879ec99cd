package main

import (
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aerie/receiver/pattern/sound"
)

// room is a receiver of a group, in a machine of its own.
type room struct {
	t       testing.TB
	on      *machine
	program *exec.Cmd
	log     *logBuffer
	file    string
}

// newRoom starts the shipped program on a machine, as a loudspeaker whose sound
// goes to a file.
func newRoom(t testing.TB, m *machine, args ...string) *room {
	t.Helper()
	dir := t.TempDir()
	r := &room{t: t, on: m, log: &logBuffer{}, file: filepath.Join(dir, "heard.wav")}
	r.program = m.command(program(t, "aerie"), append([]string{"run", "--name", "Room " + m.addr, "--identity", "airplay2", "--state", dir, "--http", "",
		"--discovery=false", "--video", "none", "--audio", "file:" + r.file}, args...)...)
	r.program.Stdout, r.program.Stderr = r.log, r.log
	if err := r.program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.program.Process.Kill() // which does nothing to one that has ended
		if t.Failed() {
			t.Logf("log of a receiver:\n%s", r.log)
		}
	})
	r.log.wait(t, `Address +\S+ port (\d+)`)
	return r
}

// heard ends the receiver and returns when its beeps were heard, in seconds on
// the clock of this computer, which is that of all its namespaces.
func (r *room) heard() (beeps []float64) {
	r.t.Helper()
	ended(r.t, r.program)
	ns, err := strconv.ParseInt(r.log.wait(r.t, `sound in the WAV file.* from_frame=0 .*clock_monotonic_ns=(\d+)`)[1], 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, b := range sound.Find(readWAV(r.t, r.file), 2, 44100) {
		beeps = append(beeps, float64(ns)/1e9+b.Sample/44100)
	}
	return beeps
}

// apart returns by how many seconds the beeps of two rooms are apart, of those
// that both heard.
func apart(a, b []float64) (d []float64) {
	for _, x := range a {
		for _, y := range b {
			if math.Abs(x-y) < 0.25 { // there is one a second
				d = append(d, math.Abs(x-y))
			}
		}
	}
	return d
}

// Two receivers, each on a machine of its own, play what one sender sends them
// in step, by its clock, which is an hour ahead and runs fast.
func TestGroupPlaysInStep(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: it plays in real time")
	}
	sender := newNetwork(t)
	kitchen, parlour := sender.join(), sender.join()
	a, b := newRoom(t, kitchen), newRoom(t, parlour)
	out := sender.run(program(t, "aerie-sender"), "--sound-only", "--buffered", "--seconds", "16", "--ahead", "3600", "--drift", "20", kitchen.addr, parlour.addr)
	if strings.Count(out, ":7000") < 2 {
		t.Errorf("the sender tells of %s", out)
	}
	d := apart(a.heard(), b.heard())
	// The first beeps are heard while the clocks are being learned.
	const learning, least = 4, 10
	if len(d) < least {
		t.Fatalf("%d beeps that both heard", len(d))
	}
	steady := slices.Sorted(slices.Values(d[learning:]))
	median, most := steady[len(steady)/2], steady[len(steady)-1]
	t.Logf("%d beeps: %.3f ms apart in the median, %.3f ms at most", len(d), median*1000, most*1000)
	// What is promised is 1 ms; three times that leaves room for a machine that
	// has other work.
	if most > 0.003 {
		t.Errorf("the rooms are up to %.2f ms apart: %v", most*1000, d)
	}
}
