package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"aerie/receiver/clock"
)

var classic = Format{Codec: ALAC, Rate: 44100, Channels: 2, Bits: 16, Frames: 4096}

// interleaved puts a packet behind its length.
func interleaved(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{'$', 0}, uint16(len(b))), b...)
}

// pipe runs a Pipe and returns a connection to it.
func pipe(t *testing.T, cipher *Cipher) (*Pipe, net.Conn, func() error) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipe{Stream: NewStream(classic, cipher), Listener: ln, Peer: netip.MustParseAddr("127.0.0.1"), Clock: &clock.Sender{}, Now: clock.Now, Delay: time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return p, c, func() error { cancel(); return <-done }
}

// next waits for the next packet.
func next(t *testing.T, s *Stream, buf []byte) Packet {
	t.Helper()
	for {
		if p, state := s.Next(buf); state == Ready {
			return p
		}
		time.Sleep(time.Millisecond)
	}
}

// Large packets arrive whole and in order, and no more of them than are needed.
func TestPipe(t *testing.T) {
	cipher := NewCipher([16]byte{1}, [16]byte{2})
	p, c, end := pipe(t, cipher)
	const count = 200 // 18 s of sound
	sent := make(chan int, count)
	go func() {
		defer close(sent)
		for i := range count {
			d := Data{Seq: uint16(65530 + i), RTP: uint32(i*4096) - 10000, Payload: bytes.Repeat([]byte{byte(i)}, 4096*4+7)}
			cipher.Encrypt(d.Payload)
			if _, err := c.Write(interleaved(d.AppendTo(nil))); err != nil {
				return
			}
			sent <- i
		}
	}()
	buf := make([]byte, classic.MaxPayload())
	first := next(t, p.Stream, buf)
	began := p.Active()
	a, ok := p.Stream.Anchor()
	if !ok || a.Frame != first.Frame || a.At.Sub(clock.Remote(began)) > p.Delay {
		t.Errorf("anchor %+v, frame %d", a, first.Frame)
	}
	for i := 1; i < 15; i++ {
		got := next(t, p.Stream, buf)
		if got.Frame != first.Frame+int64(i)*4096 || len(got.Payload) != 4096*4+7 || got.Payload[0] != byte(i) || got.Payload[16384] != byte(i) {
			t.Fatalf("packet %d: frame %d, %d bytes of %d", i, got.Frame, len(got.Payload), got.Payload[0])
		}
	}
	// The rest waits in the connection, whose buffers hold some.
	if n := p.Stream.Counts.Received.Value(); n > 60 {
		t.Errorf("%d packets were read at once", n)
	}
	c.Close()
	if err := end(); err != nil {
		t.Error(err)
	}
	if p.Stream.Counts.Overrun.Value() != 0 {
		t.Error("packets were dropped")
	}
}

// After a pause the sound goes on with its usual delay.
func TestPipeAfterAPause(t *testing.T) {
	now := clock.Time(time.Hour)
	p := &Pipe{Stream: NewStream(classic, nil), Clock: &clock.Sender{}, Now: func() clock.Time { return now }, Delay: time.Second}
	for i, c := range []struct {
		pause time.Duration
		rtp   uint32
		want  time.Duration
	}{
		{0, 0, time.Second},
		{0, 44100, 2 * time.Second},
		{500 * time.Millisecond, 66150, 2 * time.Second}, // 1.5 s after the first
		{time.Minute, 88200, time.Second},
		{0, 88200 + 44100*3600, time.Second}, // the sender is elsewhere
	} {
		now = now.Add(c.pause)
		heard := p.put(Data{Seq: uint16(i), RTP: c.rtp, Payload: []byte{1}})
		if got := heard.Sub(clock.Remote(now)); got != c.want {
			t.Errorf("packet %d is heard after %v, want %v", i, got, c.want)
		}
	}
}

// The first senders number nothing.
func TestPipeCounts(t *testing.T) {
	p := &Pipe{Stream: NewStream(classic, nil)}
	old := append([]byte{0xf0, 0xff}, make([]byte, 20)...)
	for i := range 3 {
		d, ok := p.parse(old)
		if !ok || d.Seq != uint16(i) || d.RTP != uint32(i*4096) || len(d.Payload) != 10 {
			t.Errorf("packet %d: %+v, %v", i, d, ok)
		}
	}
}

func TestPipeHostile(t *testing.T) {
	for name, b := range map[string][]byte{
		"no dollar": []byte("GET / HTTP/1.1\r\n"),
		"too large": {'$', 0, 0xff, 0xff, 1, 2, 3},
		"cut":       {'$', 0, 0, 40, 0x80},
		"nothing":   nil,
	} {
		p, c, end := pipe(t, nil)
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		c.Close()
		_ = end()
		if n := p.Stream.Counts.Received.Value(); n != 0 {
			t.Errorf("%s: %d packets", name, n)
		}
	}
	// What is no sound is passed over.
	p, c, end := pipe(t, nil)
	d := Data{Payload: []byte{1, 2}}
	if _, err := c.Write(append(interleaved([]byte{1, 2, 3}), interleaved(d.AppendTo(nil))...)); err != nil {
		t.Fatal(err)
	}
	next(t, p.Stream, make([]byte, classic.MaxPayload()))
	if p.Stream.Counts.Malformed.Value() != 1 {
		t.Errorf("%d malformed", p.Stream.Counts.Malformed.Value())
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestPipeAllocatesNothing(t *testing.T) {
	cipher := NewCipher([16]byte{1}, [16]byte{2})
	now := clock.Time(time.Hour)
	p := &Pipe{Stream: NewStream(classic, cipher), Clock: &clock.Sender{}, Now: func() clock.Time { return now }, Delay: time.Second, timer: time.NewTimer(0)}
	d := Data{Payload: make([]byte, 4096*4+7)}
	buf, wire := make([]byte, headerSize+classic.MaxPayload()), make([]byte, 0, 20000)
	r := bytes.NewReader(nil)
	n := testing.AllocsPerRun(100, func() {
		d.Seq, d.RTP = d.Seq+1, d.RTP+4096
		now = now.Add(4096 * time.Second / 44100)
		wire = append(wire[:0], '$', 0, 0x40, 0x13)
		wire = d.AppendTo(wire)
		r.Reset(wire)
		b, err := readInterleaved(r, buf)
		if err != nil {
			t.Fatal(err)
		}
		packet, _ := p.parse(b)
		p.wait(t.Context(), p.put(packet)-clock.Remote(time.Second))
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func FuzzInterleaved(f *testing.F) {
	d := Data{Seq: 5, RTP: 6, Payload: []byte{1, 2, 3}}
	f.Add(interleaved(d.AppendTo(nil)))
	f.Add(interleaved(append([]byte{0xf0, 0xff}, make([]byte, 20)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &Pipe{Stream: NewStream(classic, NewCipher([16]byte{}, [16]byte{})), Clock: &clock.Sender{}, Now: func() clock.Time { return 1e9 }}
		buf := make([]byte, headerSize+classic.MaxPayload())
		r := bytes.NewReader(b)
		for {
			packet, err := readInterleaved(r, buf)
			if err != nil {
				return
			}
			if d, ok := p.parse(packet); ok {
				p.put(d)
			}
		}
	})
}
