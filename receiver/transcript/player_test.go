package transcript

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
	"aerie/receiver/session"
)

// nowhere takes media to nowhere, and tells what for. Of AirPlay 2, which is not
// played back, it has nothing.
type nowhere struct {
	session.Music
	opened func(session.Opening)
}

func (n nowhere) Open(o session.Opening) (session.Streams, error) { n.opened(o); return n, nil }
func (nowhere) Volume() float64                                   { return -15 }
func (nowhere) SetVolume(float64)                                 {}
func (nowhere) TimingPort() int                                   { return 7010 }
func (nowhere) Mirror(session.MirrorRequest) (int, error)         { return 7100, nil }
func (nowhere) Audio(session.AudioRequest) (int, int, error)      { return 6000, 6001, nil }
func (nowhere) CloseStream(int)                                   {}
func (nowhere) Latency() time.Duration                            { return 0 }
func (nowhere) Flush(seq uint16, rtp uint32, given bool)          {}
func (nowhere) NowPlaying(message.NowPlaying)                     {}
func (nowhere) Artwork(string, []byte)                            {}
func (nowhere) Progress(message.Progress)                         {}
func (nowhere) Active() clock.Time                                { return clock.Now() }
func (nowhere) Close()                                            {}

// A receiver is the receiver's half of conversations, on a port of its own.
type receiver struct {
	addr string
	key  keystore.Key
	stop func()
}

func startReceiver(t *testing.T, change func(*session.Server)) *receiver {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &session.Server{
		Capabilities: func() *message.Capabilities {
			return &message.Capabilities{DeviceID: "AA:BB:CC:DD:EE:FF", Name: "Test", Model: message.MirrorModel, Version: message.MirrorVersion,
				Features: message.Mirror.Features(message.Abilities{}), Display: message.Display{Width: 1920, Height: 1080, MaxFPS: 60}}
		},
		Authority: pairing.New(pairing.Config{Store: keystore.Volatile(nil), PIN: pairing.PINOff, Now: clock.Now, Wall: time.Now, Log: log}),
		Media:     nowhere{opened: func(session.Opening) {}}, Now: clock.Now, Log: log, Limits: rtsp.DefaultLimits, Timeouts: rtsp.DefaultTimeouts,
	}
	change(s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	r := &receiver{addr: ln.Addr().String(), key: keystore.Key(s.Authority.PublicKey())}
	var ended bool
	r.stop = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(r.stop)
	return r
}

// player returns a player that trusts the receiver.
func (r *receiver) player() *Player {
	return &Player{Dial: func() (net.Conn, error) { return net.Dial("tcp", r.addr) },
		Identity: ed25519.NewKeyFromSeed(make([]byte, 32)), Receiver: r.key}
}

// iPhone is a conversation of a phone with a receiver of another make.
func iPhone(t testing.TB) []Entry {
	t.Helper()
	f, err := os.Open("testdata/iphone14-ios16.2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// record plays a conversation to a receiver that writes it down.
func record(t *testing.T, entries []Entry) (file []byte, p *Player) {
	t.Helper()
	var b bytes.Buffer
	r := startReceiver(t, func(s *session.Server) { s.Recorder = NewRecorder(&b, zero, "test") })
	p = r.player()
	if err := p.Play(entries); err != nil {
		t.Fatal(err)
	}
	r.stop() // from now on nobody writes
	return b.Bytes(), p
}

// What a receiver recorded plays back at another, which has other keys, with
// the same answers; and what that one records is the same file, but for the
// first time, when pseudonyms take the place of those of another recorder.
func TestRecordingPlaysBack(t *testing.T) {
	file, p := record(t, iPhone(t))
	requests := p.Requests
	for generation := range 2 {
		entries, err := Read(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		again, p := record(t, entries)
		if len(p.Differences) > 0 || p.Requests != requests || requests < 15 {
			t.Errorf("%d requests of %d; %q", p.Requests, requests, p.Differences)
		}
		if a, b := sorted(file), sorted(again); generation > 0 && !slices.Equal(a, b) {
			t.Errorf("the recording of the recording differs:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		file = again
	}
}

// sorted returns the lines of a file in an order of their own, since two
// connections at once are written down as they come, without those that say
// which side was the first to close.
func sorted(file []byte) []string {
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, `"kind":"closed"`) })
	slices.Sort(lines)
	return lines
}

// The key that was taken out of a recording is replaced by one that goes with
// the FairPlay exchange of the player: the receiver finds it.
func TestPlayerHasAKeyOfItsOwn(t *testing.T) {
	for _, x := range replay.All()[:4] {
		var key [16]byte
		p := startReceiver(t, func(s *session.Server) { s.Media = nowhere{opened: func(o session.Opening) { key = o.Key }} }).player()
		step := func(m []byte) Entry {
			return Entry{Kind: Request, Method: "POST", Target: "/fp-setup", Proto: rtsp.RTSP, Body: &Body{Size: len(m), Head: hex.EncodeToString(m[:headBytes])}}
		}
		setup := Entry{Kind: Request, Method: "SETUP", Target: "rtsp://receiver/1", Proto: rtsp.RTSP, Body: &Body{Size: 1, Plist: map[string]any{
			"ekey": map[string]any{"data": strings.Repeat("00", 72)}, "eiv": map[string]any{"data": strings.Repeat("00", 16)}}}}
		if err := p.Play([]Entry{step(x.M1[:]), step(x.M3[:]), setup}); err != nil {
			t.Fatal(err)
		}
		mode := slices.IndexFunc(replay.All(), func(o replay.Exchange) bool { return o.Mode == x.Mode })
		if want := replay.All()[mode].Key; key != want {
			t.Errorf("mode %d: the receiver has the key %x, want %x", x.Mode, key, want)
		}
	}
}

// A receiver that answers otherwise is told apart, request by request, and the
// conversation goes on.
func TestDifferencesAreTold(t *testing.T) {
	file, _ := record(t, iPhone(t))
	entries, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	p := startReceiver(t, func(s *session.Server) { s.Password = pairing.NewPassword("open sesame", clock.Now).Digest }).player()
	if err := p.Play(entries); err != nil {
		t.Fatal(err)
	}
	if len(p.Differences) == 0 || !slices.ContainsFunc(p.Differences, func(d string) bool {
		return strings.HasPrefix(d, "SETUP ") && strings.Contains(d, "status 401, recorded 200")
	}) {
		t.Errorf("a password that is suddenly wanted: %q", p.Differences)
	}
}

// scripted returns a player whose receiver gives the same answer to whatever
// it is asked, and then hangs up if the answer is empty.
func scripted(answer string) *Player {
	return &Player{Identity: ed25519.NewKeyFromSeed(make([]byte, 32)), Dial: func() (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			var q rtsp.Request
			for r := rtsp.NewReader(theirs, rtsp.DefaultLimits); r.ReadRequest(&q) == nil && answer != ""; {
				if _, err := io.WriteString(theirs, answer); err != nil {
					return
				}
			}
		}()
		return ours, nil
	}}
}

func exchange(status int, b *Body) []Entry {
	return []Entry{
		{Conn: 1, Kind: Request, Method: "GET", Target: "/info", Proto: rtsp.RTSP, Header: [][2]string{{"CSeq", "7"}}},
		{Conn: 1, Kind: Response, Proto: rtsp.RTSP, Status: status, Body: b},
		{Conn: 1, Kind: Closed},
	}
}

func answer(status string, body string) string {
	return string((&rtsp.Response{Proto: rtsp.RTSP, Status: map[string]int{"ok": 200, "no": 404}[status], Body: []byte(body)}).Append(nil))
}

func TestCompare(t *testing.T) {
	plist := string(message.Encode(map[string]any{"name": "TV", "extra": 1}))
	wanted := func(keys ...string) *Body {
		b := &Body{Size: 9, Plist: map[string]any{}}
		for _, k := range keys {
			b.Plist[k] = "x"
		}
		return b
	}
	for name, c := range map[string]struct {
		answer   string
		recorded []Entry
		want     []string
	}{
		"the same":       {answer("ok", plist), exchange(200, wanted("name")), nil},
		"without a body": {answer("ok", ""), exchange(200, nil), nil},
		"other bytes":    {answer("ok", "abc"), exchange(200, &Body{Size: 5}), nil},
		"status":         {answer("no", plist), exchange(200, wanted("name")), []string{"status 404, recorded 200"}},
		"status, wanted": {answer("ok", ""), exchange(404, nil), []string{"status 200, recorded 404"}},
		"no body":        {answer("ok", ""), exchange(200, wanted("name")), []string{"a body of 0 bytes, recorded true"}},
		"a body":         {answer("ok", plist), exchange(200, nil), []string{"recorded false"}},
		"keys":           {answer("ok", plist), exchange(200, wanted("pi", "name", "model")), []string{`lacks "model"`, `lacks "pi"`}},
		"no plist":       {answer("ok", "bplist00 not"), exchange(200, wanted("name")), []string{"property list"}},
	} {
		p := scripted(c.answer)
		if err := p.Play(c.recorded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ok := len(p.Differences) == len(c.want) && p.Requests == 1
		for i := range min(len(p.Differences), len(c.want)) {
			ok = ok && strings.HasPrefix(p.Differences[i], "GET /info (CSeq 7): ") && strings.Contains(p.Differences[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", name, p.Differences, c.want)
		}
	}
}

// A conversation that cannot be held to its end says at which line and why.
func TestBrokenConversations(t *testing.T) {
	head := func(kind Kind, path string, b *Body) []Entry {
		return []Entry{{Kind: About}, {Conn: 1, Kind: kind, Method: "POST", Target: path, Proto: rtsp.RTSP, Body: b}}
	}
	ok := answer("ok", "")
	for name, c := range map[string]struct {
		answer  string
		entries []Entry
		want    string
	}{
		"hangs up":         {"", exchange(200, nil), "line 1: no answer to GET /info (CSeq 7)"},
		"answers rubbish":  {"hello\r\n\r\n", exchange(200, nil), "line 1: no answer to GET /info (CSeq 7)"},
		"half an answer":   {"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", exchange(200, nil), "line 1: no answer"},
		"verifies badly":   {answer("ok", "short"), head(Request, "/pair-verify", nil), "line 2: "},
		"sets up badly":    {answer("ok", "short"), head(Request, "/pair-setup", nil), "line 2: "},
		"head not hex":     {ok, head(Request, "/x", &Body{Size: 9, Head: "zz"}), `a body of 9 bytes that begins with "zz"`},
		"head beyond size": {ok, head(Request, "/x", &Body{Size: 1, Head: "0102"}), "a body of 1 bytes"},
		"size of 2^40":     {ok, head(Request, "/x", &Body{Size: 1 << 40}), "a body of 1099511627776 bytes"},
		"size of -1":       {ok, head(Request, "/x", &Body{Size: -1}), "a body of -1 bytes"},
		"short FairPlay":   {ok, head(Request, "/fp-setup", &Body{Size: 16, Head: "46504c59"}), "an fp-setup that begins with"},
		"odd plist":        {ok, head(Request, "/x", &Body{Plist: map[string]any{"a": map[string]any{"b": 1.0}}}), `(key "a")`},
	} {
		err := scripted(c.answer).Play(c.entries)
		if err == nil || !strings.HasPrefix(err.Error(), "transcript: line ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	down := errors.New("no route to host")
	p := &Player{Dial: func() (net.Conn, error) { return nil, down }}
	if err := p.Play(exchange(200, nil)); !errors.Is(err, down) {
		t.Errorf("a receiver that is not there: %v", err)
	}
}

// A receiver that says nothing is not waited for for ever.
func TestSilentReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		defer theirs.Close()
		p := &Player{Identity: ed25519.NewKeyFromSeed(make([]byte, 32)), Dial: func() (net.Conn, error) { return ours, nil }}
		began := time.Now()
		if err := p.Play(exchange(200, nil)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if d := time.Since(began); d > 2*time.Minute {
			t.Errorf("it was waited for for %v", d)
		}
	})
}

// What comes out of order, or of connections that never were, is passed over.
func TestOddOrder(t *testing.T) {
	p := scripted(answer("ok", ""))
	entries := []Entry{{Conn: 5, Kind: Response, Status: 200}, {Conn: 6, Kind: Closed}, {Kind: "new kind"}}
	once := exchange(200, nil)
	entries = append(entries, once[0], once[1], Entry{Conn: 1, Kind: Response, Status: 500}, once[2])
	entries = append(entries, once...) // the same connection, anew
	if err := p.Play(entries); err != nil || p.Requests != 2 || len(p.Differences) > 0 {
		t.Errorf("%v, %d requests, %q", err, p.Requests, p.Differences)
	}
}

// FuzzPlay plays whatever is a transcript to a receiver that agrees to all.
func FuzzPlay(f *testing.F) {
	for _, e := range []string{
		`{"conn":1,"kind":"request","method":"GET","target":"/info","proto":"RTSP/1.0"}`,
		`{"conn":1,"kind":"request","method":"POST","target":"/fp-setup","body":{"size":16,"head":"46504c59030101000000000402000300"}}`,
		`{"conn":1,"kind":"request","method":"POST","target":"/fp-setup","body":{"size":164,"head":"46504c59030101000000000402000300"}}`,
		`{"conn":2,"kind":"request","method":"SETUP","target":"rtsp://receiver/1","body":{"size":9,"plist":{"ekey":{"data":"00"},"n":{"int":"5"}}}}`,
		`{"conn":1,"kind":"request","method":"POST","target":"/pair-verify"}`,
		`{"conn":1,"kind":"response","status":200,"body":{"size":5,"plist":{"a":"b"}}}`,
		`{"conn":1,"kind":"closed"}`,
	} {
		f.Add([]byte(e + "\n" + e))
	}
	plist := answer("ok", string(message.Encode(map[string]any{"a": "b"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := Read(bytes.NewReader(b))
		if err != nil || len(entries) > 20 {
			return
		}
		p := scripted(plist)
		if err := p.Play(entries); err == nil && p.Requests > len(entries) {
			t.Errorf("%d requests of %d lines", p.Requests, len(entries))
		}
	})
}
