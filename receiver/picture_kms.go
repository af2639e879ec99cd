package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"aerie/drm"
	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/codec/h264"
	"aerie/receiver/mirror"
	"aerie/receiver/playout"
)

// kmsOutput is the display that is driven directly. It is kept from start to
// end: without a picture it shows how to connect.
type kmsOutput struct {
	r       *Receiver
	display *drm.Display
	why     string
	measure bool

	generation atomic.Uint64 // of surfaces
	stop       context.CancelFunc
	done       sync.WaitGroup

	mu      sync.Mutex
	session *kmsSession // of the picture that is shown, nil for none
	idle    *surfaces   // of the screen without a picture
	redraw  chan struct{}
}

// newKMSOutput opens the display. The error says why there is none.
func newKMSOutput(r *Receiver, measure bool, why string) (*kmsOutput, error) {
	o := &kmsOutput{r: r, why: why, measure: measure, redraw: make(chan struct{}, 1)}
	v := &r.cfg.Video
	options := drm.Options{Connector: v.Connector, Mode: v.Mode, Flipped: o.flipped, Released: o.released, Changed: o.changed}
	if v.Rotate == 180 {
		options.Rotation = drm.UpsideDown
	}
	var err error
	if o.display, err = drm.Open(options); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
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
	if err := o.display.Close(); err != nil {
		o.r.log.Warn("display", "error", err)
	}
}

// open begins the picture of a session.
func (o *kmsOutput) open(ctx context.Context, s *streams) (videoSession, error) {
	k := &kmsSession{o: o, s: s, wake: make(chan struct{}, 1), reader: stampReader{s: s}}
	k.pictures.Drop = k.recycle
	for range kmsFrames {
		f, err := codec.NewFrame()
		if err != nil {
			k.free()
			return nil, err
		}
		k.slots = append(k.slots, &kmsPicture{frame: f})
	}
	var err error
	if k.decoding, err = newDecoding(ctx, s, k.decoded); err != nil {
		k.free()
		return nil, err
	}
	var inner context.Context
	inner, k.cancel = context.WithCancel(context.Background())
	k.done.Go(func() { k.present(inner) })
	o.mu.Lock()
	o.session = k
	o.mu.Unlock()
	return k, nil
}

func (o *kmsOutput) current() *kmsSession {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.session
}

func (o *kmsOutput) flipped(f drm.Flip) {
	if k := o.current(); k != nil {
		k.flipped(f)
	}
}

func (o *kmsOutput) released(id uint64) {
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
		o.r.log.Info("display", "connector", c.Connector, "mode", c.Mode, "name", c.EDID.Name)
		o.r.somethingChanged()
	case drm.Disconnected:
		o.r.log.Info("display unplugged", "connector", c.Connector)
		o.r.somethingChanged()
	default:
		o.r.log.Error("display", "connector", c.Connector, "what", c.Kind, "error", c.Err)
		o.r.meters.lastError(c.Err)
	}
}

const (
	// kmsFrames is how many decoded pictures wait to be shown at most, and
	// one that is being copied.
	kmsFrames = 8
	// kmsBuffers are on the screen, on their way there, next in turn, and
	// being drawn.
	kmsBuffers = 4
)

// kmsPicture is a decoded picture that waits to be shown.
type kmsPicture struct {
	frame *codec.Frame
	meta  decoded
	due   clock.Time
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

	mu       sync.Mutex
	slots    []*kmsPicture // not in use
	pictures playout.Pictures[*kmsPicture]

	showing   *surfaces
	converter codec.Converter
}

// decoded takes a picture from the decoder and notes when it is due.
func (k *kmsSession) decoded(f *codec.Frame, m *decoded) {
	est := k.s.clock.Estimate()
	stamped := est.ToLocal(m.stamp)
	k.s.pictureDelay.Ready(stamped, m.ready)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.slots) == 0 {
		k.s.r.meters.skipped.Inc()
		return
	}
	p := k.slots[len(k.slots)-1]
	k.slots = k.slots[:len(k.slots)-1]
	f.Move(p.frame)
	p.meta = *m
	// A clock that is wrong must not hold the picture for long.
	p.due = min(max(stamped.Add(k.s.delay()), m.ready), m.ready.Add(k.longest()))
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
		if ok {
			k.put(p)
		}
		k.mu.Lock()
		if ok {
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

// put copies a picture into memory of the display and shows it.
func (k *kmsSession) put(p *kmsPicture) {
	b, err := k.surface(p)
	if err != nil {
		k.report(err)
		return
	}
	if b == nil {
		k.s.r.meters.skipped.Inc()
		return
	}
	if err := k.converter.Convert(&b.image, p.frame); err != nil {
		k.released(b.id)
		k.report(err)
		return
	}
	b.meta = p.meta
	if k.o.measure {
		b.stamp, b.stamped = readStamp(p.frame)
	}
	err = k.o.display.Show(drm.Picture{ID: b.id, FB: b.fb, Color: colorOf(p.meta.colour, p.frame.Height), Due: int64(p.due)})
	if err != nil {
		k.released(b.id)
		if !errors.Is(err, drm.ErrClosed) {
			k.report(err)
		}
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
	b := k.find(f.ID)
	if b == nil {
		k.mu.Unlock()
		return
	}
	meta, st, stamped := b.meta, b.stamp, b.stamped
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

func (k *kmsSession) find(id uint64) *surface {
	if k.showing == nil {
		return nil
	}
	return k.showing.find(id)
}

// released takes back memory of the display; false if it is not of this
// session.
func (k *kmsSession) released(id uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
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

func (k *kmsSession) free() {
	for _, p := range k.slots {
		p.frame.Free()
	}
}

// colorOf says how the display is to read the picture. A stream that does not
// say means what television does.
func colorOf(c h264.Colour, height int) drm.Color {
	var out drm.Color
	switch c.Matrix {
	case codec.MatrixBT709:
		out.Encoding = drm.BT709
	case codec.MatrixBT470BG, codec.MatrixSMPTE170M:
		out.Encoding = drm.BT601
	case codec.MatrixBT2020:
		out.Encoding = drm.BT2020
	default:
		if height < 720 {
			out.Encoding = drm.BT601
		}
	}
	if c.FullRange {
		out.Range = drm.Full
	}
	return out
}

var _ mirror.Sink = (*kmsSession)(nil)
