package codec

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// logBuffer is written to by threads of the decoder.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestLog sends nothing but damage: the lines that come through are few, each
// is short, and none of them is above debug level.
func TestLog(t *testing.T) {
	defer SetLogger(nil)
	c := loadClip(t, "high.h264", H264)
	damage := func() {
		r := newRig(t, H264, VideoOptions{})
		for i := range 600 {
			u := append([]byte(nil), c.units[i%len(c.units)]...)
			u[len(u)/2+i%7] ^= 0x55
			must(t, r.send(u, 0), ErrInvalid)
			must(t, r.receiveAll(func(*Frame) {}), ErrAgain, ErrInvalid)
		}
	}
	var b logBuffer
	SetLogger(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	lines, rounds := 0, 0
	start := time.Now()
	// Other tests may have used up the lines of this second.
	for ; lines == 0 && rounds < 1000; rounds++ {
		damage()
		lines = strings.Count(b.b.String(), "\n")
	}
	if lines == 0 {
		t.Error("nothing was logged")
	}
	// Twice the rate, for the seconds that begin and end within the test.
	if most := 40 * (int(time.Since(start).Seconds()) + 2); lines > most {
		t.Errorf("%d lines were logged, %d allowed", lines, most)
	}
	for line := range strings.Lines(b.b.String()) {
		if !strings.Contains(line, "level=DEBUG") || len(line) > 1200 {
			t.Errorf("line %q", line)
		}
	}
	b.b.Reset()
	SetLogger(slog.New(slog.NewTextHandler(&b, nil)))
	damage()
	if b.b.Len() != 0 {
		t.Errorf("logged above debug level: %s", b.b.String())
	}
}
