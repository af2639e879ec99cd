package message

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func TestRateAnchor(t *testing.T) {
	for _, a := range []RateAnchor{
		{},
		{Playing: true},
		{Playing: true, Anchored: true, RTP: 0xfffffff0, At: clock.Remote(1234567*time.Second + 987654321), Timeline: 0xf123456789abcdef},
		{Anchored: true, RTP: 7, At: clock.Remote(time.Second)},
	} {
		if got, err := ParseRateAnchor(a.Encode()); err != nil || got != a {
			t.Errorf("%+v became %+v, %v", a, got, err)
		}
	}
	// As senders write it: reals, and fractions beyond the range of a signed
	// number.
	got, err := ParseRateAnchor(Encode(map[string]any{"rate": 1.0, "rtpTime": 5, "networkTimeSecs": 3, "networkTimeFrac": int64(-1 << 63)}))
	if want := (RateAnchor{Playing: true, Anchored: true, RTP: 5, At: clock.Remote(3500 * time.Millisecond)}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for name, d := range map[string]map[string]any{
		"no number":       {"rate": "fast"},
		"absurd seconds":  {"rate": 1, "rtpTime": 0, "networkTimeSecs": int64(1 << 40)},
		"before the zero": {"rate": 1, "rtpTime": 0, "networkTimeSecs": -1},
		"a list":          {"rate": []any{1}},
	} {
		if got, err := ParseRateAnchor(Encode(d)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFlushBuffered(t *testing.T) {
	for _, f := range []FlushBuffered{
		{UntilSeq: 5, UntilRTP: 0xfffffff0},
		{Deferred: true, FromSeq: 1<<23 - 1, FromRTP: 9, UntilSeq: 4, UntilRTP: 10},
	} {
		if got, err := ParseFlushBuffered(f.Encode()); err != nil || got != f {
			t.Errorf("%+v became %+v, %v", f, got, err)
		}
	}
	for name, d := range map[string]map[string]any{"no end": {"flushFromSeq": 1}, "too large": {"flushUntilSeq": 1 << 23}, "text": {"flushUntilSeq": "1"}} {
		if got, err := ParseFlushBuffered(Encode(d)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPeers(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("fe80::1")}
	for name, body := range map[string][]byte{
		"SETPEERS": EncodePeers(addrs), "SETPEERSX": EncodePeersX(addrs),
		"with a name": encodePlist([]any{"10.0.0.5", "speaker.local", "fe80::1"}),
	} {
		if got, err := ParsePeers(body); err != nil || !reflect.DeepEqual(got, addrs) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	many := make([]any, 1000)
	for i := range many {
		many[i] = "10.0.0.5"
	}
	if got, err := ParsePeers(encodePlist(many)); err != nil || len(got) != maxPeers {
		t.Errorf("%d peers, %v", len(got), err)
	}
	for name, body := range map[string][]byte{
		"empty": nil, "a dictionary": Encode(map[string]any{}), "numbers": encodePlist([]any{1}),
		"a wrong list": encodePlist([]any{map[string]any{"Addresses": 5}}),
	} {
		if got, err := ParsePeers(body); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A SETUP of AirPlay 2 music and the answer to it.
func TestPTPSetup(t *testing.T) {
	peer := &TimingPeer{ID: "11:22", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, ClockID: 0xf000000000000001}
	s := Setup{Session: &SessionSetup{TimingProtocol: TimingPTP, Peer: peer, DeviceID: "11:22"}}
	got, err := ParseSetup(s.Encode())
	if err != nil || !reflect.DeepEqual(got.Session, s.Session) || len(got.Unknown) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	event, timing := 5, 0
	reply := SetupReply{EventPort: &event, TimingPort: &timing, Peer: peer,
		Streams: []StreamReply{{Type: StreamBufferedAudio, DataPort: 7, BufferSize: 8 << 20}}}
	if in, err := ParseSetupReply(reply.Encode()); err != nil || !reflect.DeepEqual(in, &reply) {
		t.Errorf("%+v, %v", in, err)
	}
	list := Encode(map[string]any{"timingProtocol": "PTP", "timingPeerList": []any{map[string]any{"Addresses": []any{"10.0.0.6"}, "ID": "x"}}})
	if got, err := ParseSetup(list); err != nil || len(got.Session.Peers) != 1 || got.Session.Peers[0].Addresses[0] != netip.MustParseAddr("10.0.0.6") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ParseSetup(Encode(map[string]any{"timingPeerInfo": map[string]any{"Addresses": 1}})); err == nil {
		t.Error("wrong addresses")
	}
}

func FuzzPlayback(f *testing.F) {
	f.Add((&RateAnchor{Playing: true, Anchored: true}).Encode())
	f.Add((&FlushBuffered{Deferred: true}).Encode())
	f.Add(EncodePeersX([]netip.Addr{netip.MustParseAddr("10.0.0.5")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParseRateAnchor(b); err == nil && a.At < 0 {
			t.Errorf("an instant before zero: %+v", a)
		}
		if x, err := ParseFlushBuffered(b); err == nil && (x.UntilSeq > maxSequence || x.FromSeq > maxSequence) {
			t.Errorf("%+v", x)
		}
		if p, err := ParsePeers(b); err == nil && len(p) > maxPeers {
			t.Errorf("%d peers", len(p))
		}
	})
}
