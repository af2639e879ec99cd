package service

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/broker"
	"aerie/cmd/aerie-fleet/link"
	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/simulate"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/pairing"
)

// bench is a broker without certificates on the loopback.
type bench struct {
	t       testing.TB
	address string
	log     *text
	broker  *broker.Broker
}

type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func start(t testing.TB) *bench {
	t.Helper()
	a, err := authority.Open(t.TempDir(), []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, log: &text{}}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	b.broker, err = broker.New(broker.Options{Authority: a, File: filepath.Join(t.TempDir(), "documents"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = ln.Addr().String()
	go b.broker.ListenPlain(ln)
	t.Cleanup(func() {
		b.broker.Close()
		if t.Failed() {
			t.Logf("log:\n%s", b.log)
		}
	})
	return b
}

// quick is a lease for tests.
var quick = Lease{Beat: 100 * time.Millisecond, Fresh: time.Second, Settle: 2 * time.Second}

// instance is a service that can be killed.
type instance struct {
	*Service
	kill func()
}

func newID(t testing.TB) string {
	id, err := pairing.NewID(randomBytes{newRandom()})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *bench) service(id string) *instance {
	b.t.Helper()
	s, err := New(Options{ID: id, Run: newID(b.t), Pool: "hotel", Log: slog.New(slog.NewTextHandler(b.log, nil)).With("service", id[:4]),
		Link: link.Options{Broker: "mqtt://" + b.address, User: authority.RoleService}, Lease: quick})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan bool)
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	kill := sync.OnceFunc(func() { cancel(); <-done })
	b.t.Cleanup(kill)
	return &instance{s, kill}
}

func (b *bench) devices(n int, change func(*simulate.Options)) *simulate.Fleet {
	o := simulate.Options{Devices: n, Prefix: "tv", Pool: "hotel", Install: 100 * time.Millisecond,
		Dial: func(string) (net.Conn, error) { return net.Dial("tcp", b.address) }}
	if change != nil {
		change(&o)
	}
	f := simulate.Start(o)
	b.t.Cleanup(f.Stop)
	return f
}

func (b *bench) eventually(what string, happens func() bool) {
	b.t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if happens() {
			return
		}
	}
	b.t.Fatalf("not: %s", what)
}

func (i *instance) overview(t testing.TB) Overview {
	o, err := i.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Two instances share the devices; a pool does not take those of another.
func TestSharing(t *testing.T) {
	t.Parallel()
	b := start(t)
	fleet := b.devices(40, nil)
	strangers := b.devices(3, func(o *simulate.Options) { o.Prefix, o.Pool = "other", "school" })
	// They come late, and find those that wait.
	one, two := b.service(newID(t)), b.service(newID(t))
	b.eventually("all are paired", func() bool { return fleet.Stats().Paired == 40 })
	b.eventually("both have some, and see all", func() bool {
		x, y := one.overview(t), two.overview(t)
		return x.Mine+y.Mine == 40 && x.Total == 40 && y.Total == 40
	})
	if x := one.overview(t); x.Mine < 5 || x.Mine > 35 {
		t.Errorf("one instance has %d of 40 devices", x.Mine)
	}
	if n := strangers.Stats().Paired; n != 0 {
		t.Errorf("%d devices of another pool are paired", n)
	}

	// A method reaches every device through any instance.
	for _, d := range fleet.Devices {
		if r, err := one.Call(t.Context(), d.ID, content.MethodIdentify, nil); err != nil || r.Status != 200 {
			t.Fatalf("identify %s: %v %v", d.ID, r, err)
		}
		if d.Calls(content.MethodIdentify) != 1 {
			t.Fatalf("%s has identified itself %d times", d.ID, d.Calls(content.MethodIdentify))
		}
	}
	if _, err := one.Call(t.Context(), "nobody", content.MethodIdentify, nil); err != ErrNoDevice {
		t.Errorf("a device that does not exist: %v", err)
	}

	// So does a setting, and it survives the instance and a restart of the device.
	for _, d := range fleet.Devices {
		if err := one.Set(t.Context(), d.ID, content.SettingName, "Suite "+d.ID); err != nil {
			t.Fatal(err)
		}
	}
	has := func() bool {
		for _, d := range fleet.Devices {
			if d.Setting(content.SettingName) != "Suite "+d.ID {
				return false
			}
		}
		return true
	}
	b.eventually("all have their names", has)
	one.kill()
	for _, d := range fleet.Devices {
		d.Restart()
	}
	b.eventually("the other has all of them", func() bool { return two.overview(t).Mine == 40 && fleet.Stats().Paired == 40 })
	three := b.service(newID(t))
	b.eventually("a new instance knows what is desired", func() bool {
		d, err := three.Device(t.Context(), fleet.Devices[0].ID)
		return err == nil && d.Desired[content.SettingName].Value == "Suite "+fleet.Devices[0].ID
	})
	if !has() {
		t.Error("a name was lost")
	}
}

// An instance that starts again with its id finds its devices, and they notice
// nothing.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := start(t)
	fleet := b.devices(20, nil)
	id := newID(t)
	one := b.service(id)
	b.eventually("all are paired", func() bool { return one.overview(t).Mine == 20 })
	if err := one.Set(t.Context(), "tv00003", content.SettingName, "Bar"); err != nil {
		t.Fatal(err)
	}
	before := fleet.Stats()
	one.kill()
	one = b.service(id)
	b.eventually("it has them again", func() bool { return one.overview(t).Mine == 20 })
	if after := fleet.Stats(); after.Losses != before.Losses || after.Paired != 20 {
		t.Errorf("devices noticed: %+v", after)
	}
	d, err := one.Device(t.Context(), "tv00003")
	if err != nil || d.Desired[content.SettingName].Value != "Bar" {
		t.Errorf("%v: it desires %v", err, d.Desired)
	}
}

func release(n int64) content.Release {
	return content.Release{URL: "https://example.org/aerie", Counter: n}
}

// A rollout goes on when the instance that drives it is killed, and no device
// installs twice.
func TestRollout(t *testing.T) {
	t.Parallel()
	b := start(t)
	fleet := b.devices(40, func(o *simulate.Options) {
		o.Fate = func(id string) simulate.Fate {
			if id == "tv00007" {
				return simulate.GoesBack
			}
			return simulate.Works
		}
	})
	var instances []*instance
	for range 3 {
		instances = append(instances, b.service(newID(t)))
	}
	b.eventually("all are paired", func() bool { return fleet.Stats().Paired == 40 })
	plan := rollout.DefaultPlan
	plan.Release, plan.Soak, plan.Failures = release(7), 1, 1
	if err := instances[0].Order(t.Context(), rollout.Start, "r7", &plan); err != nil {
		t.Fatal(err)
	}
	driver := -1
	b.eventually("the second ring", func() bool {
		for i, s := range instances {
			o := s.overview(t)
			if o.Drives {
				driver = i
			}
			if o.Rollout != nil && o.Rollout.Ring >= 1 {
				return driver >= 0
			}
		}
		return false
	})
	instances[driver].kill()
	rest := append(instances[:driver:driver], instances[driver+1:]...)
	for _, d := range fleet.Devices {
		if d.Partner() == instances[driver].ID() {
			d.Restart() // instead of waiting until its lease has ended
		}
	}
	b.eventually("the end", func() bool {
		o := rest[0].overview(t)
		return o.Rollout != nil && o.Rollout.State == rollout.Done
	})
	o := rest[1].overview(t)
	if o.Tally[rollout.Well] != 39 || o.Tally[rollout.Failed] != 1 || len(o.Rollout.Steps) != 4 {
		t.Errorf("at the end: %v with %d steps", o.Tally, len(o.Rollout.Steps))
	}
	for _, d := range fleet.Devices {
		if n := d.Installs(7); n != 1 {
			t.Errorf("%s installed %d times", d.ID, n)
		}
	}
	if row, err := rest[0].List(t.Context(), Query{Status: Trouble}); err != nil || row.Matched != 1 || row.Rows[0].ID != "tv00007" {
		t.Errorf("%v: in trouble: %+v", err, row.Rows)
	}
}
