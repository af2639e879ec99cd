package lab

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
)

// Every allocation is noted, with where it was made.
func init() { runtime.MemProfileRate = 1 }

// way are the packages through which a picture passes, from the socket to the
// commit. The sender, the clock and the control connection allocate too.
var way = []string{"aerie/receiver/mirror.", "aerie/receiver/codec.", "aerie/receiver/playout.", "aerie/hw/dmaheap.", "aerie/drm.",
	"aerie/receiver.(*decoding)", "aerie/receiver.(*kms", "aerie/receiver.(*picture", "aerie/receiver.(*surfaces)"}

// allocations counts those made so far by the packages on the way, by the
// function that made them. What is said of a commit that the kernel was not
// ready for is none of a picture's.
func allocations() map[string]int64 {
	for range 3 {
		runtime.GC() // the profile is as of the last but one
	}
	var records []runtime.MemProfileRecord
	for n, ok := runtime.MemProfile(nil, true); !ok; {
		records = make([]runtime.MemProfileRecord, n+100)
		if n, ok = runtime.MemProfile(records, true); ok {
			records = records[:n]
		}
	}
	sum := map[string]int64{}
	for _, r := range records {
		name, said := "", false
		for frames, more := runtime.CallersFrames(r.Stack()), true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			said = said || f.Function == "fmt.Errorf"
			for _, w := range way {
				if name == "" && strings.HasPrefix(f.Function, w) {
					name = f.Function
				}
			}
		}
		if name != "" && !said {
			sum[name] += r.AllocObjects
		}
	}
	return sum
}

// TestLabAllocations counts what a picture costs the collector on its whole way
// from the socket to the commit: nothing.
func TestLabAllocations(t *testing.T) {
	g := newRig(t, "count")
	g.mirror(phone.Options{Picture: newStill(t, 320, 240, 60)})
	g.until("picture", func() bool { return g.shown() > 100 })
	before, from := allocations(), g.pictures()
	time.Sleep(17 * time.Second) // some 1000 pictures
	after, n := allocations(), g.pictures()-from
	if n < 100 {
		t.Fatalf("%d pictures", n)
	}
	total := int64(0)
	for name, count := range after {
		if count -= before[name]; count > 0 {
			t.Logf("%d by %s", count, name)
			total += count
		}
	}
	t.Logf("%d allocations for %d pictures", total, n)
	if total > int64(n)/10 {
		t.Errorf("%d allocations for %d pictures", total, n)
	}
}
