package phone

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/fairplay"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pattern"
	"aerie/receiver/rtsp"
)

// A partner is a small receiver that does what its script says. What the
// script does not name it answers as a receiver does.
type partner struct {
	t      *testing.T
	ln     net.Listener
	script map[string]step // by the name of a request, see name
	policy pairing.PINPolicy
	key    ed25519.PublicKey // by which the phone knows it
	pin    chan string       // what is on its screen
	access *pairing.Password // nil for none

	picture       net.Listener
	enough        int // packets of the picture, after which it hangs up; 0 is never
	data, control *net.UDPConn

	mu       sync.Mutex
	requests []string
	setup    message.SessionSetup
	id       uint64 // of the picture's connection
	from     int    // the phone's control port
	headers  []mirror.Header
	payloads [][]byte // as they came
	packets  []audio.Data
	syncs    []audio.Sync
	running  sync.WaitGroup
}

// step answers a request: with a response, or with bytes that are none; a nil
// response hangs up.
type step func(q *rtsp.Request) (p *rtsp.Response, raw string)

func refuse(status int) step {
	return func(*rtsp.Request) (*rtsp.Response, string) { return &rtsp.Response{Status: status}, "" }
}

func say(raw string) step { return func(*rtsp.Request) (*rtsp.Response, string) { return nil, raw } }

func answerWith(body []byte) step {
	return func(*rtsp.Request) (*rtsp.Response, string) { return &rtsp.Response{Status: 200, Body: body}, "" }
}

func newPartner(t *testing.T) *partner {
	t.Helper()
	r := &partner{t: t, script: map[string]step{}, pin: make(chan string, 8)}
	var err error
	if r.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if r.picture, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.data, r.control = listenUDP(t), listenUDP(t)
	t.Cleanup(func() { r.stop() })
	return r
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// stop ends it; what it took can be looked at afterwards.
func (r *partner) stop() {
	for _, c := range []io.Closer{r.ln, r.picture, r.data, r.control} {
		c.Close()
	}
	r.running.Wait()
}

// start lets it answer. It is to be called when the script is written.
func (r *partner) start() {
	r.running.Go(r.takePicture)
	r.running.Go(r.takeSound)
	r.running.Go(r.takeSync)
	authority := pairing.New(pairing.Config{Store: keystore.Volatile(nil), PIN: r.policy, Display: r, Now: clock.Now, Wall: time.Now, Log: slog.New(slog.DiscardHandler)})
	r.key = authority.PublicKey()
	r.running.Go(func() {
		for {
			c, err := r.ln.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.converse(c, authority) })
		}
	})
}

// ShowPIN and HidePIN make it a screen.
func (r *partner) ShowPIN(pin string) { r.pin <- pin }
func (r *partner) HidePIN()           {}

// conversation is what one connection has agreed on.
type conversation struct {
	r         *partner
	handshake *fairplay.Handshake
	pairing   *pairing.Conversation
	digest    *pairing.Digest
}

func (r *partner) converse(nc net.Conn, authority *pairing.Authority) {
	defer nc.Close()
	log := slog.New(slog.DiscardHandler)
	c := &conversation{r: r, handshake: fairplay.New(log), pairing: authority.Converse(log)}
	if r.access != nil {
		c.digest = r.access.Digest()
	}
	conn := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
	var q rtsp.Request
	for number := 0; conn.ReadRequest(&q) == nil; number++ {
		name := c.name(&q)
		r.note(name)
		if q.CSeq() != fmt.Sprint(number) || q.Header.Get("User-Agent") == "" || q.Header.Get("DACP-ID") == "" {
			r.t.Errorf("%s: request %d has the header %v", name, number, q.Header)
		}
		answer, ok := r.script[name]
		if !ok {
			answer = c.answer
		}
		p, raw := answer(&q)
		if _, err := io.WriteString(nc, raw); err != nil || p == nil {
			return
		}
		p.Proto = rtsp.RTSP
		p.Header.Add("CSeq", q.CSeq())
		if conn.WriteResponse(p) != nil {
			return
		}
	}
}

func (r *partner) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, name)
}

// name names a request: by method and path, where the path says something, or
// by method and stream.
func (c *conversation) name(q *rtsp.Request) string {
	switch q.Method {
	case "GET", "POST":
		return q.Method + " " + q.Path()
	case "SETUP", "TEARDOWN":
		if m, err := message.ParseSetup(q.Body); err != nil {
			c.r.t.Errorf("%s: %v", q.Method, err)
		} else if len(m.Streams) == 1 {
			return fmt.Sprint(q.Method, " ", m.Streams[0].Type)
		}
	}
	return q.Method
}

// answer is what a receiver answers.
func (c *conversation) answer(q *rtsp.Request) (*rtsp.Response, string) {
	var b []byte
	var err error
	switch name := c.name(q); name {
	case "GET /info":
		capabilities := message.Capabilities{DeviceID: "AA:BB:CC:DD:EE:FF", Name: "Partner", Model: message.MirrorModel, Version: message.MirrorVersion,
			Features: message.Mirror.Features(message.Abilities{Secured: c.r.policy != pairing.PINOff}), Display: message.Display{Width: 1920, Height: 1080, MaxFPS: 60}}
		copy(capabilities.PublicKey[:], c.r.key)
		qualifiers, _ := message.ParseQualifiers(q.Body)
		b = capabilities.Info(qualifiers)
	case "POST /fp-setup":
		b, err = c.handshake.Reply(q.Body)
	case "POST /pair-setup":
		b, err = c.pairing.Setup(q.Body)
	case "POST /pair-verify":
		b, err = c.pairing.Verify(q.Body)
	case "POST /pair-pin-start":
		err = c.pairing.StartPIN()
	case "POST /pair-setup-pin":
		b, err = c.enterPIN(q.Body)
	case "SETUP", "SETUP 96", "SETUP 110":
		if c.digest != nil && !c.digest.Passed() && c.digest.Check("SETUP", q.Header.Get("Authorization")) != nil {
			return &rtsp.Response{Status: 401, Header: rtsp.Header{{Name: "WWW-Authenticate", Value: c.digest.Challenge()}}}, ""
		}
		b = c.r.open(q.Body)
	}
	if err != nil {
		return &rtsp.Response{Status: pairing.Status(err)}, ""
	}
	return &rtsp.Response{Status: 200, Body: b}, ""
}

func (c *conversation) enterPIN(body []byte) ([]byte, error) {
	m, err := message.ParsePINSetup(body)
	if err != nil {
		return nil, err
	}
	p, err := c.pairing.SetupPIN(pairing.PINRequest{Method: m.Method, User: m.User, PK: m.PublicKey, Proof: m.Proof, EPK: m.EncryptedKey, AuthTag: m.AuthTag})
	if err != nil {
		return nil, err
	}
	return (&message.PINSetup{Salt: p.Salt, PublicKey: p.PK, Proof: p.Proof, EncryptedKey: p.EPK, AuthTag: p.AuthTag}).Encode(), nil
}

// open answers a SETUP and keeps what it says.
func (r *partner) open(body []byte) []byte {
	m, err := message.ParseSetup(body)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var p message.SetupReply
	if m.Session != nil {
		r.setup = *m.Session
	}
	for _, s := range m.Streams {
		reply := message.StreamReply{Type: s.Type, DataPort: port(r.picture.Addr())}
		if s.Type == message.StreamAudio {
			reply.DataPort, reply.ControlPort = port(r.data.LocalAddr()), port(r.control.LocalAddr())
			r.from = s.ControlPort
		} else {
			r.id = s.ConnectionID
		}
		p.Streams = append(p.Streams, reply)
	}
	return p.Encode()
}

func port(a net.Addr) int {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Port
	}
	return a.(*net.UDPAddr).Port
}

// takePicture keeps the packets of the picture.
func (r *partner) takePicture() {
	for {
		c, err := r.picture.Accept()
		if err != nil {
			return
		}
		var head [mirror.HeaderSize]byte
		for {
			if _, err := io.ReadFull(c, head[:]); err != nil {
				break
			}
			var h mirror.Header
			h.Parse(&head)
			payload := make([]byte, h.Size)
			if _, err := io.ReadFull(c, payload); err != nil {
				break
			}
			r.mu.Lock()
			r.headers, r.payloads = append(r.headers, h), append(r.payloads, payload)
			r.mu.Unlock()
			if r.enough > 0 && len(r.headers) >= r.enough {
				break
			}
		}
		c.Close()
	}
}

// takeSound keeps the packets of the sound, takeSync those that tell the time.
func (r *partner) takeSound() {
	readAll(r.data, func(b []byte) {
		if d, ok := audio.ParseData(b); ok {
			d.Payload = slices.Clone(d.Payload)
			r.packets = append(r.packets, d)
		}
	}, &r.mu)
}

func (r *partner) takeSync() {
	readAll(r.control, func(b []byte) {
		if s, ok := audio.ParseSync(b); ok {
			r.syncs = append(r.syncs, s)
		}
	}, &r.mu)
}

func readAll(c *net.UDPConn, take func([]byte), mu *sync.Mutex) {
	var b [2048]byte
	for {
		n, err := c.Read(b[:])
		if err != nil {
			return
		}
		mu.Lock()
		take(b[:n])
		mu.Unlock()
	}
}

// mirror mirrors to it.
func (r *partner) mirror(o Options) (*Report, error) {
	r.t.Helper()
	o.Address = r.ln.Addr().String()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	return Mirror(ctx, o)
}

// small is a pattern of so many frames at 60 a second.
func small(t testing.TB, frames uint32) *Pattern {
	t.Helper()
	p, err := NewPattern(pattern.Config{Width: 192, Height: 160, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	p.Frames = frames
	return p
}

func tone(t testing.TB, codec audio.Codec) *Tone {
	t.Helper()
	s, err := NewTone(codec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func identity(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// held counts goroutines and descriptors of the process.
func held(t testing.TB) (goroutines, descriptors int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(fds)
}

// nothingHeld waits until no more is held than before.
func nothingHeld(t testing.TB, goroutines, descriptors int) {
	t.Helper()
	var g, d int
	for range 500 {
		if g, d = held(t); g <= goroutines && d <= descriptors {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines and %d descriptors, before %d and %d", g, d, goroutines, descriptors)
}
