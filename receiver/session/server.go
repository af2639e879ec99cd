package session

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/metric"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// Limits of what strangers may hold open.
const (
	maxConnections = 32
	// SenderGone is after how long of silence, of requests and of media, a
	// sender counts as gone. Senders speak every two seconds.
	SenderGone = 15 * time.Second
)

// Server answers senders.
type Server struct {
	Capabilities func() *message.Capabilities
	Authority    *pairing.Authority
	Password     func() *pairing.Digest // of a new connection; nil for no password
	Media        Media
	Takeover     bool   // a second sender takes over instead of being refused
	EventPort    uint16 // of the first event channel; 0 is any
	Now          func() clock.Time
	Log          *slog.Logger
	Recorder     Recorder // nil for none
	Limits       rtsp.Limits
	Timeouts     rtsp.Timeouts
	// Busy, if not nil, is called before each request is answered, and what it
	// returns afterwards.
	Busy func() (done func())
	// Changed is called after a session began or ended; nil for nobody.
	Changed func()

	Connections metric.Counter
	Refused     metric.Counter // senders, because another had the stage
	Sessions    metric.Counter

	mu     sync.Mutex
	conns  map[*conn]struct{}
	nextID int
	stage  stage
	seen   onceSet
}

// Recorder writes down conversations. Its methods are called from many
// goroutines at once.
type Recorder interface {
	Connected(id int, from string)
	Request(id int, q *rtsp.Request)
	Response(id int, p *rtsp.Response)
	Closed(id int, reason string)
}

// Serve answers connections from ln until ctx ends, and then ends them all.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.closeAll()
	for {
		nc, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors, or a connection that was gone before it was
			// taken: the listener is as good as before.
			s.Log.Error("session: accept failed", "error", err)
			if !pause(ctx, 50*time.Millisecond) {
				return nil
			}
			continue
		}
		wg.Go(func() { s.serve(nc) })
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// serve holds the conversation on one connection.
func (s *Server) serve(nc net.Conn) {
	c := s.admit(nc)
	reason := c.run()
	s.forget(c)
	c.close(reason)
	if s.Recorder != nil {
		s.Recorder.Closed(c.id, reason)
	}
	c.log.Debug("session: connection closed", "reason", reason)
}

// admit takes a connection in. When there are too many, the one that has been
// silent longest and has no session makes room.
func (s *Server) admit(nc net.Conn) *conn {
	s.Connections.Inc()
	s.mu.Lock()
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	var oldest *conn
	if len(s.conns) >= maxConnections {
		for c := range s.conns {
			if !s.stage.holds(c) && (oldest == nil || c.active.Load() < oldest.active.Load()) {
				oldest = c
			}
		}
	}
	s.nextID++
	c := newConn(s, nc, s.nextID)
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if oldest != nil {
		oldest.log.Info("session: too many connections, the idlest is closed")
		oldest.rtsp.Close()
	}
	if s.Recorder != nil {
		s.Recorder.Connected(c.id, nc.RemoteAddr().String())
	}
	return c
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.rtsp.Close()
	}
}

func (s *Server) busy() (done func()) {
	if s.Busy == nil {
		return func() {}
	}
	return s.Busy()
}

func (s *Server) changed() {
	if s.Changed != nil {
		s.Changed()
	}
}

// Disconnect ends the session that has the stage, if any.
func (s *Server) Disconnect(reason string) { s.stage.clear(reason) }

// Sender returns who has the stage.
func (s *Server) Sender() (Sender, bool) {
	a := s.stage.current()
	if a == nil {
		return Sender{}, false
	}
	return a.sender, true
}

// describe says for the log why reading a request failed.
func describe(err error) string {
	var bad *rtsp.Error
	switch {
	case err == io.EOF:
		return "closed by the sender"
	case errors.Is(err, net.ErrClosed):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.As(err, &bad):
		return bad.Reason
	}
	return err.Error()
}

// onceSet remembers what was logged, up to a limit, so that a new kind of
// request shows up once and not every two seconds.
type onceSet struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *onceSet) first(key string) bool {
	const limit = 256
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string]bool{}
	}
	if o.seen[key] || len(o.seen) >= limit {
		return false
	}
	o.seen[key] = true
	return true
}
