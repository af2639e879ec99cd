package hevc

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"aerie/receiver/codec/h264"
)

// The sample entry of a file that ffmpeg made of an x265 clip of 640x480. An
// AirPlay codec packet has the same form, up to the boxes behind hvcC.
const sampleEntry = "000000fb68766331000000000000000100000000000000000000000000000000028001e00048000000480000000000000001" +
	"154c61766335392e33372e313030206c6962783236350000000000000000000000" + "18ffff" +
	"00000077687663430101600000009000000000005af000fcfdf8f800000f03" +
	"a00001001840010c01ffff01600000030090000003000003005a959809" +
	"a10001002a42010101600000030090000003000003005aa0050201e165959a4932bc05a020000003002000000303c1" +
	"a2000100074401c172b46240" +
	"0000000a6669656c01000000001070617370000000010000000100000014627472740000000000 0c4b08000c4b08"

func airplayPayload(t testing.TB) []byte {
	b := unhex(sampleEntry)
	if int(binary.BigEndian.Uint32(b)) != len(b) {
		t.Fatalf("the entry says %d bytes of %d", binary.BigEndian.Uint32(b), len(b))
	}
	if b[arraysOffset] != 0xa0 {
		t.Fatalf("no VPS array at %#x", arraysOffset)
	}
	return b
}

func TestParsePayload(t *testing.T) {
	b := airplayPayload(t)
	c, err := ParsePayload(b)
	if err != nil {
		t.Fatal(err)
	}
	checkSets := func(c *Config) {
		t.Helper()
		if len(c.VPS) != 1 || len(c.SPS) != 1 || len(c.PPS) != 1 || !bytes.Equal(c.PPS[0], unhex("4401c172b46240")) {
			t.Fatalf("%+v", c)
		}
		s, err := ParseSPS(c.SPS[0])
		if err != nil {
			t.Fatal(err)
		}
		if w, h := s.Size(); w != 640 || h != 480 {
			t.Errorf("size %dx%d", w, h)
		}
	}
	checkSets(c)
	if !bytes.Equal(c.AppendAnnexB(nil)[:6], unhex("000000014001")) || h264.TypeOf(nil) != 0 {
		t.Errorf("Annex B % x", c.AppendAnnexB(nil))
	}
	var types []Type
	for nal := range h264.AnnexB(c.AppendAnnexB(nil)) {
		types = append(types, TypeOf(nal))
	}
	if !reflect.DeepEqual(types, []Type{TypeVPS, TypeSPS, TypePPS}) {
		t.Errorf("order %v", types)
	}
	// The record is built again bit for bit.
	record := b[entrySize+8 : entrySize+0x77]
	if got := c.Append(nil); !bytes.Equal(got, record) {
		t.Errorf("built again:\n% x\n% x", got, record)
	}
	// And from the sets alone, where only what ffmpeg adds is missing.
	made, err := NewConfig(c.VPS, c.SPS, c.PPS)
	if err != nil || !reflect.DeepEqual(made, c) {
		t.Errorf("made %+v, %v\nparsed %+v", made, err, c)
	}

	for name, spoil := range map[string]func([]byte){
		"size of the entry":   func(b []byte) { binary.BigEndian.PutUint32(b, 0x7fffffff) },
		"size 0":              func(b []byte) { binary.BigEndian.PutUint32(b, 0) },
		"name of the box":     func(b []byte) { copy(b[entrySize+4:], "xxxx") },
		"size of the box":     func(b []byte) { b[entrySize] = 0xff },
		"version":             func(b []byte) { b[entrySize+8] = 0 },
		"number of arrays":    func(b []byte) { b[arraysOffset-1] = 200 },
		"name of the entry":   func(b []byte) { copy(b[4:], "avc1") },
		"everything in front": func(b []byte) { clear(b[:arraysOffset]) },
	} {
		t.Run("fixed offset: "+name, func(t *testing.T) {
			broken := bytes.Clone(b)
			spoil(broken)
			c, err := ParsePayload(broken)
			if err != nil {
				t.Fatal(err)
			}
			checkSets(c)
			if c.General.Level != 90 || c.ChromaFormat != 1 || c.BitDepthLuma != 8 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestParsePayloadRefuses(t *testing.T) {
	b := airplayPayload(t)
	for n := range 0xc0 {
		if c, err := ParsePayload(b[:n]); err == nil {
			t.Errorf("%d bytes accepted: %+v", n, c)
		}
	}
	if _, err := ParsePayload(nil); err == nil || !strings.Contains(err.Error(), "0 bytes") {
		t.Errorf("empty: %v", err)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	good := unhex(sampleEntry)[entrySize+8 : entrySize+0x77]
	for _, c := range []struct {
		name  string
		spoil func([]byte) []byte
		want  string
	}{
		{"too short", func(b []byte) []byte { return b[:22] }, "too short"},
		{"version", func(b []byte) []byte { b[0] = 3; return b }, "version 3"},
		{"2-byte lengths", func(b []byte) []byte { b[21] &^= 2; return b }, "lengths of 2 bytes"},
		{"17 arrays", func(b []byte) []byte { b[22] = 17; return b }, "17 arrays"},
		{"array missing", func(b []byte) []byte { b[22] = 4; return b }, "ends before array 3"},
		{"no PPS", func(b []byte) []byte { b[22] = 2; return b }, "no PPS"},
		{"no arrays", func(b []byte) []byte { b[22] = 0; return b }, "no VPS"},
		{"65535 VPS", func(b []byte) []byte { b[24], b[25] = 0xff, 0xff; return b }, "65535 parameter sets"},
		{"VPS beyond the record", func(b []byte) []byte { b[26] = 0xff; return b }, "has 65304 bytes"},
		{"array of the wrong type", func(b []byte) []byte { b[23] = 0xa1; return b }, "no VPS"},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, "6 are left"},
	} {
		_, err := ParseConfig(c.spoil(bytes.Clone(good)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNewConfigRefuses(t *testing.T) {
	c, err := ParsePayload(airplayPayload(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewConfig(nil, c.SPS, c.PPS); err == nil {
		t.Error("no VPS accepted")
	}
	if _, err := NewConfig(c.VPS, [][]byte{c.SPS[0][:5]}, c.PPS); err == nil {
		t.Error("cut SPS accepted")
	}
}

func TestInspect(t *testing.T) {
	for _, c := range []struct {
		nals []string
		want Contents
	}{
		{[]string{"0201d0"}, Contents{Units: 1, Slices: 1, Pictures: 1}},
		{[]string{"4e01aa", "2601af", "260140"}, Contents{Units: 3, Slices: 2, Pictures: 1, IRAP: true}},
		{[]string{"2a01af"}, Contents{Units: 1, Slices: 1, Pictures: 1, IRAP: true}},
		{[]string{realSets[0].vps, realSets[0].sps, realSets[0].pps, "2801af"}, Contents{Units: 4, Slices: 1, Pictures: 1, IRAP: true, ParameterSets: true}},
	} {
		var au []byte
		for _, n := range c.nals {
			au = h264.AppendLengthPrefixed(au, unhex(n))
		}
		if got, err := Inspect(au); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v", c.nals, got, err)
		}
		if err := h264.ToAnnexB(au); err != nil {
			t.Fatal(err)
		}
		if got := InspectAnnexB(au); got != c.want {
			t.Errorf("%v with start codes: %+v", c.nals, got)
		}
		if n := testing.AllocsPerRun(100, func() { InspectAnnexB(au) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if _, err := Inspect([]byte{0, 0, 0, 9, 2, 1, 0xd0}); err == nil {
		t.Error("bad length accepted")
	}
}

func FuzzHVCC(f *testing.F) {
	f.Add(unhex(sampleEntry)[entrySize+8 : entrySize+0x77])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err != nil {
			return
		}
		again, err := ParseConfig(c.Append(nil))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v built and parsed: %+v, %v", c, again, err)
		}
		if len(c.AppendAnnexB(nil)) > 3*len(b) {
			t.Errorf("%d bytes of parameter sets from %d", len(c.AppendAnnexB(nil)), len(b))
		}
	})
}

func FuzzPayload(f *testing.F) {
	f.Add(airplayPayload(f))
	broken := airplayPayload(f)
	clear(broken[:arraysOffset])
	f.Add(broken)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParsePayload(b); err == nil && c.check() != nil {
			t.Errorf("%+v: %v", c, c.check())
		}
	})
}
