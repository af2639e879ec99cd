package alsa

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"
)

// television is an ELD as drm_edid_to_eld lays it out.
func television(monitor string, sad ...byte) []byte {
	b := make([]byte, maxELD)
	b[0] = 2 << 3
	b[4] = 3<<5 | byte(len(monitor))
	b[5] = byte(len(sad)/3) << 4
	b[6] = 60
	b[7] = 0x4f
	b[16], b[17] = 0x4c, 0x2d // SAM
	binary.LittleEndian.PutUint16(b[18:], 0x0f13)
	n := copy(b[20:], monitor)
	copy(b[20+n:], sad)
	b[2] = byte((16 + n + len(sad) + 3) / 4)
	return b
}

func TestParseELD(t *testing.T) {
	b := television("SAMSUNG", 0x0f, 0x7f, 0x07, 0x15, 0x07, 0x50, 0x09, 0x04, 0x01)
	got, err := ParseELD(b)
	if err != nil {
		t.Fatal(err)
	}
	want := ELD{Monitor: "SAMSUNG", Manufacturer: "SAM", Product: 0x0f13, SyncDelay: 120 * time.Millisecond, Speakers: 0x4f,
		Audio: []Audio{
			{Coding: 1, Channels: 8, Rates: []int{32000, 44100, 48000, 88200, 96000, 176400, 192000}, Bits: []int{16, 20, 24}},
			{Coding: 2, Channels: 6, Rates: []int{32000, 44100, 48000}},
			{Coding: 1, Channels: 2, Rates: []int{48000}, Bits: []int{16}},
		}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for rate, want := range map[int]bool{44100: true, 192000: true, 22050: false} {
		if got.LPCM(rate) != want {
			t.Errorf("LPCM(%d) is %v", rate, !want)
		}
	}
	plain, err := ParseELD(television("", 0x15, 0x7f, 0x50))
	if err != nil || !plain.LPCM(44100) || plain.LPCM(96000) {
		t.Errorf("a television with AC-3 alone: %+v, %v", plain, err)
	}
}

func TestParseELDRefuses(t *testing.T) {
	if _, err := ParseELD(make([]byte, maxELD)); !errors.Is(err, ErrNoELD) {
		t.Errorf("zeros: %v", err)
	}
	if _, err := ParseELD(nil); !errors.Is(err, ErrNoELD) {
		t.Errorf("nothing: %v", err)
	}
	short := television("TV", 0x09, 0x07, 0x07)
	short[2] = 2
	long := television("TV", 0x09, 0x07, 0x07)
	long[5] = 0xf0
	version := television("TV")
	version[0] = 9 << 3
	for name, b := range map[string][]byte{"short baseline": short, "15 descriptors claimed": long, "version 9": version,
		"cut off": television("A television", 0x09, 0x07, 0x07)[:24]} {
		if e, err := ParseELD(b); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
	loud := television("\x1b[2J\xffTV")
	if e, err := ParseELD(loud); err != nil || e.Monitor != "[2JTV" {
		t.Errorf("name %q, %v", e.Monitor, err)
	}
}

func FuzzParseELD(f *testing.F) {
	f.Add(television("SAMSUNG", 0x0f, 0x7f, 0x07))
	f.Add(television(""))
	f.Add(make([]byte, maxELD))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseELD(b)
		if err != nil {
			return
		}
		if len(e.Monitor) > 31 || len(e.Audio) > 15 || e.SyncDelay > 500*time.Millisecond {
			t.Errorf("%+v", e)
		}
		for _, c := range e.Monitor {
			if c < ' ' || c > '~' {
				t.Errorf("monitor name %q", e.Monitor)
			}
		}
	})
}
