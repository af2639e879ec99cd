package message

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestSetupRoundTrip(t *testing.T) {
	in := &Setup{
		Session: &SessionSetup{
			EncryptionType: 32, EKey: bytes.Repeat([]byte{1}, 72), EIV: bytes.Repeat([]byte{2}, 16),
			TimingProtocol: TimingNTP, TimingPort: 59001, DeviceID: "B4:19:74:50:E1:8A", MACAddress: "5A:C7:08:50:FF:98",
			Model: "iPhone14,5", Name: "Ann's iPhone", OSName: "iPhone OS", OSVersion: "16.2", OSBuild: "20C65",
			SourceVersion: "670.6.2", SessionUUID: "AAC21A85-D339-4F43-BA83-387497FDDE1C", ScreenMirroring: true,
		},
		Streams: []StreamSetup{
			{Type: StreamMirror, ConnectionID: 14539175628808929506, LatencyMs: 90},
			{Type: StreamAudio, CompressionType: 8, SamplesPerFrame: 480, AudioFormat: 0x1000000, SampleRate: 44100, AudioMode: "default",
				ControlPort: 54956, LatencyMin: 3528, LatencyMax: 22050, RedundantAudio: 2, IsMedia: true, UsingScreen: true},
		},
	}
	out, err := ParseSetup(in.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", out.Session, out.Streams, in.Session, in.Streams)
	}
}

// A connection id is signed on the wire and unsigned in the key derivation.
func TestConnectionIDIsUnsigned(t *testing.T) {
	s, err := ParseSetup(encodePlist(dict{"streams": []any{dict{"type": 110, "streamConnectionID": int64(-3907568444900622110)}}}))
	if err != nil || len(s.Streams) != 1 || s.Streams[0].ConnectionID != 14539175628808929506 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSetupParts(t *testing.T) {
	for name, c := range map[string]struct {
		in                     dict
		session, streamsAbsent bool
		unknown                []string
	}{
		"empty":                 {dict{}, false, true, nil},
		"streams only":          {dict{"streams": []any{dict{"type": 96}}}, false, false, nil},
		"no streams":            {dict{"streams": []any{}}, false, false, nil},
		"session only":          {dict{"et": 32, "timingPort": 1}, true, true, nil},
		"both":                  {dict{"name": "x", "streams": []any{dict{"type": 110}}}, true, false, nil},
		"keys of another year":  {dict{"newKey": 1, "streams": []any{dict{"type": 110, "other": "x"}}}, false, false, []string{`streams."other"`, `"newKey"`}},
		"integers for booleans": {dict{"isScreenMirroringSession": 1, "isRemoteControlOnly": 0}, true, true, nil},
		"counters of TEARDOWN":  {dict{"streams": []any{dict{"type": 96, "streamID": 0, "ccCountSender": 0}}}, false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSetup(encodePlist(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if (s.Session != nil) != c.session || (s.Streams == nil) != c.streamsAbsent || !reflect.DeepEqual(s.Unknown, c.unknown) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestSetupRefuses(t *testing.T) {
	many := make([]any, 1000)
	for i := range many {
		many[i] = dict{"type": 96}
	}
	for name, in := range map[string]dict{
		"streams is text":       {"streams": "x"},
		"stream is a number":    {"streams": []any{1}},
		"a thousand streams":    {"streams": many},
		"type is text":          {"streams": []any{dict{"type": "96"}}},
		"negative type":         {"streams": []any{dict{"type": -1}}},
		"ekey is text":          {"ekey": "FPLY"},
		"port out of range":     {"timingPort": 70000},
		"negative port":         {"streams": []any{dict{"type": 96, "controlPort": -5}}},
		"huge frame":            {"streams": []any{dict{"type": 96, "spf": 1 << 40}}},
		"name is data":          {"name": []byte{1}},
		"fraction for integer":  {"et": 1.5},
		"nested where flat":     {"et": dict{"a": 1}},
		"rate beyond any codec": {"streams": []any{dict{"type": 96, "sr": 1000000}}},
	} {
		if s, err := ParseSetup(encodePlist(in)); !errors.Is(err, ErrPlist) {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
}

func TestSetupReply(t *testing.T) {
	timing, event := 7001, 0
	in := &SetupReply{EventPort: &event, TimingPort: &timing, Streams: []StreamReply{{Type: 110, DataPort: 7100}, {Type: 96, DataPort: 6000, ControlPort: 6001}}}
	out, err := ParseSetupReply(in.Encode())
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, %v", out, err)
	}
	if out, err = ParseSetupReply((&SetupReply{}).Encode()); err != nil || out.EventPort != nil || out.TimingPort != nil {
		t.Errorf("empty reply became %+v, %v", out, err)
	}
}

func TestPINSetup(t *testing.T) {
	in := &PINSetup{Method: "pin", User: "366B4165DD64AD3A", Salt: []byte{1}, PublicKey: []byte{2}, Proof: []byte{3}, EncryptedKey: []byte{4}, AuthTag: []byte{5}}
	if out, err := ParsePINSetup(in.Encode()); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, %v", out, err)
	}
	if _, err := ParsePINSetup(encodePlist(dict{"proof": "text"})); !errors.Is(err, ErrPlist) {
		t.Errorf("proof as text: %v", err)
	}
}
