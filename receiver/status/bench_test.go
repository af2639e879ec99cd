package status

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/live"
	"aerie/receiver/metric"
)

// A bench is a receiver with its page: a view, a server on a port of its own
// and what the snapshot says.
type bench struct {
	t         testing.TB
	view      *live.View
	addr      string
	presented metric.Histogram
	stop      func()

	mu       sync.Mutex
	snapshot Snapshot
	artwork  []byte
}

// startBench starts a receiver that ends with the test. An empty address
// stands for any free port of the loopback.
func startBench(t testing.TB, addr string, o live.Options) *bench {
	t.Helper()
	view, err := live.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, view: view, snapshot: idleSnapshot()}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	var metrics metric.Set
	metrics.Histogram("aerie_live_hand_over_seconds", "From a picture's arrival to its hand-over to a page.", &view.HandOver)
	server := New(Options{
		Snapshot: func() Snapshot {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.snapshot
		},
		Live:    view,
		Metrics: &metrics,
		Artwork: func() (string, []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return "image/png", b.artwork
		},
		Clock: func() (clock.Time, clock.Remote, bool) {
			now := clock.Now()
			return now, clock.Remote(now), true
		},
		Presented: b.presented.Observe,
		Diagnose: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "PK bundle")
			return err
		},
		Hosts: []string{"tv.example.org"},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	stop := sync.OnceFunc(func() {
		cancel()
		view.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	b.stop = stop
	t.Cleanup(stop)
	return b
}

// set changes the snapshot.
func (b *bench) set(change func(*Snapshot)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.snapshot)
}

func (b *bench) url() string { return "http://" + b.addr + "/" }

func idleSnapshot() Snapshot {
	return Snapshot{
		Receiver: Receiver{
			Name: "Living Room", Version: "1.0.0", Uptime: 93784, Addresses: []string{"192.168.1.20:7000"},
			Video: Output{"browser", "no display is connected"},
			Audio: Output{"browser", "with the picture"},
		},
		Clock: &Clock{Source: "none"},
	}
}

// mirroring fills a snapshot with a session.
func mirroring(width, height, fps int, latency *metric.Histogram) func(*Snapshot) {
	return func(s *Snapshot) {
		volume := -12.0
		s.Sender = &Sender{Name: "Ann's iPhone", Model: "iPhone14,5", OS: "iPhone OS 16.2 (20C65)", Address: "192.168.1.57:52114", Since: time.Now().Add(-7 * time.Minute)}
		s.Picture = &Picture{Codec: "H.264 High, level 3.1", Width: width, Height: height, Rate: float64(fps), BitRate: 4.2e6, Received: 12614, Late: 3, Dropped: 0}
		s.Sound = &Sound{Codec: "AAC-ELD", SampleRate: 44100, Channels: 2, Received: 38812, Lost: 14, Recovered: 12, Concealed: 2, Drift: -18.4, SyncError: 1.7, Volume: &volume}
		s.Clock = &Clock{Source: "ntp", OffsetError: 0.38, Drift: 12.6, Unanswered: 1}
		if latency != nil {
			s.Latency = []Stage{NewStage("Network", latency)}
		}
	}
}
