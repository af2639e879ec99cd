package pairing

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"aerie/receiver/fleet/twin"
)

// The documents of the process where it was first written down, in JSON.
const (
	seedRequest = `{"reported":{"thief":{"pairing":{
		"runId":"4d41c744-94bf-40ac-89bc-06f28b4dc9d2",
		"requestedServicePool":"bertk_desktop_pool",
		"serviceInstanceId":null}}}}`
	seedVolunteer = `{"desired":{"thief":{"pairing":{
		"runId":"4d41c744-94bf-40ac-89bc-06f28b4dc9d2",
		"serviceInstanceId":"23ebf618-41e2-40d7-9964-a16ae9762a1c"}}}}`
	seedChoice = `{"reported":{"thief":{"pairing":{
		"runId":"4d41c744-94bf-40ac-89bc-06f28b4dc9d2",
		"serviceInstanceId":"23ebf618-41e2-40d7-9964-a16ae9762a1c"}}}}`

	seedRun     = "4d41c744-94bf-40ac-89bc-06f28b4dc9d2"
	seedService = "23ebf618-41e2-40d7-9964-a16ae9762a1c"
	seedPool    = "bertk_desktop_pool"
)

func document(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// Both sides say what the process says, and understand it.
func TestSeed(t *testing.T) {
	d := NewDevice(seedPool, seedRun)
	if report, _ := d.Tick(0); !report {
		t.Error("it does not begin by asking")
	}
	half := Under(DefaultRoot, d.Reported().Object())
	if got := (map[string]any{"reported": half}); !reflect.DeepEqual(got, document(t, seedRequest)) {
		t.Errorf("the request is %v", got)
	}
	s := NewService(ServiceOptions{ID: seedService, Pool: seedPool, Random: random()})
	r, err := ParseReported(twin.At(document(t, seedRequest), "reported"), DefaultRoot)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reported(0, "device", r); err != nil {
		t.Fatal(err)
	}
	at, _ := s.Next()
	offers := s.Tick(at)
	if len(offers) != 1 || offers[0].Kind != Offer {
		t.Fatalf("%v", offers)
	}
	if got := (map[string]any{"desired": Under(DefaultRoot, offers[0].Volunteer.Object())}); !reflect.DeepEqual(got, document(t, seedVolunteer)) {
		t.Errorf("the offer is %v", got)
	}
	v, err := ParseVolunteer(twin.At(document(t, seedVolunteer), "desired"), DefaultRoot)
	if err != nil || v != offers[0].Volunteer {
		t.Errorf("%v, %v", v, err)
	}
	if err := d.Volunteer(0, v); err != nil {
		t.Fatal(err)
	}
	// What the choice changes is a patch, which leaves the pool as it was.
	chosen := Under(DefaultRoot, d.Reported().Object())
	if got, want := twin.Merge(half, twin.At(document(t, seedChoice), "reported")), chosen; !reflect.DeepEqual(got, want) {
		t.Errorf("the choice makes %v of what was reported, want %v", got, want)
	}
	r, err = ParseReported(chosen, DefaultRoot)
	if err != nil {
		t.Fatal(err)
	}
	if news, err := s.Reported(at, "device", r); err != nil || len(news) != 1 || news[0].Kind != Chosen || !s.Mine("device") {
		t.Errorf("%v, %v", news, err)
	}
}

func TestMalformedHalves(t *testing.T) {
	for _, change := range [][2]string{
		{seedRun, ""}, {`"` + seedRun + `"`, "7"}, {seedRun, seedRun + "0"}, {seedRun, strings.ToUpper(seedRun)}, {seedRun, "4d41c744-94bf-40ac-89bc-06f28b4dc9d/"},
		{`"runId"`, `"runID"`}, {`"pairing"`, `"pair"`}, {`"thief"`, `"other"`}, {`{"pairing":{`, `{"pairing":{"x":{},`},
		{`"` + seedPool + `"`, `{}`}, {seedPool, ""}, {seedPool, strings.Repeat("x", maxPool+1)},
		{`"` + seedService + `"`, `[]`}, {`"` + seedService + `"`, "null"}, {seedService, "a device"}, {"null", "7"}, {"null", `"#"`},
	} {
		harmless := strings.Contains(change[1], `"x":{}`)
		for _, text := range []string{seedRequest, seedVolunteer} {
			broken := strings.ReplaceAll(text, change[0], change[1])
			if broken == text {
				continue
			}
			var err error
			if text == seedRequest {
				_, err = ParseReported(twin.At(document(t, broken), "reported"), DefaultRoot)
			} else {
				_, err = ParseVolunteer(twin.At(document(t, broken), "desired"), DefaultRoot)
			}
			if harmless != (err == nil) || err != nil && !errors.Is(err, ErrIncomplete) {
				t.Errorf("%s: %v", broken, err)
			}
		}
	}
	if HasVolunteer(twin.Object{"thief": twin.Object{"settings": 1}}, DefaultRoot) || !HasVolunteer(twin.At(document(t, seedVolunteer), "desired"), DefaultRoot) {
		t.Error("whether a patch is about pairing")
	}
}

func TestIDs(t *testing.T) {
	a, err := NewID(strings.NewReader(strings.Repeat("\xff", 16)))
	if err != nil || a != "ffffffff-ffff-4fff-bfff-ffffffffffff" || !ValidService(a) {
		t.Errorf("%q, %v", a, err)
	}
	if _, err := NewID(strings.NewReader("short")); err == nil {
		t.Error("an id without randomness")
	}
	for id, want := range map[string]bool{"aerie-02aabbccddee": true, "A.b_c-9": true, "": false, "-a": false, ".": false, "$x": false, "a/b": false, "a+": false, "ä": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, seedService: false, strings.ToUpper(seedService): false} {
		if ValidDevice(id) != want {
			t.Errorf("%q may name a device: %v", id, !want)
		}
	}
}

func FuzzPairing(f *testing.F) {
	for _, text := range []string{seedRequest, seedVolunteer, seedChoice} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		desired, reported, err := twin.ParseBoth(text)
		if err != nil {
			return
		}
		if r, err := ParseReported(reported, DefaultRoot); err == nil {
			if back, err := ParseReported(Under("x", r.Object()), "x"); err != nil || back != r {
				t.Fatalf("%v became %v, %v", r, back, err)
			}
			s := NewService(ServiceOptions{ID: seedService, Pool: seedPool, Random: random()})
			_, _ = s.Reported(0, "device", r)
			s.Tick(1 << 40)
		}
		if v, err := ParseVolunteer(desired, DefaultRoot); err == nil {
			_ = NewDevice(seedPool, seedRun).Volunteer(0, v)
		}
	})
}
