package session

import (
	"errors"
	"net/netip"

	"aerie/receiver/message"
	"aerie/receiver/rtsp"
)

// Music is the part of Streams that AirPlay 2 asks for beside realtime sound
// (reference section 15).
type Music interface {
	// TimingPeer is how senders find our clock; nil where there is none, and
	// clocks are known by NTP.
	TimingPeer() *message.TimingPeer
	// Peers sets the addresses of all devices of the group, the sender's among
	// them.
	Peers([]netip.Addr)
	// Buffered opens the stream of buffered sound, instead of one that is open:
	// its TCP port, and how many bytes the sender may be ahead.
	Buffered(AudioRequest) (port, size int, err error)
	// Anchor lets buffered sound play from a frame at an instant on, or pauses
	// it.
	Anchor(message.RateAnchor)
	// FlushBuffered drops buffered sound, now or when its time has come.
	FlushBuffered(message.FlushBuffered)
	// Playing tells the type and the rate of the open stream of sound; 0 for
	// none.
	Playing() (streamType, rate int)
}

// timing fills the reply to the SETUP of a session with our side of the clock:
// a port for NTP, or where PTP finds us.
func (c *conn) timing(m *message.SessionSetup, reply *message.SetupReply) {
	port := 0
	c.act.with(func(s Streams) {
		if m.TimingProtocol == message.TimingPTP {
			reply.Peer = s.TimingPeer()
		}
		if reply.Peer == nil {
			port = s.TimingPort()
			return
		}
		s.Peers(c.peers(m))
	})
	reply.TimingPort = &port
}

// peers gathers the addresses of a group: those that SETUP tells, and that of
// the connection.
func (c *conn) peers(m *message.SessionSetup) []netip.Addr {
	out := []netip.Addr{c.sender.Addr.Addr()}
	if m.Peer != nil {
		out = append(out, m.Peer.Addresses...)
	}
	for _, p := range m.Peers {
		out = append(out, p.Addresses...)
	}
	return out
}

// setPeers answers SETPEERS and SETPEERSX.
func (c *conn) setPeers(q *rtsp.Request) *rtsp.Response {
	addrs, err := message.ParsePeers(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	addrs = append(addrs, c.sender.Addr.Addr())
	return c.play(q, func(s Streams) { s.Peers(addrs) })
}

// setRateAnchor answers SETRATEANCHORTIME.
func (c *conn) setRateAnchor(q *rtsp.Request) *rtsp.Response {
	a, err := message.ParseRateAnchor(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	return c.play(q, func(s Streams) { s.Anchor(a) })
}

// flushBuffered answers FLUSHBUFFERED.
func (c *conn) flushBuffered(q *rtsp.Request) *rtsp.Response {
	f, err := message.ParseFlushBuffered(q.Body)
	if err != nil {
		return c.bad(q, 400, err)
	}
	return c.play(q, func(s Streams) { s.FlushBuffered(f) })
}

// play does what a request asks of an open session.
func (c *conn) play(q *rtsp.Request, do func(Streams)) *rtsp.Response {
	if !c.act.with(do) {
		return c.bad(q, 455, errors.New("no session was set up"))
	}
	return status(200)
}

// feedback answers POST /feedback: senders of mirrored screens are used to an
// empty answer, those of AirPlay 2 sound to one that tells what plays.
func (c *conn) feedback(*rtsp.Request) *rtsp.Response {
	kind, rate := 0, 0
	if c.rtsp.Encrypted() {
		c.act.with(func(s Streams) { kind, rate = s.Playing() })
	}
	if kind == 0 {
		return status(200)
	}
	return body(rtsp.TypeBinaryPlist, message.Feedback(kind, rate))
}
