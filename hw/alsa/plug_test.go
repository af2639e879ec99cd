package alsa

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// hdmi adds a vc4 HDMI card.
func (m *machine) hdmi(id string) *simPCM {
	p := m.card(id, "vc4-hdmi")
	p.formats = []Format{IEC958}
	return p
}

// hold closes the gate from another goroutine, as the display's does, and
// returns when the output has heard of it. closed is closed when Hold returns.
func hold(o *Output) (closed chan struct{}) {
	closed = make(chan struct{})
	go func() { o.Hold(); close(closed) }()
	for !o.isHeld() {
		runtime.Gosched()
	}
	return closed
}

// While the gate is closed HDMI is closed and stays so, even when the
// television comes and goes; after it, HDMI is given time to settle.
func TestGate(t *testing.T) {
	m := newMachine(t)
	p := m.hdmi("vc4hdmi")
	jack := plug(p.card, "TV")
	var src counter
	var o *Output
	var closed chan struct{}
	var opened []int64
	start := m.clock
	m.fault = func(call string) error {
		if call == "open" {
			opened = append(opened, m.clock-start)
		}
		return nil
	}
	m.at(2*time.Second, func() { closed = hold(o) })
	m.at(2500*time.Millisecond, func() {
		<-closed
		if p.opened {
			t.Error("Hold returned with the device open")
		}
		p.card.set(jack, 0)
	})
	m.at(3*time.Second, func() { p.card.set(jack, 1) })
	m.at(9*time.Second, func() {
		if st := o.Stats(); !st.Held || st.Playing {
			t.Errorf("while held: %+v", st)
		}
		o.Release()
	})
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	runFor(t, m, o, 15*time.Second, src.fill)
	o.Close()
	m.leaks()
	if len(opened) != 2 || opened[1] < 9.5e9 || opened[1] > 9.6e9 {
		t.Errorf("opened at %v", opened)
	}
	if st := o.Stats(); st.Opens != 2 || st.Failures+st.Losses+st.Xruns != 0 || st.Held {
		t.Errorf("%+v", st)
	}
	joined(t, p, IEC958, &src)
}

// The gate is nothing to a device that is not HDMI.
func TestGateLeavesAnalogAlone(t *testing.T) {
	m := newMachine(t)
	p := m.card("Headphones", "bcm2835 Headphones")
	var src counter
	var o *Output
	m.at(2*time.Second, func() {
		<-hold(o)
		if !p.opened {
			t.Error("closed")
		}
	})
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	runFor(t, m, o, 4*time.Second, src.fill)
	o.Close()
	if st := o.Stats(); st.Opens != 1 || st.Periods < 390 {
		t.Errorf("%+v", st)
	}
	m.leaks()
}

// An output that has not run yet, or runs no more, is held as well.
func TestGateBeforeRun(t *testing.T) {
	m := newMachine(t)
	p := m.hdmi("vc4hdmi")
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	o.Hold()
	if p.opened {
		t.Error("open behind the gate")
	}
	var src counter
	runFor(t, m, o, 3*time.Second, src.fill)
	if src.n != 0 {
		t.Errorf("%d frames were asked for behind the gate", src.n)
	}
	o.Release()
	runFor(t, m, o, 3*time.Second, src.fill)
	if st := o.Stats(); st.Opens != 2 || st.Periods < 200 {
		t.Errorf("%+v", st)
	}
	o.Close()
	m.leaks()
}

// A gate closed during a start-up without a device keeps HDMI closed.
func TestGateAtBoot(t *testing.T) {
	m := newMachine(t)
	o, err := Open(Config{sys: m, Await: true})
	if err != nil {
		t.Fatal(err)
	}
	o.Hold()
	var p *simPCM
	var src counter
	m.at(time.Second, func() { p = m.hdmi("vc4hdmi"); plug(p.card, "TV") })
	m.at(8*time.Second, func() {
		if p.opened {
			t.Error("open behind the gate")
		}
		o.Release()
	})
	runFor(t, m, o, 20*time.Second, src.fill)
	if st := o.Stats(); st.Opens != 1 || st.Periods < 1100 {
		t.Errorf("%+v", st)
	}
	o.Close()
	m.leaks()
}

// With "auto", sound follows the television: to the headphone jack when it
// goes, back when it returns, and what is filled is heard on the one or the
// other.
func TestSoundFollowsTheTelevision(t *testing.T) {
	m := newMachine(t)
	head, hdmi := m.card("Headphones", "bcm2835 Headphones"), m.hdmi("vc4hdmi0")
	head.formats = []Format{S16}
	jack := plug(hdmi.card, "TV")
	var src counter
	var o *Output
	playing := func(want string) func() {
		return func() {
			if got := o.Stats().Setup.Device.Card.ID; got != want || !o.Stats().Playing {
				t.Errorf("plays on %s, want %s", got, want)
			}
		}
	}
	m.at(2*time.Second, playing("vc4hdmi0"))
	m.at(3*time.Second, func() { hdmi.card.set(jack, 0) })
	m.at(5*time.Second, playing("Headphones"))
	// A television that changes inputs lets go of the plug for a moment.
	m.at(6*time.Second, func() { hdmi.card.set(jack, 1) })
	m.at(6100*time.Millisecond, func() { hdmi.card.set(jack, 0) })
	m.at(6200*time.Millisecond, func() { hdmi.card.set(jack, 1) })
	m.at(6650*time.Millisecond, playing("Headphones"))
	m.at(8*time.Second, playing("vc4hdmi0"))
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	runFor(t, m, o, 10*time.Second, src.fill)
	o.Close()
	m.leaks()
	if st := o.Stats(); st.Opens != 3 || st.Failures+st.Losses+st.Xruns != 0 {
		t.Errorf("%+v", st)
	}
}

// A television that refuses at first is tried again while the headphones play.
func TestBetterDeviceLater(t *testing.T) {
	m := newMachine(t)
	head, hdmi := m.card("Headphones", "bcm2835 Headphones"), m.hdmi("vc4hdmi0")
	plug(hdmi.card, "TV")
	hdmi.refuse = enotsupp
	m.at(7*time.Second, func() { hdmi.refuse = nil })
	o := play(t, m, Config{}, 15*time.Second, func([]float32, int64) {})
	if st := o.Stats(); st.Setup.Device.Card.ID != "vc4hdmi0" || st.Opens != 2 || len(head.heard) == 0 || st.Xruns != 0 {
		t.Errorf("%+v", st)
	}
}

// HDMI that lost its television and found it again is opened anew, because its
// sound would stay dead.
func TestTelevisionReturns(t *testing.T) {
	m := newMachine(t)
	hdmi := m.hdmi("vc4hdmi")
	jack := plug(hdmi.card, "TV")
	m.at(2*time.Second, func() { hdmi.card.set(jack, 0) })
	m.at(4*time.Second, func() { hdmi.card.set(jack, 1) })
	o := play(t, m, Config{Device: "hdmi"}, 8*time.Second, func([]float32, int64) {})
	if st := o.Stats(); st.Opens != 2 || st.Failures != 0 || st.Setup.Device.Sink.Plug != Plugged {
		t.Errorf("%+v", st)
	}
}

// A card that vanishes together with its control device is followed again when
// it returns.
func TestCardReturns(t *testing.T) {
	m := newMachine(t)
	hdmi := m.hdmi("vc4hdmi")
	jack := plug(hdmi.card, "TV")
	m.at(2*time.Second, func() { hdmi.card.gone = true })
	m.at(4*time.Second, func() { hdmi.card.gone = false })
	m.at(8*time.Second, func() { hdmi.card.set(jack, 0) })
	m.at(10*time.Second, func() { hdmi.card.set(jack, 1) })
	o := play(t, m, Config{}, 14*time.Second, func([]float32, int64) {})
	if st := o.Stats(); st.Opens != 3 || st.Losses != 1 {
		t.Errorf("%+v", st)
	}
}

// Run, stop, run again: between sessions the device is free for others.
func TestRunAgain(t *testing.T) {
	m := newMachine(t)
	p := m.hdmi("vc4hdmi")
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	var src counter
	for i := range 3 {
		runFor(t, m, o, time.Second, src.fill)
		if p.opened {
			t.Error("open after Run")
		}
		if n, _ := numbers(t, p, IEC958); int64(len(n)) != src.n {
			t.Errorf("run %d: %d frames heard of %d", i, len(n), src.n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Run(ctx, src.fill); err != nil {
		t.Errorf("Run that is over before it begins: %v", err)
	}
	o.Close()
	m.leaks()
}
