package drm

import (
	"reflect"
	"strings"
	"testing"
)

func uevent(lines ...string) []byte { return []byte(strings.Join(lines, "\x00") + "\x00") }

func TestReadUevent(t *testing.T) {
	const path = "/devices/platform/gpu/drm/card1"
	hotplug := []string{"change@" + path, "ACTION=change", "DEVPATH=" + path, "SUBSYSTEM=drm", "HOTPLUG=1", "CONNECTOR=32", "SEQNUM=5"}
	replace := func(i int, s string) []byte {
		l := append([]string(nil), hotplug...)
		l[i] = s
		return uevent(l...)
	}
	tests := []struct {
		name string
		msg  []byte
		want news
	}{
		{"hotplug", uevent(hotplug...), newsHotplug},
		{"without the last NUL", uevent(hotplug...)[:len(uevent(hotplug...))-1], newsHotplug},
		{"other card", replace(0, "change@/devices/platform/gpu/drm/card0"), newsNone},
		{"card of a longer number", uevent("change@/d/card11", "ACTION=change", "SUBSYSTEM=drm", "HOTPLUG=1"), newsNone},
		{"property change", replace(4, "PROPERTY=7"), newsNone},
		{"hotplug 0", replace(4, "HOTPLUG=0"), newsNone},
		{"other subsystem", replace(3, "SUBSYSTEM=sound"), newsNone},
		{"contradicting action", replace(1, "ACTION=add"), newsNone},
		{"contradicting path", replace(2, "DEVPATH=/devices/x"), newsNone},
		{"removed", uevent("remove@"+path, "ACTION=remove", "DEVPATH="+path, "SUBSYSTEM=drm"), newsRemoved},
		{"connector removed", uevent("remove@"+path+"/card1-HDMI-A-1", "ACTION=remove", "SUBSYSTEM=drm"), newsNone},
		{"udev's own", []byte("libudev\x00\xfe\xed\xca\xfe"), newsNone},
		{"empty", nil, newsNone},
		{"no header", uevent("ACTION=change", "SUBSYSTEM=drm", "HOTPLUG=1"), newsNone},
	}
	for _, tt := range tests {
		if got := readUevent(tt.msg, "card1"); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func FuzzUevent(f *testing.F) {
	f.Add(uevent("change@/devices/x/drm/card0", "ACTION=change", "DEVPATH=/devices/x/drm/card0", "SUBSYSTEM=drm", "HOTPLUG=1"))
	f.Add([]byte("remove@card0\x00SUBSYSTEM=drm"))
	f.Add([]byte("\x00=\x00@"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if readUevent(b, "card0") != newsNone && !strings.Contains(string(b), "card0\x00") {
			t.Errorf("news of card0 from %q", b)
		}
	})
}

func TestParseInFormats(t *testing.T) {
	formats := []Format{XRGB8888, NV12, YUV420}
	b := inFormats(formats, map[Modifier][]Format{Linear: formats, SAND128(0): {NV12}})
	want := map[Format][]Modifier{XRGB8888: {Linear}, NV12: {Linear, SAND128(0)}, YUV420: {Linear}}
	if got := parseInFormats(b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, n := range []int{0, 10, 23, 24, len(b) - 1} {
		for f := range parseInFormats(b[:n]) {
			t.Errorf("%d bytes give %v", n, f)
		}
	}
	p := &plane{formats: want}
	for _, tt := range []struct {
		f  Format
		m  Modifier
		ok bool
	}{{NV12, Linear, true}, {NV12, SAND128(1632), true}, {NV12, Implicit, true}, {NV12, VC4TTiled, false}, {XRGB8888, SAND128(1632), false}, {RGB565, Linear, false}} {
		if p.takes(tt.f, tt.m) != tt.ok {
			t.Errorf("takes %v %v: %v", tt.f, tt.m, !tt.ok)
		}
	}
}

func FuzzInFormats(f *testing.F) {
	f.Add(inFormats([]Format{XRGB8888, NV12}, map[Modifier][]Format{Linear: {NV12}, SAND128(0): {NV12}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for format, mods := range parseInFormats(b) {
			if len(mods) == 0 || len(mods) > len(b)/24 {
				t.Errorf("%v with %d modifiers from %d bytes", format, len(mods), len(b))
			}
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x20\x00\x00\x00abcdefghijklmnopqrstuvwx"))
	f.Add([]byte("\x03\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00\x20\x00\x00\x00abcdefghijklmnopqrstuvwx"))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for rest := b; ; n++ {
			_, r, ok := nextEvent(rest)
			if !ok {
				break
			}
			if len(r) >= len(rest) {
				t.Fatal("an event of no length")
			}
			rest = r
		}
		if n > len(b)/8 {
			t.Errorf("%d events in %d bytes", n, len(b))
		}
	})
}

func TestFormatNames(t *testing.T) {
	if NV12.String() != "NV12" || Format(1).String() != "0x00000001" || SAND128(1632).String() != "sand128(1632)" || Linear.String() != "linear" {
		t.Error(NV12, Format(1), SAND128(1632), Linear)
	}
}
