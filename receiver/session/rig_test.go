package session

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
)

// media notes what it is asked.
type media struct {
	mu      sync.Mutex
	events  []string
	volume  float64
	fail    error
	last    Opening
	open    int
	now     func() clock.Time
	active  clock.Time
	slow    time.Duration // to give a decoder back
	playing int           // stream type
}

func (m *media) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, fmt.Sprintf(format, args...))
}

// take returns what was noted since it was last called.
func (m *media) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events
	m.events = nil
	return e
}

func (m *media) Open(o Opening) (Streams, error) {
	m.note("open")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	m.last = o
	m.open++
	return (*streams)(m), nil
}

func (m *media) Volume() float64      { return m.volume }
func (m *media) SetVolume(db float64) { m.volume = db; m.note("volume %v", db) }

// streams is an open session of media.
type streams media

func (s *streams) note(format string, args ...any) { (*media)(s).note(format, args...) }

func (s *streams) TimingPort() int { return 7010 }
func (s *streams) Mirror(r MirrorRequest) (int, error) {
	s.note("mirror %d, %v", r.ConnectionID, r.Latency)
	return 7100, s.fail
}
func (s *streams) Audio(r AudioRequest) (int, int, error) {
	s.note("audio ct %d, port %d", r.CompressionType, r.ControlPort)
	if r.TCP {
		return 6000, 0, s.fail
	}
	return 6000, 6001, s.fail
}
func (s *streams) CloseStream(t int)      { s.note("close %d", t) }
func (s *streams) Latency() time.Duration { return 100 * time.Millisecond }
func (s *streams) Flush(seq uint16, rtp uint32, given bool) {
	s.note("flush %d %d %v", seq, rtp, given)
}
func (s *streams) NowPlaying(n message.NowPlaying) { s.note("playing %q", n.Title) }
func (s *streams) Artwork(t string, b []byte)      { s.note("artwork %s, %d bytes", t, len(b)) }
func (s *streams) Progress(p message.Progress)     { s.note("progress %d", p.Current) }
func (s *streams) Active() clock.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}
func (s *streams) Close() {
	time.Sleep(s.slow)
	s.note("closed")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// rig is a server that listens on loopback.
type rig struct {
	t      testing.TB
	server *Server
	media  *media
	addr   string
}

func capabilities() *message.Capabilities {
	const id = "AA:BB:CC:DD:EE:FF"
	return &message.Capabilities{DeviceID: id, Name: "Test", Model: message.MirrorModel, Version: message.MirrorVersion,
		PairingID: message.PairingIdentity(id), Features: message.Mirror.Features(message.Abilities{}), Status: message.StatusAudioCable,
		Display: message.Display{Width: 1920, Height: 1080, MaxFPS: 60, UUID: message.DisplayIdentity(id)}, Volume: -15}
}

func newServer(m *media, policy pairing.PINPolicy, now func() clock.Time) *Server {
	log := slog.New(slog.DiscardHandler)
	return &Server{
		Capabilities: capabilities,
		Authority:    pairing.New(pairing.Config{Store: keystore.Volatile(nil), PIN: policy, Now: now, Wall: time.Now, Log: log}),
		Media:        m, Now: now, Log: log, Limits: rtsp.DefaultLimits, Timeouts: rtsp.DefaultTimeouts,
	}
}

func newRig(t testing.TB, change func(*Server)) *rig {
	t.Helper()
	m := &media{volume: -15}
	s := newServer(m, pairing.PINOff, clock.Now)
	if change != nil {
		change(s)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if m.open != 0 {
			t.Errorf("%d sessions are still open", m.open)
		}
	})
	return &rig{t: t, server: s, media: m, addr: ln.Addr().String()}
}

// phone is a sender on one connection.
type phone struct {
	t   testing.TB
	c   *rtsp.Conn
	seq int
	id  string
}

func (r *rig) dial(id string) *phone {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	p := &phone{t: r.t, c: rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts), id: id}
	r.t.Cleanup(func() { nc.Close() })
	return p
}

// ask sends a request and returns the answer.
func (p *phone) ask(method, target, contentType string, body []byte, fields ...string) *rtsp.Response {
	p.t.Helper()
	r, err := p.try(method, target, contentType, body, fields...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

func (p *phone) try(method, target, contentType string, body []byte, fields ...string) (*rtsp.Response, error) {
	q := &rtsp.Request{Method: method, Target: target, Proto: rtsp.RTSP, Body: body}
	q.Header.Add("CSeq", fmt.Sprint(p.seq))
	q.Header.Add("User-Agent", "AirPlay/670.6.2")
	if contentType != "" {
		q.Header.Add("Content-Type", contentType)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		q.Header.Add(fields[i], fields[i+1])
	}
	if err := p.c.WriteRequest(q); err != nil {
		return nil, err
	}
	var r rtsp.Response
	if err := p.c.ReadResponse(&r); err != nil {
		return nil, err
	}
	if got := r.Header.Get("CSeq"); got != fmt.Sprint(p.seq) {
		p.t.Errorf("%s: CSeq %q, want %d", method, got, p.seq)
	}
	p.seq++
	return &r, nil
}

const url = "rtsp://fe80::1/5259802854977588516"

// fairplay makes the handshake and returns the ekey that goes with it.
func (p *phone) fairplay() replay.Exchange {
	p.t.Helper()
	x := replay.All()[0]
	for _, m := range [][]byte{x.M1[:], x.M3[:]} {
		if r := p.ask("POST", "/fp-setup", rtsp.TypeOctets, m); r.Status != 200 {
			p.t.Fatalf("fp-setup: %d", r.Status)
		}
	}
	return x
}

// begin opens a session and returns the status of SETUP.
func (p *phone) begin() int {
	p.t.Helper()
	x := p.fairplay()
	s := message.Setup{Session: &message.SessionSetup{EncryptionType: 32, EKey: x.EKey[:], EIV: make([]byte, 16),
		TimingProtocol: message.TimingNTP, TimingPort: 5555, DeviceID: p.id, Name: "Phone " + p.id, Model: "iPhone14,5"}}
	return p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode()).Status
}

// works makes sure that a sender is served: it asks, opens a session with a
// picture and tears down.
func (r *rig) works() {
	r.t.Helper()
	p := r.dial("11:11:11:11:11:11")
	defer p.c.Close()
	if got := p.ask("GET", "/info", "", nil); got.Status != 200 {
		r.t.Errorf("info: %d", got.Status)
	}
	if got := p.begin(); got != 200 {
		r.t.Fatalf("SETUP: %d", got)
	}
	s := message.Setup{Streams: []message.StreamSetup{{Type: message.StreamMirror, ConnectionID: 5}}}
	if got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode()); got.Status != 200 {
		r.t.Errorf("SETUP 110: %d", got.Status)
	}
	if got := p.ask("TEARDOWN", url, rtsp.TypeBinaryPlist, message.Encode(map[string]any{})); got.Status != 200 || got.Header.Get("Connection") != "close" {
		r.t.Errorf("TEARDOWN: %d", got.Status)
	}
	var end rtsp.Response
	_ = p.c.ReadResponse(&end) // until the server has closed
	r.idle()
}

// idle waits until no session is open.
func (r *rig) idle() {
	r.t.Helper()
	for range 1000 {
		if r.server.stage.current() == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Error("a session is still there")
}
