package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"howett.net/plist"
)

// bplist builds a binary property list out of raw objects; the last one is
// the top. References are one byte, or two if there are more than 256.
func bplist(objects ...[]byte) []byte {
	b := []byte("bplist00")
	var table []byte
	for _, o := range objects {
		table = binary.BigEndian.AppendUint32(table, uint32(len(b)))
		b = append(b, o...)
	}
	refSize := byte(1)
	if len(objects) > 256 {
		refSize = 2
	}
	start := uint64(len(b))
	b = append(b, table...)
	b = append(b, 0, 0, 0, 0, 0, 0, 4, refSize)
	b = binary.BigEndian.AppendUint64(b, uint64(len(objects)))
	b = binary.BigEndian.AppendUint64(b, uint64(len(objects)-1))
	return binary.BigEndian.AppendUint64(b, start)
}

// bomb is a dictionary whose value is an array of ten references to an array
// of ten references ...: small on the wire, 10^levels objects when followed.
func bomb(levels int) []byte {
	objects := [][]byte{{0x51, 'a'}, {0x09}}
	for i := range levels {
		o := []byte{0xaa}
		for range 10 {
			o = append(o, byte(i+1))
		}
		objects = append(objects, o)
	}
	objects = append(objects, []byte{0xd1, 0, byte(len(objects) - 1)})
	return bplist(objects...)
}

// nested is an array in an array in an array ...
func nested(levels int) []byte {
	objects := [][]byte{{0x51, 'a'}, {0x09}}
	for i := range levels {
		o := []byte{0xa1, byte(i + 1)}
		if levels > 250 {
			o = []byte{0xa1, byte((i + 1) >> 8), byte(i + 1)}
		}
		objects = append(objects, o)
	}
	top := []byte{0xd1, 0, byte(len(objects) - 1)}
	if levels > 250 {
		top = []byte{0xd1, 0, 0, byte((len(objects) - 1) >> 8), byte(len(objects) - 1)}
	}
	return bplist(append(objects, top)...)
}

// ladder shares one chain at every depth, so that its true depth is only seen
// by who remembers the height of what was visited before.
func ladder(steps int) []byte {
	objects := [][]byte{{0x51, 'a'}, {0x09}, {0xa1, 1}}
	for i := range steps {
		objects = append(objects, []byte{0xa1, byte(i + 2)})
	}
	first := 2
	all := []byte{0xaf, 0x10, byte(steps + 1)}
	for i := range steps + 1 {
		all = append(all, byte(first+i))
	}
	objects = append(objects, all)
	return bplist(append(objects, []byte{0xd1, 0, byte(len(objects) - 1)})...)
}

func TestHostilePlists(t *testing.T) {
	good := encodePlist(dict{"a": true})
	cases := map[string][]byte{
		"bomb of 121 bytes":     bomb(5),
		"bomb of 9 levels":      bomb(9),
		"nested 100":            nested(100),
		"nested 50000":          nested(50000),
		"ladder":                ladder(40),
		"contains itself":       bplist([]byte{0x51, 'a'}, []byte{0xd1, 0, 1}),
		"cycle of two":          bplist([]byte{0x51, 'a'}, []byte{0xa1, 2}, []byte{0xd1, 0, 1}),
		"array on top":          bplist([]byte{0x09}, []byte{0xa1, 0}),
		"key is a number":       bplist([]byte{0x10, 1}, []byte{0x09}, []byte{0xd1, 0, 1}),
		"null":                  bplist([]byte{0x51, 'a'}, []byte{0x00}, []byte{0xd1, 0, 1}),
		"string beyond the end": bplist([]byte{0x51, 'a'}, []byte{0x5f, 0x13, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{0xd1, 0, 1}),
		"utf-16 overflow":       bplist([]byte{0x51, 'a'}, []byte{0x6f, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 1}, []byte{0xd1, 0, 1}),
		"array count overflow":  bplist([]byte{0x51, 'a'}, []byte{0xaf, 0x13, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{0xd1, 0, 1}),
		"dict count overflow":   bplist([]byte{0x51, 'a'}, []byte{0xdf, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 0}, []byte{0xd1, 0, 1}),
		"reference too high":    bplist([]byte{0x51, 'a'}, []byte{0x09}, []byte{0xd1, 0, 9}),
		"int of 32 bytes":       bplist([]byte{0x51, 'a'}, append([]byte{0x15}, make([]byte, 32)...), []byte{0xd1, 0, 1}),
		"cut":                   good[:len(good)-5],
		"xml":                   []byte(`<?xml version="1.0"?><plist version="1.0"><dict/></plist>` + "                    "),
		"openstep":              []byte(`{ a = b; c = "dddddddddddddddddddddddddddddddddddddddd"; }`),
		"large":                 make([]byte, maxPlistBytes+1),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			if d, err := decodePlist(b); !errors.Is(err, ErrPlist) {
				t.Errorf("%d bytes decoded to %.100s, %v", len(b), fmt.Sprint(d), err)
			}
		})
	}
	if n := len(bomb(5)); n > 160 {
		t.Errorf("the bomb is %d bytes long, no longer a small one", n)
	}
	if _, err := decodePlist(bomb(3)); err != nil {
		t.Errorf("1000 shared objects are within the limits, got %v", err)
	}
	if d, err := decodePlist(nil); err != nil || len(d) != 0 {
		t.Errorf("no body: %v, %v", d, err)
	}
}

// A bomb must cost nothing but the look at its hundred bytes.
func TestBombCostsNothing(t *testing.T) {
	b := bomb(9)
	if n := testing.AllocsPerRun(10, func() { _, _ = decodePlist(b) }); n > 60 {
		t.Errorf("%v allocations", n)
	}
}

func TestPlistRoundTrip(t *testing.T) {
	in := dict{"s": "text", "u": "Gerät ☎", "i": int64(-3907568444900622110), "n": uint64(7), "b": true, "f": -11.5,
		"d": []byte{1, 2, 3}, "a": []any{"x", dict{"y": uint64(1)}}}
	out, err := decodePlist(encodePlist(in))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("got %v, want %v", out, in)
	}
}

// FuzzPlist checks that what passes the checks never makes the library panic
// and never grows beyond the limits.
func FuzzPlist(f *testing.F) {
	f.Add(encodePlist(dict{"a": []any{1, "b", dict{"c": []byte("d")}}, "f": 1.5, "g": true}))
	f.Add(bomb(3))
	f.Add(nested(5))
	f.Add(ladder(3))
	f.Add((&Setup{Session: &SessionSetup{Name: "Phone", EKey: make([]byte, 72)}, Streams: []StreamSetup{{Type: 96}}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkPlist(b) != nil {
			return
		}
		var top any
		if _, err := plist.Unmarshal(b, &top); err != nil {
			return
		}
		if n := count(top); n > 2*maxPlistObjects {
			t.Fatalf("%d objects", n)
		}
		_, _ = ParseSetup(b)
		_, _ = ParseInfo(b)
		_, _ = ParseSetupReply(b)
		_, _ = ParsePINSetup(b)
		_, _ = ParseQualifiers(b)
	})
}

func count(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += 1 + count(e)
		}
	case []any:
		for _, e := range v {
			n += count(e)
		}
	}
	return n
}
