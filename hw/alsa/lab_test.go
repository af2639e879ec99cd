package alsa

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/lab/bench"

	"golang.org/x/sys/unix"
)

// roomy is a buffer that an emulated machine keeps up with, quick one that it
// fills soon.
var (
	roomy = Want{Period: 10 * time.Millisecond, Buffer: time.Second}
	quick = Want{Period: 10 * time.Millisecond, Buffer: 50 * time.Millisecond}
)

// What is played is what is captured, bit by bit, and at the time predicted.
func TestLabLoopback(t *testing.T) {
	bench.Need(t)
	for _, c := range []struct {
		format Format
		rate   int
		bits   int
		mapped bool
	}{
		{S16, 44100, 16, true}, {S16, 48000, 16, true}, {S32, 44100, 24, true}, {S32, 48000, 24, true},
		{S16, 44100, 16, false}, {S32, 48000, 24, false}, {S24, 44100, 24, true}, {S24Packed, 48000, 24, true}, {Float, 44100, 24, true},
	} {
		t.Run(fmt.Sprintf("%v %d Hz mapped %v", c.format, c.rate, c.mapped), func(t *testing.T) {
			var rec *capture
			var src *source
			var st Stats
			// An overloaded host may stop the emulated machine for a second;
			// that is an underrun, but it does not happen every time.
			for range 3 {
				rec, src = record(t, "Loopback", c.format, c.rate), newSource(c.bits)
				cfg := Config{Device: "hw:Loopback,0", Want: roomy, sys: linux{}}
				if !c.mapped {
					cfg.sys = unmapped(linux{})
				}
				st = listen(t, cfg, 4*time.Second, src).Stats()
				rec.end()
				if st.Xruns == 0 {
					break
				}
				t.Logf("%d underruns, once more", st.Xruns)
			}
			if st.Setup.Format != c.format || st.Setup.Rate != c.rate || st.Setup.Mapped != c.mapped {
				t.Fatalf("set up as %+v", st.Setup)
			}
			if st.Xruns+st.Suspends+st.Losses+st.Stalls+st.Failures != 0 {
				t.Errorf("%+v", st)
			}
			start := src.find(t, rec)
			punctual(t, rec, src, start, st)
		})
	}
}

// punctual compares the predicted play time of every period with the time its
// first frame was captured.
func punctual(t *testing.T, c *capture, s *source, start int64, st Stats) {
	t.Helper()
	off := c.errors(s, start, st.Setup.Period)
	if len(off) == 0 {
		t.Fatal("nothing was captured")
	}
	slices.Sort(off)
	median, most := off[len(off)/2], off[len(off)*9/10]
	speed := c.speed()
	t.Logf("%d periods: play time off by %v (median), %v (9 of 10), %v (worst); bound %v, drift %.1f ppm, latency %v, %d late wake-ups, %d jumps, speed %.4f",
		len(off), median, most, off[len(off)-1], st.Bound, st.Drift, st.Latency, st.Timeouts, st.Jumps, speed)
	if speed < 0.998 {
		// On an overloaded host the emulated card loses ticks, and what it
		// does next cannot be known.
		t.Logf("the card ran at %.3f of its rate: its punctuality is not judged", speed)
		return
	}
	// The card moves in ticks of 1 ms.
	if median > 3*time.Millisecond || most > 20*time.Millisecond {
		t.Errorf("play times are off by %v (median) and %v (9 of 10)", median, most)
	}
}

// On a card that keeps exact time (snd-dummy reads the clock), a play time
// told a third of a second ahead is right when it comes.
func TestLabPrediction(t *testing.T) {
	bench.Need(t)
	var c capture
	src := newSource(16)
	o := listen(t, Config{Device: "hw:Dummy,0", Want: Want{Period: 10 * time.Millisecond, Buffer: time.Second}, sys: snapshots(&c.seen)}, 8*time.Second, src)
	st := o.Stats()
	if st.Xruns > 0 {
		t.Logf("%d underruns: the host is overloaded", st.Xruns)
	}
	for i := 1; i < len(c.seen); i++ {
		if c.seen[i].frames < c.seen[i-1].frames { // a new start
			c.seen = c.seen[:i]
			break
		}
	}
	first := int64(st.Setup.Buffer / st.Setup.Period * st.Setup.Period) // the silence at the start
	c.setup = st.Setup
	off := c.errors(src, first, st.Setup.Period)
	if len(off) < 20 {
		t.Fatalf("%d periods can be compared: %+v", len(off), st)
	}
	slices.Sort(off)
	median, most := off[len(off)/2], off[len(off)*9/10]
	t.Logf("%d periods told %v ahead: off by %v (median), %v (9 of 10), %v (worst); bound %v, drift %.1f ppm", len(off), st.Latency,
		median, most, off[len(off)-1], st.Bound, st.Drift)
	if median > 3*time.Millisecond || most > 20*time.Millisecond {
		t.Errorf("play times are off by %v (median) and %v (9 of 10)", median, most)
	}
}

// An underrun is mended: what comes after it is heard, and in time.
func TestLabUnderrun(t *testing.T) {
	bench.Need(t)
	rec := record(t, "Loopback", S16, 44100)
	src := newSource(16)
	src.slow = map[int]time.Duration{100: 3 * time.Second}
	o := listen(t, Config{Device: "hw:Loopback,0", Want: roomy, Priority: 10}, 8*time.Second, src)
	rec.end()
	st := o.Stats()
	if st.Xruns != 1 || st.Opens != 1 || !st.Realtime {
		t.Errorf("%+v", st)
	}
	if len(src.at) < 120 {
		t.Fatalf("%d periods: no sound after the underrun", len(src.at))
	}
	// After the period that came too late a new stretch begins.
	rest := &source{sent: src.sent[101*2*st.Setup.Period:], at: src.at[101:]}
	start := rest.find(t, rec)
	punctual(t, rec, rest, start, st)
}

// Two programs hold both substreams: the third is told who.
func TestLabBusy(t *testing.T) {
	bench.Need(t)
	for range 2 {
		p, err := OpenPCM(mustFind(t, "hw:Loopback,0"), roomy)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
	}
	_, err := Open(Config{Device: "hw:Loopback,0"})
	me := fmt.Sprintf("(process %d)", os.Getpid())
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "alsa: Loopback,0: open: device is in use by ") || !strings.Contains(err.Error(), me) {
		t.Errorf("%v, want the process %s", err, me)
	}
}

func mustFind(t *testing.T, name string) Device {
	t.Helper()
	d, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The list names what the bench has, and "auto" takes a virtual card where
// there is nothing else.
func TestLabFind(t *testing.T) {
	bench.Need(t)
	list, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(listed(list))
	for _, name := range []string{"auto", "Loopback", "hw:Dummy,0", "dummy pcm"} {
		d := mustFind(t, name)
		if d.Kind != Virtual || name != "auto" && !strings.Contains(strings.ToLower(name), strings.ToLower(d.Card.ID)) {
			t.Errorf("%s is %+v", name, d)
		}
	}
	if _, err := Find("hdmi"); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "Loopback,0 (Loopback, virtual)") {
		t.Errorf("hdmi: %v", err)
	}
}

// bind binds or unbinds the loopback driver from its device.
func bind(t *testing.T, how string) {
	t.Helper()
	if err := os.WriteFile("/sys/bus/platform/drivers/snd_aloop/"+how, []byte("snd_aloop.0"), 0); err != nil {
		t.Errorf("%s: %v", how, err)
	}
}

// The driver is pulled from under a running stream and comes back.
func TestLabCardVanishes(t *testing.T) {
	bench.Need(t)
	o, err := Open(Config{Device: "hw:Loopback,0", Want: roomy})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	fills := make(chan int64, 1<<16)
	go func() { done <- o.Run(ctx, func(buf []float32, at int64) { fills <- at }) }()
	await(t, fills, 100)
	bind(t, "unbind") // returns when the last descriptor is closed
	if st := o.Stats(); st.Losses != 1 {
		t.Errorf("after the loss: %+v", st)
	}
	bind(t, "bind")
	for len(fills) > 0 {
		<-fills
	}
	await(t, fills, 100)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := o.Stats(); st.Losses != 1 || st.Opens != 2 {
		t.Errorf("%+v", st)
	}
}

// await waits for n periods to be filled.
func await(t *testing.T, fills <-chan int64, n int) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for range n {
		select {
		case <-fills:
		case <-limit:
			t.Fatal("no sound is asked for")
		}
	}
}

// faulty makes one call fail once on the real system.
type faulty struct {
	system
	call  string
	n     int
	errno unix.Errno
	count *int
}

func (f faulty) due(call string) bool {
	if call != f.call {
		return false
	}
	*f.count++
	return *f.count == f.n
}

func (f faulty) ioctl(fd int, r request, arg unsafe.Pointer) error {
	if f.due(r.String()) {
		return f.errno
	}
	return f.system.ioctl(fd, r, arg)
}

func (f faulty) open(path string) (int, error) {
	if f.due("open") {
		return -1, f.errno
	}
	return f.system.open(path)
}

func (f faulty) mmap(fd, length int) ([]byte, error) {
	if f.due("mmap") {
		return nil, f.errno
	}
	return f.system.mmap(fd, length)
}

func (f faulty) poll(fds []unix.PollFd, d time.Duration) (int, error) {
	if f.due("poll") {
		return 0, f.errno
	}
	return f.system.poll(fds, d)
}

// Every call fails once, on a real card that plays: sound comes all the same.
func TestLabFaults(t *testing.T) {
	bench.Need(t)
	for call, n := range map[string]int{"open": 2, "PVERSION": 1, "USER_PVERSION": 1, "HW_REFINE": 4, "HW_PARAMS": 1, "SW_PARAMS": 1,
		"mmap": 1, "PREPARE": 1, "START": 1, "STATUS": 5, "SYNC_PTR": 8, "poll": 5, "PCM_INFO": 1, "CARD_INFO": 1} {
		for _, errno := range []unix.Errno{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENODEV, unix.EPIPE, unix.ESTRPIPE, unix.EINTR} {
			sys := faulty{linux{}, call, n, errno, new(int)}
			o, err := Open(Config{Device: "hw:Loopback,0", Want: quick, Await: true, sys: sys})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			fills := 0
			time.AfterFunc(30*time.Second, cancel)
			if err := o.Run(ctx, func([]float32, int64) {
				if fills++; fills == 5 {
					cancel()
				}
			}); err != nil {
				t.Error(err)
			}
			o.Close()
			if *sys.count < n || fills < 5 {
				t.Errorf("%s number %d fails with %v: %d calls, %d periods, %+v", call, n, error(errno), *sys.count, fills, o.Stats())
			}
			cancel()
		}
	}
}

// A snapshot of the real machine is consistent: time in order, delay and room
// make up the buffer.
func TestLabStatus(t *testing.T) {
	bench.Need(t)
	p, err := OpenPCM(mustFind(t, "hw:Loopback,0"), roomy)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := p.Setup()
	if err := p.Write(make([]float32, Channels*s.Buffer)); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(make([]float32, Channels)); err == nil {
		t.Error("a frame more than fits was taken")
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	before := linux{}.now()
	for range 10 {
		if ready, err := p.Wait(time.Second); !ready || err != nil {
			t.Fatalf("ready %v, %v", ready, err)
		}
		st, err := p.Status()
		if err != nil || st.State != StateRunning {
			t.Fatalf("%+v, %v", st, err)
		}
		now := linux{}.now()
		if st.Time < before || st.Time > now {
			t.Errorf("time stamp %d is not between %d and %d", st.Time, before, now)
		}
		if st.Delay+st.Avail != s.Buffer || st.Avail < s.Period {
			t.Errorf("%+v with a buffer of %d", st, s.Buffer)
		}
		before = st.Time
		if err := p.Write(make([]float32, Channels*st.Avail)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drop(); err != nil {
		t.Error(err)
	}
}
