package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

const (
	run      = "4d41c744-94bf-40ac-89bc-06f28b4dc9d2"
	service  = "23ebf618-41e2-40d7-9964-a16ae9762a1c"
	stranger = "00000000-0000-4000-8000-000000000001"
)

// bench is a core on a clock of the test's, with what it says.
type bench struct {
	t *testing.T
	*core
	now    clock.Time
	writer map[string]*twin.Writer // of services
	health content.Health
	did    []string
	log    strings.Builder
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, now: clock.Time(time.Hour), writer: map[string]*twin.Writer{}, health: content.Health{Version: "1.0", Slot: "a"}}
	do := func(what string) func(context.Context) error {
		return func(context.Context) error { b.did = append(b.did, what); return nil }
	}
	d := Device{
		Health:   func() content.Health { return b.health },
		Identify: do("identify"), ForgetSenders: do("forget"),
		SetName: func(_ context.Context, name string) error { return do("name " + name)(nil) },
		Update: func(_ context.Context, r content.Release) (bool, error) {
			b.did = append(b.did, fmt.Sprint("update ", r.URL, " ", r.Counter))
			if r.Counter < 5 {
				return false, fmt.Errorf("%w: older than what runs", ErrUnwanted)
			}
			return r.Counter == 5, nil
		},
	}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	b.core = newCore(Options{Root: "thief", Pool: "pool", Device: d, Log: log}, wire.NewPortable("tv", run), run)
	return b
}

// said does what is to be done, and returns what the core then has to say.
func (b *bench) said() string {
	for len(b.methods.jobs) > 0 {
		b.methods.do(b.t.Context(), <-b.methods.jobs)
		b.finished(b.now, <-b.methods.results)
	}
	return b.lines()
}

// lines returns what the core has to say, a line for each message.
func (b *bench) lines() string {
	var lines []string
	for _, m := range b.take() {
		lines = append(lines, fmt.Sprintf("%s %s", strings.TrimPrefix(m.Topic, "aerie/tv/"), m.Payload))
	}
	return strings.Join(lines, "\n")
}

// report returns the last half that was reported.
func (b *bench) report() content.Report {
	b.t.Helper()
	text := b.said()
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if half, ok := strings.CutPrefix(lines[i], "twin/reported "); ok {
			d, err := twin.ParseDocument([]byte(half))
			if err != nil {
				b.t.Fatal(err)
			}
			r, err := content.ParseReport(d.Properties, "thief")
			if err != nil {
				b.t.Fatal(err)
			}
			return r
		}
	}
	b.t.Fatalf("nothing is reported: %q", text)
	return content.Report{}
}

// wish has a service desire something.
func (b *bench) wish(from string, w content.Wish) {
	b.t.Helper()
	if b.writer[from] == nil {
		b.writer[from] = &twin.Writer{Run: from}
	}
	text, err := b.writer[from].Again(w.Object("thief")).Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.receive(b.now, "aerie/tv/twin/desired/"+from, text)
}

func (b *bench) pair() {
	b.t.Helper()
	b.connected(b.now)
	b.wish(service, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}})
	if b.pairing.Partner() != service {
		b.t.Fatal("not paired")
	}
	b.said()
}

func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now < end; {
		b.now = b.now.Add(tickEvery)
		b.tick(b.now)
	}
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

func TestFindsAPartner(t *testing.T) {
	b := newBench(t)
	b.connected(b.now)
	half := `twin/reported {"$run":"` + run + `","$version":%d,"thief":{"health":{"dropped":0,"pictures":0,"playing":false,"sessions":0,"slot":"a","uptime":0,"version":"1.0"},"pairing":{"requestedServicePool":"pool","runId":"` + run + `","serviceInstanceId":%s},"settings":{}}}`
	expect(t, "at first", b.said(), "presence online\n"+fmt.Sprintf(half, 1, "null"))
	b.pass(29 * time.Second)
	b.pass(time.Second)
	expect(t, "after 30 s", b.said(), fmt.Sprintf(half, 2, "null"))
	// Those who are not good enough.
	b.wish(stranger, content.Wish{Volunteer: pairing.Volunteer{RunID: stranger, Service: stranger}})
	b.wish(stranger, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}})
	b.receive(b.now, "aerie/tv/twin/desired/"+stranger, []byte(`{"$run":"x","$version":1,"thief":{"pairing":{"runId":"`+run+`"}}}`))
	b.receive(b.now, "aerie/tv/twin/desired/"+stranger, []byte(`{"$run":"y","$version":1,"thief":{"pairing":7}}`))
	b.now = b.now.Add(2 * time.Second) // it complains once a second
	b.wish(stranger, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: stranger}, Pool: "other"})
	if !strings.Contains(b.log.String(), "another pool") {
		t.Errorf("the log says %s", b.log.String())
	}
	expect(t, "to bad offers", b.said(), "")
	b.wish(service, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}, Pool: "pool"})
	expect(t, "to a good one", b.said(), fmt.Sprintf(half, 3, `"`+service+`"`))
	b.wish(stranger, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: stranger}})
	expect(t, "to another", b.said(), "")
	// A broker that lost everything has it again.
	b.connected(b.now)
	expect(t, "on another connection", b.said(), fmt.Sprintf(half, 3, `"`+service+`"`)+"\npresence online")
	// The partner lives on.
	for range 10 {
		b.pass(30 * time.Second)
		b.receive(b.now, "aerie/tv/heartbeat/"+service, wire.EncodeHeartbeat(pairing.Volunteer{RunID: run, Service: service}))
	}
	if b.pairing.Partner() != service {
		t.Error("left a partner that lives")
	}
	b.said()
	b.pass(85 * time.Second)
	if b.pairing.Partner() != service {
		t.Error("left too early")
	}
	b.pass(10 * time.Second)
	expect(t, "after 90 s of silence", b.said(), fmt.Sprintf(half, 4, "null"))
	if !strings.Contains(b.log.String(), "no sign of life") {
		t.Errorf("the log says %s", b.log.String())
	}
}

func TestHealth(t *testing.T) {
	b := newBench(t)
	b.pair()
	reports := func() int { return strings.Count(b.said(), "twin/reported") }
	beat := func() {
		b.receive(b.now, "aerie/tv/heartbeat/"+service, wire.EncodeHeartbeat(pairing.Volunteer{RunID: run, Service: service}))
	}
	pass := func(d time.Duration) {
		for range d / (20 * time.Second) {
			b.pass(20 * time.Second)
			beat()
		}
	}
	pass(4 * time.Minute)
	if n := reports(); n != 0 {
		t.Errorf("%d reports of nothing new", n)
	}
	// What only counts on is told every five minutes.
	for range 60 {
		b.health.Uptime += 20
		b.health.Pictures++
		b.health.Temperature = 50 + float64(b.health.Pictures%3)
		pass(20 * time.Second)
	}
	if n := reports(); n < 3 || n > 6 {
		t.Errorf("%d reports of numbers in 20 minutes", n)
	}
	// News is told soon.
	for _, change := range []func(*content.Health){
		func(h *content.Health) { h.Playing = true }, func(h *content.Health) { h.Version = "2" }, func(h *content.Health) { h.LastError = "x" },
		func(h *content.Health) { h.Throttled = []string{"under-voltage"} }, func(h *content.Health) { h.Temperature += 20 }, func(h *content.Health) { h.Slot = "b" },
		func(h *content.Health) { h.Rollback = "it crashed" }, func(h *content.Health) { h.State = content.StateConfirmed },
	} {
		change(&b.health)
		pass(20 * time.Second)
		if n := reports(); n != 1 {
			t.Errorf("%d reports of %+v", n, b.health)
		}
	}
	// But not more often than every ten seconds.
	for range 1000 {
		b.health.Playing = !b.health.Playing
		b.health.Sessions++
		b.now = b.now.Add(100 * time.Millisecond)
		b.tick(b.now)
		beat()
	}
	if n := reports(); n < 8 || n > 11 {
		t.Errorf("%d reports of a hundred seconds of changes", n)
	}
}

func setting(value any, version int64) twin.Setting {
	return twin.Setting{Value: value, Version: version, By: service}
}

func TestSettings(t *testing.T) {
	b := newBench(t)
	b.pair()
	wish := func(s twin.Settings) {
		b.wish(service, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}, Settings: s})
	}
	ack := func(name string) string {
		a := b.report().Settings[name]
		return fmt.Sprintf("%v %d %s %d %s", a.Value, a.Version, a.By, a.Status, a.Text)
	}
	wish(twin.Settings{"name": setting("Room 5", 3)})
	expect(t, "a name", ack("name"), "Room 5 3 "+service+" 200 ")
	wish(twin.Settings{"name": setting("Room 5", 3), "release": setting(content.Release{URL: "https://example.com/12", Counter: 12}.Object(), 1)})
	expect(t, "a release", ack("release"), "map[counter:12 url:https://example.com/12] 1 "+service+" 202 ")
	wish(twin.Settings{"name": setting("Old", 2), "release": setting(content.Release{URL: "https://example.com/5", Counter: 5}.Object(), 2)})
	expect(t, "the release that runs", ack("release"), "map[counter:5 url:https://example.com/5] 2 "+service+" 200 ")
	wish(twin.Settings{"release": setting(content.Release{URL: "https://example.com/4", Counter: 4}.Object(), 3)})
	expect(t, "an older release", ack("release"), "map[counter:4 url:https://example.com/4] 3 "+service+" 403 refused: older than what runs")
	expect(t, "the device did", strings.Join(b.did, ", "), "name Room 5, update https://example.com/12 12, update https://example.com/5 5, update https://example.com/4 4")
	b.did = nil
	// What makes no sense is answered, where it can be.
	wish(twin.Settings{"release": setting("http://example.com", 4), "name": setting(strings.Repeat("x", 51), 4), "volume": setting(11.0, 1)})
	r := b.report()
	if r.Settings["release"].Status != 400 || r.Settings["name"].Status != 400 || r.Settings["volume"].Status != 404 || len(b.did) != 0 {
		t.Errorf("%v, did %v", r.Settings, b.did)
	}
	many := twin.Settings{}
	for i := range 60 {
		many[fmt.Sprint("unknown ", i)] = setting(strings.Repeat("x", 400), 1)
	}
	wish(many)
	if n := len(b.report().Settings); n != 2+maxForeign {
		t.Errorf("%d settings are acknowledged", n)
	}
	wish(twin.Settings{"name": setting(nil, 6)})
	expect(t, "a name that is taken away", ack("name"), "<nil> 6 "+service+" 200 ")
	// Others desire nothing here.
	b.wish(stranger, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: stranger}, Settings: twin.Settings{"name": {Value: "Mine", Version: 99, By: stranger}}})
	expect(t, "to a stranger", b.said(), "")
	if len(b.did) != 0 {
		t.Errorf("did %v", b.did)
	}
}

// A setting for which there was no room is begun later.
func TestSettingsWait(t *testing.T) {
	b := newBench(t)
	b.pair()
	for i := range maxJobs {
		b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/identify/%d", service, i), nil)
	}
	b.wish(service, content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}, Settings: twin.Settings{"name": setting("Late", 1)}})
	b.said()
	b.pass(tickEvery)
	b.said()
	if got := b.did[len(b.did)-1]; got != "name Late" {
		t.Errorf("did %v", b.did)
	}
}

func TestCalls(t *testing.T) {
	b := newBench(t)
	b.pair()
	id := 0
	call := func(from, name, argument string) string {
		id++
		b.receive(b.now, fmt.Sprintf("aerie/tv/method/%s/%s/%d", from, name, id), []byte(argument))
		return strings.Replace(b.said(), fmt.Sprintf("result/%s/%d/", from, id), "", 1)
	}
	expect(t, "identify", call(service, "identify", ""), "200 ")
	expect(t, "set-name", call(service, "set-name", `{"name":"X"}`), "200 ")
	expect(t, "forget-senders", call(service, "forget-senders", `{}`), "200 ")
	expect(t, "did", strings.Join(b.did, ", "), "identify, name X, forget")
	expect(t, "from a stranger", call(stranger, "identify", ""), `403 {"error":"not the partner of this device"}`)
	expect(t, "unknown", call(service, "explode", ""), `404 {"error":"this device has no such thing"}`)
	expect(t, "not on this device", call(service, "restart", ""), `404 {"error":"this device has no such thing"}`)
	for _, argument := range []string{"", "7", `{"name":7}`, `{"name":""}`, `{"name":"`, strings.Repeat(`{"name":`, 20) + `1` + strings.Repeat("}", 20)} {
		if got := call(service, "set-name", argument); !strings.HasPrefix(got, "400 ") {
			t.Errorf("set-name %s: %s", argument, got)
		}
	}
	expect(t, "too large", call(service, "set-name", strings.Repeat(" ", wire.MaxCall+1)), "413 ")
	if len(b.did) != 3 {
		t.Errorf("did %v", b.did)
	}
	if !strings.Contains(b.log.String(), "not the partner") {
		t.Errorf("the log says %s", b.log.String())
	}
}

// A stranger does not fill the log.
func TestComplaints(t *testing.T) {
	b := newBench(t)
	b.pair()
	for range 1000 {
		b.receive(b.now, "aerie/tv/method/x/y/z", nil)
	}
	b.now = b.now.Add(2 * time.Second)
	b.receive(b.now, strings.Repeat("x", 10_000), nil)
	if n := strings.Count(b.log.String(), "ignored"); n != 2 || !strings.Contains(b.log.String(), "more=999") || b.log.Len() > 2000 {
		t.Errorf("%d complaints in %d bytes", n, b.log.Len())
	}
}

func FuzzCore(f *testing.F) {
	w := content.Wish{Volunteer: pairing.Volunteer{RunID: run, Service: service}, Settings: twin.Settings{"name": setting("x", 1)}}
	text, _ := twin.Document{Run: "r", Version: 1, Properties: w.Object("thief")}.Encode()
	f.Add("aerie/tv/twin/desired/"+service, text, true)
	f.Add("aerie/tv/heartbeat/"+service, wire.EncodeHeartbeat(w.Volunteer), true)
	f.Add("aerie/tv/method/"+service+"/set-name/1", []byte(`{"name":"x"}`), true)
	f.Add("$iothub/twin/res/200/?$rid=1", []byte(`{"desired":{"$version":1,"thief":{"pairing":{}}},"reported":{"$version":1}}`), false)
	f.Add("$iothub/twin/PATCH/properties/desired/?$version=2", []byte(`{"thief":null}`), false)
	f.Add("$iothub/methods/POST/identify/?$rid=5", []byte(`null`), false)
	f.Fuzz(func(t *testing.T, topic string, payload []byte, portable bool) {
		b := newBench(t)
		if portable {
			b.pair()
		} else {
			b.core.encoding = wire.NewAzure("tv")
			b.connected(b.now)
		}
		b.receive(b.now, topic, payload)
		b.tick(b.now.Add(time.Minute))
		b.said()
	})
}

var errBroken = errors.New("broken")

// decode reads the JSON of a result.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
