package clock

import "time"

// Filter makes an Estimate out of NTP exchanges.
//
// An exchange with round trip d tells the offset between the clocks to ±d/2,
// however the travel time was split between the two ways. What all recent
// exchanges agree on, each widened by maxDrift for its age, is an interval
// that holds the truth; a line fitted through the offsets, short round trips
// weighing most, is the estimate and gives the drift. Exchanges that
// contradict the rest twice in a row are a step of the sender's clock, and
// the filter starts again from them.
//
// The zero Filter is ready for use; it is not safe for concurrent use.
type Filter struct {
	ring    [filterSize]exchange
	n, next int
	odd     int // contradicting exchanges in a row
}

const (
	filterSize = 64 // 3 minutes at one exchange every 3 s
	maxTrip    = 2 * time.Second
	// The prior of the fit: drift is around 0 ± this until data say more.
	priorDrift = 30e-6
	// Time stamps taken in user space are this uncertain at best.
	stampNoise = 20 * time.Microsecond
)

type exchange struct {
	at     Time          // middle of the round trip
	offset time.Duration // remote - local at that time
	half   time.Duration // half of the round trip
}

// Add takes an exchange: a request sent at t0, received by the sender at t1,
// answered at t2, received here at t3. It returns false if the exchange is
// impossible, takes longer than two seconds or contradicts the others.
func (f *Filter) Add(t0 Time, t1, t2 Remote, t3 Time) bool {
	trip, held := t3.Sub(t0), t2.Sub(t1)
	// Rounding to 32.32 fixed point may make a short trip seem negative.
	if trip < 0 || held < 0 || trip > maxTrip || held > trip+time.Microsecond {
		return false
	}
	half := max(trip-held, 0) / 2
	x := exchange{at: t0.Add(trip / 2), half: half + stampNoise}
	// (t1-t0 + t2-t3)/2, arranged to stay exact for any pair of epochs.
	x.offset = time.Duration(int64(t1)-int64(t0)) - half
	if low, high, ok := f.bounds(x.at); ok && (x.offset+x.half < low || x.offset-x.half > high) {
		if f.odd++; f.odd < 2 {
			return false
		}
		f.n, f.next = 0, 0
	}
	f.odd = 0
	f.ring[f.next] = x
	f.next = (f.next + 1) % filterSize
	f.n = min(f.n+1, filterSize)
	return true
}

// bounds returns the interval in which the offset lies at t.
func (f *Filter) bounds(t Time) (low, high time.Duration, ok bool) {
	low, high = -1<<62, 1<<62
	for i := range f.n {
		x := &f.ring[i]
		slack := x.half + time.Duration(float64(max(t.Sub(x.at), x.at.Sub(t)))*maxDrift)
		low, high = max(low, x.offset-slack), min(high, x.offset+slack)
	}
	return low, high, f.n > 0 && low <= high
}

// Estimate returns the estimate for the instant t, normally now.
func (f *Filter) Estimate(t Time) Estimate {
	if f.n == 0 {
		return Estimate{}
	}
	// Weighted least squares for offset(t') = a + b·(t'-t), with the prior
	// b = 0 ± priorDrift. Relative to one of the offsets, so that float64
	// keeps nanoseconds.
	ref, fastest := f.ring[0].offset, f.ring[0].half
	for i := range f.n {
		fastest = min(fastest, f.ring[i].half)
	}
	var w, wx, wy, wxx, wxy float64
	for i := range f.n {
		x := &f.ring[i]
		// What a round trip takes beyond the fastest is chance; what that
		// one takes is mostly the same every time.
		s := float64(x.half - fastest + fastest/8 + stampNoise)
		weight := 1 / (s * s)
		dt, dy := float64(x.at.Sub(t)), float64(x.offset-ref)
		w += weight
		wx += weight * dt
		wy += weight * dy
		wxx += weight * dt * dt
		wxy += weight * dt * dy
	}
	wxx += 1 / (priorDrift * priorDrift)
	det := w*wxx - wx*wx
	a, b := (wy*wxx-wx*wxy)/det, (w*wxy-wx*wy)/det
	b = min(max(b, -maxDrift), maxDrift)
	offset := ref + time.Duration(a)
	e := Estimate{Source: NTP, Local: t, Drift: b}
	if low, high, ok := f.bounds(t); ok {
		offset = min(max(offset, low), high)
		e.Error = max(high-offset, offset-low)
	} else {
		// Only the exchanges' own drift beyond maxDrift gets here.
		e.Error = f.ring[(f.next+filterSize-1)%filterSize].half
	}
	e.Remote = Remote(t).Add(offset)
	return e
}
