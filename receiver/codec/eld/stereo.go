package eld

// chooseStereo replaces left and right by mid and side in the bands where
// that takes fewer bits. A decoder makes left = mid + side and right = mid -
// side.
func (e *Encoder) chooseStereo() {
	left, right := e.channels[0], e.channels[1]
	for b := range len(e.bands) - 1 {
		from, to := e.bands[b], e.bands[b+1]
		mid, side := midSideEnergy(left.lines[from:to], right.lines[from:to])
		// Both noises reach both ears, so each may be half of what the more
		// sensitive ear admits.
		threshold := min(left.threshold[b], right.threshold[b]) / 2
		separate := demand(left.energy[b], left.threshold[b]) * demand(right.energy[b], right.threshold[b])
		joint := demand(mid, threshold) * demand(side, threshold)
		e.midSide[b] = joint < separate
		if !e.midSide[b] {
			continue
		}
		for i := from; i < to; i++ {
			l, r := left.lines[i], right.lines[i]
			left.lines[i], right.lines[i] = (l+r)/2, (l-r)/2
		}
		left.energy[b], right.energy[b] = mid, side
		left.threshold[b], right.threshold[b] = threshold, threshold
	}
}

func midSideEnergy(left, right []float64) (mid, side float64) {
	for i, l := range left {
		m, s := (l+right[i])/2, (l-right[i])/2
		mid += m * m
		side += s * s
	}
	return mid, side
}

// demand is the signal-to-noise ratio a band needs; its logarithm is the
// number of bits it takes, so products of demands compare like sums of bits.
func demand(energy, threshold float64) float64 { return 1 + energy/threshold }
