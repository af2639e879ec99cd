package clock

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFixedPoint(t *testing.T) {
	// The time stamp of a captured mirror header: 1d9a9f59efde0000, LE.
	if got := FromFixed(0x0000deef599f9a1d).Sub(0).Truncate(time.Microsecond); got != 57071*time.Second+350091*time.Microsecond {
		t.Errorf("%v", got)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		r := Remote(rng.Int64N(1e18))
		if d := FromFixed(r.Fixed()).Sub(r); d != 0 {
			t.Fatalf("%d changes by %v", r, d)
		}
		if d := FromNTP(r.NTP()).Sub(r); d != 0 {
			t.Fatalf("%d changes by %v through NTP", r, d)
		}
	}
	if Remote(-5).Fixed() != 0 {
		t.Error("a negative instant has a form on the wire")
	}
}

// A captured request (reference section 10), stamped 1900 epoch and all.
func TestNTPEpoch(t *testing.T) {
	const stamp = 0x83c117ccafba9b32
	if got := FromNTP(stamp); got != FromFixed(stamp-2208988800<<32) {
		t.Errorf("offset not removed: %d", got)
	}
	// Senders without the offset are taken as they are.
	if got := FromNTP(0x0000dfdeefe59a9d); got != FromFixed(0x0000dfdeefe59a9d) {
		t.Errorf("offset removed where there was none: %d", got)
	}
}

// Now is the kernel's CLOCK_MONOTONIC, though it does not ask the kernel.
func TestMonotonic(t *testing.T) {
	for range 100 {
		var ts unix.Timespec
		before := Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		after := Now()
		if kernel := Time(ts.Nano()); kernel < before.Add(-50*time.Microsecond) || kernel > after.Add(50*time.Microsecond) {
			t.Fatalf("the kernel says %d between %d and %d", kernel, before, after)
		}
	}
}
