package session

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"aerie/receiver/airport"
	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

const (
	classicURL = "rtsp://127.0.0.1/1796261825"
	sdpType    = "application/sdp"
	udp        = "RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;control_port=6001;timing_port=6002"
)

// lossless is the description of a sender of Apple Lossless.
func lossless() *message.Announce {
	return &message.Announce{Name: "Ann’s computer", Stream: message.StreamSetup{CompressionType: 2, SamplesPerFrame: 352}}
}

// play announces and sets up the sound of a classic sender.
func (p *phone) play(a *message.Announce, transport string) (announce, setup *rtsp.Response) {
	p.t.Helper()
	announce = p.ask("ANNOUNCE", classicURL, sdpType, a.Encode(), "Client-Instance", p.id)
	if announce.Status != 200 {
		return announce, nil
	}
	return announce, p.ask("SETUP", classicURL, "", nil, "Transport", transport)
}

func TestClassicDialogue(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("29d42747edeefd78")
	if got := p.ask("OPTIONS", classicURL, "", nil); !strings.Contains(got.Header.Get("Public"), "ANNOUNCE") {
		t.Errorf("OPTIONS: %v", got.Header)
	}
	_, setup := p.play(lossless(), udp)
	want := "RTP/AVP/UDP;unicast;interleaved=0-1;mode=record;server_port=6000;control_port=6001;timing_port=7010"
	if setup.Status != 200 || setup.Header.Get("Transport") != want || setup.Header.Get("Session") != "1" {
		t.Errorf("SETUP: %d %v", setup.Status, setup.Header)
	}
	if got := p.ask("RECORD", classicURL, "", nil, "Session", "1", "Range", "npt=0-", "RTP-Info", "seq=43522;rtptime=1289855357"); got.Status != 200 || got.Header.Get("Audio-Latency") == "" {
		t.Errorf("RECORD: %d %v", got.Status, got.Header)
	}
	p.ask("SET_PARAMETER", classicURL, rtsp.TypeParameters, []byte("volume: -12.000000\r\n"))
	p.ask("SET_PARAMETER", classicURL, rtsp.TypeParameters, []byte("progress: 1/5/9\r\n"))
	n := message.NowPlaying{Title: "Song"}
	p.ask("SET_PARAMETER", classicURL, rtsp.TypeDMAP, n.Append(nil), "RTP-Info", "rtptime=1289855357")
	p.ask("SET_PARAMETER", classicURL, "image/jpeg", []byte{0xff, 0xd8})
	p.ask("FLUSH", classicURL, "", nil, "RTP-Info", "seq=43523;rtptime=1289855709")
	if got := p.ask("GET_PARAMETER", classicURL, rtsp.TypeParameters, []byte("volume\r\n")); string(got.Body) != "volume: -12.000000\r\n" {
		t.Errorf("volume: %q", got.Body)
	}
	o := r.media.last
	if !o.Classic || o.Encrypted || o.TimingPort != 6002 || o.Sender.Name != "Ann’s computer" || o.Sender.DeviceID != p.id {
		t.Errorf("opened %+v", o)
	}
	if got := p.ask("TEARDOWN", classicURL, "", nil); got.Status != 200 {
		t.Errorf("TEARDOWN: %d", got.Status)
	}
	r.idle()
	events := `[open audio ct 2, port 6001 volume -12 progress 5 playing "Song" artwork image/jpeg, 2 bytes flush 43523 1289855709 true closed]`
	if got := fmt.Sprint(r.media.take()); got != events {
		t.Errorf("did %s", got)
	}
}

func TestClassicOverTCP(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("a")
	_, setup := p.play(lossless(), "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
	if got := setup.Header.Get("Transport"); got != "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record;server_port=6000" {
		t.Errorf("%d %q", setup.Status, got)
	}
}

// The key of the sound, wrapped for the AirPort Express and by FairPlay.
func TestClassicKeys(t *testing.T) {
	r := newRig(t, nil)
	key, iv := [16]byte{1, 2, 3}, [16]byte{4, 5, 6}
	wrapped, err := airport.WrapKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := lossless()
	a.RSAKey, a.IV = wrapped, iv[:]
	p := r.dial("a")
	if _, setup := p.play(a, udp); setup == nil || setup.Status != 200 {
		t.Fatal("RSA is refused")
	}
	if o := r.media.last; !o.Encrypted || o.Key != key || o.IV != iv {
		t.Errorf("RSA: %+v", o)
	}
	q := r.dial("a") // the same sender, with FairPlay
	x := q.fairplay()
	a.RSAKey, a.FairPlayKey = nil, x.EKey[:]
	if _, setup := q.play(a, udp); setup == nil || setup.Status != 200 {
		t.Fatal("FairPlay is refused")
	}
	if o := r.media.last; !o.Encrypted || o.Key != x.Key || o.IV != iv {
		t.Errorf("FairPlay: %+v", o)
	}
}

func TestAppleChallenge(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("a")
	// Without padding, as senders send it, and with.
	for _, challenge := range []string{"0MjseSkTr/lU2fgLu96ehA", "0MjseSkTr/lU2fgLu96ehA=="} {
		got := p.ask("OPTIONS", "*", "", nil, "Apple-Challenge", challenge)
		answer, err := base64.RawStdEncoding.DecodeString(got.Header.Get("Apple-Response"))
		if err != nil {
			t.Fatal(err)
		}
		signed, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(challenge, "="))
		signed = append(signed, 127, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0, 0, 0, 0, 0)
		if err := rsa.VerifyPKCS1v15(airport.Public(), 0, signed, answer); err != nil {
			t.Errorf("%s: %v", challenge, err)
		}
	}
	for _, challenge := range []string{"!", strings.Repeat("A", 3000)} {
		if got := p.ask("OPTIONS", "*", "", nil, "Apple-Challenge", challenge); got.Status != 200 || got.Header.Has("Apple-Response") {
			t.Errorf("%.10s: %d %v", challenge, got.Status, got.Header)
		}
	}
}

func TestAuthSetup(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("a")
	got := p.ask("POST", "/auth-setup", rtsp.TypeOctets, append([]byte{1}, make([]byte, 32)...))
	if got.Status != 200 || len(got.Body) != 40 || !bytes.Equal(got.Body[32:], make([]byte, 8)) {
		t.Errorf("%d, %x", got.Status, got.Body)
	}
	if got := p.ask("POST", "/auth-setup", rtsp.TypeOctets, nil); got.Status != 400 {
		t.Errorf("empty: %d", got.Status)
	}
}

func TestClassicOutOfOrder(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("a")
	if got := p.ask("SETUP", classicURL, "", nil, "Transport", udp); got.Status != 455 {
		t.Errorf("SETUP first: %d", got.Status)
	}
	if got := p.ask("ANNOUNCE", classicURL, sdpType, []byte("v=0\r\n")); got.Status != 451 {
		t.Errorf("ANNOUNCE of nothing: %d", got.Status)
	}
	bad := lossless()
	bad.RSAKey, bad.IV = make([]byte, 256), make([]byte, 16)
	if got, _ := p.play(bad, udp); got.Status != 451 {
		t.Errorf("a key of zeros: %d", got.Status)
	}
	bad.RSAKey, bad.FairPlayKey = nil, make([]byte, 72)
	if got, _ := p.play(bad, udp); got.Status != 451 {
		t.Errorf("a key without fp-setup: %d", got.Status)
	}
	for _, transport := range []string{"x", "RTP/AVP/UDP;control_port=70000", "RTP/AVP/UDP;timing_port=-1", "RTP/SAVP"} {
		if _, got := p.play(lossless(), transport); got.Status != 451 {
			t.Errorf("%s: %d", transport, got.Status)
		}
	}
	r.works()
}

// A phone that mirrors is not disturbed by a classic sender, nor the other way
// round, but by rule.
func TestClassicBusy(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.dial("AA:AA:AA:AA:AA:AA"), r.dial("b")
	if a.begin() != 200 {
		t.Fatal("no session")
	}
	if got, _ := b.play(lossless(), udp); got.Status != 453 {
		t.Errorf("beside a mirror: %d", got.Status)
	}
	a.c.Close()
	r.idle()
	if _, got := b.play(lossless(), udp); got.Status != 200 {
		t.Fatalf("afterwards: %d", got.Status)
	}
	if c := r.dial("CC:CC:CC:CC:CC:CC"); c.begin() != 409 {
		t.Error("a phone pushed a classic sender off the stage")
	}
	if d := r.dial("b"); d != nil {
		if _, got := d.play(lossless(), udp); got == nil || got.Status != 200 {
			t.Error("a classic sender cannot come back")
		}
	}
}

func TestClassicPassword(t *testing.T) {
	pw := pairing.NewPassword("secret", clock.Now)
	r := newRig(t, func(s *Server) { s.Password = pw.Digest })
	p := r.dial("a")
	got, _ := p.play(lossless(), udp)
	if got.Status != 401 {
		t.Fatalf("without a password: %d", got.Status)
	}
	auth, err := pairing.Credentials{User: "iTunes", Password: "secret"}.Authorization(got.Header.Get("WWW-Authenticate"), "ANNOUNCE", classicURL)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ask("ANNOUNCE", classicURL, sdpType, lossless().Encode(), "Authorization", auth); got.Status != 200 {
		t.Errorf("with it: %d", got.Status)
	}
	if got := p.ask("SETUP", classicURL, "", nil, "Transport", udp); got.Status != 200 {
		t.Errorf("SETUP: %d", got.Status)
	}
}

func TestClassicNeedsThePIN(t *testing.T) {
	r := newRig(t, func(s *Server) {
		*s = *newServer(s.Media.(*media), pairing.PINOnce, clock.Now)
	})
	if got, _ := r.dial("a").play(lossless(), udp); got.Status != 470 {
		t.Errorf("without a PIN: %d", got.Status)
	}
}

// Who pauses music says nothing for a long time. It stays, until somebody else
// wants to play.
func TestClassicPause(t *testing.T) {
	simulated(t, func(s *Server, m *media, dial func(string) *phone) {
		a := dial("a")
		if _, got := a.play(lossless(), udp); got.Status != 200 {
			t.Fatalf("SETUP: %d", got.Status)
		}
		time.Sleep(10 * time.Second)
		b := dial("BB:BB:BB:BB:BB:BB")
		if got := b.begin(); got != 409 {
			t.Errorf("after 10 s of silence: %d", got)
		}
		time.Sleep(20 * time.Minute)
		if _, ok := s.Sender(); !ok {
			t.Error("gone after 20 minutes of pause")
		}
		b = dial("BB:BB:BB:BB:BB:BB")
		if got := b.begin(); got != 200 {
			t.Errorf("another sender after 20 minutes of silence: %d", got)
		}
	})
	simulated(t, func(s *Server, m *media, dial func(string) *phone) {
		a := dial("a")
		a.play(lossless(), udp)
		time.Sleep(pauseLimit + 2*time.Second)
		if _, ok := s.Sender(); ok {
			t.Error("still here after the longest pause")
		}
	})
}

func FuzzTransport(f *testing.F) {
	f.Add(udp)
	f.Add("RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTransport(s)
		if err == nil && (got.control < 0 || got.control > 65535 || got.timing < 0 || got.timing > 65535) {
			t.Fatalf("%+v", got)
		}
	})
}
