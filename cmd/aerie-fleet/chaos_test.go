package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/service"
	"aerie/cmd/aerie-fleet/simulate"
	"aerie/receiver/fleet/content"
)

// TestChaos has three services on three machines look after a fleet while they,
// the broker among them, are killed and their cables are pulled. Meanwhile an
// owner renames devices and rolls out releases. Afterwards every device has one
// partner, nothing that was acknowledged is lost, and no step of a rollout was
// done twice. AERIE_FLEET_CHAOS is for how long, 8 s as it comes.
func TestChaos(t *testing.T) {
	length := 8 * time.Second
	if v := os.Getenv("AERIE_FLEET_CHAOS"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	if !inNetwork(t, (length + 6*time.Minute).String()) {
		return
	}
	const devices = 60
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &chaos{t: t, random: rand.New(rand.NewPCG(seed, 1)), length: length}
	dir := t.TempDir()
	common := []string{"--beat", "500ms", "--rate", "200"}
	for i, name := range []string{"broker", "second", "third"} {
		h := newHost(t, 2+i)
		state := filepath.Join(dir, name)
		args := append([]string{"--name", h.address}, common...)
		if i > 0 {
			if _, err := fleetctl(t, "instance", "--state", filepath.Join(dir, "broker"), state); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--broker", "mqtts://"+c.hosts[0].address+":8883")
		}
		c.hosts = append(c.hosts, h)
		c.services = append(c.services, startOn(t, h, state, args...))
		if i == 0 {
			eventually(t, time.Minute, "the broker", func() bool { _, err := c.services[0].overview(); return err == nil })
		}
	}
	dial := certified(t, filepath.Join(dir, "broker"), c.hosts[0].address+":8883", devices)
	c.fleet = simulate.Start(simulate.Options{Devices: devices, Prefix: "tv", Pool: "aerie", Dial: dial, KeepAlive: 6 * time.Second,
		LastPause: 2 * time.Second, Install: 300 * time.Millisecond, Every: 20 * time.Second})
	t.Cleanup(c.fleet.Stop)
	eventually(t, time.Minute, "all are paired", func() bool { return c.fleet.Stats().Paired == devices })
	c.run()
	c.judge()
}

// startOn starts a service on a host.
func startOn(t testing.TB, h *host, state string, args ...string) *process {
	p := &process{t: t, state: state, log: &text{}, api: onSocket(filepath.Join(state, "control"))}
	p.through = []string{"nsenter", "--net=/proc/" + h.pid + "/ns/net"}
	p.args = append([]string{"serve", "--state", state}, args...)
	p.start()
	t.Cleanup(p.kill)
	return p
}

// chaos is what breaks things, and what remembers what must not be lost.
type chaos struct {
	t        *testing.T
	length   time.Duration
	hosts    []*host
	services []*process
	fleet    *simulate.Fleet

	mu       sync.Mutex
	random   *rand.Rand
	names    map[string][]any // by device: the last that was acknowledged, nil at first, and those tried since
	steps    map[string]rollout.Step
	releases int64
	history  []string
	kills    int
	cuts     int
	acks     int
	refusals int
}

func (c *chaos) number(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (c *chaos) run() {
	c.names, c.steps, c.releases = map[string][]any{}, map[string]rollout.Step{}, 6
	ctx, cancel := context.WithTimeout(context.Background(), c.length)
	defer cancel()
	var wg sync.WaitGroup
	for i := range c.services {
		wg.Go(func() { c.kill(ctx, i) })
		wg.Go(func() { c.cut(ctx, i) })
	}
	wg.Go(func() { c.rename(ctx) })
	wg.Go(func() { c.rollOut(ctx) })
	wg.Go(func() { c.watch(ctx) })
	wg.Go(func() {
		for c.pause(ctx, 100, 3000) {
			c.fleet.Devices[c.number(len(c.fleet.Devices))].Restart()
		}
	})
	wg.Wait()
}

// tell notes what happened, for whoever has to find out why something broke.
func (c *chaos) tell(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// pause waits for a random time, in milliseconds, and tells whether to go on.
func (c *chaos) pause(ctx context.Context, from, to int) bool {
	select {
	case <-time.After(time.Duration(from+c.number(to-from)) * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// kill kills a service, and starts it again.
func (c *chaos) kill(ctx context.Context, i int) {
	for c.pause(ctx, 500, 12000) {
		c.services[i].kill()
		c.tell("killed %d", i)
		c.mu.Lock()
		c.kills++
		c.mu.Unlock()
		c.pause(ctx, 0, 3000)
		c.services[i].start()
		c.tell("started %d", i)
	}
}

// cut pulls a cable, and puts it back.
func (c *chaos) cut(ctx context.Context, i int) {
	for c.pause(ctx, 500, 12000) {
		c.hosts[i].plug(false)
		c.tell("cut %d", i)
		c.mu.Lock()
		c.cuts++
		c.mu.Unlock()
		c.pause(ctx, 200, 6000)
		c.hosts[i].plug(true)
		c.tell("plugged %d", i)
	}
}

// rename renames devices by way of any service that is there.
func (c *chaos) rename(ctx context.Context) {
	for n := 0; c.pause(ctx, 10, 200); n++ {
		d := c.fleet.Devices[c.number(len(c.fleet.Devices))].ID
		name := fmt.Sprint("name ", n)
		if c.names[d] == nil {
			c.names[d] = []any{nil}
		}
		c.names[d] = append(c.names[d], name)
		asking, cancel := context.WithTimeout(ctx, 3*time.Second)
		by := c.number(3)
		err := c.services[by].post(asking, "/api/devices/"+d+"/settings", map[string]string{content.SettingName: name})
		cancel()
		if err == nil {
			c.names[d] = []any{name}
			c.tell("%s is %q by way of %d", d, name, by)
			c.acks++
		} else {
			c.refusals++
		}
	}
}

// rollOut begins a rollout whenever there is none.
func (c *chaos) rollOut(ctx context.Context) {
	for c.pause(ctx, 200, 1000) {
		c.order(ctx)
	}
}

// order begins a rollout, if any of the services takes it.
func (c *chaos) order(ctx context.Context) bool {
	p := rollout.DefaultPlan
	p.Soak, p.Share, p.Patience = 0, 1, 3600
	p.Release = content.Release{URL: "https://example.org/aerie", Counter: c.releases + 1}
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if c.services[c.number(3)].post(asking, "/api/rollout/start", p) != nil {
		return false
	}
	c.releases++
	return true
}

// watch looks at all steps of all rollouts as all services tell them.
func (c *chaos) watch(ctx context.Context) {
	for c.pause(ctx, 50, 100) {
		for _, s := range c.services {
			if o, err := s.overview(); err == nil {
				c.note(o)
			}
		}
	}
}

func (c *chaos) note(o service.Overview) {
	if o.Rollout == nil {
		return
	}
	for _, s := range o.Rollout.Steps {
		key := fmt.Sprint(o.Rollout.ID, " ", s.Ring)
		if before, known := c.steps[key]; known && before != s && !c.t.Failed() {
			c.t.Errorf("the step to ring %d of %s was done twice: %+v and %+v", s.Ring, o.Rollout.ID, before, s)
		}
		c.steps[key] = s
	}
}

// judge looks at what is left when all is quiet again.
func (c *chaos) judge() {
	t, n := c.t, len(c.fleet.Devices)
	// A lease may have to end first.
	patience := 3 * time.Minute
	began := time.Now()
	eventually(t, patience, "every device has one partner, and all agree on it", func() bool {
		mine := 0
		for _, s := range c.services {
			o, err := s.overview()
			if err != nil || !o.Connected || o.Total != n {
				return false
			}
			c.note(o)
			mine += o.Mine
		}
		return mine == n && c.fleet.Stats().Paired == n
	})
	wrong := map[string]string{}
	defer func() {
		if len(wrong) > 0 {
			t.Logf("history:\n%s", strings.Join(c.history, "\n"))
		}
		for id, what := range wrong {
			t.Logf("%s: %s", id, what)
			for _, s := range c.services {
				var d service.Detail
				err := s.api.ask("GET", "/api/devices/"+id, nil, &d)
				t.Logf("  %s: %v mine %v of %s, desires %v, acknowledged %v", filepath.Base(s.state), err, d.Mine, d.Partner, d.Desired, d.Settings)
			}
		}
	}()
	eventually(t, patience, "every device has the name that was acknowledged last", func() bool {
		clear(wrong)
		for _, d := range c.fleet.Devices {
			if names, is := c.names[d.ID], d.Setting(content.SettingName); len(names) > 0 && !slices.Contains(names, is) {
				wrong[d.ID] = fmt.Sprintf("%v instead of %v", is, names)
			}
		}
		return len(wrong) == 0
	})
	if len(c.steps) == 0 {
		// In a short trial the broker may never have been there for long enough.
		eventually(t, patience, "a rollout begins", func() bool { return c.order(t.Context()) })
	}
	eventually(t, patience, "the rollout ends", func() bool {
		o, err := c.services[0].overview()
		c.note(o)
		return err == nil && (o.Rollout == nil || o.Rollout.State == rollout.Done && o.Tally[rollout.Well] == n)
	})
	t.Logf("quiet again after %v", time.Since(began).Round(time.Second))
	installs := 0
	for _, d := range c.fleet.Devices {
		for counter := int64(7); counter <= c.releases+1; counter++ {
			if i := d.Installs(counter); i > 1 {
				t.Errorf("%s installed release %d %d times", d.ID, counter, i)
			} else {
				installs += i
			}
		}
	}
	stats := c.fleet.Stats()
	t.Logf("in %v: %d kills, %d cables pulled; %d settings acknowledged, %d refused; %d rollouts, %d steps, %d installations; devices lost their partner %d times",
		c.length, c.kills, c.cuts, c.acks, c.refusals, c.releases-6, len(c.steps), installs, stats.Losses)
	if c.acks == 0 || len(c.steps) == 0 || stats.Errors > 0 {
		t.Errorf("nothing was tried, or devices were told nonsense: %+v", stats)
	}
	if t.Failed() {
		for _, s := range c.services {
			log := s.log.String()
			t.Logf("log of %s:\n%s", filepath.Base(s.state), log[max(0, len(log)-3000):])
		}
	}
}
