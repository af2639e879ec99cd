package health

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"aerie/receiver/clock"
)

// Supervisor checks a monitor and keeps systemd informed (sd_notify(3)): READY
// when the receiver can be used, a STATUS line for people, WATCHDOG at half of
// the time that the unit allows, but only while nothing is stuck, and STOPPING
// at the end.
type Supervisor struct {
	Monitor *Monitor
	Now     func() clock.Time
	Log     *slog.Logger
	// Ready tells whether start-up is over. It may be asked at any time and
	// is not asked again once it has said so.
	Ready func() bool
	// Status is one line about what the receiver does.
	Status func() string
	// Systemd is where notices go; the zero value is nowhere.
	Systemd Systemd

	ready  bool
	stuck  bool
	status string
	fed    clock.Time
}

// Systemd is the way to the service manager that started this process.
type Systemd struct {
	// Notify sends a notice: lines of NAME=VALUE. Nil: nobody wants any.
	Notify func(state string) error
	// Watchdog is how long the service manager waits for WATCHDOG=1 before it
	// kills the process; 0: it does not.
	Watchdog time.Duration
}

// FromEnvironment is the service manager that $NOTIFY_SOCKET and $WATCHDOG_USEC
// speak of. The error is about the latter being no number.
func FromEnvironment() (Systemd, error) {
	s := Systemd{Notify: func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}}
	var err error
	s.Watchdog, err = daemon.SdWatchdogEnabled(false)
	return s, err
}

// every is how often the monitor is checked, and at most a quarter of the
// watchdog's time.
const every = time.Second

// Run checks and tells until ctx ends.
func (s *Supervisor) Run(ctx context.Context) {
	step := every
	if w := s.Systemd.Watchdog; w > 0 {
		step = min(step, w/4)
	}
	t := time.NewTicker(step)
	defer t.Stop()
	for {
		s.step(s.Now())
		select {
		case <-ctx.Done():
			s.notify("STOPPING=1")
			return
		case <-t.C:
		}
	}
}

// step is one round.
func (s *Supervisor) step(now clock.Time) {
	err := s.Monitor.Check(now)
	if err != nil && !s.stuck {
		s.Log.Error("stuck", "error", err)
	} else if err == nil && s.stuck {
		s.Log.Info("not stuck any more")
	}
	s.stuck = err != nil
	status := s.Status()
	if err != nil {
		status = "Stuck: " + err.Error()
	}
	notice := ""
	if !s.ready && err == nil && s.Ready() {
		s.ready, notice = true, "READY=1\n"
	}
	if status != s.status {
		s.status = status
		notice += "STATUS=" + oneLine(status) + "\n"
	}
	// The first is due at once: the watchdog runs from READY on.
	if w := s.Systemd.Watchdog; w > 0 && err == nil && (s.fed == 0 || now.Sub(s.fed) >= w/2-min(every, w/4)) {
		s.fed = now
		notice += "WATCHDOG=1\n"
	}
	if notice != "" {
		s.notify(notice[:len(notice)-1])
	}
}

func (s *Supervisor) notify(state string) {
	if s.Systemd.Notify == nil {
		return
	}
	if err := s.Systemd.Notify(state); err != nil {
		s.Log.Warn("systemd cannot be told", "error", err)
	}
}

// oneLine makes of what strangers may have written, such as the name of a
// phone, one line that is not too long.
func oneLine(text string) string {
	const longest = 200
	out := make([]rune, 0, longest)
	for _, c := range text {
		if len(out) == longest {
			break
		}
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}
