package discovery

import (
	"time"

	"aerie/receiver/clock"
)

// Unicast answers have no limit in RFC 6762, but a flood of questions must not
// become a flood of answers.
const (
	unicastRate  = 50 // answers a second on a segment
	unicastBurst = 50
)

// How much is read: the cost of a packet is its length in bytes and something
// more. A busy home network stays far below a tenth of this rate.
const (
	readRate   = 512 << 10 // a second
	readBurst  = 512 << 10
	packetCost = 256
	largest    = maxPacket + packetCost
)

// allowance is a token bucket.
type allowance struct {
	rate, burst float64 // tokens a second, and how many it holds
	tokens      float64
	at          clock.Time
}

func newAllowance(rate, burst float64) allowance {
	return allowance{rate: rate, burst: burst, tokens: burst}
}

// has reports whether n tokens are there.
func (a *allowance) has(now clock.Time, n float64) bool {
	a.tokens = min(a.burst, a.tokens+now.Sub(a.at).Seconds()*a.rate)
	a.at = now
	return a.tokens >= n
}

// take spends n tokens if they are there, and reports whether they were.
func (a *allowance) take(now clock.Time, n float64) bool {
	if !a.has(now, n) {
		return false
	}
	a.tokens -= n
	return true
}

// intake lets packets in at a bounded rate. What is not taken waits in the
// sockets, where the kernel drops what does not fit: a flood costs no more
// than the rate allows.
type intake struct {
	source <-chan packet
	credit allowance
}

func newIntake(source <-chan packet) *intake {
	return &intake{source, newAllowance(readRate, readBurst)}
}

// open returns the channel to receive from now, and nil and when to ask again
// if it has been too much lately.
func (in *intake) open(now clock.Time) (<-chan packet, clock.Time) {
	if in.credit.has(now, largest) {
		return in.source, never
	}
	return nil, now.Add(largest * time.Second / readRate)
}

// charge notes that a packet was received.
func (in *intake) charge(p packet) { in.credit.tokens -= float64(len(p.data) + packetCost) }
