package mirror

import (
	"encoding/hex"
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

// A codec packet as it was captured from a sender with old firmware (reference
// section 9.3): header without its trailing zeros, and payload.
const (
	capturedHeader  = "1f000000010006001d9a9f59efde00000000584400002244000000000000000000000000000000000000584400002244000050430000104200c0574400c02144"
	capturedPayload = "0164c028ffe100106764c028ac56200d814fe59b81010101010004 28ee3cb0"
)

func capturedCodec(t testing.TB) []byte { return unhex(t, capturedPayload[:54]+capturedPayload[55:]) }

func TestCapturedHeader(t *testing.T) {
	var b [HeaderSize]byte
	copy(b[:], unhex(t, capturedHeader))
	var h Header
	h.Parse(&b)
	want := Header{Size: 31, Type: Codec, Option: 0x0006, Time: h.Time, SourceWidth: 864, SourceHeight: 648,
		EncodedWidth: 864, EncodedHeight: 648, ShownWidth: 863, ShownHeight: 647}
	if h != want {
		t.Errorf("got %+v\nwant %+v", h, want)
	}
	if at := h.Time.Sub(0).Truncate(time.Millisecond); at != 57071*time.Second+350*time.Millisecond {
		t.Errorf("stamped %v", at)
	}
	p, err := ParseParameters(capturedCodec(t))
	if err != nil {
		t.Fatal(err)
	}
	if p.HEVC || p.Width != 864 || p.Height != 648 || len(p.AnnexB) != 4+16+4+4 {
		t.Errorf("parameters %+v", p)
	}
}

func TestHeaderSurvives(t *testing.T) {
	in := Header{Size: 12345, Type: VideoIDR, Option: Option(true, true), Time: clock.Remote(3 * time.Hour), SourceWidth: 1170, SourceHeight: 2532,
		EncodedWidth: 498, EncodedHeight: 1080, ShownWidth: 1920, ShownHeight: 1080}
	var b [HeaderSize]byte
	in.Put(&b)
	var out Header
	out.Parse(&b)
	if out != in {
		t.Errorf("got %+v\nwant %+v", out, in)
	}
	if !out.Paused() || Option(false, false) != 0x0116 || Option(false, true) != 0x0156 || Option(true, false) != 0x011e || Option(true, true) != 0x015e {
		t.Error("options are not those of the wire")
	}
}

// Reference section 18.3.
func TestKeystream(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = 1
	}
	streamKey, iv := derive("AirPlayStreamKey", 1000, key), derive("AirPlayStreamIV", 1000, key)
	if got := hex.EncodeToString(streamKey[:16]) + hex.EncodeToString(iv[:16]); got != "11b67496f67a385601668a89b28d3f0f7b7a89d10910606c27fac770db9b2e3e" {
		t.Errorf("key and iv %s", got)
	}
	b := make([]byte, 1025)
	for i := range b {
		b[i] = byte(i % 255)
	}
	c := NewCTR(key, 1000)
	// In pieces of any length it is one keystream.
	for at, n := 0, 1; at < len(b); at, n = at+n, n*3 {
		n = min(n, len(b)-at)
		if _, err := c.Open(nil, b[at:at+n]); err != nil {
			t.Fatal(err)
		}
	}
	if got := hex.EncodeToString(b[:16]) + hex.EncodeToString(b[1017:]); got != "fc2dd692f57dee93a236dba2d7b5e78ed5f493b73910c2d9" {
		t.Errorf("text %s", got)
	}
}
