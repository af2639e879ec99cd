package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// buffer is a buffered stream with its sender's half.
type buffer struct {
	*Buffered
	sender *Cipher
	t      testing.TB
}

func newBuffer(t testing.TB, timeline Timeline) *buffer {
	sender, receiver := sealedPair(t, 5)
	return &buffer{NewBuffered(alac, receiver, timeline), sender, t}
}

// packet makes a packet without the length before it.
func (b *buffer) packet(seq, rtp, source uint32, payload string) []byte {
	return b.sender.AppendBuffered(nil, seq, rtp, source, []byte(payload))[2:]
}

// put puts packets whose payloads tell their numbers.
func (b *buffer) put(from, to uint32) {
	b.t.Helper()
	for seq := from; seq != to; seq = (seq + 1) & sequenceMask {
		if err := b.Put(b.packet(seq, seq*352, 0, fmt.Sprint(seq))); err != nil {
			b.t.Fatal(err)
		}
	}
}

// take returns the payloads that are there.
func (b *buffer) take() (out []string) {
	buf := make([]byte, MaxBuffered)
	for {
		p, state := b.Next(buf)
		if state != Ready {
			return out
		}
		out = append(out, string(p.Payload))
	}
}

func (b *buffer) want(step string, want ...string) {
	b.t.Helper()
	if got := b.take(); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("%s: %v, want %v", step, got, want)
	}
}

func TestBufferedFlush(t *testing.T) {
	b := newBuffer(t, nil)
	b.put(0, 3)
	b.want("in order", "0", "1", "2")

	b.put(3, 6)
	b.Flush(false, 0, 10)
	b.want("flushed")
	b.put(6, 12) // those before the end were on their way
	b.want("after the flush", "10", "11")

	b.Flush(true, 14, 17)
	b.put(12, 19)
	b.want("deferred", "12", "13", "17", "18")
	b.put(19, 20)
	b.want("and forgotten", "19")
	if len(b.flushes) != 0 {
		t.Errorf("%d flushes wait", len(b.flushes))
	}

	// A new beginning far away, as after a seek, and across the wrap.
	b.Flush(false, 0, sequenceMask-1)
	b.put(sequenceMask-3, 3)
	b.want("across the wrap", fmt.Sprint(sequenceMask-1), fmt.Sprint(sequenceMask), "0", "1", "2")
	for n := range uint32(100) {
		b.Flush(true, 100+n, 200+n)
	}
	if len(b.flushes) != maxFlushes {
		t.Errorf("%d flushes wait", len(b.flushes))
	}
}

// lines is a time line of one clock, an hour ahead.
type lines map[uint64]time.Duration

func (l lines) Local(id uint64, at clock.Remote) (clock.Time, bool) {
	d, ok := l[id]
	return clock.Time(at.Add(-d)), ok
}

func TestBufferedAnchor(t *testing.T) {
	b := newBuffer(t, lines{7: time.Hour})
	none := func(step string) {
		t.Helper()
		if a, ok := b.Anchor(); ok {
			t.Errorf("%s: %+v", step, a)
		}
	}
	at := clock.Remote(2 * time.Hour)
	none("at first")
	b.SetAnchor(true, false, 0, 0, 0)
	none("playing without an anchor")
	b.SetAnchor(true, true, 0xffffff00, at, 9)
	none("on a clock that nobody knows")
	b.SetAnchor(true, true, 0xffffff00, at, 7)
	a, ok := b.Anchor()
	if !ok || a.At != clock.Remote(time.Hour) || a.Frame != 0xffffff00 {
		t.Errorf("%+v, %v", a, ok)
	}
	// Frames go on beyond 32 bits.
	if err := b.Put(b.packet(1, 0x100, 0, "x")); err != nil {
		t.Fatal(err)
	}
	if p, _ := b.Next(make([]byte, MaxBuffered)); p.Frame != 1<<32+0x100 {
		t.Errorf("frame %#x", p.Frame)
	}
	b.SetAnchor(false, false, 0, 0, 0)
	none("paused")
	b.SetAnchor(true, false, 0, 0, 0)
	if again, ok := b.Anchor(); !ok || again != a {
		t.Errorf("after the pause %+v, %v", again, ok)
	}
}

// The sender is held back when the buffer is full, and let go by its reader, a
// flush, and the end.
func TestBackPressure(t *testing.T) {
	b := newBuffer(t, nil)
	payload := string(make([]byte, 20_000))
	full := make(chan uint32)
	put := make(chan error, 1)
	go func() {
		for seq := uint32(0); ; seq++ {
			p := b.packet(seq, seq, 0, payload)
			done := make(chan struct{})
			go func() { put <- b.Put(p); close(done) }()
			select {
			case <-done:
				<-put
			case <-time.After(300 * time.Millisecond):
				full <- seq
				if err := <-put; err != nil {
					t.Error(err)
				}
				full <- seq
				return
			}
		}
	}()
	n := <-full
	if held, packets := b.Held(); held > BufferSize || held < BufferSize-2*20_100 || packets != int(n) {
		t.Errorf("%d bytes in %d packets, %d put", held, packets, n)
	}
	if _, state := b.Next(make([]byte, MaxBuffered)); state != Ready {
		t.Error("nothing to read")
	}
	<-full
	release := map[string]func(){"a flush": func() { b.Flush(false, 0, n+1) }, "the end": b.End}
	for _, name := range []string{"a flush", "the end"} {
		for b.fits() {
			n++
			if err := b.Put(b.packet(n, n, 0, payload)); err != nil {
				t.Fatal(err)
			}
		}
		n++
		waits := b.packet(n, n, 0, payload)
		go func() { put <- b.Put(waits) }()
		time.Sleep(10 * time.Millisecond)
		release[name]()
		select {
		case err := <-put:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s lets nobody go", name)
		}
	}
}

func (b *buffer) fits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended && b.ring.fits(20_000)
}

// TestRing compares the ring with a list, with packets of all sizes.
func TestRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := newRing(4096)
	var list []entry
	for i := range uint32(20_000) {
		payload := bytes.Repeat([]byte{byte(i)}, rng.IntN(700))
		if r.fits(len(payload)) {
			e := entry{i, i * 2, i * 3, payload}
			r.put(e)
			list = append(list, e)
		} else if len(list) < 4 {
			t.Fatalf("full with %d packets", len(list))
		}
		for rng.IntN(3) == 0 && len(list) > 0 {
			e, ok := r.front()
			if w := list[0]; !ok || e.seq != w.seq || e.rtp != w.rtp || e.source != w.source || !bytes.Equal(e.payload, w.payload) {
				t.Fatalf("packet %d: %+v, %v", w.seq, e, ok)
			}
			r.pop()
			list = list[1:]
		}
		if r.count != len(list) || r.used() > 4096 {
			t.Fatalf("%d packets, %d bytes", r.count, r.used())
		}
	}
}

// constant decodes every packet to its first byte.
type constant struct{ frames int }

func (c constant) Decode(packet []byte, pcm []float32) (int, error) {
	for i := range 2 * c.frames {
		pcm[i] = float32(packet[0]) / 256
	}
	return 2 * c.frames, nil
}
func (constant) Reset() {}

// TestFormatChange: a track goes on with another decoder in the middle of a
// stream; where the rate changes it ends, and another track begins.
func TestFormatChange(t *testing.T) {
	b := newBuffer(t, nil)
	b.SetAnchor(true, true, 0, 1, 0)
	put := func(seq, rtp, source uint32, value byte) {
		t.Helper()
		if err := b.Put(b.packet(seq, rtp, source, string([]byte{value}))); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 0, 0, 64)
	put(1, 352, 0x16000000, 128) // its first packet is muted
	put(2, 352+1024, 0x16000000, 128)
	put(3, 5000, 0x15000000, 32) // 48 kHz
	tr := NewTrack(b, alac, constant{352})
	var changes []Format
	tr.Changed = func(f Format) Decoder {
		changes = append(changes, f)
		if f.Rate != 44100 {
			return nil
		}
		return constant{f.Frames}
	}
	pcm := make([]float32, 2*(352+2048))
	tr.Read(0, pcm)
	for i, want := range map[int]float32{0: 0.25, 351: 0.25, 352: 0, 352 + 1023: 0, 352 + 1024: 0.5, 352 + 2047: 0.5} {
		if pcm[2*i] != want {
			t.Errorf("frame %d is %v, want %v", i, pcm[2*i], want)
		}
	}
	for range 5 {
		tr.Read(352+2048, pcm[:200])
	}
	if fmt.Sprint(changes) != fmt.Sprint([]Format{sources[0x16000000], sources[0x15000000]}) {
		t.Errorf("changes %v", changes)
	}
	b.Accept()
	if b.Upcoming() != sources[0x15000000] {
		t.Errorf("upcoming %v", b.Upcoming())
	}
	// The packet is still heard 5000/44100 s after frame 0.
	if a, ok := b.Anchor(); !ok || a.Frame != 5000 || a.At != clock.Remote(1+5000*time.Second/44100) {
		t.Errorf("anchor %+v, %v", a, ok)
	}
	NewTrack(b, b.Upcoming(), constant{352}).Read(5000, pcm[:200])
	if pcm[0] != 0.125 {
		t.Errorf("the next track begins with %v", pcm[0])
	}
}

// A sender over loopback, strangers, and all that ends a connection.
func TestBufferedPort(t *testing.T) {
	b := newBuffer(t, nil)
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	p := &BufferedPort{Stream: b.Buffered, Peer: netip.MustParseAddr("127.0.0.1"), Now: clock.Now, Ended: func(err error) { ended <- err }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx, ln) }()
	send := func(parts ...[]byte) error {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(bytes.Join(parts, nil)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		return <-ended
	}
	record := func(seq uint32) []byte { return b.sender.AppendBuffered(nil, seq, seq, 0, []byte(fmt.Sprint(seq))) }
	if err := send(record(1), record(2), record(3)); err != nil {
		t.Error(err)
	}
	b.want("over the connection", "1", "2", "3")
	forged := record(5)
	forged[20] ^= 1
	if err := send(record(4), forged, record(6)); err != nil {
		t.Error(err)
	}
	b.want("a forged packet", "4", "6")
	maximal := binary.BigEndian.AppendUint16(nil, 65535)
	for name, wire := range map[string][]byte{
		"length 0":   {0, 0, 1, 2},
		"length 2":   {0, 2, 1, 2},
		"no packet":  {0, 9, 1, 2, 3, 4, 5, 6, 7},
		"cut off":    record(7)[:20],
		"too large":  append(maximal, make([]byte, 65533)...),
		"half a one": {0},
		"noise":      bytes.Repeat(append([]byte{0, 60}, make([]byte, 58)...), refusedLimit),
	} {
		if err := send(wire); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b.want("after all that")
	cancel()
	<-done
	if err := b.Put(b.packet(9, 9, 0, "x")); err != nil || len(b.take()) != 0 {
		t.Errorf("after the end: %v", err)
	}
}

func TestBufferedDoesNotAllocate(t *testing.T) {
	b := newBuffer(t, nil)
	packet, buf, payload, seq := make([]byte, 0, 2048), make([]byte, MaxBuffered), make([]byte, 1000), uint32(0)
	if n := testing.AllocsPerRun(500, func() {
		packet = b.sender.AppendBuffered(packet[:0], seq, seq, 0, payload)
		seq++
		if err := b.Put(packet[2:]); err != nil {
			t.Fatal(err)
		}
		if _, state := b.Next(buf); state != Ready {
			t.Fatal("not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// TestSyncPTP compares with the recorded packet (reference section 15.5).
func TestSyncPTP(t *testing.T) {
	wire := []byte("\x90\xd7\x00\x06\x21\x36\x78\x19\x00\x01\xa4\x03\xe3\xbe\x94\xb5\x21\x37\xa5\x90\x01\x02\x03\x04\x05\x06\x07\x08")
	s, ok := ParseSync(wire)
	want := Sync{First: true, RTP: 0x21367819 - 11035, At: 0x1a403e3be94b5, Newest: 0x2137a590, PTP: true, Clock: 0x102030405060708}
	if !ok || s != want || !bytes.Equal(s.AppendTo(nil), wire) {
		t.Errorf("%+v, %x", s, s.AppendTo(nil))
	}
	wire[8] = 0xff
	if s, ok := parseSyncPTP(wire); ok {
		t.Errorf("an absurd instant: %+v", s)
	}
	st := NewStream(alac, nil)
	st.SetTimeline(lines{7: time.Hour})
	st.Sync(Sync{RTP: 5, At: clock.Remote(2 * time.Hour), PTP: true, Clock: 7})
	if a, ok := st.Anchor(); !ok || a.At != clock.Remote(time.Hour) {
		t.Errorf("%+v, %v", a, ok)
	}
	st.Sync(Sync{RTP: 5, PTP: true, Clock: 8})
	if a, ok := st.Anchor(); ok {
		t.Errorf("on an unknown clock: %+v", a)
	}
}

func FuzzBuffered(f *testing.F) {
	b := newBuffer(f, nil)
	f.Add(b.packet(1, 2, 0, "sound"), uint32(1), uint32(5))
	f.Fuzz(func(t *testing.T, packet []byte, from, until uint32) {
		b := newBuffer(t, nil)
		b.Flush(from%2 == 0, from&sequenceMask, until&sequenceMask)
		_ = b.Put(packet)
		b.put(from&sequenceMask, (from+3)&sequenceMask)
		b.take()
	})
}

// Time stamps that run back behind zero, and a reader that leaps to the ends of
// time: nothing breaks, and nothing takes long.
func TestTrackAtTheEnds(t *testing.T) {
	b := newBuffer(t, nil)
	for seq, rtp := range []uint32{5, 0xfffffff0, 0xffff0000, 0x80000000} {
		if err := b.Put(b.packet(uint32(seq), rtp, 0, "\x40")); err != nil {
			t.Fatal(err)
		}
	}
	tr := NewTrack(b, alac, constant{352})
	pcm := make([]float32, 2*100)
	for _, from := range []int64{5, -16, -0x10000, -1 << 31, 1 << 50, -1 << 50, 0} {
		tr.Read(from, pcm)
	}
	if tr.Decoded.Value() != 4 {
		t.Errorf("%d packets decoded", tr.Decoded.Value())
	}
}
