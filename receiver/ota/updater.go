package ota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"
)

// Mode is what a device does about updates by itself.
type Mode string

// The modes.
const (
	Off    Mode = "off"    // nothing
	Notify Mode = "notify" // it says that there is one
	Auto   Mode = "auto"   // it installs it
)

// When things are done. What a person asked for waits for little more than
// the end of what is playing.
const (
	beat = 2 * time.Second

	settledAfter  = time.Minute // healthy, and the starts of a proven version are forgotten
	incomplete    = 6           // times as long, a version has to be healthy without a network or a display
	idleByHand    = 3 * time.Second
	idleInWindow  = time.Minute
	idleAnyTime   = 30 * time.Minute
	firstCheckMin = time.Minute
	firstCheckMax = 10 * time.Minute
	checkEvery    = 6 * time.Hour
	retryFirst    = 15 * time.Minute
	findLimit     = 2 * time.Minute
	testLimit     = 3 * time.Minute
)

// Offer is a release that a source has.
type Offer struct {
	Release Release
	// Fetch is that of an Update, which also tells how much there is.
	Fetch func(ctx context.Context, to Partial, have int64, progress func(have, size int64)) error
}

// Find asks a source for its newest release, and verifies its signature.
type Find func(ctx context.Context) (Offer, error)

// UpdaterOptions is what an Updater is made of.
type UpdaterOptions struct {
	Store   *Store
	Running Slot // that this program was started from
	Mode    Mode
	Confirm time.Duration // for so long a new version must be healthy
	Window  Window        // in which a device that is idle installs without waiting longer
	Find    Find          // nil: there is nowhere to look
	Test    func(ctx context.Context, path string) error

	Healthy  func() error // nil unless something is stuck
	Complete func() bool  // there are a network and a display, and both are in use
	Playing  func() bool  // a session that must not be interrupted

	Restart func()       // ends this program for the launcher; called once
	Changed func(Status) // nil for nobody
	Log     *slog.Logger
}

// Updater looks for updates, installs them when nobody is disturbed, and
// confirms the version that it is a part of.
type Updater struct {
	o     UpdaterOptions
	began target // of the link when this program was started

	mu     sync.Mutex
	status Status // as it was told last
	notes  notes
	order  *order             // that waits for its time
	cancel context.CancelFunc // ends what is under way; nil for nothing
	wake   chan struct{}
	done   chan func() // what is left to do when something has ended

	// Of the goroutine that runs.
	healthySince, completeSince, idleSince time.Time
	settled, restarting, troubled          bool
	nextCheck, nextInstall                 time.Time
	failures                               int
}

// notes are the parts of the status that the store does not know.
type notes struct{ available, doing, problem string }

// order is something to install. What is installed is looked up when the time
// has come.
type order struct {
	find   Find
	byHand bool
}

// NewUpdater makes an updater. It begins with Run.
func NewUpdater(o UpdaterOptions) *Updater {
	u := &Updater{o: o, began: o.Store.target(), wake: make(chan struct{}, 1), done: make(chan func(), 1)}
	u.refresh()
	return u
}

// Status describes the program of the device. It costs nothing.
func (u *Updater) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// Order has a release installed in any mode. One that a person asked for does
// not wait for longer than something plays, and is tried even if it was bad
// before; one that a fleet asked for waits like those that are found. What
// becomes of it is in the status. An order replaces one that waits.
func (u *Updater) Order(find Find, byHand bool) {
	u.mu.Lock()
	u.order = &order{find: find, byHand: byHand}
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Run does what is due until ctx ends.
func (u *Updater) Run(ctx context.Context) {
	now := time.Now()
	u.idleSince = now
	u.nextCheck = now.Add(firstCheckMin + rand.N(firstCheckMax-firstCheckMin))
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	var work sync.WaitGroup
	defer work.Wait()
	for {
		u.observe(time.Now())
		u.act(ctx, &work, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-u.wake:
		case then := <-u.done:
			u.ended(then)
		}
	}
}

// Leave notes how the program ended: where it was told to, and healthy until
// then, this start does not count against it.
func (u *Updater) Leave(ended error) {
	var err error
	switch {
	case ended != nil:
		err = u.o.Store.Trouble(u.o.Running, ended.Error())
	case u.o.Healthy() == nil:
		err = u.o.Store.Forgive(u.o.Running)
	}
	if err != nil {
		u.o.Log.Warn("ota: how this program ended is not noted", "error", err)
	}
}

// since keeps a time from when on something was true; zero while it is not.
func since(t *time.Time, now time.Time, is bool) {
	switch {
	case !is:
		*t = time.Time{}
	case t.IsZero():
		*t = now
	}
}

// lasted tells whether something was true for so long.
func lasted(t, now time.Time, d time.Duration) bool { return !t.IsZero() && now.Sub(t) >= d }

// observe looks at the device, and confirms the version where it is due.
func (u *Updater) observe(now time.Time) {
	err := u.o.Healthy()
	healthy := err == nil
	if !healthy && !u.troubled {
		// It may be the last that is heard of this start.
		if err := u.o.Store.Trouble(u.o.Running, err.Error()); err != nil {
			u.o.Log.Warn("ota: what is wrong is not noted", "error", err)
		}
	}
	u.troubled = !healthy
	since(&u.healthySince, now, healthy)
	since(&u.completeSince, now, healthy && u.o.Complete())
	playing := u.o.Playing()
	since(&u.idleSince, now, !playing)
	if playing {
		u.interrupt()
	}
	if u.settled {
		return
	}
	due := lasted(u.completeSince, now, u.o.Confirm) || lasted(u.healthySince, now, incomplete*max(u.o.Confirm, settledAfter))
	if u.o.Store.Proven(u.o.Running) {
		due = lasted(u.healthySince, now, settledAfter)
	}
	if !due {
		return
	}
	u.settled = true
	if err := u.o.Store.Confirm(u.o.Running); err != nil {
		u.o.Log.Error("ota: that this version works could not be noted", "error", err)
		u.settled, u.healthySince, u.completeSince = false, now, now // again after the same time
	}
	u.refresh()
}

// interrupt ends a download or a test when somebody wants to play. What was
// fetched stays.
func (u *Updater) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cancel != nil {
		u.cancel()
	}
}

// act begins what is due: the restart into a version that is installed, an
// installation, a check.
func (u *Updater) act(ctx context.Context, work *sync.WaitGroup, now time.Time) {
	changed := u.o.Store.target() != u.began
	if changed && !u.restarting {
		u.refresh()
		if lasted(u.idleSince, now, idleByHand) {
			u.restarting = true
			u.note(func(n *notes) { n.doing = "restarting" })
			u.o.Log.Info("ota: restarting", "into", u.Status().Pending)
			u.o.Restart()
		}
	}
	u.mu.Lock()
	busy, o := u.cancel != nil, u.order
	u.mu.Unlock()
	switch {
	case busy || u.restarting || changed:
	case o != nil && u.quiet(now, o.byHand):
		u.begin(ctx, work, func(ctx context.Context) func() { return u.install(ctx, o) })
	case o == nil && u.o.Mode != Off && u.o.Find != nil && !now.Before(u.nextCheck):
		u.nextCheck = now.Add(checkEvery - checkEvery/4 + rand.N(checkEvery/2))
		u.begin(ctx, work, u.check)
	}
}

// quiet tells whether nobody is disturbed by an installation.
func (u *Updater) quiet(now time.Time, byHand bool) bool {
	switch {
	case now.Before(u.nextInstall) && !byHand:
		return false
	case byHand:
		return lasted(u.idleSince, now, idleByHand)
	case u.o.Window.Contains(now):
		return lasted(u.idleSince, now, idleInWindow)
	}
	return lasted(u.idleSince, now, idleAnyTime)
}

// begin runs something beside the loop, one at a time. What that returns is
// done in the loop.
func (u *Updater) begin(ctx context.Context, work *sync.WaitGroup, do func(context.Context) func()) {
	ctx, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	u.cancel = cancel
	u.mu.Unlock()
	work.Go(func() {
		then := do(ctx)
		cancel()
		u.done <- then
	})
}

func (u *Updater) ended(then func()) {
	u.mu.Lock()
	u.cancel = nil
	u.mu.Unlock()
	then()
	u.note(func(n *notes) { n.doing = "" })
}

// note changes what the status says beside the store.
func (u *Updater) note(change func(*notes)) {
	u.mu.Lock()
	change(&u.notes)
	u.mu.Unlock()
	u.refresh()
}

// refresh makes the status anew, and tells if it is another.
func (u *Updater) refresh() {
	st := u.o.Store.Status(u.o.Running)
	u.mu.Lock()
	st.Available, st.Doing = u.notes.available, u.notes.doing
	if u.notes.problem != "" {
		st.Problem = u.notes.problem
	}
	other := !reflect.DeepEqual(st, u.status)
	u.status = st
	u.mu.Unlock()
	if other && u.o.Changed != nil {
		u.o.Changed(st)
	}
}

// check looks for an update.
func (u *Updater) check(ctx context.Context) (then func()) {
	u.note(func(n *notes) { n.doing = "looking for an update" })
	offer, err := find(ctx, u.o.Find)
	if err == nil {
		err = u.o.Store.Acceptable(offer.Release, false)
	}
	version := offer.Release.Version
	switch {
	case ctx.Err() != nil:
		return func() { u.retry() } // somebody plays
	case errors.Is(err, ErrInstalled), errors.Is(err, ErrOld), errors.Is(err, ErrTrying):
		return func() { u.worked("") }
	case errors.Is(err, ErrBad):
		return func() { u.worked(""); u.note(func(n *notes) { n.problem = short(err.Error()) }) }
	case err != nil:
		return func() { u.failed(fmt.Errorf("looking for an update: %w", err)) }
	}
	return func() {
		if u.Status().Available != version {
			u.o.Log.Info("ota: there is an update", "version", version)
		}
		u.worked(version)
		if u.o.Mode == Auto {
			u.mu.Lock()
			u.order = &order{find: u.o.Find}
			u.mu.Unlock()
		}
	}
}

// worked notes a success.
func (u *Updater) worked(available string) {
	u.failures = 0
	u.note(func(n *notes) { n.available, n.problem = available, "" })
}

// failed notes a failure.
func (u *Updater) failed(err error) {
	u.o.Log.Warn("ota: no update", "error", err)
	u.note(func(n *notes) { n.problem = short(err.Error()) })
	u.failures = min(u.failures+1, 6)
	u.retry()
}

// retry sets the time of the next attempt: the later, the more failed.
func (u *Updater) retry() {
	wait := min(retryFirst<<max(u.failures-1, 0), checkEvery)
	u.nextCheck = time.Now().Add(wait/2 + rand.N(wait))
	u.nextInstall = u.nextCheck
}

func find(ctx context.Context, f Find) (Offer, error) {
	ctx, cancel := context.WithTimeout(ctx, findLimit)
	defer cancel()
	return f(ctx)
}

// install carries an order out.
func (u *Updater) install(ctx context.Context, o *order) (then func()) {
	err := u.tryInstall(ctx, o)
	if err != nil && ctx.Err() != nil {
		return func() {} // somebody plays: the order stays
	}
	return func() {
		u.mu.Lock()
		if u.order == o {
			u.order = nil
		}
		u.mu.Unlock()
		if err == nil || errors.Is(err, ErrInstalled) {
			u.worked("")
			return
		}
		u.failed(err)
	}
}

func (u *Updater) tryInstall(ctx context.Context, o *order) error {
	offer, err := find(ctx, o.find)
	if err != nil {
		return err
	}
	percent := int64(-1)
	return u.o.Store.Install(ctx, Update{
		Release: offer.Release, ByHand: o.byHand,
		Fetch: func(ctx context.Context, to Partial, have int64) error {
			return offer.Fetch(ctx, to, have, func(have, size int64) {
				const step = 5
				if now := have * 100 / max(size, 1) / step * step; now != percent {
					percent = now
					u.note(func(n *notes) { n.doing = fmt.Sprintf("%s %d %%", Fetching, percent) })
				}
			})
		},
		Test: func(ctx context.Context, path string) error {
			ctx, cancel := context.WithTimeout(ctx, testLimit)
			defer cancel()
			return u.o.Test(ctx, path)
		},
		Step: func(s Step) { u.note(func(n *notes) { n.doing = string(s) }) },
	})
}
