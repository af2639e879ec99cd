package receiver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"aerie/drm"
	"aerie/receiver/discovery"
	"aerie/receiver/health"
)

// How long each part may owe progress before it counts as stuck. What they do
// takes milliseconds; a small machine that is busy takes hundreds of times that.
const (
	tickLimit    = 15 * time.Second // the loop that does what is due every second
	requestLimit = 30 * time.Second // the answer to one request of a sender
	pictureLimit = 15 * time.Second // the taking of a picture by the output
	decoderLimit = 15 * time.Second // the decoding of a picture
	displayLimit = 15 * time.Second // the appearance of a picture on a display that is plugged in
	askedLimit   = 45 * time.Second // what is asked every askEvery: control port, announcer

	askEvery = 10 * time.Second
	// foundWithin is how long the start-up waits to be announced. A stranger
	// that claims every name must not keep it from ending.
	foundWithin = 30 * time.Second
)

// vitals is what a receiver knows of its own health.
//
// A decoder that returns without a picture is not stuck: senders may send what
// holds none, and no stranger shall be able to have the receiver restarted. The
// kernel's decoder has a watchdog of its own, after which software takes over.
// For the same reason, and because a network may be away, not being announced
// is a Condition; what must not hang is the announcer.
type vitals struct {
	monitor   health.Monitor
	tick      health.Pulse
	control   health.Pulse
	announcer health.Pulse
	screen    awaited
}

// Healthy returns nil, or an error that names what is stuck. That no display or
// no network is there is a state of which Condition tells, and no failure.
func (r *Receiver) Healthy() error { return r.vitals.monitor.Err() }

// watchVitals begins to watch everything but what belongs to one session.
func (r *Receiver) watchVitals() {
	v := &r.vitals
	v.monitor.Watch("receiver", tickLimit, v.tick.Progress)
	if r.asksItself() {
		v.monitor.Watch("control port", askedLimit, v.control.Progress)
	}
	if kms, ok := r.video.(*kmsOutput); ok {
		v.monitor.Watch("display", displayLimit, func() health.Progress { return v.screen.progress(kms.display.Status()) })
	}
	r.server.Busy = func() func() { return v.monitor.Begin("session", requestLimit) }
}

// supervise checks the vitals until ctx ends, and tells systemd.
func (r *Receiver) supervise(ctx context.Context, systemd health.Systemd) {
	s := health.Supervisor{Monitor: &r.vitals.monitor, Now: r.now, Log: r.log, Systemd: systemd, Ready: r.up, Status: r.status}
	s.Run(ctx)
}

// Condition is what the machine around the receiver lets it do.
type Condition struct {
	Announced bool // senders elsewhere list the receiver, or nobody asked for that
	Network   bool // there is one
	Display   bool // one is plugged in, or none is needed
}

// Condition tells what there is now.
func (r *Receiver) Condition() Condition {
	c := Condition{Announced: r.announced.Load() || !r.cfg.Network.Discovery, Display: true}
	for _, a := range r.addresses() {
		c.Network = c.Network || !a.IsLoopback()
	}
	if m, ok := r.video.(modal); ok {
		_, _, _, c.Display = m.mode()
	}
	return c
}

// up tells that start-up is over: senders can find the receiver, or it waits
// for a network to be found on.
func (r *Receiver) up() bool {
	c := r.Condition()
	return c.Announced || !c.Network || r.now().Sub(r.began) > foundWithin
}

// status is the line about the receiver that "systemctl status" shows.
func (r *Receiver) status() string {
	c := r.Condition()
	switch s := r.current.Load(); {
	case s != nil:
		name := s.opening.Sender.Name
		if name == "" {
			name = s.opening.Sender.Addr.Addr().String()
		}
		return fmt.Sprintf("%q plays %s", r.Name(), name)
	case !c.Network:
		return fmt.Sprintf("%q waits for a network", r.Name())
	case !c.Announced:
		return fmt.Sprintf("%q is not announced on the network yet", r.Name())
	case !c.Display:
		return fmt.Sprintf("%q is ready at %s, without a display", r.Name(), r.mainAddress())
	}
	return fmt.Sprintf("%q is ready at %s", r.Name(), r.mainAddress())
}

// askAnnouncer asks the announcer, from time to time, whether it still runs. It
// ends with ctx, or with the announcer.
func (r *Receiver) askAnnouncer(ctx context.Context, a *discovery.Announcer) {
	defer r.vitals.monitor.Watch("announcer", askedLimit, r.vitals.announcer.Progress)()
	every(ctx, askEvery, func() {
		if a.Answers(ctx) {
			r.vitals.announcer.Beat()
		}
	})
}

// every calls f from time to time until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// asksItself tells whether the receiver can be its own sender. A transcript is
// of other senders; and the address of one interface may go away.
func (r *Receiver) asksItself() bool {
	addr := r.control.Addr().(*net.TCPAddr)
	return r.cfg.Log.Record == "" && (addr.IP.IsUnspecified() || addr.IP.IsLoopback())
}

// askItself is a sender that asks for nothing, from time to time, as long as it
// is answered.
func (r *Receiver) askItself(ctx context.Context) {
	if !r.asksItself() {
		return
	}
	every(ctx, askEvery, func() {
		err := r.ask(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil, errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
			// Without a loopback interface there is nobody to ask.
			r.vitals.control.Beat()
		default:
			r.log.Warn("the control port does not answer", "error", err)
		}
	})
}

// ask sends one request to the control port, over the network as senders do.
func (r *Receiver) ask(ctx context.Context) error {
	addr := *r.control.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 256).ReadString('\n')
	if err != nil {
		return err
	}
	// A refusal, of one who has no password, is an answer as well.
	if !strings.HasPrefix(line, "RTSP/1.0 ") {
		return fmt.Errorf("it answered %q", line)
	}
	return nil
}

// show gives a picture to the display, which must make it appear.
func (o *kmsOutput) show(p drm.Picture) error {
	o.r.vitals.screen.give(p.ID)
	err := o.display.Show(p)
	if err != nil {
		o.r.vitals.screen.drop(p.ID)
	}
	return err
}

// awaited is the picture that a display was given and has not shown yet.
type awaited struct {
	mu    sync.Mutex
	id    uint64 // 0: none
	shown uint64
}

// give notes a picture before the display gets it, and drop that it did not
// take it or has given it back.
func (a *awaited) give(id uint64) { a.set(id, 0) }
func (a *awaited) drop(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.id == id {
		a.id = 0
	}
}

// appeared notes a picture that is on the screen.
func (a *awaited) appeared(id uint64) {
	a.drop(id)
	a.set(0, 1)
}

func (a *awaited) set(id, shown uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id != 0 {
		a.id = id
	}
	a.shown += shown
}

// progress is the display's: a picture is owed while there is a screen for it,
// and for ever by hardware that is lost, for only opening it anew helps.
func (a *awaited) progress(st drm.Status) health.Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := st.Connected && !st.Blanked
	return health.Progress{Mark: a.shown, Owing: a.id != 0 && seen || st.Err != nil}
}
