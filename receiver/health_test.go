package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"aerie/drm"
	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/config"
	"aerie/receiver/health"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
)

// later lets simulated minutes pass, and tells who is stuck then.
func later(m *health.Monitor) (names string) {
	now := clock.Now()
	for range 120 {
		now = now.Add(time.Second)
		_ = m.Check(now)
	}
	var stuck health.AllStuck
	errors.As(m.Err(), &stuck)
	for _, s := range stuck {
		names += s.Name + "\n"
	}
	return names
}

// until waits for something that happens on another goroutine.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not come: ", what)
}

// quietReceiver is a whole one that nobody can find.
func quietReceiver(t *testing.T) *Receiver {
	t.Helper()
	c := config.Default()
	c.Name, c.State = "Test", t.TempDir()
	c.Network.Port, c.Network.PTPPort, c.Network.Discovery, c.Network.HTTP = 0, 0, false, ""
	c.Video.Output, c.Audio.Output = "none", "none"
	r, err := New(Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hungOutput takes nothing until it is let go.
type hungOutput struct{ free chan struct{} }

func (h hungOutput) open(context.Context, *streams) (videoSession, error) {
	return &hungSession{free: h.free}, nil
}
func (hungOutput) describe() (string, string) { return "nowhere", "" }
func (hungOutput) close()                     {}

type hungSession struct {
	dropPicture
	free chan struct{}
}

func (h *hungSession) Picture(mirror.Buffer, *mirror.AccessUnit) { <-h.free }

func TestHungOutputIsNoticed(t *testing.T) {
	free := make(chan struct{})
	r := &Receiver{now: clock.Now, log: slog.New(slog.DiscardHandler), video: hungOutput{free}}
	p, err := newPictureSink(t.Context(), &streams{r: r})
	if err != nil {
		t.Fatal(err)
	}
	if got := later(&r.vitals.monitor); got != "" {
		t.Fatalf("without a picture, stuck: %s", got)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Picture(nil, &mirror.AccessUnit{})
	}()
	until(t, "the picture", func() bool { return p.work.Progress().Owing })
	if got := later(&r.vitals.monitor); got != "picture\n" {
		t.Errorf("stuck: %q", got)
	}
	close(free)
	<-done
	if got := later(&r.vitals.monitor); got != "" {
		t.Errorf("after it has gone on, stuck: %q", got)
	}
	p.close()
}

// A decoder that does not come back, here from handing its picture on.
func TestHungDecoderIsNoticed(t *testing.T) {
	r := quietReceiver(t)
	defer r.close()
	r.vitals.monitor = health.Monitor{} // of the rest, nobody beats here
	s := &streams{r: r}
	free := make(chan struct{})
	d, err := newDecoding(t.Context(), s, nil, func(*codec.Frame, *decoded) { <-free })
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Buffer(64)
	if err != nil {
		t.Fatal(err)
	}
	// What is no picture gives an error, or nothing, and is no hang.
	au := &mirror.AccessUnit{Data: b.Bytes()[:copy(b.Bytes(), "\x00\x00\x00\x02\x06\x00")], Parameters: &mirror.Parameters{}}
	d.Picture(b, au)
	until(t, "the end of the first", func() bool { p := d.work.Progress(); return p.Mark == 2 && !p.Owing })
	if got := later(&r.vitals.monitor); got != "" {
		t.Errorf("garbage counts as a hang of %q", got)
	}
	d.work.Begin() // as if libavcodec did not return
	if got := later(&r.vitals.monitor); got != "decoder\n" {
		t.Errorf("stuck: %q", got)
	}
	d.work.End()
	close(free)
	d.close()
	if got := later(&r.vitals.monitor); got != "" {
		t.Errorf("after the session, stuck: %q", got)
	}
}

func TestHungSessionIsNoticed(t *testing.T) {
	r := quietReceiver(t)
	free := make(chan struct{})
	capabilities := r.server.Capabilities
	r.server.Capabilities = func() *message.Capabilities {
		<-free
		return capabilities()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ctx, r.control) }()
	r.vitals.monitor = health.Monitor{}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	until(t, "a session that is stuck", func() bool { return later(&r.vitals.monitor) == "session\n" })
	asking, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := r.ask(asking); err == nil {
		t.Error("the control port seems to answer")
	}
	close(free)
	until(t, "an end", func() bool { return later(&r.vitals.monitor) == "" })
	if err := r.ask(t.Context()); err != nil {
		t.Errorf("the control port does not answer: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.close()
}

// A fault while answering is not a hang.
func TestFaultIsNoHang(t *testing.T) {
	r := quietReceiver(t)
	defer r.close()
	r.vitals.monitor = health.Monitor{}
	r.server.Capabilities = func() *message.Capabilities { panic("a fault") }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(ctx, r.control) }()
	if err := r.ask(t.Context()); err == nil {
		t.Error("a fault is an answer")
	}
	if got := later(&r.vitals.monitor); got != "" {
		t.Errorf("stuck: %q", got)
	}
	cancel()
	<-done
}

// A whole receiver that idles beats by itself, and says so to systemd.
func TestIdleReceiverIsReadyAndFed(t *testing.T) {
	r := quietReceiver(t)
	notices := make(chan string, 100)
	r.systemd = health.Systemd{Watchdog: time.Minute, Notify: func(s string) error {
		notices <- s
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	first := <-notices
	if !strings.HasPrefix(first, "READY=1\nSTATUS=\"Test\" ") || !strings.HasSuffix(first, "\nWATCHDOG=1") {
		t.Errorf("systemd was told %q", first)
	}
	if err := r.Healthy(); err != nil {
		t.Error(err)
	}
	before := r.vitals.tick.Progress().Mark
	until(t, "a beat", func() bool { return r.vitals.tick.Progress().Mark > before })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if last := <-notices; last != "STOPPING=1" {
		t.Errorf("at the end systemd was told %q", last)
	}
}

func TestDisplayOwesWhatItWasGiven(t *testing.T) {
	plugged, unplugged := drm.Status{Connected: true}, drm.Status{}
	for name, c := range map[string]struct {
		do   func(*awaited)
		st   drm.Status
		owes bool
	}{
		"nothing":                   {func(*awaited) {}, plugged, false},
		"a picture":                 {func(a *awaited) { a.give(1) }, plugged, true},
		"one that appeared":         {func(a *awaited) { a.give(1); a.appeared(1) }, plugged, false},
		"another than appeared":     {func(a *awaited) { a.give(1); a.give(2); a.appeared(1) }, plugged, true},
		"one that was replaced":     {func(a *awaited) { a.give(1); a.give(2); a.drop(1) }, plugged, true},
		"both":                      {func(a *awaited) { a.give(1); a.give(2); a.appeared(1); a.appeared(2) }, plugged, false},
		"one that was given back":   {func(a *awaited) { a.give(1); a.drop(1) }, plugged, false},
		"one without a display":     {func(a *awaited) { a.give(1) }, unplugged, false},
		"one to a dark display":     {func(a *awaited) { a.give(1) }, drm.Status{Connected: true, Blanked: true}, false},
		"hardware that is gone":     {func(*awaited) {}, drm.Status{Err: drm.ErrClosed}, true},
		"the same as is shown, new": {func(a *awaited) { a.give(1); a.appeared(1); a.give(2); a.appeared(2); a.give(1) }, plugged, true},
	} {
		var a awaited
		c.do(&a)
		var m health.Monitor
		m.Watch("display", displayLimit, func() health.Progress { return a.progress(c.st) })
		if got := later(&m) != ""; got != c.owes {
			t.Errorf("%s: stuck %v, want %v", name, got, c.owes)
		}
	}
}
