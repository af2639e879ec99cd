package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/hw/cec"
	"aerie/receiver/clock"
	"aerie/receiver/metric"
	"aerie/receiver/remote"
	"aerie/receiver/status"
	"aerie/receiver/tv"
)

// television is the set that the display is, as far as it can be spoken to. That
// it cannot is no error: a monitor, a cable without the wire, and a machine
// without an adapter are all common.
type television struct {
	r        *Receiver
	device   string // of the adapter; "" for that of the display
	commands chan remote.Command
	follow   *updates // switches the picture on the cable off and on
	replug   *updates // looks at the display that is plugged in now
	wake     chan struct{}

	mu      sync.Mutex // also makes one goroutine at a time of those that use tv
	tv      *tv.TV
	adapter *cec.Adapter // nil for none
	session *streams     // that wants to be seen or heard
	on      bool         // the picture is to be on the cable
	leave   func()       // ends what serves the adapter
	why     string       // there is no adapter
}

// televisionRetry is how often an adapter is looked for that is not there: a
// display may be plugged in that has one, or it was in use.
const televisionRetry = 5 * time.Second

// openTelevision prepares to speak to the television; nil if that is not to be.
func (r *Receiver) openTelevision() *television {
	c := &r.cfg.TV
	if c.Control == "off" {
		return nil
	}
	v := &television{r: r, commands: make(chan remote.Command, 8), wake: make(chan struct{}, 1), on: true, why: errNoDisplay.Error()}
	if c.Control != "auto" {
		v.device = c.Control
	}
	v.tv = tv.New(v, time.Duration(c.StandbyAfter)*time.Second)
	v.follow = newUpdates(v.switchPicture)
	v.replug = newUpdates(v.plugged)
	r.defer_(v.follow.stop)
	r.defer_(v.replug.stop)
	return v
}

// run speaks to the television until ctx ends, if the receiver is plugged into
// one.
func (v *television) run(ctx context.Context, wg *sync.WaitGroup) {
	if v == nil {
		return
	}
	if _, shows := v.r.video.(*kmsOutput); !shows && v.device == "" {
		return
	}
	wg.Go(func() { v.keepTime(ctx) })
	wg.Go(func() { v.obey(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			v.lost(v.serve(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(televisionRetry):
			}
		}
	})
}

// serve opens the adapter and serves it until it is gone.
func (v *television) serve(ctx context.Context) error {
	path, err := v.find()
	if err != nil {
		return err
	}
	a, err := cec.Open(path, cec.Options{Name: v.r.Name(), Received: v.received, Changed: v.stands, Sent: v.sent})
	if err != nil {
		return err
	}
	defer a.Close()
	v.r.log.Info("television", "adapter", a.Device())
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	v.mu.Lock()
	v.adapter, v.leave, v.why = a, leave, ""
	v.mu.Unlock()
	v.replug.ask()
	return a.Run(ctx)
}

// find returns the device node of the adapter.
func (v *television) find() (string, error) {
	if v.device != "" {
		return v.device, nil
	}
	card, connector, err := v.socket()
	if err != nil {
		return "", err
	}
	d, err := cec.Find(card, connector)
	return d.Path, err
}

var (
	errNoDisplay = errors.New("the picture goes to no display")
	errNoSocket  = errors.New("no display is plugged in")
)

// socket is that of the display: the number of the card, the id of the connector.
func (v *television) socket() (card, connector uint32, err error) {
	kms, ok := v.r.video.(*kmsOutput)
	if !ok {
		return 0, 0, errNoDisplay
	}
	st := kms.display.Status()
	if _, err := fmt.Sscanf(st.Card, "/dev/dri/card%d", &card); err != nil || st.ID == 0 {
		return 0, 0, errNoSocket
	}
	return card, st.ID, nil
}

// changed is told that another display may be plugged in.
func (v *television) changed() {
	if v != nil {
		v.replug.ask()
	}
}

// plugged leaves an adapter that is not that of the display any more, and tells
// the right one what the display says of its socket.
func (v *television) plugged() {
	v.mu.Lock()
	a, leave := v.adapter, v.leave
	v.mu.Unlock()
	if a == nil {
		return
	}
	if path, err := v.find(); err == nil && path != a.Device().Path {
		leave()
	} else if kms, ok := v.r.video.(*kmsOutput); ok {
		a.SetPhysical(kms.display.Status().EDID.Physical)
	}
}

// lost takes note that there is no adapter, and says so once.
func (v *television) lost(err error) {
	v.do(func(now clock.Time) {
		v.adapter = nil
		v.tv.Plugged(now, tv.Bus{})
		if err != nil && err.Error() != v.why {
			v.why = err.Error()
			v.r.log.Info("the television cannot be spoken to", "because", err)
		}
	})
}

// do uses the behaviour, and has its next deadline looked at.
func (v *television) do(f func(now clock.Time)) {
	v.mu.Lock()
	f(v.r.now())
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// keepTime does what is due.
func (v *television) keepTime(ctx context.Context) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.wake:
		case <-t.C:
			v.mu.Lock()
			v.tv.Tick(v.r.now())
			v.mu.Unlock()
		}
		v.mu.Lock()
		at, ok := v.tv.Due()
		v.mu.Unlock()
		wait := time.Hour
		if ok {
			wait = max(at.Sub(v.r.now()), time.Millisecond)
		}
		t.Reset(wait)
	}
}

// obey gives the sender its commands, one after another.
func (v *television) obey(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-v.commands:
			_ = v.r.Do(ctx, c) // it logs, and nobody waits for an answer
		}
	}
}

func (v *television) received(f cec.Frame) {
	v.r.log.Debug("television", "says", f)
	v.do(func(now clock.Time) { v.tv.Receive(now, f.From, f.To, f.Data) })
}

func (v *television) stands(s cec.State) {
	v.r.log.Info("television", "socket", s)
	v.do(func(now clock.Time) { v.tv.Plugged(now, tv.Bus{Physical: s.Physical, Ready: s.Ready()}) })
}

func (v *television) sent(f cec.Frame, err error) {
	v.r.log.Debug("television", "told", f, "error", err)
}

// Send, Command and Show make a television a tv.Owner; v.mu is held.

// Send has a message sent.
func (v *television) Send(to int, data ...byte) {
	if v.adapter == nil {
		return
	}
	if err := v.adapter.Send(to, data...); err != nil {
		v.r.log.Debug("television", "not told", fmt.Sprintf("%d % x", to, data), "error", err)
	}
}

// Command passes a command on; when too many wait, it is left out.
func (v *television) Command(c remote.Command) {
	select {
	case v.commands <- c:
	default:
	}
}

// Show switches the picture on the cable.
func (v *television) Show(on bool) {
	v.on = on
	v.follow.ask()
}

// switchPicture does that, which takes as long as the display does. The sound of
// HDMI goes with the picture, and is opened anew when that is back.
func (v *television) switchPicture() {
	kms, ok := v.r.video.(*kmsOutput)
	if !ok {
		return
	}
	v.mu.Lock()
	on := v.on
	v.mu.Unlock()
	v.r.log.Info("television", "picture on the cable", on)
	if !on {
		v.r.gate.turn(true)
	}
	if err := kms.display.Blank(!on); err != nil && !errors.Is(err, drm.ErrClosed) {
		v.r.log.Warn("the display cannot be switched", "on", on, "error", err)
	}
	if on && kms.display.Status().Connected {
		v.r.gate.turn(false)
	}
}

// begin tells that a session has a picture, or sound.
func (v *television) begin(s *streams) {
	if v == nil {
		return
	}
	v.do(func(now clock.Time) {
		if v.session != s {
			v.session = s
			v.tv.Begin(now)
		}
	})
}

// end tells that a session is over.
func (v *television) end(s *streams) {
	if v == nil {
		return
	}
	v.do(func(now clock.Time) {
		if v.session == s {
			v.session = nil
			v.tv.End(now)
		}
	})
}

// beginSound is begin for a session that is heard alone: the television matters
// only where it is what plays.
func (v *television) beginSound(s *streams) {
	if v == nil {
		return
	}
	out, ok := v.r.audio.(*alsaSound)
	if !ok {
		return
	}
	if d, err := alsa.Find(out.device); err == nil && d.Kind == alsa.HDMI {
		v.begin(s)
	}
}

// describe tells the page about the television.
func (v *television) describe() *status.TV {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.adapter == nil {
		return &status.TV{Reason: v.why}
	}
	st, at := v.tv.State(), v.adapter.State()
	return &status.TV{Adapter: v.adapter.Device().String(), Socket: at.String(), Power: st.Power.String(), Shown: st.Shown, Woken: st.Woken}
}

// register names the metrics for Prometheus.
func (v *television) register(set *metric.Set) {
	c := &v.tv.Counts
	set.Counter("aerie_tv_messages_total", "Messages from the television and what is plugged into it.", &c.Messages)
	set.Counter("aerie_tv_messages_ignored_total", "Messages that were malformed, or nothing to the receiver.", &c.Ignored)
	set.Counter("aerie_tv_limited_total", "Answers and commands left out because there were too many.", &c.Limited)
	set.Counter("aerie_tv_commands_total", "Commands of the remote that were given to the sender.", &c.Commands)
	set.Counter("aerie_tv_wakes_total", "Times that the television was told to wake up.", &c.Wakes)
	set.Counter("aerie_tv_standbys_total", "Times that the television was told to go to sleep.", &c.Standbys)
	set.GaugeFunc("aerie_tv_messages_lost", "Messages that came faster than they were read, since the adapter was opened.", func() float64 {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.adapter == nil {
			return 0
		}
		return float64(v.adapter.Counts().Lost)
	})
}
