package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/rtsp"
)

// A stranger speaks to the receiver without the manners of package phone: it
// says what a test wants, in whatever order, and has no User-Agent.
type stranger struct {
	t     *testing.T
	addr  string
	nc    *net.TCPConn // control connection
	conn  *rtsp.Conn
	seq   int
	conns []*net.TCPConn // all of them
}

func (g *rig) stranger(t *testing.T) *stranger {
	t.Helper()
	s := &stranger{t: t, addr: g.addr}
	s.nc = s.dial(g.addr)
	s.conn = rtsp.NewConn(s.nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
	return s
}

func (s *stranger) dial(addr string) *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.conns = append(s.conns, c.(*net.TCPConn))
	return c.(*net.TCPConn)
}

// gone ends all connections in order, abort as a battery that is empty does.
func (s *stranger) gone() {
	for _, c := range s.conns {
		c.Close()
	}
}

func (s *stranger) abort() {
	for _, c := range s.conns {
		_ = c.SetLinger(0)
	}
	s.gone()
}

// write sends bytes on the control connection, or what of them the receiver
// takes.
func (s *stranger) write(b []byte) {
	_ = s.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, _ = s.nc.Write(b)
}

// ask sends a request and returns the answer, nil if there is none.
func (s *stranger) ask(method, target string, body []byte) *rtsp.Response {
	q := &rtsp.Request{Method: method, Target: target, Proto: rtsp.RTSP, Header: rtsp.Header{{Name: "CSeq", Value: fmt.Sprint(s.seq)}}, Body: body}
	s.seq++
	var p rtsp.Response
	if s.conn.WriteRequest(q) != nil || s.conn.ReadResponse(&p) != nil {
		return nil
	}
	return &p
}

// expect complains unless a request is answered, at once, with one of the
// states.
func (s *stranger) expect(method, target string, body []byte, status ...int) *rtsp.Response {
	s.t.Helper()
	began := time.Now()
	p := s.ask(method, target, body)
	if d := time.Since(began); d > answeredWithin {
		s.t.Errorf("%s %s: answered after %v", method, target, d)
	}
	if p == nil || !slices.Contains(status, p.Status) {
		s.t.Errorf("%s %s: answered with %+v, want %v", method, target, p, status)
		return &rtsp.Response{}
	}
	return p
}

const strangersURL = "rtsp://192.0.2.1/4711"

func (s *stranger) setup(m map[string]any, status ...int) *rtsp.Response {
	s.t.Helper()
	return s.expect("SETUP", strangersURL, message.Encode(m), status...)
}

// fairplay makes the handshake that goes before a SETUP.
func (s *stranger) fairplay() {
	s.t.Helper()
	x := replay.All()[0]
	s.expect("POST", "/fp-setup", x.M1[:], 200)
	s.expect("POST", "/fp-setup", x.M3[:], 200)
}

// sessionKeys is the body of a session SETUP as an iPhone sends it.
func sessionKeys() map[string]any {
	return map[string]any{"et": 32, "ekey": replay.All()[0].EKey[:], "eiv": make([]byte, 16), "timingProtocol": "NTP", "timingPort": 5,
		"deviceID": "02:00:00:00:00:66", "macAddress": "02:00:00:00:00:66", "model": "iPhone14,5", "name": "Stranger", "osName": "iPhone OS",
		"osVersion": "16.2", "osBuildVersion": "20C65", "sourceVersion": "670.6.2", "sessionUUID": "0", "isScreenMirroringSession": true}
}

func pictureKeys() map[string]any {
	return map[string]any{"type": 110, "streamConnectionID": 5, "latencyMs": 90}
}

func soundKeys() map[string]any {
	return map[string]any{"type": 96, "ct": 8, "spf": 480, "sr": 44100, "audioFormat": 0x1000000, "audioMode": "default", "controlPort": 5,
		"latencyMin": 11025, "latencyMax": 88200, "redundantAudio": 2, "isMedia": true, "usingScreen": true}
}

func streams(entries ...any) map[string]any { return map[string]any{"streams": entries} }

// without returns a copy that lacks a key.
func without(m map[string]any, key string) map[string]any {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// picture opens a session with a picture and returns its connection.
func (s *stranger) picture() *net.TCPConn {
	s.t.Helper()
	s.fairplay()
	s.setup(sessionKeys(), 200)
	p, err := message.ParseSetupReply(s.setup(streams(pictureKeys()), 200).Body)
	if err != nil || len(p.Streams) != 1 {
		s.t.Fatalf("no picture: %+v, %v", p, err)
	}
	host, _, _ := net.SplitHostPort(s.addr)
	return s.dial(net.JoinHostPort(host, fmt.Sprint(p.Streams[0].DataPort)))
}

// packet is one of the picture's connection, with the size that it claims.
func packet(kind mirror.Type, size uint32, payload []byte) []byte {
	h := mirror.Header{Size: size, Type: kind, Option: mirror.Option(false, false)}
	b := make([]byte, mirror.HeaderSize)
	h.Put((*[mirror.HeaderSize]byte)(b))
	return append(b, payload...)
}

// referenceBomb is a property list of 121 bytes that is 80 million objects
// when its references are followed: arrays of arrays, four times the same.
func referenceBomb() []byte {
	b := append([]byte("bplist00"), 0x09)
	table := []byte{8}
	for level := range byte(13) {
		many := 4
		if level == 12 {
			many = 5
		}
		table = append(table, byte(len(b)))
		b = append(b, 0xa0|byte(many))
		for range many {
			b = append(b, level)
		}
	}
	return trailer(b, table, 1, 14)
}

// nestedList is a property list of so many arrays within each other.
func nestedList(levels int) []byte {
	b := append([]byte("bplist00"), 0x09)
	table := binary.BigEndian.AppendUint32(nil, 8)
	for level := range levels {
		table = binary.BigEndian.AppendUint32(table, uint32(len(b)))
		b = binary.BigEndian.AppendUint32(append(b, 0xa1), uint32(level))
	}
	return trailer(b, table, 4, levels+1)
}

// trailer ends a property list whose last object is its top.
func trailer(b, table []byte, size byte, objects int) []byte {
	start := len(b)
	b = append(append(b, table...), 0, 0, 0, 0, 0, 0, size, size)
	for _, v := range []int{objects, objects - 1, start} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}
