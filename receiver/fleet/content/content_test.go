package content

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

const (
	run     = "4d41c744-94bf-40ac-89bc-06f28b4dc9d2"
	service = "23ebf618-41e2-40d7-9964-a16ae9762a1c"
)

// travel takes a half over the network.
func travel(t *testing.T, o twin.Object) twin.Object {
	t.Helper()
	text, err := twin.Encode(o)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = twin.Parse(text); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestReport(t *testing.T) {
	r := Report{
		Pairing: pairing.Reported{RunID: run, Pool: "pool", Service: service},
		Health: Health{Name: "TV", Version: "1.2", Counter: 12, Slot: "b", Board: "Pi 4", Boot: "x", State: StateTrial, Rollback: "it crashed", Uptime: 4711, Temperature: 61.5,
			Throttled: []string{"under-voltage"}, Playing: true, Sessions: 3, Pictures: 1000, Dropped: 2, Latency: []uint64{1, 2, 3}, LastError: "no sound"},
		Settings: map[string]twin.Acknowledgement{"name": {Setting: twin.Setting{Value: "TV", Version: 3, By: service}, Status: 400, Text: "no"}},
	}
	if back, err := ParseReport(travel(t, r.Object("thief")), "thief"); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := ParseReport(r.Object("thief"), "other"); !errors.Is(err, pairing.ErrIncomplete) {
		t.Errorf("below another root: %v", err)
	}
	// Health and settings that make no sense do not keep a device from its
	// partner.
	o := r.Object("thief")
	below := twin.At(o, "thief")
	below["health"], below["settings"] = twin.Object{"uptime": "long"}, twin.Object{"a": 7.0, "b": twin.Object{}}
	if back, err := ParseReport(o, "thief"); err != nil || !reflect.DeepEqual(back, Report{Pairing: r.Pairing}) {
		t.Errorf("%+v, %v", back, err)
	}
	many := twin.Object{}
	for i := range 1000 {
		many[strings.Repeat("x", i%200)+string(rune('a'+i%26))] = r.Settings["name"].Object()
	}
	below["settings"] = many
	below["health"] = twin.Object{"latency": make([]any, 100), "throttled": slicesOf("x", 100)}
	if back, err := ParseReport(o, "thief"); err != nil || len(back.Settings) > 64 || back.Health.Latency != nil || len(back.Health.Throttled) > 16 {
		t.Errorf("%d settings, %+v, %v", len(back.Settings), back.Health, err)
	}
}

func slicesOf(s string, n int) (all []any) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestWish(t *testing.T) {
	w := Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}, Settings: twin.Settings{"name": {Value: "TV", Version: 1, By: service}}}
	half := travel(t, w.Object("thief"))
	v, err := pairing.ParseVolunteer(half, "thief")
	s, malformed := WishedSettings(half, "thief")
	if err != nil || v != w.Volunteer || !reflect.DeepEqual(s, w.Settings) || malformed != nil {
		t.Errorf("%v %v %v %v", v, err, s, malformed)
	}
	for said, want := range map[string]bool{"": true, "pool": true, "other": false} {
		if half := (Wish{Pool: said}).Object("thief"); OfPool(half, "thief", "pool") != want {
			t.Errorf("%v is of the pool: %v", half, !want)
		}
	}
	if half := (Wish{}).Object("thief"); pairing.HasVolunteer(half, "thief") || len(twin.At(half, "thief")) != 0 {
		t.Errorf("no wish is %v", half)
	}
}

func TestRelease(t *testing.T) {
	r := Release{"https://example.com/aerie/12", 12}
	if back, err := ParseRelease(r.Object()); err != nil || back != r {
		t.Errorf("%v, %v", back, err)
	}
	for _, o := range []any{
		nil, "https://example.com", twin.Object{}, Release{"http://example.com/x", 12}.Object(), Release{"https:///x", 12}.Object(), Release{"https://a:b@example.com/x", 12}.Object(), Release{"file:///etc/passwd", 12}.Object(),
		Release{"https://example.com/" + strings.Repeat("x", 1024), 12}.Object(), Release{"https://example.com/x", 0}.Object(), Release{"https://example.com/x", -1}.Object(), Release{"https://exa mple.com", 1}.Object(),
		twin.Object{"url": r.URL, "counter": "12"}, twin.Object{"url": r.URL, "counter": 1.5},
	} {
		if back, err := ParseRelease(o); !errors.Is(err, twin.ErrMalformed) {
			t.Errorf("%v is taken for %v", o, back)
		}
	}
}

func TestName(t *testing.T) {
	if s, err := ParseName("Für Elise"); err != nil || s != "Für Elise" {
		t.Errorf("%q, %v", s, err)
	}
	for _, v := range []any{nil, "", "  ", 7.0, "a\nb", "a\x7f", strings.Repeat("x", MaxName+1), []any{"a"}} {
		if s, err := ParseName(v); !errors.Is(err, twin.ErrMalformed) {
			t.Errorf("%v is taken for %q", v, s)
		}
	}
}

func TestHealth(t *testing.T) {
	long := strings.Repeat("ü", 1000)
	o := Health{LastError: long, Rollback: long}.object()
	for _, name := range []string{"error", "rollback"} {
		if s := o[name].(string); len(s) > maxErrorText || len(s) < maxErrorText-2 || !utf8.ValidString(s) {
			t.Errorf("%s has %d bytes", name, len(s))
		}
	}
	program := Health{Version: "2", Counter: 7, Slot: "b", State: StateTrial, Boot: "x", Rollback: "r", LastError: "e"}
	if h := program.Over(Health{Version: "1", Name: "TV", LastError: "f"}); h.Version != "2" || h.Name != "TV" || h.Counter != 7 || h.LastError != "e" || h.Rollback != "r" {
		t.Errorf("%+v", h)
	}
	if h := (Health{Boot: "x"}).Over(Health{Version: "1", LastError: "f"}); h.Version != "1" || h.Boot != "x" || h.LastError != "f" {
		t.Errorf("%+v", h)
	}
}

func FuzzContent(f *testing.F) {
	text, _ := twin.Encode(Report{Pairing: pairing.Reported{RunID: run, Pool: "pool"}, Health: Health{Version: "1"}}.Object("thief"))
	f.Add(text)
	text, _ = twin.Encode(Wish{Settings: twin.Settings{"release": {Value: Release{"https://a/b", 1}.Object(), Version: 1}}}.Object("thief"))
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		half, err := twin.Parse(text)
		if err != nil {
			return
		}
		if r, err := ParseReport(half, "thief"); err == nil {
			if back, err := ParseReport(r.Object("thief"), "thief"); err != nil || back.Pairing != r.Pairing {
				t.Fatalf("%+v became %+v, %v", r, back, err)
			}
		}
		settings, _ := WishedSettings(half, "thief")
		for _, s := range settings {
			_, _ = ParseName(s.Value)
			_, _ = ParseRelease(s.Value)
		}
	})
}
