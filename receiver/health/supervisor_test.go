package health

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/clock"
)

// told is what a simulated service manager was told, and when.
type told struct {
	*Supervisor
	start  time.Time
	ready  bool
	status string
	feeds  []time.Duration
	all    []string
}

func supervise(m *Monitor, watchdog time.Duration) *told {
	s := &told{start: time.Now(), status: "idle"}
	s.Supervisor = &Supervisor{
		Monitor: m, Log: slog.New(slog.DiscardHandler),
		Now:    func() clock.Time { return clock.Time(1 + time.Since(s.start)) },
		Ready:  func() bool { return s.ready },
		Status: func() string { return s.status },
		Systemd: Systemd{Watchdog: watchdog, Notify: func(state string) error {
			for line := range strings.SplitSeq(state, "\n") {
				if line == "WATCHDOG=1" {
					s.feeds = append(s.feeds, time.Since(s.start))
				} else {
					s.all = append(s.all, line)
				}
			}
			return nil
		}},
	}
	return s
}

// longest is the longest time between two feeds until now.
func (s *told) longest() (gap time.Duration) {
	last := time.Duration(0)
	for _, at := range append(s.feeds, time.Since(s.start)) {
		gap, last = max(gap, at-last), at
	}
	return gap
}

// An idle receiver is fed for hours, never later than half of what systemd
// allows, and not needlessly often; then a loop hangs, and feeding stops.
func TestFeedingAndHunger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watchdog = 20 * time.Second
		var m Monitor
		var loop Pulse
		m.Watch("loop", 15*time.Second, loop.Progress)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hang := make(chan struct{})
		go func() {
			for {
				select {
				case <-hang:
					return
				case <-time.After(time.Second):
					loop.Beat()
				}
			}
		}()
		s := supervise(&m, watchdog)
		go s.Run(ctx)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if gap := s.longest(); gap > watchdog/2 {
			t.Errorf("unfed for %v", gap)
		}
		if n, want := len(s.feeds), int(6*time.Hour/(watchdog/2)); n > want*5/4 {
			t.Errorf("fed %d times, about %d would do", n, want)
		}
		close(hang)
		before := time.Now()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if last := s.start.Add(s.feeds[len(s.feeds)-1]); last.Sub(before) > 17*time.Second {
			t.Errorf("still fed %v after the loop hung", last.Sub(before))
		}
		if got := s.all[len(s.all)-1]; !strings.HasPrefix(got, "STATUS=Stuck: loop: no progress for ") {
			t.Errorf("the last word is %q", got)
		}
		cancel()
		synctest.Wait()
		if got := s.all[len(s.all)-1]; got != "STOPPING=1" {
			t.Errorf("at the end it says %q", got)
		}
	})
}

func TestReadyOnceAndStatusOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := supervise(&Monitor{}, 0)
		go s.Run(ctx)
		time.Sleep(10 * time.Second)
		s.ready = true
		time.Sleep(10 * time.Second)
		s.ready, s.status = false, "playing from \"Eve\nREADY=0\nWATCHDOG=trigger\""
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		want := []string{"STATUS=idle", "READY=1", `STATUS=playing from "Eve READY=0 WATCHDOG=trigger"`, "STOPPING=1"}
		if got := strings.Join(s.all, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("systemd was told\n%s", got)
		}
		if len(s.feeds) != 0 {
			t.Error("fed a watchdog that is not there")
		}
	})
}

// Nothing that is stuck from the start becomes ready.
func TestStuckIsNotReady(t *testing.T) {
	var m Monitor
	s := supervise(&m, time.Minute)
	s.ready = true
	m.Begin("start", time.Second)
	m.Check(1)
	s.step(clock.Time(2 * time.Second))
	if len(s.feeds) != 0 || len(s.all) != 1 || !strings.HasPrefix(s.all[0], "STATUS=Stuck: start") {
		t.Errorf("told %q, fed %v", s.all, s.feeds)
	}
}

func TestLongStatus(t *testing.T) {
	if got := oneLine(strings.Repeat("ö", 10_000)); got != strings.Repeat("ö", 200) {
		t.Errorf("%d bytes", len(got))
	}
}

// The real protocol: a socket as systemd has one.
func TestSystemdSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000000")
	t.Setenv("WATCHDOG_PID", "")
	sd, err := FromEnvironment()
	if err != nil || sd.Watchdog != 20*time.Second {
		t.Fatalf("watchdog %v: %v", sd.Watchdog, err)
	}
	s := Supervisor{Monitor: &Monitor{}, Log: slog.New(slog.DiscardHandler), Now: clock.Now, Systemd: sd,
		Ready: func() bool { return true }, Status: func() string { return "idle" }}
	s.step(s.Now())
	buf := make([]byte, 1000)
	_ = ln.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := ln.Read(buf)
	if want := "READY=1\nSTATUS=idle\nWATCHDOG=1"; err != nil || string(buf[:n]) != want {
		t.Errorf("systemd reads %q: %v", buf[:n], err)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := FromEnvironment(); err == nil {
		t.Error("a watchdog time that is no number is taken")
	}
}

// A service manager that does not listen does not matter.
func TestNobodyListens(t *testing.T) {
	s := supervise(&Monitor{}, 0)
	s.Systemd.Notify = func(string) error { return errors.New("connection refused") }
	s.step(1)
}
