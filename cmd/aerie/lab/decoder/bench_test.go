package decoder

import (
	"slices"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/drm"
	"aerie/hw/lab/bench"
	"aerie/receiver/config"
	"golang.org/x/sys/unix"
)

// slowly is a source that leaves the display idle between two pictures.
type slowly struct{ *repeated }

func (s slowly) When() (time.Duration, error) {
	return time.Duration(s.n) * time.Second / 15, nil
}

// BenchmarkLabCommit is the time from a picture's being decoded to the kernel's
// having taken its commit, while the display is idle. The floor is a commit
// alone, in the same machine: both in an emulated one, where waking a thread
// takes longest. On a board the goal is 0.2 ms at the 99th percentile; what of
// it is this program's own, the benchmarks of drm and hw/v4l2 tell.
func BenchmarkLabCommit(b *testing.B) {
	bench.Need(b)
	floor := commitFloor(b)
	g := newDoubleRig(b, &doubles{}, func(c *config.Config) { c.Video.MaxDelay = 1 })
	g.mirrorWith(phone.Options{Picture: slowly{newRepeated(b)}, NoClock: true})
	more := func(n float64) {
		shown := g.metric("aerie_pictures_shown_total")
		g.until("pictures", func() bool { return g.metric("aerie_pictures_shown_total") >= shown+n })
	}
	more(20)
	for b.Loop() {
		more(100)
	}
	for _, s := range g.status().Latency {
		if s.Name == "commit" {
			b.ReportMetric(0, "ns/op") // the source's pace
			b.ReportMetric(s.P99, "p99-ms")
			b.ReportMetric(s.Median, "median-ms")
			b.ReportMetric(s.Median/floor.Seconds()/1000, "median/floor")
		}
	}
}

// commitFloor is the median time of a commit with nothing around it.
func commitFloor(b *testing.B) time.Duration {
	b.Helper()
	flips := make(chan drm.Flip, 1)
	d, err := drm.Open(drm.Options{Driver: "vkms", Mode: "640x480@60", Flipped: func(f drm.Flip) { flips <- f }})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	fb, err := d.NewDumb(codedWidth, codedHeight, drm.NV12)
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for id := range uint64(100) {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			b.Fatal(err)
		}
		if err := d.Show(drm.Picture{ID: id, FB: fb}); err != nil {
			b.Fatal(err)
		}
		f := <-flips
		took = append(took, time.Duration(f.Submitted-ts.Nano()))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
