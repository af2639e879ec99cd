package phone

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// control is the control connection.
type control struct {
	conn *rtsp.Conn
	mu   sync.Mutex // one request at a time
	seq  int
	url  string
	// agent is what it calls itself.
	agent string
}

func dial(ctx context.Context, address string) (*control, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(c.LocalAddr().String())
	return &control{
		conn: rtsp.NewConn(c, rtsp.DefaultLimits, rtsp.Timeouts{Idle: 10 * time.Second, Message: 10 * time.Second, Write: 5 * time.Second}),
		// As phones do, without brackets around IPv6.
		url:   fmt.Sprintf("rtsp://%s/%d", host, clock.Now()),
		agent: "AirPlay/670.6.2",
	}, nil
}

func (c *control) close() { c.conn.Close() }

// errStatus is an answer other than 200.
type errStatus struct {
	method string
	code   int
}

func (e *errStatus) Error() string {
	return fmt.Sprintf("%s: the receiver answers %d %s", e.method, e.code, rtsp.StatusText(e.code))
}

// ask sends a request and returns the answer, which is 200.
func (c *control) ask(method, target, contentType string, body []byte, fields ...string) (*rtsp.Response, error) {
	p, err := c.try(method, target, contentType, body, fields...)
	if err == nil && p.Status != 200 {
		err = &errStatus{method + " " + target, p.Status}
	}
	return p, err
}

// try sends a request and returns the answer, whatever it is.
func (c *control) try(method, target, contentType string, body []byte, fields ...string) (*rtsp.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if target == "" {
		target = c.url
	}
	q := rtsp.Request{Method: method, Target: target, Proto: rtsp.RTSP, Body: body}
	q.Header.Add("CSeq", fmt.Sprint(c.seq))
	q.Header.Add("DACP-ID", dacpID)
	q.Header.Add("Active-Remote", activeRemote)
	q.Header.Add("User-Agent", c.agent)
	if contentType != "" {
		q.Header.Add("Content-Type", contentType)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		q.Header.Add(fields[i], fields[i+1])
	}
	c.seq++
	if err := c.conn.WriteRequest(&q); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	p := &rtsp.Response{}
	if err := c.conn.ReadResponse(p); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, target, err)
	}
	p.Body = append([]byte(nil), p.Body...)
	return p, nil
}

// info asks what the receiver is, in both forms.
func (p *Phone) info() error {
	if _, err := p.control.ask("GET", "/info", rtsp.TypeBinaryPlist, message.EncodeQualifiers("txtAirPlay"), "X-Apple-ProtocolVersion", "1"); err != nil {
		return err
	}
	r, err := p.control.ask("GET", "/info", "", nil, "X-Apple-ProtocolVersion", "1")
	if err != nil {
		return err
	}
	in, err := message.ParseInfo(r.Body)
	if err != nil {
		return err
	}
	p.report.Receiver = *in
	return nil
}

// pair proves who the sender is, where the receiver wants to know.
func (p *Phone) pair() error {
	if p.report.Receiver.Features.HomeKit() {
		return p.pairHomeKit()
	}
	if p.report.Receiver.Features&message.FeatureLegacyPairing == 0 && !p.o.Pair {
		return nil
	}
	if err := p.makeIdentity(); err != nil {
		return err
	}
	i := pairing.NewInitiator(p.o.Identity, p.o.Device)
	if _, err := p.setupPairing(i); err != nil {
		return err
	}
	// Phones learn the key here, whatever was announced: receivers that announce
	// a constant are common.
	if key, _ := i.Receiver(); len(p.report.Receiver.PublicKey) > 0 && !bytes.Equal(key[:], p.report.Receiver.PublicKey) {
		p.report.Notes = append(p.report.Notes, fmt.Sprintf("the receiver announces the key %x and pairs with %x", p.report.Receiver.PublicKey, key))
	}
	err := p.verify(i)
	var status *errStatus
	if errors.As(err, &status) && status.code == 470 && p.o.PIN != nil {
		// The receiver does not know this sender yet.
		if err = p.enterPIN(i); err == nil {
			err = p.verify(i)
		}
	}
	if err != nil {
		return err
	}
	p.report.Paired, p.shared = true, i.Shared()
	return nil
}

func (p *Phone) setupPairing(i *pairing.Initiator) (*rtsp.Response, error) {
	r, err := p.control.ask("POST", "/pair-setup", rtsp.TypeOctets, i.Setup())
	if err != nil {
		return nil, err
	}
	return r, i.SetupReply(r.Body)
}

func (p *Phone) verify(i *pairing.Initiator) error {
	first, err := i.Verify()
	if err != nil {
		return err
	}
	r, err := p.control.ask("POST", "/pair-verify", rtsp.TypeOctets, first)
	if err != nil {
		return err
	}
	second, err := i.VerifyReply(r.Body)
	if err != nil {
		return err
	}
	_, err = p.control.ask("POST", "/pair-verify", rtsp.TypeOctets, second)
	return err
}

// enterPIN asks for a PIN to be shown and answers with it.
func (p *Phone) enterPIN(i *pairing.Initiator) error {
	if _, err := p.control.ask("POST", "/pair-pin-start", "", nil); err != nil {
		return err
	}
	pin, err := p.o.PIN()
	if err != nil {
		return err
	}
	step := func(q pairing.PINRequest) (pairing.PINReply, error) {
		m := message.PINSetup{Method: q.Method, User: q.User, PublicKey: q.PK, Proof: q.Proof, EncryptedKey: q.EPK, AuthTag: q.AuthTag}
		r, err := p.control.ask("POST", "/pair-setup-pin", rtsp.TypeBinaryPlist, m.Encode())
		if err != nil {
			return pairing.PINReply{}, err
		}
		in, err := message.ParsePINSetup(r.Body)
		if err != nil {
			return pairing.PINReply{}, err
		}
		return pairing.PINReply{PK: in.PublicKey, Salt: in.Salt, Proof: in.Proof, EPK: in.EncryptedKey, AuthTag: in.AuthTag}, nil
	}
	reply, err := step(i.PIN())
	if err != nil {
		return err
	}
	q, err := i.PINProof(reply, strings.TrimSpace(pin))
	if err != nil {
		return err
	}
	if reply, err = step(q); err != nil {
		return err
	}
	if q, err = i.PINKeys(reply); err != nil {
		return err
	}
	if reply, err = step(q); err != nil {
		return err
	}
	return i.PINDone(reply)
}

// exchange is the recorded FairPlay exchange that is replayed: its key is
// known.
var exchange = func() replay.Exchange {
	for _, x := range replay.All() {
		if x.Mode == 3 {
			return x
		}
	}
	return replay.All()[0]
}

// fairplay agrees on a key in sessions that HomeKit pairing has left without.
func (p *Phone) fairplay() error {
	if p.secret != nil {
		return nil
	}
	x := exchange()
	r, err := p.control.ask("POST", "/fp-setup", rtsp.TypeOctets, x.M1[:], "X-Apple-ET", "32")
	if err != nil {
		return err
	}
	if err := x.CheckM2(r.Body); err != nil {
		return err
	}
	if r, err = p.control.ask("POST", "/fp-setup", rtsp.TypeOctets, x.M3[:], "X-Apple-ET", "32"); err != nil {
		return err
	}
	p.key = x.Key
	if p.shared != nil {
		sum := sha512.Sum512(append(p.key[:], p.shared...))
		p.key = [16]byte(sum[:16])
	}
	return x.CheckM4(r.Body)
}

// setup opens the session.
func (p *Phone) setup(ctx context.Context) error {
	local := p.control.conn.LocalAddr().(*net.TCPAddr)
	p.local, p.remote = local.IP, p.control.conn.RemoteAddr().(*net.TCPAddr).IP
	timing, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
	if err != nil {
		return err
	}
	p.timing = timing
	if !p.o.NoClock {
		go clock.Respond(timing, p.now)
	}
	if _, err := rand.Read(p.iv[:]); err != nil {
		return err
	}
	s := message.Setup{Session: &message.SessionSetup{
		TimingProtocol: message.TimingNTP, TimingPort: timing.LocalAddr().(*net.UDPAddr).Port,
		DeviceID: p.o.Device, MACAddress: p.o.Device, Name: p.o.Name, Model: "iPhone14,5", OSName: "iPhone OS", OSVersion: "16.2", OSBuild: "20C65",
		SourceVersion: "670.6.2", SessionUUID: "00000000-0000-4000-8000-0000AE21E001", ScreenMirroring: p.o.Picture != nil,
	}}
	if p.ptp() {
		s.Session.TimingProtocol, s.Session.TimingPort, s.Session.Peer = message.TimingPTP, 0, p.timingPeer()
	}
	if p.secret == nil {
		x := exchange()
		s.Session.EncryptionType, s.Session.EKey, s.Session.EIV = 32, x.EKey[:], p.iv[:]
	}
	reply, err := p.setupWith(s.Encode())
	if err == nil && p.secret != nil && reply.EventPort != nil {
		err = p.openEvents(ctx, *reply.EventPort)
	}
	return err
}

// setupWith sends a SETUP, with the password if the receiver wants one.
func (p *Phone) setupWith(body []byte) (*message.SetupReply, error) {
	r, err := p.control.try("SETUP", "", rtsp.TypeBinaryPlist, body)
	if err == nil && r.Status == 401 && p.o.Password != "" {
		var auth string
		auth, err = pairing.Credentials{User: "AirPlay", Password: p.o.Password}.Authorization(r.Header.Get("WWW-Authenticate"), "SETUP", p.control.url)
		if err != nil {
			return nil, err
		}
		r, err = p.control.try("SETUP", "", rtsp.TypeBinaryPlist, body, "Authorization", auth)
	}
	if err != nil {
		return nil, err
	}
	if r.Status != 200 {
		return nil, &errStatus{"SETUP", r.Status}
	}
	return message.ParseSetupReply(r.Body)
}

// openStream asks for one stream and returns where to send it.
func (p *Phone) openStream(s message.StreamSetup) (message.StreamReply, error) {
	m := message.Setup{Streams: []message.StreamSetup{s}}
	reply, err := p.setupWith(m.Encode())
	if err != nil {
		return message.StreamReply{}, err
	}
	for _, r := range reply.Streams {
		if r.Type == s.Type && r.DataPort != 0 {
			return r, nil
		}
	}
	return message.StreamReply{}, fmt.Errorf("the receiver opens no stream of type %d", s.Type)
}

func (p *Phone) volume() error {
	_, err := p.control.ask("GET_PARAMETER", "", rtsp.TypeParameters, []byte("volume\r\n"))
	if err == nil {
		_, err = p.control.ask("SET_PARAMETER", "", rtsp.TypeParameters, []byte("volume: 0.000000\r\n"))
	}
	return err
}

func (p *Phone) record() error {
	_, err := p.control.ask("RECORD", "", "", nil)
	return err
}

// feedback tells the receiver every two seconds that the phone is there.
func (p *Phone) feedback(ctx context.Context) error {
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if p.o.NoFeedback {
			continue
		}
		began := clock.Now()
		if _, err := p.control.ask("POST", "/feedback", "", nil); err != nil {
			return err
		}
		p.report.Feedback.Observe(clock.Now().Sub(began))
	}
}

// teardown ends the streams one by one and then the session, as phones do.
func (p *Phone) teardown() error {
	var streams []int
	if p.o.Sound != nil && !p.o.Fast {
		kind := message.StreamAudio
		if p.o.Buffered {
			kind = message.StreamBufferedAudio
		}
		streams = append(streams, kind)
	}
	if p.o.Picture != nil {
		streams = append(streams, message.StreamMirror)
	}
	for _, t := range streams {
		m := message.Setup{Streams: []message.StreamSetup{{Type: t}}}
		if _, err := p.control.ask("TEARDOWN", "", rtsp.TypeBinaryPlist, m.Encode()); err != nil {
			return err
		}
	}
	_, err := p.control.ask("TEARDOWN", "", rtsp.TypeBinaryPlist, message.Encode(map[string]any{}))
	return err
}
