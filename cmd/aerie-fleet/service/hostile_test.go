package service

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

// desk is a service without a broker: what it sends is kept, what it is told is
// put into its hands.
type desk struct {
	*Service
	t    testing.TB
	now  clock.Time
	sent []wire.Message
	log  *text
}

func (d *desk) Send(m wire.Message, done func(error)) {
	d.sent = append(d.sent, m)
	if done != nil {
		done(nil)
	}
}

const (
	us   = "11111111-1111-4111-8111-111111111111"
	them = "22222222-2222-4222-8222-222222222222"
	run1 = "33333333-3333-4333-8333-333333333333"
	run2 = "44444444-4444-4444-8444-444444444444"
)

func newDesk(t testing.TB) *desk {
	d := &desk{t: t, now: clock.Time(time.Hour), log: &text{}}
	s, err := New(Options{ID: us, Run: run1, Pool: "hotel", Log: slog.New(slog.NewTextHandler(d.log, nil)),
		Now: func() clock.Time { return d.now }, Random: newRandom(), Lease: quick})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = s
	s.connected(d)
	d.message(d.now, s.topic("beat"), d.sent[0].Payload, false)
	if !s.ready {
		t.Fatal("not ready after its own beat")
	}
	return d
}

// reports has a device report.
func (d *desk) reports(id, run, pool, service string, version int64, change func(*content.Report)) {
	r := content.Report{Pairing: pairing.Reported{RunID: run, Pool: pool, Service: service}}
	if change != nil {
		change(&r)
	}
	text, err := twin.Document{Run: run, Version: version, Properties: r.Object(pairing.DefaultRoot)}.Encode()
	if err != nil {
		d.t.Fatal(err)
	}
	d.message(d.now, "aerie/"+id+"/twin/reported", text, false)
}

// after lets time pass and returns what was sent meanwhile.
func (d *desk) after(t time.Duration) (sent []wire.Message) {
	d.sent = nil
	for end := d.now.Add(t); d.now < end; d.now = d.now.Add(100 * time.Millisecond) {
		d.tick(d.now)
	}
	for _, m := range d.sent {
		if !strings.HasPrefix(m.Topic, "aerie-pool/") {
			sent = append(sent, m)
		}
	}
	return sent
}

// Everything that makes no sense is refused with a line in the log, and the
// device beside it is looked after as before.
func TestHostile(t *testing.T) {
	reported := func(half string) string { return `{"$run":"r","$version":1,` + half + `}` }
	for _, c := range []struct{ name, topic, payload, log string }{
		{"no JSON", "aerie/tv/twin/reported", `{"$run"`, "malformed"},
		{"no object", "aerie/tv/twin/reported", `[1]`, "malformed"},
		{"too large", "aerie/tv/twin/reported", `{"a":"` + strings.Repeat("x", twin.MaxSize) + `"}`, "too large"},
		{"too deep", "aerie/tv/twin/reported", strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "too deep"},
		{"no version", "aerie/tv/twin/reported", `{"$run":"r"}`, "version"},
		{"no pairing", "aerie/tv/twin/reported", reported(`"thief":{}`), "field is missing"},
		{"run of a wrong type", "aerie/tv/twin/reported", reported(`"thief":{"pairing":{"runId":7,"requestedServicePool":"hotel"}}`), "runId"},
		{"partner of a wrong type", "aerie/tv/twin/reported", reported(`"thief":{"pairing":{"runId":"` + run1 + `","requestedServicePool":"hotel","serviceInstanceId":{}}}`), "serviceInstanceId"},
		{"a UUID as a device", "aerie/" + them + "/twin/reported", reported(`"thief":{}`), "not a message of a fleet"},
		{"strange presence", "aerie/tv/presence", "perhaps", "presence"},
		{"strange topic", "aerie/tv/anything", "{}", "not a message of a fleet"},
		{"desired, malformed", "aerie/tv/twin/desired/" + them, `{"$run":"r","$version":-1}`, "version"},
		{"desired setting", "aerie/tv/twin/desired/" + them, reported(`"thief":{"settings":{"name":{"value":"x"}}}`), "setting"},
		{"beat", "aerie-pool/hotel/" + them + "/beat", "[", "not a message of a fleet"},
		{"beat of a twin", "aerie-pool/hotel/" + us + "/beat", `{"run":"` + run2 + `","number":1}`, "another instance has the same id"},
		{"order", "aerie-pool/hotel/" + them + "/order", `{"number":0}`, "order"},
		{"rollout", "aerie-pool/hotel/rollout", `{"version":5,"state":"running"}`, "malformed"},
		{"call", "aerie-pool/hotel/" + them + "/call/1", `{`, "call"},
		{"answer", "aerie-pool/hotel/" + them + "/answer/1", `{`, "answer"},
		{"of nobody", "aerie-pool/hotel/nobody/beat", "{}", "of no service"},
		{"unheard of", "aerie-pool/hotel/" + them + "/dance", "{}", "dance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			d.reports("good", run1, "hotel", us, 1, nil)
			d.message(d.now, c.topic, []byte(c.payload), false)
			if log := d.log.String(); !strings.Contains(log, c.log) || !strings.Contains(log, "refused a message") {
				t.Errorf("the log does not say %q:\n%s", c.log, log)
			}
			if d.Ignored.Value() != 1 {
				t.Errorf("%d messages ignored", d.Ignored.Value())
			}
			before := len(d.log.String())
			for range 100 {
				d.message(d.now, c.topic, []byte(c.payload), false)
			}
			if len(d.log.String()) > before {
				t.Error("it fills the log")
			}
			sent := d.after(40 * time.Second)
			beats := 0
			for _, m := range sent {
				if m.Topic == "aerie/good/heartbeat/"+us {
					beats++
				}
			}
			if beats == 0 || !d.pairing.Mine("good") {
				t.Errorf("the good device is not looked after: %v", sent)
			}
		})
	}
}

// Devices of another pool, replays and foreign runs change nothing.
func TestStrangers(t *testing.T) {
	d := newDesk(t)
	d.reports("other", run1, "school", "", 1, nil)
	if sent := d.after(10 * time.Second); len(sent) != 0 || len(d.devices) != 0 {
		t.Errorf("a device of another pool is told %v", sent)
	}
	d.reports("tv", run1, "hotel", "", 1, nil)
	sent := d.after(5 * time.Second)
	if len(sent) != 1 || sent[0].Topic != "aerie/tv/twin/desired/"+us || !sent[0].Retain || !strings.Contains(string(sent[0].Payload), run1) {
		t.Fatalf("the device is told %v", sent)
	}
	d.reports("tv", run1, "hotel", them, 3, nil)
	d.reports("tv", run1, "hotel", us, 2, nil) // late
	if d.pairing.Mine("tv") {
		t.Error("a document that was overtaken counts")
	}
	d.reports("tv", run2, "hotel", "", 1, nil) // it was started again
	d.reports("tv", run1, "hotel", us, 9, nil) // from its life before
	if d.pairing.Mine("tv") {
		t.Error("a report of an earlier run counts")
	}
	// It moves to another pool while it is this one's.
	d.reports("tv", run2, "hotel", us, 2, nil)
	d.reports("tv", run2, "school", us, 3, nil)
	if d.pairing.Mine("tv") || d.devices["tv"] != nil {
		t.Error("a device that moved is kept")
	}
	// Many devices under made-up names are as many as fit.
	for i := range 2000 {
		d.reports(fmt.Sprint("tv", i), run1, "hotel", "", 1, nil)
	}
	if len(d.devices) != 2000 {
		t.Errorf("%d devices", len(d.devices))
	}
}

// A device that does not come back to a broker which was away is offline.
func TestMissing(t *testing.T) {
	d := newDesk(t)
	for _, id := range []string{"back", "gone"} {
		d.reports(id, run1, "hotel", us, 1, nil)
		d.message(d.now, "aerie/"+id+"/presence", []byte("online"), false)
	}
	d.lost()
	d.connected(d)
	d.message(d.now, d.topic("beat"), d.sent[len(d.sent)-1].Payload, false)
	d.message(d.now, "aerie/back/presence", []byte("online"), false)
	d.after(grace / 2)
	if status, _ := d.devices["gone"].status(); status != Good {
		t.Errorf("after half of its time it is %s", status)
	}
	d.after(grace)
	if status, _ := d.devices["gone"].status(); status != Offline {
		t.Errorf("in the end it is %s", status)
	}
	if status, _ := d.devices["back"].status(); status != Good {
		t.Errorf("the other is %s", status)
	}
	d.after(2 * time.Minute)
	if d.pairing.Mine("gone") || !d.pairing.Mine("back") {
		t.Error("the service still works with it, or with none")
	}
}

// A device that says what it said when it was given a release has not failed; it
// fails when it says something new.
func TestWentBack(t *testing.T) {
	d := newDesk(t)
	r, err := rollout.New("r1", us, rollout.Plan{Release: content.Release{URL: "https://example.org/7", Counter: 7}, Rings: []float64{1}, Patience: 100, Share: 1}, rollout.Rollout{})
	if err != nil {
		t.Fatal(err)
	}
	old := func(rep *content.Report) {
		rep.Health = content.Health{Counter: 5, State: content.StateConfirmed, Rollback: "6 did not stay up"}
	}
	d.reports("tv", run1, "hotel", us, 1, old)
	r.Tick(time.Now(), us, d.fleet())
	text, _ := r.Encode()
	d.sent = nil
	d.message(d.now, "aerie-pool/hotel/rollout", text, false)
	if len(d.sent) != 1 || !strings.Contains(string(d.sent[0].Payload), `"counter":7`) {
		t.Fatalf("it is not given the release: %v", d.sent)
	}
	wish := d.devices["tv"].settings[content.SettingRelease]
	progress := func(version int64, status int, text string, change func(*content.Report)) rollout.Progress {
		d.reports("tv", run1, "hotel", us, version, func(rep *content.Report) {
			old(rep)
			ack := twin.Acknowledgement{Setting: wish, Status: status, Text: text}
			if status >= 400 {
				ack.Value = nil
			}
			rep.Settings = map[string]twin.Acknowledgement{content.SettingRelease: ack}
			if change != nil {
				change(rep)
			}
		})
		return d.rollout.Progress(d.devices["tv"].forRollout(&d.rollout))
	}
	if p := progress(2, 202, "", nil); p != rollout.Trying {
		t.Errorf("while it installs it is %s", p)
	}
	if p := progress(3, 202, "", func(r *content.Report) { r.Health.Rollback = "7 did not stay up" }); p != rollout.Failed {
		t.Errorf("when it went back it is %s", p)
	}
	if p := progress(4, 500, "the signature is not the owner's", nil); p != rollout.Failed {
		t.Errorf("when it refuses it is %s", p)
	}
	if p := progress(5, 200, "", func(r *content.Report) { r.Health.Counter, r.Health.Rollback = 7, "" }); p != rollout.Well {
		t.Errorf("when it has confirmed it is %s", p)
	}
}

// Whatever arrives, nothing panics, and what goes out can be read by devices.
func FuzzMessage(f *testing.F) {
	f.Add("aerie/tv/twin/reported", `{"$run":"r","$version":1,"thief":{"pairing":{"runId":"`+run1+`","requestedServicePool":"hotel","serviceInstanceId":null}}}`)
	f.Add("aerie/tv/twin/reported", `{"$run":"r","$version":1,"thief":{"health":{"latency":[1]},"settings":{"release":{"value":7,"version":1,"status":200}}}}`)
	f.Add("aerie/tv/twin/desired/"+them, `{"$run":"r","$version":1,"thief":{"settings":{"release":{"value":{"url":"https://x/","counter":7},"version":1,"by":"x"}}}}`)
	f.Add("aerie/tv/presence", "offline")
	f.Add("aerie-pool/hotel/rollout", `{"id":"r","version":3,"driver":"x","release":{"url":"https://x/","counter":7},"rings":[1],"patience":1,"state":"running","ring":0,"threshold":"18446744073709551615","steps":[{"number":1}]}`)
	f.Add("aerie-pool/hotel/"+them+"/order", `{"number":1,"kind":"start","id":"r"}`)
	f.Add("aerie-pool/hotel/"+them+"/call/x", `{"to":"`+us+`","device":"tv","method":"identify"}`)
	f.Fuzz(func(t *testing.T, topic, payload string) {
		d := newDesk(t)
		d.reports("tv", run1, "hotel", us, 1, nil)
		d.message(d.now, topic, []byte(payload), false)
		d.reports("tv2", run1, "hotel", us, 1, nil)
		d.message(d.now, topic, []byte(payload), false)
		for _, m := range d.after(5 * time.Second) {
			if tt, err := wire.ParseTopic(m.Topic); err != nil {
				t.Fatal(err)
			} else if tt.Kind == wire.TopicDesired && len(m.Payload) > 0 {
				if _, err := twin.ParseDocument(m.Payload); err != nil {
					t.Fatalf("%v: %s", err, m.Payload)
				}
			}
		}
		for id := range d.devices {
			if _, err := json.Marshal(d.row(d.devices[id])); err != nil {
				t.Fatal(err)
			}
		}
	})
}
