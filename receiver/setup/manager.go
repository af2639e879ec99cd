package setup

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Phase is where the receiver stands on its way to a network.
type Phase string

const (
	Starting Phase = "starting" // a network may come by itself
	Joining  Phase = "joining"
	Offering Phase = "access point" // it is open, or will be as soon as there is a radio
	Online   Phase = "online"
)

// Status is what people should know.
type Status struct {
	Phase       Phase
	SSID        string      // of the network to be joined
	Failure     string      // what went wrong last, as a sentence
	AccessPoint AccessPoint // without an address while it is closed
	Networks    []Found     // in reach when it was looked for last
}

// How long things take, and may take.
const (
	// startPatience is for a cable: link and DHCP take some five seconds.
	startPatience = 20 * time.Second
	// lossPatience is for a router that starts anew.
	lossPatience = 3 * time.Minute
	joinLimit    = time.Minute
	openLimit    = 45 * time.Second
	scanLimit    = 10 * time.Second
	// retryEvery is how long the access point is open before a known network is
	// tried again, if nobody has been at the page for visitLasts.
	retryEvery = 5 * time.Minute
	visitLasts = 3 * time.Minute
	// lookEvery is how often the state is asked for without a signal.
	lookEvery  = 30 * time.Second
	retryRadio = 30 * time.Second
	// awayPause is how long a network's service that is not there is left alone.
	awayPause = time.Second
)

// Manager decides what the network does. Its methods may be called at any time.
type Manager struct {
	network Network
	log     *slog.Logger
	changed func()

	mu      sync.Mutex
	status  Status
	want    Credentials
	visited time.Time
	ask     chan Credentials
}

// New returns a manager that will join the network c, if it has a name, and
// otherwise offer ap. changed is called with every change of the status; it must
// not block.
func New(n Network, c Credentials, ap AccessPoint, changed func(), log *slog.Logger) *Manager {
	return &Manager{network: n, log: log, changed: changed, want: c,
		status: Status{Phase: Starting, SSID: c.SSID, AccessPoint: ap}, ask: make(chan Credentials, 1)}
}

// Status returns the present status.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.status
	st.Networks = slices.Clone(st.Networks)
	return st
}

// Join has another network joined from now on. The access point closes
// meanwhile; Status tells how it went.
func (m *Manager) Join(c Credentials) {
	m.mu.Lock()
	m.want = c
	m.mu.Unlock()
	select {
	case <-m.ask:
	default:
	}
	select {
	case m.ask <- c:
	default:
	}
}

// Visit tells that somebody is at the page.
func (m *Manager) Visit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.visited = time.Now()
}

// Run looks after the network until ctx ends, and closes the access point then.
func (m *Manager) Run(ctx context.Context) {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), openLimit)
		defer cancel()
		m.close(end)
	}()
	m.begin(ctx)
	for ctx.Err() == nil {
		switch st, err := m.network.State(ctx); {
		case err != nil:
			m.begin(ctx)
		case st.Online:
			m.stayOnline(ctx)
		default:
			m.offer(ctx)
		}
	}
}

// begin waits until there is somebody to look after the network, which at the
// start of the machine may be later than the receiver, and gives what is known a
// chance.
func (m *Manager) begin(ctx context.Context) {
	for n := 0; ; n++ {
		if _, err := m.network.State(ctx); err == nil {
			break
		}
		pause := awayPause
		if n > 60 {
			pause *= 15 // it may never come
		}
		if !sleep(ctx, pause) {
			return
		}
	}
	m.close(ctx) // what an earlier process left open is not known to anybody
	if want := m.wanted(); want.SSID != "" {
		m.join(ctx, want)
	} else {
		m.awaitOnline(ctx, startPatience)
	}
}

// sleep returns false if ctx ends before the time is over.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (m *Manager) wanted() Credentials {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want
}

// set changes the status.
func (m *Manager) set(change func(*Status)) {
	m.mu.Lock()
	before := m.status
	change(&m.status)
	same := reflect.DeepEqual(before, m.status)
	m.mu.Unlock()
	if !same {
		m.changed()
	}
}

// state asks for the network's state. One that cannot be had is taken for none:
// NetworkManager may start later, or again.
func (m *Manager) state(ctx context.Context) State {
	st, err := m.network.State(ctx)
	if err != nil && ctx.Err() == nil {
		m.log.Debug("the network's state is not known", "error", err)
	}
	return st
}

// wait waits for a sign of change, or for a time; it returns a network that is
// to be joined, if that is the reason.
func (m *Manager) wait(ctx context.Context, d time.Duration) (c Credentials, asked bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-m.network.Changes():
		sleep(ctx, 200*time.Millisecond) // signals come in swarms
	case c = <-m.ask:
		return c, true
	}
	return c, false
}

// awaitOnline waits for a network that comes by itself; one that is asked for
// meanwhile is joined.
func (m *Manager) awaitOnline(ctx context.Context, patience time.Duration) bool {
	end := time.Now().Add(patience)
	for ctx.Err() == nil {
		if m.state(ctx).Online {
			return true
		}
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		if c, asked := m.wait(ctx, min(left, lookEvery)); asked {
			return m.join(ctx, c)
		}
	}
	return false
}

// join tries to join a network.
func (m *Manager) join(ctx context.Context, c Credentials) bool {
	m.close(ctx)
	m.set(func(s *Status) { s.Phase, s.SSID, s.Failure = Joining, c.SSID, "" })
	m.log.Info("joining a network", "ssid", c.SSID)
	limited, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	err := m.network.Join(limited, c)
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		m.log.Warn("a network is not joined", "ssid", c.SSID, "error", err)
		m.set(func(s *Status) { s.Failure = explain(c.SSID, err) })
	}
	return false
}

// stayOnline returns when there has been no network for a while.
func (m *Manager) stayOnline(ctx context.Context) {
	m.close(ctx)
	m.log.Info("on a network")
	for ctx.Err() == nil {
		st, want := m.state(ctx), m.wanted()
		m.set(func(s *Status) {
			s.Phase = Online
			if want.SSID == st.SSID { // the failures were on the way here
				s.Failure = ""
			}
		})
		if c, asked := m.wait(ctx, lookEvery); asked {
			m.join(ctx, c)
			return
		}
		if m.state(ctx).Online || ctx.Err() != nil {
			continue
		}
		m.set(func(s *Status) { s.Phase = Starting })
		m.log.Warn("the network is lost")
		if !m.awaitOnline(ctx, lossPatience) && ctx.Err() == nil {
			if want := m.wanted(); want.SSID != "" {
				m.join(ctx, want)
			}
		}
		return
	}
}

// offer opens the access point and returns when there is a network, or nothing
// more to wait for.
func (m *Manager) offer(ctx context.Context) {
	m.scan(ctx) // a radio that is an access point hears little
	if !m.open(ctx) {
		c, asked := m.wait(ctx, retryRadio)
		if !asked {
			c = m.wanted() // a radio may have come meanwhile
		}
		if c.SSID != "" && !m.state(ctx).Online {
			m.join(ctx, c)
		}
		return
	}
	retry := time.Now().Add(retryEvery)
	for ctx.Err() == nil {
		if c, asked := m.wait(ctx, lookEvery); asked {
			m.join(ctx, c)
			return
		}
		if st := m.state(ctx); st.Online || !st.Open {
			return
		}
		if want := m.wanted(); want.SSID != "" && !time.Now().Before(retry) && !m.visitor() {
			m.join(ctx, want)
			return
		}
	}
}

func (m *Manager) visitor() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.visited) < visitLasts
}

func (m *Manager) scan(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, scanLimit)
	defer cancel()
	if list, err := m.network.Scan(limited); err == nil {
		m.set(func(s *Status) { s.Networks = list })
	}
}

func (m *Manager) open(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	ap := m.Status().AccessPoint
	addr, err := m.network.Open(limited, ap)
	if err != nil {
		if ctx.Err() == nil {
			m.log.Warn("the access point is not open", "error", err)
			m.set(func(s *Status) {
				s.Phase = Offering
				if s.Failure == "" {
					s.Failure = "There is no Wi-Fi here. Connect a network cable."
				}
			})
		}
		m.close(ctx)
		return false
	}
	m.log.Info("the access point is open", "ssid", ap.SSID, "address", addr)
	m.set(func(s *Status) { s.Phase, s.AccessPoint.Address = Offering, addr })
	return true
}

// close closes the access point.
func (m *Manager) close(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if err := m.network.Close(limited); err != nil && ctx.Err() == nil {
		m.log.Debug("the access point does not close", "error", err)
	}
	if m.Status().AccessPoint.Address.IsValid() {
		m.set(func(s *Status) { s.AccessPoint.Address = AccessPoint{}.Address })
	}
}
