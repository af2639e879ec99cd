package session

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"aerie/receiver/fairplay"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// logger is the part of slog.Logger that is used here.
type logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
}

// conn is one control connection and what was agreed on it.
type conn struct {
	server *Server
	id     int
	rtsp   *rtsp.Conn
	log    logger
	active atomic.Int64 // clock.Time of the last request

	sender    Sender
	local     netip.Addr
	handshake *fairplay.Handshake
	pairing   *pairing.Conversation
	digest    *pairing.Digest        // nil without a password
	announced *announced             // by a classic sender
	act       *act                   // the session of this connection, if it has one
	events    atomic.Pointer[events] // nil before SETUP, and without encryption
}

func newConn(s *Server, nc net.Conn, id int) *conn {
	log := s.Log.With("conn", id, "from", nc.RemoteAddr().String())
	c := &conn{
		server: s, id: id, log: log,
		rtsp:      rtsp.NewConn(nc, s.Limits, s.Timeouts),
		handshake: fairplay.New(log),
		pairing:   s.Authority.Converse(log),
	}
	if s.Password != nil {
		c.digest = s.Password()
	}
	c.sender.Addr = addrOf(nc.RemoteAddr())
	c.local = addrOf(nc.LocalAddr()).Addr()
	c.active.Store(int64(s.Now()))
	return c
}

func addrOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// run answers requests until the connection ends, and says why it did.
func (c *conn) run() (reason string) {
	// A fault of ours ends one conversation, not the receiver.
	defer func() {
		if r := recover(); r != nil {
			reason = fmt.Sprintf("fault: %v", r)
			c.log.Warn("session: fault while answering", "fault", r)
		}
	}()
	var q rtsp.Request
	for {
		if err := c.rtsp.ReadRequest(&q); err != nil {
			var bad *rtsp.Error
			if errors.As(err, &bad) {
				c.log.Warn("session: request refused", "reason", bad.Reason, "status", bad.Status)
				c.send(&rtsp.Response{Proto: rtsp.RTSP, Status: bad.Status})
			}
			return describe(err)
		}
		c.active.Store(int64(c.server.Now()))
		if rec := c.server.Recorder; rec != nil {
			rec.Request(c.id, &q)
		}
		c.note(&q)
		p := c.respond(&q)
		if err := c.send(p); err != nil {
			return describe(err)
		}
		if c.pairing.Failed() {
			return "pairing failed"
		}
		c.secure()
		if p.Header.Get("Connection") == "close" {
			return "torn down"
		}
	}
}

// respond makes the whole response to a request.
func (c *conn) respond(q *rtsp.Request) *rtsp.Response {
	defer c.server.busy()() // even after a fault
	p := c.answer(q)
	c.finish(q, p)
	return p
}

func (c *conn) send(p *rtsp.Response) error {
	if rec := c.server.Recorder; rec != nil {
		rec.Response(c.id, p)
	}
	return c.rtsp.WriteResponse(p)
}

// close gives back what the connection holds.
func (c *conn) close(reason string) {
	if c.act != nil {
		c.act.end(&c.server.stage, reason)
	}
	if e := c.events.Load(); e != nil {
		e.close()
	}
	c.pairing.Close()
	c.rtsp.Close()
}

// note keeps what the header fields tell about the sender.
func (c *conn) note(q *rtsp.Request) {
	for name, to := range map[string]*string{"User-Agent": &c.sender.UserAgent, "DACP-ID": &c.sender.DACPID, "Active-Remote": &c.sender.ActiveRemote} {
		if v := q.Header.Get(name); v != "" {
			*to = v[:min(len(v), 64)]
		}
	}
}

// finish adds to a response what every response has (reference section 3).
func (c *conn) finish(q *rtsp.Request, p *rtsp.Response) {
	p.Proto = q.Proto
	var h rtsp.Header
	if seq := q.CSeq(); seq != "" {
		h.Add("CSeq", seq)
	}
	if answer := c.challenge(q); answer != "" {
		h.Add("Apple-Response", answer)
	}
	h.Add("Server", "AirTunes/"+c.server.Capabilities().Version)
	if q.Proto == rtsp.RTSP && q.Method != "RECORD" {
		h.Add("Audio-Jack-Status", "connected; type=digital")
	}
	p.Header = append(h, p.Header...)
}
