package wire

import (
	"fmt"
	"strconv"
	"strings"

	"aerie/receiver/fleet/pairing"
)

// Base is what the topics of the portable encoding begin with.
const Base = "aerie"

// Kind tells what a topic is for.
type Kind int

// Kinds of topics, with who writes there.
const (
	TopicReported  Kind = iota // device, retained: its half
	TopicPresence              // device, retained: online or offline
	TopicResult                // device: the answer to a call
	TopicDesired               // service, retained: its desired half
	TopicHeartbeat             // service: a sign of life
	TopicMethod                // service: a method to run
)

// Values of a TopicPresence topic.
const (
	Online  = "online"
	Offline = "offline"
)

// Topic is a topic of the portable encoding, taken apart.
type Topic struct {
	Kind    Kind
	Device  string
	Service string // of all that a service writes, and of results
	Name    string // of the method; calls only
	ID      string // of the call and its result
	Status  int    // as in HTTP; results only
}

// String returns the topic.
func (t Topic) String() string {
	switch t.Kind {
	case TopicReported:
		return Base + "/" + t.Device + "/twin/reported"
	case TopicPresence:
		return Base + "/" + t.Device + "/presence"
	case TopicResult:
		return Base + "/" + t.Device + "/result/" + t.Service + "/" + t.ID + "/" + strconv.Itoa(t.Status)
	case TopicDesired:
		return Base + "/" + t.Device + "/twin/desired/" + t.Service
	case TopicHeartbeat:
		return Base + "/" + t.Device + "/heartbeat/" + t.Service
	case TopicMethod:
		return Base + "/" + t.Device + "/method/" + t.Service + "/" + t.Name + "/" + t.ID
	}
	panic("wire: topic of no kind")
}

// ParseTopic takes a topic apart. It fails with ErrUnknown.
func ParseTopic(s string) (t Topic, err error) {
	const longest = 256
	if len(s) > longest {
		return t, fmt.Errorf("%w: a topic of %d bytes", ErrUnknown, len(s))
	}
	level := strings.Split(s, "/")
	at := func(i int) string {
		if i < len(level) {
			return level[i]
		}
		return ""
	}
	t.Device = at(1)
	ok := at(0) == Base && pairing.ValidDevice(t.Device)
	switch {
	case at(2) == "twin" && at(3) == "reported" && len(level) == 4:
		t.Kind = TopicReported
	case at(2) == "presence" && len(level) == 3:
		t.Kind = TopicPresence
	case at(2) == "result" && len(level) == 6:
		t.Kind, t.Service, t.ID = TopicResult, level[3], level[4]
		t.Status, err = strconv.Atoi(level[5])
		ok = ok && err == nil && t.Status >= 100 && t.Status <= 599 && len(level[5]) == 3
	case at(2) == "twin" && at(3) == "desired" && len(level) == 5:
		t.Kind, t.Service = TopicDesired, level[4]
	case at(2) == "heartbeat" && len(level) == 4:
		t.Kind, t.Service = TopicHeartbeat, level[3]
	case at(2) == "method" && len(level) == 6:
		t.Kind, t.Service, t.Name, t.ID = TopicMethod, level[3], level[4], level[5]
		ok = ok && validWord(t.Name)
	default:
		ok = false
	}
	ok = ok && (t.Kind < TopicResult || pairing.ValidService(t.Service)) && (t.Kind != TopicResult && t.Kind != TopicMethod || validWord(t.ID))
	if !ok {
		return Topic{}, fmt.Errorf("%w: topic %q", ErrUnknown, s)
	}
	return t, nil
}

// validWord tells whether a word may name a method or a call: 1 to 64 letters,
// digits, dashes and underscores.
func validWord(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// Filters for what a service subscribes to.
func ReportedFilter() string             { return Base + "/+/twin/reported" }
func PresenceFilter() string             { return Base + "/+/presence" }
func DesiredFilter() string              { return Base + "/+/twin/desired/+" }
func ResultFilter(service string) string { return Base + "/+/result/" + service + "/#" }
