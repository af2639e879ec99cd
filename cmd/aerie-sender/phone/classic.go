package phone

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"aerie/receiver/airport"
	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// Classic makes the phone a sender of the AirPort Express's time, which plays
// sound alone (reference section 14).
type Classic struct {
	Encryption Encryption
	TCP        bool // the sound goes over a connection
	// Playing and Artwork (a JPEG) are told to the receiver, if there are any.
	Playing message.NowPlaying
	Artwork []byte
	// Told is called with each command of a remote control, by its name in
	// DACP; nil lets nobody control the sender. While it is set the sender
	// announces itself on the network.
	Told func(command string)
}

// Encryption is how a classic sender wraps the key of its sound.
type Encryption uint8

// The ways of encryption.
const (
	Clear Encryption = iota
	RSA
	FairPlay
)

// classicLead is how far ahead of its time classic senders send, in frames.
const classicLead = 77175

// Play plays the sound of the options as a classic sender until their duration
// or the context ends.
func Play(ctx context.Context, o Options) (*Report, error) {
	p := &Phone{o: o, group: newGroup(1)}
	err := p.play(ctx)
	return &p.report, err
}

func (p *Phone) play(ctx context.Context) error {
	if p.o.Sound == nil || p.o.Classic == nil {
		return errors.New("a classic sender without sound")
	}
	began := clock.Now()
	c, err := dial(ctx, p.o.Address)
	if err != nil {
		return err
	}
	defer c.close()
	stop, err := p.obey()
	if err != nil {
		return err
	}
	defer stop()
	p.control = c
	defer p.closePorts()
	c.agent = "iTunes/12.13 (Aerie)"
	a := p.newSound(clock.Now())
	a.lead, a.relaxed, a.copies = classicLead, true, 1
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"OPTIONS", p.challenge}, {"FairPlay", p.classicFairPlay}, {"ANNOUNCE", p.announce},
		{"SETUP", func() error { return p.setupClassic(ctx, a) }},
		{"RECORD", p.record}, {"volume", p.volume}, {"metadata", func() error { return p.describe(a) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	p.report.Connect = clock.Now().Sub(began)
	if err := p.playUntil(ctx, a); err != nil {
		return err
	}
	_, err = c.ask("TEARDOWN", "", "", nil)
	return err
}

// playUntil sends sound until there is an end to it.
func (p *Phone) playUntil(ctx context.Context, a *soundStream) error {
	if p.o.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.o.Duration)
		defer cancel()
	}
	a.begin = clock.Now().Add(a.leadTime())
	return a.run(ctx)
}

// challenge asks the receiver for proof that it has the key of the AirPort
// Express.
func (p *Phone) challenge() error {
	local, remote := p.control.conn.LocalAddr().(*net.TCPAddr), p.control.conn.RemoteAddr().(*net.TCPAddr)
	p.local, p.remote = local.IP, remote.IP
	challenge := make([]byte, 16)
	if _, err := rand.Read(challenge); err != nil {
		return err
	}
	r, err := p.control.ask("OPTIONS", "*", "", nil, "Apple-Challenge", base64.RawStdEncoding.EncodeToString(challenge))
	if err != nil {
		return err
	}
	answer, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(r.Header.Get("Apple-Response"), "="))
	if err != nil {
		return err
	}
	return check(challenge, remote.AddrPort().Addr(), answer)
}

// check checks the answer to a challenge. Which device ID the receiver signed
// with is not known here: what comes out of the signature must begin with the
// challenge and the address.
func check(challenge []byte, addr netip.Addr, answer []byte) error {
	key := airport.Public()
	if len(answer) != key.Size() {
		return fmt.Errorf("an answer of %d bytes to the challenge", len(answer))
	}
	signed := new(big.Int).Exp(new(big.Int).SetBytes(answer), big.NewInt(int64(key.E)), key.N).Bytes()
	at := bytes.Index(signed, append(bytes.Clone(challenge), addr.Unmap().AsSlice()...))
	if at < 0 {
		return errors.New("the receiver signed something else than the challenge")
	}
	return rsa.VerifyPKCS1v15(key, 0, signed[at:], answer)
}

// classicFairPlay makes the handshake, if it is what wraps the key.
func (p *Phone) classicFairPlay() error {
	if p.o.Classic.Encryption != FairPlay {
		return nil
	}
	return p.fairplay()
}

// announce describes the sound.
func (p *Phone) announce() error {
	f := p.o.Sound.Format()
	m := message.Announce{Name: p.o.Name, Stream: message.StreamSetup{CompressionType: int(f.Codec), SamplesPerFrame: f.Frames}}
	if _, err := rand.Read(p.iv[:]); err != nil {
		return err
	}
	switch p.o.Classic.Encryption {
	case RSA:
		if _, err := rand.Read(p.key[:]); err != nil {
			return err
		}
		var err error
		if m.RSAKey, err = airport.WrapKey(p.key); err != nil {
			return err
		}
		m.IV = p.iv[:]
	case FairPlay:
		x := exchange()
		m.FairPlayKey, m.IV = x.EKey[:], p.iv[:]
	}
	const sdp = "application/sdp"
	r, err := p.control.try("ANNOUNCE", "", sdp, m.Encode())
	if err == nil && r.Status == 401 && p.o.Password != "" {
		var auth string
		auth, err = pairing.Credentials{User: "iTunes", Password: p.o.Password}.Authorization(r.Header.Get("WWW-Authenticate"), "ANNOUNCE", p.control.url)
		if err != nil {
			return err
		}
		r, err = p.control.try("ANNOUNCE", "", sdp, m.Encode(), "Authorization", auth)
	}
	if err == nil && r.Status != 200 {
		err = &errStatus{"ANNOUNCE", r.Status}
	}
	return err
}

// setupClassic tells the receiver the ports here, and connects to its own.
func (p *Phone) setupClassic(ctx context.Context, a *soundStream) (err error) {
	if p.o.Classic.Encryption != Clear {
		a.cipher = audio.NewCipher(p.key, p.iv)
	}
	if p.timing, err = net.ListenUDP("udp", &net.UDPAddr{IP: p.local}); err != nil {
		return err
	}
	if !p.o.NoClock {
		go clock.Respond(p.timing, p.now)
	}
	if a.control, err = net.ListenUDP("udp", &net.UDPAddr{IP: p.local}); err != nil {
		return err
	}
	transport := fmt.Sprintf("RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;control_port=%d;timing_port=%d",
		a.control.LocalAddr().(*net.UDPAddr).Port, p.timing.LocalAddr().(*net.UDPAddr).Port)
	if p.o.Classic.TCP {
		transport = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
	}
	r, err := p.control.ask("SETUP", "", "", nil, "Transport", transport)
	if err != nil {
		return err
	}
	ports := map[string]int{}
	for field := range strings.SplitSeq(r.Header.Get("Transport"), ";") {
		if name, number, ok := strings.Cut(field, "="); ok {
			ports[name], _ = strconv.Atoi(number) // 0 for what is no port
		}
	}
	if p.o.Classic.TCP {
		var d net.Dialer
		a.data, err = d.DialContext(ctx, "tcp", net.JoinHostPort(p.remote.String(), strconv.Itoa(ports["server_port"])))
		a.interleaved = true
		return err
	}
	return a.connect(ports["server_port"], ports["control_port"])
}

// describe tells what is playing.
func (p *Phone) describe(a *soundStream) error {
	c, now := p.o.Classic, fmt.Sprintf("rtptime=%d", a.base)
	if c.Playing.Title != "" {
		if _, err := p.control.ask("SET_PARAMETER", "", rtsp.TypeDMAP, c.Playing.Append(nil), "RTP-Info", now); err != nil {
			return err
		}
		length := uint32(c.Playing.Length * time.Duration(a.f.Rate) / time.Second)
		progress := fmt.Sprintf("progress: %d/%d/%d\r\n", a.base, a.base, a.base+length)
		if _, err := p.control.ask("SET_PARAMETER", "", rtsp.TypeParameters, []byte(progress)); err != nil {
			return err
		}
	}
	if c.Artwork != nil {
		_, err := p.control.ask("SET_PARAMETER", "", "image/jpeg", c.Artwork, "RTP-Info", now)
		return err
	}
	return nil
}
