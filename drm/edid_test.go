package drm

import (
	"reflect"
	"testing"
	"time"
)

// testEDID is that of a made-up 4K television set: HDMI 2.0, 1.0.0.0, two
// channels of LPCM and AC-3, 40 ms of video latency.
var testEDID = buildEDID(
	[]byte{0x02, 3, 0,
		0xc1,                                     // underscan, basic audio, one native timing
		0x46, 0x90, 0x1f, 0x04, 0x61, 0x5f, 0x10, // VIC 16 native, 31, 4, 97, 95, 16
		0x26, 0x09, 0x07, 0x07, 0x15, 0x06, 0x50, // LPCM 2 ch 32-48 kHz 16-24 bit; AC-3 6 ch
		0x83, 0x01, 0, 0, // front left and right
		0x6a, 0x03, 0x0c, 0x00, 0x10, 0x00, 0xb8, 0x3c, 0x80, 21, 11, // HDMI: 1.0.0.0, 300 MHz, latency
		0x67, 0xd8, 0x5d, 0xc4, 0x01, 0x78, 0x80, 0x00, // HDMI Forum: 600 MHz
		0xe2, 0x00, 0xff, // video capability
	})

// detailed1080p is the detailed timing of VIC 16.
var detailed1080p = []byte{0x02, 0x3a, 0x80, 0x18, 0x71, 0x38, 0x2d, 0x40, 0x58, 0x2c, 0x45, 0x00, 0x40, 0x84, 0x63, 0x00, 0x00, 0x1e}

// detailed2160p30 is that of VIC 95.
var detailed2160p30 = []byte{0x04, 0x74, 0x00, 0x30, 0xf2, 0x70, 0x5a, 0x80, 0xb0, 0x58, 0x8a, 0x00, 0x40, 0x84, 0x63, 0x00, 0x00, 0x1e}

// detailed1080i is that of VIC 5.
var detailed1080i = []byte{0x01, 0x1d, 0x80, 0x18, 0x71, 0x1c, 0x16, 0x20, 0x58, 0x2c, 0x25, 0x00, 0x40, 0x84, 0x63, 0x00, 0x00, 0x9e}

func buildEDID(cta []byte) []byte {
	b := make([]byte, 256)
	copy(b, "\x00\xff\xff\xff\xff\xff\xff\x00")
	copy(b[8:], []byte{0x05, 0x32, 0x34, 0x12, 1, 2, 3, 4, 10, 33, 1, 4, 0x80, 122, 69}) // AIR, 2023, digital, 122x69 cm
	copy(b[54:], detailed2160p30)
	copy(b[72:], detailed1080p)
	copy(b[90:], "\x00\x00\x00\xfc\x00Aerie TV\n    ")
	copy(b[108:], "\x00\x00\x00\xfd\x00\x17\x79\x0f\xff\x3c\x00\n      ")
	b[126] = 1
	x := b[128:]
	copy(x, cta)
	if len(cta) > 2 {
		x[2] = byte(len(cta))
		copy(x[len(cta):], detailed1080i)
	}
	b[127], x[127] = -sum(b[:127]), -sum(x[:127])
	return b
}

func TestParseEDID(t *testing.T) {
	e, err := ParseEDID(testEDID)
	if err != nil {
		t.Fatal(err)
	}
	p1080 := Timing{Width: 1920, Height: 1080, Clock: 148500, HTotal: 2200, VTotal: 1125}
	p2160 := Timing{Width: 3840, Height: 2160, Clock: 297000, HTotal: 4400, VTotal: 2250}
	i1080 := Timing{Width: 1920, Height: 1080, Clock: 74250, HTotal: 2200, VTotal: 562, Interlaced: true}
	want := EDID{Manufacturer: "AIR", Product: 0x1234, Serial: 0x04030201, Year: 2023, Name: "Aerie TV", Digital: true, WidthCM: 122, HeightCM: 69,
		Preferred: p2160, Timings: []Timing{p2160, p1080, i1080}, VICs: []uint8{16, 31, 4, 97, 95, 16}, HDMI: true, BasicAudio: true,
		Audio: []AudioFormat{{1, 2, 0x07, 0x07}, {2, 6, 0x06, 0x50}}, Speakers: 1, Physical: 0x1000, MaxTMDS: 600000,
		Latency: Latency{Video: 40 * time.Millisecond, Audio: 20 * time.Millisecond}}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("got  %+v\nwant %+v", e, want)
	}
	if e.PhysicalAddress() != "1.0.0.0" {
		t.Errorf("physical address %s", e.PhysicalAddress())
	}
	if r := e.Preferred.Refresh(); r != 30000 {
		t.Errorf("refresh %d", r)
	}
}

func TestParseEDIDBad(t *testing.T) {
	for _, n := range []int{0, 1, 8, 127} {
		if _, err := ParseEDID(testEDID[:n]); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	flip := func(i int) []byte {
		b := append([]byte(nil), testEDID...)
		b[i] ^= 1
		return b
	}
	if _, err := ParseEDID(flip(60)); err == nil {
		t.Error("a wrong checksum was taken")
	}
	for name, b := range map[string][]byte{"cut": testEDID[:200], "damaged": flip(140)} {
		e, err := ParseEDID(b)
		if err != nil || e.Name != "Aerie TV" || e.HDMI || len(e.Timings) != 2 || e.Physical != 0xffff {
			t.Errorf("%s extension: %+v %v", name, e, err)
		}
	}
	// A data block longer than the collection, and a timing offset past the end.
	for _, cta := range [][]byte{{0x02, 3, 0, 0x40, 0x5f}, {0x02, 3, 0, 0x40, 0x64, 0x03, 0x0c}} {
		if _, err := ParseEDID(buildEDID(cta)); err != nil {
			t.Error(err)
		}
	}
}

func FuzzEDID(f *testing.F) {
	f.Add(testEDID)
	f.Add(testEDID[:128])
	f.Add(buildEDID(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Correct checksums let the fuzzer reach what is behind them.
		b = append([]byte(nil), b...)
		for i := 0; i+128 <= len(b); i += 128 {
			b[i+127] = -sum(b[i : i+127])
		}
		e, err := ParseEDID(b)
		if err != nil {
			return
		}
		if len(e.Manufacturer) > 3 || len(e.Name) > 13 || len(e.VICs) > 255*123 || len(e.Timings) > 4+255*6 {
			t.Errorf("more than there is room for: %+v", e)
		}
		for _, x := range e.Timings {
			if x.Width < 1 || x.Height < 1 || x.Clock < 10 || x.HTotal < x.Width {
				t.Errorf("timing %+v", x)
			}
		}
		_ = e.PhysicalAddress()
	})
}
