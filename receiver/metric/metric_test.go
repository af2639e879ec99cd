package metric

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	distributions := map[string]func() time.Duration{
		"uniform":     func() time.Duration { return time.Duration(rng.Int64N(int64(50 * time.Millisecond))) },
		"exponential": func() time.Duration { return time.Duration(rng.ExpFloat64() * float64(3*time.Millisecond)) },
		"constant":    func() time.Duration { return 16_667 * time.Microsecond },
		"tiny":        func() time.Duration { return time.Duration(rng.Int64N(2000)) },
		"minutes":     func() time.Duration { return time.Duration(rng.Int64N(int64(60 * time.Second))) },
	}
	for name, draw := range distributions {
		t.Run(name, func(t *testing.T) {
			var h Histogram
			exact := make([]time.Duration, 10_000)
			for i := range exact {
				exact[i] = draw()
				h.Observe(exact[i])
			}
			slices.Sort(exact)
			for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
				want := exact[min(int(q*10_000), 9_999)]
				got := h.Quantile(q)
				// One bucket too high at most: 1/16 of the value, or the
				// width of the lowest ones.
				if slack := want/subBuckets + 64; got < want || got > want+slack {
					t.Errorf("quantile %v: %v, exactly %v", q, got, want)
				}
			}
			if h.Count() != 10_000 || h.Max() != exact[9_999] {
				t.Errorf("count %d, max %v", h.Count(), h.Max())
			}
		})
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 {
		t.Error("an empty histogram is not zero")
	}
	h.Observe(-time.Second)
	h.Observe(time.Hour)
	if h.Quantile(0) > time.Microsecond || h.Quantile(1) != time.Hour || h.Mean() != 30*time.Minute {
		t.Errorf("quantiles %v %v, mean %v", h.Quantile(0), h.Quantile(1), h.Mean())
	}
	h.Reset()
	if h.Count() != 0 || h.Max() != 0 || h.Quantile(1) != 0 {
		t.Error("reset left something")
	}
	// Buckets follow one another without a gap.
	for i := range numBuckets - 1 {
		if end := bucketEnd(i); bucketOf(end-1) != i || bucketOf(end) != i+1 {
			t.Fatalf("bucket %d ends at %v, which falls into %d and %d", i, end, bucketOf(end-1), bucketOf(end))
		}
	}
}

func TestCountBelow(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 100 * time.Millisecond} {
		h.Observe(d)
	}
	if a, b, c := h.CountBelow(500*time.Microsecond), h.CountBelow(5*time.Millisecond), h.CountBelow(time.Second); a != 0 || b != 2 || c != 3 {
		t.Errorf("cumulative counts %d %d %d", a, b, c)
	}
}

func TestUpdatesDoNotAllocate(t *testing.T) {
	var h Histogram
	var c Counter
	var g Gauge
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond); c.Inc(); g.Set(1.5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if c.Value() != 101 || g.Value() != 1.5 {
		t.Errorf("counter %d, gauge %v", c.Value(), g.Value())
	}
}
