package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

// A conversation with a hub, word for word.
func TestAzure(t *testing.T) {
	a := NewAzure("tv")
	var now clock.Time
	receive := func(topic, payload string) string {
		events, out, err := a.Receive(now, topic, []byte(payload))
		if err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		s := ""
		for _, e := range events {
			text, _ := json.Marshal(e)
			s += fmt.Sprintf("%T%s ", e, text)
		}
		return s + show(out)
	}
	expect(t, "what it subscribes to", strings.Join(a.Subscriptions(), " "), "$iothub/twin/res/# $iothub/twin/PATCH/properties/desired/# $iothub/methods/POST/#")
	expect(t, "before there is a connection", report(t, a, twin.Object{"x": 1.0, "p": twin.Object{"s": nil, "r": "1"}}, true), "")
	expect(t, "connected", show(a.Connected(now)), "$iothub/twin/GET/?$rid=1 ")
	// A patch may be faster than the document. What the hub has of the device
	// from before is brought up to date.
	expect(t, "a patch", receive("$iothub/twin/PATCH/properties/desired/?$version=8", `{"a":2,"$version":8}`), "")
	expect(t, "the document", receive("$iothub/twin/res/200/?$rid=1", `{"desired":{"a":1,"b":1,"$version":7},"reported":{"x":1,"p":{"s":"old"},"gone":{},"$version":3}}`),
		`wire.Desired{"Service":"","Properties":{"a":2,"b":1},"Changed":{"a":2,"b":1}} `+`$iothub/twin/PATCH/properties/reported/?$rid=2 {"gone":null,"p":{"r":"1","s":null}}`)
	expect(t, "while that is under way", report(t, a, twin.Object{"x": 2.0, "p": twin.Object{"s": "new", "r": "1"}}, false), "")
	expect(t, "taken", receive("$iothub/twin/res/204/?$rid=2&$version=4", ""), `$iothub/twin/PATCH/properties/reported/?$rid=3 {"p":{"s":"new"},"x":2}`)
	expect(t, "taken", receive("$iothub/twin/res/204/?$rid=3&$version=5", ""), "")
	expect(t, "taken twice", receive("$iothub/twin/res/204/?$rid=3&$version=5", ""), "")
	expect(t, "the same", report(t, a, twin.Object{"x": 2.0, "p": twin.Object{"s": "new", "r": "1"}}, false), "")
	expect(t, "the same again", report(t, a, twin.Object{"x": 2.0, "p": twin.Object{"s": "new", "r": "1"}}, true), `$iothub/twin/PATCH/properties/reported/?$rid=4 {"p":{"r":"1","s":"new"},"x":2}`)
	// Patches come once and in order; a gap has the document asked for.
	expect(t, "an old patch", receive("$iothub/twin/PATCH/properties/desired/?$version=8", `{"a":9}`), "")
	expect(t, "the next patch", receive("$iothub/twin/PATCH/properties/desired/?$version=9", `{"a":null}`), `wire.Desired{"Service":"","Properties":{"b":1},"Changed":{"a":null}} `)
	expect(t, "a gap", receive("$iothub/twin/PATCH/properties/desired/?$version=12", `{"c":1}`), "$iothub/twin/GET/?$rid=5 ")
	expect(t, "the document", receive("$iothub/twin/res/200/?$rid=5", `{"desired":{"d":1,"$version":11},"reported":{"x":2,"p":{"s":"new","r":"1"}}}`),
		`wire.Desired{"Service":"","Properties":{"c":1,"d":1},"Changed":{"b":null,"c":1,"d":1}} `)
	// On another connection nothing is said before the hub has told what it has.
	expect(t, "connected again", show(a.Connected(now)), "$iothub/twin/GET/?$rid=6 ")
	expect(t, "a report", report(t, a, twin.Object{"x": 3.0}, false), "")
	expect(t, "the document", receive("$iothub/twin/res/200/?$rid=6", `{"desired":{"c":1,"d":1,"$version":12},"reported":{"x":2,"p":{}}}`), `$iothub/twin/PATCH/properties/reported/?$rid=7 {"p":null,"x":3}`)
	// Methods, one of which is a sign of life.
	expect(t, "a call", receive("$iothub/methods/POST/identify/?$rid=5f", `{"x":1}`), `wire.Call{"Service":"","Name":"identify","ID":"5f","Payload":"eyJ4IjoxfQ=="} `)
	expect(t, "a sign of life", receive("$iothub/methods/POST/heartbeat/?$rid=60", string(EncodeHeartbeat(volunteer))),
		`wire.Heartbeat{"RunID":"`+run+`","Service":"`+service+`"} $iothub/methods/res/200/?$rid=60 null`)
	expect(t, "an answer", show([]Message{a.Answer(Call{ID: "5f"}, 404, []byte("{}"))}), "$iothub/methods/res/404/?$rid=5f {}")
	if _, ok := a.Will(); ok || a.Farewell() != nil || a.Telemetry() != "devices/tv/messages/events/" {
		t.Error("a will, a farewell or other telemetry")
	}
}

// What the hub refuses for the moment, or never answers, is said again.
func TestAzureInTrouble(t *testing.T) {
	a := NewAzure("tv")
	var now clock.Time
	refused := func(topic string) {
		t.Helper()
		if _, out, err := a.Receive(now, topic, nil); err == nil || out != nil {
			t.Errorf("%s: %s, %v", topic, show(out), err)
		}
	}
	until := func(limit time.Duration) string {
		for range limit / time.Second {
			now = now.Add(time.Second)
			if out := a.Tick(now); out != nil {
				return show(out)
			}
		}
		return "nothing"
	}
	a.Connected(now)
	expect(t, "no answer", until(azurePatience), "$iothub/twin/GET/?$rid=2 ")
	refused("$iothub/twin/res/429/?$rid=2")
	expect(t, "too many questions", until(10*time.Second), "$iothub/twin/GET/?$rid=3 ")
	if _, _, err := a.Receive(now, "$iothub/twin/res/200/?$rid=3", []byte(`{`)); err == nil {
		t.Error("half a document is taken")
	}
	expect(t, "half a document", until(20*time.Second), "$iothub/twin/GET/?$rid=4 ")
	if _, _, err := a.Receive(now, "$iothub/twin/res/200/?$rid=4", []byte(`{"desired":{"$version":1},"reported":{"$version":1}}`)); err != nil {
		t.Error(err)
	}
	expect(t, "a report", report(t, a, twin.Object{"x": 1.0}, false), `$iothub/twin/PATCH/properties/reported/?$rid=5 {"x":1}`)
	refused("$iothub/twin/res/429/?$rid=5")
	expect(t, "a refused report", until(10*time.Second), `$iothub/twin/PATCH/properties/reported/?$rid=6 {"x":1}`)
	refused("$iothub/twin/res/500/?$rid=6")
	expect(t, "refused again", until(10*time.Second), "nothing")
	expect(t, "refused again", until(10*time.Second), `$iothub/twin/PATCH/properties/reported/?$rid=7 {"x":1}`)
	// Whether a patch that was not answered was taken is found out.
	expect(t, "no answer", until(azurePatience), "$iothub/twin/GET/?$rid=8 ")
	_, out, err := a.Receive(now, "$iothub/twin/res/200/?$rid=8", []byte(`{"desired":{"$version":1},"reported":{"x":1,"$version":2}}`))
	if err != nil || out != nil {
		t.Errorf("it was taken: %s, %v", show(out), err)
	}
}

func TestAzureRefuses(t *testing.T) {
	a := NewAzure("tv")
	a.Connected(0)
	for name, c := range map[string]struct {
		topic, payload string
		want           error
	}{
		"no topic of a hub":   {"aerie/tv/presence", "", ErrUnknown},
		"no status":           {"$iothub/twin/res/x/?$rid=1", "", ErrUnknown},
		"no request":          {"$iothub/twin/res/200/", "", ErrUnknown},
		"a bad query":         {"$iothub/twin/res/200/?$rid=%zz", "", ErrUnknown},
		"a long topic":        {"$iothub/twin/res/200/?$rid=" + strings.Repeat("1", 600), "", ErrUnknown},
		"no version":          {"$iothub/twin/PATCH/properties/desired/", "{}", ErrUnknown},
		"a negative version":  {"$iothub/twin/PATCH/properties/desired/?$version=-1", "{}", ErrUnknown},
		"a patch of no JSON":  {"$iothub/twin/PATCH/properties/desired/?$version=2", "7", twin.ErrMalformed},
		"a deep patch":        {"$iothub/twin/PATCH/properties/desired/?$version=2", strings.Repeat(`{"a":`, 11) + "1" + strings.Repeat("}", 11), twin.ErrTooDeep},
		"a large patch":       {"$iothub/twin/PATCH/properties/desired/?$version=2", `{"a":"` + strings.Repeat("x", twin.MaxSize) + `"}`, twin.ErrTooLarge},
		"a call of no name":   {"$iothub/methods/POST//?$rid=1", "", ErrUnknown},
		"a call of no number": {"$iothub/methods/POST/x/", "", ErrUnknown},
		"a large call":        {"$iothub/methods/POST/x/?$rid=1", strings.Repeat(" ", MaxCall+1), twin.ErrTooLarge},
		"a bad heartbeat":     {"$iothub/methods/POST/heartbeat/?$rid=1", "{}", pairing.ErrIncomplete},
	} {
		if events, _, err := a.Receive(0, c.topic, []byte(c.payload)); len(events) != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, events, err)
		}
	}
	if _, err := a.Report(0, twin.Object{"a": strings.Repeat("x", twin.MaxSize)}, false); !errors.Is(err, twin.ErrTooLarge) {
		t.Errorf("a report that is too large: %v", err)
	}
}

// A hub that takes or refuses patches, whose answers are lost with connections:
// in the end it has what was reported, and no patch was taken twice in a row.
func TestAzureAgainstHub(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		a := NewAzure("tv")
		var now clock.Time
		hub, want := twin.Object{}, twin.Object{}
		var down []Message // to the device
		calm := false
		var say func([]Message)
		say = func(out []Message) {
			for _, m := range out {
				path, rid, _ := strings.Cut(m.Topic, "/?$rid=")
				switch {
				case !calm && r.IntN(5) == 0: // lost on the way
					continue
				case !calm && r.IntN(5) == 0:
					down = append(down, Message{Topic: "$iothub/twin/res/429/?$rid=" + rid})
				case path == "$iothub/twin/GET":
					text, _ := json.Marshal(map[string]any{"desired": map[string]any{"$version": 1}, "reported": hub})
					down = append(down, Message{Topic: "$iothub/twin/res/200/?$rid=" + rid, Payload: text})
				default:
					patch, err := twin.Parse(m.Payload)
					if err != nil {
						t.Fatal(err)
					}
					hub = twin.Merge(hub, patch)
					if calm || r.IntN(5) > 0 { // else the answer is lost
						down = append(down, Message{Topic: "$iothub/twin/res/204/?$rid=" + rid})
					}
				}
			}
		}
		deliver := func() {
			for len(down) > 0 {
				m := down[0]
				down = down[1:]
				_, out, _ := a.Receive(now, m.Topic, m.Payload)
				say(out)
			}
		}
		say(a.Connected(now))
		for range 40 {
			now = now.Add(time.Duration(r.Int64N(int64(20 * time.Second))))
			switch r.IntN(5) {
			case 0:
				down = nil
				say(a.Connected(now))
			case 1, 2:
				want = twin.Object{}
				for range r.IntN(4) {
					want[string('a'+rune(r.IntN(4)))] = []any{nil, 1.0, "x", twin.Object{"y": 1.0, "z": nil}, twin.Object{}}[r.IntN(5)]
				}
				out, err := a.Report(now, want, false)
				if err != nil {
					t.Fatal(err)
				}
				say(out)
			case 3:
				say(a.Tick(now))
			case 4:
				deliver()
			}
		}
		calm = true
		for range 100 {
			now = now.Add(10 * time.Second)
			say(a.Tick(now))
			deliver()
		}
		if !twin.Equal(hub, want) {
			t.Fatalf("the hub has %v, reported was %v", hub, want)
		}
	}
}

func FuzzAzure(f *testing.F) {
	f.Add("$iothub/twin/res/200/?$rid=1", []byte(`{"desired":{"a":1,"$version":7},"reported":{"x":1}}`))
	f.Add("$iothub/twin/PATCH/properties/desired/?$version=8", []byte(`{"a":null}`))
	f.Add("$iothub/methods/POST/heartbeat/?$rid=60", EncodeHeartbeat(volunteer))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		a := NewAzure("tv")
		a.Connected(0)
		_, _, _ = a.Receive(0, topic, payload)
		if _, err := a.Report(0, twin.Object{"a": 1.0}, true); err != nil {
			t.Fatal(err)
		}
		_, _, _ = a.Receive(0, topic, payload)
		a.Tick(1 << 40)
	})
}
