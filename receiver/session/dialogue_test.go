package session

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"aerie/receiver/message"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
	"aerie/receiver/transcript"
)

// The dialogue of a Mac that mirrors its screen, in its thirteen steps: what
// it asks, what it must be told, and what that does.
func TestMirroringDialogue(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("88:66:5A:15:D7:E1")
	expect := func(step string, got *rtsp.Response, status int, contentType string, events ...string) {
		t.Helper()
		if got.Status != status || got.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: status %d, type %q", step, got.Status, got.Header.Get("Content-Type"))
		}
		if got.Header.Get("Server") != "AirTunes/220.68" {
			t.Errorf("%s: server %q", step, got.Header.Get("Server"))
		}
		if e := r.media.take(); fmt.Sprint(e) != fmt.Sprint(events) {
			t.Errorf("%s: did %q, want %q", step, e, events)
		}
	}

	got := p.ask("GET", "/info", rtsp.TypeBinaryPlist, message.EncodeQualifiers("txtAirPlay"), "X-Apple-ProtocolVersion", "1")
	expect("info by qualifier", got, 200, rtsp.TypeBinaryPlist)
	x := p.fairplay()

	session := message.Setup{Session: &message.SessionSetup{
		EncryptionType: 32, EKey: x.EKey[:], EIV: []byte("0123456789abcdef"), TimingProtocol: "NTP", TimingPort: 63254, ScreenMirroring: true,
		DeviceID: "88:66:5A:15:D7:E1", Model: "MacBookPro16,1", Name: "MBP", OSName: "Mac OS X", OSVersion: "10.15.7", OSBuild: "19H524",
		SourceVersion: "425.1", SessionUUID: "48FE92D4-3786-4D24-8270-752ACCCF8A47", MACAddress: "88:66:5A:15:D7:E1"}}
	got = p.ask("SETUP", url, rtsp.TypeBinaryPlist, session.Encode())
	expect("1 SETUP of the session", got, 200, rtsp.TypeBinaryPlist, "open")
	reply, err := message.ParseSetupReply(got.Body)
	if err != nil || reply.EventPort == nil || *reply.EventPort != 0 || reply.TimingPort == nil || *reply.TimingPort != 7010 {
		t.Errorf("1: %+v, %v", reply, err)
	}
	if o := r.media.last; o.Key != x.Key || string(o.IV[:]) != "0123456789abcdef" || o.TimingPort != 63254 || o.Sender.Name != "MBP" || o.Sender.OS != "Mac OS X 10.15.7" || !o.Encrypted {
		t.Errorf("1: opened with %+v", o)
	}

	got = p.ask("GET", "/info", "", nil, "X-Apple-ProtocolVersion", "1")
	expect("2 GET /info", got, 200, rtsp.TypeBinaryPlist)
	if in, err := message.ParseInfo(got.Body); err != nil || in.Width != 1920 || in.Name != "Test" {
		t.Errorf("2: %+v, %v", in, err)
	}

	got = p.ask("GET_PARAMETER", url, rtsp.TypeParameters, []byte("volume\r\n"))
	expect("3 GET_PARAMETER", got, 200, rtsp.TypeParameters)
	if string(got.Body) != "volume: -15.000000\r\n" {
		t.Errorf("3: %q", got.Body)
	}

	got = p.ask("RECORD", url, "", nil)
	expect("4 RECORD", got, 200, "")
	if got.Header.Get("Audio-Latency") != "4410" {
		t.Errorf("4: latency %q", got.Header.Get("Audio-Latency"))
	}

	volume := func(step string) {
		t.Helper()
		expect(step, p.ask("SET_PARAMETER", url, rtsp.TypeParameters, []byte("volume: -20.000000\r\n")), 200, "", "volume -20")
	}
	volume("5 SET_PARAMETER")

	mirror := message.Setup{Streams: []message.StreamSetup{{Type: 110, ConnectionID: 3873339193950750702, LatencyMs: 90}}}
	got = p.ask("SETUP", url, rtsp.TypeBinaryPlist, mirror.Encode())
	expect("6 SETUP of the picture", got, 200, rtsp.TypeBinaryPlist, "mirror 3873339193950750702, 90ms")
	if reply, err := message.ParseSetupReply(got.Body); err != nil || !reflect.DeepEqual(reply.Streams, []message.StreamReply{{Type: 110, DataPort: 7100}}) {
		t.Errorf("6: %+v, %v", reply, err)
	}
	volume("7 SET_PARAMETER")

	sound := message.Setup{Streams: []message.StreamSetup{{Type: 96, CompressionType: 8, SamplesPerFrame: 480, AudioFormat: 0x1000000, AudioMode: "default",
		ControlPort: 54956, LatencyMin: 11025, LatencyMax: 88200, UsingScreen: true}}}
	got = p.ask("SETUP", url, rtsp.TypeBinaryPlist, sound.Encode())
	expect("8 SETUP of the sound", got, 200, rtsp.TypeBinaryPlist, "audio ct 8, port 54956")
	if reply, err := message.ParseSetupReply(got.Body); err != nil || !reflect.DeepEqual(reply.Streams, []message.StreamReply{{Type: 96, DataPort: 6000, ControlPort: 6001}}) {
		t.Errorf("8: %+v, %v", reply, err)
	}
	volume("9 SET_PARAMETER")

	got = p.ask("FLUSH", url, "", nil, "RTP-Info", "seq=58942;rtptime=1054215198")
	expect("10 FLUSH", got, 200, "", "flush 58942 1054215198 true")
	for range 3 {
		got = p.ask("POST", "/feedback", "", nil)
		expect("feedback", got, 200, "")
		if len(got.Body) != 0 {
			t.Errorf("feedback: %q", got.Body)
		}
	}
	got = p.ask("TEARDOWN", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 96, StreamID: 1}}}).Encode())
	expect("11 TEARDOWN of the sound", got, 200, "", "close 96")
	got = p.ask("TEARDOWN", url, rtsp.TypeBinaryPlist, (&message.Setup{Streams: []message.StreamSetup{{Type: 110}}}).Encode())
	expect("12 TEARDOWN of the picture", got, 200, "", "close 110")
	got = p.ask("TEARDOWN", url, rtsp.TypeBinaryPlist, message.Encode(map[string]any{}))
	if got.Status != 200 || got.Header.Get("Connection") != "close" {
		t.Errorf("13 TEARDOWN: %d", got.Status)
	}
	r.idle()
	if e := r.media.take(); fmt.Sprint(e) != "[closed]" {
		t.Errorf("13 TEARDOWN: did %q", e)
	}
}

// A recorded iPhone, request by request. It pairs, and plays music.
func TestRecordedIPhone(t *testing.T) {
	f, err := os.Open("../transcript/testdata/iphone14-ios16.2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := transcript.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	p := &transcript.Player{
		Dial:     func() (net.Conn, error) { return net.Dial("tcp", r.addr) },
		Identity: ed25519.NewKeyFromSeed([]byte("the key pair of a recorded phone")),
		Receiver: keystore.Key(r.server.Authority.PublicKey()),
	}
	if err := p.Play(entries); err != nil {
		t.Fatal(err)
	}
	if p.Requests != 17 {
		t.Errorf("%d requests", p.Requests)
	}
	// The recorded receiver misspelt one key, and answered what ours has no
	// use for.
	want := []string{`GET /info (CSeq 0): the answer lacks "audioFormat"`}
	if !reflect.DeepEqual(p.Differences, want) {
		t.Errorf("answers differ:\n%s", strings.Join(p.Differences, "\n"))
	}
	r.idle()
	if e := r.media.take(); fmt.Sprint(e) != "[open volume -20 audio ct 2, port 62989 flush 53129 3445259778 true progress 3445239162 close 96 closed]" {
		t.Errorf("did %q", e)
	}
	if r.media.last.Sender.UserAgent != "AirPlay/670.6.2" || r.media.last.Sender.Model != "iPhone14,5" {
		t.Errorf("sender %+v", r.media.last.Sender)
	}
}
