package phone

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// A whole session, request by request and packet by packet, and the figures
// that are reported about it.
func TestSession(t *testing.T) {
	r := newPartner(t)
	r.start()
	report, err := r.mirror(Options{Picture: small(t, 30), Sound: tone(t, audio.PCM), Name: "Ann's iPhone", Device: "02:00:00:00:00:07"})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	want := []string{"GET /info", "GET /info", "POST /fp-setup", "POST /fp-setup", "SETUP", "GET_PARAMETER", "SET_PARAMETER", "RECORD",
		"SETUP 110", "SETUP 96", "TEARDOWN 96", "TEARDOWN 110", "TEARDOWN"}
	if !slices.Equal(r.requests, want) {
		t.Errorf("asked\n%q, want\n%q", r.requests, want)
	}
	s := r.setup
	if s.Name != "Ann's iPhone" || s.DeviceID != "02:00:00:00:00:07" || s.TimingProtocol != message.TimingNTP || s.TimingPort == 0 ||
		len(s.EKey) != 72 || len(s.EIV) != 16 || s.EncryptionType != 32 || !s.ScreenMirroring {
		t.Errorf("set up with %+v", s)
	}
	r.checkPicture(30)
	r.checkSound(report)
	if report.Receiver.Name != "Partner" || report.Paired || report.Pictures != 30 || report.SoundLost != 0 || report.Connect <= 0 || report.SetUp < report.Connect {
		t.Errorf("reported %+v", report)
	}
	if report.Sent.Count() != 30 || report.Draw.Count() != 30 || report.Write.Count() != 30 {
		t.Errorf("measured %d, %d and %d pictures", report.Sent.Count(), report.Draw.Count(), report.Write.Count())
	}
}

// checkPicture looks at the packets of a picture: a codec packet first, then
// access units that are whole after decryption, the first of them a key
// picture, at 60 a second of the phone's clock.
func (r *partner) checkPicture(frames int) {
	r.t.Helper()
	if len(r.headers) != frames+1 || r.headers[0].Type != mirror.Codec || r.headers[1].Type != mirror.VideoIDR {
		r.t.Fatalf("%d packets, %+v", len(r.headers), r.headers[:min(2, len(r.headers))])
	}
	if conf, err := h264.ParseConfig(r.payloads[0]); err != nil || len(conf.SPS) != 1 || r.headers[0].EncodedWidth != 192 {
		r.t.Errorf("codec packet %+v: %v", r.headers[0], err)
	}
	open := mirror.NewCTR(exchange().Key, r.id)
	for i, payload := range r.payloads[1:] {
		if au, err := open.Open(nil, payload); err != nil || h264.ToAnnexB(au) != nil {
			r.t.Fatalf("picture %d is noise", i)
		}
		if d := r.headers[i+1].Time.Sub(r.headers[1].Time) - time.Duration(i)*time.Second/60; d < -time.Microsecond || d > time.Microsecond {
			r.t.Errorf("picture %d is stamped %v off", i, d)
		}
	}
}

// checkSound looks at the packets of sound: numbered without a gap, one packet
// of frames apart, and the report's number of them.
func (r *partner) checkSound(report *Report) {
	r.t.Helper()
	if int64(len(r.packets)) != report.SoundPackets || len(r.packets) < 10 || len(r.syncs) == 0 || !r.syncs[0].First {
		r.t.Fatalf("%d packets and %d syncs, reported %d", len(r.packets), len(r.syncs), report.SoundPackets)
	}
	first := r.packets[0]
	for i, p := range r.packets {
		if p.Seq != first.Seq+uint16(i) || p.RTP != first.RTP+uint32(352*i) || p.Marker != (i == 0) || len(p.Payload) != 4*352 {
			r.t.Fatalf("packet %d: %d at %d, marker %v, %d bytes", i, p.Seq, p.RTP, p.Marker, len(p.Payload))
		}
	}
	if lead := r.syncs[0].Newest - r.syncs[0].RTP; lead != soundLead {
		r.t.Errorf("sound is %d frames ahead", lead)
	}
}

// The clock that is asked to be ahead and fast stamps the pictures so, and the
// phone turns round and is locked when it is told to.
func TestClockAndInterruptions(t *testing.T) {
	r := newPartner(t)
	r.start()
	before := clock.Now()
	if _, err := r.mirror(Options{Picture: small(t, 90), Fast: true, Ahead: time.Hour, RotateEvery: time.Second, PauseEvery: 700 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if ahead := clock.Time(r.headers[1].Time).Sub(before); ahead < time.Hour || ahead > time.Hour+time.Minute {
		t.Errorf("the clock is %v ahead", ahead)
	}
	var codec []string
	for i, h := range r.headers {
		switch {
		case h.Type == mirror.Codec && h.Paused():
			codec = append(codec, "paused")
		case h.Type == mirror.Codec:
			codec = append(codec, map[bool]string{true: "wide", false: "high"}[h.EncodedWidth > h.EncodedHeight])
			if next := r.headers[i+1]; next.Type != mirror.VideoIDR {
				t.Errorf("after codec packet %d comes no key picture but %+v", i, next)
			}
		}
	}
	if want := []string{"wide", "paused", "wide", "high", "paused", "high"}; !slices.Equal(codec, want) {
		t.Errorf("codec packets %q, want %q", codec, want)
	}
}

// A clock that is half as fast again and an hour ahead.
func TestDrift(t *testing.T) {
	p := Phone{group: &group{zero: 1_000}, o: Options{Ahead: time.Hour, Drift: 0.5}}
	if got, want := p.at(p.group.zero.Add(2*time.Second)), clock.Remote(1_000).Add(time.Hour+3*time.Second); got != want {
		t.Errorf("after two seconds it shows %v, want %v", got, want)
	}
}

// A password is answered where it is asked for; a wrong one is not taken for a
// fault of the network.
func TestPassword(t *testing.T) {
	for password, want := range map[string]string{"open sesame": "", "open barley": "401", "": "401"} {
		r := newPartner(t)
		r.access = pairing.NewPassword("open sesame", clock.Now)
		r.start()
		_, err := r.mirror(Options{Picture: small(t, 3), Fast: true, Password: password})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

// A PIN is asked for when the receiver does not know the phone yet, and only
// then.
func TestPIN(t *testing.T) {
	r := newPartner(t)
	r.policy = pairing.PINOnce
	r.start()
	asked := 0
	o := Options{Fast: true, Identity: identity(t), PIN: func() (string, error) { asked++; return <-r.pin, nil }}
	for range 2 {
		o.Picture = small(t, 3)
		report, err := r.mirror(o)
		if err != nil || !report.Paired || asked != 1 {
			t.Fatalf("paired %v, asked %d times: %v", report.Paired, asked, err)
		}
	}
	sulking := errors.New("the owner is not at home")
	for name, c := range map[string]struct {
		pin  func() (string, error)
		want string
	}{
		"wrong PIN":    {func() (string, error) { return "x" + <-r.pin, nil }, "pair-setup-pin: the receiver answers 4"},
		"nobody there": {func() (string, error) { return "", sulking }, sulking.Error()},
		"no PIN":       {nil, "pair-verify: the receiver answers 470"},
	} {
		_, err := r.mirror(Options{Picture: small(t, 3), Fast: true, PIN: c.pin, Device: "02:00:00:00:00:08"})
		if err == nil || !strings.HasPrefix(err.Error(), "pairing: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// steps are the requests of a session by what the phone calls the step.
var steps = map[string]string{
	"GET /info": "info: ", "POST /fp-setup": "FairPlay: ", "SETUP": "SETUP: ", "GET_PARAMETER": "volume: ", "RECORD": "RECORD: ",
	"SETUP 110": "picture: ", "SETUP 96": "sound: ", "TEARDOWN": "TEARDOWN ",
}

// At whatever step a receiver refuses, hangs up or answers rubbish: the phone
// says where and why, asks no more and leaves nothing behind.
func TestDifficultReceivers(t *testing.T) {
	goroutines, descriptors := held(t)
	for name, c := range map[string]struct {
		do   step
		want string // in the error
	}{
		"refuses":         {refuse(453), "the receiver answers 453 Not Enough Bandwidth"},
		"vanishes":        {say(""), "EOF"},
		"answers rubbish": {say("<html>\r\n\r\n"), "rtsp"},
		"answers halves":  {say("RTSP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nbplist00"), "EOF"},
		"answers too much": {func(*rtsp.Request) (*rtsp.Response, string) {
			return nil, "RTSP/1.0 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"
		}, "rtsp"},
	} {
		for request, prefix := range steps {
			r := newPartner(t)
			r.script[request] = c.do
			r.start()
			_, err := r.mirror(Options{Picture: small(t, 3), Sound: tone(t, audio.AACELD)})
			if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s at %s: %v", name, request, err)
			}
			r.stop() // which waits for its connections: the phone has closed them
			if last := r.requests[len(r.requests)-1]; last != request {
				t.Errorf("%s at %s: asked %s afterwards", name, request, last)
			}
		}
	}
	nothingHeld(t, goroutines, descriptors)
}

// Answers in the right form that make no sense.
func TestSenselessAnswers(t *testing.T) {
	reply := func(dataPort int) []byte {
		return (&message.SetupReply{Streams: []message.StreamReply{{Type: message.StreamMirror, DataPort: dataPort}}}).Encode()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		request string
		body    []byte
		want    string
	}{
		"info no plist":         {"GET /info", []byte("Living Room"), "info: message: "},
		"info of wrong types":   {"GET /info", message.Encode(map[string]any{"name": 5}), "info: message: "},
		"FairPlay of 141":       {"POST /fp-setup", make([]byte, 141), "reply to m1 is 141 bytes"},
		"SETUP without streams": {"SETUP 110", message.Encode(map[string]any{"x": 1}), "picture: the receiver opens no stream of type 110"},
		"SETUP of another":      {"SETUP 110", (&message.SetupReply{Streams: []message.StreamReply{{Type: 96, DataPort: 5}}}).Encode(), "picture: the receiver opens no stream"},
		"SETUP without a port":  {"SETUP 110", reply(0), "picture: the receiver opens no stream"},
		"SETUP port 70000":      {"SETUP 110", reply(70000), "picture: message: "},
		"SETUP closed port":     {"SETUP 110", reply(port(closed.Addr())), "connection refused"},
		"SETUP no plist":        {"SETUP", []byte("yes"), "SETUP: message: "},
	} {
		r := newPartner(t)
		r.script[c.request] = answerWith(c.body)
		r.start()
		if _, err := r.mirror(Options{Picture: small(t, 3), Fast: true}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A receiver that is lost in mid-stream ends the session with the reason.
func TestReceiverLostInMidStream(t *testing.T) {
	r := newPartner(t)
	r.enough = 10
	r.start()
	_, err := r.mirror(Options{Picture: small(t, 0), Sound: tone(t, audio.AACELD)})
	if err == nil || !strings.Contains(err.Error(), "the picture's connection") {
		t.Errorf("the session ended with %v", err)
	}
	r.stop()
	if slices.Contains(r.requests, "TEARDOWN") {
		t.Error("what is broken was torn down")
	}
}

// Ctrl-C ends a session in order, and the attempt to begin one at once.
func TestCancelled(t *testing.T) {
	r := newPartner(t)
	r.start()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := Mirror(ctx, Options{Address: r.ln.Addr().String(), Picture: small(t, 0), Sound: tone(t, audio.ALAC)}); err != nil {
		t.Errorf("a session that is ended: %v", err)
	}
	if last := r.requests[len(r.requests)-1]; last != "TEARDOWN" {
		t.Errorf("the last request was %s", last)
	}
	silent := newPartner(t)
	hold := make(chan struct{})
	defer close(hold)
	silent.script["GET /info"] = func(*rtsp.Request) (*rtsp.Response, string) { <-hold; return nil, "" }
	silent.start()
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Mirror(ctx, Options{Address: silent.ln.Addr().String(), Picture: small(t, 3)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a receiver that is silent: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it was waited for for %v", d)
	}
}

// The report reads the same as text and as JSON.
func TestReport(t *testing.T) {
	var r Report
	r.Receiver.Name, r.Receiver.Model, r.Receiver.Version = "Living Room", "AppleTV3,2", "220.68"
	r.Pictures, r.PictureBytes, r.SoundPackets, r.SoundLost = 600, 12_300_000, 5000, 100
	r.ResendAsked.Add(90)
	r.ResendSent.Add(80)
	r.Sent.Observe(2 * time.Millisecond)
	var text strings.Builder
	r.Print(&text)
	for _, want := range []string{"Living Room (AppleTV3,2/220.68)", "600 access units, 12.3 MB", "5000 packets, 100 lost on purpose, 90 asked for again, 80 sent again", "stamp to sent"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
	b, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Pictures int
		Asked    int `json:"resend_asked"`
		Lost     int `json:"sound_lost"`
		Stages   []Stage
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Pictures != 600 || m.Asked != 90 || m.Lost != 100 || len(m.Stages) != 1 || m.Stages[0].Count != 1 {
		t.Errorf("%s: %v", b, err)
	}
}
