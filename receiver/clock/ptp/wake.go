package ptp

import (
	"net/netip"
	"time"

	"aerie/receiver/clock"
)

// How a clock that tells of itself but sends no Syncs is woken: it hears of one
// that is a little better, and then of the same a little worse, so that it
// takes its place again and sends (reference section 15.4).
const (
	wakeAfter  = time.Second
	wakeAgain  = 5 * time.Second
	wakeSecond = 150 * time.Millisecond
)

// Wake returns the message that is due to wake a clock, appended to out, and
// the general port that it is to be sent to; nil for none. It is to be called
// about every wakeSecond.
func (f *Follower) Wake(now clock.Time, out []byte) ([]byte, netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.masters {
		if c.alive(now) || !c.known || now.Sub(c.announce) > silentAfter || f.peers[plain(c.general.Addr())] == 0 {
			continue
		}
		q := c.quality
		switch {
		case c.wake.pending && now.Sub(c.wake.at) >= wakeSecond:
			c.wake.pending = false
			q.Priority1 += min(1, 255-q.Priority1)
		case !c.wake.pending && now.Sub(c.wake.since) >= wakeAfter && (c.wake.at == 0 || now.Sub(c.wake.at) >= wakeAgain):
			c.wake.pending, c.wake.at = true, now
			q.Priority1 -= min(1, q.Priority1)
		default:
			continue
		}
		q.Clock, q.Steps = f.self.Clock, 0
		f.sequence++
		m := Message{Kind: Announce, Source: f.self, Sequence: f.sequence, Quality: q}
		return m.AppendTo(out), c.general
	}
	return nil, netip.AddrPort{}
}
