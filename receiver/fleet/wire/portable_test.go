package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
)

// show writes messages a line each, with what is special about them.
func show(all []Message) string {
	var lines []string
	for _, m := range all {
		s := fmt.Sprintf("%s %s", m.Topic, m.Payload)
		if m.QoS == 1 {
			s += " q1"
		}
		if m.Retain {
			s += " r"
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

func report(t *testing.T, d Device, half twin.Object, again bool) string {
	t.Helper()
	out, err := d.Report(0, half, again)
	if err != nil {
		t.Errorf("report: %v", err)
	}
	return show(out)
}

func TestPortableReports(t *testing.T) {
	p := NewPortable("tv", run)
	expect(t, "connected", show(p.Connected(0)), "aerie/tv/presence online q1 r")
	first := `aerie/tv/twin/reported {"$run":"` + run + `","$version":1,"a":1} q1 r`
	expect(t, "a report", report(t, p, twin.Object{"a": 1.0}, false), first)
	expect(t, "the same", report(t, p, twin.Object{"a": 1.0}, false), "")
	second := strings.Replace(first, `version":1`, `version":2`, 1)
	expect(t, "the same again", report(t, p, twin.Object{"a": 1.0}, true), second)
	if _, err := p.Report(0, twin.Object{"a": strings.Repeat("x", twin.MaxSize)}, false); !errors.Is(err, twin.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	expect(t, "on the next connection", show(p.Connected(0)), second+"\naerie/tv/presence online q1 r")
	will, ok := p.Will()
	expect(t, "its will", show([]Message{will}), "aerie/tv/presence offline q1 r")
	expect(t, "its farewell", show(p.Farewell()), show([]Message{will}))
	if !ok || p.Tick(1<<60) != nil {
		t.Error("a will, and nothing to be sent again")
	}
	expect(t, "what it subscribes to", strings.Join(p.Subscriptions(), " "), "aerie/tv/twin/desired/+ aerie/tv/heartbeat/+ aerie/tv/method/#")
}

func TestPortableReceives(t *testing.T) {
	p := NewPortable("tv", run)
	one := func(topic, payload string) (Event, error) {
		events, out, err := p.Receive(0, topic, []byte(payload))
		if len(events) > 1 || len(out) > 0 && err == nil {
			t.Fatalf("%v %s", events, show(out))
		}
		if len(events) == 0 {
			return nil, err
		}
		return events[0], err
	}
	wish := "aerie/tv/twin/desired/" + service
	e, err := one(wish, `{"$run":"a","$version":2,"x":1}`)
	if d, ok := e.(Desired); !ok || err != nil || d.Service != service || d.Properties["x"] != 1.0 || len(d.Properties) != 1 || d.Changed["x"] != 1.0 {
		t.Errorf("%v, %v", e, err)
	}
	for _, old := range []string{`{"$run":"a","$version":2,"x":1}`, `{"$run":"a","$version":1,"x":7}`, ``} {
		if e, err := one(wish, old); e != nil || err != nil {
			t.Errorf("%s once more: %v, %v", old, e, err)
		}
	}
	if e, _ := one(wish, `{"$run":"b","$version":1}`); e == nil {
		t.Error("another life of the service is not heard")
	}
	if e, _ := one(wish, `{"$run":"a","$version":9}`); e != nil {
		t.Error("the life before is heard")
	}
	if e, err := one("aerie/tv/heartbeat/"+service, string(EncodeHeartbeat(volunteer))); e != (Heartbeat{volunteer}) || err != nil {
		t.Errorf("%v, %v", e, err)
	}
	e, err = one("aerie/tv/method/"+service+"/identify/7", "{}")
	if c, ok := e.(Call); !ok || err != nil || c.Service != service || c.Name != "identify" || c.ID != "7" || string(c.Payload) != "{}" {
		t.Errorf("%v, %v", e, err)
	} else {
		expect(t, "an answer", show([]Message{p.Answer(c, 200, []byte("null"))}), "aerie/tv/result/"+service+"/7/200 null q1")
	}
	for name, c := range map[string]struct {
		topic, payload string
		want           error
	}{
		"another device":         {"aerie/radio/twin/desired/" + service, `{"$run":"a","$version":1}`, ErrUnknown},
		"its own half":           {"aerie/tv/twin/reported", `{"$run":"a","$version":1}`, ErrUnknown},
		"no topic of ours":       {"house/light", "on", ErrUnknown},
		"posing as a device":     {"aerie/tv/twin/desired/radio", `{"$run":"a","$version":1}`, ErrUnknown},
		"no version":             {wish, `{"$run":"a"}`, twin.ErrMalformed},
		"no JSON":                {wish, `{`, twin.ErrMalformed},
		"too large":              {wish, `{"a":"` + strings.Repeat("x", twin.MaxSize) + `"}`, twin.ErrTooLarge},
		"too deep":               {wish, strings.Repeat(`{"a":`, 11) + "1" + strings.Repeat("}", 11), twin.ErrTooDeep},
		"a heartbeat of another": {"aerie/tv/heartbeat/" + service, string(EncodeHeartbeat(pairing.Volunteer{RunID: run, Service: other})), ErrUnknown},
		"an empty heartbeat":     {"aerie/tv/heartbeat/" + service, `{}`, pairing.ErrIncomplete},
		"a heartbeat of nobody":  {"aerie/tv/heartbeat/" + service, `{"runId":null,"serviceInstanceId":[]}`, pairing.ErrIncomplete},
		"a huge heartbeat":       {"aerie/tv/heartbeat/" + service, strings.Repeat(" ", 2000), twin.ErrTooLarge},
	} {
		if e, err := one(c.topic, c.payload); e != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	_, out, err := p.Receive(0, "aerie/tv/method/"+service+"/identify/8", make([]byte, MaxCall+1))
	expect(t, "to a call that is too large", show(out), "aerie/tv/result/"+service+"/8/413  q1")
	if !errors.Is(err, twin.ErrTooLarge) {
		t.Error(err)
	}
}

// Services without end do not fill the memory, and do not push out one that is
// heard.
func TestPortableForgetsServices(t *testing.T) {
	p := NewPortable("tv", run)
	for i := range 10 * maxServices {
		for _, s := range []string{service, fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)} {
			if _, _, err := p.Receive(0, "aerie/tv/twin/desired/"+s, []byte(`{"$run":"a","$version":5}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if events, _, _ := p.Receive(0, "aerie/tv/twin/desired/"+service, []byte(`{"$run":"a","$version":5}`)); len(events) != 0 || len(p.services) != maxServices {
		t.Errorf("%v, %d services", events, len(p.services))
	}
}

func FuzzPortable(f *testing.F) {
	f.Add("aerie/tv/twin/desired/"+service, []byte(`{"$run":"a","$version":2,"x":1}`))
	f.Add("aerie/tv/heartbeat/"+service, EncodeHeartbeat(volunteer))
	f.Add("aerie/tv/method/"+service+"/identify/7", []byte("{}"))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		events, out, err := NewPortable("tv", run).Receive(0, topic, payload)
		if err != nil && len(events) > 0 || len(events) > 1 || len(out) > 1 {
			t.Fatalf("%v %v %v", events, out, err)
		}
	})
}
