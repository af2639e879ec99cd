package mirror

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"aerie/receiver/clock"
)

// sealedPacket makes a packet as a sender does that paired by HomeKit.
func sealedPacket(s Sealer, t Type, payload []byte) []byte {
	b := make([]byte, HeaderSize, HeaderSize+len(payload)+s.Overhead())
	h := Header{Size: uint32(len(payload) + s.Overhead()), Type: t, Option: Option(false, false), Time: 5}
	if t == Codec {
		h.Size = uint32(len(payload))
	}
	h.Put((*[HeaderSize]byte)(b))
	b = append(b, payload...)
	if t == Codec {
		return b // never encrypted
	}
	return s.Seal(b)
}

func playSealed(t *testing.T, in []byte, key [32]byte) (*memory, error) {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		_, _ = client.Write(in)
		client.Close()
	}()
	defer server.Close()
	m := &memory{}
	err := (&Stream{Conn: server, Cipher: NewAEAD(key), Sink: m, Stats: &Stats{}, Now: clock.Now}).Run()
	if m.lent != 0 {
		t.Errorf("%d buffers are still lent", m.lent)
	}
	return m, err
}

// TestSealedSession: pictures arrive as they were sent; one that was changed,
// header or payload, left out or repeated ends the stream, and is not shown.
func TestSealedSession(t *testing.T) {
	key := [32]byte{3}
	codec := sealedPacket(NewAEADSealer(key), Codec, capturedCodec(t))
	idr, p := unit(0x65, 5000), unit(0x41, 300)
	sealer := NewAEADSealer(key)
	one, two, three := sealedPacket(sealer, VideoIDR, idr), sealedPacket(sealer, Video, p), sealedPacket(sealer, Video, p)
	if len(one) != HeaderSize+len(idr)+16 {
		t.Errorf("a packet of %d bytes", len(one))
	}
	change := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	for name, c := range map[string]struct {
		packets  [][]byte
		pictures int
		good     bool
	}{
		"as it was sent": {[][]byte{codec, one, two, codec, three}, 3, true},
		"another stamp":  {[][]byte{codec, one, change(two, 9), three}, 1, false},
		"another byte":   {[][]byte{codec, one, change(two, HeaderSize+7), three}, 1, false},
		"another tag":    {[][]byte{codec, one, change(two, len(two)-1), three}, 1, false},
		"left out":       {[][]byte{codec, one, three}, 1, false},
		"repeated":       {[][]byte{codec, one, one, two}, 1, false},
		"no tag":         {[][]byte{codec, {5, 0, 0, 0}, make([]byte, HeaderSize-4+5)}, 0, false},
	} {
		m, err := playSealed(t, bytes.Join(c.packets, nil), key)
		var wrong *StreamError
		if c.good != (err == io.EOF) || c.good == errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.pictures) != c.pictures || c.pictures > 0 && !bytes.Equal(m.pictures[0], idr) {
			t.Errorf("%s: %d pictures", name, len(m.pictures))
		}
	}
	if _, err := playSealed(t, bytes.Join([][]byte{codec, one}, nil), [32]byte{4}); !errors.Is(err, errTag) {
		t.Errorf("with another key: %v", err)
	}
}

func TestSealersDoNotAllocate(t *testing.T) {
	c, s := NewAEAD([32]byte{1}), NewAEADSealer([32]byte{1})
	packet := make([]byte, HeaderSize+4000, HeaderSize+4000+s.Overhead())
	if n := testing.AllocsPerRun(100, func() {
		b := s.Seal(packet)
		if _, err := c.Open((*[HeaderSize]byte)(b), b[HeaderSize:]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
}
