// Package simulate plays receivers of a fleet: small MQTT clients that pair,
// report their health, take updates and roll back as real ones do, thousands of
// them in one process, for measurements and for tests that break things.
//
// It uses the twin and the pairing of package fleet, and only the connection is
// its own. The program aerie-fleet does not link it.
//
// Proof: the tests of aerie/cmd/aerie-fleet and its packages, for which it is
// made.
package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

// Options make a Fleet.
type Options struct {
	Devices int
	Prefix  string // of their names
	Pool    string
	Root    string // empty is the default
	// Dial connects a device.
	Dial      func(device string) (net.Conn, error)
	User      string
	KeepAlive time.Duration
	// Spread is the time over which they come up at first.
	Spread time.Duration
	// Every is how often a device reports its health; 0 is every 5 minutes.
	Every time.Duration
	// Install is how long an update takes.
	Install time.Duration
	// Fate is what becomes of an update; nil has all of them work.
	Fate      func(device string) Fate
	LastPause time.Duration // between attempts to connect; 0 is 5 s
}

// Fleet is simulated devices.
type Fleet struct {
	o       Options
	Devices []*Device
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu sync.Mutex
	r  *rand.Rand

	sent, received, heartbeats, errors, failures, losses atomic.Int64
}

// Start brings devices up.
func Start(o Options) *Fleet {
	if o.Root == "" {
		o.Root = pairing.DefaultRoot
	}
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = time.Minute
	}
	if o.Fate == nil {
		o.Fate = func(string) Fate { return Works }
	}
	if o.LastPause == 0 {
		o.LastPause = 5 * time.Second
	}
	f := &Fleet{o: o, r: rand.New(rand.NewPCG(rand.Uint64(), 1))}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for i := range o.Devices {
		d := &Device{f: f, ID: fmt.Sprintf("%s%05d", o.Prefix, i), acks: map[string]twin.Acknowledgement{}, installs: map[int64]int{}, calls: map[string]int{}}
		d.health = content.Health{Name: fmt.Sprintf("Room %d", i), Version: f.version(6), Counter: 6, Slot: "a", Board: "Raspberry Pi 4 Model B", Boot: d.ID,
			State: content.StateConfirmed, Uptime: float64(i), Temperature: 45 + float64(i%20), Sessions: uint64(i % 7), Latency: []uint64{0, 10, 20, 5, 0, 0, 0, 0, 0, 0, 0}}
		d.start()
		f.Devices = append(f.Devices, d)
		f.wg.Go(func() {
			select {
			case <-time.After(time.Duration(f.number(int64(o.Spread) + 1))):
				d.live()
			case <-f.ctx.Done():
			}
		})
	}
	f.wg.Go(f.tick)
	return f
}

// tick gives every device its turn, four times a second.
func (f *Fleet) tick() {
	const turns = 25
	tick := time.NewTicker(250 * time.Millisecond / turns)
	defer tick.Stop()
	for turn := 0; ; turn = (turn + 1) % turns {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		}
		for i := turn; i < len(f.Devices); i += turns {
			f.Devices[i].tick(f.now())
		}
	}
}

// Stop ends all devices.
func (f *Fleet) Stop() {
	f.cancel()
	for _, d := range f.Devices {
		d.Cut()
	}
	f.wg.Wait()
}

// Stats is what a fleet did.
type Stats struct {
	Paired, Connected                                    int
	Sent, Received, Heartbeats, Errors, Failures, Losses int64
	Slowest                                              clock.Time // when the last was paired for the first time
}

// Times are when the devices were paired for the first time, in order.
func (f *Fleet) Times() (all []clock.Time) {
	for _, d := range f.Devices {
		d.mu.Lock()
		all = append(all, d.paired)
		d.mu.Unlock()
	}
	slices.Sort(all)
	return all
}

// Stats counts.
func (f *Fleet) Stats() Stats {
	s := Stats{Sent: f.sent.Load(), Received: f.received.Load(), Heartbeats: f.heartbeats.Load(), Errors: f.errors.Load(), Failures: f.failures.Load(), Losses: f.losses.Load()}
	for _, d := range f.Devices {
		d.mu.Lock()
		if d.pairing.Partner() != "" {
			s.Paired++
		}
		if d.client != nil {
			s.Connected++
		}
		s.Slowest = max(s.Slowest, d.paired)
		d.mu.Unlock()
	}
	return s
}

func (f *Fleet) now() clock.Time { return clock.Now() }

func (f *Fleet) version(counter int64) string { return fmt.Sprintf("1.%d.0", counter) }

// number draws from 0 to n-1.
func (f *Fleet) number(n int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.Int64N(n)
}

// source reads random bytes.
type source struct{ f *Fleet }

func (f *Fleet) random() source { return source{f} }

func (s source) Read(b []byte) (int, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	for i := range b {
		b[i] = byte(s.f.r.Uint32())
	}
	return len(b), nil
}
