package session

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
)

// board shows PINs.
type board struct {
	mu    sync.Mutex
	shown string
}

func (b *board) ShowPIN(pin string) { b.mu.Lock(); b.shown = pin; b.mu.Unlock() }
func (b *board) HidePIN()           {}
func (b *board) pin() string        { b.mu.Lock(); defer b.mu.Unlock(); return b.shown }

// homekitRig is a rig with the identity that has everything.
func homekitRig(t testing.TB, policy pairing.PINPolicy, display pairing.PINDisplay) *rig {
	return newRig(t, func(s *Server) {
		s.Authority = pairing.New(pairing.Config{Store: keystore.Volatile(nil), Identifier: capabilities().PairingID, PIN: policy, Display: display,
			Now: clock.Now, Wall: time.Now, Log: slog.New(slog.DiscardHandler)})
		s.Capabilities = everything
	})
}

// everything is the identity that has everything.
func everything() *message.Capabilities {
	c := capabilities()
	c.Identity, c.Features = message.Both, message.Both.Features(message.Abilities{Buffered: true, PTP: true})
	return c
}

// pair pairs for this connection, and encrypts it.
func (p *phone) pair(i *pairing.HomeKitInitiator, pin string) error {
	p.t.Helper()
	r := p.ask("POST", "/pair-setup", rtsp.TypeOctets, i.Setup(true))
	proof, err := i.SetupProof(r.Body, pin)
	if err != nil {
		return err
	}
	r = p.ask("POST", "/pair-setup", rtsp.TypeOctets, proof)
	if _, err := i.SetupKeys(r.Body); err != nil {
		return err
	}
	keys := i.Secret().Control()
	p.c.Encrypt(keys.Receiver, keys.Sender)
	return nil
}

func newInitiator() *pairing.HomeKitInitiator {
	return pairing.NewHomeKitInitiator(ed25519.NewKeyFromSeed(make([]byte, 32)), "11111111-2222-4333-8444-555555555555")
}

// setup opens a session of a paired sender and returns the reply.
func (p *phone) homekitSetup(change func(*message.SessionSetup)) *message.SetupReply {
	p.t.Helper()
	s := message.Setup{Session: &message.SessionSetup{TimingProtocol: message.TimingNTP, TimingPort: 5555, DeviceID: p.id, Name: "Phone"}}
	if change != nil {
		change(s.Session)
	}
	got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode())
	reply, err := message.ParseSetupReply(got.Body)
	if err != nil || got.Status != 200 || reply.EventPort == nil || *reply.EventPort == 0 {
		p.t.Fatalf("SETUP: %d, %+v, %v", got.Status, reply, err)
	}
	return reply
}

// listen connects to the event channel.
func listen(t testing.TB, port int, secret pairing.Secret) *rtsp.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
	c.Encrypt(secret.Events().Receiver, secret.Events().Sender)
	return c
}

// The dialogue of a sender that pairs by HomeKit: the keys that the session
// gets, and events until it ends.
func TestHomeKitDialogue(t *testing.T) {
	r := homekitRig(t, pairing.PINOff, nil)
	p, i := r.dial("11:11:11:11:11:11"), newInitiator()
	if err := p.pair(i, ""); err != nil {
		t.Fatal(err)
	}
	const group = "AAAAAAAA-2222-4333-8444-555555555555"
	reply := p.homekitSetup(func(s *message.SessionSetup) { s.Group = message.Group{ID: group, ContainsLeader: true} })
	if o := r.media.last; !bytes.Equal(o.Secret, i.Secret()) || o.Encrypted || o.Group.ID != group || o.TimingPort != 5555 {
		t.Errorf("opened with %+v", o)
	}
	events := listen(t, *reply.EventPort, i.Secret())
	var q rtsp.Request
	for n := range 3 {
		r.server.Push()
		if err := events.ReadRequest(&q); err != nil {
			t.Fatal(err)
		}
		in, ok, err := message.ParseUpdateInfo(q.Body)
		if err != nil || !ok || in.Name != "Test" || q.Method != "POST" || q.Path() != "/command" || q.CSeq() != fmt.Sprint(n) {
			t.Errorf("event %d: %s %s, %+v, %v", n, q.Method, q.Target, in, err)
		}
		if err := events.WriteResponse(&rtsp.Response{Proto: rtsp.RTSP, Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
	s := message.Setup{Streams: []message.StreamSetup{{Type: message.StreamMirror, ConnectionID: 5}}}
	if got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode()); got.Status != 200 {
		t.Errorf("SETUP 110: %d", got.Status)
	}
	if got := p.ask("POST", "/pair-list", rtsp.TypeOctets, pairing.ListRequest()); got.Status != 200 {
		t.Errorf("pair-list: %d", got.Status)
	} else if _, err := pairing.ParsePairings(got.Body); err != pairing.HomeKitAuthentication {
		t.Errorf("pair-list: %v", err)
	}
	if got := p.ask("TEARDOWN", url, rtsp.TypeBinaryPlist, message.Encode(map[string]any{})); got.Status != 200 {
		t.Errorf("TEARDOWN: %d", got.Status)
	}
	if err := events.ReadRequest(&q); err == nil {
		t.Error("the event channel outlives the session")
	}
	r.idle()
}

// A sender that leaves the event channel, or never answers on it with sense,
// is gone.
func TestEventChannelIsTheSendersLife(t *testing.T) {
	for name, leave := range map[string]func(*rtsp.Conn){
		"closed":       func(c *rtsp.Conn) { c.Close() },
		"in the clear": func(c *rtsp.Conn) { _, _ = c.Write([]byte(strings.Repeat("RTSP/1.0 200 OK\r\n\r\n", 2000))) },
	} {
		r := homekitRig(t, pairing.PINOff, nil)
		p, i := r.dial("11:11:11:11:11:11"), newInitiator()
		if err := p.pair(i, ""); err != nil {
			t.Fatal(name, err)
		}
		leave(listen(t, *p.homekitSetup(nil).EventPort, i.Secret()))
		if _, err := io.ReadAll(p.c.Conn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r.idle()
	}
}

// A connection for remote control takes the stage from nobody.
func TestRemoteControlOnly(t *testing.T) {
	r := homekitRig(t, pairing.PINOff, nil)
	first, second, i := r.dial("11:11:11:11:11:11"), r.dial("22:22:22:22:22:22"), newInitiator()
	if err := first.pair(newInitiator(), ""); err != nil {
		t.Fatal(err)
	}
	first.homekitSetup(nil)
	if err := second.pair(i, ""); err != nil {
		t.Fatal(err)
	}
	reply := second.homekitSetup(func(s *message.SessionSetup) { s.RemoteControl = true })
	if reply.TimingPort != nil {
		t.Errorf("a timing port: %d", *reply.TimingPort)
	}
	events := listen(t, *reply.EventPort, i.Secret())
	r.server.Push()
	var q rtsp.Request
	if err := events.ReadRequest(&q); err != nil {
		t.Error(err)
	}
	if got := first.ask("POST", "/feedback", "", nil); got.Status != 200 {
		t.Errorf("feedback: %d", got.Status)
	}
	clear := r.dial("33:33:33:33:33:33")
	s := message.Setup{Session: &message.SessionSetup{DeviceID: "33", RemoteControl: true}}
	if got := clear.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode()); got.Status != 455 {
		t.Errorf("in the clear: %d", got.Status)
	}
}

// Pairing that fails is answered in the terms of HomeKit, leaves the connection
// in the clear, and may be tried again.
func TestHomeKitRefusals(t *testing.T) {
	board := &board{}
	r := homekitRig(t, pairing.PINOnce, board)
	p := r.dial("11:11:11:11:11:11")
	if err := p.pair(newInitiator(), "none"); err != pairing.HomeKitAuthentication {
		t.Errorf("a wrong PIN: %v", err)
	}
	s := message.Setup{Session: &message.SessionSetup{DeviceID: p.id}}
	if got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode()); got.Status != 470 {
		t.Errorf("SETUP: %d", got.Status)
	}
	if got := p.ask("POST", "/pair-setup", rtsp.TypeOctets, []byte{6}); got.Status != 400 {
		t.Errorf("noise: %d", got.Status)
	}
	if err := p.pair(newInitiator(), board.pin()); err != nil {
		t.Errorf("the right PIN: %v", err)
	}
	p.homekitSetup(nil)
	p.c.Close()
	r.idle()
}

// After pairing nothing is believed in the clear, nor what was changed.
func TestEncryptedOnly(t *testing.T) {
	r := homekitRig(t, pairing.PINOff, nil)
	for name, noise := range map[string][]byte{
		"in the clear": []byte("OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n" + strings.Repeat(" ", 30000)),
		"changed":      append([]byte{31, 0}, make([]byte, 31+16)...),
	} {
		p := r.dial("11:11:11:11:11:11")
		if err := p.pair(newInitiator(), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := p.c.Conn.Write(noise); err != nil {
			t.Fatal(err)
		}
		if err := p.c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(p.c.Conn); len(b) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: answered with %d bytes, %v", name, len(b), err)
		}
	}
	r.works()
}
