package eld

import "math"

// Values of the quantiser (ISO/IEC 14496-3, section 4.6.1): a line is
// sign·value^(4/3)·2^((scalefactor-100)/4).
const (
	neutralScale  = 100
	maxScale      = 255
	maxScaleDelta = 60
	maxValue      = 8191
	rounding      = 0.4054 // below ½, since small values are likelier
)

// Scalefactor steps by which all bands may be coarser than their thresholds
// ask: at finest there is nothing left to gain, at coarsest nothing is left.
const (
	finest   = -16
	coarsest = 120
)

// scale34 holds 2^(-3/16·(scalefactor-100)), the factor of a line's
// magnitude^(3/4).
var scale34 = func() (t [maxScale + 1]float64) {
	for i := range t {
		t[i] = math.Exp2(-3.0 / 16 * float64(i-neutralScale))
	}
	return t
}()

// prepare computes what the search for the budget needs again and again: the
// roots of the lines, and for each band the scalefactor at which the
// quantiser's noise is about the threshold.
//
// A uniform quantiser of step 1 on x^(3/4) makes, in terms of x, a noise of
// (4/3)²·x^(1/2)·2^(3/8·(scalefactor-100))/12 per line.
func (c *channel) prepare(bands []int) {
	for b := range len(bands) - 1 {
		from, to := bands[b], bands[b+1]
		sum, peak := 0.0, 0.0
		for i, x := range c.lines[from:to] {
			half := math.Sqrt(math.Abs(x))
			root := half * math.Sqrt(half)
			c.root[from+i] = root
			sum += half
			peak = max(peak, root)
		}
		c.rootPeak[b] = peak
		if peak > 0 {
			c.step[b] = neutralScale + int(math.Floor(8.0/3*math.Log2(6.75*c.threshold[b]/sum)))
			c.floor[b] = neutralScale + int(math.Ceil(16.0/3*math.Log2(peak/maxValue)))
		}
	}
}

// quantise fills quantised, peak and scalefactor with all scalefactors
// coarser by the given number of steps of 1.5 dB.
func (c *channel) quantise(bands []int, coarser int) {
	c.scale(len(bands)-1, coarser)
	for b := range len(bands) - 1 {
		from, to := bands[b], bands[b+1]
		c.peak[b] = 0
		if c.vanishes(b) {
			clear(c.quantised[from:to])
			continue
		}
		factor := scale34[c.scalefactor[b]]
		values, lines := c.quantised[from:to], c.lines[from:to]
		for i, root := range c.root[from:to] {
			v := min(int32(root*factor+rounding), maxValue)
			c.peak[b] = max(c.peak[b], v)
			if lines[i] < 0 {
				v = -v
			}
			values[i] = v
		}
	}
}

// vanishes tells whether all values of a band become zero.
func (c *channel) vanishes(b int) bool {
	return c.rootPeak[b]*scale34[c.scalefactor[b]]+rounding < 1
}

// scale sets the scalefactors. Where one lies further below its neighbour's
// than a difference can express, it is raised; bands that vanish have no
// scalefactor and are passed over.
func (c *channel) scale(bands, coarser int) {
	for b := range bands {
		c.scalefactor[b] = min(max(c.step[b]+coarser, c.floor[b], 0), maxScale)
	}
	neighbour := 0
	raise := func(b int) {
		c.scalefactor[b] = max(c.scalefactor[b], neighbour-maxScaleDelta)
		if !c.vanishes(b) {
			neighbour = c.scalefactor[b]
		}
	}
	for b := range bands {
		raise(b)
	}
	neighbour = 0
	for b := bands - 1; b >= 0; b-- {
		raise(b)
	}
}

// fitBudget quantises the frame as finely as the budget admits, up to finest,
// and returns the bits it takes. A frame that is finer than its thresholds ask
// leaves some of its bits to later ones, one that is coarser takes of those.
func (e *Encoder) fitBudget() int {
	for _, c := range e.channels {
		c.prepare(e.bands)
	}
	fits := func(coarser int) bool {
		if coarser < 0 {
			return e.quantise(coarser) <= e.budget*7/8
		}
		return e.quantise(coarser) <= e.budget+e.reservoir/2
	}
	// The answer is mostly near that of the frame before: bracket it from
	// there by growing strides, then halve.
	at := e.coarser
	tooFine, enough := finest-1, coarsest
	for stride := 1; enough-tooFine > 1; stride *= 2 {
		if fits(at) {
			enough = at
			at -= stride
		} else {
			tooFine = at
			at += stride
		}
		if at <= tooFine || at >= enough {
			at = (tooFine + enough) / 2
		}
	}
	e.coarser = enough
	return e.quantise(enough)
}

// quantise quantises all channels and returns the bits of the access unit.
func (e *Encoder) quantise(coarser int) int {
	bits := e.headerBits()
	for _, c := range e.channels {
		c.quantise(e.bands, coarser)
		bits += c.chooseBooks(e.bands)
	}
	return bits
}
