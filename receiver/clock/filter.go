package clock

import "time"

// Filter makes an Estimate out of NTP exchanges.
//
// An exchange with round trip d tells the offset between the clocks to ±d/2,
// however the travel time was split between the two ways. What all recent
// exchanges agree on, each widened by maxDrift for its age, is an interval
// that holds the truth. Drawn over time, exchanges without that widening leave
// a passage for the line that the true offset is; the line in the middle of
// the widest passage is the estimate, and its slope the drift. It rests on the
// packets that were fastest there and on those that were fastest back, which
// need not have been the same, so that it is far better than the best single
// exchange. Exchanges that contradict the rest twice in a row are a step of the
// sender's clock, and the filter starts again from them.
//
// The zero Filter is ready for use; it is not safe for concurrent use.
type Filter struct {
	ring    [filterSize]exchange
	n, next int
	odd     int // contradicting exchanges in a row
}

const (
	filterSize = 256 // 6 minutes at one exchange every 1.5 s
	maxTrip    = 2 * time.Second
	// Drift is around 0 ± priorDrift until data say more: a passage wider by
	// priorWeight of the fastest exchange is worth as much.
	priorDrift  = 30e-6
	priorWeight = 0.02
	// By thirds of the range in which the drift is looked for: to 10^-10.
	driftSteps = 36
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
	drift := f.drift(t)
	low, high := f.passage(t, drift)
	offset := low + (high-low)/2
	e := Estimate{Source: NTP, Local: t, Drift: drift}
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

// passage returns between what offsets at t a line of the given slope passes
// all exchanges; low is above high if it cannot.
func (f *Filter) passage(t Time, drift float64) (low, high time.Duration) {
	low, high = -1<<62, 1<<62
	for i := range f.n {
		x := &f.ring[i]
		at := x.offset + time.Duration(float64(t.Sub(x.at))*drift)
		low, high = max(low, at-x.half), min(high, at+x.half)
	}
	return low, high
}

// drift returns the slope with the widest passage. How wide it is is a concave
// function of the slope, so the search by thirds finds the top.
func (f *Filter) drift(t Time) float64 {
	fastest := f.ring[0].half
	for i := range f.n {
		fastest = min(fastest, f.ring[i].half)
	}
	width := func(drift float64) float64 {
		low, high := f.passage(t, drift)
		odd := drift / priorDrift
		return float64(high-low) - priorWeight*float64(fastest)*odd*odd
	}
	left, right := float64(-maxDrift), float64(maxDrift)
	for range driftSteps {
		third := (right - left) / 3
		if width(left+third) < width(right-third) {
			left += third
		} else {
			right -= third
		}
	}
	return (left + right) / 2
}
