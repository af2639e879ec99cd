package tv

import (
	"aerie/receiver/clock"
	"aerie/receiver/remote"
)

// waking is a television that is being woken for a session. It begins with the
// question whether it sleeps; then it is rung, whatever it answered.
type waking struct {
	end     clock.Time
	settled clock.Time // what it shows counts from here on
	ringAt  clock.Time // when it is rung without an answer; 0: it was
	againAt clock.Time // when the screen is asked for again; 0: that was done
	pollAt  clock.Time // when it is asked again whether it is on; 0: not at all
	on      bool       // it says that it is on
}

// Begin tells that a session begins that wants to be seen or heard.
func (t *TV) Begin(now clock.Time) {
	t.playing = true
	t.standbyAt, t.confirmed = 0, 0
	t.show(true)
	t.waking = &waking{end: now.Add(wakeTime)}
	if !t.bus.Ready {
		// It may hide its socket while it sleeps, and answers nobody.
		t.ring(now)
		return
	}
	t.waking.ringAt = now.Add(answerTime)
	t.owner.Send(television, givePower)
}

// ring wakes the television and takes its screen.
func (t *TV) ring(now clock.Time) {
	w := t.waking
	w.ringAt, w.settled = 0, now.Add(settleTime)
	t.Counts.Wakes.Inc()
	t.owner.Send(television, imageViewOn)
	if !t.bus.Ready {
		return // when it has a line again it is rung again
	}
	t.takeScreen()
	w.againAt = now.Add(againAfter)
	if !w.on {
		w.pollAt = now.Add(pollEvery)
	}
}

// tickWaking does what is due while the television wakes up.
func (t *TV) tickWaking(now clock.Time) {
	w := t.waking
	if w == nil {
		return
	}
	if w.ringAt != 0 && now >= w.ringAt {
		t.ring(now)
	}
	if w.againAt != 0 && now >= w.againAt {
		w.againAt = 0
		t.takeScreen()
	}
	if w.pollAt != 0 && now >= w.pollAt {
		w.pollAt = now.Add(pollEvery)
		t.owner.Send(television, givePower)
	}
	if now >= w.end {
		t.waking = nil
	}
}

// reported takes the television's word about its power.
func (t *TV) reported(now clock.Time, p Power, falling bool) {
	t.power, t.answers = p, true
	if w := t.waking; w != nil {
		// The answer may come late: it slept when it was asked, all the same.
		t.woken = t.woken || p == Asleep && !w.on
		switch {
		case w.ringAt != 0:
			// Its answer to the question with which waking began.
			t.woken = t.woken || falling
			w.on = p == On
			t.ring(now)
		case p == On && !w.on:
			w.on, w.pollAt = true, 0
			t.takeScreen()
		}
		return
	}
	if p == On {
		t.show(true)
	}
}

// End tells that there is no session any more.
func (t *TV) End(now clock.Time) {
	t.playing, t.waking = false, nil
	t.key = key{}
	t.rest(now)
}

// rest plans for the television to be put to sleep, if it is our business.
func (t *TV) rest(now clock.Time) {
	t.standbyAt, t.confirmed = 0, 0
	if t.mayStandby() {
		t.standbyAt = now.Add(t.standbyAfter)
	}
}

// mayStandby tells whether the television is to be put to sleep some time.
func (t *TV) mayStandby() bool {
	return t.standbyAfter > 0 && t.woken && !t.playing && t.shown == us
}

// confirm asks who is on the screen. Nobody answers if it is us.
func (t *TV) confirm(now clock.Time) {
	if !t.mayStandby() || !t.bus.Ready {
		return
	}
	t.confirmed = now.Add(confirmTime)
	t.owner.Send(everybody, requestActiveSource)
}

// sleep puts the television to sleep; nothing else that is plugged into it.
func (t *TV) sleep() {
	if !t.mayStandby() || !t.bus.Ready {
		return
	}
	t.woken, t.power = false, Changing
	t.Counts.Standbys.Inc()
	t.owner.Send(television, standby)
}

// slept takes note that the television goes to sleep: somebody has switched it
// off, and will not hear or see what the sender plays on.
func (t *TV) slept(now clock.Time) {
	t.power, t.woken, t.shown = Asleep, false, unknown
	t.waking, t.standbyAt, t.confirmed = nil, 0, 0
	if t.playing {
		t.order(now, remote.Pause)
	}
	// One that does not tell when it is on again would stay without a picture,
	// and switching takes its time.
	if t.answers && !t.dark && t.darken.spend(now) {
		t.show(false)
		t.pollAt = now.Add(asleepPoll)
	}
}

// others takes note that something else is on the screen.
func (t *TV) others(now clock.Time) {
	if w := t.waking; w != nil && t.woken && !w.on && now < w.settled {
		// It tells what it showed before, and is told again when it is on.
		t.shown = unknown
		return
	}
	t.shown, t.woken = other, false
	t.waking, t.standbyAt, t.confirmed = nil, 0, 0
}

// chosen takes note that somebody has chosen our input.
func (t *TV) chosen() {
	t.show(true)
	t.shown = us
	t.takeScreen()
}
