package drm

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Errors a caller can act on; they are wrapped in ones that name the device and
// the call.
var (
	// ErrBusy: another program, a desktop for example, controls the display.
	ErrBusy = errors.New("the display is in use by another program")
	// ErrNoCard: there is no display hardware that can do what this package
	// needs.
	ErrNoCard = errors.New("no usable display card")
	// ErrUnsupported: the hardware cannot show this picture. One that is
	// XRGB8888 and has the size of the mode can always be shown.
	ErrUnsupported = errors.New("not supported by the display hardware")
	// ErrClosed: the display has been closed, or its hardware is gone.
	ErrClosed = errors.New("display closed")
)

// Options say which display to open and how. The zero value takes the first
// connected display of the most suitable card.
type Options struct {
	Card      string   // device node; "": choose by Driver and resources
	Driver    string   // preferred driver: "vc4"
	Connector string   // the only one to use: "HDMI-A-1"; "": the first connected
	Mode      string   // see ParseOverride; "": see ChooseMode
	Rotation  Rotation // 0 is Upright

	// Debounce is how long a display must have been left alone before a change
	// counts: sets drop the line when they switch inputs. 0 is 500 ms.
	Debounce time.Duration

	// The functions below are told what happens. They run on the display's own
	// goroutine, or within Show, SetOverlay, Blank and Close, with no lock held:
	// they may call any method but Close. They must not block. Nil ones are left
	// out.

	// Flipped: a picture has appeared.
	Flipped func(Flip)
	// Released: the memory of the picture shown under this id is the caller's
	// again, because its successor has appeared or it never will itself.
	Released func(id uint64)
	// Changed: a display came or went, or something failed.
	Changed func(Change)
}

// Flip is the moment a picture appeared.
type Flip struct {
	ID        uint64
	Time      int64  // start of the scan-out, CLOCK_MONOTONIC in ns
	Sequence  uint32 // number of the vertical blanking
	Due       int64  // as in the Picture
	Late      bool   // it came more than half an interval after Due
	Submitted int64  // when the kernel had taken the commit, CLOCK_MONOTONIC in ns
}

// ChangeKind is what a Change is about.
type ChangeKind int

const (
	Connected    ChangeKind = iota // a display was found and lit
	Disconnected                   // it is gone; what is shown goes on unseen
	Failed                         // a picture or a mode was given up, see Err
	Lost                           // the hardware or its control is gone, see Err
)

func (k ChangeKind) String() string {
	return [...]string{"connected", "disconnected", "failed", "lost"}[k]
}

// Change is an event that is not a flip.
type Change struct {
	Kind      ChangeKind
	Connector string
	Mode      Mode  // of a Connected
	EDID      EDID  // of a Connected; Physical is 0xffff if it could not be read
	Err       error // of a Failed or Lost
}

// Counters are totals since Open.
type Counters struct {
	Shown    uint64 // base pictures that appeared
	Replaced uint64 // base pictures that a newer one pushed out before they could
	Late     uint64 // of Shown, those that appeared after they were due
	Busy     uint64 // commits the kernel was not ready for
	Failed   uint64 // pictures given up after an error
	Stalled  uint64 // commits that never completed
	Modesets uint64 // times the display was lit
}

// Display is one screen under this program's control. Its methods may be
// called from several goroutines.
type Display struct {
	opt      Options
	override *Override
	rotation Rotation
	sys      system
	card     *card
	saved    *snapshot
	black    *Framebuffer // behind everything
	buffers  buffers

	wake int // eventfd that ends the loop's wait
	uev  int // uevent socket, -1 without one
	done chan struct{}

	// modeset serialises everything that switches the display on or off. It
	// comes before buffers and mu.
	modeset sync.Mutex
	blanked bool
	plug    debounce // the loop's own

	mu          sync.Mutex
	req         *request
	plans       map[scene]*plan
	out         *output // nil before a display was found
	plan        *plan   // what the screen is set up for, nil: nothing but black
	lit         bool    // out is active, commits are possible
	attached    bool    // a display is connected to out
	closed      bool
	lost        error
	base        layer
	over        layer
	retire      []Picture // on the screen until the commit in flight completes
	reap        []*Framebuffer
	notices     []notice
	serial      uint64 // of the latest commit
	inFlight    bool
	fresh       bool  // the commit in flight brings a new base picture
	sent        int64 // when the commit in flight was taken
	began       int64 // when the kernel first refused to be ready, 0: it did not
	retryAt     int64 // when to try a refused commit again, 0: not
	mends       int   // recoveries since a picture last appeared
	mend        bool  // switch off and on
	plugRetries int   // attempts to light a display since one succeeded
	phase       phase
	asked       int64 // when the kernel was last asked for a blanking
	counters    Counters
}

// Open takes control of a display. Without a connected one it succeeds all the
// same, and lights the first that is plugged in. ErrBusy says that every card
// that could be used is controlled by another program, ErrNoCard that there is
// none.
func Open(o Options) (*Display, error) { return open(linux{}, o) }

func open(sys system, o Options) (*Display, error) {
	d := &Display{opt: o, sys: sys, rotation: o.Rotation, plans: map[scene]*plan{}, uev: -1, done: make(chan struct{})}
	if d.rotation == 0 {
		d.rotation = Upright
	}
	if d.opt.Debounce <= 0 {
		d.opt.Debounce = 500 * time.Millisecond
	}
	d.plug = debounce{quiet: int64(d.opt.Debounce), limit: 4 * int64(d.opt.Debounce)}
	if o.Mode != "" {
		v, err := ParseOverride(o.Mode)
		if err != nil {
			return nil, err
		}
		d.override = &v
	}
	d.buffers.all, d.buffers.dying = map[fbKey]*Framebuffer{}, map[*Framebuffer]struct{}{}
	c, err := chooseCard(sys, o)
	if err != nil {
		return nil, err
	}
	d.card, d.req = c, newRequest(c)
	if err := d.start(); err != nil {
		d.stop()
		return nil, err
	}
	go d.loop()
	return d, nil
}

// start lights the display, if there is one, and sets up what the loop waits
// for.
func (d *Display) start() error {
	var err error
	if d.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		d.wake = -1
		return fmt.Errorf("drm: eventfd: %w", err)
	}
	// Without uevents the loop looks at the connectors from time to time.
	if d.uev, err = d.sys.uevents(); err != nil {
		d.uev = -1
	}
	if d.saved, err = d.card.save(); err != nil {
		return err
	}
	d.modeset.Lock()
	defer d.modeset.Unlock()
	if n := d.card.pick(d.opt.Connector, nil); n != nil {
		return d.light(n)
	}
	return nil
}

// Close gives the display back: what was on it before is put back where it can
// be, and the console otherwise. It releases all pictures and removes all frame
// buffers. It must not be called from one of the functions in Options.
func (d *Display) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.signal()
	<-d.done
	return d.stop()
}

// stop undoes start and open. The loop does not run any more.
func (d *Display) stop() error {
	err := d.tearDown()
	d.deliver()
	return err
}

func (d *Display) tearDown() error {
	d.modeset.Lock()
	defer d.modeset.Unlock()
	d.mu.Lock()
	d.closed, d.lit = true, false
	d.mu.Unlock()
	var errs []error
	if d.lost != nil {
		_ = d.switchOff() // as well as it can
	} else if d.saved != nil {
		errs = append(errs, d.restore())
	}
	d.mu.Lock()
	d.releaseAll(true)
	d.mu.Unlock()
	d.buffers.Lock()
	for _, fb := range d.buffers.all {
		errs = append(errs, fb.destroy())
	}
	for fb := range d.buffers.dying {
		errs = append(errs, fb.destroy())
	}
	d.buffers.closed = true
	d.buffers.Unlock()
	if d.out != nil {
		errs = append(errs, d.card.destroyBlob(d.out.blob))
	}
	d.req.free()
	errs = append(errs, d.card.close())
	if d.wake >= 0 {
		unix.Close(d.wake)
	}
	if d.uev >= 0 {
		d.sys.close(d.uev)
	}
	if d.lost != nil {
		return nil // nothing can be undone on hardware that is gone
	}
	return errors.Join(errs...)
}

// Status is what there is to say about a display.
type Status struct {
	Card      string // device node
	Driver    string
	Connector string // "" before a display was found
	ID        uint32 // of the connector, as the kernel numbers the objects of the card
	Connected bool
	Blanked   bool
	Mode      Mode
	Why       string // why this mode, see ChooseMode
	Modes     []Mode // all the display offers
	EDID      EDID
	Scaled    bool // the base picture is scaled by the hardware
	Counters  Counters
	Err       error // why the display is lost
}

// Status describes the display now.
func (d *Display) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{Card: d.card.path, Driver: d.card.driver, Connected: d.attached, Counters: d.counters, Err: d.lost, EDID: EDID{Physical: 0xffff}}
	if o := d.out; o != nil {
		s.Connector, s.ID, s.Mode, s.Why, s.Modes, s.EDID = o.connector.name, o.connector.id, o.mode, o.why, o.modes, o.edid
		s.Blanked = d.attached && !d.lit
	}
	if d.plan != nil {
		s.Scaled = d.plan.scaled()
	}
	return s
}

// Mode is the mode the display was lit with; ok is false before one was.
func (d *Display) Mode() (m Mode, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.out == nil {
		return Mode{}, false
	}
	return d.out.mode, true
}

// Size is the size of the screen in pixels, 0 before a display was found.
func (d *Display) Size() (width, height int) {
	m, _ := d.Mode()
	return m.Width, m.Height
}

// NextVBlank predicts the first vertical blanking after the instant given, in
// nanoseconds of CLOCK_MONOTONIC, and gives the interval between blankings as
// measured. ok is false until a picture has been shown.
func (d *Display) NextVBlank(after int64) (t int64, interval time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := d.sys.now(); d.lit && now-d.phase.last > staleAfter && now-d.asked > staleAfter {
		// No flip has told the time for a while.
		d.asked = now
		s := crtcGetSequence{crtcID: d.out.crtc.id}
		if err := on(d.card, callCRTCGetSequence, &s); err == nil && s.active != 0 {
			d.phase.observe(s.sequenceNS, uint32(s.sequence))
		}
	}
	t, _, ok = d.phase.next(after)
	return t, time.Duration(d.phase.interval), ok
}

// staleAfter is how old a blanking may be to predict the next from: two clocks
// that are 100 ppm apart part by 0.1 ms in that time.
const staleAfter = int64(time.Second)

// Supports reports whether some plane of the display reads this format in this
// layout. Whether it can also be scaled as needed, Check tells.
func (d *Display) Supports(f Format, m Modifier) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	planes := d.card.planes
	if d.out != nil {
		planes = d.out.planes
	}
	for _, q := range planes {
		if q.kind != planeCursor && q.takes(f, m) && q.rotates(d.rotation) {
			return true
		}
	}
	return false
}
