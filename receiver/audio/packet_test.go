package audio

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCapturedSync(t *testing.T) {
	s, ok := ParseSync(unhex(t, "80d40004c7cd11a883ab1c492fe422e2c7ce3f1f"))
	if !ok || s.First || s.RTP != 0xc7cd11a8 || s.Newest-s.RTP != 77175 {
		t.Fatalf("%+v, %v", s, ok)
	}
	// 0x83ab1c49 - 2208988800 seconds after the sender's boot.
	if got := s.At.Sub(0).Truncate(time.Millisecond); got != 40393*time.Second+187*time.Millisecond {
		t.Errorf("at %v", got)
	}
}

func TestPacketsSurvive(t *testing.T) {
	d := Data{Seq: 0xfffe, RTP: 0x89abcdef, Marker: true, Payload: []byte("sound")}
	if back, ok := ParseData(d.AppendTo(nil)); !ok || back.Seq != d.Seq || back.RTP != d.RTP || !back.Marker || !bytes.Equal(back.Payload, d.Payload) {
		t.Errorf("%+v", back)
	}
	if back, ok := parseResendReply(AppendResendReply(nil, d.AppendTo(nil))); !ok || back.Seq != d.Seq {
		t.Errorf("resent: %+v", back)
	}
	s := Sync{First: true, RTP: 7, At: clock.Remote(5 * time.Hour), Newest: 9}
	if back, ok := ParseSync(s.AppendTo(nil)); !ok || back != s {
		t.Errorf("sync: %+v", back)
	}
	r := Resend{Count: 1, First: 65535, Many: 3}
	if back, ok := ParseResend(r.AppendTo(nil)); !ok || back != r {
		t.Errorf("resend: %+v", back)
	}
	if got := hex.EncodeToString(r.AppendTo(nil)); got != "80d50001ffff0003" {
		t.Errorf("resend request %s", got)
	}
}

func TestSilentPackets(t *testing.T) {
	for in, want := range map[string]bool{"": true, "00683400": true, "8c683400": true, "20000000": false, "0068340000": false} {
		if silent(unhex(t, in)) != want {
			t.Errorf("payload %q: silent is %v", in, !want)
		}
	}
}

// Decryption against the block mode of the standard library, for every length
// of the last block.
func TestCipher(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := NewCipher([16]byte{1, 2, 3}, [16]byte{4, 5, 6})
	for n := range 100 {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(rng.Uint32())
		}
		b := bytes.Clone(plain)
		c.Encrypt(b)
		if n >= 16 && bytes.Equal(b, plain) {
			t.Fatal("not encrypted")
		}
		if whole := n &^ 15; !bytes.Equal(b[whole:], plain[whole:]) {
			t.Fatal("the rest of the last block was encrypted")
		}
		c.Decrypt(b)
		if !bytes.Equal(b, plain) {
			t.Fatalf("%d bytes do not survive", n)
		}
	}
	(*Cipher)(nil).Decrypt([]byte("in the clear"))
	b := make([]byte, 1400)
	if n := testing.AllocsPerRun(100, func() { c.Decrypt(b) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		ct       int
		format   uint64
		spf, sr  int
		want     Format
		wantFail bool
	}{
		{8, 0x1000000, 480, 44100, Format{AACELD, 44100, 2, 16, 480}, false},
		{2, 0x40000, 352, 44100, Format{ALAC, 44100, 2, 16, 352}, false},
		{4, 0x400000, 1024, 0, Format{AACLC, 44100, 2, 16, 1024}, false},
		{1, 0x800, 0, 0, Format{PCM, 44100, 2, 16, 352}, false},
		{8, 0, 0, 0, Format{AACELD, 44100, 2, 16, 480}, false},
		{0, 0x200000, 0, 0, Format{ALAC, 48000, 2, 24, 352}, false},
		{8, 0x40000, 0, 0, Format{}, true},       // a contradiction
		{8, 3, 0, 0, Format{}, true},             // two formats
		{32, 0, 0, 0, Format{}, true},            // Opus
		{264, 0, 0, 0, Format{}, true},           // 8 in eight bits
		{8, 0, 9000, 0, Format{}, true},          // a packet of a fifth of a second
		{8, 0, 480, 96000, Format{}, true},       // no sender does
		{2, 1 << 40, 352, 44100, Format{}, true}, // 7.1
	} {
		f, err := ParseFormat(c.ct, c.format, c.spf, c.sr)
		if (err != nil) != c.wantFail || err == nil && f != c.want {
			t.Errorf("ct %d format %#x spf %d sr %d: %v, %v", c.ct, c.format, c.spf, c.sr, f, err)
		}
	}
}

func FuzzPorts(f *testing.F) {
	d := Data{Seq: 1, RTP: 2, Payload: []byte("sound")}
	s := Sync{RTP: 1, Newest: 2}
	f.Add(true, d.AppendTo(nil))
	f.Add(false, s.AppendTo(nil))
	f.Add(false, AppendResendReply(nil, d.AppendTo(nil)))
	p := &Ports{Stream: NewStream(Format{AACELD, 44100, 2, 16, 480}, NewCipher([16]byte{}, [16]byte{})), Clock: &clock.Sender{}, Now: func() clock.Time { return 1e9 }}
	buf := make([]byte, MaxPacket)
	f.Fuzz(func(t *testing.T, data bool, b []byte) {
		if len(b) > MaxPacket {
			return
		}
		if data {
			p.data(b)
		} else {
			p.control(b)
		}
		if _, state := p.Stream.Next(buf); state == Missing {
			p.Stream.Skip()
		}
		if held := p.Stream.q.held(); held > queueSize {
			t.Fatalf("%d packets held", held)
		}
	})
}

// Every bit of audioFormat that is understood is the one that is said.
func TestAudioFormat(t *testing.T) {
	known := 0
	for bit := range 64 {
		f, err := ParseFormat(0, 1<<bit, 0, 0)
		if err != nil {
			continue
		}
		known++
		if got := f.AudioFormat(); got != 1<<bit {
			t.Errorf("bit %d is %v, which is %#x", bit, f, got)
		}
	}
	if known != len(formats) || (Format{Codec: ALAC, Rate: 8000}).AudioFormat() != 0 {
		t.Errorf("%d bits are known", known)
	}
}
