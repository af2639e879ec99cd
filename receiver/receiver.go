// Package receiver joins protocol, media and hardware into one running
// appliance.
//
// It is the only place where the parts meet: the session asks it for streams,
// it opens sockets, clocks, decoders and outputs for them, and gives everything
// back when the session ends. Each output of picture or sound is a small
// adapter in a file of its own; which one is used is decided once, at the
// start, and said with the reason.
//
// Proof: the tests of cmd/aerie run the whole receiver against the software
// sender, over loopback and in the lab's virtual machine; the tests here cover
// what can be seen of each adapter alone.
package receiver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"aerie/drm"
	"aerie/hw/board"
	"aerie/receiver/clock"
	"aerie/receiver/clock/ptp"
	"aerie/receiver/config"
	"aerie/receiver/diagnostics"
	"aerie/receiver/fleet"
	"aerie/receiver/health"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/playout"
	"aerie/receiver/rtsp"
	"aerie/receiver/session"
)

// Options is what a Receiver is made of.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	// Measure decodes what is passed through as well, to read the stamps of
	// the test pattern.
	Measure bool
	// Hardware is the decoder to use instead of the machine's own, and
	// Display is told of the display that was opened; both are for tests.
	Hardware *Hardware
	Display  func(*drm.Display)
	// Kept is the end of the log, for diagnostics; nil for none.
	Kept *diagnostics.Log
	// Systemd is the service manager to inform; the zero value is none.
	Systemd health.Systemd
	// Appliance is there if the owner sets the receiver up without a terminal.
	Appliance *Appliance
}

// Receiver is one AirPlay receiver.
type Receiver struct {
	cfg     *config.Config
	log     *slog.Logger
	version string
	now     func() clock.Time
	began   clock.Time

	identity  identity
	machine   machine
	authority *pairing.Authority
	password  *pairing.Password // nil for none
	server    *session.Server
	serving   atomic.Pointer[session.Server] // the same, for those who may be earlier
	ptp       *ptp.Ports                     // nil for none
	video     videoOutput
	audio     audioOutput
	page      *pageOutput // the video output, if that is the pages
	gate      soundGate
	hardware  *Hardware   // nil: what the machine has
	tv        *television // nil for none
	panel     panel
	meters    meters
	pin       pinBoard
	playing   playing

	volumeMu sync.Mutex
	volumeDB float64
	volume   playout.Volume
	curve    playout.Curve

	control    net.Listener
	web        *web
	publishing *publishing             // nil for nobody
	current    atomic.Pointer[streams] // the session on the stage
	warnings   warnings
	owner      *owner // nil: not of an appliance
	poster     poster
	consulted  consulted
	kept       *diagnostics.Log
	served     atomic.Pointer[web] // web, for those who may be earlier
	closers    []func()

	announceMu sync.Mutex
	announce   func() // tells the network that something changed; nil for nobody
	announced  atomic.Bool

	life  context.Context // ends when Restart is called
	leave context.CancelFunc

	resetMu sync.Mutex
	resets  []func() error // of parts that keep something elsewhere

	vitals  vitals
	systemd health.Systemd

	fleetCode atomic.Pointer[string]      // to be let into the fleet with; nil or "" for none
	agent     atomic.Pointer[fleet.Agent] // of its fleet; nil for none
	fleetText atomic.Pointer[string]      // for people; nil or "" for nothing
	renamed   chan struct{}
}

// New opens what the receiver needs before it can be found: its identity, its
// outputs and its ports. An error tells what is missing, with the way out.
func New(o Options) (*Receiver, error) {
	r := &Receiver{cfg: o.Config, log: o.Log, version: o.Version, now: clock.Now, began: clock.Now(), hardware: o.Hardware, systemd: o.Systemd, kept: o.Kept, renamed: make(chan struct{}, 1)}
	r.life, r.leave = context.WithCancel(context.Background())
	r.defer_(r.leave)
	r.machine.board = board.Read("/")
	if err := r.open(o); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// open opens everything; what is opened when it fails is to be closed.
func (r *Receiver) open(o Options) (err error) {
	r.volumeDB = float64(o.Config.Audio.Initial)
	if r.curve, err = playout.ParseCurve(o.Config.Audio.Curve); err != nil {
		return err
	}
	r.volume.Set(r.curve.Gain(r.volumeDB))
	if r.identity, err = openIdentity(o.Config, o.Log); err != nil {
		return err
	}
	r.defer_(func() { r.identity.flush() })
	if err = r.openAuthority(); err != nil {
		return err
	}
	r.openPTP()
	// Before the outputs, which tell of changes from goroutines of their own.
	r.publishing, r.tv = r.openPublishing(), r.openTelevision()
	r.playing.changed, r.pin.changed, r.poster.changed = r.nowPlaying, r.redrawIdle, r.redrawIdle
	if err = r.openOutputs(o.Measure); err != nil {
		return err
	}
	l := r.limits()
	r.log.Info("machine", "board", r.machine.board, "width", l.Width, "height", l.Height, "fps", l.FPS, "threads", l.Threads, "because", l.Reason)
	if kms, ok := r.video.(*kmsOutput); ok && o.Display != nil {
		o.Display(kms.display)
	}
	if r.control, err = r.listen(); err != nil {
		return err
	}
	r.defer_(func() { r.control.Close() })
	r.owner = r.openOwner(o.Appliance)
	if r.web, err = openWeb(r); err != nil {
		return err
	}
	r.served.Store(r.web)
	r.defer_(r.web.close)
	if err = r.openServer(); err != nil {
		return err
	}
	r.register()
	r.watchVitals()
	return nil
}

// defer_ notes what is to be undone, in the reverse order, at the end.
func (r *Receiver) defer_(f func()) { r.closers = append(r.closers, f) }

func (r *Receiver) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
	r.closers = nil
}

// listen opens the control port: on all addresses, of both protocols, or on
// those of one interface.
func (r *Receiver) listen() (net.Listener, error) {
	host := ""
	if name := r.cfg.Network.Interface; name != "" {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("network interface %q: %w", name, err)
		}
		addr, err := interfaceAddr(name)
		if err != nil {
			return nil, err
		}
		host = addr
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(r.cfg.Network.Port)))
	if err != nil {
		return nil, fmt.Errorf("port %d cannot be opened (another receiver? choose one with --port, 0 is any free one): %w", r.cfg.Network.Port, err)
	}
	return ln, nil
}

// openServer makes the session server.
func (r *Receiver) openServer() error {
	recorder, err := r.openRecorder()
	if err != nil {
		return err
	}
	r.server = &session.Server{
		Capabilities: r.capabilities, Authority: r.authority, Media: (*media)(r), Takeover: r.cfg.Access.Takeover,
		Now: r.now, Log: r.log, Limits: rtsp.DefaultLimits, Timeouts: rtsp.DefaultTimeouts,
		Changed: r.somethingChanged,
	}
	if base := r.cfg.Network.MediaPorts; base != 0 {
		r.server.EventPort = uint16(base + 2)
	}
	if recorder != nil {
		r.server.Recorder = recorder
	}
	if r.password != nil {
		r.server.Password = r.password.Digest
	}
	r.serving.Store(r.server)
	return nil
}

// Port is the TCP port of the receiver.
func (r *Receiver) Port() int { return r.control.Addr().(*net.TCPAddr).Port }

// Name is the name under which it is announced, unless that is taken.
func (r *Receiver) Name() string { return r.identity.name.Load().(string) }

// Handler serves the status page.
func (r *Receiver) Handler() http.Handler { return r.web.handler }

// Run serves senders until ctx ends, and gives everything back.
func (r *Receiver) Run(ctx context.Context) error {
	defer r.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.life, func() { cancel(nil) })()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.web.serve(ctx) })
	wg.Go(func() { r.tick(ctx) })
	if r.owner != nil {
		wg.Go(func() { r.owner.run(ctx) })
	}
	wg.Go(func() { r.supervise(ctx, r.systemd) })
	wg.Go(func() { r.askItself(ctx) })
	r.publishing.run(ctx, &wg)
	r.tv.run(ctx, &wg)
	r.panel.run(ctx, r, &wg)
	wg.Go(func() { r.watchMachine(ctx) })
	if r.ptp != nil {
		wg.Go(func() { r.ptp.Run(ctx) })
	}
	stop := r.startDiscovery(ctx)
	wg.Go(func() { r.stayAnnounced(ctx, stop) })
	err := r.server.Serve(ctx, r.control)
	cancel(err)
	return err
}

// tick does what is due every second.
func (r *Receiver) tick(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		r.authority.Tick()
		r.meters.second(r.current.Load())
		r.vitals.tick.Beat()
	}
}

// capabilities describes the receiver as it is now.
func (r *Receiver) capabilities() *message.Capabilities {
	c := r.identity.capabilities(r.cfg, r.limits(), r.ptp != nil)
	if r.ptp != nil {
		c.ClockID = r.ptp.Follower.Identity()
	}
	if m, ok := r.video.(modal); ok {
		if width, height, fps, plugged := m.mode(); plugged {
			c.Display = c.Display.Within(width, height, fps)
		}
	}
	c.Firmware, c.Volume, c.Latency = r.version, r.Volume(), int(soundLatency/time.Microsecond)
	if s := r.current.Load(); s != nil {
		c.Status |= message.StatusSessionActive
		c.Group = s.opening.Group
	}
	return c
}

// loudspeaker tells that senders are offered sound alone.
func (r *Receiver) loudspeaker() bool { return message.Identity(r.cfg.Identity) == message.AirPlay2 }

// Volume is the receiver's volume in dB.
func (r *Receiver) Volume() float64 {
	r.volumeMu.Lock()
	defer r.volumeMu.Unlock()
	return r.volumeDB
}

// SetVolume sets it.
func (r *Receiver) SetVolume(db float64) {
	r.volumeMu.Lock()
	defer r.volumeMu.Unlock()
	r.volumeDB = db
	r.volume.Set(r.curve.Gain(db))
	r.publishing.ask()
}

// warnings are conditions that the people in front of the receiver should
// know about.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) add(text string) {
	const limit = 16
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < limit {
		w.list = append(w.list, text)
	}
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.list...)
}
