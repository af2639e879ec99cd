package receiver

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aerie/hw/board"
	"aerie/receiver/config"
	"aerie/receiver/fleet"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/enrol"
)

// A receiver without a membership shows the code with which it can get one.
func TestFleetCode(t *testing.T) {
	r := quietReceiver(t)
	defer r.close()
	if r.Fleet(fleet.Device{}) != nil {
		t.Error("a fleet that nobody set")
	}
	asked := make(chan enrol.Request, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		request, _, err := enrol.ParseRequest(body)
		if err != nil {
			t.Error(err)
		}
		asked <- request
		w.WriteHeader(http.StatusAccepted)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	defer server.Close()
	r.cfg.Fleet.Server = server.Listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	agent := r.Fleet(fleet.Device{})
	done := make(chan struct{})
	go func() { agent.Run(ctx); close(done) }()
	if request := <-asked; request.Name != "Test" || request.Pool != config.Default().Fleet.Pool || request.Device != fleetID(r.identity.deviceID) || !strings.HasPrefix(request.Device, "aerie-") {
		t.Errorf("it asks %+v", request)
	}
	code := agent.Status().Code
	shown := func() (page []string, screen string) {
		for _, n := range r.screenState().Notices {
			screen += n.Title + ": " + n.Text
		}
		return r.snapshot().Warnings, screen
	}
	if page, screen := shown(); code == "" || len(page) != 1 || !strings.Contains(page[0], code) || screen != page[0] {
		t.Errorf("the code is %q, the page shows %q, the screen %q", code, page, screen)
	}
	cancel()
	<-done
	if page, screen := shown(); len(page) != 0 || screen != "" {
		t.Errorf("afterwards the page shows %q, the screen %q", page, screen)
	}
}

// One that the fleet does not want says so, and asks again when its owner wants.
func TestFleetRefuses(t *testing.T) {
	r := quietReceiver(t)
	defer r.close()
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"the code is used up"}`)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	defer server.Close()
	r.cfg.Fleet.Server = server.Listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	agent := r.Fleet(fleet.Device{})
	done := make(chan struct{})
	go func() { agent.Run(ctx); close(done) }()
	until(t, "that it says so", func() bool {
		w := r.snapshot().Warnings
		return len(w) == 1 && strings.Contains(w[0], "the code is used up") && agent.Status().Phase == fleet.Refused
	})
	before := asked.Load()
	r.NextPIN()
	until(t, "that it asks again", func() bool { return asked.Load() > before })
	cancel()
	<-done
}

func TestFleetHealth(t *testing.T) {
	r := quietReceiver(t)
	defer r.close()
	m := &r.meters
	for _, latency := range []time.Duration{time.Millisecond, 50 * time.Millisecond, 51 * time.Millisecond, 5 * time.Second} {
		m.total.Observe(latency)
	}
	m.pictures.Add(10)
	m.skipped.Add(2)
	m.undecodable.Inc()
	r.machine.health = board.Health{Temperature: 61.26, Warm: true, SinceBoot: board.UnderVoltage | board.Throttled}
	h := r.fleetHealth()
	if h.Name != "Test" || h.Version != "test" || h.Playing || h.Pictures != 10 || h.Dropped != 3 || h.Temperature != 61.2 || h.LastError != "" || !slices.Equal(h.Throttled, []string{"under-voltage", "throttled"}) {
		t.Errorf("%+v", h)
	}
	if len(h.Latency) != len(content.LatencyBounds)+1 || h.Latency[0] != 1 || h.Latency[2] != 2 || h.Latency[len(h.Latency)-1] != 1 {
		t.Errorf("latency %v", h.Latency)
	}
}

// buffer is a log for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A new name is announced, again and again.
func TestRenamed(t *testing.T) {
	r := quietReceiver(t)
	log := &buffer{}
	r.log = slog.New(slog.NewTextHandler(log, nil))
	r.cfg.Network.Discovery = true
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for i := 0; !r.announced.Load(); i++ {
		if i == 100 {
			t.Skip("there is no network to announce it on")
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, name := range []string{"Room 5", "Room 6"} {
		r.rename(name)
		until(t, name, func() bool { return strings.Contains(log.String(), `announced name="`+name+`"`) })
		if r.Name() != name {
			t.Errorf("the name is %q, want %q", r.Name(), name)
		}
	}
}
