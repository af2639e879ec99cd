package session

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// What media notes of AirPlay 2 music.

func (s *streams) TimingPeer() *message.TimingPeer {
	return &message.TimingPeer{ID: "AA:BB:CC:DD:EE:FF", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, ClockID: 9}
}
func (s *streams) Peers(a []netip.Addr) { s.note("peers %v", a) }
func (s *streams) Buffered(r AudioRequest) (int, int, error) {
	s.note("buffered %#x, key of %d", r.AudioFormat, len(r.SharedKey))
	s.playing = message.StreamBufferedAudio
	return 6100, 8 << 20, s.fail
}
func (s *streams) Anchor(a message.RateAnchor) { s.note("anchor %v %d %v", a.Playing, a.RTP, a.At) }
func (s *streams) FlushBuffered(f message.FlushBuffered) {
	s.note("flush buffered %v %d to %d", f.Deferred, f.FromSeq, f.UntilSeq)
}
func (s *streams) Playing() (int, int) { return s.playing, 44100 }

// The dialogue of a sender that plays music to a group.
func TestMusicDialogue(t *testing.T) {
	r := homekitRig(t, pairing.PINOff, nil)
	p := r.dial("11:11:11:11:11:11")
	if err := p.pair(newInitiator(), ""); err != nil {
		t.Fatal(err)
	}
	expect := func(step string, got *rtsp.Response, events ...string) {
		t.Helper()
		if e := r.media.take(); got.Status != 200 || fmt.Sprint(e) != fmt.Sprint(events) {
			t.Errorf("%s: %d, did %q, want %q", step, got.Status, e, events)
		}
	}
	reply := p.homekitSetup(func(s *message.SessionSetup) {
		s.TimingProtocol, s.TimingPort = message.TimingPTP, 0
		s.Peer = &message.TimingPeer{ID: "x", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")}}
	})
	if e := r.media.take(); fmt.Sprint(e) != "[open peers [127.0.0.1 10.0.0.5]]" {
		t.Errorf("SETUP did %q", e)
	}
	if !r.media.last.PTP || *reply.TimingPort != 0 || reply.Peer == nil || reply.Peer.ClockID != 9 {
		t.Errorf("SETUP: %+v, opened with %+v", reply, r.media.last)
	}
	expect("feedback", p.ask("POST", "/feedback", "", nil))
	s := message.Setup{Streams: []message.StreamSetup{{Type: message.StreamBufferedAudio, CompressionType: 2, AudioFormat: 0x40000, SharedKey: make([]byte, 32)}}}
	got := p.ask("SETUP", url, rtsp.TypeBinaryPlist, s.Encode())
	expect("SETUP 103", got, "buffered 0x40000, key of 32")
	in, err := message.ParseSetupReply(got.Body)
	if want := []message.StreamReply{{Type: 103, DataPort: 6100, BufferSize: 8 << 20}}; err != nil || !reflect.DeepEqual(in.Streams, want) {
		t.Errorf("SETUP 103: %+v, %v", in, err)
	}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.6")}
	expect("SETPEERS", p.ask("SETPEERS", url, "/peer-list-changed", message.EncodePeers(addrs)), "peers [10.0.0.5 10.0.0.6 127.0.0.1]")
	expect("SETPEERSX", p.ask("SETPEERSX", url, "/peer-list-changed-x", message.EncodePeersX(addrs[:1])), "peers [10.0.0.5 127.0.0.1]")
	a := message.RateAnchor{Playing: true, Anchored: true, RTP: 77, At: clock.Remote(3 * time.Second), Timeline: 5}
	expect("SETRATEANCHORTIME", p.ask("SETRATEANCHORTIME", url, rtsp.TypeBinaryPlist, a.Encode()), "anchor true 77 3000000000")
	got = p.ask("POST", "/feedback", "", nil)
	expect("feedback while playing", got)
	if d, err := message.Decode(got.Body); err != nil || fmt.Sprint(d["streams"]) != "[map[sr:44100 type:103]]" {
		t.Errorf("feedback %v, %v", d, err)
	}
	f := message.FlushBuffered{Deferred: true, FromSeq: 5, UntilSeq: 9}
	expect("FLUSHBUFFERED", p.ask("FLUSHBUFFERED", url, rtsp.TypeBinaryPlist, f.Encode()), "flush buffered true 5 to 9")
	expect("SETRATE", p.ask("SETRATE", url, rtsp.TypeBinaryPlist, message.Encode(map[string]any{"rate": 1})))
	expect("SETMAGICCOOKIE", p.ask("SETMAGICCOOKIE", url, "", nil))
	for _, method := range []string{"SETPEERS", "SETPEERSX", "SETRATEANCHORTIME", "FLUSHBUFFERED"} {
		if got := p.ask(method, url, rtsp.TypeBinaryPlist, []byte("noise")); got.Status != 400 {
			t.Errorf("%s of noise: %d", method, got.Status)
		}
	}
	p.c.Close()
	r.idle()

	// Without a session there is nothing to play.
	p = r.dial("22:22:22:22:22:22")
	for method, b := range map[string][]byte{"SETPEERS": message.EncodePeers(addrs), "SETRATEANCHORTIME": a.Encode(), "FLUSHBUFFERED": f.Encode()} {
		if got := p.ask(method, url, rtsp.TypeBinaryPlist, b); got.Status != 455 {
			t.Errorf("%s without a session: %d", method, got.Status)
		}
	}
}
