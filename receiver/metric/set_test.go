package metric

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWritePrometheus compares every line with golden text.
func TestWritePrometheus(t *testing.T) {
	var s Set
	var pictures, late Counter
	var fps Gauge
	var decode, empty Histogram
	pictures.Add(12345)
	fps.Set(59.94)
	for _, d := range []time.Duration{10 * time.Microsecond, 3 * time.Millisecond, 3 * time.Millisecond, 5 * time.Second} {
		decode.Observe(d)
	}
	s.Counter("aerie_pictures_total", "Pictures received.", &pictures)
	s.Counter("aerie_dropped_total", "Pictures dropped,\nby reason \\ cause.", &late, "reason", "late")
	s.Gauge("aerie_picture_rate_hertz", "Pictures a second.", &fps)
	s.Histogram("aerie_latency_seconds", "Time spent in each stage.", &decode, "stage", "decode")
	s.CounterFunc("aerie_dropped_total", "", func() float64 { return 1e16 }, "reason", `no "key"`, "codec", "H.264")
	s.GaugeFunc("aerie_volume_decibels", "Volume.", func() float64 { return math.Inf(-1) })
	s.GaugeFunc("aerie_drift_ratio", "Drift.", math.NaN)
	s.Histogram("aerie_latency_seconds", "", &empty, "stage", "show")

	var b bytes.Buffer
	if err := s.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "exposition.txt")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got\n%swant (%s)\n%s", b.Bytes(), golden, want)
	}
}

func TestBadRegistrations(t *testing.T) {
	var c Counter
	var g Gauge
	for what, register := range map[string]func(*Set){
		"an empty name":           func(s *Set) { s.Counter("", "", &c) },
		"a name with a dash":      func(s *Set) { s.Counter("a-b", "", &c) },
		"a digit in front":        func(s *Set) { s.Counter("1a", "", &c) },
		"a label with a colon":    func(s *Set) { s.Counter("a", "", &c, "b:c", "") },
		"a label without a value": func(s *Set) { s.Counter("a", "", &c, "b") },
		"the same twice":          func(s *Set) { s.Counter("a", "", &c, "b", "c"); s.Counter("a", "", &c, "b", "c") },
		"two types":               func(s *Set) { s.Counter("a", "", &c); s.Gauge("a", "", &g, "b", "c") },
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("was accepted")
				}
			}()
			register(new(Set))
		})
	}
}

// TestScrapeDuringUpdates checks that a histogram is consistent while it is
// updated: the count is at least what the buckets hold.
func TestScrapeDuringUpdates(t *testing.T) {
	var s Set
	var h Histogram
	s.Histogram("h_seconds", "", &h)
	done := make(chan bool)
	var updates sync.WaitGroup
	updates.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				h.Observe(time.Millisecond)
			}
		}
	})
	for range 200 {
		var b strings.Builder
		s.WritePrometheus(&b)
		_, last, _ := strings.Cut(b.String(), `le="2.147483648"} `)
		last, rest, _ := strings.Cut(last, "\n")
		if !strings.Contains(rest, "+Inf") {
			t.Fatalf("no infinite bucket in\n%s", b.String())
		}
		_, count, _ := strings.Cut(rest, "h_seconds_count ")
		if count = strings.TrimSpace(count); len(count) < len(last) || len(count) == len(last) && count < last {
			t.Fatalf("count %s, buckets hold %s", count, last)
		}
	}
	close(done)
	updates.Wait()
}
