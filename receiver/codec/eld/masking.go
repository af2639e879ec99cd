package eld

import "math"

// maxBands is the highest number of scalefactor bands.
const maxBands = 36

// bandOffsets gives the first line of each scalefactor band and the end of
// the last, for 44.1 and 48 kHz, by frame length (ISO/IEC 14496-3, section
// 4.5.4).
var bandOffsets = map[int][]int{
	480: {0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 64, 72, 80, 88, 96, 108, 120, 132, 144,
		156, 172, 188, 212, 240, 272, 304, 336, 368, 400, 432, 480},
	512: {0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 68, 76, 84, 92, 100, 112, 124, 136,
		148, 164, 184, 208, 236, 268, 300, 332, 364, 396, 428, 460, 512},
}

// What may be added to a band as noise, relative to its energy: little in the
// low bands, where tones are pure, more in the high ones. These ratios are
// what a frame gets that fits its budget; a frame that does not gets more
// noise in all bands.
const (
	lowRatioDB  = -50.0
	highRatioDB = -38.0
	// Energy also masks in the next higher and the next lower band.
	upSlopeDB   = -16.0
	downSlopeDB = -26.0
	// quiet is the noise that goes unheard in silence, as energy of a line
	// by the number of lines: white noise of one step of a 16 bit sample.
	quiet = 2.0
	// depth is the noise that goes unheard beside the loudest band.
	depthDB = -72.0
)

func power(db float64) float64 { return math.Pow(10, db/10) }

var upSlope, downSlope, depth = power(upSlopeDB), power(downSlopeDB), power(depthDB)

// channel is one coded channel: left or right, and mid or side in the bands
// where the encoder chose so.
type channel struct {
	bank  *filterbank
	lines []float64 // spectrum
	root  []float64 // |line|^(3/4), what the quantiser scales

	energy    [maxBands]float64
	threshold [maxBands]float64 // admissible noise energy
	rootPeak  [maxBands]float64 // highest of the roots
	step      [maxBands]int     // scalefactor that makes about the admissible noise
	floor     [maxBands]int     // lowest scalefactor that keeps values in range

	scalefactor [maxBands]int
	quantised   []int32
	peak        [maxBands]int32 // highest magnitude among them
	books       sections
}

func newChannel(n int) *channel {
	return &channel{
		bank:      newFilterbank(n),
		lines:     make([]float64, n),
		root:      make([]float64, n),
		quantised: make([]int32, n),
	}
}

// weigh finds energy and threshold of each band.
func (c *channel) weigh(bands []int) {
	last := len(bands) - 2
	for b := range last + 1 {
		sum := 0.0
		for _, x := range c.lines[bands[b]:bands[b+1]] {
			sum += x * x
		}
		c.energy[b] = sum
		c.threshold[b] = sum * ratio[last+1-35][b]
	}
	for b := 1; b <= last; b++ {
		c.threshold[b] = max(c.threshold[b], c.threshold[b-1]*upSlope)
	}
	for b := last - 1; b >= 0; b-- {
		c.threshold[b] = max(c.threshold[b], c.threshold[b+1]*downSlope)
	}
	loudest := 0.0
	for b := range last + 1 {
		loudest = max(loudest, c.energy[b]/float64(bands[b+1]-bands[b]))
	}
	unheard := max(quiet*float64(len(c.lines)), depth*loudest)
	for b := range last + 1 {
		c.threshold[b] = max(c.threshold[b], unheard*float64(bands[b+1]-bands[b]))
	}
}

// ratio holds the admissible noise by band for 35 and 36 bands.
var ratio = func() (r [2][maxBands]float64) {
	for i := range r {
		for b := range r[i] {
			at := float64(b) / float64(34+i)
			r[i][b] = power(lowRatioDB + (highRatioDB-lowRatioDB)*at)
		}
	}
	return r
}()
