package pattern

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the processor time the process has used, which other
// processes on the machine do not lengthen.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var sizes = [][2]int{{1920, 1080}, {1280, 720}, {640, 480}, {1170, 2532}}

func BenchmarkAppendFrame(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			s, err := New(Config{Width: size[0], Height: size[1], FPS: 60})
			if err != nil {
				b.Fatal(err)
			}
			var unit []byte
			bytes, n := 0, uint32(0)
			unit = s.AppendFrame(unit, Frame{}, true)
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				n++
				elapsed := time.Duration(n) * time.Second / 60
				unit = s.AppendFrame(unit[:0], Frame{n, elapsed, uint64(elapsed.Microseconds())}, false)
				bytes += len(unit)
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(n)/1e3, "cpu-µs/frame")
			b.ReportMetric(float64(bytes)/float64(n)*8*60/1e6, "Mbit/s")
		})
	}
}

func BenchmarkKeyFrame(b *testing.B) {
	s, err := New(Config{Width: 1920, Height: 1080, FPS: 60})
	if err != nil {
		b.Fatal(err)
	}
	var unit []byte
	b.ReportAllocs()
	start, n := cpuTime(), 0
	for b.Loop() {
		n++
		unit = s.AppendFrame(unit[:0], Frame{}, true)
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(n)/1e3, "cpu-µs/frame")
	b.ReportMetric(float64(len(unit)), "bytes")
}

func BenchmarkNew(b *testing.B) {
	start, n := cpuTime(), 0
	for b.Loop() {
		n++
		if _, err := New(Config{Width: 1920, Height: 1080, FPS: 60}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(n)/1e3, "cpu-µs")
}
