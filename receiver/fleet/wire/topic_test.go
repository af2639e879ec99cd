package wire

import (
	"errors"
	"strings"
	"testing"

	"aerie/receiver/fleet/pairing"
)

const (
	run     = "4d41c744-94bf-40ac-89bc-06f28b4dc9d2"
	service = "23ebf618-41e2-40d7-9964-a16ae9762a1c"
	other   = "00000000-0000-4000-8000-000000000001"
)

var volunteer = pairing.Volunteer{RunID: run, Service: service}

func TestTopics(t *testing.T) {
	for text, want := range map[string]Topic{
		"aerie/tv/twin/reported":                            {Kind: TopicReported, Device: "tv"},
		"aerie/tv/presence":                                 {Kind: TopicPresence, Device: "tv"},
		"aerie/tv/result/" + service + "/a-7/504":           {Kind: TopicResult, Device: "tv", Service: service, ID: "a-7", Status: 504},
		"aerie/tv/twin/desired/" + service:                  {Kind: TopicDesired, Device: "tv", Service: service},
		"aerie/tv/heartbeat/" + service:                     {Kind: TopicHeartbeat, Device: "tv", Service: service},
		"aerie/tv/method/" + service + "/forget-senders/a_": {Kind: TopicMethod, Device: "tv", Service: service, Name: "forget-senders", ID: "a_"},
	} {
		if got, err := ParseTopic(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "/", "aerie", "aerie/tv", "aerie//presence", "Aerie/tv/presence", "aerie/tv/presence/", "aerie/tv/absence", "/aerie/tv/presence", "aerie/" + service + "/presence",
		"aerie/tv/twin", "aerie/tv/twin/reported/x", "aerie/tv/twin/desired", "aerie/tv/twin/desired/tv", "aerie/tv/twin/desired/" + service + "/x", "aerie/tv/heartbeat/", "aerie/tv/heartbeat/tv",
		"aerie/tv/method/" + service + "/x", "aerie/tv/method/" + service + "//1", "aerie/tv/method/" + service + "/x/", "aerie/tv/method/x/x/1", "aerie/tv/method/" + service + "/x/" + strings.Repeat("1", 65),
		"aerie/tv/result/" + service + "/1/99", "aerie/tv/result/" + service + "/1/600", "aerie/tv/result/" + service + "/1/+200", "aerie/tv/result/" + service + "/1/0200", "aerie/tv/result/tv/1/200", "aerie/tv/result/" + service + "/1",
		"aerie/+/presence", "aerie/#", "aerie/tv/method/" + service + "/+/1", "aerie/tv/method/" + service + "/x y/1", "aerie/" + strings.Repeat("x", 65) + "/presence", strings.Repeat("aerie/", 100),
	} {
		if got, err := ParseTopic(text); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func FuzzTopic(f *testing.F) {
	for _, s := range []string{"aerie/tv/twin/reported", "aerie/tv/result/" + service + "/7/200", "aerie/tv/method/" + service + "/x/7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if topic, err := ParseTopic(s); err == nil && topic.String() != s {
			t.Fatalf("%q became %q", s, topic.String())
		}
	})
}
