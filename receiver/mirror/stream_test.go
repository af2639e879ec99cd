package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// memory is a Sink that keeps what it gets.
type memory struct {
	pictures [][]byte
	events   []string
	lent     int
	refuse   error
	buf      []byte
}

type heap struct {
	m *memory
	b []byte
}

func (h heap) Bytes() []byte { return h.b }
func (h heap) Release()      { h.m.lent-- }

func (m *memory) Buffer(n int) (Buffer, error) {
	if m.refuse != nil {
		return nil, m.refuse
	}
	m.lent++
	return heap{m, make([]byte, n)}, nil
}

func (m *memory) Picture(b Buffer, au *AccessUnit) {
	m.pictures = append(m.pictures, bytes.Clone(au.Data))
	m.events = append(m.events, fmt.Sprintf("picture %d of %d bytes, idr %v, new %v, at %v", au.Number, len(au.Data), au.IDR, au.New, au.Time.Sub(0)))
	b.Release()
}
func (m *memory) Pause(p bool) { m.events = append(m.events, fmt.Sprintf("pause %v", p)) }
func (m *memory) End()         { m.events = append(m.events, "end") }

// script makes the bytes of a connection.
type script struct {
	bytes.Buffer
	encrypt func([]byte)
	at      time.Duration
}

func newScript(key [16]byte, id uint64) *script {
	ks := Keystream(key, id)
	return &script{encrypt: func(b []byte) { ks.XORKeyStream(b, b) }}
}

func (s *script) packet(t Type, option uint16, payload []byte) {
	var b [HeaderSize]byte
	s.at += 16 * time.Millisecond
	h := Header{Size: uint32(len(payload)), Type: t, Option: option, Time: clock.Remote(s.at)}
	h.Put(&b)
	s.Write(b[:])
	if t == Video || t == VideoIDR {
		payload = bytes.Clone(payload)
		s.encrypt(payload)
	}
	s.Write(payload)
}

// unit makes an access unit of one slice.
func unit(nalType byte, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(n))
	b = append(b, nalType, 0x88)
	for len(b) < 4+n {
		b = append(b, byte(len(b)))
	}
	return b
}

// run plays a connection into a Stream, in pieces of n bytes.
func run(t *testing.T, in []byte, pieces int, key [16]byte, m *memory, allow func(*Parameters) error) (*Stats, error) {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		for len(in) > 0 {
			n := min(pieces, len(in))
			if _, err := client.Write(in[:n]); err != nil {
				break
			}
			in = in[n:]
		}
		client.Close()
	}()
	defer server.Close()
	st := &Stats{}
	s := &Stream{Conn: server, Cipher: NewCTR(key, 7), Sink: m, Stats: st, Now: clock.Now, Allow: allow}
	err := s.Run()
	if m.lent != 0 {
		t.Errorf("%d buffers are still lent", m.lent)
	}
	return st, err
}

func TestSession(t *testing.T) {
	key := [16]byte{9}
	s := newScript(key, 7)
	idr, p := unit(0x65, 5000), unit(0x41, 300)
	s.packet(Heartbeat, 0x001e, nil)
	s.packet(Codec, 0x0116, capturedCodec(t))
	s.packet(VideoIDR, 0x0116, idr)
	s.packet(Video, 0x0116, p)
	s.packet(Report, 0, make([]byte, 25000))
	s.packet(Video, 0x0116, append(unit(0x06, 20), p...)) // SEI first, as some Macs send it
	s.packet(Codec, 0x0116, capturedCodec(t))             // the same again
	s.packet(Video, 0x0116, idr)
	s.packet(Codec, 0x0156, capturedCodec(t)) // the phone is locked
	s.packet(Codec, 0x0116, rotated(t))
	s.packet(Video, 0x0116, idr)
	s.packet(99, 0, []byte("a packet of another year"))
	s.packet(Video, 0x0116, p)
	want := []string{
		"picture 0 of 5004 bytes, idr true, new true, at 48ms",
		"picture 1 of 304 bytes, idr false, new false, at 64ms",
		"picture 2 of 328 bytes, idr false, new false, at 96ms",
		"picture 3 of 5004 bytes, idr true, new false, at 128ms",
		"pause true",
		"pause false",
		"picture 4 of 5004 bytes, idr true, new true, at 176ms",
		"picture 5 of 304 bytes, idr false, new false, at 208ms",
		"end",
	}
	for _, pieces := range []int{1 << 20, 1000, 1} {
		m := &memory{}
		st, err := run(t, s.Bytes(), pieces, key, m, nil)
		if err != io.EOF {
			t.Errorf("in pieces of %d: %v", pieces, err)
		}
		if got := strings.Join(m.events, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("in pieces of %d:\n%s", pieces, got)
		}
		if !bytes.Equal(m.pictures[0], idr) || !bytes.Equal(m.pictures[1], p) {
			t.Error("pictures differ from what was sent")
		}
		if st.Pictures.Value() != 6 || st.Codec.Value() != 4 || st.Heartbeats.Value() != 1 || st.Reports.Value() != 1 || st.Unknown.Value() != 1 {
			t.Errorf("counted %d pictures, %d codec, %d heartbeats, %d reports, %d unknown", st.Pictures.Value(), st.Codec.Value(), st.Heartbeats.Value(), st.Reports.Value(), st.Unknown.Value())
		}
	}
}

// rotated is the captured codec packet with another PPS: a new stream.
func rotated(t testing.TB) []byte {
	b := capturedCodec(t)
	b[len(b)-1] ^= 0x10
	return b
}

func header(size uint32, typ Type) []byte {
	var b [HeaderSize]byte
	h := Header{Size: size, Type: typ}
	h.Put(&b)
	return b[:]
}

func TestHostileConnections(t *testing.T) {
	key := [16]byte{9}
	start := func() *script {
		s := newScript(key, 7)
		s.packet(Codec, 0x0116, capturedCodec(t))
		return s
	}
	wrong := func(s *script) { s.encrypt = func(b []byte) {} }
	cases := map[string]struct {
		build func(s *script)
		want  string // in the error; "" for a plain end
	}{
		"picture of 2^31 bytes":      {func(s *script) { s.Write(header(1<<31, Video)) }, "limit"},
		"picture of 2^32-1 bytes":    {func(s *script) { s.Write(header(1<<32-1, Video)) }, "limit"},
		"picture of no bytes":        {func(s *script) { s.Write(header(0, Video)); s.packet(Video, 0x116, unit(0x65, 100)) }, ""},
		"codec packet of 2^31 bytes": {func(s *script) { s.Write(header(1<<31, Codec)) }, "limit"},
		"codec not offered":          {func(s *script) { s.Write(header(0, Codec)) }, "not offered"},
		"report of 2^31 bytes":       {func(s *script) { s.Write(header(1<<31, Report)) }, "limit"},
		"heartbeat of 2^30 bytes":    {func(s *script) { s.Write(header(1<<30, Heartbeat)) }, "limit"},
		"unknown of 2^31 bytes":      {func(s *script) { s.Write(header(1<<31, 77)) }, "limit"},
		"codec packet of noise":      {func(s *script) { s.packet(Codec, 0, bytes.Repeat([]byte{0xaa}, 40)) }, "h264"},
		"SPS beyond the packet":      {func(s *script) { c := capturedCodec(t); c[6] = 0xff; s.packet(Codec, 0, c) }, "h264"},
		"PPS beyond the packet":      {func(s *script) { c := capturedCodec(t); c[25] = 0xff; s.packet(Codec, 0, c) }, "h264"},
		"codec packet of one byte":   {func(s *script) { s.packet(Codec, 0, []byte{1}) }, "h264"},
		"hvc1 and nothing":           {func(s *script) { s.packet(Codec, 0, []byte("\x00\x00\x00\x08hvc1")) }, "hevc"},
		"cut in a header":            {func(s *script) { s.Write(header(5, Video)[:60]) }, "unexpected EOF"},
		"cut in a picture":           {func(s *script) { s.Write(header(5000, Video)); s.Write(make([]byte, 100)) }, "unexpected EOF"},
		"wrong key": {func(s *script) {
			wrong(s)
			for range malformedLimit {
				s.packet(Video, 0x116, unit(0x65, 5000))
			}
		}, "key"},
		"two malformed pictures": {func(s *script) {
			for range malformedLimit - 1 {
				s.packet(Video, 0x116, bytes.Repeat([]byte{0xff}, 100))
			}
			s.packet(Video, 0x116, unit(0x65, 100))
		}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := start()
			c.build(s)
			m := &memory{}
			_, err := run(t, s.Bytes(), 1<<20, key, m, nil)
			if c.want == "" && err != io.EOF || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("ended with %v, want %q", err, c.want)
			}
			if m.events[len(m.events)-1] != "end" {
				t.Error("the sink was not told of the end")
			}
		})
	}
}

func TestPictureBeforeParameters(t *testing.T) {
	key := [16]byte{9}
	s := newScript(key, 7)
	for range 10 {
		s.packet(Video, 0x116, unit(0x41, 50))
	}
	s.packet(Codec, 0x116, capturedCodec(t))
	s.packet(Video, 0x116, unit(0x65, 50))
	m := &memory{}
	st, err := run(t, s.Bytes(), 1<<20, key, m, nil)
	if err != io.EOF || len(m.pictures) != 1 || st.Malformed.Value() != 10 {
		t.Errorf("%v, %d pictures, %d malformed", err, len(m.pictures), st.Malformed.Value())
	}
}

func TestRefusals(t *testing.T) {
	key := [16]byte{9}
	s := newScript(key, 7)
	s.packet(Codec, 0x116, capturedCodec(t))
	s.packet(Video, 0x116, unit(0x65, 50))
	no := errors.New("no")
	if _, err := run(t, s.Bytes(), 1<<20, key, &memory{}, func(*Parameters) error { return no }); !errors.Is(err, no) {
		t.Errorf("a refused codec: %v", err)
	}
	if _, err := run(t, s.Bytes(), 1<<20, key, &memory{refuse: no}, nil); !errors.Is(err, no) {
		t.Errorf("no memory: %v", err)
	}
}

// The data port: strangers are sent away, a broken connection is followed by
// another with a keystream of its own, and the end of the session ends it.
func TestServer(t *testing.T) {
	key := [16]byte{9}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{}
	ended := make(chan error, 3)
	sv := &Server{Peer: netip.MustParseAddr("127.0.0.1"), Cipher: func() Cipher { return NewCTR(key, 7) }, Sink: m, Stats: &Stats{}, Now: clock.Now,
		Log: slog.New(slog.DiscardHandler), Ended: func(err error) { ended <- err }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sv.Run(ctx, ln) }()
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	stranger := dial("127.0.0.2")
	if _, err := stranger.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a stranger is heard: %v", err)
	}
	for range 2 {
		s := newScript(key, 7)
		s.packet(Codec, 0x116, capturedCodec(t))
		s.packet(Video, 0x116, unit(0x65, 50))
		c := dial("127.0.0.1")
		if _, err := c.Write(s.Bytes()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := <-ended; err != nil {
			t.Errorf("an orderly end: %v", err)
		}
	}
	hanging := dial("127.0.0.1")
	if _, err := hanging.Write(make([]byte, 50)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if len(m.pictures) != 2 {
		t.Errorf("%d pictures", len(m.pictures))
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(header(5, Video))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != HeaderSize {
			return
		}
		var h Header
		h.Parse((*[HeaderSize]byte)(b))
	})
}

func FuzzParameters(f *testing.F) {
	f.Add(capturedCodec(f))
	f.Add([]byte("\x00\x00\x00\x08hvc1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseParameters(b)
		if err != nil {
			return
		}
		if p.Width <= 0 || p.Height <= 0 || len(p.Record) == 0 || len(p.AnnexB) == 0 {
			t.Fatalf("%+v", p)
		}
	})
}

func FuzzConnection(f *testing.F) {
	s := newScript([16]byte{9}, 7)
	s.packet(Codec, 0x116, capturedCodec(f))
	s.packet(VideoIDR, 0x116, unit(0x65, 200))
	s.packet(Report, 0, make([]byte, 100))
	s.packet(Video, 0x156, unit(0x41, 20))
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &memory{}
		if _, err := run(t, in, 1<<20, [16]byte{9}, m, nil); err == nil {
			t.Fatal("a connection without end")
		}
	})
}
