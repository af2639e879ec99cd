package broker

import (
	"strings"
	"testing"

	"aerie/cmd/aerie-fleet/authority"
)

const (
	us   = "11111111-1111-4111-8111-111111111111"
	them = "22222222-2222-4222-8222-222222222222"
)

func TestAllowed(t *testing.T) {
	const device, service = authority.RoleDevice, authority.RoleService
	for _, c := range []struct {
		role, name, topic string
		write, want       bool
	}{
		{device, "tv", "aerie/tv/twin/reported", true, true},
		{device, "tv", "aerie/tv/presence", true, true},
		{device, "tv", "aerie/tv/result/" + us + "/1/200", true, true},
		{device, "tv", "aerie/tv/twin/desired/" + us, true, false},
		{device, "tv", "aerie/tv/heartbeat/" + us, true, false},
		{device, "tv", "aerie/tv/anything", true, false},
		{device, "tv", "aerie/tv2/twin/reported", true, false},
		{device, "tv", "aerie/tv/twin/desired/+", false, true},
		{device, "tv", "aerie/tv/method/#", false, true},
		{device, "tv", "aerie/+/method/#", false, false},
		{device, "tv", "aerie/tv", false, false},
		{device, "tv", "aerie-pool/p/rollout", false, false},
		{device, "tv", "aerie-pool/p/tv/x", true, false},
		{device, us, "aerie/tv/twin/desired/" + us, true, false},
		{service, us, "aerie/tv/twin/desired/" + us, true, true},
		{service, us, "aerie/tv/heartbeat/" + us, true, true},
		{service, us, "aerie/tv/method/" + us + "/identify/1", true, true},
		{service, us, "aerie/tv/twin/desired/" + them, true, false},
		{service, us, "aerie/tv/twin/reported", true, false},
		{service, us, "aerie-pool/p/" + us + "/beat", true, true},
		{service, us, "aerie-pool/p/" + them + "/beat", true, false},
		{service, us, "aerie-pool/p/rollout", true, true},
		{service, us, "aerie-pool/p/rollout/x", true, false},
		{service, us, "aerie/+/twin/reported", false, true},
		{service, us, "#", false, false},
		{"", "tv", "aerie/tv/twin/reported", true, false},
	} {
		if got := allowed(c.role, c.name, c.topic, c.write); got != c.want {
			t.Errorf("%s %s, %s, write %v: %v", c.role, c.name, c.topic, c.write, got)
		}
	}
}

// What a device may write is below its name, whatever it is called.
func FuzzAllowed(f *testing.F) {
	f.Add("tv", "aerie/tv/twin/reported")
	f.Add(us, "aerie/tv/twin/desired/"+us)
	f.Add("a/b", "aerie/a/b/twin/reported")
	f.Add("+", "aerie/+/twin/reported")
	f.Fuzz(func(t *testing.T, name, topic string) {
		if allowed(authority.RoleDevice, name, topic, true) && (!validName(name) || !strings.HasPrefix(topic, "aerie/"+name+"/")) {
			t.Errorf("the device %q writes %q", name, topic)
		}
		if allowed(authority.RoleService, name, topic, true) && !strings.Contains(topic, "/"+name) && !strings.HasSuffix(topic, "/rollout") {
			t.Errorf("the service %q writes %q", name, topic)
		}
	})
}
