package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/codec/h264"
	"aerie/receiver/config"
	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/rtsp"
)

// answeredWithin is how soon a sender must be answered, a hostile one and
// another beside it. On a machine of its own that is a millisecond; what is to be
// caught is a receiver that waits for a stranger.
const answeredWithin = time.Second

// survives makes sure that after an attack, with the stranger still there,
// another sender is answered at once, and that a whole session plays when the
// stranger has gone.
func (g *rig) survives(t *testing.T, s *stranger) {
	t.Helper()
	other := g.stranger(t)
	defer other.gone()
	other.expect("GET", "/info", nil, 200)
	s.gone()
	if _, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 60, 4), Sound: tone(t, audio.AACELD), Device: "02:00:00:00:00:01"}); err != nil {
		t.Errorf("the next session: %v", err)
	}
}

// maxGrowth is by how many bytes the process may have grown after a hundred
// attacks. It is a few megabytes; the race detector needs more for itself, and
// what is to be caught would be gigabytes.
const maxGrowth = 96 << 20

// residentMemory is how much memory the process has, in bytes (proc(5), statm).
func residentMemory(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// attacks runs each attack on a receiver that decodes what it gets, and at the
// end nothing is held that was not held before, memory not either.
func attacks(t *testing.T, all map[string]func(s *stranger)) {
	g := newMeasuredRig(t)
	g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 60, 4), Sound: tone(t, audio.AACELD)})
	before, memory := count(t), residentMemory(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			s := g.stranger(t)
			defer s.gone()
			all[name](s)
			g.survives(t, s)
		})
	}
	before.settle(t)
	if grown := residentMemory(t) - memory; grown > maxGrowth {
		t.Errorf("the process has grown by %d MB", grown>>20)
	}
	if bytes.Contains([]byte(g.log.String()), []byte("fault while answering")) {
		t.Error("a fault of ours, see the log")
	}
}

// What today's receivers of this kind die of, hang on or stall for, on the
// control connection.
func TestHostileControl(t *testing.T) {
	verify := append([]byte{1, 0, 0, 0}, make([]byte, 64)...)
	x := replay.All()[0]
	all := map[string]func(s *stranger){
		"no User-Agent": func(s *stranger) {
			s.write([]byte("GET /info RTSP/1.0\r\nCSeq: 0\r\n\r\n"))
			var p rtsp.Response
			if err := s.conn.ReadResponse(&p); err != nil || p.Status != 200 {
				s.t.Errorf("%d, %v", p.Status, err)
			}
		},
		"X25519 point of zeros":   func(s *stranger) { s.expect("POST", "/pair-verify", verify, 400) },
		"reference bomb":          func(s *stranger) { s.expect("SETUP", strangersURL, referenceBomb(), 400) },
		"nested 100000 deep":      func(s *stranger) { s.expect("SETUP", strangersURL, nestedList(100_000), 400) },
		"bomb for a qualifier":    func(s *stranger) { s.expect("GET", "/info", referenceBomb(), 400) },
		"nested for a PIN":        func(s *stranger) { s.expect("POST", "/pair-setup-pin", nestedList(100_000), 400) },
		"nested for a TEARDOWN":   func(s *stranger) { s.expect("TEARDOWN", strangersURL, nestedList(100_000), 400) },
		"request byte by byte":    byteByByte,
		"18 idle connections":     func(s *stranger) { idle(s, 18) },
		"200 idle connections":    func(s *stranger) { idle(s, 200) },
		"SETUP in a short packet": func(s *stranger) { s.write([]byte("SETUP rtsp://1/1 RTSP/1.0\r\nContent-Length: 500\r\n\r\nbplist00")) },
	}
	for n := range 3 {
		all[fmt.Sprintf("%d bytes and silence", n+1)] = func(s *stranger) { s.write([]byte("GET")[:n+1]) }
	}
	for _, n := range []int{0, 1, 15, 16, 71, 73, 1000} {
		all[fmt.Sprintf("ekey of %d bytes", n)] = func(s *stranger) {
			s.fairplay()
			m := sessionKeys()
			m["ekey"] = append(bytes.Clone(x.EKey[:]), make([]byte, 1000)...)[:n]
			s.setup(m, 400)
		}
	}
	for _, n := range []int{0, 1, 15, 17, 1000} {
		all[fmt.Sprintf("eiv of %d bytes", n)] = func(s *stranger) {
			s.fairplay()
			m := sessionKeys()
			m["eiv"] = make([]byte, n)
			s.setup(m, 400)
		}
	}
	attacks(t, all)
}

// byteByByte sends a whole handshake a byte at a time, and is understood.
func byteByByte(s *stranger) {
	x := replay.All()[0]
	for n, body := range [][]byte{x.M1[:], x.M3[:]} {
		q := rtsp.Request{Method: "POST", Target: "/fp-setup", Proto: rtsp.RTSP, Header: rtsp.Header{{Name: "CSeq", Value: fmt.Sprint(n)}}, Body: body}
		for _, b := range q.Append(nil) {
			s.write([]byte{b})
		}
		var p rtsp.Response
		if err := s.conn.ReadResponse(&p); err != nil || p.Status != 200 || p.Header.Get("CSeq") != fmt.Sprint(n) {
			s.t.Errorf("request %d: %d, %v", n, p.Status, err)
		}
	}
}

func idle(s *stranger, connections int) {
	for range connections {
		s.dial(s.addr)
	}
}

// SETUP without one of its keys, and with one of another type, of the session
// and of each stream: an answer that is no fault of ours. What a key says
// decides whether the session can do without it.
func TestHostileSetup(t *testing.T) {
	t.Parallel()
	states := []int{200, 400}
	all := map[string]func(s *stranger){}
	change := func(what string, keys map[string]any, setup func(s *stranger, m map[string]any)) {
		for key := range keys {
			all[fmt.Sprintf("%s without %s", what, key)] = func(s *stranger) { setup(s, without(keys, key)) }
			for name, value := range map[string]any{"a list": []any{"x"}, "a dictionary": map[string]any{"x": 1}, "a negative": -1, "huge": int64(1) << 62} {
				all[fmt.Sprintf("%s with %s for %s", what, name, key)] = func(s *stranger) {
					m := maps.Clone(keys)
					m[key] = value
					setup(s, m)
				}
			}
		}
	}
	change("session", sessionKeys(), func(s *stranger, m map[string]any) {
		s.fairplay()
		s.setup(m, states...)
		s.expect("RECORD", strangersURL, nil, 200, 455)
	})
	for what, keys := range map[string]map[string]any{"picture": pictureKeys(), "sound": soundKeys()} {
		change(what, keys, func(s *stranger, m map[string]any) {
			s.fairplay()
			s.setup(sessionKeys(), 200)
			s.setup(streams(m), states...)
		})
	}
	all["streams of other types"] = func(s *stranger) {
		s.fairplay()
		s.setup(sessionKeys(), 200)
		s.setup(streams("110"), 400)
		s.setup(streams(), 200)
		s.setup(map[string]any{"streams": 110}, 400)
		s.setup(streams(map[string]any{"type": 4711}), 200)
		s.setup(streams(slices.Repeat([]any{pictureKeys()}, 100)...), 400)
	}
	attacks(t, all)
}

// Sizes and lengths on the picture's connection that are not those of what
// follows.
func TestHostilePackets(t *testing.T) {
	conf := func(change func(b []byte)) []byte {
		sps, pps := testPattern(t, 160, 120, 30, 1).Parameters()
		c, err := h264.NewConfig([][]byte{sps}, [][]byte{pps})
		if err != nil {
			t.Fatal(err)
		}
		b := c.Append(nil)
		change(b)
		return b
	}
	sps, _ := testPattern(t, 160, 120, 30, 1).Parameters()
	good := conf(func([]byte) {})
	all := map[string]func(s *stranger){}
	for name, b := range map[string][]byte{
		"SPS beyond the packet":    conf(func(b []byte) { b[6], b[7] = 0xff, 0xff }),
		"SPS one byte beyond":      conf(func(b []byte) { b[7] = byte(len(b) - 8 + 1) }),
		"PPS beyond the packet":    conf(func(b []byte) { b[8+len(sps)+1], b[8+len(sps)+2] = 0xff, 0xff }),
		"31 SPS and no more bytes": conf(func(b []byte) { b[5] = 0xff }),
		"SPS of no bytes":          conf(func(b []byte) { b[6], b[7] = 0, 0 }),
		"seven bytes":              good[:7],
		"one byte":                 good[:1],
	} {
		all[name] = func(s *stranger) {
			c := s.picture()
			_, _ = c.Write(packet(mirror.Codec, uint32(len(b)), b))
			_, _ = c.Write(packet(mirror.VideoIDR, 100, make([]byte, 100)))
		}
	}
	for kind, name := range map[mirror.Type]string{mirror.Video: "picture", mirror.VideoIDR: "key picture", mirror.Codec: "codec packet",
		mirror.Heartbeat: "heartbeat", mirror.Report: "report", 0xffff: "packet of no known type"} {
		for _, size := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
			all[fmt.Sprintf("%s of %d bytes", name, size)] = func(s *stranger) {
				c := s.picture()
				_, _ = c.Write(packet(mirror.Codec, uint32(len(good)), good))
				_, _ = c.Write(packet(kind, size, make([]byte, 1000)))
			}
		}
	}
	all["header and silence"] = func(s *stranger) { _, _ = s.picture().Write(packet(mirror.Video, 5000, nil)) }
	all["half a header"] = func(s *stranger) { _, _ = s.picture().Write(make([]byte, mirror.HeaderSize/2)) }
	attacks(t, all)
}

// A sender that is lost in mid-stream, one connection first or all at once, is
// followed by another on the spot.
func TestAbortedSessions(t *testing.T) {
	sps, pps := testPattern(t, 160, 120, 30, 1).Parameters()
	c, err := h264.NewConfig([][]byte{sps}, [][]byte{pps})
	if err != nil {
		t.Fatal(err)
	}
	codec := c.Append(nil)
	stream := func(s *stranger) {
		_, _ = s.picture().Write(packet(mirror.Codec, uint32(len(codec)), codec))
		s.setup(streams(soundKeys()), 200)
		s.expect("RECORD", strangersURL, nil, 200)
	}
	all := map[string]func(s *stranger){
		"control connection lost":  func(s *stranger) { stream(s); s.nc.Close() },
		"control connection reset": func(s *stranger) { stream(s); _ = s.nc.SetLinger(0); s.nc.Close() },
		"picture lost":             func(s *stranger) { stream(s); s.conns[1].Close() },
		"all reset":                func(s *stranger) { stream(s); s.abort() },
		"torn down and reset":      func(s *stranger) { stream(s); s.expect("TEARDOWN", strangersURL, nil, 200); s.abort() },
		"set up twice": func(s *stranger) {
			stream(s)
			s.setup(sessionKeys(), 200)
			s.setup(streams(pictureKeys()), 200)
		},
	}
	for n := range 10 {
		all[fmt.Sprintf("the next at once, %d", n)] = func(s *stranger) { stream(s); s.abort() }
	}
	attacks(t, all)
}

// A proof that is longer than any: other receivers overflow their stack before
// they know who is there. The PIN still opens the door afterwards.
func TestHostileProof(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Access.PIN = "once" })
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	me := func() phone.Options {
		return phone.Options{Picture: testPattern(t, 160, 120, 60, 4), Sound: tone(t, audio.AACELD), Identity: key, PIN: g.pinFromLog}
	}
	g.mirror(me())
	before := count(t)
	for _, n := range []int{0, 1, 19, 21, 64, 65, 256, 5000, 1 << 19} {
		s := g.stranger(t)
		s.expect("POST", "/pair-pin-start", nil, 200)
		hello := message.PINSetup{Method: "pin", User: "02:00:00:00:00:66"}
		s.expect("POST", "/pair-setup-pin", hello.Encode(), 200)
		proof := message.PINSetup{PublicKey: bytes.Repeat([]byte{7}, 256), Proof: make([]byte, n)}
		s.expect("POST", "/pair-setup-pin", proof.Encode(), 400)
		other := g.stranger(t)
		other.expect("GET", "/info", nil, 200)
		other.gone()
		s.gone()
		g.mirror(me())
	}
	// Nobody was let in, and the one who sees the screen still is.
	_, key, err = ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.mirror(me())
	before.settle(t)
}
