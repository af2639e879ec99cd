package alsa

import "time"

// timeline predicts when a frame will be heard from snapshots of the device's
// position.
//
// A snapshot says that at time t the frame n was the next to be heard. The
// position is never ahead of the truth but up to one step behind it: a DMA
// burst on vc4 HDMI, a timer tick on a loopback card, a period where the
// driver knows no better. So the snapshots lie on or above the line t(n) that
// is looked for, and that line is their lower envelope. It is followed in two
// steps: each second of snapshots leaves its lowest one as a vertex, the slope
// is the least-squares line through the vertices of the last half minute (the
// device's crystal against the machine's), and the line is let down on the
// lowest of the last few seconds' vertices. The line moves towards its new
// place by an eighth per snapshot, so that no play time jumps.
type timeline struct {
	nominal float64 // nanoseconds per frame at the nominal rate
	jump    float64 // what is too far off the line to belong to it
	frame0  int64   // origin
	time0   int64
	started bool

	vertices [timelineVertices]vertex // ring of finished seconds
	count    int                      // seconds ever finished
	current  vertex                   // of the second in progress
	began    float64                  // when that began

	slope  float64 // deviation from nominal, per nanosecond
	offset float64 // of the line from nominal, at time x
	x      float64
	error  float64 // see bound
	strays int     // snapshots in a row that were far above the line
}

// vertex is the lowest snapshot of one second: at x nanoseconds after the
// origin the device was behind its nominal course by y nanoseconds. The
// highest snapshot of that second was higher by step.
type vertex struct{ x, y, step float64 }

const (
	timelineVertices = 32
	timelineRecent   = 4   // seconds whose vertices carry the line
	timelineSecond   = 1e9 // in nanoseconds
	timelineSlew     = 1. / 8
	timelineMaxSlope = 1e-3 // no sound card is off by more
	timelineStrays   = 5
)

// reset forgets everything; the next snapshot is the origin.
func (l *timeline) reset(rate, period int) {
	nominal := 1e9 / float64(rate)
	*l = timeline{nominal: nominal, jump: max(20e6, 3*float64(period)*nominal)}
}

// observe takes a snapshot: at time t, frame n was the next to be heard. It
// reports false when the snapshot is the origin of a new line, because it does
// not continue the one before: the position is ahead of it by some periods, or
// has been behind for several snapshots, as when a driver lost count. A single
// snapshot far behind only came late (the machine stood still between reading
// the position and the clock) and is left out.
func (l *timeline) observe(n, t int64) bool {
	if !l.started {
		l.started, l.frame0, l.time0 = true, n, t
		return true
	}
	x := float64(t - l.time0)
	y := x - float64(n-l.frame0)*l.nominal
	off := y - l.line(x)
	if off > l.jump {
		if l.strays++; l.strays < timelineStrays {
			return true
		}
	}
	if off > l.jump || off < -l.jump {
		*l = timeline{nominal: l.nominal, jump: l.jump}
		l.observe(n, t)
		return false
	}
	l.strays = 0
	if x-l.began >= timelineSecond {
		l.finish(x, y)
	}
	c := &l.current
	switch rise := y - c.y - l.slope*(x-c.x); {
	case rise < 0:
		*c = vertex{x, y, c.step - rise}
	case rise > c.step:
		c.step = rise
	}
	l.follow(x)
	return true
}

// finish stores the second in progress and begins the next one at x.
func (l *timeline) finish(x, y float64) {
	l.vertices[l.count%timelineVertices] = l.current
	l.count++
	l.current, l.began = vertex{x: x, y: y}, x
	if l.count >= timelineRecent {
		l.slope = l.fit()
	}
}

// fit is the least-squares slope through the vertices.
func (l *timeline) fit() float64 {
	n := min(l.count, timelineVertices)
	var mx, my float64
	for _, v := range l.vertices[:n] {
		mx += v.x / float64(n)
		my += v.y / float64(n)
	}
	var sxx, sxy float64
	for _, v := range l.vertices[:n] {
		sxx += (v.x - mx) * (v.x - mx)
		sxy += (v.x - mx) * (v.y - my)
	}
	if sxx == 0 {
		return 0
	}
	return max(-timelineMaxSlope, min(sxy/sxx, timelineMaxSlope))
}

// follow moves the line towards the lowest recent vertex, seen from x.
func (l *timeline) follow(x float64) {
	target := l.current.y + l.slope*(x-l.current.x)
	step := l.current.step
	recent := min(l.count, timelineRecent)
	if l.count < timelineRecent { // the slope is not known: older ones mislead
		recent = min(l.count, 1)
	}
	for i := range recent {
		v := l.vertices[(l.count-1-i)%timelineVertices]
		target = min(target, v.y+l.slope*(x-v.x))
		step = max(step, v.step)
	}
	next := target
	if l.count > 0 { // before, there is nothing to be smooth about
		here := l.line(x)
		next = here + (target-here)*timelineSlew
	}
	l.offset, l.x = next, x
	l.error = step + max(next-target, target-next)
}

// line is the deviation from nominal at x.
func (l *timeline) line(x float64) float64 { return l.offset + l.slope*(x-l.x) }

// at is when frame n will be heard. It means something after the first
// snapshot.
func (l *timeline) at(n int64) int64 {
	x := float64(n-l.frame0) * l.nominal
	// The deviation is that at the time looked for, which is x plus itself.
	return l.time0 + int64(x+l.line(x+l.line(x)))
}

// bound is how far off at may be: the longest step of the position seen in
// the last seconds, plus how far the line is from where it is heading.
func (l *timeline) bound() time.Duration { return time.Duration(l.error) }

// drift is how much slower than nominal the device runs against
// CLOCK_MONOTONIC, in parts per million.
func (l *timeline) drift() float64 { return l.slope * 1e6 }
