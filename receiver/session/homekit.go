package session

import (
	"errors"

	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// Sizes by which requests of legacy pairing are known; those of HomeKit have
// others (reference section 5.4).
const (
	legacySetupSize  = 32
	legacyVerifySize = 68
)

// homekitResult answers a step of HomeKit pairing: what it has to say about an
// error stands in the body.
func (c *conn) homekitResult(q *rtsp.Request, reply []byte, err error) *rtsp.Response {
	if reply == nil {
		return c.pairResult(q, nil, err)
	}
	if err != nil {
		c.log.Warn("session: pairing refused", "request", cut(q.Path()), "error", err)
	}
	return body(rtsp.TypeOctets, reply)
}

// homekit tells whether a request of pairing is one of HomeKit.
func (c *conn) homekit(q *rtsp.Request, legacySize int) bool {
	return len(q.Body) != legacySize && c.server.Capabilities().Features.HomeKit()
}

// pairManage answers POST /pair-add, /pair-remove and /pair-list.
func (c *conn) pairManage(q *rtsp.Request) *rtsp.Response {
	reply, err := c.pairing.HomeKitAdmin(q.Body)
	return c.homekitResult(q, reply, err)
}

// secure encrypts the connection from now on, when pairing has just left a
// secret for that (reference section 5.5).
func (c *conn) secure() {
	if secret := c.pairing.Channel(); secret != nil && !c.rtsp.Encrypted() {
		keys := secret.Control()
		c.rtsp.Encrypt(keys.Sender, keys.Receiver)
	}
}

// openEvents opens the event channel of an encrypted connection, or returns the
// port of the one that is open; 0 without encryption, where there is none.
func (c *conn) openEvents() (port int, err error) {
	secret := c.pairing.Channel()
	if secret == nil {
		return 0, nil
	}
	if e := c.events.Load(); e != nil {
		return e.port(), nil
	}
	e := &events{
		peer: c.sender.Addr.Addr(), keys: secret.Events(), log: c.log,
		update: func() []byte { return c.server.Capabilities().UpdateInfo() },
		gone: func(reason string) {
			// Without it the sender is gone.
			c.log.Info("session: "+reason, "sender", c.sender.Name)
			c.rtsp.Close()
		},
	}
	if err := openEvents(c.local, c.server.EventPort, e); err != nil {
		return 0, err
	}
	c.events.Store(e)
	return e.port(), nil
}

// controlOnly answers the SETUP of a connection that carries no media, only
// events (reference section 7.1). It needs no stage.
func (c *conn) controlOnly(q *rtsp.Request, m *message.SessionSetup) *rtsp.Response {
	if err := c.pairing.Admit(m.DeviceID, m.Name); err != nil {
		return c.bad(q, pairing.Status(err), err)
	}
	port, err := c.openEvents()
	if err != nil {
		return c.bad(q, 500, err)
	}
	if port == 0 {
		return c.bad(q, 455, errors.New("remote control in the clear"))
	}
	return body(rtsp.TypeBinaryPlist, (&message.SetupReply{EventPort: &port}).Encode())
}

// Push tells the senders that listen that the receiver has changed.
func (s *Server) Push() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if e := c.events.Load(); e != nil {
			e.changed()
		}
	}
}
