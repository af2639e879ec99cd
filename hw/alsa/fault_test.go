package alsa

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// errnos are what a kernel may answer at any call.
var errnos = []unix.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.EPIPE, unix.ESTRPIPE, unix.EINTR}

// scene is a machine with a television and a headphone jack, and things that
// happen to it: every call that the package makes is made.
func scene(t *testing.T, mapped bool) *machine {
	m := newMachine(t)
	hdmi, head := m.hdmi("vc4hdmi0"), m.card("Headphones", "bcm2835 Headphones")
	hdmi.mapped, head.mapped = mapped, mapped
	hdmi.unheard, head.unheard = true, true
	hdmi.rates, head.rates = []int{8000}, []int{8000} // to be quick
	v := head.card.element(ifaceMixer, "PCM Playback Volume", elemInteger, 1)
	v.min, v.max, v.tlv = -10239, 400, []uint32{tlvScale, 8, neg(-10239), 1}
	jack := plug(hdmi.card, "TV")
	m.at(2*time.Second, func() { hdmi.settle(); hdmi.state, hdmi.asleep = StateSuspended, 1 })
	m.at(4*time.Second, func() { hdmi.card.set(jack, 0) })
	m.at(6*time.Second, func() { hdmi.card.set(jack, 1) })
	return m
}

// once makes the n-th call of a name fail.
func (m *machine) once(call string, n int, errno error) (done *bool) {
	done = new(bool)
	m.fault = func(c string) error {
		if c == call && m.calls[c] == n {
			*done = true
			return errno
		}
		return nil
	}
	return done
}

// perform plays the scene and returns the output, the periods filled in the
// last two seconds, and what Open said.
func perform(t *testing.T, m *machine, await bool) (st Stats, late int, err error) {
	const end = 14 * time.Second
	start := m.clock
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.at(end, cancel)
	o, err := Open(Config{sys: m, Await: await, LineLevel: true, Want: Want{Rates: []int{8000}, Period: 40 * time.Millisecond}})
	if err != nil {
		m.leaks()
		return st, 0, err
	}
	err = o.Run(ctx, func(buf []float32, at int64) {
		if m.clock-start > int64(end-2*time.Second) {
			late++
		}
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	o.Close()
	m.leaks()
	return o.Stats(), late, nil
}

// Every call fails once with every error, early and late: sound plays on or
// again, or Open says which device and which call it was. Nothing hangs and
// nothing leaks.
func TestEveryCallFailsOnce(t *testing.T) {
	notInside(t)
	for _, mapped := range []bool{true, false} {
		clean := scene(t, mapped)
		if st, late, err := perform(t, clean, false); err != nil || late < 45 || st.Suspends != 1 || st.Opens != 3 {
			t.Fatalf("without a fault: %d periods, %v, %+v", late, err, st)
		}
		var calls []string
		for c := range clean.calls {
			calls = append(calls, c)
		}
		sort.Strings(calls)
		t.Logf("mapped %v: %s", mapped, strings.Join(calls, " "))
		for _, call := range calls {
			for _, n := range []int{1, 3, clean.calls[call] / 2} {
				if n == 0 || n > clean.calls[call] {
					continue
				}
				for _, errno := range errnos {
					if call == "cards" && errno == unix.EINTR {
						continue // package os sees to that
					}
					name := fmt.Sprintf("mapped %v, %s number %d fails with %v", mapped, call, n, error(errno))
					m := scene(t, mapped)
					done := m.once(call, n, errno)
					st, late, err := perform(t, m, false)
					if !*done {
						t.Errorf("%s: it was not made", name)
					}
					if err != nil {
						clear := strings.HasPrefix(err.Error(), "alsa: ") && strings.Contains(err.Error(), errno.Error()) ||
							errors.Is(err, ErrBusy)
						if errno == unix.EINTR || !clear || !strings.Contains(err.Error(), said(call)) {
							t.Errorf("%s: %v", name, err)
						}
						continue
					}
					if late < 45 {
						t.Errorf("%s: %d periods in the end, %+v", name, late, st)
					}
					if st.Err != nil {
						t.Errorf("%s: the trouble is not over: %v", name, st.Err)
					}
				}
			}
		}
	}
}

// said is what a message has about a call.
func said(call string) string {
	switch call {
	case "open control":
		return "open"
	case "cards":
		return "list cards"
	}
	return call
}

// The same while waiting for a device: Open never fails, sound comes.
func TestEveryCallFailsOnceWhileAwaiting(t *testing.T) {
	notInside(t)
	clean := scene(t, true)
	perform(t, clean, true)
	for call := range clean.calls {
		for _, errno := range errnos {
			m := scene(t, true)
			m.once(call, 1, errno)
			if st, late, err := perform(t, m, true); err != nil || late < 45 {
				t.Errorf("%s fails with %v: %d periods, %v, %+v", call, error(errno), late, err, st)
			}
		}
	}
}

// A call that fails for good: Open says so, and an Output that plays gives up
// the device, tries again in ever longer intervals and stops when told to.
func TestEveryCallFailsForGood(t *testing.T) {
	notInside(t)
	clean := scene(t, true)
	perform(t, clean, false)
	for call := range clean.calls {
		for _, errno := range append([]unix.Errno{unix.EIO, unix.EAGAIN}, errnos...) {
			for _, from := range []int{1, 4} {
				m := scene(t, true)
				m.fault = func(c string) error {
					if c == call && m.calls[c] >= from {
						return errno
					}
					return nil
				}
				st, _, _ := perform(t, m, true)
				total := 0
				for _, n := range m.calls {
					total += n
				}
				if limit := 10000 + 300*retries; total > limit {
					t.Errorf("%s fails with %v from number %d on: %d calls in 14 s: a busy loop", call, error(errno), from, total)
				}
				if call != "open" && st.Opens > 60 {
					t.Errorf("%s fails with %v from number %d on: %d devices opened", call, error(errno), from, st.Opens)
				}
			}
		}
	}
}

// Counters tell the kinds of trouble apart.
func TestFaultsAreCounted(t *testing.T) {
	for _, c := range []struct {
		call  string
		n     int
		errno error
		count func(Stats) uint64
	}{
		{"STATUS", 50, unix.EPIPE, func(s Stats) uint64 { return s.Xruns }},
		{"SYNC_PTR", 50, unix.EPIPE, func(s Stats) uint64 { return s.Xruns }},
		{"STATUS", 30, unix.ESTRPIPE, func(s Stats) uint64 { return s.Suspends - 1 }},
		{"STATUS", 50, unix.ENODEV, func(s Stats) uint64 { return s.Losses }},
		{"STATUS", 50, unix.ENOTTY, func(s Stats) uint64 { return s.Failures }},
		{"poll", 50, unix.ENOMEM, func(s Stats) uint64 { return s.Failures }},
		{"START", 1, unix.EIO, func(s Stats) uint64 { return s.Failures }},
		{"PREPARE", 2, unix.EIO, func(s Stats) uint64 { return s.Failures }},
		{"STATUS", 50, unix.EINTR, func(s Stats) uint64 { return 1 - s.Failures - s.Xruns - s.Losses - s.Stalls }},
	} {
		m := scene(t, true)
		m.once(c.call, c.n, c.errno)
		if st, _, err := perform(t, m, false); err != nil || c.count(st) != 1 {
			t.Errorf("%s number %d fails with %v: %v, %+v", c.call, c.n, c.errno, err, st)
		}
	}
}

// What a driver says is checked before it is believed.
func TestDriverLies(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(r request, arg any)
		want string
	}{
		{"a period of 0 frames", func(r request, arg any) {
			if h, ok := arg.(*hwParams); ok && r == pcmHwParams {
				h.Intervals[paramPeriodSize] = exactly(0)
			}
		}, "the driver set 44100 Hz, 2 channels, period 0"},
		{"a buffer of 2 billion frames", func(r request, arg any) {
			if h, ok := arg.(*hwParams); ok && r == pcmHwParams {
				h.Intervals[paramBufferSize] = interval{Min: 1<<31 - 1, Max: 1<<31 - 1}
			}
		}, "buffer 2147483647 frames"},
		{"another rate", func(r request, arg any) {
			if h, ok := arg.(*hwParams); ok && r == pcmHwParams {
				h.Intervals[paramRate] = exactly(8000)
			}
		}, "the driver set 8000 Hz"},
		{"no boundary", func(r request, arg any) {
			if s, ok := arg.(*swParams); ok {
				s.Boundary = 0
			}
		}, "SW_PARAMS: boundary 0"},
		{"a boundary that is no multiple", func(r request, arg any) {
			if s, ok := arg.(*swParams); ok {
				s.Boundary = 1000003
			}
		}, "SW_PARAMS: boundary 1000003"},
		{"a version of long ago", func(r request, arg any) {
			if v, ok := arg.(*int32); ok && r == pcmPVersion {
				*v = 1<<16 | 2
			}
		}, "PVERSION: interface version 1.0.2"},
	} {
		m := newMachine(t)
		m.card("Simulated", "Simulated")
		_, err := Open(Config{sys: liar{m, c.lie}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		m.leaks()
	}
}

// An absurd position, room or time in a snapshot writes no byte beyond the
// ring and stops nothing for good.
func TestSnapshotLies(t *testing.T) {
	for name, lie := range map[string]func(*pcmStatus){
		"endless room":     func(s *pcmStatus) { s.Avail = ^uframes(0) },
		"negative delay":   func(s *pcmStatus) { s.Delay = -1 << 30 },
		"endless delay":    func(s *pcmStatus) { s.Delay = 1 << 30 },
		"the year 1970":    func(s *pcmStatus) { s.Tstamp = timespec{} },
		"the end of time":  func(s *pcmStatus) { s.Tstamp = timespec{1 << 62, -1} },
		"an unknown state": func(s *pcmStatus) { s.State = 99 },
	} {
		m := newMachine(t)
		m.card("Simulated", "Simulated")
		from := m.clock + 2e9
		l := liar{m, func(r request, arg any) {
			if s, ok := arg.(*pcmStatus); ok && m.clock > from && m.clock < from+3e9 {
				lie(s)
			}
		}}
		o, err := Open(Config{sys: l})
		if err != nil {
			t.Fatal(err)
		}
		var src counter
		runFor(t, m, o, 10*time.Second, src.fill)
		o.Close()
		if len(src.at) < 300 {
			t.Errorf("%s: %d periods, %+v", name, len(src.at), o.Stats())
		}
		m.leaks()
	}
}

func TestErrorText(t *testing.T) {
	err := error(&Error{"vc4hdmi0,0", "open", enotsupp})
	want := "alsa: vc4hdmi0,0: open: errno 524 (no sound sink: the television is off or has none, or no video mode is set)"
	if err.Error() != want || !errors.Is(err, enotsupp) {
		t.Errorf("%q", err)
	}
	if _, err := (linux{}).open(os.DevNull + "/none"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("%v", err)
	}
}
