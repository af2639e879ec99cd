// Package rollout brings a release to a fleet in rings: one device, then 5 % of
// them, a quarter, all. Each ring waits until its devices have confirmed the
// release and stayed well for a while; when too many went back, the rollout halts
// by itself.
//
// A Rollout is a document that the services of a pool share. One of them at a
// time drives it (package service says which), the others read it; all give the
// release to those of their devices for which Wants says so. A step is a new
// version of the document, so a driver that dies leaves either the step before
// or the one after. What a device installs is decided by the device: the
// document names a release, and its owner's signature is checked there.
//
// Which devices a ring has is decided by a hash of their names with the name of
// the rollout, so the document needs no list, and another rollout begins with
// other devices.
//
// Nothing here keeps time or talks to anybody.
//
// Proof: rollout_test.go (every way through a rollout), model_test.go (random
// fleets with drivers that die, against a reference model that knows nothing of
// hashes and documents), document_test.go and FuzzParse.
package rollout

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"aerie/receiver/fleet/content"
)

// State is where a rollout is.
type State string

// States of a rollout. From Paused and Halted it can be resumed.
const (
	Running   State = "running"
	Paused    State = "paused"    // by its owner
	Halted    State = "halted"    // by itself, see Reason
	Cancelled State = "cancelled" // no device begins any more
	Done      State = "done"      // new devices are given the release too
)

// Over tells whether another rollout may begin.
func (s State) Over() bool { return s == Cancelled || s == Done || s == "" }

// Plan is what the owner wants.
type Plan struct {
	Release content.Release `json:"release"`
	// Rings are shares of the fleet; 0 is a single device.
	Rings []float64 `json:"rings"`
	// Soak is how long a ring has to stay well, in seconds.
	Soak int64 `json:"soak"`
	// Patience is how long a device may take to confirm, in seconds.
	Patience int64 `json:"patience"`
	// Failures is how many devices may go back, or not come back, before the
	// rollout halts; as a share of the devices that were given the release,
	// where that is more.
	Failures int     `json:"failures"`
	Share    float64 `json:"share"`
}

// DefaultPlan is what a plan says where its owner says nothing.
var DefaultPlan = Plan{Rings: []float64{0, 0.05, 0.25, 1}, Soak: 600, Patience: 3600, Failures: 0, Share: 0.02}

// Limits of plans.
const (
	maxRings = 16
	maxTime  = 30 * 24 * 3600
)

// ErrPlan is wrapped by errors about a plan that makes no sense.
var ErrPlan = errors.New("rollout: bad plan")

// Check tells what is wrong with a plan.
func (p Plan) Check() error {
	if _, err := content.ParseRelease(p.Release.Object()); err != nil {
		return fmt.Errorf("%w: %v", ErrPlan, err)
	}
	switch {
	case len(p.Rings) == 0 || len(p.Rings) > maxRings:
		return fmt.Errorf("%w: %d rings, 1 to %d are possible", ErrPlan, len(p.Rings), maxRings)
	case p.Rings[len(p.Rings)-1] != 1:
		return fmt.Errorf("%w: the last ring is not the whole fleet (1)", ErrPlan)
	case p.Soak < 0 || p.Soak > maxTime || p.Patience <= 0 || p.Patience > maxTime:
		return fmt.Errorf("%w: soak or patience is out of range", ErrPlan)
	case p.Failures < 0 || !(p.Share >= 0 && p.Share <= 1):
		return fmt.Errorf("%w: the limit of failures is out of range", ErrPlan)
	}
	for i, r := range p.Rings {
		if !(r >= 0 && r <= 1) || i > 0 && r <= p.Rings[i-1] {
			return fmt.Errorf("%w: rings are shares from 0 to 1 that grow", ErrPlan)
		}
	}
	return nil
}

// Step is one ring that was begun.
type Step struct {
	Number  int    `json:"number"` // from 1, each once
	Ring    int    `json:"ring"`
	Devices int    `json:"devices"` // that were meant by then
	At      int64  `json:"at"`      // in Unix seconds
	By      string `json:"by"`      // the service that drove
}

// Rollout is the document.
type Rollout struct {
	ID      string `json:"id"`
	Version int64  `json:"version"` // one more with each change
	Driver  string `json:"driver"`  // who made this version
	Plan
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // of Halted
	Ring   int    `json:"ring"`
	// Threshold is the hash of the last device that is meant.
	Threshold uint64 `json:"threshold,string"`
	Begun     int64  `json:"begun"`          // when the ring began, in Unix seconds
	Well      int64  `json:"well,omitempty"` // since when all of it is well
	Steps     []Step `json:"steps"`
	// Forgiven are failures that were there when the owner resumed.
	Forgiven int `json:"forgiven,omitempty"`
	// Orders are the numbers of the last orders that were heeded, by service.
	Orders map[string]int64 `json:"orders,omitempty"`
}

// Device is what a rollout has to know of one.
type Device struct {
	ID        string
	Online    bool
	Begun     bool   // it has taken note of this release
	Counter   int64  // of the release that it runs
	Confirmed bool   // that release has proved itself
	Failed    string // why it did not install this release, or went back
}

// Progress is how far a device has come.
type Progress string

// Ways that a device can be in.
const (
	Later   Progress = "later"   // its ring has not begun
	Absent  Progress = "absent"  // offline, and never heard of the release
	Waiting Progress = "waiting" // is to take note of it
	Trying  Progress = "trying"  // installs it, or runs it and has not confirmed
	Well    Progress = "well"    // has confirmed it, or a newer one
	Failed  Progress = "failed"  // went back, or refused
)

// Progress tells how far a device is.
func (r *Rollout) Progress(d Device) Progress {
	switch {
	case d.Counter >= r.Release.Counter && d.Confirmed:
		return Well
	case !r.Means(d.ID):
		return Later
	case d.Failed != "":
		return Failed
	case d.Begun || d.Counter >= r.Release.Counter:
		return Trying
	case !d.Online:
		return Absent
	}
	return Waiting
}

// Means tells whether a device is in a ring that has begun.
func (r *Rollout) Means(device string) bool {
	return len(r.Steps) > 0 && r.hash(device) <= r.Threshold
}

// Wants tells whether a device is to be given the release now. One that has it
// already keeps it: what a device has begun, it may end.
func (r *Rollout) Wants(device string) bool {
	return (r.State == Running || r.State == Done) && r.Means(device)
}

func (r *Rollout) hash(device string) uint64 {
	sum := sha256.Sum256([]byte(r.ID + "\x00" + device))
	return binary.BigEndian.Uint64(sum[:])
}

// New begins a rollout; its first ring begins with the next Tick.
func New(id, driver string, p Plan, last Rollout) (Rollout, error) {
	if err := p.Check(); err != nil {
		return last, err
	}
	if !last.State.Over() {
		return last, fmt.Errorf("rollout: that of %s is %s; resume or cancel it first", last.ID, last.State)
	}
	return Rollout{ID: id, Version: last.Version + 1, Driver: driver, Plan: p, State: Running, Ring: -1, Orders: last.Orders}, nil
}

// Tally is how many devices are how far.
type Tally map[Progress]int

// Count counts a fleet.
func (r *Rollout) Count(fleet []Device) Tally {
	t := Tally{}
	for _, d := range fleet {
		t[r.Progress(d)]++
	}
	return t
}

// limit is how many devices may fail of those that are meant.
func (r *Rollout) limit(meant int) int {
	return r.Forgiven + max(r.Failures, int(r.Share*float64(meant)))
}

// Tick looks at the fleet and does what is due. It tells whether there is a new
// version of the document, which is to be kept before anything else is done.
func (r *Rollout) Tick(now time.Time, driver string, fleet []Device) (changed bool) {
	if r.State != Running {
		return false
	}
	if r.Ring < 0 {
		return r.begin(now, driver, fleet)
	}
	t := r.Count(fleet)
	meant := t[Absent] + t[Waiting] + t[Trying] + t[Well] + t[Failed]
	late := 0
	if now.Unix() >= r.Begun+r.Patience {
		// Who has not confirmed by now has failed; who was never there has not.
		late = t[Trying] + t[Waiting]
	}
	switch failed := t[Failed] + late; {
	case failed > r.limit(meant):
		r.State, r.Well = Halted, 0
		r.Reason = fmt.Sprintf("%d of %d devices went back or did not confirm in time, %d are allowed", failed, meant, r.limit(meant))
	case t[Trying]+t[Waiting] > late || t[Well] == 0:
		if r.Well == 0 {
			return false
		}
		r.Well = 0
	case r.Well == 0:
		r.Well = now.Unix()
	case now.Unix() < r.Well+r.Soak:
		return false
	case r.Ring+1 < len(r.Rings):
		return r.begin(now, driver, fleet)
	default:
		r.State, r.Well, r.Threshold = Done, 0, math.MaxUint64
	}
	r.changed(driver)
	return true
}

// begin begins the next ring.
func (r *Rollout) begin(now time.Time, driver string, fleet []Device) bool {
	hashes := make([]uint64, 0, len(fleet))
	for _, d := range fleet {
		// A device that is away proves nothing, so it does not stand for a ring;
		// it gets the release when it is back and its ring has begun.
		if d.Online {
			hashes = append(hashes, r.hash(d.ID))
		}
	}
	if len(hashes) == 0 {
		return false
	}
	slices.SortFunc(hashes, cmp.Compare)
	share := r.Rings[r.Ring+1]
	n := min(max(1, int(math.Ceil(share*float64(len(hashes))))), len(hashes))
	r.Ring++
	threshold := hashes[n-1]
	if share == 1 {
		threshold = math.MaxUint64
	}
	r.Threshold = max(r.Threshold, threshold)
	r.Begun, r.Well = now.Unix(), 0
	r.Steps = append(slices.Clone(r.Steps), Step{Number: len(r.Steps) + 1, Ring: r.Ring, Devices: n, At: now.Unix(), By: driver})
	r.changed(driver)
	return true
}

func (r *Rollout) changed(driver string) {
	r.Version++
	r.Driver = driver
}

// termLength is how many versions a driver's last word is behind its successor's
// first.
const termLength = 1000

// TakeOver makes the version with which another driver begins. A version that
// the driver before had sent and that was held up on its way is older then, and
// so are all that it could still send: it sends one at a time.
func (r *Rollout) TakeOver(driver string) {
	r.Version += termLength
	r.Driver = driver
}
