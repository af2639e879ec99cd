package alsa

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An underrun costs the sound of its length and nothing else.
func TestUnderrun(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	var src counter
	slow := 0
	o := play(t, m, Config{}, 8*time.Second, func(buf []float32, at int64) {
		if src.fill(buf, at); len(src.at) == 200 {
			m.sleep(300 * time.Millisecond)
			slow++
		}
	})
	st := o.Stats()
	if st.Xruns != 1 || st.Opens != 1 || st.Failures+st.Losses+st.Stalls != 0 || st.Err != nil {
		t.Errorf("%+v", st)
	}
	joined(t, p, S32, &src)
}

// joined checks that what was heard is the counter's sound in order, each
// stretch in time, whatever was lost between.
func joined(t *testing.T, p *simPCM, f Format, src *counter) {
	t.Helper()
	n, at := numbers(t, p, f)
	period := int64(p.period)
	for i := range n {
		if i > 0 && n[i] <= n[i-1] {
			t.Fatalf("frame %d after frame %d", n[i], n[i-1])
		}
		if k := n[i] - 1; k%period == 0 {
			if off := src.at[k/period] - at[i]; off > 2e6 || off < -2e6 {
				t.Errorf("frame %d heard %v early", n[i], time.Duration(off))
			}
		}
	}
	if got, want := n[len(n)-1], src.n; got != want {
		t.Errorf("the last frame heard is %d of %d", got, want)
	}
}

// A device that underruns all the time is left alone for longer and longer, but
// for less than a second.
func TestUnderrunsInARow(t *testing.T) {
	m := newMachine(t)
	m.card("Simulated", "Simulated")
	fills := 0
	o := play(t, m, Config{}, 60*time.Second, func([]float32, int64) {
		fills++
		m.sleep(200 * time.Millisecond)
	})
	st := o.Stats()
	if st.Xruns < quickFaults+40 || st.Xruns > quickFaults+90 || st.Opens != st.Xruns-quickFaults && st.Opens != st.Xruns-quickFaults+1 {
		t.Errorf("%+v", st)
	}
}

func TestSuspend(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	var src counter
	m.at(3*time.Second, func() { p.settle(); p.state, p.asleep = StateSuspended, 3 })
	o := play(t, m, Config{}, 8*time.Second, src.fill)
	st := o.Stats()
	if st.Suspends != 1 || st.Opens != 1 || st.Failures != 0 || m.calls["RESUME"] != 4 || st.Err != nil {
		t.Errorf("%+v, %d calls of RESUME", st, m.calls["RESUME"])
	}
	joined(t, p, S32, &src)
}

// A machine that does not wake up again ends in an attempt to reopen.
func TestSuspendForGood(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	m.at(time.Second, func() { p.settle(); p.state, p.asleep = StateSuspended, 1<<30 })
	o := play(t, m, Config{}, 10*time.Second, func([]float32, int64) {})
	if st := o.Stats(); st.Suspends != 1 || st.Opens != 2 {
		t.Errorf("%+v", st)
	}
}

func TestUnplugged(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	var src counter
	var told []string
	m.at(3*time.Second, func() { p.settle(); p.state = StateDisconnected; p.card.gone = true })
	m.at(10*time.Second, func() { p.card.gone = false })
	o := play(t, m, Config{Report: func(err error) { told = append(told, fmt.Sprint(err)) }}, 20*time.Second, src.fill)
	st := o.Stats()
	if st.Losses != 1 || st.Opens != 2 || st.Failures < 3 || st.Failures > 9 || st.Err != nil || st.Periods != uint64(len(src.at)) {
		t.Errorf("%+v", st)
	}
	want := []string{"alsa: Simulated,0: STATUS: no such device", `alsa: "": no such playback device: the machine has none`, "<nil>"}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told %q", told)
	}
	joined(t, p, S32, &src)
}

func TestStall(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	m.at(2*time.Second, func() { p.settle(); p.frozen = true })
	m.at(4*time.Second, func() { p.settle(); p.frozen = false })
	o := play(t, m, Config{}, 12*time.Second, func([]float32, int64) {})
	if st := o.Stats(); st.Stalls < 2 || st.Stalls > 5 || st.Opens != st.Stalls+1 || st.Err != nil {
		t.Errorf("%+v", st)
	}
}
