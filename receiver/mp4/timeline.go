package mp4

import "time"

// recordTimescale is the time of video and of the whole file in a recording:
// exact to 11 µs, and a sample may last for 13 hours before 32 bits end.
const recordTimescale = 90000

// A timeline gives the samples of one track their places, in units of its
// timescale since the zero of the sender's clock.
type timeline struct {
	scale   uint32
	frame   int64 // sound: samples in a frame; 0 for video
	started bool
	last    int64
	step    int64 // from the last but one to the last
	shift   int64
}

// Bounds of what is believed of a sender's clock.
const (
	maxPause = 12 * 60 * 60 // seconds without a sample
	maxBack  = 1            // seconds backwards
)

// place returns where the next sample goes, after all before it. Sound is
// false if the sample has no place: see placeSound. A clock that jumps, back
// by more than a second or on by more than twelve hours, is taken to have
// been set; the track goes on without a gap.
func (t *timeline) place(pts time.Duration) (at int64, ok bool) {
	at = ticks(pts, t.scale) + t.shift
	if !t.started {
		t.started = true
		t.last, t.step = at, t.frame
		return at, true
	}
	if at < t.last-maxBack*int64(t.scale) || at > t.last+maxPause*int64(t.scale) {
		next := t.last + max(t.step, t.frame, 1)
		t.shift += next - at
		at = next
	}
	if t.frame > 0 {
		at, ok = t.placeSound(at)
	} else {
		at, ok = max(at, t.last+1), true
	}
	if ok {
		t.step, t.last = at-t.last, at
	}
	return at, ok
}

// placeSound puts a frame directly behind the one before unless its time says
// otherwise by more than 20 ms, as it does after a loss or when the sender's
// clock and its sound card have drifted apart. Then a gap is left, or a frame
// that is heard already is left out.
func (t *timeline) placeSound(at int64) (int64, bool) {
	next, tolerance := t.last+t.frame, int64(t.scale)/50
	switch {
	case at > next+tolerance:
		return at, true
	case at < next-tolerance:
		return 0, false
	}
	return next, true
}

// ticks converts a time to units of a timescale, to the nearest. Times before
// zero are ordinary: a sender's clock may begin anywhere.
func ticks(d time.Duration, timescale uint32) int64 {
	sec, ns := floorDiv(int64(d), int64(time.Second))
	return sec*int64(timescale) + (ns*int64(timescale)+5e8)/1e9
}

// timeOf converts units of a timescale to time; ticks gives them back.
func timeOf(ticks int64, timescale uint32) time.Duration {
	scale := int64(timescale)
	sec, rest := floorDiv(ticks, scale)
	return time.Duration(sec)*time.Second + time.Duration(rest)*time.Second/time.Duration(scale)
}

// floorDiv divides a by b > 0; the remainder is never below zero.
func floorDiv(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		quotient, remainder = quotient-1, remainder+b
	}
	return quotient, remainder
}
