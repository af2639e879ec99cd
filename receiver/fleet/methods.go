package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/twin"
	"aerie/receiver/fleet/wire"
)

const (
	// callTime is how long a call may take before it is answered that it took
	// too long.
	callTime = 30 * time.Second
	// callBurst calls may come at once, and one each callEvery then.
	callBurst = 20
	callEvery = 200 * time.Millisecond
	// maxJobs bounds what waits to be done.
	maxJobs = 8
	// maxRecalled bounds the calls whose answers are remembered. Those with
	// more than maxRecall bytes are not: such calls only fetch something, and
	// may do so again.
	maxRecalled = 64
	maxRecall   = 4 << 10
	// maxBundle bounds a diagnostics bundle, maxPart a piece of it: in base64
	// it has to fit into wire.MaxResult.
	maxBundle = 8 << 20
	maxPart   = 30 << 10
	// restartPause leaves the answer time to be sent.
	restartPause = time.Second
)

// errNoSuch says that there is no such method or setting here.
var errNoSuch = errors.New("this device has no such thing")

// action is what a call or setting does. It returns what is answered, which
// may be nil.
type action func(context.Context) (any, error)

// job is an action that is to be done, of a call or of a setting.
type job struct {
	call    wire.Call
	setting string // "" for a call
	version twin.Setting
	do      action
}

// result is what came of a job.
type result struct {
	job
	status  int // 0 while it is under way
	text    string
	payload []byte
}

// methods does jobs, one at a time, in their order.
type methods struct {
	jobs    chan job
	results chan result
	log     *slog.Logger

	recalled map[string]*result // by service and id
	order    []string           // of recalled, the oldest first
	tokens   float64
	filled   clock.Time

	// Of the goroutine that does the jobs.
	bundle struct {
		name, sum string
		file      []byte
	}
}

func newMethods(d Device, log *slog.Logger) *methods {
	return &methods{jobs: make(chan job, maxJobs), results: make(chan result, maxJobs), log: log,
		recalled: map[string]*result{}, tokens: callBurst}
}

// begin queues a job, if there is room.
func (m *methods) begin(j job) bool {
	select {
	case m.jobs <- j:
		return true
	default:
		return false
	}
}

// run does jobs until the context ends.
func (m *methods) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-m.jobs:
			m.do(ctx, j)
		}
	}
}

// do does one job. What takes too long is answered before it ends; the next
// waits for that all the same.
func (m *methods) do(ctx context.Context, j job) {
	timed, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- failed(j, 500, fmt.Sprint("fault: ", p))
			}
		}()
		value, err := j.do(timed)
		done <- outcome(j, value, err)
	}()
	select {
	case r := <-done:
		m.tell(ctx, r)
	case <-timed.Done():
		m.tell(ctx, failed(j, 504, "it takes too long"))
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
}

func (m *methods) tell(ctx context.Context, r result) {
	if r.status >= 400 {
		what := r.setting
		if what == "" {
			what = r.call.Name
		}
		m.log.Warn("fleet: failed", "what", what, "reason", r.text)
	}
	select {
	case m.results <- r:
	case <-ctx.Done():
	}
}

// outcome makes a result of what an action returned.
func outcome(j job, value any, err error) result {
	switch {
	case errors.Is(err, ErrUnwanted):
		return failed(j, 403, err.Error())
	case errors.Is(err, twin.ErrMalformed):
		return failed(j, 400, err.Error())
	case err != nil:
		return failed(j, 500, err.Error())
	}
	r := result{job: j, status: 200}
	if value == begun {
		r.status, value = 202, nil
	}
	if value == nil {
		return r
	}
	if r.payload, err = json.Marshal(value); err != nil || len(r.payload) > wire.MaxResult {
		return failed(j, 500, "the result cannot be sent")
	}
	return r
}

// begun is returned by an action that goes on by itself.
var begun any = new(int)

func failed(j job, status int, why string) result {
	const longest = 500
	why = why[:min(len(why), longest)]
	payload, _ := json.Marshal(content.Error{Error: why}) // it is a string
	return result{job: j, status: status, text: why, payload: payload}
}

func failure(c wire.Call, status int, why string) result { return failed(job{call: c}, status, why) }

// recall returns what a call was answered that was made before, nil while it
// is under way.
func (m *methods) recall(c wire.Call) (r *result, known bool) {
	r, known = m.recalled[c.Service+" "+c.ID]
	if known && r.status == 0 {
		return nil, true
	}
	return r, known
}

// remember notes what a call was answered, or that it is under way.
func (m *methods) remember(c wire.Call, r result) {
	id := c.Service + " " + c.ID
	if len(r.payload) > maxRecall {
		delete(m.recalled, id)
		m.order = slices.DeleteFunc(m.order, func(s string) bool { return s == id })
		return
	}
	if _, known := m.recalled[id]; !known {
		if len(m.order) >= maxRecalled {
			delete(m.recalled, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, id)
	}
	r.do = nil
	m.recalled[id] = &r
}

// allow tells whether another call may be made now.
func (m *methods) allow(now clock.Time) bool {
	if m.filled != 0 {
		m.tokens = min(callBurst, m.tokens+float64(now.Sub(m.filled))/float64(callEvery))
	}
	m.filled = now
	if m.tokens < 1 {
		return false
	}
	m.tokens--
	return true
}

// method returns what a call does. It fails with errNoSuch, or because of the
// argument.
func (c *core) method(call wire.Call) (action, error) {
	d := &c.device
	argument := func(to any) error {
		if len(call.Payload) == 0 {
			return fmt.Errorf("%w: no argument", twin.ErrMalformed)
		}
		if _, err := twin.Parse(call.Payload); err != nil {
			return err
		}
		if err := json.Unmarshal(call.Payload, to); err != nil {
			return fmt.Errorf("%w: %v", twin.ErrMalformed, err)
		}
		return nil
	}
	plain := func(f func(context.Context) error) (action, error) {
		if f == nil {
			return nil, errNoSuch
		}
		return func(ctx context.Context) (any, error) { return nil, f(ctx) }, nil
	}
	switch call.Name {
	case content.MethodIdentify:
		return plain(d.Identify)
	case content.MethodForgetSenders:
		return plain(d.ForgetSenders)
	case content.MethodRestart:
		if d.Restart == nil {
			return nil, errNoSuch
		}
		return func(context.Context) (any, error) {
			time.AfterFunc(restartPause, d.Restart)
			return nil, nil
		}, nil
	case content.MethodSetName:
		var n content.Name
		if err := argument(&n); err != nil {
			return nil, err
		}
		return c.action(content.SettingName, n.Name)
	case content.MethodDiagnostics:
		var p content.Part
		if err := argument(&p); err != nil {
			return nil, err
		}
		if d.Diagnostics == nil {
			return nil, errNoSuch
		}
		return func(ctx context.Context) (any, error) { return c.methods.part(ctx, d, p.Offset) }, nil
	}
	return nil, errNoSuch
}

// part returns a piece of the diagnostics bundle.
func (m *methods) part(ctx context.Context, d *Device, offset int) (any, error) {
	b := &m.bundle
	if offset == 0 {
		name, file, err := d.Diagnostics(ctx)
		if err != nil {
			return nil, err
		}
		if len(file) > maxBundle {
			return nil, fmt.Errorf("the bundle has %d bytes, limit %d", len(file), maxBundle)
		}
		sum := sha256.Sum256(file)
		b.name, b.file, b.sum = name, file, hex.EncodeToString(sum[:])
	}
	if offset < 0 || offset > len(b.file) {
		return nil, fmt.Errorf("%w: offset %d of %d", twin.ErrMalformed, offset, len(b.file))
	}
	data := b.file[offset:min(offset+maxPart, len(b.file))]
	out := content.Bundle{Name: b.name, Size: len(b.file), SHA256: b.sum, Offset: offset, Data: data}
	if offset+len(data) == len(b.file) {
		b.file = nil // all of it was fetched
	}
	return out, nil
}

// action returns what a setting does; nil is nothing.
func (c *core) action(name string, value any) (action, error) {
	d := &c.device
	switch {
	case name == content.SettingName && d.SetName != nil:
		if value == nil {
			return nil, nil
		}
		n, err := content.ParseName(value)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (any, error) { return nil, d.SetName(ctx, n) }, nil
	case name == content.SettingRelease && d.Update != nil:
		if value == nil {
			return nil, nil
		}
		r, err := content.ParseRelease(value)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (any, error) {
			done, err := d.Update(ctx, r)
			if err == nil && !done {
				return begun, nil
			}
			return nil, err
		}, nil
	}
	return nil, errNoSuch
}
