package alsa

import (
	"strings"
	"testing"
)

func neg(v int) uint32 { return uint32(int32(v)) }

func TestUnity(t *testing.T) {
	for _, c := range []struct {
		name   string
		tlv    []uint32
		lo, hi int
		want   int
		ok     bool
	}{
		{"bcm2835 Headphones", []uint32{tlvScale, 8, neg(-10239), 1<<16 | 1}, -10239, 400, 0, true},
		{"HDA codec, -65.25 dB in steps of 0.75", []uint32{tlvScale, 8, neg(-6525), 75}, 0, 87, 87, true},
		{"6 dB above unity", []uint32{tlvScale, 8, neg(-3450), 150}, 0, 27, 23, true},
		{"never as loud as 0 dB", []uint32{tlvScale, 8, neg(-3000), 100}, 0, 20, 20, true},
		{"never as soft", []uint32{tlvScale, 8, 600, 100}, 3, 20, 3, true},
		{"minimum and maximum", []uint32{tlvMinMax, 8, neg(-6000), 0}, 0, 60, 60, true},
		{"minimum and maximum of a USB card", []uint32{tlvMinMaxMute, 8, neg(-12750), 1250}, 0, 112, 102, true},
		{"linear up to 0 dB", []uint32{tlvLinear, 8, neg(-9999999), 0}, 0, 255, 255, true},
		{"linear beyond", []uint32{tlvLinear, 8, neg(-9999999), 600}, 0, 255, 0, false},
		{"ranges", []uint32{tlvRange, 48, 0, 9, tlvScale, 8, neg(-5000), 400, 10, 40, tlvScale, 8, neg(-1000), 50}, 0, 40, 30, true},
		{"no step", []uint32{tlvScale, 8, neg(-1000), 0}, 0, 10, 0, false},
		{"empty", []uint32{0, 0, 0, 0}, 0, 10, 0, false},
		{"cut off", []uint32{tlvScale, 4, neg(-1000), 100}, 0, 10, 0, false},
		{"ranges within ranges", []uint32{tlvRange, 24, 0, 9, tlvRange, 8, 0, 0}, 0, 10, 0, false},
		{"upside down", []uint32{tlvMinMax, 8, 0, neg(-100)}, 0, 10, 0, false},
		{"no range of values", []uint32{tlvScale, 8, neg(-1000), 100}, 5, 5, 0, false},
	} {
		got, ok := unity(c.tlv, c.lo, c.hi)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func FuzzUnity(f *testing.F) {
	f.Add(uint32(1), uint32(8), uint32(0xffff0000), uint32(75), uint32(0), uint32(0), uint32(0), uint32(0), 0, 87)
	f.Add(uint32(3), uint32(24), uint32(0), uint32(9), uint32(1), uint32(8), uint32(0xfffff000), uint32(100), -4, 9)
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g, h, i uint32, lo, hi int) {
		v, ok := unity([]uint32{a, b, c, d, e, g, h, i}, lo, hi)
		if ok && (v < lo || v > hi) {
			t.Errorf("%d is not within %d to %d", v, lo, hi)
		}
	})
}

func TestLineLevel(t *testing.T) {
	m := newMachine(t)
	c := m.card("Headphones", "bcm2835 Headphones").card
	pcm := c.element(ifaceMixer, "PCM Playback Volume", elemInteger, 2)
	pcm.min, pcm.max, pcm.tlv = -10239, 400, []uint32{tlvScale, 8, neg(-10239), 1<<16 | 1}
	setLong(pcm.value[:], 0, -4000)
	sw := c.element(ifaceMixer, "PCM Playback Switch", elemBoolean, 1)
	mic := c.element(ifaceMixer, "Mic Playback Volume", elemInteger, 1)
	setLong(mic.value[:], 0, 7)
	plain := c.element(ifaceMixer, "Master Playback Volume", elemInteger, 1) // no decibels
	setLong(plain.value[:], 0, 5)
	if err := setLineLevel(m, Card{Number: 0, ID: "Headphones"}); err != nil {
		t.Fatal(err)
	}
	for i, want := range map[*simElement]int{pcm: 0, sw: 1, mic: 7, plain: 5} {
		if got := long(i.value[:], 0); got != want {
			t.Errorf("%s is %d, want %d", i.name(), got, want)
		}
	}
	if got := long(pcm.value[:], 1); got != 0 {
		t.Errorf("right channel is %d", got)
	}
	m.leaks()
	m.cards = nil
	if err := setLineLevel(m, Card{ID: "Headphones"}); err == nil || !strings.Contains(err.Error(), "Headphones: open") {
		t.Errorf("no card: %v", err)
	}
}
