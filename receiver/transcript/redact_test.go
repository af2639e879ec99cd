package transcript

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/rtsp"
)

func zero() clock.Time { return 0 }

// Whatever a message holds, a secret that was put into it is not in the file.
func TestNothingSecretSurvives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	secret := make([]byte, 24)
	for i := range secret {
		secret[i] = byte(rng.Uint32())
	}
	const private = "Annabel's private text"
	text := func() map[string]any {
		m := map[string]any{"ekey": append([]byte("FPLY"), append(make([]byte, 44), secret...)...), "nested": map[string]any{"list": []any{private, secret}}}
		for _, k := range []string{"eiv", "shk", "pk", "proof", "salt", "epk", "authTag", "newKey", "txtAirPlay"} {
			m[k] = secret
		}
		for _, k := range []string{"name", "deviceID", "macAddress", "sessionUUID", "password", "newText", "Identifier", "user"} {
			m[k] = private
		}
		return m
	}
	bodies := map[string][]byte{
		rtsp.TypeBinaryPlist: message.Encode(text()),
		rtsp.TypeOctets:      append(bytes.Repeat([]byte{1}, 20), secret...),
		rtsp.TypeDMAP:        []byte("mlit\x00\x00\x00\x1eminm\x00\x00\x00\x16" + private),
		"image/jpeg":         secret,
		"text/plain":         []byte(private),
		"application/sdp":    []byte("a=rsaaeskey:" + private),
		"":                   secret,
	}
	for contentType, body := range bodies {
		var file bytes.Buffer
		r := NewRecorder(&file, zero, "test")
		h := rtsp.Header{{Name: "Content-Type", Value: contentType}}
		for _, name := range []string{"DACP-ID", "Active-Remote", "Authorization", "X-Apple-Client-Name", "X-New-Field", "Apple-Challenge", "WWW-Authenticate"} {
			h.Add(name, private)
		}
		r.Connected(1, private)
		r.Request(1, &rtsp.Request{Method: "SETUP", Target: "rtsp://" + private + "/1", Proto: rtsp.RTSP, Header: h, Body: body})
		r.Response(1, &rtsp.Response{Proto: rtsp.RTSP, Status: 200, Header: h, Body: body})
		for _, needle := range []string{private, "Annabel", hex.EncodeToString(secret), hex.EncodeToString(secret[:8]), strings.ToUpper(hex.EncodeToString(secret))} {
			if strings.Contains(file.String(), needle) {
				t.Errorf("%q: %q is in the file:\n%s", contentType, needle, file.String())
			}
		}
		if _, err := Read(&file); err != nil {
			t.Errorf("%q: %v", contentType, err)
		}
	}
}

func TestPseudonymsAreStable(t *testing.T) {
	var r redactor
	a, b := r.pseudonym("device", "AA:BB:CC:DD:EE:FF"), r.pseudonym("device", "AA:BB:CC:DD:EE:00")
	if a == b || a != r.pseudonym("device", "AA:BB:CC:DD:EE:FF") || len(a) != 17 || strings.Contains(a, "AA") {
		t.Errorf("%q, %q", a, b)
	}
	if r.pseudonym("name", "") != "" {
		t.Error("nothing got a name")
	}
}

func TestHarmlessSurvives(t *testing.T) {
	var file bytes.Buffer
	r := NewRecorder(&file, zero, "test")
	m := map[string]any{"model": "iPhone14,5", "timingProtocol": "NTP", "timingPort": 59001, "streams": []any{map[string]any{"type": 110, "streamConnectionID": int64(-3907568444900622110)}}, "r": 1.5, "b": true}
	r.Request(1, &rtsp.Request{Method: "SETUP", Target: "rtsp://fe80::1/17", Proto: rtsp.RTSP, Header: rtsp.Header{{Name: "User-Agent", Value: "AirPlay/670.6.2"}}, Body: message.Encode(m)})
	entries, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	e := entries[1]
	if e.Target != "rtsp://receiver/17" || e.Header[0] != [2]string{"User-Agent", "AirPlay/670.6.2"} {
		t.Errorf("%+v", e)
	}
	back, err := dictFromJSON(e.Body.Plist)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(message.Encode(back), message.Encode(m)) {
		t.Errorf("the body became %v", back)
	}
}

func TestFileIsBounded(t *testing.T) {
	var file bytes.Buffer
	r := NewRecorder(&file, zero, "test")
	big := &rtsp.Request{Method: "SET_PARAMETER", Header: rtsp.Header{{Name: "Content-Type", Value: rtsp.TypeParameters}}, Body: bytes.Repeat([]byte("x"), 500_000)}
	for range 100 {
		r.Request(1, big)
	}
	if file.Len() > maxRecorded {
		t.Errorf("%d bytes", file.Len())
	}
	failing := NewRecorder(failWriter{}, zero, "test")
	failing.Closed(1, "x")
	if failing.Err() == nil {
		t.Error("a full disk goes unnoticed")
	}
}

type failWriter struct{}

func (failWriter) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func TestRead(t *testing.T) {
	for _, bad := range []string{"{", `{"at":"x"}`, strings.Repeat("x", maxLine+1), `{"body":5}`} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q is accepted", bad)
		}
	}
	if e, err := Read(strings.NewReader("\n\n")); err != nil || len(e) != 0 {
		t.Errorf("%v, %v", e, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"at":0,"conn":1,"kind":"request","method":"SETUP","target":"rtsp://receiver/1","proto":"RTSP/1.0","body":{"size":16,"head":"46504c59","plist":{"a":{"int":"-5"},"b":{"data":"00ff"},"c":[1.5,true,{"dict":{}}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Body != nil && e.Body.Plist != nil {
				if m, err := dictFromJSON(e.Body.Plist); err == nil {
					_ = message.Encode(m)
				}
			}
		}
	})
}
