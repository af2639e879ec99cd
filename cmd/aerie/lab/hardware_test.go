package lab

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/drm"
	"aerie/hw/lab/bench"
	"aerie/hw/v4l2"
	"aerie/hw/v4l2/uapi"
	"aerie/hw/v4l2/vicodec"
	"aerie/receiver"
	"aerie/receiver/clock"
	"aerie/receiver/config"
	"aerie/receiver/pattern"
	"aerie/receiver/status"
	"golang.org/x/sys/unix"
)

// The virtual codec stands in for the decoder of a Raspberry Pi. Its code, FWHT,
// travels in the NAL units of a picture: the codec skips what stands before its
// own mark, so start codes and parameter sets do no harm, and everything from
// the sender to the display is as with H.264.
const (
	codedWidth, codedHeight = 640, 480
	waitLimit               = time.Minute
)

// coded is a sender's picture in FWHT.
type coded struct {
	parameters []byte
	units      [][]byte
	fps        int

	mu   sync.Mutex
	sent int
	stop int // after how many to fall silent
}

func newCoded(t testing.TB, frames, fps int) *coded {
	t.Helper()
	// A parameter set of the size is all that is taken from here.
	s, err := pattern.New(pattern.Config{Width: codedWidth, Height: codedHeight, FPS: fps})
	if err != nil {
		t.Fatal(err)
	}
	e, err := vicodec.Open(codedWidth, codedHeight, uapi.NV12)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := &coded{parameters: s.AVCC(), fps: fps, stop: frames}
	for i := range frames {
		unit, err := e.Encode(func(mem []byte) {
			for k := range mem {
				mem[k] = byte(16 + (k/5+k/codedWidth*3+i*7)%200)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		c.units = append(c.units, unit)
	}
	return c
}

func (c *coded) Describe() ([]byte, int, int, bool) {
	return c.parameters, codedWidth, codedHeight, false
}

// When is when the next is due, far away after the last one.
func (c *coded) When() (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent >= c.stop {
		return time.Hour, nil
	}
	return time.Duration(c.sent) * time.Second / time.Duration(c.fps), nil
}

func (c *coded) Next(dst []byte, _ clock.Remote, _ bool) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent >= c.stop {
		return nil, false, io.EOF
	}
	unit := c.units[c.sent%len(c.units)]
	key := c.sent%len(c.units) == 0
	c.sent++
	nal := byte(0x41) // a slice of a picture that refers to others
	if key {
		nal = 0x65
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+len(unit)))
	return append(append(dst, nal), unit...), key, nil
}

// watched is the hardware decoder, with a look at what it gives.
type watched struct {
	mu     sync.Mutex
	layout *v4l2.Layout
	last   v4l2.Picture
	keep   bool // the display's pictures do not come back
}

// open is receiver.Hardware.Open.
func (w *watched) open(c v4l2.Config) (receiver.HardwareDecoder, error) {
	c.Codec = uapi.FWHT
	if !w.keep {
		c.Stall = waitLimit // this decoder is software in an emulated machine
	}
	setup, picture := c.Setup, c.Picture
	c.Setup = func(l *v4l2.Layout) error {
		w.mu.Lock()
		w.layout = l
		w.mu.Unlock()
		return setup(l)
	}
	c.Picture = func(p v4l2.Picture) {
		w.mu.Lock()
		w.last = p
		keep := w.keep
		w.mu.Unlock()
		if !keep {
			picture(p)
		}
	}
	return receiver.OpenHardware(c)
}

// hardwareRig is a whole receiver on the virtual codec and display.
type hardwareRig struct {
	t       testing.TB
	r       *receiver.Receiver
	display *drm.Display
	decoder *watched
	log     strings.Builder
	logMu   sync.Mutex
}

func (g *hardwareRig) Write(b []byte) (int, error) {
	g.logMu.Lock()
	defer g.logMu.Unlock()
	return g.log.Write(b)
}

func (g *hardwareRig) text() string {
	g.logMu.Lock()
	defer g.logMu.Unlock()
	return g.log.String()
}

// logged is when something was logged first.
func (g *hardwareRig) logged(what string) (at time.Time) {
	g.t.Helper()
	for line := range strings.Lines(g.text()) {
		if !strings.Contains(line, what) {
			continue
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			g.t.Fatal(err)
		}
		return at
	}
	g.t.Fatalf("%q was not logged", what)
	return at
}

func newHardwareRig(t testing.TB) *hardwareRig {
	t.Helper()
	bench.Need(t)
	device, err := v4l2.Find(uapi.FWHT)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	g := startHardwareRig(t, &receiver.Hardware{Device: device, Open: w.open})
	g.decoder = w
	return g
}

func startHardwareRig(t testing.TB, hardware *receiver.Hardware, changes ...func(*config.Config)) *hardwareRig {
	t.Helper()
	bench.Need(t)
	g := &hardwareRig{t: t}
	if cards, _ := filepath.Glob("/dev/dri/card*"); len(cards) == 0 { // an earlier test took the bench's own away
		bench.Displays(t, "hardware").Plug(0, true)
	}
	var err error
	c := config.Default()
	c.Name, c.State = "Lab", t.TempDir()
	c.Network.Port, c.Network.Discovery, c.Network.HTTP = 0, false, ""
	c.Video.Output, c.Video.Mode, c.Audio.Output = "kms", "640x480@60", "none"
	for _, change := range changes {
		change(c)
	}
	g.r, err = receiver.New(receiver.Options{Config: c, Version: "lab", Log: slog.New(slog.NewTextHandler(g, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hardware: hardware, Display: func(d *drm.Display) { g.display = d }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the receiver ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log of the receiver:\n%s", g.text())
		}
	})
	return g
}

// mirror begins to mirror, until the test ends.
func (g *hardwareRig) mirror(p phone.Picture) { g.mirrorWith(phone.Options{Picture: p}) }

func (g *hardwareRig) mirrorWith(o phone.Options) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Address = net.JoinHostPort("127.0.0.1", fmt.Sprint(g.r.Port()))
		if _, err := phone.Mirror(ctx, o); err != nil && ctx.Err() == nil {
			g.t.Errorf("mirroring: %v", err)
		}
	}()
	g.t.Cleanup(func() { cancel(); <-done })
}

// metric reads a counter as Prometheus would.
func (g *hardwareRig) metric(name string) (v float64) {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/metrics", nil))
	for s := bufio.NewScanner(w.Body); s.Scan(); {
		if n, _ := fmt.Sscanf(s.Text(), name+" %g", &v); n == 1 {
			return v
		}
	}
	g.t.Fatalf("no metric %s", name)
	return 0
}

func (g *hardwareRig) status() (s status.Snapshot) {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/status", nil))
	if err := json.NewDecoder(w.Body).Decode(&s); err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *hardwareRig) until(what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("waited %v in vain: %s", waitLimit, what)
		}
	}
}

// TestLabHardware: what is mirrored is decoded by the hardware and scanned out
// from its memory; the display shows what the decoder wrote, and the processor
// has copied none of it.
func TestLabHardware(t *testing.T) {
	const frames = 30
	g := newHardwareRig(t)
	g.mirror(newCoded(t, frames, 10))
	g.until("all pictures decoded", func() bool { return g.metric("aerie_pictures_decoded_in_hardware_total") == frames })
	shown, since := -1.0, time.Now()
	g.until("the last one on the screen, and no other", func() bool {
		if n := g.metric("aerie_pictures_shown_total"); n != shown {
			shown, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	shot, err := g.display.Capture()
	if err != nil {
		t.Fatal(err)
	}
	g.decoder.mu.Lock()
	l, last := g.decoder.layout, g.decoder.last
	g.decoder.mu.Unlock()
	mem, err := unix.Mmap(l.Buffers[last.Index], 0, l.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	var planes []vicodec.Plane
	for _, p := range l.Planes {
		planes = append(planes, vicodec.Plane(p))
	}
	if err := vicodec.Compare(shot.RGB, vicodec.BT709, mem, codedWidth, codedHeight, planes); err != nil {
		t.Error(err)
	}
	s := g.status()
	if s.Picture == nil || !strings.HasPrefix(s.Picture.Decoder, "hardware: /dev/video") || s.Picture.Copied != 0 {
		t.Errorf("status %+v", s.Picture)
	}
	if n := g.metric("aerie_picture_copied_bytes_total"); n != 0 {
		t.Errorf("%v bytes of pixels were copied", n)
	}
	if n := g.metric("aerie_pictures_decoded_total") + g.metric("aerie_hardware_decoder_failures_total"); n != 0 {
		t.Errorf("%v pictures in software, or failures", n)
	}
}

// TestLabStarvedTakeover: pictures of the virtual codec do not come back, so it
// has no memory to decode into and stops; software takes over, and the session
// lives.
func TestLabStarvedTakeover(t *testing.T) {
	g := newHardwareRig(t)
	g.decoder.keep = true
	g.mirror(newCoded(t, 40, 10))
	g.until("it is given up", func() bool { return g.metric("aerie_hardware_decoder_failures_total") > 0 })
	g.until("software is at it", func() bool {
		return g.metric("aerie_pictures_decoded_total")+g.metric("aerie_pictures_undecodable_total") > 0
	})
	if s := g.status(); s.Sender == nil || s.Picture == nil || s.Picture.Decoder != "software" {
		t.Errorf("status %+v", s.Picture)
	}
}
