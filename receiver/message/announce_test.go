package message

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// sdp joins lines to a description of sound.
func sdp(lines ...string) []byte {
	return []byte("v=0\r\no=iTunes 1 0 IN IP4 127.0.0.1\r\ns=iTunes\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 96\r\n" + strings.Join(lines, "\r\n") + "\r\n")
}

const (
	alacMap  = "a=rtpmap:96 AppleLossless"
	alacFmtp = "a=fmtp:96 352 0 16 40 10 14 2 255 0 0 44100"
	// A key of 16 bytes without padding, and as senders pad it.
	sixteen = "AAECAwQFBgcICQoLDA0ODw"
)

func TestParseAnnounce(t *testing.T) {
	alac := StreamSetup{Type: StreamAudio, CompressionType: 2, SamplesPerFrame: 352, SampleRate: 44100, AudioFormat: 1 << 18}
	wide := StreamSetup{Type: StreamAudio, CompressionType: 2, SamplesPerFrame: 4096, SampleRate: 48000, AudioFormat: 1 << 21}
	latency := alac
	latency.LatencyMin, latency.LatencyMax = 11025, 88200
	pcm := StreamSetup{Type: StreamAudio, CompressionType: 1, SamplesPerFrame: 352, SampleRate: 44100, AudioFormat: 1 << 11}
	aac := StreamSetup{Type: StreamAudio, CompressionType: 4, SamplesPerFrame: 1024, SampleRate: 44100, AudioFormat: 1 << 22}
	eld := StreamSetup{Type: StreamAudio, CompressionType: 8, SamplesPerFrame: 480, SampleRate: 44100, AudioFormat: 1 << 24}
	key := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for name, c := range map[string]struct {
		body []byte
		want Announce
	}{
		"PipeWire":       {sdp(alacMap, alacFmtp), Announce{Name: "iTunes", Stream: alac}},
		"bare line feed": {bytes.ReplaceAll(sdp(alacMap, alacFmtp), []byte("\r"), nil), Announce{Name: "iTunes", Stream: alac}},
		"named":          {sdp("i=Ann’s iPhone", alacMap, alacFmtp), Announce{Name: "Ann’s iPhone", Stream: alac}},
		"latencies":      {sdp(alacMap, alacFmtp, "a=min-latency:11025", "a=max-latency:88200"), Announce{Name: "iTunes", Stream: latency}},
		"24 bits":        {sdp(alacMap, "a=fmtp:96 4096 0 24 40 10 14 2 255 0 0 48000"), Announce{Name: "iTunes", Stream: wide}},
		"RSA":            {sdp(alacMap, alacFmtp, "a=rsaaeskey:"+sixteen, "a=aesiv:"+sixteen+"=="), Announce{Name: "iTunes", Stream: alac, RSAKey: key, IV: key}},
		"FairPlay":       {sdp(alacMap, alacFmtp, "a=fpaeskey:"+sixteen, "a=aesiv:"+sixteen), Announce{Name: "iTunes", Stream: alac, FairPlayKey: key, IV: key}},
		"L16":            {sdp("a=rtpmap:96 L16/44100/2"), Announce{Name: "iTunes", Stream: pcm}},
		"AAC":            {sdp("a=rtpmap:96 mpeg4-generic/44100/2", "a=fmtp:96 constantDuration=1024"), Announce{Name: "iTunes", Stream: aac}},
		"AAC-ELD":        {sdp("a=rtpmap:96 mpeg4-generic/44100/2", "a=fmtp:96 mode=AAC-eld; constantDuration=480"), Announce{Name: "iTunes", Stream: eld}},
	} {
		got, err := ParseAnnounce(c.body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, *got, c.want)
		}
	}
}

func TestParseAnnounceRefuses(t *testing.T) {
	for name, body := range map[string][]byte{
		"nothing":           nil,
		"no sound":          []byte("v=0\r\n"),
		"video":             []byte("m=video 0 RTP/AVP 97\r\n"),
		"two media":         sdp("m=audio 0 RTP/AVP 96", alacMap, alacFmtp),
		"no coding":         sdp(),
		"unknown coding":    sdp("a=rtpmap:96 opus/48000/2"),
		"no parameters":     sdp(alacMap),
		"few parameters":    sdp(alacMap, "a=fmtp:96 352 0 16"),
		"words":             sdp(alacMap, "a=fmtp:96 a 0 16 40 10 14 2 255 0 0 44100"),
		"no frames":         sdp(alacMap, "a=fmtp:96 0 0 16 40 10 14 2 255 0 0 44100"),
		"many frames":       sdp(alacMap, "a=fmtp:96 100000 0 16 40 10 14 2 255 0 0 44100"),
		"negative frames":   sdp(alacMap, "a=fmtp:96 -1 0 16 40 10 14 2 255 0 0 44100"),
		"another tuning":    sdp(alacMap, "a=fmtp:96 352 0 16 41 10 14 2 255 0 0 44100"),
		"20 bits":           sdp(alacMap, "a=fmtp:96 352 0 20 40 10 14 2 255 0 0 44100"),
		"mono":              sdp(alacMap, "a=fmtp:96 352 0 16 40 10 14 1 255 0 0 44100"),
		"96 kHz":            sdp("a=rtpmap:96 L16/96000/2"),
		"no rate":           sdp("a=rtpmap:96 L16"),
		"endless duration":  sdp("a=rtpmap:96 mpeg4-generic/44100/2", "a=fmtp:96 constantDuration=99999999999"),
		"key without IV":    sdp(alacMap, alacFmtp, "a=rsaaeskey:"+sixteen),
		"key, short IV":     sdp(alacMap, alacFmtp, "a=rsaaeskey:"+sixteen, "a=aesiv:AAEC"),
		"IV without key":    sdp(alacMap, alacFmtp, "a=aesiv:"+sixteen),
		"two keys":          sdp(alacMap, alacFmtp, "a=rsaaeskey:"+sixteen, "a=fpaeskey:"+sixteen, "a=aesiv:"+sixteen),
		"key of noise":      sdp(alacMap, alacFmtp, "a=rsaaeskey:!!!!", "a=aesiv:"+sixteen),
		"latency of noise":  sdp(alacMap, alacFmtp, "a=min-latency:soon"),
		"a thousand lines":  sdp(append([]string{alacMap, alacFmtp}, make([]string, 1000)...)...),
		"a megabyte":        append(sdp(alacMap, alacFmtp), make([]byte, 1<<20)...),
		"not a description": []byte("GET / HTTP/1.1"),
	} {
		if a, err := ParseAnnounce(body); !errors.Is(err, ErrAnnounce) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestAnnounceBackAndForth(t *testing.T) {
	for _, s := range []StreamSetup{
		{CompressionType: 1, SamplesPerFrame: 352, AudioFormat: 1 << 11}, {CompressionType: 2, SamplesPerFrame: 352, AudioFormat: 1 << 18},
		{CompressionType: 4, SamplesPerFrame: 1024, AudioFormat: 1 << 22}, {CompressionType: 8, SamplesPerFrame: 480, AudioFormat: 1 << 24},
	} {
		s.Type, s.SampleRate = StreamAudio, 44100
		a := Announce{Name: "Tester", Stream: s, RSAKey: []byte{1, 2, 3}, IV: make([]byte, 16)}
		back, err := ParseAnnounce(a.Encode())
		if err != nil || !reflect.DeepEqual(*back, a) {
			t.Errorf("%+v became %+v, %v", a, back, err)
		}
	}
}

func FuzzAnnounce(f *testing.F) {
	f.Add(sdp(alacMap, alacFmtp, "a=rsaaeskey:"+sixteen, "a=aesiv:"+sixteen))
	f.Add(sdp("a=rtpmap:96 mpeg4-generic/44100/2", "a=fmtp:96 mode=AAC-eld; constantDuration=480"))
	f.Add(sdp("a=rtpmap:96 L24/48000/2", "a=min-latency:5"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnnounce(b)
		if err != nil {
			if !errors.Is(err, ErrAnnounce) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		s := a.Stream
		if s.SamplesPerFrame < 1 || s.SamplesPerFrame > 4096 || s.SampleRate != 44100 && s.SampleRate != 48000 || s.AudioFormat == 0 {
			t.Fatalf("accepted %+v", a)
		}
		if encrypted := a.RSAKey != nil || a.FairPlayKey != nil; encrypted != (len(a.IV) == 16) {
			t.Fatalf("a key without its vector: %+v", a)
		}
	})
}
