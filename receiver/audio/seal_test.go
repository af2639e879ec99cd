package audio

import (
	"bytes"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func sealedPair(t testing.TB, key byte) (sender, receiver *Cipher) {
	t.Helper()
	k := bytes.Repeat([]byte{key}, 32)
	sender, err := NewSealed(k)
	if err != nil {
		t.Fatal(err)
	}
	if receiver, err = NewSealed(k); err != nil {
		t.Fatal(err)
	}
	return sender, receiver
}

var alac = Format{ALAC, 44100, 2, 16, 352}

// put parses and puts a packet as a port does; the packet is not used up.
func put(s *Stream, packet []byte) bool {
	d, ok := ParseData(bytes.Clone(packet))
	if !ok {
		return false
	}
	_, fresh := s.Put(d, clock.Remote(time.Second), time.Second)
	return fresh
}

// TestSealedPackets: a packet arrives as it was sent; what was changed, is too
// short, sealed with another key, or comes back under another number does not.
func TestSealedPackets(t *testing.T) {
	sender, receiver := sealedPair(t, 1)
	stranger, _ := sealedPair(t, 2)
	packet := func(c *Cipher, seq uint16, payload string) []byte {
		return c.AppendPacket(nil, &Data{Seq: seq, RTP: uint32(seq) * 352, Payload: []byte(payload)})
	}
	one, two, empty := packet(sender, 10, "first"), packet(sender, 11, "second"), packet(sender, 12, "")
	if len(one) != headerSize+5+SealOverhead {
		t.Errorf("a packet of %d bytes", len(one))
	}
	change := func(b []byte, at int, by byte) []byte {
		b = bytes.Clone(b)
		b[at] ^= by
		return b
	}
	s := NewStream(alac, receiver)
	for name, b := range map[string][]byte{
		"another time stamp": change(two, 7, 1),
		"another source":     change(two, 11, 1),
		"another byte":       change(two, headerSize, 1),
		"another tag":        change(two, len(two)-9, 1),
		"another nonce":      change(two, len(two)-1, 1),
		"another key":        packet(stranger, 11, "second"),
		"no tag":             two[:headerSize+SealOverhead-1],
		"nothing":            two[:headerSize],
	} {
		if put(s, b) {
			t.Errorf("%s: taken", name)
		}
	}
	if n := s.Counts.Refused.Value(); n != 8 || s.Counts.Received.Value() != 0 {
		t.Errorf("%d refused, %d received", n, s.Counts.Received.Value())
	}
	if !put(s, one) || put(s, one) {
		t.Error("a packet and its copy")
	}
	if put(s, change(one, 3, 7)) || s.Counts.Refused.Value() != 9 {
		t.Error("a packet under another number is taken")
	}
	if !put(s, two) || !put(s, empty) {
		t.Error("what follows is not taken")
	}
	buf := make([]byte, MaxPacket)
	for _, want := range []string{"first", "second", ""} {
		p, state := s.Next(buf)
		if state != Ready || string(p.Payload) != want || p.Silent != (want == "") {
			t.Errorf("%v %q, want %q", state, p.Payload, want)
		}
	}
}

func TestSealedKeySize(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewSealed(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes", n)
		}
	}
}

func TestSealedPacketsDoNotAllocate(t *testing.T) {
	sender, receiver := sealedPair(t, 1)
	s := NewStream(alac, receiver)
	packet, buf, seq := make([]byte, 0, MaxPacket), make([]byte, MaxPacket), uint16(0)
	payload := make([]byte, 1000)
	if n := testing.AllocsPerRun(500, func() {
		d := Data{Seq: seq, RTP: uint32(seq) * 352, Payload: payload}
		seq++
		packet = sender.AppendPacket(packet[:0], &d)
		in, _ := ParseData(packet)
		if _, fresh := s.Put(in, 1, 1); !fresh {
			t.Fatal("not taken")
		}
		if _, state := s.Next(buf); state != Ready {
			t.Fatal("not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func FuzzSealed(f *testing.F) {
	sender, _ := sealedPair(f, 1)
	f.Add(sender.AppendPacket(nil, &Data{Seq: 1, Payload: []byte("sound")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, receiver := sealedPair(t, 3)
		if put(NewStream(alac, receiver), b) {
			t.Error("noise is taken")
		}
	})
}
