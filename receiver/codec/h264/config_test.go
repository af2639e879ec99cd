package h264

import (
	"bytes"
	"strings"
	"testing"
)

// The codec packet of an AirPlay sender (reference section 9.3).
const airplayConfig = "0164c028ffe1 0010" + airplaySPS + "01 0004" + airplayPPS

func TestParseConfigAirPlay(t *testing.T) {
	b := unhex(airplayConfig)
	if len(b) != 0x1f {
		t.Fatalf("the packet header says 31 bytes, not %d", len(b))
	}
	c, err := ParseConfig(b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Profile != 0x64 || c.Compatibility != 0xc0 || c.Level != 0x28 || len(c.SPS) != 1 || len(c.PPS) != 1 ||
		!bytes.Equal(c.SPS[0], unhex(airplaySPS)) || !bytes.Equal(c.PPS[0], unhex(airplayPPS)) {
		t.Errorf("%+v", c)
	}
	if got, want := c.AppendAnnexB(nil), unhex("00000001"+airplaySPS+"00000001"+airplayPPS); !bytes.Equal(got, want) {
		t.Errorf("Annex B % x", got)
	}
	if got, want := c.Append(nil), unhex(airplayConfig+"fdf8f800"); !bytes.Equal(got, want) {
		t.Errorf("built again: % x", got)
	}
}

func TestConfigManySets(t *testing.T) {
	sps := [][]byte{unhex(airplaySPS), unhex(realSPS[2].hex)}
	var pps [][]byte
	for range 255 {
		pps = append(pps, unhex(airplayPPS))
	}
	c, err := NewConfig(sps, pps)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig(c.Append(nil))
	if err != nil || len(again.SPS) != 2 || len(again.PPS) != 255 || again.Profile != 100 {
		t.Fatalf("%d SPS, %d PPS, %v", len(again.SPS), len(again.PPS), err)
	}
	if _, err := NewConfig(sps, append(pps, pps[0])); err == nil {
		t.Error("256 PPS accepted")
	}
	if _, err := NewConfig(nil, pps); err == nil {
		t.Error("no SPS accepted")
	}
	if _, err := NewConfig(pps, pps); err == nil {
		t.Error("PPS as SPS accepted")
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"empty", "", "too short"},
		{"version", "0264c028ffe1 0010" + airplaySPS, "version 2"},
		{"2-byte lengths", "0164c028fde1 0010" + airplaySPS, "lengths of 2 bytes"},
		{"1-byte lengths", "0164c028fce1 0010" + airplaySPS, "lengths of 1 bytes"},
		{"no SPS", "0164c028ffe0 01 0004" + airplayPPS, "no SPS"},
		{"no PPS", "0164c028ffe1 0010" + airplaySPS + "00", "no PPS"},
		{"ends behind the SPS", "0164c028ffe1 0010" + airplaySPS, "number of PPS"},
		{"SPS beyond the packet", "0164c028ffe1 0011" + airplaySPS, "SPS 0 of 17 bytes, 16 are left"},
		{"SPS of 64 KB", "0164c028ffe1 ffff" + airplaySPS, "SPS 0 of 65535 bytes"},
		{"PPS beyond the packet", "0164c028ffe1 0010" + airplaySPS + "01 0005" + airplayPPS, "PPS 0 of 5 bytes"},
		{"half a length", "0164c028ffe2 0010" + airplaySPS + "01", "length of SPS 1"},
		{"31 SPS in nothing", "0164c028ffff 0010 67", "31 SPS in 3 bytes"},
		{"empty SPS", "0164c028ffe1 0000 01 0004" + airplayPPS, "SPS 0 is a NAL unit of 0 bytes"},
		{"empty PPS", "0164c028ffe1 0010" + airplaySPS + "01 0000", "PPS 0 is a NAL unit of 0 bytes"},
		{"sets swapped", "0164c028ffe1 0004" + airplayPPS + "01 0010" + airplaySPS, "type 8"},
	} {
		got, err := ParseConfig(unhex(c.hex))
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestParsePPSReal(t *testing.T) {
	for _, c := range []struct {
		hex  string
		want PPS
	}{
		{airplayPPS, PPS{CABAC: true, SliceGroups: 1, RefIdxL0: 1, RefIdxL1: 1, InitQP: 26, InitQS: 26, DeblockingControl: true, Transform8x8: true}},
		{"68ebc3cb22c0", PPS{CABAC: true, SliceGroups: 1, RefIdxL0: 3, RefIdxL1: 1, WeightedPred: true, InitQP: 23, InitQS: 26,
			ChromaQPOffset: -2, SecondChromaQPOffset: -2, DeblockingControl: true, Transform8x8: true}},
		{"68fbacb22c", PPS{CABAC: true, BottomFieldPicOrder: true, SliceGroups: 1, RefIdxL0: 3, RefIdxL1: 1, WeightedBipred: 2,
			InitQP: 26, InitQS: 26, ChromaQPOffset: -2, SecondChromaQPOffset: -2, DeblockingControl: true, Transform8x8: true}},
		{"68ebe3cb3002c0", PPS{CABAC: true, SliceGroups: 1, RefIdxL0: 3, RefIdxL1: 1, WeightedPred: true, WeightedBipred: 2, InitQP: 23, InitQS: 26,
			ChromaQPOffset: -2, SecondChromaQPOffset: -2, DeblockingControl: true, Transform8x8: true, ScalingMatrix: true}},
		{"68cb83cb20", PPS{SliceGroups: 1, RefIdxL0: 3, RefIdxL1: 1, InitQP: 23, InitQS: 26,
			ChromaQPOffset: -2, SecondChromaQPOffset: -2, DeblockingControl: true}},
	} {
		got, err := ParsePPS(unhex(c.hex), nil)
		if err != nil || *got != c.want {
			t.Errorf("%s: %+v, %v", c.hex, got, err)
		}
	}
}

func TestParsePPSSliceGroups(t *testing.T) {
	for mapType := range uint32(7) {
		var w BitWriter
		w.UE(1)
		w.UE(0)
		w.U(2, 0)
		w.UE(2) // three groups
		w.UE(mapType)
		switch mapType {
		case 0:
			w.UE(4)
			w.UE(5)
			w.UE(6)
		case 2:
			for range 2 {
				w.UE(0)
				w.UE(7)
			}
		case 3, 4, 5:
			w.Flag(true)
			w.UE(8)
		case 6:
			w.UE(99)
			for i := range uint32(100) {
				w.U(2, i%3)
			}
		}
		w.UE(6)
		w.UE(0)
		w.U(3, 0)
		for range 3 {
			w.SE(0)
		}
		w.U(3, 0b010)
		w.TrailingBits()
		p, err := ParsePPS(AppendNAL(nil, 0x68, w.RBSP()), nil)
		if err != nil || p.SliceGroups != 3 || p.RefIdxL0 != 7 || !p.ConstrainedIntraPred || p.RedundantPicCnt || p.DeblockingControl {
			t.Errorf("map type %d: %+v, %v", mapType, p, err)
		}
	}
}

func TestParsePPSRefuses(t *testing.T) {
	var huge BitWriter // a map of 2^32-1 macroblocks
	for _, v := range []uint32{0, 0} {
		huge.UE(v)
	}
	huge.U(2, 0)
	huge.UE(7)
	huge.UE(6)
	huge.UE(1<<32 - 2)
	huge.TrailingBits()
	for name, nal := range map[string][]byte{
		"empty": nil, "SPS": unhex(airplaySPS), "header alone": {0x68}, "cut": unhex(airplayPPS)[:2],
		"huge map": AppendNAL(nil, 0x68, huge.RBSP()),
	} {
		if p, err := ParsePPS(nal, nil); err == nil || p != nil {
			t.Errorf("%s accepted: %+v", name, p)
		}
	}
}

func FuzzAVCC(f *testing.F) {
	f.Add(unhex(airplayConfig))
	f.Add(unhex(airplayConfig + "fdf8f800"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err != nil {
			return
		}
		again, err := ParseConfig(c.Append(nil))
		if err != nil || !bytes.Equal(again.AppendAnnexB(nil), c.AppendAnnexB(nil)) {
			t.Errorf("%+v built and parsed: %+v, %v", c, again, err)
		}
		if len(c.AppendAnnexB(nil)) > 3*len(b) {
			t.Errorf("%d bytes of parameter sets from %d", len(c.AppendAnnexB(nil)), len(b))
		}
	})
}

func FuzzPPS(f *testing.F) {
	f.Add(unhex(airplayPPS), uint8(1))
	f.Add(unhex("68ebe3cb3002c0"), uint8(3))
	f.Fuzz(func(t *testing.T, nal []byte, chroma uint8) {
		p, err := ParsePPS(nal, &SPS{ChromaFormat: chroma & 3, BitDepthLuma: 8 + chroma>>2%7})
		if err == nil && (p.SliceGroups < 1 || p.SliceGroups > 8 || p.RefIdxL0 < 1 || p.RefIdxL0 > 32) {
			t.Errorf("%+v", p)
		}
	})
}
