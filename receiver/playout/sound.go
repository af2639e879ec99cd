package playout

import (
	"math"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/metric"
)

// Source is decoded sound, found by frame number; an audio.Track is one.
type Source interface {
	// Anchor tells when one frame is to be heard.
	Anchor() (audio.Anchor, bool)
	// Read fills dst with the frames from the given one on.
	Read(from int64, dst []float32)
}

// Sound places a source on an output: what is asked for at an instant is what
// the sender wants to be heard at that instant.
//
// The source's position may be off by up to slack without anything being
// done, so that with equal clocks samples come out as they went in. Beyond
// that the sound is resampled by up to maxCorrection until it is right, and
// beyond leap it jumps there, over a short cross-fade. In silence it jumps
// instead of being resampled: nobody hears that, and what is learned about the
// sender's clock before the first sound does not bend it.
type Sound struct {
	Error       metric.Gauge   // seconds that the sound is late, before correction
	Correction  metric.Gauge   // by which the sound is played faster, as a ratio
	Leaps       metric.Counter // jumps
	Corrections metric.Counter // frames that were resampled on account of an error
	// Errors is how far off the sound was each time it was asked for, late or
	// early, before correction.
	Errors metric.Histogram

	source   Source
	rate     int // of the source
	out      int // of the output
	channels int

	pos        position
	started    bool
	correcting bool
	silent     bool // nothing but silence was made last
	scratch    []float32
	fade       []float32
}

const (
	slack         = 500 * time.Microsecond
	leap          = 60 * time.Millisecond
	maxCorrection = 2e-3 // 3.5 cents
	// The error shrinks by a factor e in this time.
	settle      = 700 * time.Millisecond
	crossFade   = 5 * time.Millisecond
	maxBlock    = 2048 // frames of output made in one go
	maxRateStep = 4    // source frames a frame of output at most
)

// NewSound makes a Sound out of a source of the given rate for an output of
// another; channels is that of both.
func NewSound(source Source, rate, out, channels int) *Sound {
	return &Sound{
		source: source, rate: rate, out: out, channels: channels,
		scratch: make([]float32, (maxBlock*maxRateStep+taps)*channels),
		fade:    make([]float32, int(crossFade.Seconds()*float64(out))*channels),
	}
}

// Fill fills dst with what is to be heard when the sender's clock shows at
// (less the playout's delay). It returns false, and silence, while the source
// has no anchor.
func (s *Sound) Fill(dst []float32, at clock.Remote) bool {
	a, ok := s.source.Anchor()
	if !ok {
		clear(dst)
		s.started = false
		return false
	}
	for len(dst) > 0 {
		n := min(len(dst)/s.channels, maxBlock)
		if n == 0 {
			clear(dst)
			break
		}
		s.fill(dst[:n*s.channels], s.want(a, at), n)
		dst = dst[n*s.channels:]
		at = at.Add(time.Duration(n) * time.Second / time.Duration(s.out))
	}
	return true
}

// want returns the position that is to be heard at the instant at.
func (s *Sound) want(a audio.Anchor, at clock.Remote) position {
	d := at.Sub(a.At)
	frames := d.Seconds() * float64(s.rate)
	return position{frame: a.Frame}.plus(frames)
}

func (s *Sound) fill(dst []float32, want position, n int) {
	nominal := float64(s.rate) / float64(s.out)
	off := want.minus(s.pos)
	late := time.Duration(off / float64(s.rate) * 1e9)
	if !s.started {
		s.pos, s.started, s.correcting, late = s.whole(want), true, false, 0
	} else if s.silent && (s.correcting || late > slack || late < -slack) {
		s.pos, s.correcting, late = s.whole(want), false, 0
	} else if late > leap || late < -leap {
		s.jump(dst, want, nominal, n)
		return
	}
	s.Error.Set(late.Seconds())
	s.Errors.Observe(late.Abs())
	correction := s.correction(want.minus(s.pos), late, nominal, n)
	s.Correction.Set(correction)
	if correction != 0 {
		s.Corrections.Add(uint64(n))
	}
	s.render(dst, s.pos, nominal*(1+correction))
	s.silent = isSilent(dst)
	s.pos = s.pos.plus(nominal * (1 + correction) * float64(n))
	if nominal == 1 && (s.pos.part < 1e-6 || s.pos.part > 1-1e-6) {
		s.pos = s.whole(s.pos)
	}
}

// whole drops the fraction of a position if the output can then be the source
// itself: half a frame is nothing, and exact samples are something.
func (s *Sound) whole(p position) position {
	if s.rate == s.out {
		return position{frame: p.frame}.plus(math.Round(p.part))
	}
	return p
}

// correction returns by what ratio the next n frames are to be played faster,
// given that the source is off frames behind.
func (s *Sound) correction(off float64, late time.Duration, nominal float64, n int) float64 {
	const done = slack / 20
	switch {
	case !s.correcting && (late > slack || late < -slack):
		s.correcting = true
	case s.correcting && nominal == 1 && s.pos.part == 0 && math.Abs(off) <= 1:
		s.correcting = false
	case s.correcting && nominal != 1 && late < done && late > -done:
		s.correcting = false
	}
	if !s.correcting {
		return 0
	}
	c := off / (settle.Seconds() * float64(s.rate))
	if nominal == 1 && math.Abs(off) < 2 {
		// The last step leads to a whole frame, and exactly there.
		c = s.whole(s.pos.plus(off)).minus(s.pos) / float64(n)
	}
	return min(max(c, -maxCorrection), maxCorrection)
}

// jump goes to where the source should be, fading from where it is.
func (s *Sound) jump(dst []float32, want position, nominal float64, n int) {
	s.Leaps.Inc()
	s.Error.Set(0)
	m := min(n*s.channels, len(s.fade))
	s.render(s.fade[:m], s.pos, nominal)
	s.pos, s.correcting = s.whole(want), false
	s.render(dst, s.pos, nominal)
	for i := range m {
		in := float32(i/s.channels+1) / float32(m/s.channels+1)
		dst[i] = dst[i]*in + s.fade[i]*(1-in)
	}
	s.pos = s.pos.plus(nominal * float64(n))
	s.silent = false
}

// isSilent tells whether there is no sound at all.
func isSilent(pcm []float32) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}

// render makes output at pos; a plain copy if there is nothing to resample.
func (s *Sound) render(dst []float32, pos position, step float64) {
	if step == 1 && pos.part == 0 {
		s.source.Read(pos.frame, dst)
		return
	}
	first, count := span(pos, step, len(dst)/s.channels)
	src := s.scratch[:count*s.channels]
	s.source.Read(first, src)
	resample(dst, src, s.channels, pos, step)
}

// Restart makes the next Fill begin at its place without a fade: after a
// pause of the output.
func (s *Sound) Restart() { s.started = false }
