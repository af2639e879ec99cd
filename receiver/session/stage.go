package session

import (
	"sync"
	"time"

	"aerie/receiver/clock"
)

// stage is held by one session at a time.
type stage struct {
	mu  sync.Mutex
	act *act
}

// act is a session on the stage.
type act struct {
	conn   *conn
	sender Sender
	once   sync.Once
	stop   chan struct{} // closed when the end begins
	done   chan struct{} // closed when everything is given back
	// patient sessions outlive silence, because their sender says nothing
	// while it pauses; they make room for others instead.
	patient bool

	mu      sync.Mutex
	streams Streams // nil after the end
}

func newAct(c *conn, sender Sender) *act {
	return &act{conn: c, sender: sender, stop: make(chan struct{}), done: make(chan struct{})}
}

func (g *stage) current() *act {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.act
}

func (g *stage) holds(c *conn) bool {
	a := g.current()
	return a != nil && a.conn == c
}

// clear ends whatever session there is.
func (g *stage) clear(reason string) {
	if a := g.current(); a != nil {
		a.end(g, reason)
	}
}

// crossing is how long a sender that comes waits for one that goes. The news
// of the two are on different connections, and giving back a decoder or a file
// takes its time.
const crossing = 250 * time.Millisecond

// enter puts a session on the stage, with the streams that open gives. It
// returns false if a session is there that must not be replaced and does not
// end within crossing. One that may be is gone before open is called.
func (g *stage) enter(a *act, mayReplace func(*act) (reason string, ok bool), open func() (Streams, error)) (bool, error) {
	g.mu.Lock()
	for g.act != nil {
		old := g.act
		g.mu.Unlock()
		reason, ok := mayReplace(old)
		if !ok && !old.leaves(crossing) {
			return false, nil
		}
		old.end(g, reason)
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	streams, err := open()
	if err != nil {
		return true, err
	}
	a.streams = streams
	g.act = a
	return true, nil
}

// leaves tells whether the session has begun to end, or begins to within a
// time.
func (a *act) leaves(within time.Duration) bool {
	select {
	case <-a.stop:
		return true
	case <-time.After(within):
		return false
	}
}

// with calls use with the streams, unless the session has ended: another
// sender may take over while a request of this one is answered.
func (a *act) with(use func(Streams)) bool {
	if a == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams == nil {
		return false
	}
	use(a.streams)
	return true
}

// end takes the session off the stage: its streams are closed and its control
// connection with them. It returns when that is done, whoever began it.
func (a *act) end(g *stage, reason string) {
	a.once.Do(func() {
		close(a.stop)
		a.conn.log.Info("session ended", "sender", a.sender.Name, "reason", reason)
		a.mu.Lock()
		streams := a.streams
		a.streams = nil
		a.mu.Unlock()
		if streams != nil {
			streams.Close()
		}
		a.conn.rtsp.Close()
		g.mu.Lock()
		if g.act == a {
			g.act = nil
		}
		g.mu.Unlock()
		close(a.done)
		a.conn.server.changed()
	})
	<-a.done
}

// watch ends the session when the sender has been silent for too long: phones
// are locked, carried away and switched off.
func (a *act) watch(g *stage) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-t.C:
		}
		limit := SenderGone
		if a.patient {
			limit = pauseLimit
		}
		if a.silence() > limit {
			a.end(g, "the sender is gone")
			return
		}
	}
}

// pauseLimit is how long a patient session may be silent. A sender that is
// switched off meanwhile is noticed by the kernel, which probes the connection.
const pauseLimit = time.Hour

// silence is how long nothing has come from the sender, neither requests nor
// media.
func (a *act) silence() time.Duration {
	last := clock.Time(a.conn.active.Load())
	a.with(func(s Streams) { last = max(last, s.Active()) })
	return a.conn.server.Now().Sub(last)
}
