package audio

import "math"

// Concealer fills the place of lost packets with what the sound before them
// suggests, so that a loss is heard as little as possible: the last period of
// the waveform is repeated, fades over 60 ms into silence, and what follows is
// faded in over its end (after ITU-T G.711 appendix I).
//
// It works on interleaved float32 and allocates nothing after it was made.
type Concealer struct {
	channels int
	rate     int
	history  []float32 // the last historyMs of sound, oldest first
	period   int       // frames that are repeated while concealing, 0 else
	phase    int       // next frame of the period
	faded    int       // frames concealed so far
	step     []float32 // by how much the last sample heard misses the period
	tail     []float32 // continuation of the concealment, to fade out of
	gap      []float32 // the last of what was made up, at its end, and
	gapped   int       // how many samples of it there are
}

const (
	historyMs  = 40
	minPitchMs = 2.5 // 400 Hz
	maxPitchMs = 15  // 66 Hz
	fadeMs     = 60
	blendMs    = 5
	joinMs     = 4
)

// NewConcealer makes a Concealer for one format.
func NewConcealer(rate, channels int) *Concealer {
	frames := func(ms float64) int { return int(float64(rate) * ms / 1000) }
	return &Concealer{
		channels: channels, rate: rate,
		history: make([]float32, frames(historyMs)*channels),
		step:    make([]float32, channels),
		tail:    make([]float32, frames(blendMs)*channels),
		gap:     make([]float32, frames(historyMs)*channels),
	}
}

// Reset forgets what was heard.
func (c *Concealer) Reset() {
	clear(c.history)
	c.period, c.phase, c.faded = 0, 0, 0
}

// Heard takes sound that was not lost, before it is played; directly after a
// loss it is changed in place, so that it continues the concealment.
func (c *Concealer) Heard(pcm []float32) {
	if c.period > 0 {
		n := min(len(c.tail), len(pcm))
		c.generate(c.tail[:n])
		for i := range n {
			in := float32(i/c.channels+1) / float32(n/c.channels+1)
			pcm[i] = pcm[i]*in + c.tail[i]*(1-in)
		}
		c.period = 0
		// Without it the history would have a seam, and repeat it when the next
		// packet is lost soon.
		shift(c.history, c.gap[len(c.gap)-c.gapped:])
	}
	shift(c.history, pcm)
}

// Lost fills pcm in place of sound that never came.
func (c *Concealer) Lost(pcm []float32) {
	if c.period == 0 {
		c.period, c.phase, c.faded, c.gapped = c.pitch(), 0, 0, 0
		end := len(c.history)
		for ch := range c.channels {
			c.step[ch] = c.history[end-c.channels+ch] - c.history[end-(c.period+1)*c.channels+ch]
		}
	}
	c.generate(pcm)
	shift(c.gap, pcm)
	c.gapped = min(c.gapped+len(pcm), len(c.gap))
}

// generate continues the last period of the history, fading.
func (c *Concealer) generate(pcm []float32) {
	fade, joined := float32(c.rate)*fadeMs/1000, float32(c.rate)*joinMs/1000
	frames := len(c.history) / c.channels
	for i := 0; i+c.channels <= len(pcm); i += c.channels {
		at := (frames - c.period + c.phase) * c.channels
		gain := max(1-float32(c.faded)/fade, 0)
		join := max(1-float32(c.faded)/joined, 0)
		for ch := range c.channels {
			pcm[i+ch] = gain * (c.looped(at, ch) + join*join*c.step[ch])
		}
		c.phase = (c.phase + 1) % c.period
		c.faded++
	}
}

// looped returns a sample of the period. Its last part is blended with what
// came before the period, so that the end meets the beginning.
func (c *Concealer) looped(at, ch int) float32 {
	blend := c.period / 4
	v := c.history[at+ch]
	if left := c.period - c.phase; left <= blend {
		before := at - c.period*c.channels
		w := float32(blend-left+1) / float32(blend+1)
		v = v*(1-w) + c.history[before+ch]*w
	}
	return v
}

// pitch returns the lag, in frames, at which the end of the history looks
// most like what came before it, in all channels together. Every fourth lag
// and frame is tried first, then the neighbourhood of the best in full.
func (c *Concealer) pitch() int {
	low, high := int(float64(c.rate)*minPitchMs/1000), int(float64(c.rate)*maxPitchMs/1000)
	const coarse = 4
	best := c.bestLag(low, high, coarse)
	return c.bestLag(max(low, best-coarse), min(high, best+coarse), 1)
}

func (c *Concealer) bestLag(low, high, step int) int {
	window := c.rate * maxPitchMs / 1000 * c.channels
	end := len(c.history)
	recent := c.history[end-window:]
	best, bestLag := float32(-1), high
	for lag := low; lag <= high; lag += step {
		before := c.history[end-window-lag*c.channels:][:window]
		var xy, yy float32
		for i := 0; i+c.channels <= window; i += step * c.channels {
			for ch := range c.channels {
				xy += recent[i+ch] * before[i+ch]
				yy += before[i+ch] * before[i+ch]
			}
		}
		if yy == 0 {
			continue
		}
		// The energy of recent is the same for every lag.
		if score := xy / float32(math.Sqrt(float64(yy))); score > best {
			best, bestLag = score, lag
		}
	}
	return bestLag
}

// shift appends sound to a buffer, whose oldest makes room.
func shift(buf, pcm []float32) {
	if len(pcm) >= len(buf) {
		copy(buf, pcm[len(pcm)-len(buf):])
		return
	}
	copy(buf, buf[len(pcm):])
	copy(buf[len(buf)-len(pcm):], pcm)
}
