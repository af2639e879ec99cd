package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aerie/receiver/pattern/sound"
	"aerie/receiver/status"
)

// soakTime is how long TestSoak mirrors; AERIE_SOAK=10m is the long form.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("AERIE_SOAK")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("AERIE_SOAK: %v", err)
	}
	return d
}

// TestSoak mirrors 1080p60 with sound of which 2 % is lost and 2 % out of
// order, with the programs as they are shipped: what is late at the end is no
// later than at the beginning, nothing is leaked, and picture and sound stay
// together.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("mirrors in real time")
	}
	length := soakTime(t)
	film := filepath.Join(t.TempDir(), "film.mp4")
	cmd, log := started(t, "--http", "127.0.0.1:0", "--discovery=false", "--measure", "--video", "file:"+film)
	control, page := log.wait(t, `Address +\S+ port (\d+)`)[1], log.wait(t, `Page +(\S+)`)[1]
	sender := exec.Command(program(t, "aerie-sender"), "--seconds", strconv.Itoa(int(length.Seconds())),
		"--loss", "0.02", "--reorder", "0.02", "127.0.0.1:"+control)
	report := &logBuffer{}
	sender.Stdout, sender.Stderr = report, report
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	defer sender.Process.Kill()

	// The first part lets everything find its place.
	const parts = 5
	var at [parts]reading
	for i := range parts {
		time.Sleep(length / (parts + 1))
		at[i] = readStatus(t, page)
	}
	if err := sender.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	last := readStatus(t, page)
	ended(t, cmd)

	first, end := medianBetween(at[0], at[1]), medianBetween(at[parts-2], at[parts-1])
	t.Logf("the median of the latency was below %v at the beginning, below %v at the end", first, end)
	if end > 4*first { // a bucket is twice the one before
		t.Errorf("the latency grew")
	}
	for name, slack := range map[string]float64{"go_goroutines": 2, "process_open_fds": 2, "process_resident_memory_bytes": 8e6} {
		if a, b := at[0].metrics[name], at[parts-1].metrics[name]; a == 0 || b > a+slack {
			t.Errorf("%s: %.0f at the beginning, %.0f at the end", name, a, b)
		}
	}
	if n := last.metrics["aerie_pictures_skipped_total"] + last.metrics["aerie_pictures_undecodable_total"]; n > 0 {
		t.Errorf("%.0f pictures lost", n)
	}
	compareBeeps(t, film)
}

// reading is what the receiver says of itself at one instant.
type reading struct {
	latency status.Stage
	metrics map[string]float64
}

func readStatus(t *testing.T, page string) (r reading) {
	t.Helper()
	get := func(path string) []byte {
		resp, err := http.Get(page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var s status.Snapshot
	if err := json.Unmarshal(get("status"), &s); err != nil {
		t.Fatal(err)
	}
	for _, stage := range s.Latency {
		if stage.Name == "pattern to shown" {
			r.latency = stage
		}
	}
	r.metrics = map[string]float64{}
	for line := range strings.Lines(string(get("metrics"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				r.metrics[name] = v
			}
		}
	}
	return r
}

// medianBetween is the upper end of the bucket in which half of the pictures
// between two readings are.
func medianBetween(a, b reading) time.Duration {
	var all, below uint64
	count := func(i int) uint64 {
		if a.latency.Buckets == nil {
			return b.latency.Buckets[i]
		}
		return b.latency.Buckets[i] - a.latency.Buckets[i]
	}
	for i := range b.latency.Buckets {
		all += count(i)
	}
	limit := 16384 * time.Nanosecond
	for i := range b.latency.Buckets {
		if below += count(i); below*2 >= all {
			break
		}
		limit *= 2
	}
	return limit
}

// compareBeeps looks for the beep of every second of the pattern in a
// recording. Second n begins with picture 60 n.
func compareBeeps(t *testing.T, film string) {
	t.Helper()
	out := decodeFileWith(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0", film)
	var pictures []float64
	for line := range strings.Lines(string(out)) {
		v, err := strconv.ParseFloat(strings.Trim(line, "\n\r ,"), 64)
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, v)
	}
	pcm := decodeFile(t, "-i", film, "-map", "0:a", "-af", "aresample=async=1:first_pts=0", "-f", "s16le", "-ac", "2", "-ar", "44100", "-")
	samples := make([]int16, len(pcm)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(pcm[2*i:]))
	}
	beeps := sound.Find(samples, 2, 44100)
	seconds := len(pictures) / 60
	if len(beeps) < seconds*9/10 {
		t.Errorf("%d beeps in %d seconds", len(beeps), seconds)
	}
	worst := 0.0
	for _, b := range beeps {
		// The picture that lights up is the nearest of those that begin a second.
		at := b.Sample / 44100
		nearest := math.Inf(1)
		for i := 0; i < len(pictures); i += 60 {
			if d := at - pictures[i]; math.Abs(d) < math.Abs(nearest) {
				nearest = d
			}
		}
		if math.Abs(nearest) > math.Abs(worst) {
			worst = nearest
		}
	}
	t.Logf("%d beeps, picture and sound at most %.2f ms apart", len(beeps), worst*1000)
	if math.Abs(worst) > 0.010 {
		t.Errorf("picture and sound are %.1f ms apart", worst*1000)
	}
}
