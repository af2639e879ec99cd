package alsa

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// counter is a source of sound that numbers its frames: the left sample is the
// frame's number from 1 on, the right one its negative, in 24-bit steps.
type counter struct {
	n  int64
	at []int64 // the play time told for each period
}

const step24 = 1 << 23

func (c *counter) fill(buf []float32, at int64) {
	c.at = append(c.at, at)
	for i := 0; i < len(buf); i += 2 {
		c.n++
		buf[i], buf[i+1] = float32(c.n)/step24, -float32(c.n)/step24
	}
}

// numbers finds the counter's frames in what a device has played: their
// numbers and the time each was heard.
func numbers(t *testing.T, p *simPCM, f Format) (number []int64, at []int64) {
	t.Helper()
	s := decode(f, p.heard)
	for i, k := 0, 0; i+1 < len(s); i += 2 {
		for k+1 < len(p.stretch) && p.stretch[k+1].at <= i*f.Bytes() {
			k++
		}
		if s[i] == 0 && s[i+1] == 0 {
			continue
		}
		if s[i] != -s[i+1] {
			t.Fatalf("frame %d: left %v, right %v", i/2, s[i], s[i+1])
		}
		number = append(number, int64(s[i]*step24))
		from := p.stretch[k]
		at = append(at, from.start+int64(float64(i/2-from.at/(2*f.Bytes()))/from.rate))
	}
	return number, at
}

// play runs an Output on the machine for a while.
func play(t *testing.T, m *machine, cfg Config, d time.Duration, fill func([]float32, int64)) *Output {
	t.Helper()
	cfg.sys = m
	o, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.Close()
		m.leaks()
	})
	runFor(t, m, o, d, fill)
	return o
}

func runFor(t *testing.T, m *machine, o *Output, d time.Duration, fill func([]float32, int64)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m.at(d, cancel)
	if err := o.Run(ctx, fill); err != nil {
		t.Fatalf("Run: %v", err)
	}
}

// What is filled is played without a gap to the last frame, and each period is
// heard when fill was told.
func TestOutputPlaysInTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*simPCM)
		format  Format
		rate    int
		off     time.Duration
		settled time.Duration
	}{
		{"S32", func(p *simPCM) { p.granule, p.latency = 1, 0 }, S32, 44100, time.Microsecond, time.Microsecond},
		{"vc4 HDMI", func(p *simPCM) { p.formats, p.granule, p.ppm = []Format{IEC958}, 16, 35 }, IEC958, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
		{"through the kernel", func(p *simPCM) { p.mapped = false }, S32, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
		{"48 kHz", func(p *simPCM) { p.rates, p.granule, p.ppm = []int{48000}, 48, -80 }, S32, 48000, 1100 * time.Microsecond, 50 * time.Microsecond},
		{"24 bits packed", func(p *simPCM) { p.formats = []Format{S24Packed, S16} }, S24Packed, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
		{"float", func(p *simPCM) { p.formats = []Format{Float, S16} }, Float, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
		{"counters that wrap", func(p *simPCM) { p.wrap = 441 * 4 * 2 }, S32, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
		{"lost wake-ups", func(p *simPCM) { p.card.m.deaf = true }, S32, 44100, 400 * time.Microsecond, 20 * time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			p := m.card("Simulated", "Simulated")
			p.latency = 400e3
			c.change(p)
			var src counter
			o := play(t, m, Config{}, 12*time.Second, src.fill)
			st := o.Stats()
			if st.Setup.Format != c.format || st.Setup.Rate != c.rate || o.Rate() != c.rate || st.Setup.Mapped != p.mapped {
				t.Errorf("set up as %+v", st.Setup)
			}
			if st.Xruns+st.Suspends+st.Losses+st.Stalls+st.Failures+st.Jumps != 0 || st.Opens != 1 || st.Err != nil {
				t.Errorf("%+v", st)
			}
			if want := uint64(len(src.at)); st.Periods != want || want < 1100 {
				t.Errorf("%d periods counted, %d filled", st.Periods, want)
			}
			if (st.Timeouts > 0) != m.deaf {
				t.Errorf("%d time-outs", st.Timeouts)
			}
			if full := time.Duration(st.Setup.Buffer) * time.Second / time.Duration(c.rate); st.Latency < full*2/3 || st.Latency > full {
				t.Errorf("latency %v with a buffer of %v", st.Latency, full)
			}
			n, at := numbers(t, p, c.format)
			if int64(len(n)) != src.n {
				t.Fatalf("%d frames heard of %d", len(n), src.n)
			}
			period := int64(st.Setup.Period)
			var first, last float64
			for i, v := range n {
				if v != int64(i)+1 {
					t.Fatalf("frame %d heard in place %d", v, i+1)
				}
				if int64(i)%period != 0 {
					continue
				}
				off := math.Abs(float64(src.at[int64(i)/period] - at[i]))
				if first = max(first, off); i > len(n)/2 {
					last = max(last, off)
				}
			}
			t.Logf("off by %v at first, %v later, bound %v, drift %.1f ppm", time.Duration(first), time.Duration(last), st.Bound, st.Drift)
			if first > float64(c.off) || last > float64(c.settled) {
				t.Errorf("off by %v at first and %v later, want at most %v and %v", time.Duration(first), time.Duration(last), c.off, c.settled)
			}
		})
	}
}

// Targets become the nearest sizes that the device offers.
func TestSetup(t *testing.T) {
	for _, c := range []struct {
		want           Want
		change         func(*simPCM)
		period, buffer int
	}{
		{Want{}, func(*simPCM) {}, 441, 1764},
		{Want{Period: 5 * time.Millisecond, Buffer: 20 * time.Millisecond}, func(*simPCM) {}, 221, 884},
		{Want{Period: 10 * time.Millisecond, Buffer: 200 * time.Millisecond}, func(*simPCM) {}, 441, 8820},
		{Want{Rates: []int{48000}, Buffer: 200 * time.Millisecond}, func(*simPCM) {}, 480, 9600},
		{Want{Period: time.Millisecond, Buffer: time.Millisecond}, func(p *simPCM) { p.minPeriod = 256 }, 256, 512},
		{Want{Period: time.Hour, Buffer: time.Hour}, func(p *simPCM) { p.maxPeriod = 4096; p.maxBuffer = 8192 }, 4096, 8192},
		{Want{Buffer: 2 * time.Second}, func(p *simPCM) { p.maxBuffer = 65536 }, 441, 148 * 441},
	} {
		m := newMachine(t)
		c.change(m.card("Simulated", "Simulated"))
		list, _ := candidates(m, "")
		p, err := openPCM(m, list[0], c.want)
		if err != nil {
			t.Errorf("%+v: %v", c.want, err)
			continue
		}
		if s := p.Setup(); s.Period != c.period || s.Buffer != c.buffer {
			t.Errorf("%+v: period %d buffer %d, want %d %d", c.want, s.Period, s.Buffer, c.period, c.buffer)
		}
		p.Close()
		p.Close()
		m.leaks()
	}
}

func TestNoCommonGround(t *testing.T) {
	for _, c := range []struct {
		change func(*simPCM)
		want   string
	}{
		{func(p *simPCM) { p.rates = []int{96000} }, "alsa: Simulated,0: HW_REFINE: sample rate: none of [44100 48000] is offered, only 96000 to 96000 Hz"},
		{func(p *simPCM) { p.formats = []Format{25} }, "none of the formats offered ([0x2000000 0x0]) is known"},
		{func(p *simPCM) { p.formats = nil }, "no interleaved stereo"},
		{func(p *simPCM) { p.refuse = unix.EACCES }, "permission denied (is the user in group audio?)"},
		{func(p *simPCM) { p.refuse = enotsupp }, "no sound sink: the television is off"},
	} {
		m := newMachine(t)
		c.change(m.card("Simulated", "Simulated"))
		_, err := Open(Config{sys: m})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
		m.leaks()
	}
}

// On a desktop the sound server holds the device: the user is told who.
func TestBusy(t *testing.T) {
	m := laptop(t)
	m.cards[0].pcms[0].opened = true
	m.files["/proc/asound/card0/pcm0p/sub0/status"] = "state: RUNNING\nowner_pid   : 1234\ntrigger_time: 1.2\n"
	m.files["/proc/1234/status"] = "Name:\tpipewire\nUmask:\t0022\nTgid:\t1200\nPid:\t1234\n"
	_, err := Open(Config{sys: m})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "alsa: PCH,0: open: device is in use by pipewire (process 1200)") {
		t.Errorf("%v", err)
	}
	m.leaks()
}

// A machine boots before its television: an awaiting Output finds it later.
func TestAwait(t *testing.T) {
	m := newMachine(t)
	var src counter
	var p *simPCM
	m.at(3*time.Second, func() { p = m.card("vc4hdmi", "vc4-hdmi"); p.refuse = enotsupp })
	m.at(9*time.Second, func() { p.refuse = nil })
	o := play(t, m, Config{Await: true}, 25*time.Second, src.fill)
	if st := o.Stats(); st.Opens != 1 || st.Failures < 4 || st.Periods < 800 || st.Err != nil {
		t.Errorf("%+v", st)
	}
	joined(t, p, S32, &src)
}

// A device of another rate ends Run once; the next one plays at that rate.
func TestRateChanges(t *testing.T) {
	m := newMachine(t)
	p := m.card("Simulated", "Simulated")
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	defer m.leaks()
	defer o.Close()
	m.at(time.Second, func() { p.card.gone = true })
	m.at(2*time.Second, func() { p.card.gone, p.rates = false, []int{48000} })
	ctx, cancel := context.WithCancel(t.Context())
	m.at(time.Minute, cancel)
	err = o.Run(ctx, func([]float32, int64) {})
	if !errors.Is(err, ErrRate) || !strings.Contains(err.Error(), "is now 48000 Hz") || o.Rate() != 48000 {
		t.Fatalf("%v, %d Hz", err, o.Rate())
	}
	var src counter
	runFor(t, m, o, 5*time.Second, src.fill)
	if st := o.Stats(); st.Opens != 2 || st.Setup.Rate != 48000 || st.Err != nil {
		t.Errorf("%+v", st)
	}
	joined(t, p, S32, &src)
	// Back at a card that has both, the rate stays.
	p.rates = []int{44100, 48000}
	runFor(t, m, o, time.Second, src.fill)
	if o.Rate() != 48000 {
		t.Errorf("back to %d Hz without need", o.Rate())
	}
}

func TestOutputRefuses(t *testing.T) {
	m := newMachine(t)
	m.card("Simulated", "Simulated")
	for _, cfg := range []Config{{Priority: 100}, {Priority: -1}, {Want: Want{Rates: []int{0}}}, {Want: Want{Rates: []int{1 << 30}}},
		{Device: "nothing"}} {
		cfg.sys = m
		if o, err := Open(cfg); err == nil {
			o.Close()
			t.Errorf("%+v was accepted", cfg)
		}
	}
	o, err := Open(Config{sys: m, Priority: 5})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var second error
	m.at(time.Second, func() { second = o.Run(ctx, nil); cancel() })
	if err := o.Run(ctx, nil); err != nil || second == nil {
		t.Errorf("first Run: %v, second: %v", err, second)
	}
	if o.Stats().Realtime {
		t.Error("a priority that was refused is reported")
	}
	m.leaksBut(1)
	o.Close()
	o.Close()
	o.Hold()
	o.Release()
	if err := o.Run(t.Context(), nil); err == nil {
		t.Error("a closed output runs")
	}
	m.leaks()
}

// leaksBut checks the number of open descriptors.
func (m *machine) leaksBut(n int) {
	m.t.Helper()
	if len(m.fds) != n {
		m.t.Errorf("%d descriptors are open, want %d", len(m.fds), n)
	}
}

// Close ends a Run from another goroutine.
func TestCloseWhileRunning(t *testing.T) {
	m := newMachine(t)
	m.card("Simulated", "Simulated")
	o, err := Open(Config{sys: m})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	m.at(time.Second, func() {
		go func() { o.Close(); close(done) }()
		for !o.isClosed() {
			runtime.Gosched()
		}
	})
	if err := o.Run(t.Context(), nil); err != nil {
		t.Error(err)
	}
	<-done
	m.leaks()
}

// A turn of the wheel allocates nothing.
func TestTurnDoesNotAllocate(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		m := newMachine(t)
		p := m.card("vc4hdmi", "vc4-hdmi")
		p.formats, p.mapped = []Format{IEC958}, mapped
		plug(p.card, "TV")
		o, err := Open(Config{sys: m})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.start(); err != nil {
			t.Fatal(err)
		}
		p.heard = make([]byte, 0, 64<<20)
		fill := func(buf []float32, at int64) { buf[0] = 0.5 }
		if n := testing.AllocsPerRun(1000, func() {
			if err := o.turn(fill); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("mapped %v: %v allocations", mapped, n)
		}
		if st := o.Stats(); st.Periods < 900 {
			t.Errorf("%+v", st)
		}
		o.Close()
		m.leaks()
	}
}
