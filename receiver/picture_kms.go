package receiver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"aerie/drm"
	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/mirror"
	"aerie/receiver/pattern/stamp"
	"aerie/receiver/playout"
)

// kmsOutput is the display that is driven directly. It is kept from start to
// end: without a picture it shows how to connect.
type kmsOutput struct {
	r       *Receiver
	display *drm.Display
	why     string
	measure bool

	hardware *Hardware // decoder, nil for none

	generation atomic.Uint64 // of surfaces
	stop       context.CancelFunc
	done       sync.WaitGroup

	mu      sync.Mutex
	session *kmsSession // of the picture that is shown, nil for none
	idle    *surfaces   // of the screen without a picture
	redraw  chan struct{}
	cover   cover // of what is playing on it
}

// newKMSOutput opens the display. The error says why there is none.
func newKMSOutput(r *Receiver, measure bool, why string) (*kmsOutput, error) {
	o := &kmsOutput{r: r, why: why, measure: measure, redraw: make(chan struct{}, 1)}
	var err error
	if o.hardware, err = r.findDecoders(); err != nil {
		return nil, err
	}
	r.machine.hardware = o.hardware != nil && o.hardware.Device.Path != ""
	v := &r.cfg.Video
	options := drm.Options{Connector: v.Connector, Mode: v.Mode, Flipped: o.flipped, Released: o.released, Changed: o.changed}
	if v.Rotate == 180 {
		options.Rotation = drm.UpsideDown
	}
	if o.display, err = drm.Open(options); err != nil {
		return nil, err
	}
	r.gate.begin(!o.display.Status().Connected)
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
	o.cover.log, o.cover.ready = r.log, o.showIdle
	o.done.Go(func() { o.drawIdle(ctx) })
	return o, nil
}

func (o *kmsOutput) describe() (string, string) {
	st := o.display.Status()
	where := fmt.Sprintf("display %s on %s (%s)", st.Connector, st.Card, st.Driver)
	if !st.Connected {
		return where + ", nothing is plugged in", o.why
	}
	name := st.EDID.Name
	if name == "" {
		name = "a display"
	}
	return fmt.Sprintf("%s, %s at %s (%s)", where, name, st.Mode, st.Why), o.why
}

// mode is that of the display that is plugged in.
func (o *kmsOutput) mode() (width, height, fps int, ok bool) {
	st := o.display.Status()
	return st.Mode.Width, st.Mode.Height, (st.Mode.Refresh + 500) / 1000, st.Connected && st.Mode.Width > 0
}

func (o *kmsOutput) close() {
	o.stop()
	o.done.Wait()
	o.cover.done.Wait()
	if err := o.display.Close(); err != nil {
		o.r.log.Warn("display", "error", err)
	}
}

// open begins the picture of a session.
func (o *kmsOutput) open(ctx context.Context, s *streams) (videoSession, error) {
	k := &kmsSession{o: o, s: s, wake: make(chan struct{}, 1), reader: stampReader{s: s}, direct: o.generation.Add(1)}
	k.memory = newPictureMemory(o.display, k.said)
	k.pictures.Drop = k.recycle
	for i := range kmsFrames {
		f, err := codec.NewFrame()
		if err != nil {
			k.free()
			return nil, err
		}
		p := &kmsPicture{id: k.direct<<8 | uint64(i), frame: f}
		k.all, k.slots = append(k.all, p), append(k.slots, p)
	}
	var err error
	if k.decoding, err = newDecoding(ctx, s, k.memory, k.decoded); err != nil {
		k.free()
		return nil, err
	}
	var inner context.Context
	inner, k.cancel = context.WithCancel(context.Background())
	k.done.Go(func() { k.present(inner) })
	o.mu.Lock()
	o.session = k
	o.mu.Unlock()
	by := "software"
	s.decoder.Store(&by)
	if o.hardware != nil {
		return newHardwareSession(ctx, k, o.hardware), nil
	}
	return k, nil
}

func (o *kmsOutput) current() *kmsSession {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.session
}

func (o *kmsOutput) flipped(f drm.Flip) {
	o.r.vitals.screen.appeared(f.ID)
	if k := o.current(); k != nil {
		k.flipped(f)
	}
}

func (o *kmsOutput) released(id uint64) {
	o.r.vitals.screen.drop(id)
	if k := o.current(); k != nil && k.released(id) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.idle != nil {
		o.idle.give(id)
	}
}

func (o *kmsOutput) changed(c drm.Change) {
	switch c.Kind {
	case drm.Connected:
		o.r.gate.turn(false)
		o.r.tv.changed()
		o.r.log.Info("display", "connector", c.Connector, "mode", c.Mode, "name", c.EDID.Name)
		o.r.somethingChanged()
	case drm.Disconnected:
		o.r.gate.turn(true)
		o.r.log.Info("display unplugged", "connector", c.Connector)
		o.r.somethingChanged()
	default:
		o.r.log.Error("display", "connector", c.Connector, "what", c.Kind, "error", c.Err)
		o.r.meters.lastError(c.Err)
		if c.Err != nil {
			o.r.displayFailed(c.Err)
		}
	}
}

const (
	// kmsBuffers are on the screen, on their way there, next in turn, and
	// being drawn.
	kmsBuffers = 4
	// kmsFrames is how many decoded pictures wait to be shown at most, one
	// that is being copied, and those that the display reads where they are.
	kmsFrames = 8 + kmsBuffers
)

// kmsPicture is a decoded picture that waits to be shown, or is shown from
// where it was decoded.
type kmsPicture struct {
	id    uint64 // for the display
	frame *codec.Frame
	due   clock.Time
	onScreen
	shown bool            // the display has it
	hard  hardwarePicture // instead of frame, of a hardware decoder
}

// onScreen is what there is to know of a picture when it appears.
type onScreen struct {
	meta    decoded
	stamp   stamp.Stamp
	stamped bool
}

// kmsSession shows the picture of one session.
type kmsSession struct {
	*decoding
	o      *kmsOutput
	s      *streams
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{}
	reader stampReader

	memory *pictureMemory // that pictures are decoded into
	direct uint64         // generation of the pictures shown from there

	mu       sync.Mutex
	all      []*kmsPicture
	slots    []*kmsPicture // not in use
	pictures playout.Pictures[*kmsPicture]
	begun    bool // one has been shown from memory

	showing   *surfaces
	converter codec.Converter
}

// said notes which way pictures take.
func (k *kmsSession) said(_ bool, how string) {
	k.s.r.log.Info("picture on the display", "way", how)
	k.s.path.Store(&how)
}

// Picture passes an access unit on, and tells the size of those that follow.
func (k *kmsSession) Picture(b mirror.Buffer, au *mirror.AccessUnit) {
	if au.New {
		k.memory.expect(au.Parameters.Width, au.Parameters.Height)
	}
	k.decoding.Picture(b, au)
}

// feed is Picture for what has been shown already, if hidden.
func (k *kmsSession) feed(b mirror.Buffer, au *mirror.AccessUnit, hidden bool) {
	if au.New {
		k.memory.expect(au.Parameters.Width, au.Parameters.Height)
	}
	k.decoding.feed(b, au, hidden)
}

// decoded takes a picture from the decoder and notes when it is due.
func (k *kmsSession) decoded(f *codec.Frame, m *decoded) {
	if m.hidden {
		return
	}
	est := k.s.clock.Estimate()
	k.s.pictureDelay.Ready(est.ToLocal(m.stamp), m.ready)
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.slot(); p != nil {
		f.Move(p.frame)
		p.meta = *m
		k.wait(p)
	}
}

// slot returns a place for a picture, nil if all are in use; k.mu is held.
func (k *kmsSession) slot() *kmsPicture {
	n := len(k.slots)
	if n == 0 {
		k.s.r.meters.skipped.Inc()
		return nil
	}
	p := k.slots[n-1]
	k.slots = k.slots[:n-1]
	return p
}

// wait has a picture wait until it is due; k.mu is held.
func (k *kmsSession) wait(p *kmsPicture) {
	m := &p.meta
	est := k.s.clock.Estimate()
	// A clock that is wrong must not hold the picture for long.
	p.due = min(max(est.ToLocal(m.stamp).Add(k.s.delay()), m.ready), m.ready.Add(k.longest()))
	k.pictures.Push(p, p.due.Add(-k.interval()/2))
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *kmsSession) longest() time.Duration {
	return time.Duration(k.s.r.cfg.Video.MaxDelay)*time.Millisecond + 100*time.Millisecond
}

// interval is the time between two refreshes of the display.
func (k *kmsSession) interval() time.Duration {
	if m, ok := k.o.display.Mode(); ok {
		return m.Interval()
	}
	return time.Second / 60
}

// recycle takes back a picture that is not shown any more; k.mu is held.
func (k *kmsSession) recycle(p *kmsPicture) {
	p.frame.Release()
	p.hard.release()
	k.slots = append(k.slots, p)
}

// present shows pictures when they are due.
func (k *kmsSession) present(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-timer.C:
		}
		k.mu.Lock()
		p, ok := k.pictures.Take(k.s.r.now())
		k.mu.Unlock()
		kept := ok && k.put(p)
		k.mu.Lock()
		if ok && !kept {
			k.recycle(p)
		}
		if next, waiting := k.pictures.Next(); waiting {
			timer.Reset(max(next.Sub(k.s.r.now()), 0))
		} else {
			timer.Reset(time.Hour)
		}
		k.mu.Unlock()
	}
}

// surface returns memory of the display for a picture like p, nil if all of it
// is in use.
func (k *kmsSession) surface(p *kmsPicture) (*surface, error) {
	width, height := k.o.display.Size()
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.showing; s == nil || !s.fits(p.frame.Width, p.frame.Height, width, height) {
		s, err := newSurfaces(k.o.display, k.o.generation.Add(1), p.frame.Width, p.frame.Height)
		if err != nil {
			return nil, err
		}
		if k.showing != nil {
			k.showing.close()
		}
		k.showing = s
		k.s.r.log.Info("picture on the display", "as", s)
	}
	b, _ := k.showing.take()
	return b, nil
}

// flipped notes when a picture appeared.
func (k *kmsSession) flipped(f drm.Flip) {
	k.mu.Lock()
	shown := k.find(f.ID)
	if shown == nil {
		k.mu.Unlock()
		return
	}
	meta, st, stamped := shown.meta, shown.stamp, shown.stamped
	k.mu.Unlock()
	m := &k.s.r.meters
	at := clock.Time(f.Time)
	m.commit.Observe(clock.Time(f.Submitted).Sub(meta.ready))
	m.flip.Observe(at.Sub(clock.Time(f.Submitted)))
	m.shown.Inc()
	if f.Late {
		m.late.Inc()
	}
	est := k.s.clock.Estimate()
	if est.Source == clock.NTP {
		m.total.Observe(at.Sub(est.ToLocal(meta.stamp)))
	}
	if stamped {
		k.reader.shown(st, at)
	}
}

// find returns what is known of a picture that the display has; nil if it is
// not of this session. k.mu is held.
func (k *kmsSession) find(id uint64) *onScreen {
	if id>>8 == k.direct {
		return &k.all[id&0xff].onScreen
	}
	if k.showing == nil {
		return nil
	}
	if b := k.showing.find(id); b != nil {
		return &b.onScreen
	}
	return nil
}

// released takes back a picture from the display, or memory of it; false if it
// is not of this session.
func (k *kmsSession) released(id uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id>>8 == k.direct {
		if p := k.all[id&0xff]; p.shown {
			p.shown = false
			k.recycle(p)
		}
		return true
	}
	return k.showing != nil && k.showing.give(id)
}

// Pause keeps the last picture: the phone is locked, and what it showed says
// so.
func (k *kmsSession) Pause(bool) {}

// End leaves the last picture, for the sender may connect again.
func (k *kmsSession) End() {}

func (k *kmsSession) close() {
	k.decoding.close()
	k.cancel()
	k.done.Wait()
	k.mu.Lock()
	k.pictures.Clear()
	for _, p := range k.all {
		p.shown = false // what the display gives back from here on is not recycled
	}
	showing := k.showing
	k.showing = nil
	k.mu.Unlock()
	k.o.mu.Lock()
	k.o.session = nil
	k.o.mu.Unlock()
	k.o.showIdle()
	if showing != nil {
		// What is on the screen stays there until the idle screen is.
		showing.close()
	}
	k.converter.Close()
	k.free()
}

// free gives the pictures back. The display keeps the memory of one that is on
// the screen, and nobody writes it any more.
func (k *kmsSession) free() {
	for _, p := range k.all {
		p.frame.Free()
	}
	k.memory.close()
}

var _ mirror.Sink = (*kmsSession)(nil)
