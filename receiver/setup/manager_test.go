package setup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var home = Credentials{SSID: "Home", Password: "correct horse"}

// house is a network in a house, as far as a receiver meets it: one radio, one
// socket for a cable, one router.
type house struct {
	t *testing.T

	mu      sync.Mutex
	radio   bool // it works
	cable   bool // it is plugged in, and gives addresses
	router  bool // it is on
	silent  bool // it lets in, and gives no addresses
	joined  bool
	known   bool // what was joined is tried again by itself
	open    bool
	deaf    bool // the network's service is away
	asked   bool // since the access point was opened, to join another
	visited time.Time
	changes chan struct{}
	log     []string
}

func newHouse(t *testing.T) *house {
	return &house{t: t, radio: true, router: true, changes: make(chan struct{}, 1)}
}

func (h *house) note(format string, args ...any) {
	h.log = append(h.log, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
	if len(h.log) > 40 {
		h.log = h.log[1:]
	}
}

func (h *house) fail(format string, args ...any) {
	h.t.Errorf(format+"\n%s", append(args, strings.Join(h.log, "\n"))...)
}

func (h *house) online() bool { return h.cable || h.joined && h.router && !h.silent }

func (h *house) change(what string, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.note("%s: radio %v, cable %v, router %v, silent %v, joined %v, open %v", what, h.radio, h.cable, h.router, h.silent, h.joined, h.open)
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

var errDeaf = errors.New("no answer")

func (h *house) State(context.Context) (State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf {
		return State{}, errDeaf
	}
	st := State{Online: h.online(), Open: h.open}
	if h.joined {
		st.SSID = home.SSID
	}
	return st, nil
}

func (h *house) Changes() <-chan struct{} { return h.changes }

// takes is time that passes, or the end of the patience.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// awaitRadio waits for a radio for some time.
func (h *house) awaitRadio(ctx context.Context) {
	for range 20 {
		h.mu.Lock()
		there := h.radio || h.deaf
		h.mu.Unlock()
		if there || takes(ctx, time.Second) != nil {
			return
		}
	}
}

func (h *house) Join(ctx context.Context, c Credentials) error {
	h.awaitRadio(ctx)
	h.mu.Lock()
	if h.open {
		h.fail("a network is joined with the access point open")
	}
	deaf, radio, router, silent := h.deaf, h.radio, h.router && c.SSID == home.SSID, h.silent
	h.joined, h.known = false, c == home
	h.mu.Unlock()
	switch {
	case deaf:
		return errDeaf
	case !radio:
		return ErrNoRadio
	case !router:
		return errors.Join(takes(ctx, 15*time.Second), ErrNotFound)
	case c.Password != home.Password:
		return errors.Join(takes(ctx, 20*time.Second), ErrPassword)
	case silent:
		if err := takes(ctx, 50*time.Second); err != nil {
			return err
		}
		return ErrNoAddress
	}
	if err := takes(ctx, 6*time.Second); err != nil {
		return err
	}
	h.change("joined", func() { h.joined = true })
	return nil
}

func (h *house) Open(ctx context.Context, ap AccessPoint) (netip.Addr, error) {
	h.awaitRadio(ctx)
	if err := takes(ctx, 2*time.Second); err != nil {
		return netip.Addr{}, err
	}
	if ap.SSID == "" || len(ap.Password) < 8 {
		h.fail("an access point without name or password")
	}
	h.mu.Lock()
	deaf, radio := h.deaf, h.radio
	h.mu.Unlock()
	switch {
	case deaf:
		return netip.Addr{}, errDeaf
	case !radio:
		return netip.Addr{}, ErrNoRadio
	}
	h.change("opened", func() { h.open, h.joined, h.asked = true, false, false })
	return netip.MustParseAddr("10.42.0.1"), nil
}

func (h *house) Close(ctx context.Context) error {
	h.change("closed", func() {
		if h.open && !h.cable && !h.asked && ctx.Err() == nil && !h.deaf && time.Since(h.visited) < visitLasts {
			h.fail("a visitor is thrown out")
		}
		h.open = false
	})
	return nil
}

func (h *house) Scan(ctx context.Context) ([]Found, error) {
	if err := takes(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	return []Found{{SSID: home.SSID, Signal: 80, Secured: true}}, nil
}

// live has the network do what it does by itself: known networks come back.
func (h *house) live(ctx context.Context) {
	for takes(ctx, 10*time.Second) == nil {
		h.mu.Lock()
		back := h.known && !h.joined && !h.open && h.router && h.radio && !h.silent
		h.mu.Unlock()
		if back {
			h.change("back", func() { h.joined = true })
		}
	}
}

// start runs a manager on the simulated clock until the test function returns.
func start(t *testing.T, h *house, c Credentials, try func(m *Manager)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := New(h, c, NewAccessPoint("02:00:00:00:BE:EF"), func() {}, slog.New(slog.DiscardHandler))
		h.t = t
		h.changes = make(chan struct{}, 1)
		var wg sync.WaitGroup
		wg.Go(func() { m.Run(ctx) })
		wg.Go(func() { h.live(ctx) })
		try(m)
		cancel()
		wg.Wait()
		if h.open || m.Status().AccessPoint.Address.IsValid() {
			t.Error("the access point stays open")
		}
	})
}

func TestFirstBoot(t *testing.T) {
	start(t, newHouse(t), Credentials{}, func(m *Manager) {
		time.Sleep(startPatience - time.Second)
		if st := m.Status(); st.Phase != Starting {
			t.Errorf("%+v, too early", st)
		}
		time.Sleep(8 * time.Second)
		st := m.Status()
		if st.Phase != Offering || st.AccessPoint.SSID != "Aerie-BEEF" || st.AccessPoint.Page() != "http://10.42.0.1/settings/" || len(st.Networks) != 1 {
			t.Fatalf("%+v", st)
		}
		m.Join(Credentials{SSID: "Home", Password: "wrong password"})
		time.Sleep(5 * time.Second)
		if st := m.Status(); st.Phase != Joining || st.SSID != "Home" || st.AccessPoint.Page() != "" {
			t.Errorf("%+v", st)
		}
		time.Sleep(25 * time.Second)
		if st := m.Status(); st.Phase != Offering || st.Failure != "The password of “Home” is wrong." {
			t.Errorf("%+v", st)
		}
		m.Join(home)
		time.Sleep(10 * time.Second)
		if st := m.Status(); st.Phase != Online || st.Failure != "" || st.AccessPoint.Page() != "" {
			t.Errorf("%+v", st)
		}
	})
}

// A cable is enough: the access point never opens.
func TestCable(t *testing.T) {
	h := newHouse(t)
	start(t, h, Credentials{}, func(m *Manager) {
		time.Sleep(6 * time.Second)
		h.change("cable", func() { h.cable = true })
		time.Sleep(time.Second)
		if st := m.Status(); st.Phase != Online {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Hour)
		for _, l := range h.log {
			if strings.Contains(l, "opened") {
				t.Error(l)
			}
		}
	})
}

// After a power cut the router starts last: the receiver finds it.
func TestRouterStartsLast(t *testing.T) {
	h := newHouse(t)
	h.router = false
	start(t, h, home, func(m *Manager) {
		time.Sleep(time.Minute)
		if st := m.Status(); st.Phase != Offering || st.Failure != "“Home” is not in reach." {
			t.Errorf("%+v", st)
		}
		h.change("router", func() { h.router = true })
		time.Sleep(retryEvery + time.Minute)
		if st := m.Status(); st.Phase != Online || st.Failure != "" {
			t.Errorf("%+v", st)
		}
	})
}

// At the start of a machine the network's service comes later than the receiver,
// and the radio last: the access point stays closed all the same.
func TestServiceStartsLast(t *testing.T) {
	h := newHouse(t)
	h.deaf, h.radio = true, false
	start(t, h, home, func(m *Manager) {
		time.Sleep(40 * time.Second)
		h.change("service", func() { h.deaf = false })
		time.Sleep(10 * time.Second)
		h.change("radio", func() { h.radio = true })
		time.Sleep(retryRadio + 10*time.Second)
		if st := m.Status(); st.Phase != Online || st.Failure != "" {
			t.Errorf("%+v", st)
		}
		if strings.Contains(strings.Join(h.log, "\n"), "opened") {
			t.Error("the access point was open")
		}
	})
}

// A router that starts anew is waited for: the access point would only be in
// the way.
func TestRouterRestarts(t *testing.T) {
	h := newHouse(t)
	start(t, h, home, func(m *Manager) {
		time.Sleep(time.Hour)
		h.change("router off", func() { h.router, h.joined = false, false })
		time.Sleep(2 * time.Minute)
		h.change("router on", func() { h.router = true })
		time.Sleep(15 * time.Second)
		if st := m.Status(); st.Phase != Online {
			t.Errorf("%+v", st)
		}
		if strings.Contains(strings.Join(h.log, "\n"), "opened") {
			t.Error("the access point was open")
		}
	})
}

// A receiver without a radio says so, and goes on when a cable comes.
func TestNoRadio(t *testing.T) {
	h := newHouse(t)
	h.radio = false
	start(t, h, Credentials{}, func(m *Manager) {
		time.Sleep(time.Minute)
		if st := m.Status(); st.Phase != Offering || st.AccessPoint.Page() != "" || st.Failure != "There is no Wi-Fi here. Connect a network cable." {
			t.Errorf("%+v", st)
		}
		h.change("cable", func() { h.cable = true })
		time.Sleep(40 * time.Second) // it was waiting for a radio
		if st := m.Status(); st.Phase != Online {
			t.Errorf("%+v", st)
		}
	})
}

// TestRandomHouses lets things happen in houses at random, and holds the
// manager to what people may expect, minute by minute.
func TestRandomHouses(t *testing.T) {
	for seed := range uint64(30) {
		h := newHouse(t)
		r := rand.New(rand.NewPCG(seed, 5))
		creds := []Credentials{{}, home, {SSID: "Home", Password: "wrong password"}, {SSID: "Cafe"}}[r.IntN(4)]
		h.radio, h.cable, h.router = r.IntN(8) > 0, r.IntN(3) == 0, r.IntN(3) > 0
		start(t, h, creds, func(m *Manager) {
			watch := &watcher{h: h, m: m, want: creds, since: time.Now()}
			for range 150 {
				watch.happen(r)
				for range 1 + r.IntN(12) {
					time.Sleep(time.Minute)
					watch.look()
				}
				if h.t.Failed() {
					h.t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// watcher knows since when things are as they are.
type watcher struct {
	h     *house
	m     *Manager
	want  Credentials
	since time.Time
}

// happen changes one thing in the house.
func (w *watcher) happen(r *rand.Rand) {
	h := w.h
	flip := func(what string, b *bool) {
		h.change(what, func() {
			*b = !*b
			h.joined = h.joined && h.router && h.radio && !h.silent
			h.open = h.open && h.radio
		})
		w.since = time.Now()
	}
	switch r.IntN(10) {
	case 0:
		flip("cable", &h.cable)
	case 1, 2:
		flip("router", &h.router)
	case 3:
		flip("radio", &h.radio)
	case 4:
		flip("silent", &h.silent)
	case 5:
		flip("deaf", &h.deaf)
	case 6:
		h.change("the access point fails", func() { h.open = false })
		w.since = time.Now()
	case 7, 8:
		h.change("visit", func() { h.visited = time.Now() })
		w.m.Visit()
	case 9:
		w.want = []Credentials{home, {SSID: "Home", Password: "another wrong one"}, {SSID: "Cafe"}}[r.IntN(3)]
		h.change("asked for "+w.want.SSID+" "+w.want.Password, func() { h.asked = true })
		w.m.Join(w.want)
		w.since = time.Now()
	}
}

// look holds the manager to its promises.
func (w *watcher) look() {
	h, st := w.h, w.m.Status()
	h.mu.Lock()
	defer h.mu.Unlock()
	still := time.Since(w.since)
	joinable := h.radio && h.router && !h.silent && w.want == home
	switch {
	case h.deaf:
	case h.cable && still > 2*time.Minute && (h.open || st.Phase != Online):
		h.fail("on a cable for %v: %+v", still, st)
	case joinable && !h.cable && still > retryEvery+joinLimit+2*time.Minute && time.Since(h.visited) > retryEvery+visitLasts && (!h.joined || st.Phase != Online || st.Failure != ""):
		h.fail("a network that could be joined for %v is not: %+v", still, st)
	case !joinable && !h.cable && h.radio && still > lossPatience+2*joinLimit+openLimit+2*time.Minute && !h.open && st.Phase != Joining:
		h.fail("no network for %v, and no access point: %+v", still, st)
	case !h.cable && !h.radio && still > lossPatience+2*joinLimit+openLimit+2*time.Minute && st.Failure == "" && st.Phase != Joining:
		h.fail("no network for %v, and not a word: %+v", still, st)
	}
}

func TestQR(t *testing.T) {
	ap := AccessPoint{SSID: `A;B:"C\`, Password: "x,y"}
	if got := ap.QR(); got != `WIFI:T:WPA;S:A\;B\:\"C\\;P:x\,y;;` {
		t.Error(got)
	}
	seen := map[string]bool{}
	for range 100 {
		ap := NewAccessPoint("02:11:22:33:aa:0b")
		if ap.SSID != "Aerie-AA0B" || len(ap.Password) != 10 || seen[ap.Password] || ap.Page() != "" {
			t.Fatalf("%+v", ap)
		}
		seen[ap.Password] = true
	}
	if ap := NewAccessPoint(""); ap.SSID != "Aerie-" {
		t.Errorf("%+v", ap)
	}
}
