package wire

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/twin"
)

// Topics of Azure IoT Hub ("Communicate with an IoT hub using the MQTT
// protocol").
const (
	azureTwin    = "$iothub/twin/"
	azureDesired = azureTwin + "PATCH/properties/desired/"
	azureMethod  = "$iothub/methods/POST/"
	azureResult  = "$iothub/methods/res/"
)

// azurePatience is how long an answer of the hub is waited for.
const azurePatience = time.Minute

// Azure is the encoding of Azure IoT Hub. The hub keeps both halves: the
// device asks for them on each connection, and then sends what differs from
// what it is to report, one patch at a time.
type Azure struct {
	device  string
	desired twin.Replica

	want, hub twin.Object // what is to be reported, and what the hub has of it
	known     bool        // hub is what the hub said on this connection
	again     bool        // report even without a difference

	asked    request // for both halves
	patch    request
	patched  twin.Object // what the hub will have when it takes the patch
	lastID   int
	failures int
}

// request is one that the hub has not answered yet. The zero value is none.
type request struct {
	id string
	at clock.Time // when to try again; of none, 0: at once
}

// NewAzure makes the end of a device.
func NewAzure(device string) *Azure { return &Azure{device: device} }

// Subscriptions are of all that the hub says.
func (a *Azure) Subscriptions() []string {
	return []string{azureTwin + "res/#", azureDesired + "#", azureMethod + "#"}
}

// Will is none: the hub tells of connections by itself.
func (a *Azure) Will() (Message, bool) { return Message{}, false }

// Farewell is nothing.
func (a *Azure) Farewell() []Message { return nil }

// Connected asks for both halves. What was on its way is settled by the answer.
func (a *Azure) Connected(now clock.Time) []Message {
	a.desired.Connected()
	a.known, a.patch, a.failures = false, request{}, 0
	return []Message{a.ask(now)}
}

func (a *Azure) ask(now clock.Time) Message {
	a.asked = a.request(now)
	return Message{Topic: azureTwin + "GET/?$rid=" + a.asked.id}
}

func (a *Azure) request(now clock.Time) request {
	a.lastID++
	return request{strconv.Itoa(a.lastID), now.Add(azurePatience)}
}

// Report has the hub told what differs.
func (a *Azure) Report(now clock.Time, half twin.Object, again bool) ([]Message, error) {
	if _, err := twin.Encode(half); err != nil {
		return nil, err
	}
	a.want, a.again = half, a.again || again
	return a.send(now), nil
}

// send makes the next patch, unless one is under way.
func (a *Azure) send(now clock.Time) []Message {
	if !a.known || a.patch.id != "" || now < a.patch.at {
		return nil
	}
	patch := twin.Diff(a.hub, a.want)
	if len(patch) == 0 {
		if !a.again {
			return nil
		}
		patch = a.want
	}
	text, err := twin.Encode(patch)
	if err != nil {
		return nil // Report has refused it
	}
	a.again, a.patched, a.patch = false, twin.Merge(a.hub, patch), a.request(now)
	return []Message{{Topic: azureTwin + "PATCH/properties/reported/?$rid=" + a.patch.id, Payload: text}}
}

// Tick sends again what the hub refused for the moment or never answered.
func (a *Azure) Tick(now clock.Time) []Message {
	switch {
	case a.asked.id != "" && now >= a.asked.at:
		return []Message{a.ask(now)}
	case a.patch.id != "" && now >= a.patch.at:
		// Whether it was taken is found out by asking.
		a.known, a.patch = false, request{}
		return []Message{a.ask(now)}
	}
	return a.send(now)
}

// Receive takes a message of the hub.
func (a *Azure) Receive(now clock.Time, topic string, payload []byte) ([]Event, []Message, error) {
	path, query, _ := strings.Cut(topic, "?")
	values, err := url.ParseQuery(query)
	if err != nil || len(topic) > 512 {
		return nil, nil, fmt.Errorf("%w: topic of %d bytes", ErrUnknown, len(topic))
	}
	id := values.Get("$rid")
	switch {
	case strings.HasPrefix(path, azureTwin+"res/"):
		status, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path, azureTwin+"res/"), "/"))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: topic %q", ErrUnknown, topic)
		}
		return a.answered(now, id, status, payload)
	case path == azureDesired:
		return a.changed(now, values.Get("$version"), payload)
	case strings.HasPrefix(path, azureMethod):
		return a.called(strings.TrimSuffix(strings.TrimPrefix(path, azureMethod), "/"), id, payload)
	}
	return nil, nil, fmt.Errorf("%w: topic %q", ErrUnknown, topic)
}

// answered takes the answer to a request. Answers to older ones are passed
// over.
func (a *Azure) answered(now clock.Time, id string, status int, payload []byte) ([]Event, []Message, error) {
	good := status >= 200 && status < 300
	switch {
	case id == "":
		return nil, nil, fmt.Errorf("%w: an answer to nothing", ErrUnknown)
	case id == a.asked.id && good:
		a.asked = request{}
		return a.both(now, payload)
	case id == a.asked.id:
		a.asked.at = now.Add(pause(a.failures))
	case id == a.patch.id && good:
		a.hub, a.patch, a.failures = a.patched, request{}, 0
		return nil, a.send(now), nil
	case id == a.patch.id:
		a.patch = request{at: now.Add(pause(a.failures))}
	default:
		return nil, nil, nil
	}
	a.failures++
	return nil, nil, fmt.Errorf("wire: the hub answers %d", status)
}

// both takes the halves that the hub has.
func (a *Azure) both(now clock.Time, payload []byte) ([]Event, []Message, error) {
	desired, reported, err := twin.ParseBoth(payload)
	if err != nil {
		a.asked = request{"-", now.Add(pause(a.failures))}
		a.failures++
		return nil, nil, err
	}
	version, _ := twin.Integer(desired, "$version")
	a.hub, a.known, a.failures = plain(reported), true, 0
	before := a.desired.Properties()
	var events []Event
	if a.desired.Document(version, plain(desired)) {
		p := a.desired.Properties()
		events = append(events, Desired{"", p, twin.Diff(before, p)})
	}
	if !a.desired.Current() { // a patch before it is missing
		return events, []Message{a.ask(now)}, nil
	}
	return events, a.send(now), nil
}

// changed takes a patch of the desired half.
func (a *Azure) changed(now clock.Time, version string, payload []byte) ([]Event, []Message, error) {
	patch, err := twin.Parse(payload)
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 1 {
		return nil, nil, fmt.Errorf("%w: version %q of a patch", ErrUnknown, version)
	}
	patch = plain(patch)
	applied, gap := a.desired.Patch(n, patch)
	switch {
	case gap:
		return nil, []Message{a.ask(now)}, nil
	case !applied:
		return nil, nil, nil
	}
	return []Event{Desired{"", a.desired.Properties(), patch}}, nil, nil
}

// called takes a call. The hub has no other way to tell a device of a sign of
// life, so that is a method here.
func (a *Azure) called(name, id string, payload []byte) ([]Event, []Message, error) {
	if !validWord(name) || id == "" || len(id) > 64 {
		return nil, nil, fmt.Errorf("%w: a call without a name or number", ErrUnknown)
	}
	c := Call{"", name, id, payload}
	if len(payload) > MaxCall {
		return nil, []Message{a.Answer(c, 413, nil)}, fmt.Errorf("%w: a call of %d bytes", twin.ErrTooLarge, len(payload))
	}
	if name != content.MethodHeartbeat {
		return []Event{c}, nil, nil
	}
	h, err := parseHeartbeat(payload)
	if err != nil {
		return nil, []Message{a.Answer(c, 400, nil)}, err
	}
	return []Event{h}, []Message{a.Answer(c, 200, nil)}, nil
}

// Answer answers a call.
func (a *Azure) Answer(c Call, status int, payload []byte) Message {
	if len(payload) == 0 {
		payload = []byte("null") // the hub takes JSON only
	}
	return Message{Topic: azureResult + strconv.Itoa(status) + "/?$rid=" + c.ID, Payload: payload}
}

// Telemetry is the topic for what is neither a half nor an answer.
func (a *Azure) Telemetry() string { return "devices/" + a.device + "/messages/events/" }

// plain is a half without the hub's own properties.
func plain(o twin.Object) twin.Object {
	out := twin.Object{}
	for name, v := range o {
		if !strings.HasPrefix(name, "$") {
			out[name] = v
		}
	}
	return out
}
