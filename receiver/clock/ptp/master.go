package ptp

import (
	"net/netip"
	"time"

	"aerie/receiver/clock"
)

const (
	window = time.Second // of which the fastest messages make one measurement
	// Messages of one window lie up to that far apart, and the clocks may have
	// drifted by so much meanwhile.
	windowDrift = 100 * time.Microsecond

	trustAfter  = 3               // Syncs before a clock is believed
	silentAfter = 4 * time.Second // a clock that says nothing for so long is not followed

	usualRequests = time.Second // between two requests of a clock that does not answer
	quickRequests = 100 * time.Millisecond
	unanswered    = 4 // requests in a row after which they become rare
)

// master is one clock that somebody tells of.
type master struct {
	source   Port
	peer     netip.AddrPort // where its Syncs come from
	quality  Quality
	known    bool // the quality was announced
	announce clock.Time
	general  netip.AddrPort // where its Announces come from
	wake     struct {       // how it is made to send Syncs
		since   clock.Time // it has been announcing without any
		at      clock.Time // of the last attempt
		pending bool       // the second half of it is due
	}
	seen  clock.Time // last Sync
	syncs int

	time clock.Sender

	sync struct { // that awaits its Follow_Up
		waiting    bool
		sequence   uint16
		at         clock.Time
		correction time.Duration
	}
	// early is a Follow_Up that overtook its Sync: they come by two ports.
	early struct {
		waiting  bool
		sequence uint16
		stamp    clock.Remote // corrected
	}
	request struct { // that awaits its answer
		waiting  bool
		sequence uint16
		at       clock.Time
		missed   int
		interval time.Duration
	}

	began clock.Time // of the window
	down  delay      // of the fastest Sync in it
	up    delay      // of the fastest Delay_Req

	// successor is the clock that took this one's place, with what must be
	// added to an instant of this clock to get one of that.
	successor uint64
	shift     time.Duration
}

// delay is the difference of the instants at which a message left and arrived:
// the time it took, and that by which one clock is ahead of the other.
type delay struct {
	set   bool
	value time.Duration
	at    clock.Time
}

// take keeps the smaller delay: that of the message that travelled faster.
func (d *delay) take(value time.Duration, at clock.Time) {
	if !d.set || value < d.value {
		*d = delay{true, value, at}
	}
}

// grandmaster returns the clock whose time this is.
func (m *master) grandmaster() uint64 {
	if m.known {
		return m.quality.Clock
	}
	return m.source.Clock
}

// alive tells whether the clock was heard recently.
func (m *master) alive(now clock.Time) bool {
	return m.syncs > 0 && now.Sub(m.seen) < silentAfter
}

// ready tells whether the clock may be followed.
func (m *master) ready(now clock.Time) bool { return m.alive(now) && m.syncs >= trustAfter }

// synced takes a Sync that left at the instant stamp of the clock and arrived
// at the local instant at.
func (m *master) synced(stamp clock.Remote, at clock.Time) {
	m.seen = at
	m.syncs++
	m.time.Arrived(stamp, at)
	m.measure(at)
	m.down.take(time.Duration(int64(at)-int64(stamp)), at)
}

// answered takes the answer to the request that waits: the instant at which
// the clock received it.
func (m *master) answered(stamp clock.Remote) {
	m.request.waiting, m.request.missed = false, 0
	m.up.take(time.Duration(int64(stamp)-int64(m.request.at)), m.request.at)
}

// measure ends the window when its time has come: the fastest message of each
// direction together tell what one exchange would that both of them were part
// of.
func (m *master) measure(now clock.Time) {
	if m.began == 0 {
		m.began = now
	}
	if now.Sub(m.began) < window {
		return
	}
	if m.down.set && m.up.set {
		half := max((m.down.value+m.up.value)/2, 0) + windowDrift
		middle := m.down.at.Add(m.up.at.Sub(m.down.at) / 2)
		remote := clock.Remote(middle).Add((m.up.value - m.down.value) / 2)
		m.time.Exchange(middle.Add(-half), remote, remote, middle.Add(half))
	}
	m.began, m.down, m.up = now, delay{}, delay{}
}

// due tells whether a request is to be sent.
func (m *master) due(now clock.Time) bool {
	every := max(m.request.interval, quickRequests)
	if m.request.missed >= unanswered {
		every = max(every, usualRequests)
	}
	return m.request.at == 0 || now.Sub(m.request.at) >= every
}
