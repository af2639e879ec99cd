package rollout

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"aerie/receiver/fleet/content"
)

var release = content.Release{URL: "https://example.org/aerie/7", Counter: 7}

func plan(change func(*Plan)) Plan {
	p := DefaultPlan
	p.Release = release
	if change != nil {
		change(&p)
	}
	return p
}

// stage is a fleet and a rollout in it, at a time that only the test moves.
type stage struct {
	t     *testing.T
	r     Rollout
	fleet []Device
	now   time.Time
}

func newStage(t *testing.T, devices int, p Plan) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Unix(1_000_000, 0)}
	for i := range devices {
		s.fleet = append(s.fleet, Device{ID: fmt.Sprint("tv", i), Online: true, Counter: 6, Confirmed: true})
	}
	r, err := New("r1", "a", p, Rollout{})
	if err != nil {
		t.Fatal(err)
	}
	s.r = r
	return s
}

// after lets time pass and ticks once.
func (s *stage) after(d time.Duration) bool {
	s.now = s.now.Add(d)
	return s.r.Tick(s.now, "a", s.fleet)
}

// all does something to all devices that are meant.
func (s *stage) all(f func(*Device)) (n int) {
	for i := range s.fleet {
		if s.r.Wants(s.fleet[i].ID) {
			f(&s.fleet[i])
			n++
		}
	}
	return n
}

func confirm(d *Device) { d.Begun, d.Counter, d.Confirmed = true, 7, true }
func begun(d *Device)   { d.Begun = true }
func fail(d *Device)    { d.Begun, d.Failed = true, "went back" }

func (s *stage) is(state State, ring int) {
	s.t.Helper()
	if s.r.State != state || s.r.Ring != ring {
		s.t.Fatalf("it is %s in ring %d (%s), want %s in ring %d; %v", s.r.State, s.r.Ring, s.r.Reason, state, ring, s.r.Count(s.fleet))
	}
}

func TestRings(t *testing.T) {
	s := newStage(t, 200, plan(nil))
	for ring, want := range []int{1, 10, 50, 200} {
		if !s.after(time.Second) {
			t.Fatalf("ring %d does not begin", ring)
		}
		s.is(Running, ring)
		if n := s.all(begun); n != want {
			t.Fatalf("ring %d has %d devices, want %d", ring, n, want)
		}
		if s.after(10 * time.Minute); s.r.Well != 0 {
			t.Fatal("devices that have not confirmed are well")
		}
		s.all(confirm)
		s.after(time.Second)
		if s.after(9 * time.Minute) {
			t.Fatal("a ring ended before its time")
		}
		// A device that gets worse begins the time anew.
		s.all(func(d *Device) { d.Confirmed = false })
		s.after(time.Second)
		s.all(confirm)
		s.after(time.Second)
		if s.after(9 * time.Minute) {
			t.Fatal("the time did not begin anew")
		}
		s.after(time.Minute - time.Second)
	}
	s.after(time.Second)
	s.is(Done, 3)
	if len(s.r.Steps) != 4 || s.r.Threshold != math.MaxUint64 || !s.r.Wants("new") {
		t.Errorf("at the end %d steps; new devices: %v", len(s.r.Steps), s.r.Wants("new"))
	}
	if s.after(time.Hour) {
		t.Error("something happens after the end")
	}
}

func TestHalts(t *testing.T) {
	s := newStage(t, 100, plan(nil))
	s.after(0)
	s.all(fail)
	s.after(time.Second)
	s.is(Halted, 0)
	if s.all(begun) != 0 || !strings.Contains(s.r.Reason, "1 of 1") {
		t.Errorf("it halted because of %q and goes on", s.r.Reason)
	}
	// Resumed, what failed is forgiven; no more than that.
	if changed, err := s.r.Heed(s.now, "a", "a", Order{Number: 1, Kind: Resume, ID: "r1"}, s.fleet); !changed || err != nil {
		t.Fatal(err)
	}
	s.after(time.Second)
	s.is(Running, 0) // nobody has confirmed, so nothing is proved
	s.after(2 * time.Hour)
	s.is(Running, 0)
}

func TestHaltsAtItsLimit(t *testing.T) {
	s := newStage(t, 100, plan(func(p *Plan) { p.Rings, p.Failures, p.Share = []float64{0.5, 1}, 3, 0 }))
	s.after(0)
	failed := 0
	s.all(func(d *Device) {
		if confirm(d); failed < 3 {
			failed++
			*d = Device{ID: d.ID, Online: true, Counter: 6, Confirmed: true, Begun: true, Failed: "went back"}
		}
	})
	s.after(time.Second)
	s.after(10 * time.Minute)
	s.is(Running, 1)
	s.after(time.Second)
	s.is(Running, 1)
	for i := range s.fleet {
		if s.r.Progress(s.fleet[i]) == Waiting {
			fail(&s.fleet[i])
			break
		}
	}
	s.after(time.Second)
	s.is(Halted, 1)
}

// A device that an update cuts off from the network does not come back, and
// that is a failure; one that was away all the time is not.
func TestDevicesThatAreAway(t *testing.T) {
	s := newStage(t, 10, plan(func(p *Plan) { p.Rings = []float64{0.5, 1} }))
	s.fleet[3].Online = false
	s.after(0)
	s.all(begun)
	s.fleet[3].Begun = false
	lost := false
	s.all(func(d *Device) {
		if d.ID == "tv3" {
			return
		}
		if confirm(d); !lost {
			lost, d.Online, d.Counter = true, false, 6
		}
	})
	s.after(30 * time.Minute)
	s.is(Running, 0)
	s.after(time.Hour)
	s.is(Halted, 0)

	s = newStage(t, 10, plan(func(p *Plan) { p.Rings = []float64{0.5, 1} }))
	s.fleet[3].Online = false
	for range 4 {
		s.after(0)
		s.all(func(d *Device) {
			if d.Online {
				confirm(d)
			}
		})
		s.after(0)
		s.after(10 * time.Minute)
	}
	s.is(Done, 1)
	if s.r.Progress(s.fleet[3]) != Absent || !s.r.Wants("tv3") {
		t.Error("a device that was away does not get the release when it is back")
	}
}

func TestOrders(t *testing.T) {
	s := newStage(t, 100, plan(nil))
	heed := func(n int64, k Kind, want State, fails bool) {
		t.Helper()
		version := s.r.Version
		changed, err := s.r.Heed(s.now, "a", "b", Order{Number: n, Kind: k, ID: "r1"}, s.fleet)
		if !changed || (err != nil) != fails || s.r.State != want || s.r.Version != version+1 {
			t.Fatalf("%s: %v, it is %s; changed %v", k, err, s.r.State, changed)
		}
		if changed, _ := s.r.Heed(s.now, "a", "b", Order{Number: n, Kind: k, ID: "r1"}, s.fleet); changed {
			t.Fatalf("%s was heeded twice", k)
		}
	}
	s.after(0)
	heed(1, Pause, Paused, false)
	if s.all(begun) != 0 || s.after(time.Hour) {
		t.Error("a paused rollout goes on")
	}
	heed(2, Pause, Paused, true)
	heed(3, Resume, Running, false)
	if s.all(begun) != 1 || len(s.r.Steps) != 1 {
		t.Error("a rollout that was resumed begins anew")
	}
	heed(4, Cancel, Cancelled, false)
	if s.all(begun) != 0 {
		t.Error("a cancelled rollout goes on")
	}
	heed(5, Resume, Cancelled, true)

	// Another follows, and is the only one.
	other := plan(nil)
	if changed, err := s.r.Heed(s.now, "a", "b", Order{Number: 6, Kind: Start, ID: "r2", Plan: &other}, s.fleet); !changed || err != nil || s.r.ID != "r2" || s.r.Orders["b"] != 6 {
		t.Fatalf("%v, it is %s", err, s.r.ID)
	}
	if _, err := s.r.Heed(s.now, "a", "b", Order{Number: 7, Kind: Start, ID: "r3", Plan: &other}, s.fleet); err == nil || s.r.ID != "r2" {
		t.Fatalf("two at once: %v", err)
	}
	if _, err := s.r.Heed(s.now, "a", "b", Order{Number: 8, Kind: Pause, ID: "r1"}, s.fleet); err == nil {
		t.Fatal("an order for another rollout was heeded")
	}
	for i := range 200 {
		s.r.Heed(s.now, "a", fmt.Sprint("service", i), Order{Number: 9, Kind: Pause, ID: "none"}, s.fleet)
	}
	if len(s.r.Orders) > maxOrders {
		t.Errorf("%d services remembered", len(s.r.Orders))
	}
}

func TestPlans(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"no release":     func(p *Plan) { p.Release = content.Release{} },
		"no https":       func(p *Plan) { p.Release.URL = "http://example.org/" },
		"no rings":       func(p *Plan) { p.Rings = nil },
		"not all":        func(p *Plan) { p.Rings = []float64{0, 0.5} },
		"shrinks":        func(p *Plan) { p.Rings = []float64{0.5, 0.2, 1} },
		"twice":          func(p *Plan) { p.Rings = []float64{0.5, 0.5, 1} },
		"NaN":            func(p *Plan) { p.Rings = []float64{math.NaN(), 1} },
		"more than all":  func(p *Plan) { p.Rings = []float64{0, 2} },
		"no patience":    func(p *Plan) { p.Patience = 0 },
		"negative soak":  func(p *Plan) { p.Soak = -1 },
		"a strange part": func(p *Plan) { p.Share = math.NaN() },
	} {
		if _, err := New("r", "a", plan(change), Rollout{}); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocument(t *testing.T) {
	s := newStage(t, 50, plan(nil))
	s.after(0)
	b, err := s.r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(b)
	if err != nil || back.Threshold != s.r.Threshold || back.Version != s.r.Version || len(back.Steps) != 1 {
		t.Fatalf("%v: %+v", err, back)
	}
	for name, change := range map[string][2]string{
		"state":   {`"running"`, `"dancing"`},
		"version": {fmt.Sprintf(`"version":%d`, s.r.Version), `"version":0`},
		"ring":    {`"ring":0,"threshold"`, `"ring":9,"threshold"`},
		"step":    {`"number":1`, `"number":2`},
		"plan":    {`https://`, `ftp://`},
		"type":    {`"begun":1000000`, `"begun":"yesterday"`},
	} {
		bad := strings.Replace(string(b), change[0], change[1], 1)
		if bad == string(b) {
			t.Fatalf("%s: nothing changed in %s", name, b)
		}
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	a, c := Rollout{Version: 3, Driver: "a"}, Rollout{Version: 3, Driver: "c"}
	if a.Newer(c) || !c.Newer(a) || c.Newer(c) {
		t.Error("two of one version are not told apart")
	}
}

func FuzzParse(f *testing.F) {
	r, _ := New("r1", "a", plan(nil), Rollout{})
	r.Tick(time.Unix(5, 0), "a", []Device{{ID: "tv", Online: true}})
	b, _ := r.Encode()
	f.Add(b)
	f.Add([]byte(`{"number":1,"kind":"pause","id":"r1"}`))
	f.Add([]byte(`{"version":1,"threshold":"99999999999999999999"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseOrder(b)
		r, err := Parse(b)
		if err != nil {
			return
		}
		// What is accepted can be driven and written again.
		r.Tick(time.Unix(1<<40, 0), "x", []Device{{ID: "tv", Online: true}, {ID: "tv2"}})
		out, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(out); err != nil && len(out) <= MaxSize {
			t.Fatalf("%v in %s", err, out)
		}
	})
}

// What a driver sent before another took over is older than all that follows.
func TestTakeOver(t *testing.T) {
	s := newStage(t, 10, plan(nil))
	late, next := s.r, s.r
	late.Tick(s.now, "a", s.fleet)
	next.TakeOver("b")
	if late.Newer(next) || !next.Newer(late) || len(next.Steps) != 0 {
		t.Errorf("version %d of the driver before, %d of the next", late.Version, next.Version)
	}
}
