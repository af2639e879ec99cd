package alsa

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Config says what an Output plays on and how.
type Config struct {
	// Device is a preference as Find understands it. It is looked up anew
	// whenever a device has to be opened.
	Device string
	Want
	// Await makes Open succeed without a device; Run waits for one. An
	// appliance boots before its television does.
	Await bool
	// LineLevel sets the playback volumes of an analog device to 0 dB and
	// unmutes it when it is opened. An appliance owns its mixer; a laptop's
	// mixer belongs to its user.
	LineLevel bool
	// Priority is the SCHED_RR priority of the thread that plays, 1 to 99.
	// Without the right to it, or with 0, it is an ordinary thread.
	Priority int
	// Settle is how long HDMI is left alone after Release or after something
	// was plugged in; 500 ms if 0. vc4 reports the television before its
	// video is up, and sound started then stays dead (hardware reference
	// section 4.5).
	Settle time.Duration
	// Report, if set, is told by Open and by the playing goroutine when
	// something went wrong, once per kind of trouble, and nil when sound has
	// played well for a while.
	Report func(error)

	sys system
}

// Output plays sound on the device its Config prefers, for as long as Run
// runs. Its methods may be called from any goroutine, but Run only once at a
// time, and neither Hold nor Close from within fill or Config.Report.
type Output struct {
	cfg    Config
	sys    system
	waking int // event descriptor that interrupts poll

	mu      sync.Mutex
	changed sync.Cond // of running and hdmi
	held    bool
	closed  bool
	running bool
	hdmi    bool  // an HDMI device is open or being opened
	opened  int64 // when the gate was opened; 0 once that has been dealt with
	rate    int
	stats   Stats

	player // belongs to the goroutine of Run, or to the holder of mu without one
}

// Stats tells how an Output is doing. Counters count since Open.
type Stats struct {
	Playing  bool
	Held     bool  // the gate is closed
	Realtime bool  // the thread got its priority
	Setup    Setup // of the device that plays
	Err      error // the last trouble, nil when sound played after it

	Latency time.Duration // from the snapshot at the last wake-up until a frame written then is heard
	Bound   time.Duration // how far off a play time may be
	Drift   float64       // how much slower than nominal the device runs, in parts per million

	Opens    uint64 // devices opened
	Periods  uint64 // periods filled by the caller
	Xruns    uint64 // underruns
	Suspends uint64
	Timeouts uint64 // wake-ups that did not come; sound goes on without them
	Losses   uint64 // devices that vanished
	Stalls   uint64 // devices that stopped moving without a word
	Failures uint64 // other calls refused, attempts to open included
	Jumps    uint64 // discontinuities of a device's position
}

// Open opens the device that cfg prefers. It fails with ErrBusy, ErrNoDevice,
// ErrRate or what the kernel said, unless cfg.Await is set.
func Open(cfg Config) (*Output, error) {
	if cfg.Priority < 0 || cfg.Priority > 99 {
		return nil, fmt.Errorf("alsa: priority %d is not within 0 to 99", cfg.Priority)
	}
	for _, r := range cfg.Rates {
		if r < 8000 || r > 192000 {
			return nil, fmt.Errorf("alsa: rate %d Hz is not within 8000 to 192000", r)
		}
	}
	cfg.Want = cfg.Want.withDefaults()
	if cfg.Settle == 0 {
		cfg.Settle = 500 * time.Millisecond
	}
	if cfg.sys == nil {
		cfg.sys = linux{}
	}
	o := &Output{cfg: cfg, sys: cfg.sys, rate: cfg.Rates[0]}
	o.changed.L = &o.mu
	var err error
	if o.waking, err = o.sys.event(); err != nil {
		return nil, fmt.Errorf("alsa: event descriptor: %w", err)
	}
	if err := o.connect(); err != nil && !cfg.Await {
		o.Close()
		return nil, err
	}
	return o, nil
}

// Rate is the sample rate in Hz that fill has to deliver. It changes only when
// Run returns ErrRate. Before the first device is found it is the first of
// Config.Rates.
func (o *Output) Rate() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rate
}

// Stats returns the state and the counters.
func (o *Output) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.stats
	s.Held = o.held
	return s
}

// Run plays until ctx is done, then lets what was filled be heard, stops the
// device and returns nil. While a device plays, fill is called for each
// period: buf is a period of interleaved stereo samples, silent as handed over,
// and at is the instant on CLOCK_MONOTONIC, in nanoseconds, at which its first
// frame leaves the device. (What a television adds is not in it; see
// ELD.SyncDelay.) Play times of successive calls join up, but for gaps where
// sound was lost. fill runs on a thread of its own and has less than the buffer's
// length to return.
//
// Trouble with a device does not end Run: it recovers or waits, with growing
// pauses of up to 5 s, and counts. When the device that takes over runs at
// another rate than Rate said, Run returns ErrRate; Rate then tells the new
// rate and Run may be called again.
func (o *Output) Run(ctx context.Context, fill func(buf []float32, at int64)) error {
	if err := o.enter(); err != nil {
		return err
	}
	defer o.leave()
	stop := context.AfterFunc(ctx, o.wake)
	defer stop()
	done := make(chan error)
	go func() {
		// Never unlocked: a thread with a priority is not given back.
		runtime.LockOSThread()
		if o.cfg.Priority > 0 && o.sys.realtime(o.cfg.Priority) == nil {
			o.update(func(s *Stats) { s.Realtime = true })
		}
		done <- o.play(ctx, fill)
	}()
	return <-done
}

func (o *Output) enter() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return errors.New("alsa: output is closed")
	}
	if o.running {
		return errors.New("alsa: output runs already")
	}
	o.running = true
	return nil
}

func (o *Output) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = false
	o.changed.Broadcast()
}

// Hold closes the gate: HDMI is not touched until Release. It returns when an
// HDMI device that was open is closed, so that the video mode may be set.
// Other devices play on.
func (o *Output) Hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.held = true
	if !o.running && o.hdmi {
		o.disconnectLocked()
	}
	o.sys.signal(o.waking)
	for o.running && o.hdmi && o.held {
		o.changed.Wait()
	}
}

// Release opens the gate again: HDMI may be opened after Config.Settle.
func (o *Output) Release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.held, o.opened = false, o.sys.now()
	o.changed.Broadcast()
	o.sys.signal(o.waking)
}

// Close ends Run and releases everything. It may be called more than once.
func (o *Output) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.closed = true
	o.sys.signal(o.waking)
	o.changed.Broadcast()
	for o.running {
		o.changed.Wait()
	}
	o.disconnectLocked()
	o.watch.close()
	_ = o.sys.close(o.waking)
}

// wake interrupts the playing goroutine's poll. It may come late: after Close
// the descriptor may be another's.
func (o *Output) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.sys.signal(o.waking)
	}
}

// update changes the statistics.
func (o *Output) update(f func(*Stats)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(&o.stats)
}

// isHeld and isClosed read what other goroutines set.
func (o *Output) isHeld() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held
}

func (o *Output) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}
