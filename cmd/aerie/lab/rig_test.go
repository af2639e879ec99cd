package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/hw/lab/bench"
	"aerie/receiver"
	"aerie/receiver/clock"
	"aerie/receiver/config"
	"aerie/receiver/pattern"
	"aerie/receiver/status"
)

// television is the sound of a display: a loopback card that looks like the
// HDMI card of a Pi.
const television = "vc4hdmi0"

// patient is far beyond what anything here takes.
const patient = time.Minute

// rig is a whole receiver on a display of its own.
type rig struct {
	t    testing.TB
	card *bench.Card
	r    *receiver.Receiver
	addr string
	log  *logBuffer
	stop func()
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// newRig makes a display of its own the only one there is, with 640x480 pixels,
// and starts a receiver on it and on the television's sound.
func newRig(t testing.TB, name string) *rig {
	t.Helper()
	return startRig(t, name, true)
}

// prepare takes the bench's own display away, once: a vkms that has shown
// something is not unloaded again, for its workers may still run.
var prepare sync.Once

// startRig is newRig; the television may be plugged in later, and settings be
// others.
func startRig(t testing.TB, name string, plugged bool, change ...func(*config.Config)) *rig {
	t.Helper()
	bench.Need(t)
	prepare.Do(func() {
		bench.Load(t, "vkms", "create_default_dev=0")
		bench.Load(t, "snd-aloop", "enable=1", "id="+television, "pcm_substreams=2")
	})
	g := &rig{t: t, card: bench.Displays(t, name), log: &logBuffer{}}
	g.card.Plug(0, plugged)
	c := config.Default()
	c.Name, c.State = "Lab", t.TempDir()
	c.Network.Port, c.Network.Discovery, c.Network.HTTP = 0, false, ""
	c.Video.Output, c.Video.Mode, c.Audio.Output = "kms", "640x480@60", "alsa:"+television
	c.Audio.Initial = 0
	for _, f := range change {
		f(c)
	}
	log := slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if g.r, err = receiver.New(receiver.Options{Config: c, Version: "lab", Log: log, Measure: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.r.Run(ctx) }()
	g.addr = net.JoinHostPort("127.0.0.1", fmt.Sprint(g.r.Port()))
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the receiver ended with %v", err)
		}
	})
	t.Cleanup(func() {
		g.stop()
		if t.Failed() {
			t.Logf("log of the receiver:\n%s", g.log.b.String())
		}
	})
	return g
}

// mirror mirrors until the returned function is called, which tells how it
// went.
func (g *rig) mirror(o phone.Options) (stop func() *phone.Report) {
	o.Address = g.addr
	ctx, cancel := context.WithCancel(context.Background())
	var report *phone.Report
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		report, err = phone.Mirror(ctx, o)
	}()
	stop = sync.OnceValue(func() *phone.Report {
		cancel()
		<-done
		if err != nil && ctx.Err() == nil {
			g.t.Errorf("mirroring: %v", err)
		}
		return report
	})
	g.t.Cleanup(func() { stop() })
	return stop
}

// until waits for something to come true.
func (g *rig) until(what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(patient); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("%s: not within %v", what, patient)
		}
	}
}

// metric reads one of the metrics.
func (g *rig) metric(name string) float64 {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return f
		}
	}
	g.t.Fatalf("no metric %s in %d %s", name, w.Code, w.Body)
	return 0
}

func (g *rig) shown() int { return int(g.metric("aerie_pictures_shown_total")) }

// pictures is how many have been received.
func (g *rig) pictures() int { return int(g.metric("aerie_pictures_total")) }

// status reads the status as the page does.
func (g *rig) status() (s status.Snapshot) {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/status", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		g.t.Fatalf("%v: %s", err, w.Body)
	}
	return s
}

// record records what the television plays.
func (g *rig) record() *bench.Capture {
	g.t.Helper()
	card, err := os.Readlink("/proc/asound/" + television)
	if err != nil {
		g.t.Fatal(err)
	}
	return bench.Record(g.t, "/dev/snd/pcmC"+strings.TrimPrefix(filepath.Base(card), "card")+"D1c", 44100)
}

// source is the test pattern. It notes when the first picture was stamped.
type source struct {
	*phone.Pattern
	mu    sync.Mutex
	first clock.Remote
}

func newSource(t testing.TB, width, height, fps int) *source {
	t.Helper()
	p, err := phone.NewPattern(pattern.Config{Width: width, Height: height, FPS: fps})
	if err != nil {
		t.Fatal(err)
	}
	return &source{Pattern: p}
}

// Next makes the next picture.
func (s *source) Next(dst []byte, at clock.Remote, key bool) ([]byte, bool, error) {
	s.mu.Lock()
	if s.first == 0 {
		s.first = at
	}
	s.mu.Unlock()
	return s.Pattern.Next(dst, at, key)
}

// began is the stamp of the first picture.
func (s *source) began() clock.Remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}
