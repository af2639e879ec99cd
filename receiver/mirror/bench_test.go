package mirror

import (
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"aerie/receiver/clock"
)

// ring is a Sink with as many buffers as a decoder has; it drops pictures.
type ring struct{ b [4]slab }

type slab struct{ b []byte }

func (s *slab) Bytes() []byte { return s.b }
func (s *slab) Release()      {}

func newRing() *ring {
	r := &ring{}
	for i := range r.b {
		r.b[i].b = make([]byte, 1<<20)
	}
	return r
}

func (r *ring) Buffer(n int) (Buffer, error)    { return &r.b[n%len(r.b)], nil }
func (r *ring) Picture(b Buffer, _ *AccessUnit) { b.Release() }
func (r *ring) Pause(bool)                      {}
func (r *ring) End()                            {}

// threadCPU returns the CPU time of this thread in seconds.
func threadCPU(tb testing.TB) float64 {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &ru); err != nil {
		tb.Fatal(err)
	}
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}

// connection returns a loopback connection on which in is sent.
func connection(tb testing.TB, in []byte) net.Conn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			return
		}
		_, _ = c.Write(in)
		c.Close()
	}()
	c, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// BenchmarkReceive is the cost of receiving and decrypting pictures of 1080p60
// at 15 Mbit/s beside its floor: reading the same bytes from a socket and
// running AES-CTR over them. Both are CPU time of the reading thread in one
// run; the ratio is what counts.
func BenchmarkReceive(b *testing.B) {
	const frames, size = 1000, 31_000
	key := [16]byte{9}
	s := newScript(key, 7)
	s.packet(Codec, 0x116, capturedCodec(b))
	for i := range frames {
		kind := byte(0x41)
		if i == 0 {
			kind = 0x65
		}
		s.packet(Video, 0x116, unit(kind, size))
	}
	in := s.Bytes()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ours, floor float64
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		c := connection(b, in)
		before := threadCPU(b)
		st := &Stream{Conn: c, Cipher: NewCTR(key, 7), Sink: newRing(), Stats: &Stats{}, Now: clock.Now}
		if err := st.Run(); err != io.EOF {
			b.Fatal(err)
		}
		ours += threadCPU(b) - before
		c.Close()
		if n := st.Stats.Pictures.Value(); n != frames {
			b.Fatalf("%d pictures", n)
		}

		c = connection(b, in)
		before = threadCPU(b)
		ks := Keystream(key, 7)
		buf := make([]byte, size+HeaderSize)
		for {
			n, err := io.ReadFull(c, buf)
			ks.XORKeyStream(buf[:n], buf[:n])
			if err != nil {
				break
			}
		}
		floor += threadCPU(b) - before
		c.Close()
	}
	b.ReportMetric(ours/floor, "ratio")
	b.ReportMetric(ours/float64(b.N)/frames*1e6, "µs/frame")
	b.ReportMetric(floor/float64(b.N)/frames*1e6, "µs/frame-floor")
}

// loop is a connection that repeats the same packets for ever.
type loop struct {
	net.Conn
	in []byte
	at int
}

func (l *loop) Read(b []byte) (int, error) {
	n := copy(b, l.in[l.at:])
	l.at = (l.at + n) % len(l.in)
	return n, nil
}

type plain struct{}

func (plain) Open(_ *[HeaderSize]byte, b []byte) ([]byte, error) { return b, nil }

func TestNoAllocationPerFrame(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	s := &script{encrypt: func([]byte) {}}
	s.packet(Video, 0x116, unit(0x65, 20000))
	s.packet(Report, 0, make([]byte, 500))
	st := &Stream{Conn: &loop{Conn: server, in: s.Bytes()}, Cipher: plain{}, Sink: newRing(), Stats: &Stats{}, Now: clock.Now}
	var err error
	if st.params, err = ParseParameters(capturedCodec(t)); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(500, func() {
		if err := st.next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
	ctr := NewCTR([16]byte{}, 1)
	b := make([]byte, 20000)
	if n := testing.AllocsPerRun(100, func() { _, _ = ctr.Open(nil, b) }); n != 0 {
		t.Errorf("%v allocations a decryption", n)
	}
}
