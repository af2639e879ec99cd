package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// setup answers SETUP: the session, streams, or both in one request
// (reference section 7).
func (c *conn) setup(q *rtsp.Request) *rtsp.Response {
	if p := c.authorise(q); p != nil {
		return p
	}
	if q.Header.Has("Transport") {
		return c.setupClassic(q)
	}
	m, err := message.ParseSetup(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	for _, key := range m.Unknown {
		if c.server.seen.first("SETUP " + key) {
			c.log.Info("session: a key of SETUP that is not known here", "key", key, "agent", c.sender.UserAgent)
		}
	}
	var reply message.SetupReply
	if m.Session != nil && m.Session.RemoteControl {
		return c.controlOnly(q, m.Session)
	}
	if m.Session != nil {
		if p := c.openSession(q, m.Session); p != nil {
			return p
		}
		event, err := c.openEvents()
		if err != nil {
			return c.bad(q, 500, err)
		}
		reply.EventPort = &event
		c.timing(m.Session, &reply)
	}
	if m.Session == nil && c.act == nil {
		return c.bad(q, 455, errors.New("no session was set up"))
	}
	if m.Streams != nil {
		reply.Streams = make([]message.StreamReply, 0, len(m.Streams))
	}
	for i := range m.Streams {
		r, code, err := c.openStream(&m.Streams[i])
		if err != nil {
			return c.bad(q, code, err)
		}
		if r.Type != 0 {
			reply.Streams = append(reply.Streams, r)
		}
	}
	return body(rtsp.TypeBinaryPlist, reply.Encode())
}

// authorise asks for the password, where there is one and pairing has not
// asked for it; a response other than nil is a refusal.
func (c *conn) authorise(q *rtsp.Request) *rtsp.Response {
	if c.digest == nil || c.digest.Passed() || c.pairing.Proved() {
		return nil
	}
	err := c.digest.Check(q.Method, q.Header.Get("Authorization"))
	if err == nil {
		return nil
	}
	p := c.bad(q, pairing.Status(err), err)
	if errors.Is(err, pairing.ErrPassword) {
		p.Header.Add("WWW-Authenticate", c.digest.Challenge())
	}
	return p
}

// openSession opens the session of this connection; a response other than nil
// is a refusal.
func (c *conn) openSession(q *rtsp.Request, m *message.SessionSetup) *rtsp.Response {
	c.sender.DeviceID, c.sender.Name, c.sender.Model = cut(m.DeviceID), cut(m.Name), cut(m.Model)
	c.sender.OS = strings.TrimSpace(fmt.Sprintf("%s %s", cut(m.OSName), cut(m.OSVersion)))
	if err := c.pairing.Admit(m.DeviceID, m.Name); err != nil {
		return c.bad(q, pairing.Status(err), err)
	}
	o, err := c.opening(m)
	if err != nil {
		return c.bad(q, 400, err)
	}
	return c.begin(q, o, 409)
}

// begin puts a session on the stage; a response other than nil is a refusal,
// with the status busy where another sender is there.
func (c *conn) begin(q *rtsp.Request, o Opening, busy int) *rtsp.Response {
	if c.act != nil {
		return c.reopen(q, o)
	}
	a := newAct(c, c.sender)
	a.patient = o.Classic
	o.Ended = func(reason string) { go a.end(&c.server.stage, reason) }
	entered, err := c.server.stage.enter(a, c.mayReplace, func() (Streams, error) { return c.server.Media.Open(o) })
	if err != nil {
		return c.bad(q, 500, err)
	}
	if !entered {
		return c.refuse(q, busy)
	}
	c.act = a
	// What ends the session from now on is its own silence.
	c.rtsp.SetIdle(0)
	c.server.Sessions.Inc()
	c.log.Info("session began", "sender", c.sender.Name, "model", c.sender.Model, "os", c.sender.OS, "agent", c.sender.UserAgent,
		"classic", o.Classic, "PTP", o.PTP, "paired", c.pairing.Verified(), "encrypted", c.rtsp.Encrypted())
	go a.watch(&c.server.stage)
	c.server.changed()
	return nil
}

// refuse turns a sender away because another has the stage.
func (c *conn) refuse(q *rtsp.Request, code int) *rtsp.Response {
	c.server.Refused.Inc()
	return c.bad(q, code, errors.New("another sender is here"))
}

// reopen begins the session anew on the same connection.
func (c *conn) reopen(q *rtsp.Request, o Opening) *rtsp.Response {
	a := c.act
	o.Ended = func(reason string) { go a.end(&c.server.stage, reason) }
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams == nil {
		return c.bad(q, 454, errors.New("the session has ended"))
	}
	a.streams.Close()
	streams, err := c.server.Media.Open(o)
	if err != nil {
		a.streams = nil
		p := c.bad(q, 500, err)
		p.Header.Add("Connection", "close")
		return p
	}
	a.streams = streams
	return nil
}

// mayReplace tells whether a session that is on the stage makes room for one
// of this connection. A sender that comes back replaces itself: its old
// connection is dead, though we may not know it yet.
func (c *conn) mayReplace(old *act) (reason string, ok bool) {
	same := old.sender.Addr.Addr() == c.sender.Addr.Addr() && old.sender.DeviceID == c.sender.DeviceID
	switch {
	case same:
		return "the same sender began anew", true
	case old.patient && old.silence() > SenderGone:
		return "another sender came while this one was silent", true
	case c.server.Takeover:
		return fmt.Sprintf("%q took over", c.sender.Name), true
	}
	return "", false
}

// opening gathers the keys of a session (reference section 9.1).
func (c *conn) opening(m *message.SessionSetup) (Opening, error) {
	o := Opening{Sender: c.sender, Local: c.local, TimingPort: m.TimingPort, Secret: c.pairing.Channel(), Group: m.Group}
	o.PTP = m.TimingProtocol == message.TimingPTP && o.Secret != nil
	if m.TimingProtocol != message.TimingNTP && m.TimingProtocol != "" && !o.PTP {
		if c.server.seen.first("timing " + m.TimingProtocol) {
			c.log.Info("session: a timing protocol that is not known here", "protocol", cut(m.TimingProtocol))
		}
		o.TimingPort = 0
	}
	if o.Secret != nil {
		return o, nil // what FairPlay has to say is not needed
	}
	if m.EKey == nil {
		if m.EIV != nil {
			return o, errors.New("eiv without ekey")
		}
		return o, nil
	}
	if len(m.EIV) != len(o.IV) {
		return o, fmt.Errorf("eiv of %d bytes", len(m.EIV))
	}
	key, _, err := c.handshake.SessionKey(m.EKey)
	if err != nil {
		return o, err
	}
	o.Encrypted = true
	o.Key, o.IV = mix(key, c.pairing.Shared(), c.sender.UserAgent), [16]byte(m.EIV)
	return o, nil
}

// openStream opens one stream and returns its part of the reply, which is of
// type 0 for a stream that is passed over.
func (c *conn) openStream(m *message.StreamSetup) (r message.StreamReply, code int, err error) {
	r.Type = m.Type
	open := func(s Streams) {
		switch m.Type {
		case message.StreamMirror:
			if c.server.Capabilities().Features&message.FeatureScreenMirroring == 0 {
				err = errors.New("a picture was not offered")
				return
			}
			r.DataPort, err = s.Mirror(MirrorRequest{ConnectionID: m.ConnectionID, Latency: time.Duration(m.LatencyMs) * time.Millisecond})
		case message.StreamAudio:
			r.DataPort, r.ControlPort, err = s.Audio(AudioRequest{StreamSetup: *m})
		case message.StreamBufferedAudio:
			if c.server.Capabilities().Features&message.FeatureBufferedAudio == 0 {
				err = errors.New("buffered sound was not offered")
				return
			}
			r.DataPort, r.BufferSize, err = s.Buffered(AudioRequest{StreamSetup: *m})
		default:
			r.Type = 0
		}
	}
	if !c.act.with(open) {
		return r, 454, errors.New("the session has ended")
	}
	if err != nil {
		return r, 400, err
	}
	if r.Type == 0 && c.server.seen.first(fmt.Sprintf("stream %d", m.Type)) {
		c.log.Info("session: a stream type that is not known here is passed over", "type", m.Type, "agent", c.sender.UserAgent)
	}
	c.log.Debug("session: stream opened", "type", m.Type, "data", r.DataPort, "control", r.ControlPort)
	return r, 0, nil
}

// teardown answers TEARDOWN: of the streams it names, or of the session if it
// names none (reference section 12.4).
func (c *conn) teardown(q *rtsp.Request) *rtsp.Response {
	m, err := message.ParseSetup(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	for _, s := range m.Streams {
		c.act.with(func(streams Streams) { streams.CloseStream(s.Type) })
	}
	p := status(200)
	if len(m.Streams) == 0 {
		// The session ends with the connection, after the reply.
		p.Header.Add("Connection", "close")
	}
	return p
}

// record answers RECORD with the latency of the sound in frames of 44.1 kHz.
func (c *conn) record(*rtsp.Request) *rtsp.Response {
	var latency time.Duration
	if !c.act.with(func(s Streams) { latency = s.Latency() }) {
		return status(455)
	}
	p := status(200)
	p.Header.Add("Audio-Latency", fmt.Sprint(int(latency*44100/time.Second)))
	return p
}

// flush answers FLUSH and PAUSE: what waits to be heard is dropped.
func (c *conn) flush(q *rtsp.Request) *rtsp.Response {
	seq, rtp, given, err := parseRTPInfo(q.Header.Get("RTP-Info"))
	if err != nil {
		return c.bad(q, 456, err)
	}
	if !c.act.with(func(s Streams) { s.Flush(seq, rtp, given) }) {
		return status(455)
	}
	return status(200)
}
