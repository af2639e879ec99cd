// Package tv is how the receiver behaves towards the television that it is
// plugged into, in the messages of HDMI-CEC.
//
// When a session begins the television is woken and shows the receiver; when
// the session is over, a television that was woken for it goes back to sleep.
// Keys of its remote become commands for the sender. Between sessions the
// receiver answers what it is asked and never takes the screen: not when the
// cable is plugged in, and not when somebody asks who is on the screen.
//
// A television is put to sleep only when it is certain that nobody minds: it
// said before that it was asleep, it was woken for the session, nobody has
// chosen another input since, and nobody answers when it is asked once more
// who is on the screen.
//
// TV is that behaviour alone: a state machine that is told what happened and
// when, and tells an Owner what to do. It has no clock and no hardware, so that
// tests run days of it in no time. The bus belongs to somebody else.
//
// What the bus brings may be hostile: every message is measured against the
// table in message.go, answers and commands are limited in number, and a flood
// is counted.
//
// Sources of facts: HDMI 1.4b, supplement 1 (CEC), and the hardware reference,
// section 6, for how televisions differ from it.
//
// Proof: tv_test.go has the dialogues with televisions, model_test.go random
// ones against what must never happen, FuzzReceive hostile ones.
package tv

import (
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/metric"
	"aerie/receiver/remote"
)

// Owner does what a TV decides. Its methods must not block and must not call
// the TV.
type Owner interface {
	// Send has a message sent to an address on the bus, 15 for all. It may be
	// lost.
	Send(to int, data ...byte)
	// Command tells the sender what somebody wants.
	Command(remote.Command)
	// Show switches the picture on the cable off, or on again.
	Show(on bool)
}

// Bus is where the receiver stands on the bus.
type Bus struct {
	// Physical is the address of the socket that it is plugged into.
	Physical uint16
	// Ready tells that there is a television, and that the receiver can be
	// spoken to.
	Ready bool
}

// Power is the power of the television.
type Power int

// Powers.
const (
	Unknown  Power = iota // it did not tell
	On                    // as it says
	Asleep                // in standby
	Changing              // on its way to one of the two
)

func (p Power) String() string {
	return [...]string{"unknown", "on", "standby", "changing"}[p]
}

// Addresses on the bus (CEC table 5).
const (
	television  = 0
	audioSystem = 5
	everybody   = 15
)

// Times, none of which the standard sets but keyHeld.
const (
	// answerTime is how long the television may take to say whether it
	// sleeps, before it is woken in any case.
	answerTime = 500 * time.Millisecond
	// againAfter is when the screen is asked for once more: many televisions
	// do not listen while they wake up.
	againAfter = time.Second
	// pollEvery is how often one that wakes up is asked whether it is on.
	pollEvery = time.Second
	// wakeTime is how long waking lasts; nothing is sent for it later.
	wakeTime = 30 * time.Second
	// settleTime is how long one that was woken may say that it shows
	// something else: what it showed before it went to sleep.
	settleTime = 10 * time.Second
	// confirmTime is how long the others may take to say that they are on the
	// screen, before the television is put to sleep.
	confirmTime = 2 * time.Second
	// asleepPoll is how often one that went to sleep is asked whether it is on
	// again, for not all tell.
	asleepPoll = 10 * time.Second
	// keyHeld is how long a key is down after a message that it is (CEC
	// 13.13.2).
	keyHeld = 550 * time.Millisecond
)

// Counts is what a TV has seen and done.
type Counts struct {
	Messages metric.Counter // that came
	Ignored  metric.Counter // of them: malformed, or nothing to us
	Limited  metric.Counter // answers and commands left out because there were too many
	Commands metric.Counter // given to the sender
	Wakes    metric.Counter // times that the television was told to wake up
	Standbys metric.Counter // times that it was told to sleep
}

// State is what a TV knows.
type State struct {
	Power Power
	Shown bool // we are on the screen, as far as is known
	Woken bool // it was woken by us
}

// source is who is on the screen.
type source int

const (
	unknown source = iota
	us
	other
)

// TV is the behaviour towards one television. Its methods are called by one
// goroutine at a time, with instants that do not go back.
type TV struct {
	Counts Counts

	owner        Owner
	standbyAfter time.Duration

	bus     Bus
	playing bool
	shown   source
	power   Power
	answers bool // it has told its power before
	woken   bool // it slept, and we woke it for a session
	dark    bool // it went to sleep, and the picture on the cable is off
	waking  *waking

	standbyAt clock.Time // when it is to be put to sleep; 0: not at all
	confirmed clock.Time // when nobody has said that he is on the screen; 0: nobody is asked
	pollAt    clock.Time // when one that sleeps is asked again; 0: not at all

	key     key
	answer  budget // for what others want to know
	command budget // for what others want done
	darken  budget // for switching the picture off
}

// New makes the behaviour. A television that was woken goes back to sleep when
// there was no session for standbyAfter, never if that is 0.
func New(owner Owner, standbyAfter time.Duration) *TV {
	return &TV{
		owner: owner, standbyAfter: standbyAfter,
		answer: budget{rate: 5, most: 10}, command: budget{rate: 10, most: 10}, darken: budget{rate: 0.1, most: 3},
	}
}

// State tells what is known of the television.
func (t *TV) State() State {
	return State{Power: t.power, Shown: t.shown == us, Woken: t.woken}
}

// Plugged tells where the receiver stands on the bus now. Nothing is taken by
// it: a television that switches itself off often drops the line, too.
func (t *TV) Plugged(now clock.Time, b Bus) {
	before := t.bus
	t.bus = b
	if !b.Ready || before == b {
		return
	}
	if before.Physical != b.Physical {
		t.shown = unknown // another socket
	}
	switch {
	case t.waking != nil:
		// It was woken without a line, and has one now.
		t.ring(now)
	case t.dark:
		t.ask(now)
	}
}

// Due is when Tick is to be called; ok is false if there is nothing to wait
// for.
func (t *TV) Due() (at clock.Time, ok bool) {
	earliest := func(x clock.Time) {
		if x != 0 && (!ok || x < at) {
			at, ok = x, true
		}
	}
	if w := t.waking; w != nil {
		earliest(w.ringAt)
		earliest(w.againAt)
		earliest(w.pollAt)
		earliest(w.end)
	}
	earliest(t.standbyAt)
	earliest(t.confirmed)
	earliest(t.pollAt)
	return at, ok
}

// Tick does what is due.
func (t *TV) Tick(now clock.Time) {
	t.tickWaking(now)
	if t.standbyAt != 0 && now >= t.standbyAt {
		t.standbyAt = 0
		t.confirm(now)
	}
	if t.confirmed != 0 && now >= t.confirmed {
		t.confirmed = 0
		t.sleep()
	}
	if t.pollAt != 0 && now >= t.pollAt {
		t.ask(now)
	}
}

// takeScreen says that we are on the screen; only a session does.
func (t *TV) takeScreen() {
	if !t.playing || !t.bus.Ready {
		return
	}
	t.shown = us
	t.owner.Send(everybody, activeSource, byte(t.bus.Physical>>8), byte(t.bus.Physical))
}

// show switches the picture on the cable.
func (t *TV) show(on bool) {
	if t.dark == !on {
		return
	}
	t.dark = !on
	t.pollAt = 0
	t.owner.Show(on)
}

// ask asks the television for its power, and later again while it is dark.
func (t *TV) ask(now clock.Time) {
	t.pollAt = 0
	if t.dark {
		t.pollAt = now.Add(asleepPoll)
	}
	if t.bus.Ready {
		t.owner.Send(television, givePower)
	}
}

// budget limits how often something is done: most times at once, and rate
// times a second.
type budget struct {
	rate, most float64
	left       float64
	at         clock.Time
	begun      bool
}

// spend tells whether it may be done once more.
func (b *budget) spend(now clock.Time) bool {
	if !b.begun {
		b.begun, b.left, b.at = true, b.most, now
	}
	b.left = min(b.left+now.Sub(b.at).Seconds()*b.rate, b.most)
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
