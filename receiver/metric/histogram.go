package metric

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A duration falls into one of subBuckets equal parts of its power of two:
// the width of a bucket is at most 1/subBuckets of its value.
const (
	subBits    = 4
	subBuckets = 1 << subBits
	minShift   = 10 // durations below 1024 ns share the first buckets
	groups     = 26 // 2^(10+26) ns = 69 s; longer ones fall into the last
	numBuckets = (groups + 1) * subBuckets
)

// Histogram is a distribution of durations from 1 µs to 69 s with a relative
// error of at most 1/16. Negative durations count as zero. It may be updated
// from several goroutines at once.
type Histogram struct {
	count   atomic.Uint64
	sum     atomic.Int64
	max     atomic.Int64
	buckets [numBuckets]atomic.Uint32
}

func bucketOf(d time.Duration) int {
	v := uint64(d) >> (minShift - subBits)
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	i := (shift+1)*subBuckets + int(v>>shift) - subBuckets
	return min(i, numBuckets-1)
}

// bucketEnd returns the upper end of bucket i, as if the last one had one.
func bucketEnd(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i+1) << (minShift - subBits)
	}
	shift := i/subBuckets - 1
	return time.Duration(i%subBuckets+subBuckets+1) << (shift + minShift - subBits)
}

// Observe adds one duration.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(d)].Add(1)
	h.count.Add(1)
	h.sum.Add(int64(d))
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

// Count returns how many durations were observed.
func (h *Histogram) Count() uint64 { return h.count.Load() }

// Sum returns the sum of all durations.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Max returns the longest duration, exactly; 0 if there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Mean returns the average, 0 if there is none.
func (h *Histogram) Mean() time.Duration {
	if n := h.count.Load(); n > 0 {
		return time.Duration(h.sum.Load() / int64(n))
	}
	return 0
}

// Quantile returns a duration that at least the part q (0 to 1) of all
// observations do not exceed, at most 1/16 too high; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := h.count.Load()
	if n == 0 {
		return 0
	}
	rank := uint64(q * float64(n))
	var seen uint64
	for i := range h.buckets {
		seen += uint64(h.buckets[i].Load())
		if (seen > rank || seen == n) && i < numBuckets-1 {
			return min(bucketEnd(i), h.Max())
		}
	}
	return h.Max()
}

// CountBelow returns how many observations fell into buckets that end at or
// below d: the cumulative buckets of a Prometheus histogram.
func (h *Histogram) CountBelow(d time.Duration) (n uint64) {
	for i := range h.buckets {
		if bucketEnd(i) > d {
			break
		}
		n += uint64(h.buckets[i].Load())
	}
	return n
}

// Reset forgets everything. Observations made meanwhile may be half counted.
func (h *Histogram) Reset() {
	for i := range h.buckets {
		h.buckets[i].Store(0)
	}
	h.count.Store(0)
	h.sum.Store(0)
	h.max.Store(0)
}
