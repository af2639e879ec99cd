package v4l2

// quirks is what a driver does that V4L2's document of stateful decoders
// (kernel Documentation/userspace-api/media/v4l/dev-decoder.rst) does not say.
// "The driver" is bcm2835-v4l2-codec.c of the Raspberry Pi's kernel.
type quirks struct {
	// early: memory for pictures is made before the first access unit, from
	// the size in the parameter set. When OUTPUT already has the true size,
	// the driver copies it to CAPTURE and raises no SOURCE_CHANGE, so that
	// waiting for one dead-locks (hardware reference section 1.4).
	early bool
	// noise: a SOURCE_CHANGE to a size of at most this many pixels in both
	// directions is none (firmware issue 1673, zeroplay).
	noise int
	// resume: a SOURCE_CHANGE makes DQBUF answer EPIPE even if nothing but
	// the colour changed; the driver's DECODER_CMD START ends that.
	resume bool
	// macroblocks is the most that are decoded right. 1920x1200 passes the
	// driver's check of 1920 in both directions and was reported corrupt
	// (linux issue 6283), so it is the area of 1920x1088.
	macroblocks int
	// frames is how many pictures the driver wants beyond the references and
	// those that are held: the firmware reckons with DPB+5 (linux pull request
	// 4658).
	frames int
}

// drivers have quirks by their name in QUERYCAP.
var drivers = map[string]quirks{
	"bcm2835-codec": {early: true, noise: 32, resume: true, macroblocks: 120 * 68, frames: spare},
}

func quirksOf(driver string) quirks {
	if q, ok := drivers[driver]; ok {
		return q
	}
	return quirks{frames: 1}
}

// fits tells whether a coded size is one that the driver decodes.
func (q *quirks) fits(width, height int) bool {
	return q.macroblocks == 0 || ((width+15)/16)*((height+15)/16) <= q.macroblocks
}

// isNoise tells whether a new format is none.
func (q *quirks) isNoise(f *plainFormat) bool {
	return f.width <= q.noise && f.height <= q.noise
}

// columnChroma is where the chroma columns of a format in columns begin: below
// the luma of each column, whose height the codecs of the Raspberry Pi round
// up to whole macroblocks (hardware reference section 2).
func columnChroma(height int) int { return columnWidth * ((height + 15) &^ 15) }
