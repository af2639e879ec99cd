package h264

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// accessUnit frames NAL units with lengths.
func accessUnit(nals ...string) (au []byte) {
	for _, n := range nals {
		au = AppendLengthPrefixed(au, unhex(n))
	}
	return au
}

func TestToAnnexB(t *testing.T) {
	au := accessUnit("0605ff", "658880", "41")
	want := unhex("000000010605ff 00000001658880 0000000141")
	lengths := bytes.Clone(au)
	if err := ToAnnexB(au); err != nil || !bytes.Equal(au, want) {
		t.Fatalf("% x, %v", au, err)
	}
	if err := ToLengths(au); err != nil || !bytes.Equal(au, lengths) {
		t.Errorf("back: % x, %v", au, err)
	}
}

// Whatever does not add up is refused and left alone.
func TestToAnnexBRefuses(t *testing.T) {
	for name, au := range map[string][]byte{
		"empty":               {},
		"half a length":       {0, 0, 0},
		"length alone":        {0, 0, 0, 0},
		"empty unit":          accessUnit("65", ""),
		"beyond the end":      unhex("00000003 6588"),
		"far beyond the end":  unhex("ffffffff 6588"),
		"bytes behind":        append(accessUnit("658880"), 0),
		"second one too long": append(accessUnit("658880"), unhex("0000000141ffffffff41")...),
		"forbidden_zero_bit":  accessUnit("65", "e5"),
	} {
		before := bytes.Clone(au)
		if err := ToAnnexB(au); !errors.Is(err, ErrBadLength) || !bytes.Equal(au, before) {
			t.Errorf("%s: % x, %v", name, au, err)
		}
		if _, err := Inspect(au); len(au) > 0 && !errors.Is(err, ErrBadLength) {
			t.Errorf("%s: Inspect says %v", name, err)
		}
	}
}

func TestToLengthsRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty":                "",
		"no start code":        "6588",
		"first of 3 bytes":     "00000165",
		"second of 3 bytes":    "0000000165000001 41",
		"empty unit":           "00000001 00000001 41",
		"start code at end":    "0000000165 00000001",
		"bytes before":         "ff0000000165",
		"zeros before":         "000000000165",
		"start code of 3, 2nd": "00000001 000001",
	} {
		b := unhex(s)
		if err := ToLengths(b); !errors.Is(err, ErrStartCode) || !bytes.Equal(b, unhex(s)) {
			t.Errorf("%s: % x, %v", name, b, err)
		}
	}
}

func TestAnnexB(t *testing.T) {
	for _, c := range []struct {
		stream string
		want   []string
	}{
		{"", nil}, {"6588", nil}, {"000001", nil}, {"00000001", nil},
		{"00000165", []string{"65"}},
		{"0000000165", []string{"65"}},
		{"000000000000016588 00000000 000001 41 0000", []string{"6588", "41"}},
		{"ffff 00000167 00000168 0000000165", []string{"67", "68", "65"}},
		{"000001 000001 65", []string{"65"}},
		{"00000165 0000030000", []string{"65000003"}},
	} {
		var got []string
		for nal := range AnnexB(unhex(c.stream)) {
			got = append(got, string(nal))
		}
		var want []string
		for _, w := range c.want {
			want = append(want, string(unhex(w)))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: % x, want % x", c.stream, got, want)
		}
	}
}

func TestInspect(t *testing.T) {
	for _, c := range []struct {
		nals []string
		want Contents
	}{
		{[]string{"41e0"}, Contents{Units: 1, Slices: 1, Pictures: 1}},
		{[]string{"06aa", "6588", "6540"}, Contents{Units: 3, Slices: 2, Pictures: 1, IDR: true}},
		{[]string{airplaySPS, airplayPPS, "65"}, Contents{Units: 3, Slices: 1, IDR: true, ParameterSets: true}},
		{[]string{"0e41", "4180", "01ff"}, Contents{Units: 3, Slices: 2, Pictures: 2}},
	} {
		au := accessUnit(c.nals...)
		if got, err := Inspect(au); err != nil || got != c.want {
			t.Errorf("%v: %+v, %v", c.nals, got, err)
		}
		if err := ToAnnexB(au); err != nil {
			t.Fatal(err)
		}
		if got := InspectAnnexB(au); got != c.want {
			t.Errorf("%v with start codes: %+v", c.nals, got)
		}
	}
}

// The whole way of a frame through this package allocates nothing.
func TestFramingAllocations(t *testing.T) {
	au := AppendLengthPrefixed(accessUnit("0605ff"), bytes.Repeat([]byte{0x65, 0x88, 0, 0, 3}, 20000))
	units := 0
	if n := testing.AllocsPerRun(100, func() {
		c, err := Inspect(au)
		if err != nil || !c.IDR || ToAnnexB(au) != nil {
			t.Fatal(c, err)
		}
		for range AnnexB(au) {
			units++
		}
		if err := ToLengths(au); err != nil {
			t.Fatal(err)
		}
		for range LengthPrefixed(au) {
			units++
		}
	}); n != 0 {
		t.Errorf("%v allocations per access unit", n)
	}
	if units != 4*101 {
		t.Errorf("%d units", units)
	}
}

func BenchmarkToAnnexB(b *testing.B) {
	au := AppendLengthPrefixed(nil, bytes.Repeat([]byte{0x65, 0x88, 7, 0, 3}, 10000))
	length := bytes.Clone(au[:4])
	b.SetBytes(int64(len(au)))
	for b.Loop() {
		copy(au, length)
		if err := ToAnnexB(au); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToLengths(b *testing.B) {
	au := AppendAnnexB(nil, bytes.Repeat([]byte{0x65, 0x88, 7, 0, 3}, 10000))
	b.SetBytes(int64(len(au)))
	for b.Loop() {
		copy(au, startCode)
		if err := ToLengths(au); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzFraming(f *testing.F) {
	f.Add(accessUnit("0605ff", "658880", "41"))
	f.Add(unhex("0000000165 00000000 000001 41 0000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		au := bytes.Clone(data)
		var nals [][]byte
		for nal := range LengthPrefixed(data) {
			nals = append(nals, nal)
		}
		err := ToAnnexB(au)
		if (err == nil) != (CheckLengths(data) == nil) {
			t.Fatalf("ToAnnexB: %v, CheckLengths: %v", err, CheckLengths(data))
		}
		if err != nil {
			if !bytes.Equal(au, data) {
				t.Fatal("changed and refused")
			}
		} else if !slices.ContainsFunc(nals, hasStartCode) {
			if err := ToLengths(au); err != nil || !bytes.Equal(au, data) {
				t.Fatalf("% x and back: % x, %v", data, au, err)
			}
		}
		for nal := range AnnexB(data) {
			if len(nal) == 0 || bytes.Contains(nal, startCode3) {
				t.Fatalf("unit % x", nal)
			}
		}
		if back := bytes.Clone(data); ToLengths(back) == nil && !bytes.HasPrefix(back, []byte{0x80}) {
			for rest := back; len(rest) > 0; {
				n := int(rest[0])<<24 | int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
				rest = rest[4+n:]
			}
		}
		InspectAnnexB(data)
	})
}

// hasStartCode tells whether a unit, together with what may follow it, looks
// like more than one: it breaks the rule of section 7.4.1.
func hasStartCode(nal []byte) bool {
	return bytes.Contains(nal, startCode3) || nal[len(nal)-1] == 0
}
