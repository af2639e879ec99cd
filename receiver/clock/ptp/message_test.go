package ptp

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// Messages as they stand on the wire, put together by hand from the tables of
// IEEE 1588-2008.
var wire = map[string]struct {
	hex string
	m   Message
}{
	"Sync": {"0002002c" + "00000600" + "0000000000000000" + "00000000" + "1122334455667788" + "8005" + "0102" + "00fd" + "00000000000000000000",
		Message{Kind: Sync, TwoStep: true, Source: Port{0x1122334455667788, 0x8005}, Sequence: 0x102, Interval: -3}},
	"Follow_Up": {"0802002c" + "00000400" + "0000000000018000" + "00000000" + "1122334455667788" + "8005" + "0102" + "02fd" + "00000001e2403ade68b1",
		Message{Kind: FollowUp, Correction: 1, Source: Port{0x1122334455667788, 0x8005}, Sequence: 0x102, Interval: -3, Stamp: 123456*1e9 + 987654321}},
	"Delay_Req": {"0102002c" + "00000400" + "0000000000000000" + "00000000" + "0000000000000007" + "0001" + "0003" + "017f" + "00000000000000000000",
		Message{Kind: DelayReq, Source: Port{7, 1}, Sequence: 3, Interval: 127}},
	"Delay_Resp": {"09020036" + "00000400" + "0000000000000000" + "00000000" + "1122334455667788" + "8005" + "0003" + "0300" + "00000000000200000001" + "0000000000000007" + "0001",
		Message{Kind: DelayResp, Source: Port{0x1122334455667788, 0x8005}, Sequence: 3, Stamp: 2*1e9 + 1, Requesting: Port{7, 1}}},
	"Announce": {"0b020040" + "00000400" + "0000000000000000" + "00000000" + "1122334455667788" + "8005" + "0001" + "0500" + "00000000000000000000" + "0025" + "00" + "f8" + "f8" + "fe" + "436a" + "f7" + "99aabbccddeeff00" + "0001" + "a0",
		Message{Kind: Announce, Source: Port{0x1122334455667788, 0x8005}, Sequence: 1,
			Quality: Quality{Priority1: 0xf8, Class: 0xf8, Accuracy: 0xfe, Variance: 0x436a, Priority2: 0xf7, Clock: 0x99aabbccddeeff00, Steps: 1}}},
}

func TestForms(t *testing.T) {
	for name, c := range wire {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(name, err)
		}
		// Something unknown may stand behind.
		for _, behind := range [][]byte{nil, {0, 3, 0, 2, 1, 2}, {0xff}} {
			if got, ok := Parse(append(bytes.Clone(b), behind...)); !ok || got != c.m {
				t.Errorf("%s: %+v, %v", name, got, ok)
			}
		}
		out := c.m.AppendTo([]byte{9})[1:]
		if name == "Follow_Up" { // half a nanosecond is dropped
			out[13] = b[13]
			out[14] = b[14]
		}
		if !bytes.Equal(out, b) {
			t.Errorf("%s:\n%x, want\n%x", name, out, b)
		}
	}
}

func TestRefused(t *testing.T) {
	good, err := hex.DecodeString(wire["Follow_Up"].hex)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"empty":            func(b []byte) []byte { return nil },
		"cut off":          func(b []byte) []byte { return b[:len(b)-1] },
		"longer than told": func(b []byte) []byte { b[3]++; return b },
		"shorter":          func(b []byte) []byte { b[3]--; return b },
		"version 1":        func(b []byte) []byte { b[1] = 1; return b },
		"domain 1":         func(b []byte) []byte { b[4] = 1; return b },
		"another kind":     func(b []byte) []byte { b[0] = 0xd; return b },
		"2^32 seconds":     func(b []byte) []byte { b[35] = 1; return b },
		"a long second":    func(b []byte) []byte { b[40] = 0x3c; return b },
		"too long":         func(b []byte) []byte { return append(b, make([]byte, MaxSize)...) },
	} {
		if m, ok := Parse(change(bytes.Clone(good))); ok {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestQuality(t *testing.T) {
	base := Quality{Priority1: 248, Class: 248, Accuracy: 254, Variance: 100, Priority2: 248, Clock: 5, Steps: 1}
	for name, change := range map[string]func(*Quality){
		"priority 1": func(q *Quality) { q.Priority1--; q.Class = 255 }, "class": func(q *Quality) { q.Class--; q.Accuracy = 255 },
		"accuracy": func(q *Quality) { q.Accuracy--; q.Variance = 65535 }, "variance": func(q *Quality) { q.Variance--; q.Priority2 = 255 },
		"priority 2": func(q *Quality) { q.Priority2--; q.Clock = 9 }, "identity": func(q *Quality) { q.Clock--; q.Steps = 9 }, "steps": func(q *Quality) { q.Steps-- },
	} {
		better := base
		if change(&better); !better.Better(base) || base.Better(better) {
			t.Errorf("%s does not decide", name)
		}
	}
	if base.Better(base) {
		t.Error("better than itself")
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	m := Message{Kind: Announce, Correction: time.Microsecond}
	b := make([]byte, 0, MaxSize)
	if n := testing.AllocsPerRun(100, func() {
		b = m.AppendTo(b[:0])
		if _, ok := Parse(b); !ok {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range wire {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := Parse(b)
		if !ok {
			return
		}
		if again, ok := Parse(m.AppendTo(nil)); !ok || again.Stamp != m.Stamp || again.Quality != m.Quality || again.Source != m.Source {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}
