package session

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"aerie/receiver/airport"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// Classic senders play sound alone: they describe it in an ANNOUNCE, and their
// SETUP carries ports in a header field instead of a property list (reference
// section 14). From RECORD on they are senders like others.

// announce takes the description of the sound. The session begins with the
// SETUP that follows, but who must be refused is refused now.
func (c *conn) announce(q *rtsp.Request) *rtsp.Response {
	if p := c.authorise(q); p != nil {
		return p
	}
	m, err := message.ParseAnnounce(q.Body)
	if err != nil {
		return c.bad(q, 451, err)
	}
	c.introduce(q, m)
	if err := c.pairing.Admit(c.sender.DeviceID, c.sender.Name); err != nil {
		return c.bad(q, pairing.Status(err), err)
	}
	o, err := c.classicOpening(m)
	if err != nil {
		return c.bad(q, 451, err)
	}
	if old := c.server.stage.current(); old != nil && old != c.act {
		if _, ok := c.mayReplace(old); !ok {
			return c.refuse(q, 453)
		}
	}
	c.announced = &announced{opening: o, stream: m.Stream}
	return status(200)
}

// announced is what an ANNOUNCE told, for the SETUP behind it.
type announced struct {
	opening Opening
	stream  message.StreamSetup
}

// introduce notes who the sender says it is. Classic senders have no device
// ID; some tell what stands for one.
func (c *conn) introduce(q *rtsp.Request, m *message.Announce) {
	c.sender.Name = cut(q.Header.Get("X-Apple-Client-Name"))
	if c.sender.Name == "" {
		c.sender.Name = m.Name
	}
	for _, field := range []string{"X-Apple-Device-ID", "Client-Instance", "DACP-ID"} {
		if id := q.Header.Get(field); id != "" {
			c.sender.DeviceID = cut(id)
			break
		}
	}
}

// classicOpening unwraps the key of the sound.
func (c *conn) classicOpening(m *message.Announce) (o Opening, err error) {
	o = Opening{Sender: c.sender, Local: c.local, Classic: true}
	switch {
	case m.RSAKey != nil:
		o.Key, err = airport.SessionKey(m.RSAKey)
	case m.FairPlayKey != nil:
		if o.Key, _, err = c.handshake.SessionKey(m.FairPlayKey); err == nil {
			o.Key = mix(o.Key, c.pairing.Shared(), c.sender.UserAgent)
		}
	default:
		return o, nil
	}
	o.Encrypted = true
	o.IV = [16]byte(m.IV) // ParseAnnounce has seen to its length
	return o, err
}

// setupClassic opens the session and its one stream.
func (c *conn) setupClassic(q *rtsp.Request) *rtsp.Response {
	if c.announced == nil {
		return c.bad(q, 455, errors.New("nothing was announced"))
	}
	t, err := parseTransport(q.Header.Get("Transport"))
	if err != nil {
		return c.bad(q, 451, err)
	}
	o, r := c.announced.opening, AudioRequest{StreamSetup: c.announced.stream, TCP: t.tcp}
	o.TimingPort, r.ControlPort = t.timing, t.control
	if p := c.begin(q, o, 453); p != nil {
		return p
	}
	var data, control, timing int
	open := func(s Streams) {
		data, control, err = s.Audio(r)
		timing = s.TimingPort()
	}
	if !c.act.with(open) {
		return c.bad(q, 454, errors.New("the session has ended"))
	}
	if err != nil {
		return c.bad(q, 451, err)
	}
	p := status(200)
	p.Header.Add("Transport", t.reply(data, control, timing))
	p.Header.Add("Session", "1")
	return p
}

// transport is the Transport field of a SETUP: over what the sound comes, and
// the sender's own ports, 0 for none.
type transport struct {
	tcp             bool
	control, timing int
}

// parseTransport parses
// "RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;control_port=6001;timing_port=6002".
func parseTransport(value string) (t transport, err error) {
	for i, field := range strings.Split(value, ";") {
		name, number, _ := strings.Cut(strings.TrimSpace(field), "=")
		var port *int
		switch {
		case i == 0 && name == "RTP/AVP/TCP":
			t.tcp = true
		case i == 0 && name != "RTP/AVP/UDP" && name != "RTP/AVP":
			return t, fmt.Errorf("transport %.60q", value)
		case name == "control_port":
			port = &t.control
		case name == "timing_port":
			port = &t.timing
		}
		if port != nil {
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil {
				return t, fmt.Errorf("transport %.120q", value)
			}
			*port = int(n)
		}
	}
	return t, nil
}

// reply is the field of the answer, with our ports.
func (t transport) reply(data, control, timing int) string {
	if t.tcp {
		return fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=0-1;mode=record;server_port=%d", data)
	}
	return fmt.Sprintf("RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;server_port=%d;control_port=%d;timing_port=%d", data, control, timing)
}

// challenge answers an Apple-Challenge, which may stand in any request, and
// returns "" where there is none that can be answered.
func (c *conn) challenge(q *rtsp.Request) string {
	value := q.Header.Get("Apple-Challenge")
	if value == "" {
		return ""
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err == nil {
		id, _ := net.ParseMAC(c.server.Capabilities().DeviceID) // ours
		b, err = airport.Respond(b, c.local, id)
	}
	if err != nil {
		c.log.Warn("session: a challenge that cannot be answered", "challenge", cut(value), "error", err)
		return ""
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

const authSetupSize = 33

// authSetup answers /auth-setup, with which a sender asks for proof that the
// receiver holds Apple's authentication chip. There is none: the answer has the
// form of one, a public key (32 bytes), a certificate and a signature behind
// their lengths, and both are empty. Senders that ask it as a formality go on
// without encryption.
func (c *conn) authSetup(q *rtsp.Request) *rtsp.Response {
	if len(q.Body) != authSetupSize {
		return c.bad(q, 400, fmt.Errorf("auth-setup of %d bytes", len(q.Body)))
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return c.bad(q, 500, err)
	}
	return body(rtsp.TypeOctets, append(key.PublicKey().Bytes(), make([]byte, 8)...))
}
